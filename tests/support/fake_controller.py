"""A controller that only remembers what a test told it, and reports to show on the page.

Literal worlds: `empty_report` (just started), `busy_report` (three services, one replica draining, one
failed, a held request). Everything happens around NOW.
"""

import json
from dataclasses import replace

import numpy as np

from autoscaler.explain import explain
from autoscaler.ledger.chain import LedgerRecord, RecordKind, next_record
from autoscaler.model.action import Action, Direction, Hold, Reason, Scale
from autoscaler.model.decision import Candidate, Decision, Evidence, Verdict
from autoscaler.model.effect import EffectKind, JournalEntry, Phase
from autoscaler.series import TickStep
from collector.model.catalogue import (
    ActionKind,
    Authority,
    AuthorityLevel,
    Catalogue,
    Control,
    MemoryPool,
    Mode,
    Objective,
    PoolKind,
    ProcessTarget,
    Service,
    Sli,
    Tier,
    Variant,
)
from collector.model.history import History, Signal, SignalBins
from collector.model.ids import (
    DecisionId,
    PoolName,
    ReplicaId,
    ServiceName,
    TierName,
    VariantName,
)
from collector.model.reading import Fresh, Missing, MissingReason, Number, Stale
from collector.model.replica import EngineKind, Replica, ReplicaState
from collector.model.snapshot import (
    LatencyView,
    PoolView,
    Problem,
    ReplicaView,
    ServiceView,
    Snapshot,
    TrafficView,
)
from foresail.decision_memory import DecisionMemory
from foresail.ports import ControllerReport, LedgerSummary, RoutesReport, TickReport

NOW = 1_780_000_000.0
GIB = 2**30
NOT_READ = Missing(reason=MissingReason.NOT_READ_YET, source="gateway")
CHAT, CODE, EMBED = ServiceName("chat"), ServiceName("code"), ServiceName("embed")
BIN_SECONDS = 15.0


class FakeControllerView:
    """`ControllerView` over what it was given."""

    def __init__(self, report: ControllerReport, *, past: tuple[Decision, ...] = ()) -> None:
        self.current = report
        self._memory = DecisionMemory()
        self._memory.add((*past, *report.decisions))

    def report(self) -> ControllerReport:
        return self.current

    def decisions(
        self, *, last_count: int, service: ServiceName | None, changes_only: bool
    ) -> tuple[Decision, ...]:
        return self._memory.newest(
            last_count=last_count, service=service, changes_only=changes_only
        )


def empty_report() -> ControllerReport:
    """A controller that has just started and knows nothing."""
    return ControllerReport(
        reported_timestamp_seconds=NOW,
        started_timestamp_seconds=NOW - 1,
        decide_interval_seconds=15.0,
        ticks=TickReport(),
    )


def fresh(value: float, *, age_seconds: float = 1.0, source: str = "gateway") -> Number:
    return Fresh(value=value, observed_timestamp_seconds=NOW - age_seconds, source=source)


def make_variant(name: str = "only", *, memory_gib: float = 6, max_replicas: int = 3) -> Variant:
    return Variant(
        name=VariantName(name),
        engine=EngineKind.LLAMA_CPP,
        target=ProcessTarget(command=("serve", "--port", "{port}")),
        pool=PoolName("unified"),
        memory_bytes=int(memory_gib * GIB),
        slots=4,
        min_replicas=0,
        max_replicas=max_replicas,
        cost_per_hour=1.0,
    )


def first_token_objective(*, threshold_seconds: float = 1.0, target: float = 0.99) -> Objective:
    return Objective(
        sli=Sli.TIME_TO_FIRST_TOKEN,
        threshold_seconds=threshold_seconds,
        target_ratio=target,
        window_seconds=28 * 86400.0,
    )


