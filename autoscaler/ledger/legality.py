"""Which journal entry may follow which.

In: the newest entry of an effect and the one to be added. Out: a refusal in one line, or None.
Asked by the ledger inside its transaction, so that two writers cannot both be right.
"""

from autoscaler.model.effect import NEXT, JournalEntry, Phase


def edge_fault(previous: JournalEntry | None, entry: JournalEntry) -> str | None:
    """Why `entry` may not be journaled after `previous`; None when it may."""
    if previous is None:
        if entry.phase is Phase.PREPARED:
            return None
        return f"effect {entry.effect_id} starts with {entry.phase}, it must start with prepared"
    if _identity(previous) != _identity(entry):
        return (
            f"effect {entry.effect_id} is about {previous.replica_id} and cannot change its subject"
        )
    allowed = NEXT[entry.kind].get(previous.phase, frozenset())
    if entry.phase in allowed:
        return None
    choice = ", ".join(sorted(allowed)) or "nothing"
    return (
        f"effect {entry.effect_id} ({entry.kind}) cannot go from {previous.phase} to "
        f"{entry.phase}; allowed: {choice}"
    )


def _identity(entry: JournalEntry) -> tuple[str, ...]:
    return (entry.decision_id, entry.kind, entry.service, entry.variant, entry.replica_id)
