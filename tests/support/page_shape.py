"""A metric page without its values: for comparing the pages of two servers."""

import re
from collections.abc import Collection

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ANY_VALUE = frozenset({"python_info", "vllm:cache_config_info"})  # they tell of the machine


def shape(text: str, *, handlers: Collection[str] | None = None) -> list[str]:
    """The page without HELP lines and values; HTTP series only of these handlers, if given."""
    lines = []
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            lines.append(line)
        elif line and not line.startswith("#"):
            match = _SAMPLE.match(line)
            assert match, line
            labels = _LABEL.findall(match["labels"] or "")
            handler = dict(labels).get("handler")
            if handlers is not None and handler is not None and handler not in handlers:
                continue
            keep = [key if match["name"] in ANY_VALUE else f"{key}={v}" for key, v in labels]
            lines.append(f"{match['name']} {keep}")
    return lines


def values(text: str) -> dict[str, float]:
    """{series: value}."""
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }
