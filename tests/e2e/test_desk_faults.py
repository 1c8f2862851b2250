"""What an owner can get wrong on a desk, before and while it runs: each told in one line.

Real gateway, controller and supervisor processes; no engine is needed for any of it.
"""

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from support.desks import Desk, catalogue, desk, read_json, service, wait_until

BROKEN = "services.chat.hold_timeout is 'soon'"


@pytest.fixture(name="it")
def _it(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path, catalogue({"chat": service(min_replicas=0)})) as made:
        yield made


def broken_catalogue() -> str:
    """Valid but for one value."""
    return yaml.safe_dump(catalogue({"chat": service(min_replicas=0, hold_timeout="soon")}))


async def catalogue_state(it: Desk) -> dict[str, object]:
    state = await it.state()
    return state["catalogue"] if state else {}


async def ticking(it: Desk) -> None:
    """Returns once the controller has decided something."""

    async def has_decided() -> bool:
        return bool(await it.decisions())

    await wait_until(has_decided, what=lambda: f"a decision; {it.log('controller')[-1500:]}")


async def test_a_broken_catalogue_changes_nothing_and_is_told_until_it_is_mended(it: Desk) -> None:
    it.start("gateway")
    it.start("controller")
    await ticking(it)
    good = await catalogue_state(it)
    assert good["problem"] is None

    it.write_catalogue(broken_catalogue())

    async def is_told() -> bool:
        return (await catalogue_state(it)).get("problem") is not None

    await wait_until(is_told, what=lambda: it.log("controller")[-1500:])
    told = await catalogue_state(it)
    assert told["digest"] == good["digest"]
    line = 1 + broken_catalogue().splitlines().index("    hold_timeout: soon")
    assert str(told["problem"]).startswith(f"{it.folder}/catalogue.yaml:{line}: {BROKEN}")
    assert "\n" not in str(told["problem"])
    models = await read_json(f"{it.gateway_url}/v1/models")
    assert models is not None
    assert [each["id"] for each in models["data"]] == ["tiny"]

    mended = catalogue({"chat": service(min_replicas=0, hold_timeout="9s")})
    it.write_catalogue(mended)

    async def is_taken() -> bool:
        now = await catalogue_state(it)
        return now.get("problem") is None and now.get("digest") != good["digest"]

    await wait_until(is_taken, what=lambda: it.log("controller")[-1500:])
    refused = it.events("controller", "catalogue_refused")
    assert [each["error"] for each in refused] == [told["problem"]]
    assert refused[0]["digest_in_force"] == good["digest"]


def break_catalogue(it: Desk) -> contextlib.AbstractContextManager[object]:
    it.write_catalogue(broken_catalogue())
    return contextlib.nullcontext()


def take_controller_port(it: Desk) -> contextlib.AbstractContextManager[object]:
    return socket.create_server(("127.0.0.1", it.controller_port))


def take_gateway_port(it: Desk) -> contextlib.AbstractContextManager[object]:
    return socket.create_server(("127.0.0.1", it.gateway_port))


def break_settings(it: Desk) -> contextlib.AbstractContextManager[object]:
    it.settings_path.write_text(it.settings_path.read_text() + "colour: blue\n")
    return contextlib.nullcontext()


Fault = Callable[[Desk], contextlib.AbstractContextManager[object]]


@pytest.mark.parametrize(
    ("fault", "process", "said"),
    [
        pytest.param(
            break_catalogue, "controller", rf"catalogue\.yaml:\d+: {BROKEN}", id="broken catalogue"
        ),
        pytest.param(
            break_settings, "controller", r"foresail\.yaml:\d+: colour is not a known key", id="key"
        ),
        pytest.param(
            take_controller_port,
            "controller",
            r"cannot listen on 127\.0\.0\.1:\d+: Address already in use.*controller\.port",
            id="controller port in use",
        ),
        pytest.param(
            take_gateway_port,
            "gateway",
            r"cannot listen on 127\.0\.0\.1 port \d+: Address already in use.*another port",
            id="gateway port in use",
        ),
    ],
)
async def test_what_cannot_start_says_why_in_one_line_and_is_not_tried_again(
    it: Desk, fault: Fault, process: str, said: str
) -> None:
    with fault(it):
        assert_refused(it.run("up"), said)
    told = [line for line in it.log(process).splitlines() if re.search(said, line)]
    assert len(told) <= 1  # a settings file that cannot be read stops `up` itself
    assert "Traceback" not in it.log(process)
    assert not it.process_ids("gateway")
    assert not it.process_ids("controller")


def assert_refused(ended: CompletedProcess[str], said: str) -> None:
    assert ended.returncode in {1, 2}, ended
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("foresail: ")
    assert re.search(said, lines[0]), lines[0]
    assert "Traceback" not in ended.stdout


async def test_a_second_controller_and_a_second_up_leave_the_first_alone(it: Desk) -> None:
    first = it.start("controller")
    it.start("gateway")
    await ticking(it)
    assert_refused(it.run("controller"), rf"belongs to another controller \(pid {first.pid}\)")
    assert_refused(it.run("up"), r"another (controller|gateway)")
    assert_refused(it.run("down"), rf"belongs to another controller \(pid {first.pid}\)")
    assert first.poll() is None
    await ticking(it)
    assert it.process_ids("controller") == {first.pid}
