"""Names and identifiers as distinct types, so that a variant is never passed for a service.

Times: a point in time is a float named `…_timestamp_seconds` (seconds since the Unix epoch, UTC),
as in Prometheus; durations end in `_seconds`. Epoch seconds serialise exactly and work on a virtual
clock that starts at 0; they become dates only where a person reads them (ADR 0002).
"""

from typing import NewType

ServiceName = NewType("ServiceName", str)
VariantName = NewType("VariantName", str)
TierName = NewType("TierName", str)
PoolName = NewType("PoolName", str)
QuotaName = NewType("QuotaName", str)
ReplicaId = NewType("ReplicaId", str)
"""Unique for ever; chosen before the replica exists, so that it can be journaled first."""
DecisionId = NewType("DecisionId", str)
"""Digest of what a decision is about; the same inputs give the same id."""
