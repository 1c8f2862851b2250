"""Does every series exist in the versions in use, and what is it called now."""

from collections.abc import Iterator, Sequence

from foresail.lint.context import Context
from foresail.lint.expression import Node, selectors
from foresail.lint.finding import Remark, RuleId, error, warning
from foresail.lint.name_facts import MARKER, PARTS, Fact, Gone

_TYPO_CUTOFF = 0.93
"""Similarity above which an unlisted name of an exporter with an open list is taken for a slip."""
_COLON_SPACES = ("vllm", "sglang", "lmdeploy", "llamacpp")


def names(root: Node, context: Context) -> Iterator[Remark]:
    """One remark per series that the versions in use do not write under that name."""
    for name in dict.fromkeys(each.name for each in selectors(root)):
        if name is None or MARKER in name or name in context.recorded:
            continue
        remark = _remark(name, context)
        if remark is not None:
            yield remark


def _remark(name: str, context: Context) -> Remark | None:
    if name.endswith("_created"):
        return None
    moved = _moved(name, context)
    if moved is not None:
        return moved
    facts = context.facts.of(name)
    if any(context.exists(fact) for fact in facts):
        return None
    if facts:
        return _not_in_version(name, facts, context)
    gone = _gone_entry(name, context)
    if gone is not None:
        said = f"`{name}` is not written by {gone.engine} since {gone.since}; {_now(gone)}"
        return error(RuleId.REMOVED_NAME, said, subject=name)
    return _strange(name, context)


def _moved(name: str, context: Context) -> Remark | None:
    for each in context.facts.moved_prefixes:
        if name.startswith(each.old):
            new = each.new + name.removeprefix(each.old)
            said = f"`{name}`: names in `{each.old}` are now in `{each.new}`; look for `{new}`"
            if each.is_removed:
                return error(RuleId.REMOVED_NAME, f"{said}, the old ones are gone", subject=name)
            return warning(
                RuleId.DEPRECATED_NAME, f"{said}, the old ones are on their way out", subject=name
            )
    return None


def _gone_entry(name: str, context: Context) -> Gone | None:
    return next(
        (context.facts.gone[each] for each in _bases(name) if each in context.facts.gone), None
    )


def _now(gone: Gone) -> str:
    return f"write `{gone.use}`" if gone.use else f"nothing replaces it: {gone.why}"


def _not_in_version(name: str, facts: Sequence[Fact], context: Context) -> Remark:
    fact = facts[0]
    releases = context.facts.releases.get(fact.engine, ())
    having = [each.text for each in releases if fact.name in each.names]
    used = context.versions.get(fact.engine)
    in_use = _text(used) if used else (releases[-1].text if releases else "in its newest version")
    instead = _instead(name, fact, context)
    first = _first_version(fact, context)
    if used is not None and first is not None and used < first[0]:
        said = f"`{name}` comes with {fact.engine} {first[1]}, in use is {in_use}; {instead}"
        return error(RuleId.NEWER_NAME, said, subject=name)
    last = f", last seen in {having[-1]}" if having else ""
    said = f"`{name}` is not written by {fact.engine} {in_use}{last}; {instead}"
    return error(RuleId.REMOVED_NAME, said, subject=name)


def _first_version(fact: Fact, context: Context) -> tuple[tuple[int, ...], str] | None:
    """Where the name begins: the contract's bound, else the first release that has it."""
    lower = fact.versions.lower if fact.versions is not None else None
    if lower is not None and lower != (0,):
        return lower, _text(lower)
    releases = context.facts.releases.get(fact.engine, ())
    having = [each for each in releases if fact.name in each.names]
    return (having[0].version, having[0].text) if having else None


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _instead(name: str, fact: Fact, context: Context) -> str:
    part = next((each for each in PARTS if name == fact.name + each), "")
    for sibling in context.facts.siblings(fact):
        if sibling.name != fact.name and context.exists(sibling):
            lower = sibling.versions.lower if sibling.versions is not None else None
            since = f" (since {_text(lower)})" if lower and lower != (0,) else ""
            return f"write `{sibling.name}{part}`{since}"
    gone = _gone_entry(name, context)
    return "no other name tells this signal there" if gone is None else _now(gone)


def _strange(name: str, context: Context) -> Remark | None:
    colon = _with_colon(name)
    if colon is not None and context.facts.of(colon):
        return error(
            RuleId.MISSPELT_COLON,
            f"`{name}`: the engine writes `{colon}`, with a colon; keep the underscore only where a "
            "pipeline rewrites names",
            subject=name,
        )
    total = f"{name}_total"
    if context.facts.of(total) and not any(name.endswith(part) for part in PARTS):
        return error(
            RuleId.MISSING_TOTAL, f"`{name}` is a counter and is exposed as `{total}`", subject=name
        )
    if context.facts.is_complete(name):
        nearest = context.facts.nearest(name, cutoff=0.8)
        meant = f"did you mean `{nearest}`?" if nearest else "see the contract reference for names"
        return error(RuleId.UNKNOWN_NAME, f"nobody writes `{name}`; {meant}", subject=name)
    if name.startswith(context.facts.partial):
        nearest = context.facts.nearest(name, cutoff=_TYPO_CUTOFF)
        if nearest is not None:
            said = f"`{name}` is no name we know; did you mean `{nearest}`?"
            return warning(RuleId.UNKNOWN_NAME, said, subject=name)
    return None


def _with_colon(name: str) -> str | None:
    space, underscore, rest = name.partition("_")
    return f"{space}:{rest}" if underscore and space in _COLON_SPACES else None


def _bases(name: str) -> Iterator[str]:
    yield name
    yield from (name.removesuffix(part) for part in PARTS if name.endswith(part))
