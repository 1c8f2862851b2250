"""Do the labels in conditions and groupings exist under that name."""

from collections.abc import Iterator

from foresail.lint.context import Context
from foresail.lint.expression import Aggregation, Node, Selector, selectors, walk
from foresail.lint.finding import Remark, RuleId, warning
from foresail.lint.name_facts import Fact


def labels(root: Node, context: Context) -> Iterator[Remark]:
    """One remark per label that the series does not carry under that name."""
    for selector, label in _uses(root):
        fact = context.facts.one(selector.name or "")
        if fact is None:
            continue
        renamed = _renamed(label, fact, context)
        if renamed is not None:
            yield warning(
                RuleId.RENAMED_LABEL,
                f"label `{label}` of `{selector.name}` is {renamed}; match both names while old and "
                f"new versions of {fact.engine} run",
                subject=label,
            )
        elif _is_wrong(label, fact):
            yield warning(
                RuleId.WRONG_LABEL,
                f"`{selector.name}` has no label `{label}`; {fact.engine} calls it `model_name`",
                subject=label,
            )


def _renamed(label: str, fact: Fact, context: Context) -> str | None:
    """What the versions in use call the label; None where it is called so."""
    version = context.versions.get(fact.engine)
    for old, new in (fact.renamed_labels or {}).items():
        versions = (fact.label_versions or {}).get(old)
        has_old = version is not None and versions is not None and versions.contains(version)
        if label == old and not has_old:
            return f"now `{new}`"
        if label == new and has_old:
            return f"still `{old}` in the version in use"
    return None


def _is_wrong(label: str, fact: Fact) -> bool:
    # Any other label may have been added by the scrape; this one is a known slip.
    known = fact.labels or frozenset()
    return label == "model" and "model_name" in known and "model" not in known


def _uses(root: Node) -> Iterator[tuple[Selector, str]]:
    for node, _ in walk(root):
        if isinstance(node, Selector):
            yield from ((node, matcher.label) for matcher in node.matchers)
        elif isinstance(node, Aggregation) and not node.is_without:
            for inner in selectors(node.operand):
                yield from ((inner, label) for label in sorted(node.labels))
