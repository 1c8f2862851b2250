"""One round of looking: the snapshot and how the looking went. For the exporter and the status page."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from collector.model.catalogue import Catalogue
from collector.model.snapshot import Snapshot


class ObserveStep(StrEnum):
    """Parts of a round whose time is measured."""

    READ = "read"  # all sources at once
    ASSEMBLE = "assemble"  # pages parsed, normalised and joined
    RECORD = "record"  # increases computed and appended to the history


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one round saw."""

    snapshot: Snapshot
    catalogue: Catalogue  # in force when the snapshot was taken
    step_seconds: Mapping[ObserveStep, float]
    source_errors_total: Mapping[str, int]  # {source: failed reads since start}
