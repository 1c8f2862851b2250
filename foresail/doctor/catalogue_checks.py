"""Whether the catalogue says what its owner is likely to mean."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from collector.gateway.latency import DEFAULT_EDGES_SECONDS
from collector.model.catalogue import ActionKind, AuthorityLevel, Mode, Objective, Service
from collector.model.replica import EngineKind
from foresail.doctor.finding import Finding, ok, warning
from foresail.doctor.subject import Subject


def check_authority(subject: Subject) -> Iterator[Finding]:
    """Says plainly whether anything will be carried out."""
    authority = subject.catalogue.authority
    level = authority.level(ActionKind.SCALE)
    if authority.mode is Mode.DRY_RUN:
        yield warning(
            "authority",
            "authority.mode is dry_run: decisions are shown, no engine is started or stopped",
            next_step="set authority.mode to active when you like the decisions",
        )
    elif level is not AuthorityLevel.AUTO:
        yield warning(
            "authority",
            f"authority.scale is {level.value}: no engine is started or stopped",
            next_step="set authority.scale to auto, or start the engines yourself",
        )
    else:
        yield ok("authority", "active: Foresail starts and stops engines by itself")


def check_objectives(subject: Subject) -> Iterator[Finding]:
    """Whether thresholds are bucket edges where they are measured.

    The gateway adds them to its own edges, so what it measures is exact. vLLM's own series cannot be
    changed; a share read from those would be a guess between two edges. Where the gateway is left out,
    the looks at the engines' pages say which thresholds those cannot judge.
    """
    if not subject.settings.has_gateway:
        return
    found = tuple(
        finding
        for service in subject.catalogue.services
        if any(variant.engine is EngineKind.VLLM for variant in service.variants)
        for objective in service.objectives
        for finding in _off_edge(service, objective)
    )
    yield ok("objectives", "every threshold is a bucket edge of the gateway's histograms")
    yield from found


def _off_edge(service: Service, objective: Objective) -> Iterator[Finding]:
    threshold = objective.threshold_seconds
    edges = DEFAULT_EDGES_SECONDS.get(objective.sli)
    if threshold is None or edges is None or threshold in edges:
        return
    yield ok(
        "objectives",
        f"{service.name}: {objective.sli.value} of {threshold:g} s is exact at the gateway, but no edge "
        f"of vLLM's own histogram (nearest: {_nearest(edges, threshold)})",
    )


def _nearest(edges: Sequence[float], threshold: float) -> str:
    index = bisect_left(edges, threshold)
    return " and ".join(f"{edge:g} s" for edge in edges[max(0, index - 1) : index + 1])
