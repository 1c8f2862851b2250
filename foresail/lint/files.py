"""Finds and reads the files to look at; the only part of the linter that touches the disk."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from foresail.lint.documents import Problem, contents
from foresail.lint.judge import Document

MAX_JSON_BYTES = 20 * 1024 * 1024
MAX_YAML_BYTES = 2 * 1024 * 1024
MAX_FILES = 20_000
_JSON, _YAML = frozenset({".json"}), frozenset({".yaml", ".yml", ".rules"})
_WORDS = ("expr", "panels", "targets", "seriesQuery", "triggers", "metric")
"""One of them is in every file with an expression; a broken file without them is somebody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the paths hold."""

    documents: tuple[Document, ...]
    skipped_count: int


def read_documents(paths: Sequence[Path]) -> Reading:
    """Every file named, and every file of known kind in the folders named."""
    documents: list[Document] = []
    skipped = 0
    seen: set[Path] = set()
    for path in paths:
        for file, is_named in _files(path):
            if file in seen:
                continue
            if len(seen) >= MAX_FILES:
                skipped += 1
                continue
            seen.add(file)
            document = _document(file) if is_named or file.suffix in _JSON | _YAML else None
            if document is None or not (is_named or _is_ours(document)):
                skipped += 1
            else:
                documents.append(document)
    return Reading(documents=tuple(documents), skipped_count=skipped)


def _files(path: Path) -> Iterator[tuple[Path, bool]]:
    if not path.is_dir():
        yield path, True
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from ((Path(folder) / name, False) for name in sorted(names))


def _document(file: Path) -> Document:
    if not file.is_file():
        problem = Problem(line=1, message="cannot be read: not a regular file")
        return Document(file=str(file), text="", contents=(problem,))
    try:
        size = file.stat().st_size
        is_json = file.suffix in _JSON
        limit = MAX_JSON_BYTES if is_json else MAX_YAML_BYTES
        if size > limit:
            told = f"{size} bytes, more than the {limit} that are read; split the file"
            return Document(file=str(file), text="", contents=(Problem(line=1, message=told),))
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        problem = Problem(line=1, message=f"cannot be read: {reason or error}")
        return Document(file=str(file), text="", contents=(problem,))
    if not is_json and file.suffix not in _YAML:
        is_json = text.lstrip().startswith("{")
    return Document(file=str(file), text=text, contents=contents(text, is_json=is_json))


def _is_ours(document: Document) -> bool:
    """Whether a file found in a folder holds expressions, or would if it were not broken."""
    if not document.contents:
        return False
    is_broken = all(isinstance(each, Problem) for each in document.contents)
    return not is_broken or document.text == "" or any(word in document.text for word in _WORDS)
