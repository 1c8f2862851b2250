"""From options and requests to a question that can be replayed.

In: `Options`, and the demand: one workload, or one per seed. Out: a `Question` and its `Subject`.
Raises ConfigurationError where nothing could be learned from an answer. Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoscaler.replay.baselines.peer_setup import PeerSetup
from autoscaler.replay.view import Objectives, Setting
from autoscaler.replay.workload import Workload
from collector.errors import ConfigurationError
from foresail.backtest.cell import Problem, initial_replicas
from foresail.backtest.engine_row import Engine, check_fits, read_engine
from foresail.backtest.options import MAX_ASKED_REPLICAS, Options
from foresail.backtest.policies import chosen_policies
from foresail.backtest.report import DAY_SECONDS, Subject
from foresail.backtest.study import Question

PEAK_FACTOR = 2.0
MAX_REPLAYED_DAYS = 50.0
"""Replay counts picoseconds in 64 bits: 53 days."""
MIN_LIMIT_REPLICAS = 4
"""Without --max-replicas: twice what the busiest five minutes take, and at least so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is to be served."""

    name: str
    model: str | None
    workloads: tuple[Workload, ...]  # one, or one per seed
    scale: int = 1
    is_reconstructed: bool = False
    notes: tuple[str, ...] = ()
    engine: Engine | None = None  # fitted to the same history; None: the row that was asked for


def prepare(options: Options, *, demand: Demand) -> tuple[Question, Subject]:
    """The question, and what it is about."""
    demand = replace(demand, workloads=_first_days(demand.workloads, days=options.days))
    engine = demand.engine or read_engine(options.engine)
    policies = chosen_policies(options.policies)
    check_fits(demand.workloads, engine=engine)
    tuning, end = _stretches(demand.workloads, options=options)
    problem = Problem(
        workloads=demand.workloads,
        setting=_setting(options, engine=engine, workload=demand.workloads[0]),
        tuning_seconds=tuning,
        end_seconds=end,
    )
    question = Question(
        problem=problem, policies=policies, seeds=options.seeds, is_sweep=options.is_sweep
    )
    return question, _subject(question, options=options, demand=demand)


def _first_days(workloads: Sequence[Workload], *, days: float | None) -> tuple[Workload, ...]:
    if days is None:
        return tuple(workloads)
    return tuple(each.between(0.0, days * DAY_SECONDS) for each in workloads)


def _stretches(workloads: Sequence[Workload], *, options: Options) -> tuple[float, float]:
    """(tuning, end) in seconds."""
    end = max(each.end_seconds for each in workloads)
    if options.days is not None:
        end = min(end, options.days * DAY_SECONDS)
    if end > MAX_REPLAYED_DAYS * DAY_SECONDS:
        raise ConfigurationError(
            f"the trace spans {end / DAY_SECONDS:.1f} days, and a replay {MAX_REPLAYED_DAYS:g} at most; give "
            f"--days {MAX_REPLAYED_DAYS:g} or fewer"
        )
    tuning = options.tune_days * DAY_SECONDS
    if end <= tuning or not any(len(each.between(tuning, end)) for each in workloads):
        raise ConfigurationError(
            f"the trace spans {end / DAY_SECONDS:.2f} days, and --tune-days {options.tune_days:g} "
            "leaves no request to score; give fewer, or 0 for the peers' documented defaults"
        )
    return tuning, end


def _setting(options: Options, *, engine: Engine, workload: Workload) -> Setting:
    setting = Setting(
        costs=engine.costs,
        limits=engine.limits,
        objectives=Objectives(
            time_to_first_token_seconds=options.time_to_first_token_seconds,
            output_token_seconds=options.output_token_seconds,
            target_ratio=options.target_ratio,
        ),
        provision_seconds=options.provision_seconds,
        min_replicas=1,
        max_replicas=options.max_replicas or MAX_ASKED_REPLICAS,
        gpus_per_replica=engine.gpus,
    )
    if options.max_replicas is not None:
        return setting
    return replace(setting, max_replicas=_default_limit(setting, workload=workload))


def _default_limit(setting: Setting, *, workload: Workload) -> int:
    whole = workload.end_seconds + 1.0
    peak = PeerSetup.learned(setting=setting, workload=workload, training_seconds=whole).peak_work()
    wanted = math.ceil(PEAK_FACTOR * peak)
    if wanted > MAX_ASKED_REPLICAS:
        raise ConfigurationError(
            f"the busiest five minutes take about {peak:.0f} replicas of --engine, and a backtest has "
            f"{MAX_ASKED_REPLICAS} at most; choose a quicker --engine or a smaller --scale"
        )
    return max(MIN_LIMIT_REPLICAS, wanted)


def _subject(question: Question, *, options: Options, demand: Demand) -> Subject:
    problem = question.problem
    setting = problem.setting
    first = problem.workload(0)
    return Subject(
        trace=demand.name,
        model=demand.model,
        requests=len(first),
        trace_days=problem.end_seconds / DAY_SECONDS,
        scale=demand.scale,
        is_reconstructed=demand.is_reconstructed,
        notes=demand.notes,
        engine=options.engine,
        gpus_per_replica=setting.gpus_per_replica,
        time_to_first_token_seconds=setting.objectives.time_to_first_token_seconds,
        output_token_seconds=setting.objectives.output_token_seconds,
        target_ratio=setting.objectives.target_ratio,
        provision_seconds=setting.provision_seconds,
        initial_replicas=initial_replicas(problem.setup(0), workload=first),
        max_replicas=setting.max_replicas,
        tuning_days=problem.tuning_seconds / DAY_SECONDS,
        scored_days=(problem.end_seconds - problem.tuning_seconds) / DAY_SECONDS,
        seeds=question.seeds,
    )
