"""A Prometheus server: what it scrapes, which of our targets it has already, and which it cannot read.

In: the JSON of `/api/v1/targets`. Out: findings. Pure.
"""

from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from foresail.doctor.targets.report import FindingKind, TargetFinding, note, warning

TARGETS_PATH: Final = "/api/v1/targets?state=active"
_SHOWN: Final = 10


class _Target(BaseModel):
    scrapeUrl: str  # noqa: N815  as Prometheus writes it
    health: str
    lastError: str = ""  # noqa: N815


class _Data(BaseModel):
    activeTargets: list[_Target]  # noqa: N815


class _Answer(BaseModel):
    data: _Data


def check_prometheus(answer: str | None, *, our_urls: Collection[str]) -> Iterator[TargetFinding]:
    """What its list of targets says; `our_urls` are the pages Foresail reads by itself."""
    try:
        targets = _Answer.model_validate_json(answer or "").data.activeTargets
    except ValidationError:
        yield warning(
            FindingKind.NO_PAGE,
            "it does not tell its targets (/api/v1/targets)",
            next_step="let that path through the proxy before it",
        )
        return
    up = [each for each in targets if each.health == "up"]
    yield note(
        FindingKind.SCRAPES, f"a Prometheus, no engine; targets: {len(targets)}, up: {len(up)}"
    )
    scraped = {_place(each.scrapeUrl) for each in up}
    for url in sorted(url for url in our_urls if _place(url) in scraped):
        yield note(
            FindingKind.SCRAPES,
            f"it scrapes {url} already, so that page may be left out where it is the source",
        )
    for each in [each for each in targets if each.health == "down"][:_SHOWN]:
        yield warning(
            FindingKind.DOWN,
            f"it cannot read {each.scrapeUrl}: {' '.join(each.lastError.split())[:200]}",
            next_step=f"examine it from there: foresail doctor {each.scrapeUrl}",
            disables="what is asked of this Prometheus lacks that target",
        )


def _place(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket that is not closed
        return url
    return f"{parts.netloc}{parts.path.rstrip('/')}"
