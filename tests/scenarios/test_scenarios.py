"""Every scenario file of this folder, run in a closed loop, and again with the state as JSON."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.scenario import Document, Story, read_scenario, run_scenario

FILES = sorted(Path(__file__).parent.glob("*.yaml"))
BY_NAME = {file.stem: file for file in FILES}


@cache
def story(name: str) -> Story:
    return run_scenario(read_scenario(BY_NAME[name]))


def expectations(document: Document) -> Iterator[tuple[str, Document]]:
    return iter(document["expect"].items())


def is_between(values: list[int], bounds: list[int]) -> bool:
    return bounds[0] <= min(values) and max(values) <= bounds[1]


def attainment(told: Story, service: str) -> float:
    plant = told.plant.services[service]
    judged = sum(plant.first_token_counts) + plant.shed + plant.failed
    return sum(plant.first_token_counts[:5]) / max(1, judged)  # edges up to 10 s


Check = Callable[[Story, str, Any], bool]
CHECKS: dict[str, Check] = {
    "replicas": lambda told, service, bounds: is_between(told.supplies(service), bounds),
    "final_replicas": lambda told, service, bounds: is_between(told.supplies(service)[-1:], bounds),
    "final_variants": lambda told, service, variants: (
        told.ticks[-1].supply_by_variant[service] == variants
    ),
    "reasons": lambda told, service, reasons: set(reasons) <= set(told.reasons(service)),
    "changes_at_most": lambda told, service, most: len(told.changes(service)) <= most,
    "max_held_seconds": lambda told, service, most: (
        told.plant.services[service].max_held_seconds <= most
    ),
    "shed_at_most": lambda told, service, most: told.plant.services[service].shed <= most,
    "failed_at_most": lambda told, service, most: told.plant.services[service].failed <= most,
    "completed_at_least": lambda told, service, least: (
        told.plant.services[service].completed >= least
    ),
    "attainment_at_least": lambda told, service, least: attainment(told, service) >= least,
    "verdicts": lambda told, service, verdicts: (
        {each.verdict.value for each in told.of(service)} == set(verdicts)
    ),
    "windows": lambda told, service, windows: all(holds(told, service, each) for each in windows),
}


def holds(told: Story, service: str, window: Document) -> bool:
    span = {"begin": window["begin"], "end": window["end"]}
    reasons = set(told.reasons(service, **span))
    checks = {
        "replicas": lambda bounds: is_between(told.supplies(service, **span), bounds),
        "variants": lambda bounds: all(
            bounds[name][0] <= count <= bounds[name][1]
            for tick in told.ticks
            if span["begin"] <= tick.seconds <= span["end"]
            for name, count in tick.supply_by_variant[service].items()
            if name in bounds
        ),
        "scale_ins": lambda most: len(told.scale_ins(service, **span)) <= most,
        "only_reasons": lambda only: reasons <= set(only),
        "never": lambda never: not reasons & set(never),
        "lead_time_at_least": lambda least: all(
            each.evidence.lead_time_seconds >= least for each in told.of(service, **span)
        ),
    }
    asked = {key: value for key, value in window.items() if key not in span}
    return all(checks[key](value) for key, value in asked.items())


def told_shortly(told: Story, service: str) -> str:
    """The story of one service for a failed assertion: changes of reason and of supply."""
    lines, before = [], None
    for tick in told.ticks:
        line = f"{tick.decisions[service].reason.value} with {tick.supply[service]}"
        if line != before:
            lines.append(f"  {tick.seconds:6.0f} s  {line}")
        before = line
    plant = told.plant.services[service]
    ends = f"completed {plant.completed}, shed {plant.shed}, failed {plant.failed}"
    held = f"held up to {plant.max_held_seconds:.0f} s, attained {attainment(told, service):.3f}"
    return "\n".join([f"{service}: {ends}, {held}", *lines])


@pytest.mark.parametrize("name", BY_NAME)
def test_what_the_scenario_expects_holds(name: str) -> None:
    told = story(name)
    broken = [
        f"{service}.{key}: {value}\n{told_shortly(told, service)}"
        for service, expected in expectations(read_scenario(BY_NAME[name]))
        for key, value in expected.items()
        if not CHECKS[key](told, service, value)
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("name", BY_NAME)
def test_memory_is_never_given_out_twice(name: str) -> None:
    told = story(name)
    assert told.plant.max_memory_bytes <= told.plant.catalogue.pools[0].budget_bytes


@pytest.mark.parametrize("name", BY_NAME)
def test_every_request_is_accounted_for(name: str) -> None:
    for plant in story(name).plant.services.values():
        waiting = len(plant.held) + len(plant.in_flight)
        assert plant.arrived == plant.completed + plant.failed + plant.shed + waiting


@pytest.mark.parametrize("name", BY_NAME)
def test_a_state_that_goes_through_json_at_every_tick_decides_the_same(name: str) -> None:
    again = run_scenario(read_scenario(BY_NAME[name]), through_json=True)
    assert again.decision_bytes == story(name).decision_bytes
