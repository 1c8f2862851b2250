"""What would be decided now, from a checkpoint, without doing it: the same `decide`, no executor."""

from dataclasses import dataclass
from pathlib import Path

from autoscaler.checkpoint import FILE_NAME, load_checkpoint
from autoscaler.decide import decide
from autoscaler.model.decision import Decision
from collector.catalogue_file import read_catalogue
from foresail.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanResult:
    """Decisions and how old what they were made from is."""

    decisions: tuple[Decision, ...]
    age_seconds: float


def plan(settings: Settings, *, checkpoint: Path | None, now: float) -> PlanResult | None:
    """The decisions on the last checkpoint, under the catalogue as it is in the file now.

    None where no controller has saved one yet: nothing is known to decide on.

    A checkpoint that is named explicitly may be from elsewhere: it brings its own catalogue. Decides
    as of the checkpoint's own moment: its readings were fresh then, and would all be stale now. Raises
    CheckpointError, also for a named one that is not there, and CatalogueError.
    """
    if checkpoint is None and not (settings.checkpoint_path / FILE_NAME).exists():
        read_catalogue(settings.catalogue_path)
        return None
    saved = load_checkpoint(checkpoint or settings.checkpoint_path)
    catalogue = saved.catalogue if checkpoint else read_catalogue(settings.catalogue_path)
    decided = decide(
        snapshot=saved.snapshot,
        history=saved.history,
        catalogue=catalogue,
        state=saved.state,
        now=saved.now,
    )
    return PlanResult(decisions=decided.decisions, age_seconds=max(0.0, now - saved.now))
