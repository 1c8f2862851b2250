"""The same desk, read directly and through a real Prometheus, is the same snapshot."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from collector.assemble import GATEWAY_KEY, Observed, assemble
from collector.clock import SystemClock
from collector.contract.loader import load_contracts
from collector.model.contract import Contracts
from collector.model.reading import Fresh
from collector.model.replica import EngineKind, ReplicaState
from collector.model.snapshot import Snapshot
from collector.ports import Exposition, ExpositionReader, ScrapeTarget
from collector.sources.exposition_http import HttpExpositionReader
from collector.sources.prometheus_api import PrometheusAddress, PrometheusApi
from collector.sources.prometheus_pages import PrometheusReader
from support.builders import make_catalogue, make_replica, make_service, make_variant
from support.desks import wait_until
from support.engines import running_llama_server
from support.gateways import replica_route, running_gateway, service_route
from support.prometheus_server import PROMETHEUS, running_prometheus

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="prometheus is not installed (Debian package of the same name)"
)
SCRAPE_INTERVAL_SECONDS = 1.0
R0 = "r0"


def snapshot_of(pages: dict[str, Exposition], *, now: float) -> Snapshot:
    service = make_service("chat", variants=(make_variant("llama", engine=EngineKind.LLAMA_CPP),))
    replica = make_replica(R0, service="chat", variant="llama", state=ReplicaState.SERVING)
    observed = Observed(
        now_timestamp_seconds=now,
        catalogue=make_catalogue(service),
        replicas=(replica,),
        expositions=pages,
        replica_memory_bytes={},
        pool_available_bytes={},
    )
    return assemble(observed, contracts=contracts(), previous=None)


def contracts() -> Contracts:
    every = load_contracts()
    return Contracts(
        engines={EngineKind.LLAMA_CPP: every.engines[EngineKind.LLAMA_CPP]}, gateway=every.gateway
    )


def values_of(snapshot: Snapshot) -> dict[str, object]:
    """{reading: its value} of everything that was told."""
    (service,), (replica,) = snapshot.services, snapshot.replicas
    return {
        f"{type(part).__name__}.{name}": reading.value
        for part in (service.traffic, service.latency, replica, snapshot)
        for name in part.__dataclass_fields__
        if isinstance(reading := getattr(part, name), Fresh)
    }


@pytest.mark.slow
async def test_prometheus_tells_what_the_pages_tell(tmp_path: Path) -> None:
    clock = SystemClock()
    with running_llama_server() as engine_url:
        async with (
            running_gateway(tmp_path / "gateway") as gateway,
            running_prometheus(tmp_path / "prometheus") as prometheus,
            HttpExpositionReader(clock=clock) as direct,
        ):
            await gateway.route(service_route(replica_route(engine_url, name=R0)))
            targets = [
                ScrapeTarget(key=GATEWAY_KEY, url=f"{gateway.url}/metrics"),
                ScrapeTarget(key=R0, url=f"{engine_url}/metrics"),
            ]
            prometheus.watch({"desk": [urlsplit(target.url).netloc for target in targets]})
            for _ in range(3):
                await ask(gateway)
            api = PrometheusApi(PrometheusAddress(url=prometheus.url))
            through = PrometheusReader(api, contracts=contracts(), clock=clock)
            try:
                await compare(direct=direct, through=through, targets=targets, clock=clock)
            finally:
                await through.close()
                api.close()


async def ask(gateway) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}
    async with gateway.post(body) as answer:
        assert answer.status == 200, await answer.text()


async def compare(
    *,
    direct: ExpositionReader,
    through: ExpositionReader,
    targets: list[ScrapeTarget],
    clock: SystemClock,
) -> None:
    """Nothing runs any more, so that both must agree once one more scrape is over."""
    pages = await direct.read_expositions(targets)
    read = clock.timestamp_seconds()
    expected = values_of(snapshot_of(dict(pages), now=read))
    assert expected["TrafficView.completed_requests_total"] == 3
    assert expected["ReplicaView.output_tokens_total"] == 24
    assert len(expected) >= 17
    seen: dict[str, object] = {}
    pages = {}

    async def is_scraped() -> bool:
        pages.update(await through.read_expositions(targets))
        seen.clear()
        seen.update(values_of(snapshot_of(pages, now=clock.timestamp_seconds())))
        return all(
            page.text is not None and page.observed_timestamp_seconds >= read
            for page in pages.values()
        )

    await wait_until(is_scraped, what=lambda: str(pages))
    assert seen == expected
    for page in pages.values():
        assert page.problems == ()
        assert clock.timestamp_seconds() - page.observed_timestamp_seconds < (
            3 * SCRAPE_INTERVAL_SECONDS
        )
