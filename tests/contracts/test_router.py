"""The Router port: what the fake and the adapter of the real gateway both keep to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from autoscaler.actuators.gateway_router import GatewayRouter
from autoscaler.ports import Router
from collector.errors import GatewayError
from collector.gateway.client import GatewayClient
from collector.model.catalogue import ActionKind, Authority, AuthorityLevel, Catalogue, Mode
from collector.model.ids import ReplicaId, ServiceName
from collector.model.overflow import OverflowGrant
from collector.model.replica import ReplicaState
from support.builders import make_catalogue, make_overflow, make_replica, make_service
from support.fakes import FakeRouter
from support.gateways import GatewayUnderTest, running_gateway

ONE, TWO = ReplicaId("r1"), ReplicaId("r2")


@dataclass
class Subject:
    """A router, and how to ask what its gateway obeys and to take the gateway away."""

    router: Router
    fake: FakeRouter | None
    gateway: GatewayUnderTest | None
    state_dir: Path

    async def routed(self) -> set[ReplicaId]:
        if self.fake is not None:
            return self.fake.routed
        assert self.gateway is not None
        status = await self.gateway.admin.read_status()
        assert status is not None
        return {each.replica_id for each in status.replicas if each.is_routed}

    def unreachable(self) -> Router:
        if self.fake is not None:
            self.fake.is_reachable = False
            return self.fake
        return gateway_router(GatewayClient(self.state_dir / "elsewhere", timeout_seconds=1.0))


def gateway_router(client: GatewayClient, *, epoch: int = 1) -> GatewayRouter:
    return GatewayRouter(client, catalogue=make_catalogue, epoch=epoch)


@pytest.fixture(params=["fake", "gateway"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    if request.param == "fake":
        fake = FakeRouter()
        yield Subject(router=fake, fake=fake, gateway=None, state_dir=tmp_path)
        return
    async with running_gateway(tmp_path) as gateway:
        router = gateway_router(gateway.admin)
        yield Subject(router=router, fake=None, gateway=gateway, state_dir=tmp_path)


async def test_exactly_the_serving_replicas_are_routed(subject: Subject) -> None:
    draining = make_replica("r2", state=ReplicaState.DRAINING)
    await subject.router.write_routes([make_replica("r1"), make_replica("r2")])
    assert await subject.routed() == {ONE, TWO}
    await subject.router.write_routes([make_replica("r1"), draining])
    assert await subject.routed() == {ONE}
    await subject.router.write_routes([])
    assert await subject.routed() == set()


async def test_a_replica_without_requests_has_none_in_flight(subject: Subject) -> None:
    await subject.router.write_routes([make_replica("r1")])
    assert await subject.router.read_in_flight(ONE) == 0
    assert await subject.router.read_in_flight(TWO) == 0


async def test_a_gateway_that_cannot_be_reached_is_an_error_and_not_zero(subject: Subject) -> None:
    router = subject.unreachable()
    assert await router.read_in_flight(ONE) is None
    with pytest.raises(GatewayError) as error:
        await router.write_routes([])
    assert "\n" not in str(error.value)


async def test_a_gateway_with_older_routes_is_given_ours_before_its_count_is_believed(
    tmp_path: Path,
) -> None:
    """The gateway was restarted without its file: under its old table the replica is still routed."""
    async with running_gateway(tmp_path / "first") as first:
        router = gateway_router(first.admin, epoch=3)
        await router.write_routes([make_replica("r1"), make_replica("r2")])
        await router.write_routes([make_replica("r1")])
    async with running_gateway(tmp_path / "second") as second:
        router._client = second.admin  # the same socket path, a new gateway
        assert await router.read_in_flight(TWO) is None
        assert await router.read_in_flight(TWO) == 0
        status = await second.admin.read_status()
        assert status is not None
        assert (status.routes_epoch, status.routes_version) == (3, 2)


async def test_a_gateway_with_older_routes_is_not_given_old_grants(tmp_path: Path) -> None:
    grant = OverflowGrant(
        service=ServiceName("chat"),
        granted_timestamp_seconds=1.0,
        lease_seconds=60.0,
        share_ratio=0.5,
        budget=1.0,
    )
    async with running_gateway(tmp_path / "first") as first:
        router = GatewayRouter(first.admin, catalogue=with_overflow, epoch=1)
        await router.write_routes((), overflows=(grant,))
        assert await first.value("foresail_overflow_open", service="chat") == 1
    async with running_gateway(tmp_path / "second") as second:
        router._client = second.admin
        assert await router.read_in_flight(ONE) is None
        assert await second.value("foresail_overflow_open", service="chat") == 0


async def test_a_deposed_controller_cannot_write_routes(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        await gateway_router(gateway.admin, epoch=2).write_routes([])
        with pytest.raises(GatewayError, match="refused the routes"):
            await gateway_router(gateway.admin, epoch=1).write_routes([])


def with_overflow(**authority: str) -> Catalogue:
    levels = {ActionKind.OVERFLOW: AuthorityLevel(authority.get("level", "auto"))}
    mode = Mode(authority.get("mode", "active"))
    return make_catalogue(
        make_service(overflow=make_overflow()), authority=Authority(mode=mode, levels=levels)
    )


@pytest.mark.parametrize(
    ("authority", "is_open"),
    [
        pytest.param({}, True, id="auto"),
        pytest.param({"level": "advise"}, False, id="advise"),
        pytest.param({"level": "deny"}, False, id="deny"),
        pytest.param({"mode": "dry_run"}, False, id="dry-run"),
    ],
)
async def test_a_grant_opens_an_overflow_only_under_an_authority_that_allows_it(
    tmp_path: Path, authority: dict[str, str], is_open: bool
) -> None:
    async with running_gateway(tmp_path) as gateway:
        router = GatewayRouter(gateway.admin, catalogue=lambda: with_overflow(**authority), epoch=1)
        grant = OverflowGrant(
            service=ServiceName("chat"),
            granted_timestamp_seconds=1.0,
            lease_seconds=60.0,
            share_ratio=0.5,
            budget=1.0,
        )
        await router.write_routes((), overflows=(grant,))
        assert await gateway.value("foresail_overflow_open", service="chat") == is_open
        await router.write_routes(())
        assert await gateway.value("foresail_overflow_open", service="chat") == 0
