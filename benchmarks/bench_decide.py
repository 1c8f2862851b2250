"""Time of one `decide()` for 1, 100 and 1,000 services, for 10,000 variants, and how it grows.

Also the memory of the largest, and the time to share 8 pools among 6 services exactly.

Run from the repository root: python benchmarks/bench_decide.py [--profile] [--write]
`--write` renews docs/benchmarks/decide.md; `--profile` prints the hottest functions at 10,000 variants.
"""

import argparse
import cProfile
import platform
import pstats
import resource
import sys
import time
from dataclasses import dataclass
from math import floor
from pathlib import Path
from struct import pack

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from autoscaler.decide import Decided, decide  # noqa: E402
from autoscaler.forecast.day_profile import BIN_SECONDS  # noqa: E402
from autoscaler.model.state import (  # noqa: E402
    PROFILE_PLACES,
    BurnCurve,
    ControllerState,
    DayProfile,
    ScaleFit,
)
from autoscaler.plan.allocate import Bid, Budgets  # noqa: E402
from autoscaler.plan.share import share  # noqa: E402
from autoscaler.slo.budget import Events  # noqa: E402
from autoscaler.slo.burn_curve import with_look  # noqa: E402
from collector.model.catalogue import Catalogue  # noqa: E402
from collector.model.history import History  # noqa: E402
from collector.model.ids import PoolName, ServiceName, VariantName  # noqa: E402
from collector.model.snapshot import Snapshot  # noqa: E402
from support.builders import (  # noqa: E402
    NOW,
    SMALL,
    TTFT_OBJECTIVE,
    make_catalogue,
    make_history,
    make_replica_views,
    make_service,
    make_service_state,
    make_snapshot,
    make_state,
    make_variant,
    make_view,
    steady,
)

SIZES = (1, 100, 1000)
REPLICAS = 3
HISTORY_BINS = 248  # an hour, as far as forecasts look back
MAX_RATIO = 11.0  # time(1,000) / time(100): linear with a tenth to spare
MAX_ONE_SERVICE_SECONDS = 0.001
VARIANTS = 4
VARIANT_SIZES = (250, 2500)  # services; 1,000 and 10,000 variants
MAX_TICK_SECONDS = 2.0
MAX_MEMORY_BYTES = int(1.5 * 2**30)


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


def make_scene(count: int, *, variants: int = 1) -> Scene:
    """`count` services with three replicas, an hour of history and what it has taught, each."""
    kinds = [make_variant(SMALL)]
    kinds += [make_variant(f"kind-{k}", cost_per_hour=1.0 + k) for k in range(1, variants)]
    names = [f"service-{i:05}" for i in range(count)]
    learned = ScaleFit(
        gram=(1.0,) * 21,
        moment=(1.0,) * 6,
        weights=(0.2,) * 6,
        rows_total=240,
        error_rows=173.0,
        error_square_sum=7.0,
        last_timestamp_seconds=NOW - 30.0,
        day_profile=DayProfile(
            work=pack("<f", 2.0) * PROFILE_PLACES,
            days=b"\x02" * PROFILE_PLACES,
            next_bin=floor((NOW - 45.0 * 60.0) / BIN_SECONDS) - 1,
        ),
    )
    burned = Events(seconds=15.0, bad=(3.0,), judged=(100.0,))
    curve = with_look(BurnCurve(), burned, objectives=(TTFT_OBJECTIVE,), load=0.9)
    known = make_service_state(scale_fit=learned, burn_curve=curve)
    return Scene(
        snapshot=make_snapshot(
            services=[make_view(name) for name in names],
            replicas=[view for n in names for view in make_replica_views(REPLICAS, service=n)],
        ),
        history=make_history(
            {name: steady(1.0 + i % 7, bins=HISTORY_BINS) for i, name in enumerate(names)},
            bins=HISTORY_BINS,
        ),
        catalogue=make_catalogue(
            *(make_service(name, variants=tuple(kinds)) for name in names), pool_bytes=2**60
        ),
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


def seconds_to_share(*, pools: int = 8, services: int = 6) -> float:
    """CPU seconds of one allocation: each service bids in each pool, in sizes of its own."""
    bids = [
        Bid(
            service=ServiceName(f"s{s}"),
            variant=VariantName(f"v{p}"),
            index=k,
            pool=PoolName(f"p{p}"),
            memory_bytes=(3 + (7 * s) % 11) * 2**30,
            value_per_hour=10.0 * (1 + (5 * s + p) % 6) / (k + 1),
            is_incumbent=k == 0,
            is_young=False,
            is_required=False,
        )
        for p in range(pools)
        for s in range(services)
        for k in range(3)
    ]
    budgets = Budgets(pool_bytes={PoolName(f"p{p}"): 80 * 2**30 for p in range(pools)})
    share(bids, budgets=budgets)  # the solver is imported at its first use
    begin = time.process_time()
    share(bids, budgets=budgets)
    return time.process_time() - begin


def many_variants() -> tuple[str, bool]:
    """The lines about 10,000 variants, and whether they are within the budget."""
    taken = {n: best_seconds(make_scene(n, variants=VARIANTS), repeats=3) for n in VARIANT_SIZES}
    small, large = taken[VARIANT_SIZES[0]], taken[VARIANT_SIZES[1]]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    shared = seconds_to_share()
    text = "\n".join(
        (
            "| what | measured | budget |",
            "|---|---:|---:|",
            f"| {VARIANT_SIZES[1] * VARIANTS:,} variants of {VARIANT_SIZES[1]:,} services, CPU | "
            f"{large:.2f} s | {MAX_TICK_SECONDS:.0f} s |",
            f"| over {VARIANT_SIZES[0] * VARIANTS:,} variants | {large / small:.1f} times | "
            f"{MAX_RATIO:.0f} times |",
            f"| memory of the whole process | {memory / 2**30:.2f} GiB | 1.5 GiB |",
            f"| 8 pools shared exactly among 6 services, 144 replicas | {shared * 1e3:.0f} ms | |",
        )
    )
    is_within = large <= MAX_TICK_SECONDS and large / small <= MAX_RATIO
    return text, is_within and memory <= MAX_MEMORY_BYTES


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
        profile(make_scene(VARIANT_SIZES[-1], variants=VARIANTS))
        return 0
    seconds = {
        count: best_seconds(make_scene(count), repeats=30 if count < 1000 else 5) for count in SIZES
    }
    variants, is_within = many_variants()
    text = f"{table(seconds)}\n\n{variants}"
    print(text)
    if given.write:
        write_page(text)
    is_linear = seconds[1000] / seconds[100] <= MAX_RATIO
    return 0 if is_within and is_linear and seconds[1] <= MAX_ONE_SERVICE_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
