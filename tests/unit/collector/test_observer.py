"""One round of looking with fakes at every port."""

import asyncio
import json
import threading
from dataclasses import replace

import pytest

from collector.clock import VirtualClock
from collector.errors import TransientSourceError
from collector.history.memory import MemoryHistoryStore
from collector.loop import Observer, ObserverPorts, gateway_target, scrape_targets
from collector.model.catalogue import ProcessTarget, UrlTarget
from collector.model.history import Signal
from collector.model.observation import ObserveStep
from collector.model.reading import Fresh, Missing, MissingReason, Stale
from collector.model.replica import EngineKind, ReplicaState
from collector.model.snapshot import Problem
from collector.ports import ScrapeTarget
from support.collector_worlds import (
    CAPTURES,
    CHAT,
    CONTRACTS,
    LLAMA,
    POOL,
    VLLM,
    capture,
    gateway_page,
    make_catalogue,
    make_replica,
    make_service,
)
from support.fake_expositions import FakeExpositionReader
from support.written_pages import page_text


class Directory:
    def __init__(self, *replicas):
        self.known = replicas

    def replicas(self):
        return self.known


class Probe:
    """Tells 4096 bytes for r1; fails, or waits for `release`, when told to."""

    def __init__(self, clock):
        self.clock = clock
        self.error = None
        self.release = threading.Event()
        self.release.set()
        self.call_count = 0

    def replica_memory_bytes(self):
        self.call_count += 1
        self.release.wait(10)
        if self.error:
            raise self.error
        return {"r1": self._fresh(4096.0)}

    def pool_available_bytes(self):
        return {POOL: self._fresh(5000.0)}

    def _fresh(self, value):
        at = self.clock.timestamp_seconds()
        return Fresh(value=value, observed_timestamp_seconds=at, source="host")


class SetClock(VirtualClock):
    """A host's clock that somebody sets."""

    offset_seconds = 0.0

    def set_by(self, seconds):
        self.offset_seconds += seconds

    def timestamp_seconds(self):
        return super().timestamp_seconds() + self.offset_seconds


class World:
    def __init__(
        self, *, read_timeout_seconds=5.0, replicas=None, engine=EngineKind.LLAMA_CPP, **ports
    ):
        self.clock = SetClock(10_000.0)
        self.reader = FakeExpositionReader(clock=self.clock)
        self.reader.pages = {
            "gateway": gateway_page(arrived=1, replicas=[("r1", 2)]),
            "r1": capture(LLAMA, "metrics_load_c8"),
            "r1#version": (CAPTURES / LLAMA / "props_idle.json").read_text(),
        }
        self.directory = Directory(*(replicas or (make_replica(),)))
        self.probe = Probe(self.clock)
        self.store = MemoryHistoryStore(bin_seconds=15, keep_seconds=600)
        self.catalogue = make_catalogue(make_service(engine=engine))
        self.observer = Observer(
            ports=ObserverPorts(
                reader=self.reader,
                directory=self.directory,
                memory_probe=self.probe,
                history_store=self.store,
                clock=self.clock,
                catalogue_source=lambda: self.catalogue,
                **{"version_reader": self.reader, **ports},
            ),
            contracts=CONTRACTS,
            gateway=gateway_target("/run/gateway.sock"),
            read_timeout_seconds=read_timeout_seconds,
        )

    def arrived(self):
        return float(self.arrivals().sums.sum())

    def covered_seconds(self):
        """How much of the last ten minutes was measured."""
        return float(self.arrivals(window_seconds=600).covered_seconds.sum())

    def arrivals(self, *, window_seconds=60):
        history = self.store.history(
            services=[CHAT],
            window_seconds=window_seconds,
            now_timestamp_seconds=self.clock.timestamp_seconds(),
        )
        return history.signals[Signal.ARRIVED_REQUESTS]


async def test_a_round_reads_all_ports_into_one_snapshot():
    world = World()
    snapshot = await world.observer.observe()
    assert snapshot.service(CHAT).traffic.arrived_requests_total.value == 1
    (view,) = snapshot.replicas
    assert (view.waiting_requests.value, view.in_flight_requests.value) == (6, 2)
    assert view.memory_bytes.value == 4096
    assert snapshot.pools[0].available_bytes.value == 5000
    assert snapshot.problems == ()
    assert world.observer.latest.snapshot is snapshot
    assert set(world.observer.latest.step_seconds) == set(ObserveStep)


