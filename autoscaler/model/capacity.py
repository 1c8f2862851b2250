"""What one replica sustains inside the objectives, as an interval."""

from dataclasses import dataclass

from autoscaler.model.demand import Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Cost of work and the work one replica sustains.

    With all slots busy an iteration costs a + b x slots and gives one token per slot, and each prompt
    token costs d; so work is linear in both token kinds (the saturated case of the iteration-time
    model t = max(a, p0 + d P) + b B).
    """

    prompt_seconds_per_token: float
    output_seconds_per_token: float
    low_ratio: (
        float  # replica-seconds of work per second, lower bound; 1 is what the prior promised
    )
    high_ratio: float
    sample_count: int  # measured near saturation; 0: the prior alone
    is_provisional: bool = False  # from so little that it may add replicas and take none away

    def work_ratio(self, rates: Rates) -> float:
        """Replica-seconds of work per second that this demand means."""
        return (
            rates.prompt_tokens_per_second * self.prompt_seconds_per_token
            + rates.output_tokens_per_second * self.output_seconds_per_token
        )
