"""Which overflows the gateway is given leave to use. Pure.

In: the decisions of one tick. Out: one grant per overflow that they open. There is nothing to journal
and nothing to undo: the ledger has the decision before the grant is written, a grant that is not renewed
ends at the gateway by itself, and a decision that opens nothing closes it at once.
"""

from collections.abc import Iterable

from autoscaler.model.decision import Decision
from collector.model.overflow import OverflowGrant

LEASE_INTERVALS = 4.0
"""A lease outlives so many decisions less one that fail; with one each 15 s it ends after a minute."""
MIN_LEASE_SECONDS = 2.0


def overflow_grants(
    decisions: Iterable[Decision], *, decide_interval_seconds: float
) -> tuple[OverflowGrant, ...]:
    """Grants for the overflows that these decisions open."""
    lease = max(MIN_LEASE_SECONDS, LEASE_INTERVALS * decide_interval_seconds)
    return tuple(
        OverflowGrant(
            service=each.service,
            granted_timestamp_seconds=each.decided_timestamp_seconds,
            lease_seconds=lease,
            share_ratio=each.overflow.share_ratio,
            budget=each.overflow.budget,
            prompt_tokens_total=each.overflow.prompt_tokens_total,
            output_tokens_total=each.overflow.output_tokens_total,
        )
        for each in decisions
        if each.overflow is not None and each.opens_overflow
    )
