"""The same desk, read directly and through a real Prometheus, is the same snapshot."""

from pathlib import Path

import pytest

from collector.assemble import GATEWAY_KEY
from collector.model.replica import EngineKind
from collector.ports import ScrapeTarget
from support.engines import running_llama_server
from support.gateways import GatewayUnderTest, replica_route, running_gateway, service_route
from support.prometheus_server import PROMETHEUS, running_prometheus
from support.two_readers import R0, Desk, check_both_agree

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="prometheus is not installed (Debian package of the same name)"
)


@pytest.mark.slow
async def test_prometheus_tells_what_the_pages_tell(tmp_path: Path) -> None:
    with running_llama_server() as engine_url:
        async with (
            running_gateway(tmp_path / "gateway") as gateway,
            running_prometheus(tmp_path / "prometheus") as prometheus,
        ):
            await gateway.route(service_route(replica_route(engine_url, name=R0)))
            targets = (
                ScrapeTarget(key=GATEWAY_KEY, url=f"{gateway.url}/metrics"),
                ScrapeTarget(key=R0, url=f"{engine_url}/metrics"),
            )
            for _ in range(3):
                await ask(gateway)
            told = await check_both_agree(
                Desk(kind=EngineKind.LLAMA_CPP, targets=targets), prometheus
            )
    assert told["TrafficView.completed_requests_total"] == 3
    assert told["ReplicaView.output_tokens_total"] == 24
    assert len(told) >= 17


async def ask(gateway: GatewayUnderTest) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}
    async with gateway.post(body) as answer:
        assert answer.status == 200, await answer.text()
