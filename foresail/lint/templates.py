"""Puts something that parses where dashboards and adapters have variables. Pure.

`$name`, `${name:format}` and `[[name]]` of Grafana, `<<.Series>>` of prometheus-adapter. A variable may
stand for a name, a number, a duration, a function or a condition, so several readings are offered.
"""

import re
from collections.abc import Iterator

from foresail.lint.name_facts import MARKER

_VARIABLE = re.compile(
    r"\$\{(\w+)(?:\.[\w.]+)?(?::[^}]*)?\}|\$([A-Za-z_]\w*)|\[\[(\w+)(?::[^\]]*)?\]\]"
)
_ADAPTER = (
    ("<<.LabelMatchers>>", f'{MARKER}=""'),
    ("<<.GroupBy>>", MARKER),
    ("<<.GroupBySlice>>", MARKER),
)
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_ADAPTER_ANY = re.compile(r"<<[^<>]*>>")
_CALLED = re.compile(r"\s*(\(|(by|without)\b)", re.IGNORECASE)
_NUMBER_FIRST = re.compile(r"(topk|bottomk|quantile|limitk|limit_ratio)\s*\(\s*$")
_UNITS = "smhdwy"


def has_variables(text: str) -> bool:
    """Whether anything in the text is filled in later."""
    return _VARIABLE.search(text) is not None or "<<" in text


def readings(text: str) -> Iterator[str]:
    """The text with its variables filled in, the likeliest reading first; each at most once."""
    for old, new in _ADAPTER:
        text = text.replace(old, new)
    text = _ADAPTER_ANY.sub(MARKER, text)
    # max: an aggregation that no rule has anything to say about.
    fillings = ((MARKER, "max"), ("1", "max"), (MARKER, "rate"), ("1", "rate"))
    yield from dict.fromkeys(_filled(text, bare=bare, called=called) for bare, called in fillings)


def _filled(text: str, *, bare: str, called: str) -> str:
    pieces: list[str] = []
    position = 0
    quoted = [match.span() for match in _TEXT.finditer(text)]
    for match in _VARIABLE.finditer(text):
        if match.start() < position:
            continue
        is_quoted = any(start < match.start() < end for start, end in quoted)
        before = _TEXT.sub('""', text[: match.start()])
        after = text[match.end() :]
        name = next(filter(None, match.groups()), "")
        value = called if _CALLED.match(after) else bare
        value = "1" if _NUMBER_FIRST.search(before) else value
        filling = MARKER if is_quoted else _filling(name, before, after, bare=value)
        pieces += [text[position : match.start()], filling]
        position = match.end()
    return "".join([*pieces, text[position:]])


def _filling(name: str, before: str, after: str, *, bare: str) -> str:
    stripped, following = before.rstrip(), after.lstrip()
    if _is_in_range(before) or stripped.endswith("offset"):
        return "5" if after[:1] in tuple(_UNITS) else "5m"
    if stripped[-1:] in ("{", ",") and following[:1] in ("}", ",") and _is_in_braces(before):
        return f'{MARKER}=""'
    if re.match(r"\w|:", after[:1]) or re.search(r"[\w:]$", before):
        return MARKER  # a piece of a name
    return "5" if name.startswith("__") and name.endswith(("_ms", "_s")) else bare


def _is_in_range(before: str) -> bool:
    return before.rfind("[") > before.rfind("]")


def _is_in_braces(before: str) -> bool:
    return before.rfind("{") > before.rfind("}")
