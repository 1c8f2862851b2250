"""What every rule may know beside the expression: names, versions in use, and the rest of the run."""

from collections.abc import Mapping
from dataclasses import dataclass

from foresail.lint.name_facts import Fact, NameFacts, Release

ROUTER = "production_stack_router"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run."""

    facts: NameFacts
    versions: Mapping[str, tuple[int, ...]]  # {engine: version in use}; absent: the newest
    recorded: frozenset[str]  # names that recording rules of the same run make
    has_router: bool  # production-stack's router is scraped as well

    def exists(self, fact: Fact) -> bool:
        """Whether the version in use writes the name. Between two releases either of them will do."""
        releases = self.facts.releases.get(fact.engine, ())
        if any(fact.name in release.names for release in releases):
            return any(fact.name in release.names for release in self._around(releases, fact))
        version = self.versions.get(fact.engine)
        if fact.versions is None or (version is None and fact.versions.upper is None):
            return True
        return version is not None and fact.versions.contains(version)

    def _around(self, releases: tuple[Release, ...], fact: Fact) -> tuple[Release, ...]:
        version = self.versions.get(fact.engine)
        if version is None:
            return releases[-1:]
        before = [each for each in releases if each.version <= version][-1:]
        if before and before[0].version == version:
            return tuple(before)
        return (*before, *[each for each in releases if each.version > version][:1])
