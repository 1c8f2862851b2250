"""Valid values of the core's types with only the field that matters to be said.

The default service costs one replica-second per request (100 prompt tokens at 1 ms and 90 output
tokens at 10 ms), so that demand in requests per second reads as work in replicas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.model.capacity import Capacity
from autoscaler.model.demand import Forecast, Rates, factor_at
from autoscaler.model.state import ControllerState, ServiceState
from collector.model.catalogue import (
    ActionKind,
    Authority,
    AuthorityLevel,
    CapacityPrior,
    Catalogue,
    Control,
    MemoryPool,
    Mode,
    Objective,
    Overflow,
    PoolKind,
    ProcessTarget,
    Quota,
    Service,
    Sli,
    Tier,
    Variant,
)
from collector.model.history import History, Signal, SignalBins
from collector.model.ids import PoolName, QuotaName, ReplicaId, ServiceName, TierName, VariantName
from collector.model.reading import Fresh, Missing, MissingReason, Number, Stale
from collector.model.replica import EngineKind, Replica, ReplicaState
from collector.model.snapshot import (
    EngineView,
    LatencyView,
    PoolView,
    ReplicaView,
    ServiceView,
    Snapshot,
    TrafficView,
)

NOW = 100_000.0
CHAT = ServiceName("chat")
SMALL = VariantName("small")
BOX = PoolName("box")
BIN_SECONDS = 15.0
BINS = 40
PROMPT_TOKENS = 100.0
OUTPUT_TOKENS = 90.0
GIB = 2**30
PRIOR = CapacityPrior(prompt_seconds_per_token=0.001, output_seconds_per_token=0.01)

UNREAD = Missing(reason=MissingReason.SOURCE_UNREACHABLE, source="test")


def fresh(value: float, *, at: float = NOW) -> Fresh[float]:
    return Fresh(value=value, observed_timestamp_seconds=at, source="test")


def stale(value: float, *, at: float = NOW - 60) -> Stale[float]:
    return Stale(value=value, observed_timestamp_seconds=at, source="test")


def reading(value: "float | Number", *, at: float = NOW) -> Number:
    """A plain number as a fresh reading; readings stay as they are."""
    return fresh(float(value), at=at) if isinstance(value, int | float) else value


def make_view(service: str = CHAT, *, at: float = NOW, **numbers: "float | Number") -> ServiceView:
    """A service whose sums add up: arrivals are completed + held + in flight unless they are given."""
    held, in_flight = numbers.pop("held", 0.0), numbers.pop("in_flight", 0.0)
    waiting = sum(each for each in (held, in_flight) if isinstance(each, int | float))
    given: dict[str, float | Number] = {
        "arrived_requests_total": 100.0 + waiting,
        "completed_requests_total": 100.0,
        "failed_requests_total": 0.0,
        "aborted_requests_total": 0.0,
        "shed_requests_total": 0.0,
        "admitted_prompt_tokens_total": 10_000.0,
        "output_tokens_total": 9_000.0,
        "in_flight_requests": in_flight,
        "held_requests": held,
        "oldest_held_seconds": 0.0,
        **numbers,
    }
    latency = LatencyView(
        time_to_first_token=UNREAD, inter_token_latency=UNREAD, end_to_end_latency=UNREAD
    )
    traffic = TrafficView(**{name: reading(value, at=at) for name, value in given.items()})
    return ServiceView(service=ServiceName(service), traffic=traffic, latency=latency)


def with_latency(view: ServiceView, **readings: Any) -> ServiceView:
    """The view with some of its histograms read."""
    return replace(view, latency=replace(view.latency, **readings))


def make_replica(
    replica_id: str = "r1",
    *,
    service: str = CHAT,
    variant: str = SMALL,
    state: ReplicaState = ReplicaState.SERVING,
    served_at: float = NOW - 3600,
) -> Replica:
    return Replica(
        replica_id=ReplicaId(replica_id),
        service=ServiceName(service),
        variant=VariantName(variant),
        state=state,
        ordered_timestamp_seconds=served_at - 10,
        serving_timestamp_seconds=served_at if state is ReplicaState.SERVING else None,
        base_url="http://127.0.0.1:9000",
    )


def make_replica_view(
    replica_id: str = "r1",
    *,
    service: str = CHAT,
    variant: str = SMALL,
    state: ReplicaState = ReplicaState.SERVING,
    served_at: float = NOW - 3600,
    at: float = NOW,
    engine: EngineView | None = None,
    **numbers: "float | Number",
) -> ReplicaView:
    given: dict[str, float | Number] = {
        "running_requests": 0.0,
        "waiting_requests": 0.0,
        "prompt_tokens_total": 0.0,
        "output_tokens_total": 0.0,
        "in_flight_requests": 0.0,
        "memory_bytes": UNREAD,
        **numbers,
    }
    replica = make_replica(
        replica_id, service=service, variant=variant, state=state, served_at=served_at
    )
    readings = {name: reading(value, at=at) for name, value in given.items()}
    return ReplicaView(replica=replica, engine=engine or EngineView(), **readings)


def make_replica_views(count: int, *, service: str = CHAT, **more: Any) -> tuple[ReplicaView, ...]:
    return tuple(
        make_replica_view(f"{service}-{i}", service=service, **more) for i in range(1, count + 1)
    )


def make_snapshot(
    *,
    services: Sequence[ServiceView] = (),
    replicas: Sequence[ReplicaView] = (),
    available_bytes: "float | Number" = UNREAD,
    taken_at: float = NOW,
) -> Snapshot:
    return Snapshot(
        taken_timestamp_seconds=taken_at,
        services=tuple(services),
        replicas=tuple(replicas),
        pools=(PoolView(pool=BOX, available_bytes=reading(available_bytes, at=taken_at)),),
    )


P90_DEVIATES = 1.2815515655446008
TTFT_OBJECTIVE = Objective(
    sli=Sli.TIME_TO_FIRST_TOKEN, threshold_seconds=1.0, target_ratio=0.99, window_seconds=86_400.0
)


def make_variant(name: str = SMALL, **fields: Any) -> Variant:
    given: dict[str, Any] = {
        "engine": EngineKind.LLAMA_CPP,
        "target": ProcessTarget(command=("serve",)),
        "pool": BOX,
        "memory_bytes": GIB,
        "slots": 4,
        "min_replicas": 0,
        "max_replicas": 10,
        "cost_per_hour": 1.0,
        "capacity_prior": PRIOR,
    }
    return Variant(name=VariantName(name), **{**given, **fields})


def make_overflow(**fields: Any) -> Overflow:
    """At these prices a request of the default lengths costs 0.00028."""
    given: dict[str, Any] = {
        "base_url": "http://127.0.0.1:9",
        "model": "large",
        "price_per_million_prompt_tokens": 1.0,
        "price_per_million_output_tokens": 2.0,
        "max_requests_in_flight": 10,
        "max_cost_per_hour": 5.0,
    }
    return Overflow(**{**given, **fields})


def make_service(name: str = CHAT, **fields: Any) -> Service:
    given: dict[str, Any] = {
        "models": (name,),
        "owner": "team",
        "tier": TierName("standard"),
        "objectives": (TTFT_OBJECTIVE,),
        "variants": (make_variant(),),
        "hold_timeout_seconds": 60.0,
        "max_held_requests": 100,
    }
    return Service(name=ServiceName(name), **{**given, **fields})


def make_authority(*, mode: Mode = Mode.ACTIVE, level: str = AuthorityLevel.AUTO) -> Authority:
    both = (ActionKind.SCALE, ActionKind.OVERFLOW)
    return Authority(mode=mode, levels=dict.fromkeys(both, AuthorityLevel(level)))


def make_catalogue(
    *services: Service,
    pool_bytes: int = 1000 * GIB,
    reserve_bytes: int = 0,
    prices: Mapping[str, float] | None = None,
    control: Control | None = None,
    authority: Authority | None = None,
    quotas: Mapping[str, int] | None = None,
) -> Catalogue:
    """`prices`: money per violation-minute by tier; "standard" at 1 unless given. `quotas`: replicas."""
    tiers = {"standard": 1.0, **(prices or {})}
    return Catalogue(
        version=1,
        services=services or (make_service(),),
        tiers=tuple(
            Tier(name=TierName(name), violation_price_per_minute=price)
            for name, price in tiers.items()
        ),
        pools=(
            MemoryPool(
                name=BOX,
                kind=PoolKind.UNIFIED,
                capacity_bytes=pool_bytes,
                reserve_bytes=reserve_bytes,
            ),
        ),
        authority=authority or make_authority(),
        control=control or Control(),
        digest="d" * 16,
        quotas=tuple(
            Quota(name=QuotaName(name), max_replicas=most) for name, most in (quotas or {}).items()
        ),
    )


Bins = Mapping[Signal, Sequence[float]]
"""Sum of each bin, oldest first, filled from the right."""


def steady(requests_per_second: float, *, bins: int = BINS, good_ratio: float = 1.0) -> Bins:
    """Requests of the default lengths at one rate, all answered in their own bin."""
    arrived = requests_per_second * BIN_SECONDS
    return requests_per_bin([arrived] * bins, good_ratio=good_ratio)


def requests_per_bin(requests: Sequence[float], *, good_ratio: float = 1.0) -> Bins:
    """Requests of the default lengths; `good_ratio` of them inside the first-token objective."""
    return {
        Signal.ARRIVED_REQUESTS: list(requests),
        Signal.COMPLETED_REQUESTS: list(requests),
        Signal.ADMITTED_PROMPT_TOKENS: [each * PROMPT_TOKENS for each in requests],
        Signal.OUTPUT_TOKENS: [each * OUTPUT_TOKENS for each in requests],
        Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS: list(requests),
        Signal.TIME_TO_FIRST_TOKEN_GOOD_EVENTS: [each * good_ratio for each in requests],
    }


def make_history(
    services: Mapping[str, Bins],
    *,
    uncovered_bins: Sequence[int] = (),
    bins: int = BINS,
    end: float = NOW,
) -> History:
    """Bins that all services share; `uncovered_bins` are indexes nobody measured (-1: the last)."""
    names = tuple(ServiceName(name) for name in services)
    signals: dict[Signal, SignalBins] = {}
    for signal in Signal:
        sums, covered = np.zeros((len(names), bins)), np.zeros((len(names), bins))
        for row, series in enumerate(services.values()):
            values = list(series.get(signal, ()))
            if values:
                sums[row, -len(values) :] = values
                covered[row, -len(values) :] = BIN_SECONDS
        for index in uncovered_bins:
            sums[:, index] = covered[:, index] = 0.0
        signals[signal] = SignalBins(sums=sums, maxima=sums.copy(), covered_seconds=covered)
    return History(
        services=names, bin_seconds=BIN_SECONDS, end_timestamp_seconds=end, signals=signals
    )


def make_service_state(**fields: Any) -> ServiceState:
    """A service whose request lengths are known."""
    given: dict[str, Any] = {
        "prompt_tokens_per_request": PROMPT_TOKENS,
        "output_tokens_per_request": OUTPUT_TOKENS,
        "last_demand_timestamp_seconds": NOW,
    }
    return ServiceState(**{**given, **fields})


def make_state(**services: ServiceState) -> ControllerState:
    given = services or {CHAT: make_service_state()}
    return ControllerState(services={ServiceName(name): each for name, each in given.items()})


def make_rates(requests_per_second: float) -> Rates:
    return Rates(
        requests_per_second=requests_per_second,
        prompt_tokens_per_second=requests_per_second * PROMPT_TOKENS,
        output_tokens_per_second=requests_per_second * OUTPUT_TOKENS,
    )


CAPACITY = Capacity(
    prompt_seconds_per_token=0.001,
    output_seconds_per_token=0.01,
    low_ratio=1.0,
    high_ratio=1.2,
    sample_count=10,
)


def make_forecast(
    requests_per_second: float, *, factors: tuple[float, ...] = (1.0,), level: float | None = None
) -> Forecast:
    return Forecast(
        level=make_rates(requests_per_second if level is None else level),
        peak=make_rates(requests_per_second),
        scenario_factors=factors,
        horizon_seconds=60.0,
    )


def make_fleet(
    *, serving: int = 0, starting: int = 0, variant: Variant | None = None, **fields: Any
) -> Fleet:
    variant = variant or make_variant()
    up = tuple(
        make_replica_view(f"{variant.name}-s{i}", variant=variant.name) for i in range(serving)
    )
    coming = tuple(
        make_replica_view(f"{variant.name}-l{i}", variant=variant.name, state=ReplicaState.LOADING)
        for i in range(starting)
    )
    given: dict[str, Any] = {
        "variant": variant,
        "supply": (*up, *coming),
        "serving": up,
        "draining_count": 0,
        "capacity": CAPACITY,
        "lead_time_seconds": 60.0,
        "footprint_bytes": variant.memory_bytes,
        "start_allowed_timestamp_seconds": float("-inf"),
    }
    return Fleet(**{**given, **fields})


def make_assessment(
    *, serving: int = 0, demand: float | None = None, fleets: tuple[Fleet, ...] = (), **fields: Any
) -> Assessment:
    """A service in good order whose demand now and expected is `demand` requests per second."""
    given: dict[str, Any] = {
        "service": make_service(),
        "fleets": fleets or (make_fleet(serving=serving),),
        "doubts": (),
        "demand_now": None if demand is None else make_rates(demand),
        "demand_onset": None,
        "forecast": None if demand is None else make_forecast(demand),
        "held_requests": 0.0,
        "oldest_held_seconds": 0.0,
        "backlog_requests": 0.0,
        "backlog_tokens": make_rates(0.0),
        "completed_requests_per_second": None,
        "burn_rate": 0.0,
        "long_burn_rate": None,
        "idle_seconds": 0.0,
        "violation_price_per_minute": 1.0,
    }
    given |= fields
    forecast = given["forecast"]
    usual = factor_at(forecast.scenario_factors, P90_DEVIATES) if forecast else 1.0
    return Assessment(**{"headroom_factor": usual, **given})


def with_capacity(assessment: Assessment, capacity: Capacity | None) -> Assessment:
    fleets = tuple(replace(fleet, capacity=capacity) for fleet in assessment.fleets)
    return replace(assessment, fleets=fleets)