def make_service(name: str, *, tier: str = "standard", memory_gib: float = 6) -> Service:
    return Service(
        name=ServiceName(name),
        models=(name,),
        owner="team-" + name,
        tier=TierName(tier),
        objectives=(first_token_objective(),),
        variants=(make_variant(memory_gib=memory_gib),),
        hold_timeout_seconds=60.0,
        max_held_requests=20,
    )


def make_catalogue(*services: Service, mode: Mode = Mode.ACTIVE) -> Catalogue:
    return Catalogue(
        version=3,
        services=services,
        tiers=(Tier(name=TierName("standard"), violation_price_per_minute=1.0),),
        pools=(
            MemoryPool(
                name=PoolName("unified"),
                kind=PoolKind.UNIFIED,
                capacity_bytes=48 * GIB,
                reserve_bytes=8 * GIB,
            ),
        ),
        authority=Authority(mode=mode, levels={ActionKind.SCALE: AuthorityLevel.AUTO}),
        control=Control(),
        digest="9f2c61d0a7b34e58" * 4,
    )


def make_service_view(
    service: ServiceName,
    *,
    in_flight: Number = NOT_READ,
    held: Number = NOT_READ,
    oldest_held: Number = NOT_READ,
) -> ServiceView:
    traffic = TrafficView(
        arrived_requests_total=NOT_READ,
        completed_requests_total=NOT_READ,
        failed_requests_total=NOT_READ,
        aborted_requests_total=NOT_READ,
        shed_requests_total=NOT_READ,
        admitted_prompt_tokens_total=NOT_READ,
        output_tokens_total=NOT_READ,
        in_flight_requests=in_flight,
        held_requests=held,
        oldest_held_seconds=oldest_held,
    )
    latency = LatencyView(
        time_to_first_token=NOT_READ, inter_token_latency=NOT_READ, end_to_end_latency=NOT_READ
    )
    return ServiceView(service=service, traffic=traffic, latency=latency)


def make_replica_view(
    replica_id: str,
    *,
    service: ServiceName,
    state: ReplicaState,
    memory: Number = NOT_READ,
    in_flight: Number = NOT_READ,
    age_seconds: float = 300,
) -> ReplicaView:
    replica = Replica(
        replica_id=ReplicaId(replica_id),
        service=service,
        variant=VariantName("only"),
        state=state,
        ordered_timestamp_seconds=NOW - age_seconds,
        serving_timestamp_seconds=NOW - age_seconds + 8 if state is ReplicaState.SERVING else None,
        base_url="http://127.0.0.1:41001",
    )
    return ReplicaView(
        replica=replica,
        running_requests=in_flight,
        waiting_requests=NOT_READ,
        prompt_tokens_total=NOT_READ,
        output_tokens_total=NOT_READ,
        in_flight_requests=in_flight,
        memory_bytes=memory,
    )


def make_evidence(*, demand: float | None = 3.25, needed: int | None = 2) -> Evidence:
    return Evidence(
        supply_replicas=2,
        serving_replicas=2,
        needed_replicas=needed,
        demand_requests_per_second=demand,
        demand_work_ratio=None if demand is None else demand / 3,
        expected_work_ratio=None if demand is None else demand / 2,
        backlog_requests=0.0,
        capacity_low_ratio=0.8,
        capacity_high_ratio=1.0,
        lead_time_seconds=12.0,
        burn_rate=0.5,
        expected_shortfall_ratio_without=0.2,
        expected_shortfall_ratio_with=0.0,
    )


def make_decision(
    service: ServiceName,
    *,
    action: Action = Hold(),  # noqa: B008  frozen
    reason: Reason = Reason.STEADY,
    verdict: Verdict = Verdict.NOTHING_TO_DO,
    age_seconds: float = 2.0,
    evidence: Evidence | None = None,
) -> Decision:
    evidence = evidence or make_evidence()
    rejected = Candidate(action=Hold(), value_per_hour=0.0, rejected_because=reason)
    chosen = Candidate(action=action, value_per_hour=1.75, rejected_because=None)
    return Decision(
        decision_id=DecisionId(f"{service}-{age_seconds:g}"),
        service=service,
        action=action,
        reason=reason,
        verdict=verdict,
        decided_timestamp_seconds=NOW - age_seconds,
        catalogue_digest="9f2c61d0a7b34e58" * 4,
        evidence=evidence,
        candidates=(chosen,) if isinstance(action, Hold) else (chosen, rejected),
        explanation=explain(action, reason=reason, evidence=evidence),
    )


