"""Families of samples as the text a Prometheus scrapes (format 0.0.4).

prometheus_client's writer appends `_total` to every counter; DCGM's counters have no such ending, and
a dashboard asks for the name it knows. So the few lines that write a page are here, for all pages that
are not the library's.
"""

from collections.abc import Iterable

from collector.device_series import Family

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metric_page(families: Iterable[Family]) -> str:
    """The page; empty without families."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {_escaped_help(family.text)}\n"
    yield f"# TYPE {family.name} {family.kind.value}\n"
    for labels, value in family.points:
        yield f"{sample_line(family.name, labels.items(), _number(value))}\n"


def sample_line(name: str, labels: Iterable[tuple[str, str]], number: str) -> str:
    """One line without its end, labels in the order given; `number` as it is to stand there."""
    pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels)
    return f"{name}{{{pairs}}} {number}" if pairs else f"{name} {number}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
