"""One replica stopped: looked at again, taken out of the routes, drained, ended; or put back.

In: a `PREPARED` stop entry, or one that an earlier controller left open. Out: journaled phases and
a replica that is gone, or serves again. A replica with requests in flight, or whose requests nobody
can count, is not ended before its drain timeout; and at that timeout only if the count is known.
"""

import math
from dataclasses import dataclass
from typing import Final

from autoscaler.errors import LedgerError
from autoscaler.execute.death import watch_engine
from autoscaler.execute.ending import finish_terminating
from autoscaler.execute.tools import EffectTools
from autoscaler.model.effect import JournalEntry, Phase
from collector.model.catalogue import Mode
from collector.model.ids import ReplicaId
from collector.model.replica import ReplicaState

_LOOK_AGAIN_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTerms:
    """How far a stop may go."""

    must_go: bool = False  # also when nobody can tell whether requests are in flight
    longest_drain_seconds: float = math.inf  # shortens the variant's own drain timeout


DECIDED: Final = StopTerms()
"""The terms of a stop that can as well be left undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """How the wait for the requests in flight went."""

    may_end: bool
    detail: str  # "" when every request was finished


async def stop_replica(tools: EffectTools, entry: JournalEntry) -> None:
    """Carries a prepared stop out. Raises NotLeader, with nothing touched since it was known."""
    reason = await tools.ports.recheck(entry)
    if reason is None:
        reason = _refusal(tools, entry.replica_id)
    if reason is not None:
        tools.advance(entry, Phase.REFUSED, detail=reason)
        return
    await take_away(tools, entry, terms=DECIDED)


async def take_away(tools: EffectTools, entry: JournalEntry, *, terms: StopTerms) -> None:
    """Stops a serving replica."""
    tools.ports.fence.check()
    draining = tools.advance(entry, Phase.DRAINING)
    tools.registry.change(entry.replica_id, ReplicaState.DRAINING)
    await finish_draining(tools, draining, terms=terms)


async def finish_draining(tools: EffectTools, entry: JournalEntry, *, terms: StopTerms) -> None:
    """Takes a replica from `DRAINING` to gone, or back to serving."""
    drained = await _drained(tools, entry, terms=terms)
    objection = _objection(tools, entry.replica_id) if drained.may_end else drained.detail
    if objection is not None and not terms.must_go:
        await put_back(tools, entry, reason=objection)
        return
    tools.ports.fence.check()
    try:
        entry = tools.advance(entry, Phase.TERMINATING, detail=drained.detail)
    except LedgerError as error:
        if not terms.must_go:
            await put_back(tools, entry, reason=str(error))
            return
        tools.report("stop_not_journaled", error, replica_id=entry.replica_id)
    await finish_terminating(tools, entry)


def _refusal(tools: EffectTools, replica_id: ReplicaId) -> str | None:
    state = tools.registry.state(replica_id)
    if state is None:
        return f"{replica_id} is not a replica that was started here"
    if state is not ReplicaState.SERVING:
        return f"{replica_id} is {state}, only a serving replica is stopped"
    return None


def _objection(tools: EffectTools, replica_id: ReplicaId) -> str | None:
    """Why a living engine may not be ended now: the mode may have changed while it drained."""
    mode = tools.ports.catalogue().authority.mode
    if mode is Mode.ACTIVE or not _is_alive(tools, replica_id):
        return None
    return f"authority.mode is {mode} now, so {replica_id} serves on; set it to active to stop it"


async def put_back(tools: EffectTools, entry: JournalEntry, *, reason: str) -> None:
    """Undoes a stop while nothing was ended."""
    tools.ports.log.warning("stop_rolled_back", replica_id=entry.replica_id, reason=reason)
    tools.registry.change(entry.replica_id, ReplicaState.SERVING)
    held = tools.registry.held(entry.replica_id)
    if held is not None and held.handle is not None:  # a recovered drain has no watcher yet
        watch_engine(tools, entry.replica_id, handle=held.handle)
    tools.try_advance(entry, Phase.ROLLED_BACK, detail=reason)
    await tools.routes.publish_eventually()


async def _drained(tools: EffectTools, entry: JournalEntry, *, terms: StopTerms) -> Drained:
    """Waits until the replica has nothing more to do, or its time is up."""
    clock = tools.ports.clock
    declared_seconds = tools.process_target(entry).drain_timeout_seconds
    limit_seconds = min(declared_seconds, terms.longest_drain_seconds)
    deadline_monotonic_seconds = clock.monotonic_seconds() + limit_seconds
    is_unrouted, in_flight = False, None
    while _is_alive(tools, entry.replica_id):
        is_unrouted = is_unrouted or await tools.routes.publish()
        if is_unrouted:
            in_flight = await tools.ports.router.read_in_flight(entry.replica_id)
        if in_flight == 0:
            return Drained(may_end=True, detail="")
        if clock.monotonic_seconds() >= deadline_monotonic_seconds:
            return _out_of_time(in_flight, limit_seconds=limit_seconds)
        await clock.sleep(_LOOK_AGAIN_SECONDS)
    await tools.routes.publish_eventually()
    return Drained(may_end=True, detail="it had ended by itself")


def _out_of_time(in_flight: int | None, *, limit_seconds: float) -> Drained:
    if in_flight is None:
        return Drained(
            may_end=False,
            detail=f"the gateway could not be asked for {limit_seconds:g} s, so nobody knows "
            "whether requests are in flight",
        )
    return Drained(
        may_end=True,
        detail=f"{in_flight} requests were cut after {limit_seconds:g} s of draining",
    )


def _is_alive(tools: EffectTools, replica_id: ReplicaId) -> bool:
    held = tools.registry.held(replica_id)
    return held is not None and held.handle is not None and held.handle.is_alive()
