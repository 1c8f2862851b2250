"""A scenario file as a world, run in a closed loop with `decide` on a virtual clock.

In: a YAML file (tests/scenarios/README.md). Out: a `Story` of what was decided tick by tick.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from autoscaler.checkpoint import decisions_json, state_json
from autoscaler.decide import decide
from autoscaler.learn import apply_event
from autoscaler.model.action import Direction, Scale
from autoscaler.model.decision import Decision
from autoscaler.model.state import ControllerState
from autoscaler.remember import with_clock_set
from collector.history.memory import MemoryHistoryStore
from collector.increments import clock_was_set, increments
from collector.model.calendar import CalendarEvent, Once
from collector.model.catalogue import (
    CapacityPrior,
    Catalogue,
    Control,
    Objective,
    Sli,
    Variant,
)
from collector.model.ids import VariantName
from collector.model.snapshot import Snapshot
from support.builders import GIB, PRIOR, SMALL, make_catalogue, make_service, make_variant
from support.plant import Plant, PlantService
from support.units import make_split_variant

START_SECONDS = 1_700_000_000.0
BIN_SECONDS = 15.0

Document = dict[str, Any]  # Any: a scenario file is checked by being run


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One tick of the loop."""

    seconds: float  # since the start
    decisions: dict[str, Decision]
    supply: dict[str, int]  # before the decisions are carried out
    supply_by_variant: dict[str, dict[str, int]]


@dataclass(slots=True)
class Story:
    """What happened."""

    plant: Plant
    ticks: list[Tick] = field(default_factory=list)
    decision_bytes: list[bytes] = field(default_factory=list)

    def of(self, service: str, *, begin: float = 0.0, end: float = 1e12) -> Iterable[Decision]:
        """The decisions for one service between two moments."""
        return (t.decisions[service] for t in self.ticks if begin <= t.seconds <= end)

    def changes(self, service: str, **window: float) -> list[Scale]:
        """The effective ones of them."""
        actions = (each.action for each in self.of(service, **window) if each.is_effective)
        return [action for action in actions if isinstance(action, Scale)]

    def scale_ins(self, service: str, **window: float) -> list[Scale]:
        """Those of them that took something away."""
        return [each for each in self.changes(service, **window) if each.direction is Direction.IN]

    def reasons(self, service: str, **window: float) -> list[str]:
        """Every reason that was given."""
        return [each.reason.value for each in self.of(service, **window)]

    def supplies(self, service: str, *, begin: float = 0.0, end: float = 1e12) -> list[int]:
        """Replicas at every tick."""
        return [tick.supply[service] for tick in self.ticks if begin <= tick.seconds <= end]


def read_scenario(path: Path) -> Document:
    """The file's content."""
    document: Document = yaml.safe_load(path.read_text())
    return document


def run_scenario(document: Document, *, through_json: bool = False) -> Story:
    """The story. `through_json`: the state is serialised and read back at every tick."""
    catalogue = _catalogue(document)
    plant = Plant(
        catalogue=catalogue,
        services=[_plant_service(each, catalogue) for each in document["services"]],
        start_seconds=START_SECONDS,
    )
    for each in document["services"]:
        for variant, count in _at_start(each).items():
            for _ in range(count):
                plant.start(each["name"], variant=variant, ready=True)
    loop = _Loop(plant, through_json=through_json)
    faults = sorted(document.get("faults", ()), key=lambda fault: fault["at_seconds"])
    interval = document.get("tick_seconds", 15)
    for second in range(1, round(document["minutes"] * 60) + 1):
        while faults and faults[0]["at_seconds"] <= second:
            _strike(plant, faults.pop(0))
        plant.step()
        if second % interval == 0 or loop.is_woken():
            loop.tick()
    return loop.story


class _Loop:
    """What the controller does, without its shell."""

    def __init__(self, plant: Plant, *, through_json: bool) -> None:
        self.story = Story(plant)
        self._plant = plant
        self._through_json = through_json
        self._state = ControllerState()
        self._states = TypeAdapter(ControllerState)
        self._store = MemoryHistoryStore(bin_seconds=BIN_SECONDS, keep_seconds=3600.0)
        self._before = plant.snapshot()
        self._looked_seconds = plant.elapsed_seconds

    def is_woken(self) -> bool:
        """A request that begins to be held wakes the loop at once, as the gateway does."""
        now = self._plant.elapsed_seconds
        return any(each.held and each.held[-1] == now for each in self._plant.services.values())

    def _record(self, snapshot: Snapshot, *, catalogue: Catalogue) -> None:
        """As the observer does."""
        wall = snapshot.taken_timestamp_seconds - self._before.taken_timestamp_seconds
        elapsed = self._plant.elapsed_seconds - self._looked_seconds
        if clock_was_set(wall_seconds=wall, elapsed_seconds=elapsed):
            self._store.move(by_seconds=wall - elapsed)
            self._state = with_clock_set(self._state, by_seconds=wall - elapsed)
        else:
            step = increments(self._before, snapshot, catalogue=catalogue)
            self._store.append(
                start_timestamp_seconds=step.start_timestamp_seconds,
                end_timestamp_seconds=step.end_timestamp_seconds,
                increases=step.increases,
                levels=step.levels,
            )
        self._before, self._looked_seconds = snapshot, self._plant.elapsed_seconds

    def tick(self) -> None:
        plant, catalogue = self._plant, self._plant.catalogue
        snapshot = plant.snapshot()
        self._record(snapshot, catalogue=catalogue)
        for event in plant.taken_events():
            self._state = apply_event(self._state, event)
        if self._through_json:
            self._state = self._states.validate_json(state_json(self._state))
        history = self._store.history(
            services=list(plant.services), window_seconds=900.0, now_timestamp_seconds=plant.now
        )
        decided = decide(
            snapshot=snapshot,
            history=history,
            catalogue=catalogue,
            state=self._state,
            now=plant.now,
        )
        self._state = decided.next_state
        self._remember(decided.decisions)
        for decision in decided.decisions:
            plant.carry_out(decision)

    def _remember(self, decisions: tuple[Decision, ...]) -> None:
        supply = {str(name): self._plant.supply(name) for name in self._plant.services}
        by_service = {str(each.service): each for each in decisions}
        seconds = self._plant.elapsed_seconds
        by_variant = {
            str(name): self._plant.supply_by_variant(name) for name in self._plant.services
        }
        self.story.ticks.append(
            Tick(
                seconds=seconds,
                decisions=by_service,
                supply=supply,
                supply_by_variant=by_variant,
            )
        )
        self.story.decision_bytes.append(decisions_json(decisions))


