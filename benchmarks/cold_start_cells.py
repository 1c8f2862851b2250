"""One service's first hour in replay, and the tuning of the peers it is held against; for bench_cold_start.py.

In: a folder of traces and a `Case` (trace, mean need, start time). Out: records of replays, each of one policy at one
knob: of a whole day (`tuning`) or of the first hour from a birth on. Deterministic. Writes nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from autoscaler.replay.baselines.peer_setup import PeerSetup
from autoscaler.replay.baselines.registry import BASELINES
from autoscaler.replay.decide_policy import DecidePolicy
from autoscaler.replay.run import Conditions, replay
from autoscaler.replay.score import Score
from autoscaler.replay.view import Objectives, Policy, Setting
from autoscaler.replay.workload import Workload
from foresail.backtest.cell import initial_replicas
from foresail.backtest.engine_row import read_engine
from foresail.backtest.superpose import superposed
from foresail.backtest.trace_file import read_trace

FORESAIL = "foresail"
PEERS = ("work_rule", "hpa_concurrency_paced", "llmd_slo_keda", "dynamo_throughput_kalman")
TARGET_RATIO = 0.99
HOUR_SECONDS = 3600.0
DAY_SECONDS = 86400.0
BIRTHS_HOURS = (0, 6, 9, 12, 18)
SEED = 0
PEAK_FACTOR = 3.0
MIN_LIMIT_REPLICAS = 16
MIN_MINUTE_REPLICAS = 1.0
"""A birth counts when some minute of its hour needs as much: less is nothing to scale for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEntry:
    """A trace and the engines it meets, as in benchmarks/control_quality/traces.yaml where it is there."""

    file: str
    row: str
    model: str | None = None
    time_to_first_token_seconds: float = 2.0

    @property
    def name(self) -> str:
        return self.file if self.model is None else f"{self.file}:{self.model}"


