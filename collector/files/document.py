"""One YAML file as plain values that still know their lines.

In: the bytes of a file. Out: a `Document` with plain values (text, numbers, true/false,
lists, mappings) and the problems that YAML itself would have passed over: a key written twice, a
number in a notation that people and YAML read differently. Files are bounded in size, depth and
aliases, so that a hostile or broken one costs milliseconds. Sits before every reader of a file that
the owner writes; knows nothing of what the keys mean.
"""

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from collector.errors import ConfigurationError
from collector.files.problem import KeyPath, Problem
from collector.files.scalar import SCALAR_TAGS, ScalarRejected, scalar_value

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"

MAX_FILE_BYTES = 16 * 2**20
"""A catalogue of 10,000 variants is about 5 MiB."""
MAX_DEPTH = 24
MAX_ALIASED_VALUES = 10_000
"""How many values aliases (`*name`) may repeat in all: stops a file that doubles itself."""

_MAPPING_TAG = "tag:yaml.org,2002:map"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says, and where it says it."""

    name: str  # as the owner typed the path; starts every message
    content: bytes
    values: dict[str, Value]
    problems: tuple[Problem, ...]  # found while reading; the values are usable besides
    root: yaml.MappingNode

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, as hexadecimal text."""
        return hashlib.sha256(self.content).hexdigest()

    def line(self, path: KeyPath) -> int:
        """The line of the key at `path`, or of the deepest part of it that the file has."""
        node: yaml.Node = self.root
        mark = node.start_mark
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            mark, node = found
        return int(mark.line) + 1

    def value(self, path: KeyPath) -> Value:
        """The value at `path`; None when the file does not have it."""
        current: Value = self.values
        for part in path:
            if isinstance(current, dict) and part in current:
                current = current[str(part)]
            elif isinstance(current, list) and isinstance(part, int) and part < len(current):
                current = current[part]
            else:
                return None
        return current

    def has(self, path: KeyPath) -> bool:
        """Whether the file has exactly this key."""
        parent = self.value(path[:-1]) if path else self.values
        if isinstance(parent, dict):
            return path[-1] in parent if path else True
        return isinstance(parent, list) and isinstance(path[-1], int) and path[-1] < len(parent)


class DocumentRejected(ConfigurationError):
    """The file cannot be read at all; `problems` has one entry that says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def parse_document(content: bytes, *, name: str, may_be_empty: bool = False) -> Document:
    """Values and lines of a file's content. Raises DocumentRejected when there is nothing to go on."""
    text = _decode(content)
    try:
        _check_depth(text)
        node = yaml.compose(text, Loader=_Loader)
        if node is None and may_be_empty:
            node = yaml.compose("{}", Loader=_Loader)
    except yaml.YAMLError as error:
        raise DocumentRejected(_syntax_problem(error, text=text)) from error
    if not isinstance(node, yaml.MappingNode) or node.tag != _MAPPING_TAG:
        raise DocumentRejected(Problem(line=1, message=_not_a_mapping(node)))
    builder = _Builder()
    values = builder.mapping(node, ())
    return Document(
        name=name, content=content, values=values, problems=tuple(builder.problems), root=node
    )


