"""The observer on real sockets with nobody in front of the engines: version, demand, latency."""

from collector.clock import SystemClock
from collector.history.memory import MemoryHistoryStore
from collector.loop import Observer, ObserverPorts
from collector.model.replica import EngineKind
from collector.sources.exposition_http import HttpExpositionReader
from support.collector_worlds import CHAT, CONTRACTS, make_catalogue, make_replica, make_service
from support.emulated import emulated


class Engines:
    """Directory of one replica, and a probe that sees no memory."""

    def __init__(self, url):
        self._url = url

    def replicas(self):
        return (make_replica(base_url=self._url),)

    def replica_memory_bytes(self):
        return {}

    def pool_available_bytes(self):
        return {}


async def test_engines_alone_tell_version_arrivals_and_latency():
    clock = SystemClock()
    async with emulated() as engine, HttpExpositionReader(clock=clock) as reader:
        fleet = Engines(engine.url)
        observer = Observer(
            ports=ObserverPorts(
                reader=reader,
                directory=fleet,
                memory_probe=fleet,
                history_store=MemoryHistoryStore(bin_seconds=15, keep_seconds=600),
                clock=clock,
                catalogue_source=lambda: make_catalogue(make_service(engine=EngineKind.VLLM)),
                version_reader=reader,
            ),
            contracts=CONTRACTS,
            gateway=None,
        )
        await engine.stream({"model": "tiny", "prompt": "before", "max_tokens": 4})
        first = await observer.observe()
        for _ in range(3):
            await engine.stream({"model": "tiny", "prompt": "hello", "max_tokens": 4})
        last = await observer.observe()
    assert first.replicas[0].engine.version.value == "0.32.0"
    assert first.service(CHAT).traffic.arrived_requests_total.value == 0
    traffic = last.service(CHAT).traffic
    assert (traffic.arrived_requests_total.value, traffic.in_flight_requests.value) == (3, 0)
    assert traffic.output_tokens_total.value == 12
    assert last.service(CHAT).latency.time_to_first_token.value.total == 3
    assert last.problems == ()
