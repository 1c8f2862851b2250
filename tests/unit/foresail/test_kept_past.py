"""Which history tells the days before the start: none in memory, files, or a Prometheus that scrapes often."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.gateway.settings import GatewaySettings
from collector.history.memory import MemoryHistoryStore
from collector.history.past import ScrapedPast, StoredPast
from collector.ports import RangeAnswer, RangeReader
from foresail.kept_history import kept_past
from foresail.settings import HistoryKind, Settings
from support.builders import make_catalogue


class Ranges:
    """Knows nothing; says whether it is open."""

    is_open = False

    def read_range(self, expression: str, **_: float) -> RangeAnswer:
        return RangeAnswer(series=())


@pytest.mark.parametrize(
    ("kind", "interval_seconds", "expected"),
    [
        pytest.param(HistoryKind.MEMORY, 15.0, None, id="memory-begins-with-the-process"),
        pytest.param(HistoryKind.DAY_FILES, 15.0, StoredPast, id="day-files"),
        pytest.param(HistoryKind.PROMETHEUS, 15.0, ScrapedPast, id="prometheus"),
        pytest.param(HistoryKind.PROMETHEUS, 300.0, ScrapedPast, id="scraped-every-five-minutes"),
        pytest.param(HistoryKind.PROMETHEUS, 301.0, None, id="scraped-too-seldom"),
    ],
)
def test_the_past_is_read_where_the_history_is_kept(
    kind: HistoryKind, interval_seconds: float, expected: type | None, tmp_path: Path
) -> None:
    ranges = Ranges()

    @contextlib.contextmanager
    def opened() -> Iterator[RangeReader]:
        ranges.is_open = True
        yield ranges
        ranges.is_open = False

    plain = Settings(
        catalogue_path=tmp_path / "catalogue.yaml", gateway=GatewaySettings(state_dir=tmp_path)
    )
    settings = replace(
        plain,
        history=replace(plain.history, kind=kind),
        prometheus=replace(plain.prometheus, scrape_interval_seconds=interval_seconds),
    )
    with kept_past(
        settings,
        history=MemoryHistoryStore(bin_seconds=15.0, keep_seconds=3600.0),
        catalogue=make_catalogue,
        open_ranges=opened,
    ) as reader:
        assert (type(reader) if reader else None) is expected
        assert ranges.is_open == (expected is ScrapedPast)
    assert not ranges.is_open
