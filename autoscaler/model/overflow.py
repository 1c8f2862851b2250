"""What is decided about a service's overflow, and what is remembered for it."""

from dataclasses import dataclass
from enum import StrEnum


class OverflowReason(StrEnum):
    """Why a service's overflow is open, or closed."""

    # open
    SHORTFALL = "shortfall"  # what serves does not carry the demand, and that costs more
    HELD_REQUEST = "held_request"  # a request would be held for longer than its hold
    RECENTLY_NEEDED = "recently_needed"  # only what no replica has room for
    # closed
    NOT_NEEDED = "not_needed"
    NOT_WORTH_IT = "not_worth_it"  # its tokens cost more than the violations they avoid
    LENGTHS_UNKNOWN = "lengths_unknown"  # nobody knows yet how long answers are, so what they cost
    COST_LIMIT = "cost_limit"  # max_cost_per_hour was spent within the last hour
    SPENDING_UNKNOWN = "spending_unknown"  # the gateway does not say what was spent


@dataclass(frozen=True, slots=True, kw_only=True)
class OverflowPlan:
    """Whether a part of one service's requests is to go to its overflow until the next decision."""

    is_open: bool
    reason: OverflowReason
    share_ratio: float  # of arrivals; 0 while open: only what no replica has room for
    budget: float  # money that may still be spent within this hour
    spent_last_hour: float | None  # money; None: the gateway does not say
    violations_per_hour: float | None = None  # money that it avoids
    tokens_per_hour: float | None = None  # money that it costs
    prompt_tokens_total: float | None = None  # the gateway's counters that the budget was made from
    output_tokens_total: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Money spent within one minute."""

    timestamp_seconds: float  # when the first of it was seen
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OverflowState:
    """What is remembered about one service's overflow."""

    is_open: bool = False
    share_ratio: float = 0.0
    needed_timestamp_seconds: float | None = None  # when it was needed last
    prompt_tokens_total: float | None = None  # the gateway's counters at the last look
    output_tokens_total: float | None = None
    is_counted: bool = False  # whether it told them
    spending: tuple[Spending, ...] = ()  # of the last hour, oldest first, at most one per minute
