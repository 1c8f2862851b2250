"""A small machine on a virtual clock: services, their requests, replicas and one memory pool.

Requests are whole and served first come, first served; all serving replicas of a service share the
work. It gives snapshots as `assemble` would and carries out decisions as `execute` would. Steps of
one second; nothing is left to chance.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeVar

from autoscaler.model.action import Direction, Scale
from autoscaler.model.decision import Decision, Verdict
from autoscaler.model.event import Event, ReplicaDied, ReplicaReady, ReplicaStartFailed
from collector.model.catalogue import Catalogue, Service, Variant
from collector.model.histogram import Histogram
from collector.model.ids import ReplicaId, ServiceName, VariantName
from collector.model.reading import Fresh, Reading, Stale
from collector.model.replica import HOLDING_STATES, SUPPLY_STATES, Replica, ReplicaState
from collector.model.roles import EngineRole
from collector.model.snapshot import (
    LatencyView,
    PoolView,
    ReplicaView,
    ServiceView,
    Snapshot,
    TrafficView,
)
from collector.model.units import in_units
from support.builders import OUTPUT_TOKENS, PROMPT_TOKENS, UNREAD
from support.plant_units import (
    TOKENS,
    engine_memory_bytes,
    engines_of_a_unit,
    role_speeds,
    running_and_waiting,
)

T = TypeVar("T")

EDGES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
DRAIN_SECONDS = 3.0
WORK_SECONDS_PER_REQUEST = 1.0  # of one replica, as the builders' prior promises


@dataclass(slots=True)
class PlantReplica:
    """One copy with the moment at which its present state ends by itself."""

    replica: Replica
    ends_seconds: float | None = None
    fails: bool = False
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0


@dataclass(slots=True)
class PlantService:
    """One service's traffic. Times are seconds since the plant began."""

    declared: Service
    rate: Callable[[float], float]  # requests per second at a time
    lead_seconds: float = 10.0
    start_fails: bool = False
    follows_advice: bool = False  # whoever runs its engines does what a decision advises
    failing_variants: set[str] = field(default_factory=set)  # of which no start succeeds now
    speed_ratio: float = 1.0  # of what the prior promised
    held: deque[float] = field(default_factory=deque)  # arrival times
    in_flight: deque[float] = field(default_factory=deque)
    fraction: float = 0.0  # of a request that has not arrived yet
    work_done: float = 0.0  # on the request at the head
    arrived: int = 0
    completed: int = 0
    failed: int = 0
    shed: int = 0
    first_token_counts: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))
    first_token_sum: float = 0.0
    max_held_seconds: float = 0.0


