"""A gateway in this process for tests: routes in one line, metrics as a dictionary, polling."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from collector.clock import SystemClock
from collector.gateway.client import GatewayClient
from collector.gateway.process import Gateway, open_gateway
from collector.gateway.routing import OverflowRoute, ReplicaRoute, RoutingTable, ServiceRoute
from collector.gateway.settings import GatewaySettings
from collector.model.catalogue import Overflow, Sli
from collector.model.ids import ReplicaId, ServiceName, TierName
from collector.model.overflow import OverflowGrant

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]

TRIES = 3000
"""Of 10 ms and more each: a busy machine is no failure."""


def replica_route(
    url: str, *, name: str = "r0", upstream_model: str | None = None, keep_alive: bool = True
) -> ReplicaRoute:
    """A replica at `url`."""
    return ReplicaRoute(
        replica_id=ReplicaId(name),
        base_url=url,
        upstream_model=upstream_model,
        keep_alive=keep_alive,
    )


def service_route(
    *replicas: ReplicaRoute,
    name: str = "chat",
    models: tuple[str, ...] = ("tiny",),
    hold_timeout_seconds: float = 5.0,
    max_held_requests: int = 100,
    max_in_flight_per_replica: int | None = None,
    thresholds_seconds: Mapping[Sli, tuple[float, ...]] | None = None,
    overflow: OverflowRoute | None = None,
) -> ServiceRoute:
    """A service with these replicas."""
    return ServiceRoute(
        service=ServiceName(name),
        models=models,
        tier=TierName("gold"),
        hold_timeout_seconds=hold_timeout_seconds,
        max_held_requests=max_held_requests,
        max_in_flight_per_replica=max_in_flight_per_replica,
        thresholds_seconds=thresholds_seconds or {},
        replicas=replicas,
        overflow=overflow,
    )


def overflow_route(
    url: str,
    *,
    name: str = "chat",
    granted_at: float = 1.0,
    lease_seconds: float = 60.0,
    share_ratio: float = 0.0,
    budget: float = 1000.0,
    max_requests_in_flight: int = 100,
    api_key_file: str | None = None,
) -> OverflowRoute:
    """An open overflow at `url` for the model `large`, where a token of either kind costs 1."""
    return OverflowRoute(
        grant=OverflowGrant(
            service=ServiceName(name),
            granted_timestamp_seconds=granted_at,
            lease_seconds=lease_seconds,
            share_ratio=share_ratio,
            budget=budget,
        ),
        target=Overflow(
            base_url=url,
            model="large",
            price_per_million_prompt_tokens=1e6,
            price_per_million_output_tokens=1e6,
            max_requests_in_flight=max_requests_in_flight,
            max_cost_per_hour=1000.0,
            api_key_file=api_key_file,
        ),
    )


def table(*services: ServiceRoute, epoch: int = 1, version: int = 1) -> RoutingTable:
    """A routing table."""
    return RoutingTable(epoch=epoch, version=version, services=services)


@dataclass
class GatewayUnderTest:
    """A running gateway with a client session and its admin client."""

    gateway: Gateway
    session: aiohttp.ClientSession
    admin: GatewayClient
    state_dir: Path
    version: int = 0

    @property
    def url(self) -> str:
        """The public URL."""
        return self.gateway.url

    async def route(self, *services: ServiceRoute) -> None:
        """Writes the next routing table."""
        self.version += 1
        await self.admin.write_routes(table(*services, version=self.version))

    def post(
        self,
        document: object,
        *,
        path: str = "/v1/chat/completions",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """A request, to be used with `async with`."""
        return self.session.post(self.url + path, json=document, headers=headers)

    async def samples(self) -> Samples:
        """The metrics now."""
        async with self.session.get(self.url + "/metrics") as answer:
            return parse_samples(await answer.text())

    async def value(self, name: str, **labels: str) -> float:
        """The sum of all samples of `name` with at least these labels; fails when there is none."""
        found = matching(await self.samples(), name, **labels)
        assert found, f"no sample {name}{labels}"
        return sum(found)

    async def eventually(self, name: str, expected: float, **labels: str) -> None:
        """Returns when the value is as expected; fails after some seconds."""
        for _ in range(TRIES):
            if await self.value(name, **labels) == expected:
                return
            await asyncio.sleep(0.01)
        assert await self.value(name, **labels) == expected


async def until(claim: Callable[[], bool], *, what: str) -> None:
    """Returns when `claim` holds; fails after some seconds."""
    for _ in range(TRIES):
        if claim():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never: {what}")


def parse_samples(text: str) -> Samples:
    """{(name, labels): value} of a metrics page."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def matching(samples: Samples, name: str, **labels: str) -> list[float]:
    """Values of the samples of `name` with at least these labels."""
    wanted = set(labels.items())
    return [value for (key, has), value in samples.items() if key == name and wanted <= has]


@contextlib.asynccontextmanager
async def running_gateway(state_dir: Path, **settings: Any) -> AsyncIterator[GatewayUnderTest]:
    """A gateway on a free loopback port."""
    chosen = {"port": 0, "drain_timeout_seconds": 2.0, **settings}
    configured = GatewaySettings(state_dir=state_dir, **chosen)
    async with (
        open_gateway(configured, clock=SystemClock()) as gateway,
        aiohttp.ClientSession() as session,
    ):
        yield GatewayUnderTest(gateway, session, GatewayClient(state_dir), state_dir)


def stream_texts(raw: bytes) -> list[Any]:
    """The data of each event of a stream: parsed, or the text `[DONE]`."""
    events = [line[6:] for line in raw.decode().splitlines() if line.startswith("data: ")]
    return [event if event == "[DONE]" else json.loads(event) for event in events]
