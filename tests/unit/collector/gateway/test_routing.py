"""Tables: made from the catalogue, exact through JSON, fenced; replicas chosen by load."""

import json
from dataclasses import replace

import pytest

from collector.errors import GatewayError
from collector.gateway.routing import choose_replica, decode_table, encode_table, routing_table
from collector.model.catalogue import (
    Authority,
    Catalogue,
    Control,
    MemoryPool,
    Objective,
    PoolKind,
    ProcessTarget,
    Service,
    Sli,
    Target,
    Tier,
    UrlTarget,
    Variant,
)
from collector.model.ids import PoolName, ReplicaId, ServiceName, TierName, VariantName
from collector.model.replica import EngineKind, Replica, ReplicaState
from support.gateways import replica_route, service_route, table


def _variant(name: str, target: Target) -> Variant:
    return Variant(
        name=VariantName(name),
        engine=EngineKind.LLAMA_CPP,
        target=target,
        pool=PoolName("box"),
        memory_bytes=1,
        slots=1,
        min_replicas=0,
        max_replicas=3,
        cost_per_hour=1.0,
        upstream_model="file.gguf",
        keep_alive=False,
    )


def _objective(sli: Sli, threshold: float | None) -> Objective:
    return Objective(sli=sli, threshold_seconds=threshold, target_ratio=0.9, window_seconds=60)


def _catalogue(*variants: Variant) -> Catalogue:
    service = Service(
        name=ServiceName("chat"),
        models=("tiny", "tiny-alias"),
        owner="me",
        tier=TierName("gold"),
        objectives=(
            _objective(Sli.TIME_TO_FIRST_TOKEN, 2.0),
            _objective(Sli.TIME_TO_FIRST_TOKEN, 0.5),
            _objective(Sli.AVAILABILITY, None),
        ),
        variants=variants,
        hold_timeout_seconds=30,
        max_held_requests=10,
        max_in_flight_per_replica=4,
    )
    pool = MemoryPool(
        name=PoolName("box"), kind=PoolKind.UNIFIED, capacity_bytes=10, reserve_bytes=1
    )
    return Catalogue(
        version=1,
        services=(service,),
        tiers=(Tier(name=TierName("gold"), violation_price_per_minute=1.0),),
        pools=(pool,),
        authority=Authority(),
        control=Control(),
        digest="d",
    )


def _replica(name: str, *, state: ReplicaState, url: str | None, variant: str = "cpu") -> Replica:
    return Replica(
        replica_id=ReplicaId(name),
        service=ServiceName("chat"),
        variant=VariantName(variant),
        state=state,
        ordered_timestamp_seconds=0.0,
        serving_timestamp_seconds=None,
        base_url=url,
    )


def test_only_serving_replicas_with_an_address_are_routed() -> None:
    catalogue = _catalogue(_variant("cpu", ProcessTarget(command=("x",))))
    replicas = [_replica(state, state=state, url="http://h:1") for state in ReplicaState]
    replicas += [
        _replica("nowhere", state=ReplicaState.SERVING, url=None),
        replace(
            _replica("stranger", state=ReplicaState.SERVING, url="http://h:2"),
            service=ServiceName("gone"),
        ),
    ]
    made = routing_table(catalogue, replicas, epoch=2, version=7)
    assert (made.epoch, made.version) == (2, 7)
    route = made.services[0]
    assert [replica.replica_id for replica in route.replicas] == ["serving"]
    assert route.replicas[0].upstream_model == "file.gguf"
    assert route.replicas[0].keep_alive is False


def test_a_replica_whose_variant_was_renamed_is_routed_until_it_is_drained() -> None:
    catalogue = _catalogue(_variant("cpu", ProcessTarget(command=("x",))))
    old = _replica("old", state=ReplicaState.SERVING, url="http://h:2/", variant="renamed")
    route = routing_table(catalogue, [old], epoch=1, version=1).services[0]
    assert [(each.replica_id, each.base_url) for each in route.replicas] == [("old", "http://h:2")]
    draining = replace(old, state=ReplicaState.DRAINING)
    assert routing_table(catalogue, [draining], epoch=1, version=2).services[0].replicas == ()


def test_urls_that_somebody_else_runs_are_always_routed() -> None:
    target = UrlTarget(urls=("http://a:1/", "http://b:2"))
    made = routing_table(_catalogue(_variant("api", target)), [], epoch=1, version=1)
    assert [(r.replica_id, r.base_url) for r in made.services[0].replicas] == [
        ("chat/api/0", "http://a:1"),
        ("chat/api/1", "http://b:2"),
    ]


def test_a_service_without_replicas_is_in_the_table_with_its_thresholds() -> None:
    route = routing_table(_catalogue(), [], epoch=1, version=1).services[0]
    assert route.replicas == ()
    assert route.models == ("tiny", "tiny-alias")
    assert route.thresholds_seconds == {Sli.TIME_TO_FIRST_TOKEN: (0.5, 2.0)}


def test_a_table_is_the_same_after_json() -> None:
    target = UrlTarget(urls=("http://a:1",))
    made = routing_table(_catalogue(_variant("api", target)), [], epoch=1, version=1)
    assert decode_table(encode_table(made)) == made


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"epoch": "x"}, "epoch"),
        ({"services": [{"service": 3}]}, r"services\.0\.service"),
        ({"services": None}, "services"),
    ],
)
def test_a_wrong_table_names_its_key(change: dict[str, object], key: str) -> None:
    document = {"epoch": 1, "version": 1, "services": [], **change}
    with pytest.raises(GatewayError, match=key):
        decode_table(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("new", "old", "supersedes"),
    [
        ((1, 2), (1, 1), True),
        ((2, 1), (1, 9), True),
        ((1, 1), (1, 1), False),
        ((1, 9), (2, 1), False),
        ((1, 1), None, True),
    ],
)
def test_epochs_fence_and_versions_order(
    new: tuple[int, int], old: tuple[int, int] | None, supersedes: bool
) -> None:
    before = table(epoch=old[0], version=old[1]) if old else None
    assert table(epoch=new[0], version=new[1]).supersedes(before) is supersedes


@pytest.mark.parametrize(
    ("load", "limit", "chosen"),
    [
        ({"a": 2, "b": 1, "c": 3}, None, "b"),
        ({"a": 1, "b": 1, "c": 2}, None, "b"),
        ({}, None, "b"),
        ({"a": 2, "b": 2, "c": 2}, 2, None),
        ({"a": 2, "b": 2, "c": 1}, 2, "c"),
    ],
    ids=["least", "tie by age", "idle by age", "all full", "one left"],
)
def test_the_least_loaded_replica_is_chosen(
    load: dict[str, int], limit: int | None, chosen: str | None
) -> None:
    route = service_route(*(replica_route("http://h:1", name=name) for name in "abc"))
    found = choose_replica(
        route.replicas,
        in_flight={ReplicaId(name): count for name, count in load.items()},
        last_chosen={ReplicaId("a"): 9, ReplicaId("b"): 3, ReplicaId("c"): 5},
        limit=limit,
    )
    assert (found and found.replica_id) == chosen
