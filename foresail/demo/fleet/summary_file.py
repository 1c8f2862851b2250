"""The summary of a fleet demo as a JSON file."""

from pathlib import Path

from collector.errors import CollectorError
from foresail.demo.fleet.bodies import FleetSummary


def write_summary(summary: FleetSummary, *, path: Path | None) -> None:
    """Written, where a file was asked for. Raises CollectorError."""
    if path is None:
        return
    try:
        path.write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CollectorError(f"demo: cannot write {path}: {error.strerror}") from error