async def test_increases_reach_the_history():
    world = World()
    await world.observer.observe()
    assert world.arrived() == 0
    await world.clock.advance(5)
    world.reader.pages["gateway"] = gateway_page(arrived=8)
    await world.observer.observe()
    assert world.arrived() == 7


@pytest.mark.parametrize("by", [3600.0, -3600.0], ids=["forward", "back"])
async def test_what_was_counted_before_the_clock_was_set_is_still_known(by):
    world = World()
    await world.observer.observe()
    await world.clock.advance(5)
    world.reader.pages["gateway"] = gateway_page(arrived=8)
    await world.observer.observe()
    world.clock.set_by(by)
    await world.clock.advance(5)
    snapshot = await world.observer.observe()
    assert any("clock was set" in each.message for each in snapshot.problems)
    assert snapshot.clock_set_by_seconds == by
    assert world.arrived() == 7
    await world.clock.advance(5)
    assert (await world.observer.observe()).clock_set_by_seconds == 0.0


async def test_the_time_that_a_machine_slept_is_not_counted_as_a_quiet_one():
    """Monotonic time stands still meanwhile, so it looks like a clock that was set."""
    world = World()
    await world.observer.observe()
    await world.clock.advance(5)
    world.reader.pages["gateway"] = gateway_page(arrived=8)
    await world.observer.observe()
    world.clock.set_by(8 * 3600.0)
    await world.clock.advance(5)
    world.reader.pages["gateway"] = gateway_page(arrived=9)
    snapshot = await world.observer.observe()
    assert any("or it slept" in each.message for each in snapshot.problems)
    assert world.covered_seconds() == 5.0
    await world.clock.advance(5)
    world.reader.pages["gateway"] = gateway_page(arrived=11)
    await world.observer.observe()
    assert (world.arrived(), world.covered_seconds()) == (9, 10.0)


async def test_a_clock_that_is_set_between_the_first_two_looks_is_noticed():
    world = World()
    await world.observer.observe()
    world.clock.set_by(3600.0)
    await world.clock.advance(5)
    assert (await world.observer.observe()).clock_set_by_seconds == 3600.0


async def test_a_silent_source_is_counted_and_does_not_blind_the_others():
    world = World()
    await world.observer.observe()
    await world.clock.advance(5)
    del world.reader.pages["r1"]
    world.probe.error = TransientSourceError("no /proc")
    snapshot = await world.observer.observe()
    (view,) = snapshot.replicas
    assert isinstance(view.waiting_requests, Stale)
    assert isinstance(view.memory_bytes, Stale)
    assert isinstance(snapshot.pools[0].available_bytes, Stale)
    assert isinstance(snapshot.service(CHAT).traffic.arrived_requests_total, Fresh)
    assert world.observer.latest.source_errors_total == {
        "gateway": 0,
        "engine:llama_cpp": 1,
        "host": 1,
    }
    assert {problem.source for problem in snapshot.problems} == {"r1", "host"}
    world.probe.error = None
    assert isinstance((await world.observer.observe()).replicas[0].memory_bytes, Fresh)


async def test_a_hanging_probe_is_not_started_twice():
    world = World(read_timeout_seconds=0.05)
    world.probe.release.clear()
    for _ in range(3):
        snapshot = await world.observer.observe()
        assert isinstance(snapshot.replicas[0].memory_bytes, Missing)
    assert world.probe.call_count == 1
    world.probe.release.set()
    await world.observer.close()
    assert isinstance((await world.observer.observe()).replicas[0].memory_bytes, Fresh)


async def test_a_probe_that_hangs_holds_nobody_up_at_the_end():
    world = World(read_timeout_seconds=0.05)
    world.probe.release.clear()
    await world.observer.observe()
    async with asyncio.timeout(2):
        await world.observer.close()
    world.probe.release.set()


@pytest.mark.parametrize("error", [TimeoutError("the mount is slow"), OSError("no /proc")])
async def test_a_probe_that_failed_is_asked_again(error):
    world = World()
    world.probe.error = error
    snapshot = await world.observer.observe()
    assert snapshot.problems[-1].message == f"memory cannot be read: {error}"
    world.probe.error = None
    assert isinstance((await world.observer.observe()).replicas[0].memory_bytes, Fresh)
    assert world.probe.call_count == 2


