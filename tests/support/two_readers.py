"""One engine read directly and through a real Prometheus: the two must be one snapshot."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from urllib.parse import urlsplit

from collector.assemble import Observed, assemble
from collector.clock import SystemClock
from collector.model.contract import Contracts, SignalRule
from collector.model.reading import Fresh
from collector.model.replica import EngineKind, ReplicaState
from collector.model.snapshot import Snapshot
from collector.ports import Exposition, ExpositionReader, ScrapeTarget
from collector.sources.exposition_http import HttpExpositionReader
from collector.sources.prometheus_api import PrometheusAddress, PrometheusApi
from collector.sources.prometheus_pages import PrometheusReader
from support.builders import make_catalogue, make_replica, make_service, make_variant
from support.collector_worlds import CONTRACTS
from support.desks import wait_until
from support.prometheus_server import Prometheus

SCRAPE_INTERVAL_SECONDS = 1.0
R0 = "r0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One replica of one kind of engine, perhaps behind our gateway, and where their pages are."""

    kind: EngineKind
    targets: Sequence[ScrapeTarget]  # the replica's has the key R0

    def rules(self) -> Iterator[SignalRule]:
        """What Prometheus is asked for."""
        for contract in (CONTRACTS.gateway, CONTRACTS.engines[self.kind]):
            yield from contract.rules.values()

    def values(self, pages: Mapping[str, Exposition], *, now: float) -> dict[str, object]:
        """{reading: its value} of everything that a snapshot of these pages tells."""
        return _values_of(self._snapshot(pages, now=now))

    def _snapshot(self, pages: Mapping[str, Exposition], *, now: float) -> Snapshot:
        service = make_service("chat", variants=(make_variant("only", engine=self.kind),))
        replica = make_replica(R0, service="chat", variant="only", state=ReplicaState.SERVING)
        observed = Observed(
            now_timestamp_seconds=now,
            catalogue=make_catalogue(service),
            replicas=(replica,),
            expositions=pages,
            replica_memory_bytes={},
            pool_available_bytes={},
        )
        contracts = Contracts(
            engines={self.kind: CONTRACTS.engines[self.kind]}, gateway=CONTRACTS.gateway
        )
        return assemble(observed, contracts=contracts, previous=None)


def _values_of(snapshot: Snapshot) -> dict[str, object]:
    (service,), (replica,) = snapshot.services, snapshot.replicas
    return {
        f"{type(part).__name__}.{each.name}": reading.value
        for part in (service.traffic, service.latency, replica, replica.engine, snapshot)
        for each in fields(part)
        if isinstance(reading := getattr(part, each.name), Fresh)
    }


async def check_both_agree(desk: Desk, prometheus: Prometheus) -> dict[str, object]:
    """What both tell; nothing may run meanwhile, so that they must agree after one more scrape."""
    clock = SystemClock()
    prometheus.watch({"desk": [urlsplit(target.url).netloc for target in desk.targets]})
    async with HttpExpositionReader(clock=clock) as direct:
        pages = await direct.read_expositions(desk.targets)
    read = clock.timestamp_seconds()
    expected = desk.values(pages, now=read)
    api = PrometheusApi(PrometheusAddress(url=prometheus.url), clock=clock)
    through = PrometheusReader(api, rules=desk.rules, clock=clock)
    try:
        pages = await _scraped_since(read, reader=through, targets=desk.targets)
    finally:
        await through.close()
        api.close()
    now = clock.timestamp_seconds()
    found = desk.values(pages, now=now)
    names = expected.keys() | found.keys()
    differing = {
        name: (found.get(name), expected.get(name))
        for name in sorted(names)
        if found.get(name) != expected.get(name)
    }
    assert not differing, f"(through Prometheus, directly): {differing}"
    for page in pages.values():
        assert page.problems == ()
        assert now - page.observed_timestamp_seconds < 3 * SCRAPE_INTERVAL_SECONDS
    return expected


async def _scraped_since(
    start_timestamp_seconds: float, *, reader: ExpositionReader, targets: Sequence[ScrapeTarget]
) -> Mapping[str, Exposition]:
    """The pages of the first scrape of every target after that time."""
    pages: dict[str, Exposition] = {}

    async def are_scraped() -> bool:
        pages.update(await reader.read_expositions(targets))
        return all(
            page.text is not None and page.observed_timestamp_seconds >= start_timestamp_seconds
            for page in pages.values()
        )

    await wait_until(are_scraped, what=lambda: str(pages))
    return pages
