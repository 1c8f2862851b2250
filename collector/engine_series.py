"""What looks at engines become on the node agent's page: `foresail_engine_*`, in base units.

In: an `EngineLook` per engine. Out: families of samples. What is not fresh has no sample. Label values
are bounded: the engines are those the owner named, their models at most what a look reads.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from collector.device_series import Family, LabelSet, Point
from collector.model.contract import SeriesKind
from collector.model.engine_admin import EngineAdminState, EngineModel, ModelState
from collector.model.reading import Fresh, Number, Reading, fresh_value

_GAUGE: Final = SeriesKind.GAUGE


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLook:
    """One engine at one moment."""

    address: str  # the label: host:port and what follows it
    state: EngineAdminState
    running_requests: Number  # of its metric page, where that may be read
    waiting_requests: Number


class _EngineNumber(NamedTuple):
    name: str
    text: str
    number: Callable[[EngineLook], Number | Reading[bool]]


class _ModelNumber(NamedTuple):
    name: str
    text: str
    number: Callable[[EngineModel], Number]


_ENGINE_NUMBERS: Final = (
    _EngineNumber(
        "foresail_engine_asleep",
        "1 while the engine sleeps, at any level.",
        lambda e: e.state.is_asleep,
    ),
    _EngineNumber(
        "foresail_engine_paused",
        "1 while the engine takes requests and works on none.",
        lambda e: e.state.is_paused,
    ),
    _EngineNumber(
        "foresail_engine_in_flight_requests",
        "Requests taken and not answered in full, those that wait for a sleeping engine included.",
        lambda e: e.state.in_flight_requests,
    ),
    _EngineNumber(
        "foresail_engine_running_requests",
        "Requests in the engine's batch, one busy slot each.",
        lambda e: e.running_requests,
    ),
    _EngineNumber(
        "foresail_engine_waiting_requests",
        "Requests queued in the engine.",
        lambda e: e.waiting_requests,
    ),
)

_MODEL_NUMBERS: Final = (
    _ModelNumber(
        "foresail_engine_model_memory_bytes",
        "Memory of the loaded model, cache included, as its engine counts it.",
        lambda m: m.memory_bytes,
    ),
    _ModelNumber(
        "foresail_engine_model_accelerator_memory_bytes",
        "The part of it in the accelerator's memory.",
        lambda m: m.accelerator_memory_bytes,
    ),
    _ModelNumber(
        "foresail_engine_model_stored_bytes",
        "The weights as they are stored.",
        lambda m: m.stored_bytes,
    ),
    _ModelNumber(
        "foresail_engine_model_context_length_tokens",
        "Longest prompt and answer of one request.",
        lambda m: m.context_length_tokens,
    ),
    _ModelNumber(
        "foresail_engine_model_slots", "Requests it works on at the same time.", lambda m: m.slots
    ),
    _ModelNumber(
        "foresail_engine_model_expiry_timestamp_seconds",
        "When the model is unloaded unless it is asked before.",
        lambda m: m.expiry_timestamp_seconds,
    ),
)


def engine_families(looks: Sequence[EngineLook]) -> Iterator[Family]:
    """Every family that has a sample, and for each engine whether it answered and what went wrong."""
    if not looks:
        return
    up = [(look, float(look.state.has_answered)) for look in looks]
    yield _family("foresail_engine_up", "1 when the engine told its models.", up)
    problems = [(look, float(len(look.state.problems))) for look in looks]
    yield _family(
        "foresail_engine_problems",
        "Things the engine's answers could not tell, in the latest look.",
        problems,
    )
    yield from _present("foresail_engine_info", "The version in a label.", _versions(looks))
    for row in _ENGINE_NUMBERS:
        points = [_points(row.number(look), _labels(look)) for look in looks]
        yield from _present(row.name, row.text, _chained(points))
    yield from _model_families(looks)


def _model_families(looks: Sequence[EngineLook]) -> Iterator[Family]:
    models = [
        (model, {**_labels(look), "model": model.name})
        for look in looks
        for model in fresh_value(look.state.models) or ()
    ]
    states = _chained(_state_points(model, labels) for model, labels in models)
    yield from _present("foresail_engine_model_state", "1 for the state the model is in.", states)
    for row in _MODEL_NUMBERS:
        points = _chained(_points(row.number(model), labels) for model, labels in models)
        yield from _present(row.name, row.text, points)


def _state_points(model: EngineModel, labels: LabelSet) -> list[Point]:
    state = fresh_value(model.state)
    if state is None:
        return []
    return [Point({**labels, "state": each.value}, float(each is state)) for each in ModelState]


def _versions(looks: Iterable[EngineLook]) -> list[Point]:
    told = [(look, fresh_value(look.state.version)) for look in looks]
    return [Point({**_labels(look), "version": each}, 1.0) for look, each in told if each]


def _labels(look: EngineLook) -> dict[str, str]:
    return {"engine": look.state.api.value, "address": look.address}


def _points(reading: Number | Reading[bool], labels: LabelSet) -> list[Point]:
    return [Point(labels, float(reading.value))] if isinstance(reading, Fresh) else []


def _chained(groups: Iterable[list[Point]]) -> list[Point]:
    return [point for group in groups for point in group]


def _family(name: str, text: str, values: Iterable[tuple[EngineLook, float]]) -> Family:
    points = tuple(Point(_labels(look), value) for look, value in values)
    return Family(name=name, kind=_GAUGE, text=text, points=points)


def _present(name: str, text: str, points: list[Point]) -> Iterator[Family]:
    if points:
        yield Family(name=name, kind=_GAUGE, text=text, points=tuple(points))