def read_bytes(path: Path) -> bytes:
    """The content of a regular file of bounded size. Raises DocumentRejected."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DocumentRejected(Problem(line=None, message="is not a file"))
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        message = "there is no such file; `foresail init` writes one to start from"
        raise DocumentRejected(Problem(line=None, message=message)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"cannot be read: {reason}"
        raise DocumentRejected(Problem(line=None, message=message)) from error
    if len(content) > MAX_FILE_BYTES:
        message = f"is larger than {MAX_FILE_BYTES // 2**20} MiB, the most that is read"
        raise DocumentRejected(Problem(line=None, message=message))
    return content


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"byte {content[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        raise DocumentRejected(Problem(line=line, message=message)) from error


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else None
            message = f"is nested more than {MAX_DEPTH} levels deep"
            raise DocumentRejected(Problem(line=line, message=message))


def _syntax_problem(error: yaml.YAMLError, *, text: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        return Problem(line=line, message="has a control character, which YAML does not allow")
    lines = text.splitlines()
    found = lines[mark.line] if mark.line < len(lines) else ""
    if (
        "\t" in found[: len(found) - len(found.lstrip())]
        or found[mark.column : mark.column + 1] == "\t"
    ):
        return Problem(line=mark.line + 1, message="is indented with a tab; use spaces")
    said = getattr(error, "problem", None) or getattr(error, "context", None) or "not understood"
    return Problem(line=mark.line + 1, message=f"is not valid YAML: {said}")


def _not_a_mapping(node: yaml.Node | None) -> str:
    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
        return "the file is empty; `foresail init` writes one to start from"
    return "the file must be a mapping (lines of `key: value`)"


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Mark, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        pairs = ((key.start_mark, value) for key, value in node.value if key.value == part)
        return next(pairs, None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark, node.value[part]
    return None


class _Builder:
    """Turns nodes into values, collecting problems; one per document."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._seen: set[int] = set()  # ids of nodes already built: meeting one again is an alias
        self._open: list[int] = []  # ids of the collections around the current node
        self._inside_alias = 0
        self._aliased_values = 0

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Value]:
        values: dict[str, Value] = {}
        first_lines: dict[str, int] = {}
        self._open.append(id(node))
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in values:
                message = f"is written a second time; the first is in line {first_lines[key]}"
                self._reject(key_node, (*path, key), message)
                continue
            first_lines[key] = key_node.start_mark.line + 1
            values[key] = self._value(value_node, (*path, key))
        self._open.pop()
        return values

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[Value]:
        self._open.append(id(node))
        values = [self._value(each, (*path, index)) for index, each in enumerate(node.value)]
        self._open.pop()
        return values

    def _value(self, node: yaml.Node, path: KeyPath) -> Value:
        is_alias = id(node) in self._seen
        self._seen.add(id(node))
        if not self._may_enter(node, path, is_alias=is_alias):
            return None
        self._inside_alias += is_alias
        try:
            return self._content(node, path)
        finally:
            self._inside_alias -= is_alias

    def _may_enter(self, node: yaml.Node, path: KeyPath, *, is_alias: bool) -> bool:
        self._aliased_values += bool(is_alias or self._inside_alias)
        if id(node) in self._open:
            self._reject(node, path, "contains itself through an alias")
            return False
        if len(self._open) > MAX_DEPTH:
            self._reject(node, path, f"is nested more than {MAX_DEPTH} levels deep by aliases")
            return False
        if self._aliased_values > MAX_ALIASED_VALUES:
            if self._aliased_values == MAX_ALIASED_VALUES + 1:
                message = f"aliases repeat more than {MAX_ALIASED_VALUES} values; write them out"
                self._reject(node, path, message)
            return False
        return True

    def _content(self, node: yaml.Node, path: KeyPath) -> Value:
        if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING_TAG:
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return self._sequence(node, path)
        if isinstance(node, yaml.ScalarNode) and node.tag in SCALAR_TAGS:
            try:
                return scalar_value(node.value, tag=node.tag)
            except ScalarRejected as error:
                self._reject(node, path, str(error))
                return None
        self._reject(node, path, f"has the YAML tag {node.tag[:60]!r}, which is not supported")
        return None

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if node.tag == "tag:yaml.org,2002:merge":
            self._reject(node, path, "has a merge key (<<), which is not supported; write it out")
        elif not isinstance(node, yaml.ScalarNode):
            self._reject(node, path, "has a key that is not text")
        elif node.tag != "tag:yaml.org,2002:str":
            message = f"has the key {node.value[:60]!r}, which YAML does not read as text; quote it"
            self._reject(node, path, message)
        else:
            return str(node.value)
        return None

    def _reject(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.problems.append(Problem(line=node.start_mark.line + 1, path=path, message=message))
