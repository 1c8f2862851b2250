"""Live fleets for tests: what clients got and what a controller said, without any process."""

from collections.abc import Mapping
from typing import Any, Literal

from autoscaler.model.action import Reason
from foresail.demo.completion import Outcome, RequestResult
from foresail.demo.fleet.live.plan import live_services
from foresail.demo.fleet.live.report import LiveRun
from foresail.demo.fleet.live.tally import ClientTally
from foresail.demo.fleet.live.watch import FleetWatch
from foresail.demo.trace import PlannedRequest
from foresail.http.bodies import (
    ActionBody,
    DecisionBody,
    EvidenceBody,
    ReplicaBody,
    StateBody,
)

MISSING = {"value": None, "quality": "missing", "age_seconds": None, "source": "test"}


def reading(value: float | None) -> dict[str, Any]:
    """As a body says it."""
    return MISSING if value is None else {**MISSING, "value": value, "quality": "fresh"}


def result(**changed: Any) -> RequestResult:
    """A request of `office` that was answered in time: 10 tokens in a second."""
    given: dict[str, Any] = {
        "request": PlannedRequest(
            service="office", index=0, at_seconds=0.0, prompt_tokens=100, output_tokens=10
        ),
        "outcome": Outcome.OK,
        "http_status": 200,
        "sent_at_seconds": 0.0,
        "end_to_end_seconds": 1.0,
        "time_to_first_token_seconds": 0.1,
        "output_tokens": 10,
    }
    return RequestResult(**{**given, **changed})


def replica_body(name: str, *, state: str = "serving") -> ReplicaBody:
    """A replica in that state."""
    unknown = dict.fromkeys(
        ("in_flight_requests", "running_requests", "waiting_requests", "memory_bytes"), MISSING
    )
    return ReplicaBody.model_validate(
        {
            "replica_id": name,
            "variant": "emulated",
            "state": state,
            "ordered_timestamp_seconds": 0.0,
            "serving_timestamp_seconds": None,
            "base_url": None,
            **unknown,
        }
    )


def state_body(replicas: Mapping[str, list[ReplicaBody]], *, held: float | None = 0.0) -> StateBody:
    """A controller's state with these replicas by service; `held` requests at each."""
    return StateBody.model_validate(
        {
            "foresail_version": "0",
            "reported_timestamp_seconds": 0.0,
            "started_timestamp_seconds": 0.0,
            "mode": "active",
            "mode_words": "",
            "is_ready": True,
            "not_ready_reason": None,
            "tick": {
                "count": 1,
                "interval_seconds": 1.0,
                "last_success_timestamp_seconds": None,
                "last_success_age_seconds": None,
                "last_problem": None,
                "step_seconds": {},
            },
            "catalogue": {"version": 1, "digest": None, "problem": None},
            "ledger": None,
            "gateway": {
                "is_left_out": True,
                "url": None,
                "routes_epoch": None,
                "routes_version": None,
                "is_accepted": None,
            },
            "pools": [],
            "services": [
                _service(name, replicas=each, held=held) for name, each in replicas.items()
            ],
            "running_effects": [],
            "problems": [],
        }
    )


def _service(name: str, *, replicas: list[ReplicaBody], held: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "models": [name],
        "owner": "test",
        "tier": "critical",
        "variants": [],
        "replicas": [each.model_dump() for each in replicas],
        "demand": {
            "requests_per_second": None,
            "bin_seconds": None,
            "bins_requests_per_second": [],
        },
        "in_flight_requests": MISSING,
        "held_requests": reading(held),
        "oldest_held_seconds": MISSING,
        "objectives": [],
        "last_decision": None,
    }


def decision_body(*, at: float, kind: Literal["scale", "hold"], reason: Reason) -> DecisionBody:
    """From one replica of `chat`: to a second one, or it stays. Only what a live fleet reads is filled in."""
    is_scale = kind == "scale"
    return DecisionBody.model_construct(
        decision_id=f"d{at}",
        service="chat",
        decided_timestamp_seconds=at,
        action=ActionBody(
            kind=kind,
            from_replicas=1 if is_scale else None,
            to_replicas=2 if is_scale else None,
        ),
        reason=reason,
        reason_words="because",
        explanation="as told",
        evidence=EvidenceBody.model_construct(supply_replicas=1),
    )


def live_run() -> LiveRun:
    """A minute that has just begun."""
    services = live_services()
    return LiveRun(
        services=services,
        tally=ClientTally(services),
        watch=FleetWatch(
            [each.name for each in services], end_seconds=60.0, start_timestamp_seconds=1000.0
        ),
        end_seconds=60.0,
        seed=0,
    )


def watched_run() -> LiveRun:
    """A minute that has ended: `office` had one replica and two answers, one of them late."""
    run = live_run()
    replicas: dict[str, list[ReplicaBody]] = {each.name: [] for each in run.services}
    replicas["office"] = [replica_body("a")]
    run.watch.look(state_body(replicas), at_seconds=0.0)
    run.watch.look(state_body(replicas), at_seconds=60.0)
    run.tally.note(result())
    run.tally.note(result(time_to_first_token_seconds=3.0, end_to_end_seconds=4.0))
    return run
