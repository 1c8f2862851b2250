"""Time of one `decide()` for 1, 100 and 1,000 services, and how it grows.

Run from the repository root: python benchmarks/bench_decide.py [--profile] [--write]
`--write` renews docs/benchmarks/decide.md; `--profile` prints the hottest functions at 1,000.
"""

import argparse
import cProfile
import platform
import pstats
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from autoscaler.decide import Decided, decide  # noqa: E402
from autoscaler.model.state import ControllerState, ScaleFit  # noqa: E402
from collector.model.catalogue import Catalogue  # noqa: E402
from collector.model.history import History  # noqa: E402
from collector.model.snapshot import Snapshot  # noqa: E402
from support.builders import (  # noqa: E402
    NOW,
    make_catalogue,
    make_history,
    make_replica_views,
    make_service,
    make_service_state,
    make_snapshot,
    make_state,
    make_view,
    steady,
)

SIZES = (1, 100, 1000)
REPLICAS = 3
HISTORY_BINS = 248  # an hour, as far as forecasts look back
MAX_RATIO = 11.0  # time(1,000) / time(100): linear with a tenth to spare
MAX_ONE_SERVICE_SECONDS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything one call takes."""

    snapshot: Snapshot
    history: History
    catalogue: Catalogue
    state: ControllerState

    def decide(self, *, now: float) -> Decided:
        return decide(
            snapshot=self.snapshot,
            history=self.history,
            catalogue=self.catalogue,
            state=self.state,
            now=now,
        )


def make_scene(count: int) -> Scene:
    """`count` services with three replicas, an hour of history and what it has taught, each."""
    names = [f"service-{i:05}" for i in range(count)]
    learned = ScaleFit(
        gram=(1.0,) * 15,
        moment=(1.0,) * 5,
        weights=(0.2,) * 5,
        rows_total=240,
        error_rows=173.0,
        error_square_sum=7.0,
        last_timestamp_seconds=NOW - 30.0,
    )
    known = make_service_state(scale_fit=learned)
    return Scene(
        snapshot=make_snapshot(
            services=[make_view(name) for name in names],
            replicas=[view for n in names for view in make_replica_views(REPLICAS, service=n)],
        ),
        history=make_history(
            {name: steady(1.0 + i % 7, bins=HISTORY_BINS) for i, name in enumerate(names)},
            bins=HISTORY_BINS,
        ),
        catalogue=make_catalogue(*(make_service(name) for name in names)),
        state=make_state(**dict.fromkeys(names, known)),
    )


def best_seconds(scene: Scene, *, repeats: int) -> float:
    """CPU seconds of the quickest of some calls: the one that was disturbed least."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        scene.decide(now=NOW)
        times.append(time.process_time() - begin)
    return min(times)


def table(seconds: dict[int, float]) -> str:
    lines = ["| services | replicas | CPU per decide() | per service | ratio to the line above |"]
    lines.append("|---:|---:|---:|---:|---:|")
    before: float | None = None
    for count, taken in seconds.items():
        ratio = "" if before is None else f"{taken / before:.1f}"
        lines.append(
            f"| {count:,} | {count * REPLICAS:,} | {taken * 1e3:.2f} ms | "
            f"{taken / count * 1e3:.3f} ms | {ratio} |"
        )
        before = taken
    return "\n".join(lines)


def profile(scene: Scene) -> None:
    profiler = cProfile.Profile()
    profiler.enable()
    scene.decide(now=NOW)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(18)


def write_page(text: str) -> None:
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    page = f"""# Time of one decision tick

`decide()` for all services at once, each with {REPLICAS} replicas, an hour of 15 s bins and what it
has taught. CPU time of the quickest call, one core ({machine}).

{text}

Budget: one service within {MAX_ONE_SERVICE_SECONDS * 1e3:.0f} ms; ten times the services within {MAX_RATIO:.0f} times the time.

Renew it with `.venv/bin/python benchmarks/bench_decide.py --write`.
"""
    (ROOT / "docs/benchmarks/decide.md").write_text(page)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.profile:
        profile(make_scene(SIZES[-1]))
        return 0
    seconds = {
        count: best_seconds(make_scene(count), repeats=30 if count < 1000 else 5) for count in SIZES
    }
    text = table(seconds)
    print(text)
    if given.write:
        write_page(text)
    is_linear = seconds[1000] / seconds[100] <= MAX_RATIO
    return 0 if is_linear and seconds[1] <= MAX_ONE_SERVICE_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