GB10 = "llama-3.1-8b-fp8-gb10"
TRACES = (
    TraceEntry(file="o365_llama2_70b_7d", row=GB10),
    TraceEntry(file="o365_llama32_3b_7d", row=GB10),
    TraceEntry(file="servegen_m_large_d0-8", row=GB10),
    TraceEntry(file="servegen_m_mid_d0-8", row=GB10),
    TraceEntry(file="servegen_m_small_d0-8", row="gpt-oss-20b-mxfp4-gb10"),
    TraceEntry(file="servegen_tenants12_d0-4", model="svc-00", row=GB10),
    TraceEntry(file="servegen_deepseek_r1_1day", row="llama-3.1-8b-h100-tp1"),
    TraceEntry(file="azure2023_code", row=GB10),
    # A prompt of 85,000 tokens takes four seconds on an idle engine.
    TraceEntry(
        file="mooncake_conversation", row="llama-3.1-8b-h100-tp1", time_to_first_token_seconds=10.0
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One trace at one scale under one start time."""

    entry: TraceEntry
    need_replicas: float  # mean over the day
    start_seconds: float

    @property
    def name(self) -> str:
        return f"{self.entry.name}|{self.need_replicas:g}|{self.start_seconds:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One finished replay."""

    case: str
    policy: str
    knob: float | None
    birth_hour: int | None  # None: of the whole day, for tuning
    offered_requests: int
    lost_requests: int  # outside their objectives, or not answered at all
    gpu_hours: float

    @property
    def attainment_ratio(self) -> float:
        return 1.0 - self.lost_requests / self.offered_requests if self.offered_requests else 1.0

    @property
    def key(self) -> tuple[str, str, float | None, int | None]:
        return self.case, self.policy, self.knob, self.birth_hour


@dataclass(frozen=True, kw_only=True)  # no slots: the setup is kept
class Ground:
    """A case with its requests read, ready to be replayed."""

    case: Case
    day: Workload

    @classmethod
    def read(cls, case: Case, *, folder: Path) -> "Ground":
        """Raises ConfigurationError for a file that is no trace."""
        entry = case.entry
        trace = read_trace(str(folder / f"{entry.file}.parquet"), model=entry.model)
        one_day = _fitting(trace.workload.between(0.0, DAY_SECONDS), row=entry.row)
        plain = cls(case=case, day=one_day)
        work = float(plain.setup.work.per_request(one_day).sum()) / one_day.end_seconds
        return cls(case=case, day=scaled(one_day, factor=case.need_replicas / work))

    @cached_property
    def setting(self) -> Setting:
        unlimited = self._setting(MIN_LIMIT_REPLICAS)
        peak = PeerSetup.learned(
            setting=unlimited, workload=self.day, training_seconds=DAY_SECONDS
        ).peak_work()
        return self._setting(max(MIN_LIMIT_REPLICAS, math.ceil(PEAK_FACTOR * peak)))

    def _setting(self, limit: int) -> Setting:
        entry, engine = self.case.entry, read_engine(self.case.entry.row)
        return Setting(
            costs=engine.costs,
            limits=engine.limits,
            objectives=Objectives(
                time_to_first_token_seconds=entry.time_to_first_token_seconds,
                output_token_seconds=0.2,
                target_ratio=TARGET_RATIO,
            ),
            provision_seconds=self.case.start_seconds,
            min_replicas=1,
            max_replicas=limit,
            gpus_per_replica=engine.gpus,
        )

    @cached_property
    def setup(self) -> PeerSetup:
        """What peers are told: the truth about the engine, and the mean lengths of the whole day."""
        return PeerSetup.learned(
            setting=self.setting, workload=self.day, training_seconds=DAY_SECONDS
        )

    def births_hours(self) -> tuple[int, ...]:
        """Those with something to scale for; the beginning alone of a trace of an hour."""
        if self.day.end_seconds < 2 * HOUR_SECONDS:
            return (0,)
        return tuple(each for each in BIRTHS_HOURS if self._peak(each) > MIN_MINUTE_REPLICAS)

    def _peak(self, birth_hour: int) -> float:
        hour = self.hour(birth_hour)
        minutes = (hour.arrival_seconds / 60.0).astype(np.int64)
        work = np.bincount(minutes, weights=self.setup.work.per_request(hour), minlength=1)
        return float(work.max()) / 60.0

    def hour(self, birth_hour: int) -> Workload:
        since = birth_hour * HOUR_SECONDS
        return self.day.between(since, since + HOUR_SECONDS)

    def policy(self, name: str, *, knob: float | None) -> Policy:
        """Foresail knows neither what a replica sustains nor how long a start takes."""
        if name == FORESAIL or knob is None:
            return DecidePolicy(self.setting, is_probed=False)
        return BASELINES[name].build(self.setup, knob)

    def first_hour(self, name: str, *, knob: float | None, birth_hour: int) -> Record:
        """From one replica that serves."""
        hour = self.hour(birth_hour)
        outcome = replay(
            hour,
            setting=self.setting,
            policy=self.policy(name, knob=knob),
            conditions=Conditions(seed=SEED, initial_replicas=1),
            end_seconds=HOUR_SECONDS,
        )
        found = outcome.score(0.0, HOUR_SECONDS)
        return self._record(found, name=name, knob=knob, birth_hour=birth_hour)

    def whole_day(self, name: str, *, knob: float | None) -> Record:
        """From as many replicas as its beginning needs, as the tuning of a backtest."""
        end = self.day.end_seconds
        outcome = replay(
            self.day,
            setting=self.setting,
            policy=self.policy(name, knob=knob),
            conditions=Conditions(
                seed=SEED, initial_replicas=initial_replicas(self.setup, workload=self.day)
            ),
        )
        return self._record(outcome.score(0.0, end), name=name, knob=knob, birth_hour=None)

    def _record(
        self, found: Score, *, name: str, knob: float | None, birth_hour: int | None
    ) -> Record:
        return Record(
            case=self.case.name,
            policy=name,
            knob=knob,
            birth_hour=birth_hour,
            offered_requests=found.offered_requests,
            lost_requests=round(found.offered_requests * (1.0 - found.attainment_ratio)),
            gpu_hours=round(found.gpu_hours, 4),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One that may have to be run."""

    ground: Ground
    policy: str
    knob: float | None
    birth_hour: int | None

    @property
    def key(self) -> tuple[str, str, float | None, int | None]:
        """As of its record."""
        return self.ground.case.name, self.policy, self.knob, self.birth_hour

    def run(self) -> Record:
        if self.birth_hour is None:
            return self.ground.whole_day(self.policy, knob=self.knob)
        return self.ground.first_hour(self.policy, knob=self.knob, birth_hour=self.birth_hour)


Run = Callable[[Replay], Record]


def scaled(workload: Workload, *, factor: float) -> Workload:
    """`factor` times the requests: whole copies laid on each other, thinned to what was asked for."""
    copies = math.ceil(factor)
    many = superposed(workload, copies=copies, seed=SEED)
    kept = np.random.default_rng(SEED).random(len(many)) < factor / copies
    return Workload(
        arrival_seconds=many.arrival_seconds[kept],
        prompt_tokens=many.prompt_tokens[kept],
        output_tokens=many.output_tokens[kept],
    )


def _fitting(workload: Workload, *, row: str) -> Workload:
    """Without requests that no replica of the row could ever hold."""
    limit = read_engine(row).limits.kv_capacity_tokens
    fits = workload.prompt_tokens + workload.output_tokens <= limit
    return Workload(
        arrival_seconds=workload.arrival_seconds[fits],
        prompt_tokens=workload.prompt_tokens[fits],
        output_tokens=workload.output_tokens[fits],
    )


def curve_birth_hour(births_hours: Sequence[int]) -> int:
    """The birth for which every knob is replayed: in the morning."""
    return 9 if 9 in births_hours else births_hours[0]


def tuned(days: Sequence[Record]) -> float | None:
    """The cheapest knob that kept the target on the whole day, else the one that kept most."""
    good = [each for each in days if each.attainment_ratio >= TARGET_RATIO]
    if good:
        return min(good, key=lambda each: each.gpu_hours).knob
    return min(days, key=lambda each: each.lost_requests).knob


def tuning_records(ground: Ground, *, peer: str, run: Run) -> list[Record]:
    """Of the halving search for the largest knob that keeps the target: larger ones are all cheaper."""
    grid = BASELINES[peer].grid(ground.setup)
    found = []
    low, high = 0, len(grid)  # grid[low - 1] keeps the target, grid[high] does not
    while low < high:
        middle = (low + high) // 2
        found.append(run(Replay(ground=ground, policy=peer, knob=grid[middle], birth_hour=None)))
        if found[-1].attainment_ratio >= TARGET_RATIO:
            low = middle + 1
        else:
            high = middle
    return found
