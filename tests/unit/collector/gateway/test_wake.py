"""Datagrams to the controller: never wait, never fail, never pile up."""

import asyncio
from pathlib import Path

import pytest

from collector.errors import GatewayError
from collector.gateway.wake import (
    MAX_KEPT_EVENTS,
    ReplicaUnreachable,
    RequestHeld,
    WakeListener,
    WakeSender,
    check_socket_path,
    decode_event,
    encode_event,
)
from collector.model.ids import ReplicaId, ServiceName

HELD = RequestHeld(service=ServiceName("chat"))
GONE = ReplicaUnreachable(replica_id=ReplicaId("r1"))


async def test_events_arrive_in_order_and_are_taken_once(tmp_path: Path) -> None:
    listener, sender = WakeListener(tmp_path / "c.sock"), WakeSender(tmp_path / "c.sock")
    listener.open()
    assert sender.send(HELD)
    assert sender.send(GONE)
    await asyncio.wait_for(listener.wait(), 5)
    await asyncio.sleep(0.01)
    assert listener.take_events() == (HELD, GONE)
    assert not listener.is_set()
    assert listener.take_events() == ()
    listener.close()
    assert not (tmp_path / "c.sock").exists()
    assert not sender.send(HELD)
    sender.close()


async def test_a_controller_that_does_not_listen_does_not_block(tmp_path: Path) -> None:
    listener, sender = WakeListener(tmp_path / "c.sock"), WakeSender(tmp_path / "c.sock")
    listener.open()
    sent = [sender.send(HELD) for _ in range(10_000)]  # nobody reads in between
    assert sent[0]
    assert not sent[-1]
    for _ in range(2000):
        await asyncio.sleep(0)
    assert 0 < len(listener.take_events()) <= MAX_KEPT_EVENTS
    sender.close()
    listener.close()


async def test_a_socket_left_by_a_dead_controller_is_replaced_and_private(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    path.write_text("")
    listener = WakeListener(path)
    listener.open()
    assert path.stat().st_mode & 0o777 == 0o600
    listener.close()


@pytest.mark.parametrize("event", [HELD, GONE], ids=["held", "unreachable"])
def test_an_event_is_the_same_after_its_datagram(event: RequestHeld | ReplicaUnreachable) -> None:
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize(
    "datagram", [b"", b"x", b"[]", b"{}", b'{"event":"held"}', b'{"event":"held","service":3}']
)
def test_a_strange_datagram_is_nothing(datagram: bytes) -> None:
    assert decode_event(datagram) is None


async def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    with pytest.raises(GatewayError, match="shorter state_dir"):
        check_socket_path(path)
    with pytest.raises(GatewayError, match="cannot listen"):
        WakeListener(path).open()