def _catalogue(document: Document) -> Catalogue:
    objective = Objective(
        sli=Sli.TIME_TO_FIRST_TOKEN, threshold_seconds=10.0, target_ratio=0.9, window_seconds=86_400
    )
    services = [
        make_service(
            each["name"],
            tier=each["name"],
            objectives=(objective,),
            variants=tuple(_variant(fields) for fields in _variants(each)),
            hold_timeout_seconds=each.get("hold_timeout_seconds", 60.0),
            max_held_requests=each.get("max_held_requests", 1000),
            calendar=tuple(_event(event) for event in each.get("calendar", ())),
        )
        for each in document["services"]
    ]
    return make_catalogue(
        *services,
        prices={each["name"]: each.get("price", 1.0) for each in document["services"]},
        pool_bytes=round(document.get("pool_gib", 100) * GIB),
        control=Control(**document.get("control", {})),
        quotas={name: most for name, most in document.get("quotas", {}).items()},
    )


def _at_start(document: Document) -> dict[VariantName, int]:
    several = {VariantName(each["name"]): each.get("replicas", 0) for each in _variants(document)}
    return several if "variants" in document else {SMALL: document.get("replicas", 0)}


def _variants(document: Document) -> list[Document]:
    return document.get("variants") or [{"name": SMALL, **document.get("variant", {})}]


def _variant(document: Document) -> Variant:
    """`requests_per_second`: what one replica of it works off, where that is not one."""
    fields = {key: value for key, value in document.items() if key != "replicas"}
    if "roles" in fields:
        del fields["name"]
        return make_split_variant(**fields.pop("roles"), **fields)
    cost = 1.0 / fields.pop("requests_per_second", 1.0)
    prior = CapacityPrior(
        prompt_seconds_per_token=PRIOR.prompt_seconds_per_token * cost,
        output_seconds_per_token=PRIOR.output_seconds_per_token * cost,
    )
    return make_variant(capacity_prior=prior, **fields)


def _event(document: Document) -> CalendarEvent:
    fields = {key: value for key, value in document.items() if key != "at_seconds"}
    schedule = Once(start_timestamp_seconds=START_SECONDS + document["at_seconds"])
    return CalendarEvent(schedule=schedule, **fields)


def _plant_service(document: Document, catalogue: Catalogue) -> PlantService:
    declared = catalogue.service(document["name"])
    assert declared is not None
    return PlantService(
        declared=declared,
        rate=_rate(document["arrivals"]),
        lead_seconds=document.get("lead_seconds", 10.0),
        start_fails=document.get("start_fails", False),
        follows_advice=document.get("follows_advice", False),
    )


def _rate(points: list[list[float]]) -> Callable[[float], float]:
    """Requests per second through [seconds, rate] points, straight between them."""

    def at(seconds: float) -> float:
        for (t0, r0), (t1, r1) in pairwise(points):
            if t0 <= seconds < t1:
                return r0 + (r1 - r0) * (seconds - t0) / (t1 - t0)
        return points[-1][1]

    return at


def _strike(plant: Plant, fault: Document) -> None:
    match fault["kind"]:
        case "crash":
            plant.crash(fault["service"])
        case "gateway_unreachable":
            plant.is_gateway_reachable = False
        case "gateway_back":
            plant.is_gateway_reachable = True
        case "clock_jump":
            plant.wall_offset_seconds += fault["by_seconds"]
        case "variant_lost":
            plant.lose(fault["service"], variant=fault["variant"])
        case "variant_fails":
            plant.services[fault["service"]].failing_variants.add(fault["variant"])
        case "variant_starts_again":
            plant.services[fault["service"]].failing_variants.discard(fault["variant"])
        case "lead_time":
            plant.services[fault["service"]].lead_seconds = fault["seconds"]
        case other:
            raise ValueError(f"unknown fault {other}")
