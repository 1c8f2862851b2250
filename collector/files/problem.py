"""One thing that is wrong with a file, and how such things are told.

In: a line, a key path and words. Out: one line of text per problem: file, line, key, value, what is
allowed. Pure; used by the readers of foresail.yaml and catalogue.yaml.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

MAX_TOLD = 20
"""More problems than this at once are counted, not listed."""
MAX_SHOWN_CHARACTERS = 60

_PLAIN_KEY = re.compile(r"[\w./-]{1,80}")
_USER_AND_PASSWORD = re.compile(r"//[^/@\s]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong in one place."""

    message: str  # without the key path when `path` is given
    line: int | None  # counted from 1; None: not about a line
    path: KeyPath = ()
    place: str | None = None  # what to name instead of file and line, e.g. a variable

    def sentence(self, *, file: str) -> str:
        """The one line a person reads."""
        where = self.place or (file if self.line is None else f"{file}:{self.line}")
        key = key_text(self.path)
        return (
            f"{where}: {key} {self.message}"
            if key and not self.place
            else f"{where}: {self.message}"
        )


def sentences(problems: Iterable[Problem], *, file: str) -> tuple[str, ...]:
    """All problems in the order of the file, one line each, bounded in number."""
    ordered = sorted(
        dict.fromkeys(problems), key=lambda each: (each.line or 0, key_text(each.path))
    )
    told = tuple(each.sentence(file=file) for each in ordered[:MAX_TOLD])
    more = len(ordered) - len(told)
    return (*told, f"{file}: and {more} more") if more else told


def key_text(path: KeyPath) -> str:
    """A key path as people write it: services.chat.objectives[0].threshold."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _PLAIN_KEY.fullmatch(part) else repr(part[:MAX_SHOWN_CHARACTERS])
            text += f".{name}" if text else name
    return text


def value_text(value: object) -> str:
    """A value of the file as people recognise it, short and on one line."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            shown = _USER_AND_PASSWORD.sub("//…@", value)
            cut = "…" if len(shown) > MAX_SHOWN_CHARACTERS else ""
            return repr(shown[:MAX_SHOWN_CHARACTERS]) + cut
        case _:
            return repr(value)


def did_you_mean(word: object, choices: Sequence[str]) -> str:
    """`; did you mean 'x'?`, or nothing when no choice is near."""
    if not isinstance(word, str):
        return ""
    near = difflib.get_close_matches(word[:MAX_SHOWN_CHARACTERS], choices, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