def scale(*, before: int, after: int) -> Scale:
    return Scale(
        variant=VariantName("only"),
        direction=Direction.OUT if after > before else Direction.IN,
        from_replicas=before,
        to_replicas=after,
        stop_replicas=() if after > before else (ReplicaId("code-7"),),
    )


def make_history(rows: dict[ServiceName, dict[Signal, list[float | None]]]) -> History:
    """Bins of events per bin; None: not measured. All rows must have one length."""
    services = tuple(rows)
    length = max(len(bins) for row in rows.values() for bins in row.values())
    signals = {}
    for signal in {signal for row in rows.values() for signal in row}:
        bins = [rows[service].get(signal, [None] * length) for service in services]
        sums = np.array([[value or 0.0 for value in row] for row in bins])
        covered = np.array(
            [[0.0 if value is None else BIN_SECONDS for value in row] for row in bins]
        )
        signals[signal] = SignalBins(sums=sums, maxima=sums, covered_seconds=covered)
    return History(
        services=services,
        bin_seconds=BIN_SECONDS,
        end_timestamp_seconds=NOW,
        signals=signals,
    )


def judged(*, arrived: list[float | None], good_ratio: float) -> dict[Signal, list[float | None]]:
    return {
        Signal.ARRIVED_REQUESTS: arrived,
        Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS: arrived,
        Signal.TIME_TO_FIRST_TOKEN_GOOD_EVENTS: [
            None if value is None else value * good_ratio for value in arrived
        ],
    }


def make_records(count: int) -> tuple[LedgerRecord, ...]:
    """Newest first."""
    records: list[LedgerRecord] = []
    for seq in range(1, count + 1):
        head = records[-1] if records else None
        body = json.dumps({"n": seq}).encode()
        records.append(
            next_record(head, kind=RecordKind.OUTCOME, body=body, timestamp_seconds=NOW - 60 + seq)
        )
    return tuple(reversed(records))


def busy_report(*, mode: Mode = Mode.ACTIVE) -> ControllerReport:
    """Three services on one box: chat grows, code drains one, embed wakes for a held request."""
    verdict = Verdict.ACT if mode is Mode.ACTIVE else Verdict.DRY_RUN
    services = (
        make_service("chat", tier="gold"),
        make_service("code", memory_gib=9),
        make_service("embed", tier="batch", memory_gib=3),
    )
    return ControllerReport(
        reported_timestamp_seconds=NOW,
        started_timestamp_seconds=NOW - 3600,
        decide_interval_seconds=15.0,
        ticks=TickReport(
            tick_count=240,
            last_success_timestamp_seconds=NOW - 2,
            last_success_age_seconds=2.0,
            step_seconds={TickStep.READ: 0.031, TickStep.DECIDE: 0.004},
        ),
        catalogue=make_catalogue(*services, mode=mode),
        snapshot=busy_snapshot(),
        history=busy_history(),
        decisions=busy_decisions(verdict),
        running_effects=(busy_effect(),),
        ledger=LedgerSummary(
            record_count=1204,
            head_hash="ab" * 32,
            is_intact=True,
            verified_timestamp_seconds=NOW - 30,
        ),
        ledger_records=make_records(3),
        routes=RoutesReport(epoch=4, version=17, is_accepted=True),
        gateway_url="http://127.0.0.1:8080/v1",
    )


