"""Whether one more replica fits into its memory pool. Pure.

In: what it needs, what the others in the pool hold, the pool's budget and what the host has left.
Out: a refusal in one line, or None. Asked right before a start, after everything slow is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.model.catalogue import MemoryPool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryHolder:
    """Another replica in the pool."""

    footprint_bytes: int  # the most one of its variant was seen to hold, else declared
    measured_bytes: float | None  # what it holds now; None when that is not known
    is_growing: bool  # still loading: it will take its footprint, whatever it holds now

    @property
    def claimed_bytes(self) -> float:
        """What counts as taken; a replica nobody measured counts with its footprint."""
        if self.measured_bytes is None:
            return self.footprint_bytes
        if self.is_growing:
            return max(self.footprint_bytes, self.measured_bytes)
        return self.measured_bytes

    @property
    def outstanding_bytes(self) -> float:
        """What it will still take from the host."""
        if not self.is_growing:
            return 0.0
        return max(0.0, self.footprint_bytes - (self.measured_bytes or 0.0))


def memory_refusal(
    *,
    needed_bytes: int,
    holders: Sequence[MemoryHolder],
    pool: MemoryPool,
    available_bytes: float | None,
) -> str | None:
    """Why `needed_bytes` more do not fit, in one line; None when they do.

    `available_bytes` is what the host could still give; None when nobody knows: then the declared
    budget alone decides.
    """
    claimed = sum(holder.claimed_bytes for holder in holders)
    if needed_bytes + claimed > pool.budget_bytes:
        return (
            f"memory: {_mib(needed_bytes)} more do not fit pool {pool.name}: {_mib(claimed)} of "
            f"{_mib(pool.budget_bytes)} are taken by {len(holders)} replicas"
        )
    if available_bytes is None:
        return None
    free = available_bytes - sum(holder.outstanding_bytes for holder in holders)
    if needed_bytes > free:
        return (
            f"memory: {_mib(needed_bytes)} more do not fit: the host has {_mib(max(0.0, free))} "
            "left that is not promised, others use the rest"
        )
    return None


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"
