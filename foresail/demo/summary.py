"""What the demo tells at its end, from the last snapshot and the ledger: values in, a document out.

Pure. The document is what `--json` writes; docs/how-to/demo.md describes its fields.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate

from autoscaler.model.action import Scale
from autoscaler.model.decision import Decision
from autoscaler.model.effect import EffectKind, JournalEntry, Phase
from autoscaler.slo.attainment import worst_attainment_ratio
from collector.model.catalogue import Catalogue, Service
from collector.model.histogram import quantile
from collector.model.ids import DecisionId, ReplicaId
from collector.model.reading import known_value
from collector.model.snapshot import Snapshot

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class DecisionOutcome(StrEnum):
    """What became of a decision."""

    DONE = "done"
    REFUSED = "refused"  # the second look said no
    ROLLED_BACK = "rolled_back"
    UNFINISHED = "unfinished"  # under way when the demo ended
    NOT_CARRIED_OUT = "not_carried_out"  # not within the authority


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCount:
    """Where the client's requests went: sent = ok + failed + cancelled."""

    sent: int
    ok: int
    failed: int
    cancelled: int
    failures: Mapping[str, int] = field(default_factory=dict)  # by what the client saw


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What a run left behind."""

    catalogue: Catalogue
    snapshot: Snapshot  # the last one, all requests ended
    decisions: tuple[Decision, ...]  # those with a row in the ledger, oldest first
    entries: tuple[JournalEntry, ...]  # every phase of every effect, oldest first
    load_start_timestamp_seconds: float
    load_end_timestamp_seconds: float
    load: LoadCount
    machine_busy_ratio: float | None  # of all cores under load, whoever used them
    ledger_record_count: int
    ledger_is_intact: bool


Document = dict[str, object]


def summary(run: RunRecord) -> Document:
    """The document of `--json`."""
    return {
        "duration_seconds": run.load_end_timestamp_seconds - run.load_start_timestamp_seconds,
        "machine_busy_ratio": run.machine_busy_ratio,
        "requests": {
            "sent": run.load.sent,
            "ok": run.load.ok,
            "failed": run.load.failed,
            "cancelled": run.load.cancelled,
            "failures": dict(run.load.failures),
        },
        "services": [_service(service, run=run) for service in run.catalogue.services],
        "decisions": [_decision(decision, run=run) for decision in scale_decisions(run)],
        "ledger": {"verified": run.ledger_is_intact, "records": run.ledger_record_count},
    }


def scale_decisions(run: RunRecord) -> tuple[Decision, ...]:
    """The decisions that wanted a change."""
    return tuple(each for each in run.decisions if isinstance(each.action, Scale))


def outcome(decision: Decision, *, entries: Iterable[JournalEntry]) -> DecisionOutcome:
    """What the journal says became of a decision; the worst of its effects counts."""
    last: dict[str, Phase] = {}
    for entry in entries:
        if entry.decision_id == decision.decision_id:
            last[entry.effect_id] = entry.phase
    phases = set(last.values())
    if not phases:
        return DecisionOutcome.NOT_CARRIED_OUT
    if Phase.ROLLED_BACK in phases:
        return DecisionOutcome.ROLLED_BACK
    if phases == {Phase.REFUSED}:
        return DecisionOutcome.REFUSED
    done = phases <= {Phase.VERIFIED, Phase.REFUSED}
    return DecisionOutcome.DONE if done else DecisionOutcome.UNFINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """From the order of a replica until it was gone."""

    service: str
    start_timestamp_seconds: float
    end_timestamp_seconds: float


_GONE = {(EffectKind.STOP, Phase.VERIFIED), (EffectKind.START, Phase.ROLLED_BACK)}
"""A stop that is rolled back leaves its replica serving."""


def lives(run: RunRecord) -> tuple[Life, ...]:
    """Every replica that had a process, cut to the time under load."""
    started: dict[ReplicaId, JournalEntry] = {}
    ended: dict[ReplicaId, float] = {}
    ordered: dict[DecisionId, float] = {}
    for entry in run.entries:
        ordered.setdefault(entry.decision_id, entry.timestamp_seconds)
        if entry.kind is EffectKind.START and entry.phase is Phase.SPAWNING:
            started[entry.replica_id] = entry
        if (entry.kind, entry.phase) in _GONE:
            ended[entry.replica_id] = entry.timestamp_seconds
    first, last = run.load_start_timestamp_seconds, run.load_end_timestamp_seconds
    found = [
        Life(
            service=entry.service,
            start_timestamp_seconds=max(first, ordered[entry.decision_id]),
            end_timestamp_seconds=min(last, ended.get(replica_id, last)),
        )
        for replica_id, entry in started.items()
    ]
    return tuple(
        life for life in found if life.end_timestamp_seconds > life.start_timestamp_seconds
    )


def engine_seconds(run: RunRecord) -> dict[str, float]:
    """{service: seconds that its replicas existed under load, from order to gone}."""
    total: dict[str, float] = defaultdict(float)
    for life in lives(run):
        total[life.service] += life.end_timestamp_seconds - life.start_timestamp_seconds
    return dict(total)


def peak_replicas(service: str, *, run: RunRecord) -> int:
    """The most replicas of the service that existed at once."""
    changes = sorted(
        change
        for life in lives(run)
        if life.service == service
        for change in ((life.start_timestamp_seconds, 1), (life.end_timestamp_seconds, -1))
    )
    return max(accumulate(step for _, step in changes), default=0)


def _service(service: Service, *, run: RunRecord) -> Document:
    view = run.snapshot.service(service.name)
    duration = run.load_end_timestamp_seconds - run.load_start_timestamp_seconds
    peak = peak_replicas(service.name, run=run)
    histogram = known_value(view.latency.time_to_first_token) if view else None
    return {
        "name": service.name,
        "tier": service.tier,
        "attainment_ratio": worst_attainment_ratio(service, view=view) if view else None,
        "target_ratio": max((o.target_ratio for o in service.objectives), default=None),
        "ttft_seconds": {
            name: quantile(histogram, q=q) if histogram else None for name, q in QUANTILES.items()
        },
        "engine_seconds": engine_seconds(run).get(service.name, 0.0),
        "always_on_engine_seconds": peak * duration,
        "peak_replicas": peak,
        "requests": _outcomes(service, run=run),
    }


def _outcomes(service: Service, *, run: RunRecord) -> Document:
    view = run.snapshot.service(service.name)
    names: Sequence[str] = ("arrived", "completed", "failed", "aborted", "shed")
    return {
        name: known_value(getattr(view.traffic, f"{name}_requests_total")) if view else None
        for name in names
    }


def _decision(decision: Decision, *, run: RunRecord) -> Document:
    action = decision.action
    scale = action if isinstance(action, Scale) else None
    return {
        "decision_id": decision.decision_id,
        "at_seconds": decision.decided_timestamp_seconds - run.load_start_timestamp_seconds,
        "service": decision.service,
        "action": action.kind,
        "direction": scale.direction.value if scale else None,
        "from_replicas": scale.from_replicas if scale else None,
        "to_replicas": scale.to_replicas if scale else None,
        "reason": decision.reason.value,
        "verdict": decision.verdict.value,
        "outcome": outcome(decision, entries=run.entries).value,
        "explanation": decision.explanation,
    }