class Plant:
    """The world the decisions act on."""

    def __init__(
        self, *, catalogue: Catalogue, services: Sequence[PlantService], start_seconds: float
    ) -> None:
        self.catalogue = catalogue
        self.services = {each.declared.name: each for each in services}
        self.replicas: dict[ReplicaId, PlantReplica] = {}
        self.events: list[Event] = []
        self.elapsed_seconds = 0.0
        self.wall_offset_seconds = start_seconds  # a jump of the host's clock changes it
        self.is_gateway_reachable = True
        self.max_memory_bytes = 0  # held by or promised to replicas, at the worst moment
        self._ids = count(1)
        self._last_read: tuple[ServiceView, ...] = ()

    @property
    def now(self) -> float:
        """Wall time in epoch seconds."""
        return self.wall_offset_seconds + self.elapsed_seconds

    def step(self) -> None:
        """One second: replicas change state, requests arrive, wait, are served or turned away."""
        self.elapsed_seconds += 1.0
        for each in list(self.replicas.values()):
            self._advance(each)
        for service in self.services.values():
            self._serve(service)
        promised = sum(
            engine_memory_bytes(self._variant(each), each.replica) for each in self._holding()
        )
        self.max_memory_bytes = max(self.max_memory_bytes, promised)

    # What decisions do

    def carry_out(self, decision: Decision) -> None:
        """Starts or stops what an effective decision says, or one that somebody follows."""
        action = decision.action
        is_followed = (
            self.services[decision.service].follows_advice and decision.verdict is Verdict.ADVISE
        )
        if not (decision.is_effective or is_followed) or not isinstance(action, Scale):
            return
        if action.direction is Direction.OUT:
            for _ in range(action.to_replicas - action.from_replicas):
                self.start(decision.service, variant=action.variant)
        for replica_id in action.stop_replicas:
            for each in self._engines(decision.service, action.variant, replica_id):
                self._become(each, ReplicaState.DRAINING, after=DRAIN_SECONDS)

    def _engines(
        self, service: ServiceName, variant: VariantName, replica_id: ReplicaId
    ) -> list[PlantReplica]:
        """The replica, or where it is a unit the first engines that make one."""
        if replica_id in self.replicas:
            return [self.replicas[replica_id]]
        found: list[PlantReplica] = []
        left = self._of(service, ReplicaState.SERVING)
        for role in engines_of_a_unit(self._declared(service, variant)):
            found.append(next(e for e in left if e.replica.role is role))
            left.remove(found[-1])
        return found

    def start(self, service: ServiceName, *, variant: VariantName, ready: bool = False) -> None:
        """Orders one replica; `ready` ones serve at once, as before the story begins."""
        for role in engines_of_a_unit(self._declared(service, variant)):
            self._start(service, variant=variant, ready=ready, role=role)

    def _start(
        self, service: ServiceName, *, variant: VariantName, ready: bool, role: EngineRole | None
    ) -> None:
        plant = self.services[service]
        name = ReplicaId(f"{service}-{next(self._ids)}")
        replica = Replica(
            replica_id=name,
            service=service,
            variant=variant,
            state=ReplicaState.SERVING if ready else ReplicaState.LOADING,
            ordered_timestamp_seconds=self.now,
            serving_timestamp_seconds=self.now if ready else None,
            base_url=f"http://{name}",
            role=role,
        )
        ends = None if ready else self.elapsed_seconds + plant.lead_seconds
        fails = plant.start_fails or variant in plant.failing_variants
        self.replicas[name] = PlantReplica(replica, ends_seconds=ends, fails=fails)

    def crash(self, service: ServiceName) -> None:
        """The oldest serving replica dies; half of what is in flight was with it at two, all at one."""
        serving = self._of(service, ReplicaState.SERVING)
        victim, plant = serving[0], self.services[service]
        for _ in range(len(plant.in_flight) // len(serving)):
            plant.in_flight.popleft()
            plant.failed += 1
        del self.replicas[victim.replica.replica_id]
        self.events.append(
            ReplicaDied(
                service=service,
                variant=victim.replica.variant,
                replica_id=victim.replica.replica_id,
                died_timestamp_seconds=self.now,
                lived_seconds=self.now - (victim.replica.serving_timestamp_seconds or self.now),
                message="killed",
            )
        )

    def lose(self, service: ServiceName, *, variant: VariantName) -> None:
        """All replicas of one variant are taken away, and what was in flight with them."""
        lost = [
            each
            for each in self.replicas.values()
            if (each.replica.service, each.replica.variant) == (service, variant)
        ]
        serving = len(self._of(service, ReplicaState.SERVING))
        plant = self.services[service]
        gone = sum(each.replica.state is ReplicaState.SERVING for each in lost)
        for _ in range(len(plant.in_flight) * gone // max(1, serving)):
            plant.in_flight.popleft()
            plant.failed += 1
        for each in lost:
            del self.replicas[each.replica.replica_id]

    def taken_events(self) -> list[Event]:
        """What the executor would report since the last call."""
        events, self.events = self.events, []
        return events

    # What is seen

    def snapshot(self) -> Snapshot:
        """The world now; while the gateway cannot be reached, its last words as stale ones."""
        if self.is_gateway_reachable:
            self._last_read = tuple(self._service_view(each) for each in self.services.values())
            services = self._last_read
        else:
            services = tuple(_stale(view) for view in self._last_read)
        pool = self.catalogue.pools[0]
        free = pool.capacity_bytes - sum(map(self._memory, self._holding()))
        return Snapshot(
            taken_timestamp_seconds=self.now,
            services=services,
            replicas=tuple(self._replica_view(each) for each in self.replicas.values()),
            pools=(PoolView(pool=pool.name, available_bytes=self._fresh(float(free))),),
            gateway_start_timestamp_seconds=self._fresh(1.0),
        )

    def supply(self, service: ServiceName) -> int:
        """Replicas that serve or will; engines of roles count as units."""
        return sum(self.supply_by_variant(service).values())

    def supply_by_variant(self, service: ServiceName) -> dict[str, int]:
        """The same, per declared variant."""
        there = [
            each.replica.variant
            for each in self.replicas.values()
            if each.replica.service == service and each.replica.state in SUPPLY_STATES
        ]
        if self.services[service].declared.hand_overs:
            whole = in_units(self.snapshot(), catalogue=self.catalogue).snapshot
            there = [view.replica.variant for view in whole.replicas_of(service)]
        variants = self.services[service].declared.variants
        return {str(each.name): there.count(each.name) for each in variants}

    def _service_view(self, plant: PlantService) -> ServiceView:
        seen = self._fresh
        oldest = self.elapsed_seconds - plant.held[0] if plant.held else 0.0
        histogram = Histogram(
            upper_bounds=EDGES,
            counts=tuple(float(each) for each in plant.first_token_counts),
            sum=plant.first_token_sum,
        )
        first_token = Fresh(value=histogram, observed_timestamp_seconds=self.now, source="plant")
        return ServiceView(
            service=plant.declared.name,
            traffic=TrafficView(
                arrived_requests_total=seen(plant.arrived),
                completed_requests_total=seen(plant.completed),
                failed_requests_total=seen(plant.failed),
                aborted_requests_total=seen(0),
                shed_requests_total=seen(plant.shed),
                admitted_prompt_tokens_total=seen(plant.arrived * PROMPT_TOKENS),
                output_tokens_total=seen(plant.completed * OUTPUT_TOKENS),
                in_flight_requests=seen(len(plant.in_flight)),
                held_requests=seen(len(plant.held)),
                oldest_held_seconds=seen(oldest),
            ),
            latency=LatencyView(
                time_to_first_token=first_token,
                inter_token_latency=UNREAD,
                end_to_end_latency=UNREAD,
            ),
        )

    def _replica_view(self, each: PlantReplica) -> ReplicaView:
        service = each.replica.service
        is_serving = each.replica.state is ReplicaState.SERVING
        serving = max(1, len(self._of(service, ReplicaState.SERVING)))
        share = len(self.services[service].in_flight) / serving if is_serving else 0.0
        slots = self._variant(each).slots
        running, waiting = min(share, slots), max(0.0, share - slots)
        if each.replica.role is not None:
            running, waiting = running_and_waiting(
                self._variant(each),
                each.replica,
                in_flight=len(self.services[service].in_flight),
                serving=[e.replica for e in self._of(service, ReplicaState.SERVING)],
            )
            share = running + waiting
        return ReplicaView(
            replica=each.replica,
            running_requests=self._fresh(running),
            waiting_requests=self._fresh(waiting),
            prompt_tokens_total=self._fresh(each.prompt_tokens),
            output_tokens_total=self._fresh(each.output_tokens),
            in_flight_requests=self._fresh(share),
            memory_bytes=self._fresh(self._memory(each)),
        )

    def _fresh(self, value: float) -> Fresh[float]:
        return Fresh(value=float(value), observed_timestamp_seconds=self.now, source="plant")

    # How it goes on

    def _advance(self, each: PlantReplica) -> None:
        if each.ends_seconds is None or self.elapsed_seconds < each.ends_seconds:
            return
        if each.replica.state is ReplicaState.DRAINING or each.fails:
            del self.replicas[each.replica.replica_id]
            if each.fails:
                self.events.append(self._start_failed(each))
            return
        each.replica = replace(each.replica, serving_timestamp_seconds=self.now)
        self._become(each, ReplicaState.SERVING)
        if each.replica.role is not None:
            return  # nobody here started it
        self.events.append(
            ReplicaReady(
                service=each.replica.service,
                variant=each.replica.variant,
                replica_id=each.replica.replica_id,
                lead_time_seconds=self.services[each.replica.service].lead_seconds,
            )
        )

    def _start_failed(self, each: PlantReplica) -> Event:
        return ReplicaStartFailed(
            service=each.replica.service,
            variant=each.replica.variant,
            replica_id=each.replica.replica_id,
            failed_timestamp_seconds=self.now,
            message="the engine ended",
            ordered_timestamp_seconds=each.replica.ordered_timestamp_seconds,
        )

    def _become(
        self, each: PlantReplica, state: ReplicaState, *, after: float | None = None
    ) -> None:
        each.replica = replace(each.replica, state=state)
        each.ends_seconds = None if after is None else self.elapsed_seconds + after

    def _serve(self, plant: PlantService) -> None:
        self._arrive(plant)
        serving = self._of(plant.declared.name, ReplicaState.SERVING)
        if serving:
            plant.in_flight.extend(plant.held)
            plant.held.clear()
        self._turn_away(plant)
        work = self._work(plant, serving) * plant.speed_ratio
        while plant.in_flight and plant.work_done + work >= WORK_SECONDS_PER_REQUEST:
            work -= WORK_SECONDS_PER_REQUEST - plant.work_done
            plant.work_done = 0.0
            self._complete(plant, serving)
        plant.work_done = plant.work_done + work if plant.in_flight else 0.0

    def _arrive(self, plant: PlantService) -> None:
        plant.fraction += plant.rate(self.elapsed_seconds)
        arriving = int(plant.fraction)
        plant.fraction -= arriving
        plant.arrived += arriving
        plant.held.extend([self.elapsed_seconds] * arriving)

    def _turn_away(self, plant: PlantService) -> None:
        limit = plant.declared.hold_timeout_seconds
        while plant.held and (
            self.elapsed_seconds - plant.held[0] > limit
            or len(plant.held) > plant.declared.max_held_requests
        ):
            plant.held.popleft()
            plant.shed += 1
        if plant.held:
            waited = self.elapsed_seconds - plant.held[0]
            plant.max_held_seconds = max(plant.max_held_seconds, waited)

    def _complete(self, plant: PlantService, serving: Sequence[PlantReplica]) -> None:
        waited = self.elapsed_seconds - plant.in_flight.popleft()
        bucket = next((i for i, edge in enumerate(EDGES) if waited <= edge), len(EDGES))
        plant.first_token_counts[bucket] += 1
        plant.first_token_sum += waited
        plant.completed += 1
        if plant.declared.hand_overs:
            _divide(serving)
            return
        speed = sum(map(self._speed, serving))
        for each in serving:
            each.prompt_tokens += PROMPT_TOKENS * self._speed(each) / speed
            each.output_tokens += OUTPUT_TOKENS * self._speed(each) / speed

    def _work(self, plant: PlantService, serving: Sequence[PlantReplica]) -> float:
        """Requests per second that all of them work off together."""
        if not plant.declared.hand_overs:
            return sum(map(self._speed, serving))
        return min(role_speeds(plant.declared, [each.replica for each in serving]).values())

    def _speed(self, each: PlantReplica) -> float:
        """Requests per second that it works off, as its variant promises."""
        cost = self._variant(each).capacity_prior
        assert cost is not None
        prompt = PROMPT_TOKENS * cost.prompt_seconds_per_token
        return WORK_SECONDS_PER_REQUEST / (prompt + OUTPUT_TOKENS * cost.output_seconds_per_token)

    def _of(self, service: ServiceName, state: ReplicaState) -> list[PlantReplica]:
        everywhere = self.replicas.values()
        return [e for e in everywhere if e.replica.service == service and e.replica.state is state]

    def _holding(self) -> list[PlantReplica]:
        return [each for each in self.replicas.values() if each.replica.state in HOLDING_STATES]

    def _variant(self, each: PlantReplica) -> Variant:
        return self._declared(each.replica.service, each.replica.variant)

    def _declared(self, service: ServiceName, name: VariantName) -> Variant:
        variant = self.catalogue.variant(service, name)
        assert variant is not None
        return variant

    def _memory(self, each: PlantReplica) -> int:
        """A replica takes its memory when it has loaded."""
        is_loading = each.replica.state is ReplicaState.LOADING
        return 0 if is_loading else engine_memory_bytes(self._variant(each), each.replica)


def _divide(serving: Sequence[PlantReplica]) -> None:
    """A request's tokens to the engines of its roles; prefill gives one token of the answer, too."""
    for role, tokens in TOKENS.items():
        engines = [each for each in serving if each.replica.role is role]
        for each in engines:
            if role is EngineRole.PREFILL:
                each.prompt_tokens += tokens / len(engines)
                each.output_tokens += 1.0 / len(engines)
            else:
                each.output_tokens += tokens / len(engines)


def _stale(view: ServiceView) -> ServiceView:
    traffic = {
        name: _aged(getattr(view.traffic, name)) for name in TrafficView.__dataclass_fields__
    }
    latency = replace(view.latency, time_to_first_token=_aged(view.latency.time_to_first_token))
    return replace(view, traffic=TrafficView(**traffic), latency=latency)


def _aged(reading: Reading[T]) -> Reading[T]:
    if not isinstance(reading, Fresh):
        return reading
    return Stale(
        value=reading.value,
        observed_timestamp_seconds=reading.observed_timestamp_seconds,
        source=reading.source,
    )
