"""Which version each engine runs: asked where its contract says that anybody may, and remembered.

In: the replicas whose pages are read, and the answers. Out: a reading per replica. A version is asked
for once per start: an engine that fell silent may come back as another one, and behind an address of
somebody else it may be exchanged unseen, so that is asked again now and then. Part of the shell of
`Observer`; does no I/O itself. Must not ask a path that the contract does not call safe.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from collector.clock import Clock
from collector.model.contract import Endpoint, version_numbers
from collector.model.ids import ReplicaId
from collector.model.reading import Fresh, Missing, MissingReason, Reading
from collector.ports import Exposition, ScrapeTarget

KEPT_SECONDS: Final = 600.0
"""A version is asked for again after this long, for engines that are exchanged behind their address."""
RETRY_SECONDS: Final = 60.0
"""The wait after a question that gave nothing; an engine without the path would log every one."""
_LONGEST_VERSION: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionQuestion:
    """One replica and where it tells its version."""

    replica_id: ReplicaId
    base_url: str
    endpoint: Endpoint
    keep_alive: bool = True  # False: a connection per request

    @property
    def target(self) -> ScrapeTarget:
        """What to read; its key is no replica's."""
        url = f"{self.base_url.rstrip('/')}{self.endpoint.path}"
        key = f"{self.replica_id}#version"
        return ScrapeTarget(key=key, url=url, keep_alive=self.keep_alive)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAnswer:
    """What an engine told of itself."""

    version: str | MissingReason  # CANNOT_SEE: a build that calls itself 0
    never_sleeps: bool  # it is a build without sleep when idle; False: it may be one with
    told_timestamp_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    answer: EngineAnswer
    ask_again_monotonic_seconds: float


class EngineVersions:
    """Remembers answers between rounds."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._answers: dict[ReplicaId, _Remembered] = {}

    def answer(self, replica_id: ReplicaId) -> EngineAnswer | None:
        """What was told; None where nobody was asked since the engine fell silent."""
        known = self._answers.get(replica_id)
        return known.answer if known else None

    def due(self, questions: Sequence[VersionQuestion]) -> tuple[VersionQuestion, ...]:
        """Those to be asked now; what is known of replicas not among `questions` is forgotten."""
        now = self._clock.monotonic_seconds()
        asked = {each.replica_id for each in questions}
        self._answers = {key: each for key, each in self._answers.items() if key in asked}
        return tuple(
            each
            for each in questions
            if each.replica_id not in self._answers
            or now >= self._answers[each.replica_id].ask_again_monotonic_seconds
        )

    def learn(self, answers: Sequence[tuple[VersionQuestion, Exposition]]) -> None:
        """Takes the answers in. A version that was told stays while a later question gives nothing."""
        now = self._clock.monotonic_seconds()
        for question, exposition in answers:
            answer = engine_answer(exposition, endpoint=question.endpoint)
            old = self._answers.get(question.replica_id)
            wait = _wait_seconds(answer, question=question, exposition=exposition)
            if isinstance(answer.version, MissingReason) and old is not None:
                answer = old.answer
            self._answers[question.replica_id] = _Remembered(
                answer=answer, ask_again_monotonic_seconds=now + wait
            )

    def readings(
        self, pages: Mapping[str, Exposition], *, unread: Collection[ReplicaId] = ()
    ) -> Mapping[ReplicaId, Reading[str]]:
        """What is known of those whose page was read; the others are forgotten, but for `unread`.

        A version holds as long as the engine that told it lives, so it is as young as its page. Where
        the page is `unread` on purpose, it is as old as the answer.
        """
        found: dict[ReplicaId, Reading[str]] = {}
        for replica_id, known in tuple(self._answers.items()):
            page = pages.get(replica_id)
            if page is not None and page.text is not None:
                at = page.observed_timestamp_seconds
            elif replica_id in unread:
                at = known.answer.told_timestamp_seconds
            else:
                del self._answers[replica_id]
                continue
            found[replica_id] = _reading(known.answer.version, at=at)
        return found


def _reading(version: str | MissingReason, *, at: float) -> Reading[str]:
    if isinstance(version, MissingReason):
        return Missing(reason=version, source="engine")
    return Fresh(value=version, observed_timestamp_seconds=at, source="engine")


def _wait_seconds(
    answer: EngineAnswer, *, question: VersionQuestion, exposition: Exposition
) -> float:
    """Until the next question. Where the page waits for the answer, a silent engine is asked at once."""
    if not isinstance(answer.version, MissingReason):
        return KEPT_SECONDS
    is_silent = exposition.text is None and exposition.reply is None
    return 0.0 if is_silent and question.endpoint.sleep_key else RETRY_SECONDS


def engine_answer(exposition: Exposition, *, endpoint: Endpoint) -> EngineAnswer:
    """What the engine told at its version path, were it nothing."""
    body = _object(exposition)
    version = body if isinstance(body, MissingReason) else _version(body.get(endpoint.version_key))
    is_its_own = not isinstance(body, MissingReason) and endpoint.version_key in body
    return EngineAnswer(
        version=version,
        never_sleeps=is_its_own
        and endpoint.sleep_key is not None
        and endpoint.sleep_key not in body,
        told_timestamp_seconds=exposition.observed_timestamp_seconds,
    )


def _object(exposition: Exposition) -> dict[str | None, object] | MissingReason:
    """The JSON object it answered."""
    if exposition.text is None:
        return MissingReason.SOURCE_UNREACHABLE
    try:
        body = json.loads(exposition.text)
    except (ValueError, RecursionError):
        return MissingReason.SERIES_ABSENT
    return body if isinstance(body, dict) else MissingReason.SERIES_ABSENT


def _version(told: object) -> str | MissingReason:
    if not isinstance(told, str) or not 0 < len(told.strip()) <= _LONGEST_VERSION:
        return MissingReason.SERIES_ABSENT
    return told.strip() if _says_something(told) else MissingReason.CANNOT_SEE


def _says_something(version: str) -> bool:
    """Whether it is more than zeros, as of llama.cpp's that was not built by its own pipeline."""
    try:
        return any(version_numbers(version))
    except ValueError:
        return True
