"""What `/v1/state` says: the controller's report as one body. Pure.

In: `ControllerReport`. Out: `StateBody`, and `not_ready_reason` for `/readyz`. Anything that is not
known is null, never zero. Must not read a clock: the report carries its time.
"""

from collections.abc import Iterator

from autoscaler.ledger.chain import LedgerRecord
from autoscaler.model.effect import JournalEntry
from collector.model.catalogue import Catalogue, MemoryPool, Mode, Variant
from collector.model.ids import PoolName
from collector.model.reading import Missing, MissingReason, Number, known_value
from collector.model.replica import HOLDING_STATES, ReplicaState
from collector.model.snapshot import ReplicaView, Snapshot
from foresail import __version__
from foresail.http.bodies import (
    CatalogueBody,
    EffectBody,
    GatewayBody,
    HolderBody,
    LedgerBody,
    LedgerRecordBody,
    PoolBody,
    ProblemBody,
    StateBody,
    TickBody,
)
from foresail.http.service_view import reading_body, service_body
from foresail.ports import ControllerReport, LedgerSummary, TickReport

READY_INTERVALS = 3.0
"""A tick may be late by a slow source or two; after three intervals nobody is deciding any more."""

MODE_WORDS = {
    Mode.DRY_RUN: "Dry run: Foresail decides and records, and starts and stops nothing.",
    Mode.ACTIVE: "Active: Foresail starts and stops replicas by itself.",
    None: "No catalogue: nothing is decided until one is in force.",
}


def state_body(report: ControllerReport) -> StateBody:
    """Everything the app knows at the moment of the report."""
    catalogue = report.catalogue
    mode = catalogue.authority.mode if catalogue else None
    reason = not_ready_reason(report)
    return StateBody(
        foresail_version=__version__,
        reported_timestamp_seconds=report.reported_timestamp_seconds,
        started_timestamp_seconds=report.started_timestamp_seconds,
        mode=mode,
        mode_words=MODE_WORDS[mode],
        is_ready=reason is None,
        not_ready_reason=reason,
        tick=_tick_body(report.ticks, interval_seconds=report.decide_interval_seconds),
        catalogue=CatalogueBody(
            version=catalogue.version if catalogue else None,
            digest=catalogue.digest if catalogue else None,
            problem=report.catalogue_problem,
        ),
        ledger=_ledger_body(report.ledger, records=report.ledger_records),
        gateway=_gateway_body(report),
        pools=_pool_bodies(report),
        services=[
            service_body(each, report=report) for each in (catalogue.services if catalogue else ())
        ],
        running_effects=[_effect_body(each) for each in report.running_effects],
        problems=_problem_bodies(report),
    )


def not_ready_reason(report: ControllerReport) -> str | None:
    """Why nobody should rely on this controller, in one line; None when it is ready."""
    if report.lost_leadership is not None:
        return report.lost_leadership
    ticks, limit = report.ticks, READY_INTERVALS * report.decide_interval_seconds
    why = f": {ticks.last_problem}" if ticks.last_problem else ""
    age = ticks.last_success_age_seconds
    if age is None:
        return f"no tick has succeeded yet{why}"
    if age > limit:
        return f"the last successful tick is {age:.1f} s old, the limit is {limit:g} s{why}"
    return None


def pool_body(
    pool: MemoryPool, *, catalogue: Catalogue, snapshot: Snapshot | None, now: float
) -> PoolBody:
    """Who holds what of one pool: what serves with what it takes now, what starts with its size."""
    holders = list(_holders(pool.name, catalogue=catalogue, snapshot=snapshot))
    held = sum(each.memory_bytes for each in holders)
    return PoolBody(
        name=pool.name,
        kind=pool.kind,
        capacity_bytes=pool.capacity_bytes,
        reserve_bytes=pool.reserve_bytes,
        held_bytes=held,
        free_bytes=pool.budget_bytes - held,
        available_bytes=reading_body(_available(pool.name, snapshot=snapshot), now=now),
        holders=holders,
    )


