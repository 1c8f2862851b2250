"""`ExpositionReader` that answers from a table; held to the port by tests/contracts."""

from collections.abc import Mapping, Sequence

from collector.clock import Clock
from collector.ports import Exposition, ScrapeTarget


class FakeExpositionReader:
    """Pages by target key; a key that is not there answers like a closed port."""

    def __init__(self, *, clock: Clock) -> None:
        self.pages: dict[str, str] = {}
        self.asked: list[tuple[ScrapeTarget, ...]] = []  # one entry per call
        self._clock = clock

    async def read_expositions(self, targets: Sequence[ScrapeTarget]) -> Mapping[str, Exposition]:
        self.asked.append(tuple(targets))
        return {target.key: self._answer(target) for target in targets}

    def _answer(self, target: ScrapeTarget) -> Exposition:
        text = self.pages.get(target.key)
        return Exposition(
            key=target.key,
            text=text,
            error=f"{target.url}: connection refused" if text is None else None,
            observed_timestamp_seconds=self._clock.timestamp_seconds(),
        )
