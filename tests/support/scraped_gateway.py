"""The past of a gateway as an OpenMetrics file: what a Prometheus is given that was not there."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LABELS = 'job="gateway"'
Totals = Callable[[float], float]
"""Requests that have arrived until a moment."""


def write_scrapes(
    path: Path,
    *,
    moments: Sequence[float],
    arrived: Mapping[str, Totals],
    prompt_tokens: float,
    output_tokens: float,
) -> None:
    """Every service's counters at every moment; all requests are alike, and done as they come."""
    counters = {
        "foresail_requests_arrived": (1.0, ""),
        "foresail_requests_finished": (1.0, ',outcome="completed"'),
        "foresail_prompt_tokens_admitted": (prompt_tokens, ""),
        "foresail_output_tokens": (output_tokens, ""),
    }
    with path.open("w") as file:
        for name, (factor, more) in counters.items():
            file.write(f"# TYPE {name} counter\n")
            for service, totals in arrived.items():
                labels = f'service="{service}",{LABELS}{more}'
                file.writelines(
                    f"{name}_total{{{labels}}} {factor * totals(at):.3f} {at:.0f}\n"
                    for at in moments
                )
        file.write("# EOF\n")
