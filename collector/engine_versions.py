"""Which version each engine runs: asked where its contract says that anybody may, and remembered.

In: the replicas whose pages are read, and the answers. Out: a reading per replica. A version is asked
for once per start: an engine that fell silent may come back as another one, and behind an address of
somebody else it may be exchanged unseen, so that is asked again now and then. Part of the shell of
`Observer`; does no I/O itself. Must not ask a path that the contract does not call safe.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from collector.clock import Clock
from collector.model.contract import Endpoint
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
class _Answer:
    told: str | MissingReason
    ask_again_monotonic_seconds: float


class EngineVersions:
    """Remembers answers between rounds."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._answers: dict[ReplicaId, _Answer] = {}

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
        for question, answer in answers:
            told = _version(answer, key=question.endpoint.version_key)
            old = self._answers.get(question.replica_id)
            if isinstance(told, MissingReason) and old is not None:
                told, wait = old.told, RETRY_SECONDS
            else:
                wait = RETRY_SECONDS if isinstance(told, MissingReason) else KEPT_SECONDS
            self._answers[question.replica_id] = _Answer(
                told=told, ask_again_monotonic_seconds=now + wait
            )

    def readings(self, pages: Mapping[str, Exposition]) -> Mapping[ReplicaId, Reading[str]]:
        """What is known of those whose page was read; the others are forgotten.

        A version holds as long as the engine that told it lives, so it is as young as its page.
        """
        found: dict[ReplicaId, Reading[str]] = {}
        for replica_id, answer in tuple(self._answers.items()):
            page = pages.get(replica_id)
            if page is None or page.text is None:
                del self._answers[replica_id]
            elif isinstance(answer.told, MissingReason):
                found[replica_id] = Missing(reason=answer.told, source="engine")
            else:
                found[replica_id] = Fresh(
                    value=answer.told,
                    observed_timestamp_seconds=page.observed_timestamp_seconds,
                    source="engine",
                )
        return found


def _version(answer: Exposition, *, key: str | None) -> str | MissingReason:
    """The text under `key` of a JSON object."""
    if answer.text is None:
        return MissingReason.SOURCE_UNREACHABLE
    try:
        body = json.loads(answer.text)
    except (ValueError, RecursionError):
        return MissingReason.SERIES_ABSENT
    told = body.get(key) if isinstance(body, dict) else None
    is_usable = isinstance(told, str) and 0 < len(told.strip()) <= _LONGEST_VERSION
    return told.strip() if isinstance(told, str) and is_usable else MissingReason.SERIES_ABSENT