async def test_a_probe_that_failed_unforeseen_is_asked_again():
    world = World()
    world.probe.error = LookupError("a defect")
    with pytest.raises(LookupError):
        await world.observer.observe()
    world.probe.error = None
    assert isinstance((await world.observer.observe()).replicas[0].memory_bytes, Fresh)


async def test_a_reader_that_hangs_is_left_behind():
    world = World(read_timeout_seconds=0.05)

    class Hanging:
        async def read_expositions(self, targets):
            await asyncio.sleep(60)

    world.observer._ports = ObserverPorts(
        reader=Hanging(),
        directory=world.directory,
        memory_probe=world.probe,
        history_store=world.store,
        clock=world.clock,
        catalogue_source=lambda: world.catalogue,
    )
    snapshot = await world.observer.observe()
    assert isinstance(snapshot.service(CHAT).traffic.arrived_requests_total, Missing)
    assert "was not read within 0.05 s" in snapshot.problems[0].message


async def test_a_kept_snapshot_is_the_previous_one_after_a_restart():
    first = World()
    kept = await first.observer.observe()
    second = World()
    second.reader.pages = {"gateway": gateway_page(arrived=11)}
    second.observer.resume(kept, catalogue=second.catalogue)
    await second.clock.advance(5)
    await second.observer.observe()
    assert second.arrived() == 10


async def test_an_engines_version_is_asked_for_once_and_its_page_is_read_as_that():
    world = World(engine=EngineKind.VLLM)
    world.reader.pages |= {
        "r1": page_text("vllm-0.8.5.post1"),
        "r1#version": '{"version": "0.8.5.post1"}',
    }
    for _ in range(3):
        snapshot = await world.observer.observe()
        (view,) = snapshot.replicas
        assert view.engine.version.value == "0.8.5.post1"
        assert view.engine.inter_token_latency.value.total == 10
        await world.clock.advance(5)
    asked = [target.url for call in world.reader.asked for target in call]
    assert asked.count("http://127.0.0.1:1/version") == 1
    assert snapshot.problems == ()


async def test_an_engine_without_an_answer_about_its_version_is_no_failed_read():
    world = World(engine=EngineKind.VLLM)
    world.reader.pages["r1"] = capture(VLLM, "metrics_load_c64")
    snapshot = await world.observer.observe()
    assert isinstance(snapshot.replicas[0].engine.version, Missing)
    assert snapshot.replicas[0].engine.inter_token_latency.value.total == 40941
    assert world.observer.latest.source_errors_total == {"gateway": 0, "engine:vllm": 0}


async def test_accelerators_are_looked_at_before_memory_is_asked():
    calls = []

    async def look():
        calls.append(world.probe.call_count)
        return (Problem(source="device", message="there is no accelerator 3"),)

    world = World(look_at_devices=look)
    snapshot = await world.observer.observe()
    assert calls == [0]
    assert snapshot.problems == (Problem(source="device", message="there is no accelerator 3"),)


@pytest.mark.parametrize(
    ("replica", "url"),
    [
        pytest.param(make_replica(), "http://127.0.0.1:1/metrics", id="serving"),
        pytest.param(
            make_replica(state=ReplicaState.DRAINING), "http://127.0.0.1:1/metrics", id="draining"
        ),
        pytest.param(
            make_replica(base_url="http://h:1/"), "http://h:1/metrics", id="slash at the end"
        ),
        pytest.param(make_replica(state=ReplicaState.LOADING), None, id="loading"),
        pytest.param(make_replica(state=ReplicaState.ASLEEP), None, id="asleep"),
        pytest.param(make_replica(base_url=None), None, id="no address"),
        pytest.param(make_replica(variant="gone"), None, id="undeclared"),
    ],
)
def test_only_replicas_that_may_be_asked_are_targets(replica, url):
    targets = scrape_targets(
        [replica],
        catalogue=make_catalogue(make_service(engine=EngineKind.VLLM)),
        contracts=CONTRACTS,
        gateway=None,
    )
    assert targets == (() if url is None else (ScrapeTarget(key="r1", url=url),))


