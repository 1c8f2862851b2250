"""What is known of the version that wrote a page, and what follows for a range of versions. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from collector.model.contract import VersionRange


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownVersion:
    """As much as can be told."""

    exact: tuple[int, ...] | None  # as the controller takes it; None: nobody says
    evident: VersionRange  # what the names on the page leave open

    def is_in(self, versions: VersionRange) -> bool:
        """Whether it surely lies in the range."""
        if self.exact is not None:
            return versions.contains(self.exact)
        lower, upper = self.evident.lower or (0,), self.evident.upper
        reaches_up = versions.upper is None or (upper is not None and upper <= versions.upper)
        return lower >= (versions.lower or (0,)) and reaches_up

    def is_outside(self, versions: VersionRange) -> bool:
        """Whether it surely does not lie in the range."""
        if self.exact is not None:
            return not versions.contains(self.exact)
        lower, upper = self.evident.lower, self.evident.upper
        is_older = versions.lower is not None and upper is not None and upper <= versions.lower
        is_newer = versions.upper is not None and lower is not None and lower >= versions.upper
        return is_older or is_newer


def evident_versions(ranges: Iterable[VersionRange]) -> VersionRange:
    """The versions that have all names with these ranges.

    Where names of the past stand beside newer ones that cannot be, the newer ones are believed.
    """
    known = list(ranges)
    lower = max((each.lower for each in known if each.lower), default=None)
    upper = min((each.upper for each in known if each.upper), default=None)
    if lower is not None and upper is not None and upper <= lower:
        upper = None
    return VersionRange(lower=lower, upper=upper)


def range_text(versions: VersionRange) -> str:
    """The range for people: "from 0.9.2 to before 0.12"."""
    lower = ".".join(map(str, versions.lower)) if versions.lower and any(versions.lower) else ""
    upper = ".".join(map(str, versions.upper)) if versions.upper else ""
    if lower and upper:
        return f"from {lower} to before {upper}"
    return f"from {lower} on" if lower else f"before {upper}" if upper else "all versions"
