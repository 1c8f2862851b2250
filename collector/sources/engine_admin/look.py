"""From the fields of answers to readings: one `Look` per engine and moment.

Answers in, readings and the problems met out. A field that is absent, of another type or out of
range becomes `Missing`; nothing raises. Knows no engine.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias, TypeVar, Union

from collector.clock import Clock
from collector.model.engine_admin import AdminApi, EngineAdminState, EngineModel
from collector.model.reading import Fresh, Missing, MissingReason
from collector.model.snapshot import Problem
from collector.sources.engine_admin.http import Answer, Silence

T = TypeVar("T")
Seen: TypeAlias = Union[Fresh[T], Missing]  # noqa: UP007  generic alias on 3.11
Fields: TypeAlias = Mapping[str, object]

MAX_MODELS = 1_000
"""Of one engine; each becomes a handful of series."""
MAX_NAME_CHARACTERS = 256
_MAX_PROBLEMS = 10
_SHOWN_CHARACTERS = 60


class Look:
    """Makes readings of one engine's answers and keeps what was wrong with them."""

    def __init__(self, api: AdminApi, *, base_url: str, clock: Clock) -> None:
        """To be made when the answers have come: its readings bear the time of this call."""
        self._api = api
        self._source = f"admin:{api.value}"
        self._base_url = base_url
        self._observed_timestamp_seconds = clock.timestamp_seconds()
        self._messages: list[str] = []

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was wrong, the first few of it."""
        messages = self._messages[:_MAX_PROBLEMS]
        if len(self._messages) > _MAX_PROBLEMS:
            messages.append(f"and {len(self._messages) - _MAX_PROBLEMS} more problems")
        return tuple(
            Problem(source=self._source, message=f"{self._base_url}: {each}") for each in messages
        )

    def complain(self, message: str) -> None:
        """Keeps a problem, one line; the same one is kept once."""
        if message not in self._messages:
            self._messages.append(message)

    def known(self, value: T) -> Fresh[T]:
        """A reading of this moment."""
        return Fresh(
            value=value,
            observed_timestamp_seconds=self._observed_timestamp_seconds,
            source=self._source,
        )

    def missing(self, reason: MissingReason) -> Missing:
        """No value."""
        return Missing(reason=reason, source=self._source)

    def cannot_see(self) -> Missing:
        """What this interface never tells."""
        return self.missing(MissingReason.CANNOT_SEE)

    def heard(self, answer: Answer) -> Answer:
        """The same answer; a silence is a problem."""
        if isinstance(answer, Silence):
            self.complain(answer.message)
        return answer

    def field(self, answer: Answer, name: str, convert: Callable[[object], T | None]) -> Seen[T]:
        """One field of a document; a silence is no new problem."""
        if isinstance(answer, Silence):
            return self.missing(answer.reason)
        return self.part(answer.fields, name, convert)

    def part(self, fields: Fields, name: str, convert: Callable[[object], T | None]) -> Seen[T]:
        """One field: `SERIES_ABSENT` without it, `UNREADABLE` where `convert` gives None."""
        if fields.get(name) is None:
            return self.missing(MissingReason.SERIES_ABSENT)
        value = convert(fields[name])
        if value is None:
            self.complain(f"{name!r} cannot be read: {_shown(fields[name])}")
            return self.missing(MissingReason.UNREADABLE)
        return self.known(value)

    def number(self, fields: Fields, name: str) -> Seen[float]:
        """A number of at least 0."""
        return self.part(fields, name, as_number)

    def listed(self, answer: Answer, name: str, *, key: str) -> Seen[dict[str, Fields]]:
        """{the entry's `key`: the entry} of a list of objects, in its order."""
        if isinstance(answer, Silence):
            return self.missing(answer.reason)
        entries = answer.fields.get(name)
        if not isinstance(entries, list):
            self.complain(f"GET {answer.path}: {name!r} is no list: {_shown(entries)}")
            return self.missing(MissingReason.UNREADABLE)
        if len(entries) > MAX_MODELS:
            self.complain(f"GET {answer.path}: {len(entries)} models, only {MAX_MODELS} are read")
        found: dict[str, Fields] = {}
        for entry in entries[:MAX_MODELS]:
            self._add(found, entry, key=key)
        return self.known(found)

    def _add(self, found: dict[str, Fields], entry: object, *, key: str) -> None:
        fields = as_fields(entry) or {}
        name = as_text(fields.get(key))
        if name is None or name in found:
            what = "has no usable name" if name is None else "is listed twice"
            self.complain(f"a model {what}: {_shown(fields.get(key, entry))}")
            return
        found[name] = fields

    def unseen_model(self, name: str) -> EngineModel:
        """A model of which nothing but its name is told; replace what the engine does tell."""
        unseen = self.cannot_see()
        return EngineModel(
            name=name,
            state=unseen,
            memory_bytes=unseen,
            accelerator_memory_bytes=unseen,
            stored_bytes=unseen,
            context_length_tokens=unseen,
            slots=unseen,
            expiry_timestamp_seconds=unseen,
        )

    def unseen_state(self) -> EngineAdminState:
        """An engine of which nothing is told; replace what it does tell. Made when all is read."""
        unseen = self.cannot_see()
        return EngineAdminState(
            api=self._api,
            base_url=self._base_url,
            version=unseen,
            models=unseen,
            is_asleep=unseen,
            is_paused=unseen,
            in_flight_requests=unseen,
            serves_metrics=unseen,
            problems=self.problems,
        )


def as_number(value: object) -> float | None:
    """A finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def as_flag(value: object) -> bool | None:
    """True or false, and nothing that merely resembles it."""
    return value if isinstance(value, bool) else None


def as_text(value: object) -> str | None:
    """Text that fits into a label: printable, neither empty nor long."""
    if not isinstance(value, str) or not value.isprintable():
        return None
    return value if 0 < len(value) <= MAX_NAME_CHARACTERS else None


def as_fields(value: object) -> Fields | None:
    """A JSON object."""
    return value if isinstance(value, dict) else None


def as_timestamp_seconds(value: object) -> float | None:
    """A date with a zone, as epoch seconds; None before 1970, as of Go's zero time."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        seconds = moment.timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if moment.tzinfo is not None and seconds >= 0 else None


def _shown(value: object) -> str:
    text = " ".join(repr(value)[:_SHOWN_CHARACTERS].split())
    return text.encode("ascii", errors="backslashreplace").decode()