@pytest.mark.parametrize(
    ("engine", "declared", "kept"),
    [
        pytest.param(EngineKind.VLLM, True, True, id="both bear it"),
        pytest.param(EngineKind.VLLM, False, False, id="declared not to"),
        pytest.param(EngineKind.LLAMA_CPP, True, False, id="its contract says no"),
    ],
)
def test_a_connection_is_kept_only_where_contract_and_variant_agree(engine, declared, kept):
    service = make_service(engine=engine)
    (variant,) = service.variants
    service = replace(service, variants=(replace(variant, keep_alive=declared),))
    (target,) = scrape_targets(
        [make_replica()],
        catalogue=make_catalogue(service),
        contracts=CONTRACTS,
        gateway=None,
    )
    assert target.keep_alive is kept


def props(build, *, sleeps=True):
    """What llama.cpp's server tells of itself; builds that cannot sleep do not say whether they do."""
    return json.dumps({"build_info": build, **({"is_sleeping": False} if sleeps else {})})


def by_url(world):
    """The engine is somebody else's: nobody here knows how it was started."""
    service = make_service()
    (variant,) = service.variants
    variant = replace(variant, target=UrlTarget(urls=("http://127.0.0.1:1",)))
    world.catalogue = make_catalogue(replace(service, variants=(variant,)))


@pytest.mark.parametrize(
    ("told", "command", "is_read"),
    [
        pytest.param(props("b11549-0123abc"), None, True, id="left-asleep"),
        pytest.param(props("b7400-0123abc"), None, False, id="kept-awake"),
        pytest.param(props("b7400-0123abc"), ("engine",), False, id="kept-awake-and-ours"),
        pytest.param(props("b5000-0123abc", sleeps=False), None, True, id="never-sleeps"),
        pytest.param(props("b0-unknown"), None, False, id="unknown-build"),
        pytest.param(props("b0-unknown"), ("engine",), True, id="ours-without-sleep"),
        pytest.param(
            props("b0-unknown"), ("engine", "--sleep-idle-seconds"), False, id="ours-with-sleep"
        ),
        pytest.param("{}", None, False, id="tells-nothing"),
        pytest.param(None, ("engine",), False, id="does-not-answer"),
    ],
)
async def test_a_page_is_read_only_where_that_keeps_no_model_awake(told, command, is_read):
    world = World()
    by_url(world)
    if command is not None:
        service = make_service()
        (variant,) = service.variants
        variant = replace(variant, target=ProcessTarget(command=command))
        world.catalogue = make_catalogue(replace(service, variants=(variant,)))
    world.reader.pages["r1#version"] = told
    snapshot = await world.observer.observe()
    asked = {target.url for batch in world.reader.asked for target in batch}
    assert ("http://127.0.0.1:1/metrics" in asked) is is_read
    assert "http://127.0.0.1:1/props" in asked
    (view,) = snapshot.replicas
    if is_read:
        assert view.waiting_requests.value == 6
    else:
        assert view.waiting_requests.reason is MissingReason.CANNOT_SEE
        (problem,) = snapshot.problems
        assert "metric page is not read" in problem.message


async def test_a_page_left_alone_is_read_once_the_engine_has_told_its_build():
    world = World()
    world.reader.pages["r1#version"] = None
    assert (await world.observer.observe()).problems
    await world.clock.advance(5)
    world.reader.pages["r1#version"] = props("b11549-0123abc")
    snapshot = await world.observer.observe()
    assert snapshot.problems == ()
    assert snapshot.replicas[0].engine.version.value == "b11549-0123abc"


async def test_an_old_build_is_asked_once_and_its_version_shown():
    world = World()
    world.reader.pages["r1#version"] = props("b7400-0123abc")
    for _ in range(3):
        snapshot = await world.observer.observe()
        await world.clock.advance(5)
    assert snapshot.replicas[0].engine.version.value == "b7400-0123abc"
    keys = [target.key for batch in world.reader.asked for target in batch]
    assert keys.count("r1#version") == 1


async def test_pages_that_come_from_elsewhere_are_read_whatever_the_build():
    world = World(version_reader=None)
    snapshot = await world.observer.observe()
    assert snapshot.replicas[0].waiting_requests.value == 6