def _pool_bodies(report: ControllerReport) -> list[PoolBody]:
    catalogue = report.catalogue
    if catalogue is None:
        return []
    now, snapshot = report.reported_timestamp_seconds, report.snapshot
    return [
        pool_body(each, catalogue=catalogue, snapshot=snapshot, now=now) for each in catalogue.pools
    ]


def _holders(
    pool: PoolName, *, catalogue: Catalogue, snapshot: Snapshot | None
) -> Iterator[HolderBody]:
    for view in snapshot.replicas if snapshot else ():
        replica = view.replica
        variant = catalogue.variant(replica.service, replica.variant)
        if variant is None or variant.pool != pool or replica.state not in HOLDING_STATES:
            continue
        holds, is_measured = _holds(view, variant=variant)
        yield HolderBody(
            replica_id=replica.replica_id,
            service=replica.service,
            state=replica.state,
            memory_bytes=holds,
            is_measured=is_measured,
        )


def _holds(view: ReplicaView, *, variant: Variant) -> tuple[float, bool]:
    """(bytes, measured or not): a starting replica is counted with what it will grow to."""
    measured = known_value(view.memory_bytes)
    engines = variant.engines_of(view.replica.role)
    declared = engines.memory_bytes if engines else variant.memory_bytes
    is_grown = view.replica.state in {ReplicaState.SERVING, ReplicaState.DRAINING}
    if measured is not None and (is_grown or measured > declared):
        return measured, True
    return float(declared), False


def _available(pool: PoolName, *, snapshot: Snapshot | None) -> Number:
    views = snapshot.pools if snapshot else ()
    return next(
        (view.available_bytes for view in views if view.pool == pool),
        Missing(reason=MissingReason.NOT_READ_YET, source="host"),
    )


def _tick_body(ticks: TickReport, *, interval_seconds: float) -> TickBody:
    return TickBody(
        count=ticks.tick_count,
        interval_seconds=interval_seconds,
        last_success_timestamp_seconds=ticks.last_success_timestamp_seconds,
        last_success_age_seconds=ticks.last_success_age_seconds,
        last_problem=ticks.last_problem,
        step_seconds=dict(ticks.step_seconds),
    )


def _ledger_body(
    ledger: LedgerSummary | None, *, records: tuple[LedgerRecord, ...]
) -> LedgerBody | None:
    if ledger is None:
        return None
    return LedgerBody(
        record_count=ledger.record_count,
        head_hash=ledger.head_hash,
        is_intact=ledger.is_intact,
        verified_timestamp_seconds=ledger.verified_timestamp_seconds,
        findings=list(ledger.findings),
        recent=[
            LedgerRecordBody(
                seq=record.seq,
                timestamp_seconds=record.timestamp_seconds,
                kind=record.kind,
                hash=record.hash.hex(),
                body=record.body.decode(errors="replace"),
            )
            for record in records
        ],
    )


def _gateway_body(report: ControllerReport) -> GatewayBody:
    routes = report.routes
    return GatewayBody(
        is_left_out=not report.has_gateway,
        url=report.gateway_url,
        routes_epoch=routes.epoch if routes else None,
        routes_version=routes.version if routes else None,
        is_accepted=routes.is_accepted if routes else None,
    )


def _effect_body(entry: JournalEntry) -> EffectBody:
    return EffectBody(
        effect_id=entry.effect_id,
        decision_id=entry.decision_id,
        kind=entry.kind,
        phase=entry.phase,
        service=entry.service,
        variant=entry.variant,
        replica_id=entry.replica_id,
        since_timestamp_seconds=entry.timestamp_seconds,
        detail=entry.detail,
    )


def _problem_bodies(report: ControllerReport) -> list[ProblemBody]:
    problems = (*report.engine_problems, *(report.snapshot.problems if report.snapshot else ()))
    return [ProblemBody(source=each.source, message=each.message) for each in problems]