def busy_snapshot() -> Snapshot:
    serving, draining = ReplicaState.SERVING, ReplicaState.DRAINING
    return Snapshot(
        taken_timestamp_seconds=NOW - 2,
        services=(
            make_service_view(CHAT, in_flight=fresh(5), held=fresh(0), oldest_held=fresh(0)),
            make_service_view(
                CODE,
                in_flight=Stale(value=2.0, observed_timestamp_seconds=NOW - 40, source="gateway"),
                held=fresh(0),
            ),
            make_service_view(EMBED, in_flight=fresh(0), held=fresh(1), oldest_held=fresh(3)),
        ),
        replicas=(
            _view("chat-1", CHAT, serving, gib=5.6, in_flight=3),
            _view("chat-2", CHAT, serving, gib=5.4, in_flight=2),
            make_replica_view("chat-3", service=CHAT, state=ReplicaState.LOADING, age_seconds=9),
            _view("code-6", CODE, serving, gib=8.8, in_flight=1),
            _view("code-7", CODE, draining, gib=8.1, in_flight=1),
            make_replica_view("embed-8", service=EMBED, state=ReplicaState.FAILED),
            make_replica_view("embed-9", service=EMBED, state=ReplicaState.PENDING, age_seconds=2),
        ),
        pools=(PoolView(pool=PoolName("unified"), available_bytes=fresh(11 * GIB, source="proc")),),
        problems=(Problem(source="engine:code-7", message="metrics: no answer within 2 s"),),
    )


def _view(
    replica_id: str, service: ServiceName, state: ReplicaState, *, gib: float, in_flight: int
) -> ReplicaView:
    return make_replica_view(
        replica_id,
        service=service,
        state=state,
        memory=fresh(gib * GIB, source="proc"),
        in_flight=fresh(in_flight),
    )


def busy_history() -> History:
    rising: list[float | None] = [float(8 + n + 6 * (n % 7 == 0)) for n in range(40)]
    falling: list[float | None] = [float(60 - n) for n in range(40)]
    falling[18:22] = [None] * 4
    none_yet: list[float | None] = [*([0.0] * 39), 1.0]
    return make_history(
        {
            CHAT: judged(arrived=rising, good_ratio=0.996),
            CODE: judged(arrived=falling, good_ratio=0.962),
            EMBED: {Signal.ARRIVED_REQUESTS: none_yet},
        }
    )


def busy_decisions(verdict: Verdict) -> tuple[Decision, ...]:
    """Of the last tick."""
    unknown = replace(
        make_evidence(demand=None, needed=None), quality=("in_flight_requests is stale at gateway",)
    )
    return (
        make_decision(
            CHAT,
            action=scale(before=2, after=3),
            reason=Reason.DEMAND_FORECAST,
            verdict=verdict,
        ),
        make_decision(CODE, reason=Reason.CHANGE_IN_PROGRESS, evidence=make_evidence(demand=1.4)),
        make_decision(
            EMBED,
            action=scale(before=0, after=1),
            reason=Reason.HELD_REQUEST,
            verdict=verdict,
            evidence=unknown,
        ),
    )


def busy_past(verdict: Verdict = Verdict.ACT) -> tuple[Decision, ...]:
    """Decisions before the last tick, oldest first."""
    return (
        make_decision(CHAT, age_seconds=92),
        make_decision(CODE, age_seconds=92, reason=Reason.SCALE_IN_HOLD),
        make_decision(CHAT, age_seconds=77),
        make_decision(
            CODE,
            age_seconds=32,
            action=scale(before=2, after=1),
            reason=Reason.SURPLUS_CAPACITY,
            verdict=verdict,
        ),
        make_decision(EMBED, age_seconds=17, reason=Reason.START_FAILING),
    )


def busy_effect() -> JournalEntry:
    return JournalEntry(
        effect_id="chat-2/0",
        decision_id=DecisionId("chat-2"),
        kind=EffectKind.START,
        phase=Phase.SPAWNED,
        service=CHAT,
        variant=VariantName("only"),
        replica_id=ReplicaId("chat-3"),
        timestamp_seconds=NOW - 1.5,
        port=41003,
        pid=4711,
    )
