"""JSON and YAML as one kind of tree that knows the line of every part. Bounded; nothing is executed.

In: the text of a file. Out: `Part`s. Aliases of YAML become shared parts, so a file that refers to
itself a million times is no larger here than in its text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

MAX_DEPTH = 200
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class Unreadable(Exception):
    """The text is neither; the message says where and why, in one line."""

    def __init__(self, message: str, *, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Part:
    """A mapping, a list or a scalar; asking for what is not there gives an empty part."""

    line: int = 0
    end_line: int = 0
    text: str | None = None  # of a scalar
    entries: Mapping[str, "Part"] = field(default_factory=dict)
    items: tuple["Part", ...] = ()

    def get(self, *keys: str) -> "Part":
        """The part under nested keys."""
        part = self
        for key in keys:
            part = part.entries.get(key, NOTHING)
        return part

    def is_text(self) -> bool:
        """Whether it is a scalar with something in it."""
        return self.text is not None and self.text.strip() != ""


NOTHING = Part()


def json_part(text: str) -> Part:
    """The tree of a JSON text. Raises Unreadable."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise Unreadable(f"not JSON: {error.msg}", line=error.lineno) from error
    except (RecursionError, ValueError) as error:
        raise Unreadable(f"not usable as JSON: {type(error).__name__}") from error
    return _JsonReader(text).read()


class _JsonReader:
    """Walks over the tokens of a text that is known to be JSON."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)

    def read(self) -> Part:
        word, line = next(self._tokens)
        return self._value(word, line, depth=0)

    def _value(self, word: str, line: int, *, depth: int) -> Part:
        if depth > MAX_DEPTH:
            raise Unreadable(f"nested deeper than {MAX_DEPTH} levels", line=line)
        if word == "{":
            return self._mapping(line, depth=depth)
        if word == "[":
            return self._list(line, depth=depth)
        text = json.loads(word) if word.startswith('"') else word
        return Part(line, line, None if word == "null" else str(text))

    def _mapping(self, line: int, *, depth: int) -> Part:
        entries: dict[str, Part] = {}
        end = line
        for word, end in self._tokens:  # noqa: B007  the last line is that of the bracket
            if word == "}":
                break
            if word != ",":
                next(self._tokens)  # the colon
                value, at = next(self._tokens)
                entries[json.loads(word)] = self._value(value, at, depth=depth + 1)
        return Part(line, end, None, entries)

    def _list(self, line: int, *, depth: int) -> Part:
        items: list[Part] = []
        end = line
        for word, end in self._tokens:
            if word == "]":
                break
            if word != ",":
                items.append(self._value(word, end, depth=depth + 1))
        return Part(line, end, None, {}, tuple(items))


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line, position = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        yield match.group(), line


def yaml_parts(text: str) -> tuple[Part, ...]:
    """One tree per document of a YAML text. Raises Unreadable."""
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        made: dict[int, Part] = {}
        return tuple(_part(node, made, depth=0) for node in nodes)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise Unreadable(f"not YAML: {error.problem or error.context}", line=line) from error
    except yaml.YAMLError as error:
        raise Unreadable(f"not YAML: {' '.join(str(error).split())[:120]}") from error
    except (RecursionError, ValueError) as error:
        raise Unreadable(f"not usable as YAML: {type(error).__name__}") from error


def _part(node: yaml.Node, made: dict[int, Part], *, depth: int) -> Part:
    known = made.get(id(node))
    if known is not None:
        return known
    line, end = node.start_mark.line + 1, node.end_mark.line + 1
    if depth > MAX_DEPTH:
        raise Unreadable(f"nested deeper than {MAX_DEPTH} levels", line=line)
    made[id(node)] = NOTHING  # what refers to itself ends here
    match node:
        case yaml.MappingNode():
            entries = {
                str(key.value): _part(value, made, depth=depth + 1) for key, value in node.value
            }
            part = Part(line, end, None, entries)
        case yaml.SequenceNode():
            items = tuple(_part(each, made, depth=depth + 1) for each in node.value)
            part = Part(line, end, None, {}, items)
        case _:
            first = (
                line + 1 if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">") else line
            )
            part = Part(first, max(first, end), str(node.value))
    made[id(node)] = part
    return part
