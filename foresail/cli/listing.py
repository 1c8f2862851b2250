"""`foresail list`: services, their replicas and the last decision about each."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import typer

from foresail.cli.output import print_json, print_table
from foresail.cli.session import JsonOption, SettingsOption, session_of

COLUMNS = (
    "service",
    "models",
    "tier",
    "replicas",
    "min-max",
    "requests/s",
    "held",
    "last decision",
)
UNKNOWN = "?"


def list_services(
    context: typer.Context, *, settings: SettingsOption = None, as_json: JsonOption = False
) -> None:
    """Lists services, replicas, demand and last decisions."""
    from collector.clock import SystemClock
    from foresail.cli.state import find_state

    found = find_state(session_of(context).settings(settings), clock=SystemClock())
    if as_json:
        age = found.age_seconds
        print_json({"source": found.source, "age_seconds": age, "state": found.body})
        return
    print(found.words)
    print(found.body["mode_words"])
    is_observed = found.source != "catalogue"
    rows = [_row(each, is_observed=is_observed) for each in found.body["services"]]
    print_table(COLUMNS, rows)
    for problem in found.body["problems"]:
        print(f"{problem['source']}: {problem['message']}")


def _row(service: Mapping[str, Any], *, is_observed: bool) -> tuple[str, ...]:  # Any: JSON
    variants = service["variants"]
    minimum = sum(each["min_replicas"] for each in variants)
    maximum = sum(each["max_replicas"] for each in variants)
    decision = service["last_decision"]
    return (
        service["name"],
        ", ".join(service["models"]),
        service["tier"],
        _replicas(service["replicas"]) if is_observed else UNKNOWN,
        f"{minimum}-{maximum}",
        _number(service["demand"]["requests_per_second"]),
        _number(service["held_requests"]["value"]),
        f"{decision['action_words']} ({decision['reason']})" if decision else "",
    )


def _replicas(replicas: list[Mapping[str, Any]]) -> str:  # Any: JSON
    counts = Counter(
        f"{each['state']} {each['role']}" if each.get("role") else each["state"]
        for each in replicas
    )
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3g}"
