"""Metrics that Go source declares, found without building it.

In: the text of a file. Out: one `SourceMetric` per name. Used by `read_packages`. Knows three ways of
declaring: options of the Prometheus client, `BuildFQName`, and the generators of kube-state-metrics.
Names, labels and edges that the source makes up while running stay out, or None.
"""

import re
from collections.abc import Iterator

from source_metrics import SourceMetric

_STRINGS = re.compile(r'"([^"\\]*)"')
_CONSTANT = re.compile(r'^\s*(?:const\s+)?(\w+)\s*=\s*"([^"\\]*)"', re.MULTILINE)
_LIST = re.compile(r"^\s*(\w+)\s*=\s*\[\](?:string|float64)\{([^}]*)\}", re.MULTILINE)
_OPTIONS = re.compile(
    r"^(?P<indent>\t*)\S*?(?P<kind>Counter|Gauge|Histogram|Summary)Opts\{(?P<body>.*?)\n(?P=indent)\},"
    r"\s*(?P<labels>\[\]string\{[^}]*\}|append\([^)]*\)|\w+)?",
    re.DOTALL | re.MULTILINE,
)
_FIELD = re.compile(r'\b(Namespace|Subsystem|Name):\s*(\w+|"[^"]*"),')
_BUCKETS = re.compile(r"\bBuckets:\s*(\[\]float64\{[^}]*\}|\w+(?:\.\w+\([^)]*\))?)")
_FULL_NAME = re.compile(
    r'BuildFQName\(\s*(\w+|"[^"]*"),\s*(\w+|"[^"]*"),\s*(\w+|"[^"]*")\s*\),\s*'
    r'"(?:[^"\\]|\\.)*",\s*(?P<labels>\[\]string\{[^}]*\}|nil|\w+)'
)
_GENERATOR = re.compile(
    r'NewFamilyGenerator\w*\(\s*"(?P<name>\w+)",\s*"(?:[^"\\]|\\.)*",\s*metric\.(?P<kind>\w+),'
)
_NUMBER = re.compile(r"[0-9.eE+-]+")


def metrics_of_go(text: str, *, package: str) -> Iterator[SourceMetric]:
    """All metrics of one file, in its order; `package` is the text of all files, for their constants."""
    known = _Known(package)
    for found in _OPTIONS.finditer(text):
        name = known.joined(dict(_FIELD.findall(found["body"])))
        if name:
            yield _of_options(found, name=name, known=known)
    for found in _FULL_NAME.finditer(text):
        parts = [known.text(part) for part in found.groups()[:3]]
        if None not in parts:
            name = "_".join(part for part in parts if part)
            yield _metric(name, kind=None, labels=known.labels(found["labels"]))
    for found in _GENERATOR.finditer(text):
        kind = found["kind"].lower()
        yield _metric(found["name"], kind=kind, labels=None)  # labels are made while running


def _of_options(found: re.Match[str], *, name: str, known: "_Known") -> SourceMetric:
    edges = _BUCKETS.search(found["body"])
    expression = edges[1] if edges else None
    buckets = known.numbers(expression) if expression else None
    return SourceMetric(
        name=name,
        kind=found["kind"].lower(),
        labels=known.labels(found["labels"]),
        buckets=buckets,
        buckets_expression=expression if buckets is None else None,
    )


def _metric(name: str, *, kind: str | None, labels: tuple[str, ...] | None) -> SourceMetric:
    return SourceMetric(name=name, kind=kind, labels=labels, buckets=None, buckets_expression=None)


class _Known:
    """What the names of a package stand for."""

    def __init__(self, text: str) -> None:
        self._texts = dict(_CONSTANT.findall(text))
        self._lists = dict(_LIST.findall(text))

    def text(self, expression: str) -> str | None:
        """The string; None for a name that is bound elsewhere."""
        if expression.startswith('"'):
            return expression.strip('"')
        return self._texts.get(expression)

    def joined(self, fields: dict[str, str]) -> str:
        """Namespace, subsystem and name as on the page; empty when one of them is not known."""
        parts = [
            self.text(fields[key]) for key in ("Namespace", "Subsystem", "Name") if key in fields
        ]
        known = [part for part in parts if part]
        return "_".join(known) if "Name" in fields and len(known) == len(parts) else ""

    def labels(self, expression: str | None) -> tuple[str, ...] | None:
        """Label names; None when they are not written down."""
        if expression is None or expression == "nil":
            return ()
        if expression.startswith("[]string"):
            return tuple(_STRINGS.findall(expression))
        if expression.startswith("append("):
            first, _, rest = expression.removeprefix("append(").partition(",")
            before = self.labels(first.strip())
            return None if before is None else (*before, *_STRINGS.findall(rest))
        body = self._lists.get(expression)
        return None if body is None else tuple(_STRINGS.findall(body))

    def numbers(self, expression: str) -> tuple[float, ...] | None:
        """Bucket edges; None when they are not written down."""
        if expression.startswith("[]float64{"):
            body: str | None = expression.removeprefix("[]float64{").rstrip("}")
        else:
            body = self._lists.get(expression)
        if body is None:
            return None
        parts = [part.strip() for part in re.sub(r"//[^\n]*", "", body).split(",") if part.strip()]
        if not all(_NUMBER.fullmatch(part) for part in parts):
            return None
        return tuple(map(float, parts))
