"""Demand out of pages that a Prometheus scraped now and then, without a gateway: none is lost or made up."""

import math
from collections.abc import Mapping, Sequence

import pytest

from collector.clock import VirtualClock
from collector.history.memory import MemoryHistoryStore
from collector.loop import Observer, ObserverPorts
from collector.model.history import Signal
from collector.model.replica import EngineKind, Replica
from collector.ports import Exposition, ScrapeTarget
from support.collector_worlds import (
    CHAT,
    CONTRACTS,
    answered,
    failed,
    make_catalogue,
    make_replica,
    make_service,
)

PER_SECOND = 2.0
"""Requests that each engine completes."""


class Scraped:
    """Engines that complete at a steady rate, as a Prometheus knows them that scrapes each now and then."""

    def __init__(self, clock: VirtualClock, *, offsets: Mapping[str, float], interval: float):
        self.clock, self.offsets, self.interval = clock, offsets, interval
        self.is_blind = False

    async def read_expositions(self, targets: Sequence[ScrapeTarget]) -> Mapping[str, Exposition]:
        return {target.key: self._page(target.key) for target in targets}

    def _page(self, key: str) -> Exposition:
        now = self.clock.timestamp_seconds()
        if self.is_blind:
            return failed(key, at=now)
        offset = self.offsets[key]
        scraped = offset + math.floor((now - offset) / self.interval) * self.interval
        count = PER_SECOND * scraped
        text = (
            f'vllm:request_success_total{{finished_reason="stop"}} {count}\n'
            "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n"
        )
        return answered(key, text, at=scraped)


class Memory:
    def replica_memory_bytes(self):
        return {}

    def pool_available_bytes(self):
        return {}


class Directory:
    def __init__(self, *names: str):
        self.known = [make_replica(name) for name in names]

    def replicas(self) -> Sequence[Replica]:
        return tuple(self.known)


class World:
    def __init__(self, *, offsets: Mapping[str, float], interval: float, tick: float):
        self.clock = VirtualClock(1000.0)
        self.tick = tick
        self.pages = Scraped(self.clock, offsets=offsets, interval=interval)
        self.store = MemoryHistoryStore(bin_seconds=15, keep_seconds=3600)
        catalogue = make_catalogue(make_service(engine=EngineKind.VLLM))
        self.observer = Observer(
            ports=ObserverPorts(
                reader=self.pages,
                directory=Directory(*offsets),
                memory_probe=Memory(),
                history_store=self.store,
                clock=self.clock,
                catalogue_source=lambda: catalogue,
            ),
            contracts=CONTRACTS,
            gateway=None,
        )

    async def look_for(self, seconds: float) -> None:
        end = self.clock.timestamp_seconds() + seconds
        while self.clock.timestamp_seconds() < end:
            await self.observer.observe()
            await self.clock.advance(self.tick)

    def arrivals(self) -> list[float]:
        """Requests per second in every bin that is wholly covered."""
        history = self.store.history(
            services=[CHAT],
            window_seconds=3600,
            now_timestamp_seconds=self.clock.timestamp_seconds(),
        )
        found = history.signals[Signal.ARRIVED_REQUESTS]
        whole = found.covered_seconds[0] >= 15 - 1e-6
        return [float(each) / 15 for each in found.sums[0][whole]]


@pytest.mark.parametrize(
    ("offsets", "interval", "tick"),
    [
        pytest.param({"r1": 3.0}, 15.0, 5.0, id="one engine"),
        pytest.param({"r1": 3.0, "r2": 14.0}, 15.0, 5.0, id="scraped at different times"),
        pytest.param({"r1": 3.0, "r2": 14.0}, 15.0, 4.0, id="ticks that do not divide"),
        pytest.param({"r1": 3.0, "r2": 14.0}, 1.0, 5.0, id="scraped more often than looked at"),
        pytest.param({"r1": 3.0, "r2": 7.0, "r3": 11.0}, 10.0, 15.0, id="looked at now and then"),
    ],
)
async def test_a_steady_rate_stays_steady(offsets, interval, tick):
    world = World(offsets=offsets, interval=interval, tick=tick)
    await world.look_for(900)
    found = world.arrivals()
    expected = PER_SECOND * len(offsets)
    assert len(found) > 40
    assert sum(found) / len(found) == pytest.approx(expected, rel=0.03)
    assert min(found) > 0.5 * expected  # no bin looks like no demand
    assert max(found) < 1.6 * expected


async def test_a_blind_time_is_no_quiet_time():
    world = World(offsets={"r1": 3.0, "r2": 14.0}, interval=15.0, tick=5.0)
    await world.look_for(300)
    world.pages.is_blind = True
    await world.look_for(60)
    world.pages.is_blind = False
    await world.look_for(300)
    found = world.arrivals()
    assert min(found) > 0.5 * PER_SECOND * 2
    assert sum(found) / len(found) == pytest.approx(PER_SECOND * 2, rel=0.05)
