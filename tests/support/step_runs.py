"""Stretches of work as an engine of known costs would do them, for the fit of step times."""

from autoscaler.capacity.steps import StepTimes
from autoscaler.model.state import StepRun


def make_step_run(
    times: StepTimes,
    *,
    batch: float,
    prompt_tokens_per_second: float = 0.0,
    kv_ratio_per_sequence: float = 0.0,
    whole_kv_seconds: float = 0.0,
) -> StepRun:
    """A minute of one replica with these costs, `batch` sequences at a time.

    A whole KV cache makes a step longer by `whole_kv_seconds`; each sequence holds that share of it.
    """
    share = times.prompt_seconds_per_token * prompt_tokens_per_second
    kv_use = batch * kv_ratio_per_sequence
    tokens_seconds = times.output_seconds_per_token * batch + whole_kv_seconds * kv_use
    step = (times.floor_seconds + tokens_seconds) / (1.0 - share)
    tokens = 60.0 * batch / step
    return StepRun(
        replica_seconds=60.0,
        prompt_tokens=60.0 * prompt_tokens_per_second,
        output_tokens=tokens,
        kv_replica_seconds=60.0 * kv_use if kv_ratio_per_sequence else None,
        token_gaps=tokens,
        token_gap_seconds=tokens * step,
    )


def make_step_runs(
    times: StepTimes, *, count: int, most_prompt_share: float = 0.6
) -> list[StepRun]:
    """Minutes of changing load: batches of 4 to 100, up to a share of the time spent on prompts."""
    return [
        make_step_run(
            times,
            batch=4.0 + 96.0 * (i * 0.618034 % 1.0),
            prompt_tokens_per_second=most_prompt_share
            * (i * 0.414214 % 1.0)
            / times.prompt_seconds_per_token,
        )
        for i in range(count)
    ]
