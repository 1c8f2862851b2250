"""Facts that reach the state between ticks: reported by the executor, or read out of the history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from autoscaler.model.state import DayProfile
from collector.model.catalogue import CapacityPrior
from collector.model.ids import ReplicaId, ServiceName, VariantName


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaReady:
    """A start succeeded and was verified."""

    service: ServiceName
    variant: VariantName
    replica_id: ReplicaId
    lead_time_seconds: float  # from the decision to the first token
    probed_capacity: CapacityPrior | None = None
    kind: Literal["replica_ready"] = "replica_ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStartFailed:
    """A start failed and was rolled back."""

    service: ServiceName
    variant: VariantName
    replica_id: ReplicaId
    failed_timestamp_seconds: float
    message: str
    ordered_timestamp_seconds: float | None = None  # None: not told
    kind: Literal["replica_start_failed"] = "replica_start_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaDied:
    """A serving replica ended without being told to."""

    service: ServiceName
    variant: VariantName
    replica_id: ReplicaId
    died_timestamp_seconds: float
    lived_seconds: float  # since it served first; a short life counts as a failed start
    message: str
    kind: Literal["replica_died"] = "replica_died"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDaysTold:
    """History from before the start has told services what their days are like."""

    profiles: Mapping[ServiceName, DayProfile]  # each goes on where its `next_bin` says


Event = ReplicaReady | ReplicaStartFailed | ReplicaDied
"""What happened to a replica."""
