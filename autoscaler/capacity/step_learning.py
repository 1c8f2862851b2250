"""From consecutive snapshots to rows for the step-time fit of a variant. Pure.

In: a service's view, the increases of its replicas' counters. Out: the running sum, and the fit when
the sum was enough for a row. Only while a single variant serves: the times between tokens are the
service's, and two kinds of engine would share them.
"""

from dataclasses import dataclass, replace

from autoscaler.capacity.steps import add_run, is_whole
from autoscaler.model.state import ServiceState, StepFit, StepRun, TokenGapTotals
from collector.model.histogram import Histogram
from collector.model.reading import fresh_value
from collector.model.snapshot import ServiceView


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDone:
    """What all serving replicas of one variant did between two looks."""

    replica_seconds: float = 0.0
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0
    kv_replica_seconds: float | None = 0.0  # None: of one of them the KV cache was not told
    is_saturated: bool = True  # every one of them, at both looks

    def plus(
        self,
        *,
        seconds: float,
        prompt_tokens: float,
        output_tokens: float,
        kv_use_ratio: float | None,
        is_saturated: bool,
    ) -> "WorkDone":
        """With one replica more; `kv_use_ratio` is the mean over those seconds."""
        kv_seconds = None if kv_use_ratio is None else kv_use_ratio * seconds
        return WorkDone(
            replica_seconds=self.replica_seconds + seconds,
            prompt_tokens=self.prompt_tokens + prompt_tokens,
            output_tokens=self.output_tokens + output_tokens,
            kv_replica_seconds=_sum(self.kv_replica_seconds, kv_seconds),
            is_saturated=self.is_saturated and is_saturated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLesson:
    """What one tick taught."""

    service: ServiceState
    fit: StepFit


def learn_steps(
    known: ServiceState,
    *,
    view: ServiceView | None,
    done: WorkDone | None,
    fit: StepFit,
    slots: int,
) -> StepLesson:
    """The state after this look. `done` None: not to be told, e.g. replicas came or went unread."""
    totals = _totals(view)
    before = known.token_gap_totals
    known = replace(known, token_gap_totals=totals)
    if totals is None or before is None or done is None or totals.token_gaps < before.token_gaps:
        return StepLesson(service=replace(known, step_run=StepRun()), fit=fit)
    run = _extended(known.step_run, done=done, before=before, totals=totals)
    if not is_whole(run):
        return StepLesson(service=replace(known, step_run=run), fit=fit)
    return StepLesson(
        service=replace(known, step_run=StepRun()), fit=add_run(fit, run, slots=slots)
    )


def _sum(first: float | None, second: float | None) -> float | None:
    """Not told of a part is not told of the whole."""
    return None if first is None or second is None else first + second


def _totals(view: ServiceView | None) -> TokenGapTotals | None:
    histogram: Histogram | None = fresh_value(view.latency.inter_token_latency) if view else None
    if histogram is None:
        return None
    return TokenGapTotals(token_gaps=histogram.total, token_gap_seconds=histogram.sum)


def _extended(
    run: StepRun, *, done: WorkDone, before: TokenGapTotals, totals: TokenGapTotals
) -> StepRun:
    return StepRun(
        replica_seconds=run.replica_seconds + done.replica_seconds,
        unsaturated_replica_seconds=run.unsaturated_replica_seconds
        + (0.0 if done.is_saturated else done.replica_seconds),
        prompt_tokens=run.prompt_tokens + done.prompt_tokens,
        output_tokens=run.output_tokens + done.output_tokens,
        kv_replica_seconds=_sum(run.kv_replica_seconds, done.kv_replica_seconds),
        token_gaps=run.token_gaps + totals.token_gaps - before.token_gaps,
        token_gap_seconds=run.token_gap_seconds
        + totals.token_gap_seconds
        - before.token_gap_seconds,
    )
