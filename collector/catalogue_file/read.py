"""From catalogue.yaml to a `Catalogue`, or to every problem of it at once.

In: a path, or bytes. Out: the catalogue. Errors are `CatalogueError`s of one line per problem: file,
line, key, value, what is allowed. The only door through which a catalogue enters.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from collector.catalogue_file.checks import cross_key_problems
from collector.catalogue_file.convert import catalogue_of
from collector.catalogue_file.schema import CatalogueFile
from collector.errors import CatalogueError
from collector.files.document import Document, DocumentRejected, parse_document, read_bytes
from collector.files.problem import Problem, sentences
from collector.files.schema_problems import schema_problems
from collector.model.catalogue import Catalogue


def read_catalogue(path: Path) -> Catalogue:
    """The catalogue in the file. Raises CatalogueError, one line per problem."""
    try:
        content = read_bytes(path)
    except DocumentRejected as error:
        raise CatalogueError(error.problem.sentence(file=str(path))) from error
    return parse_catalogue(content, path=path)


def parse_catalogue(content: bytes, *, path: Path) -> Catalogue:
    """The catalogue in `content`, told and resolved as the file at `path`. Raises CatalogueError."""
    try:
        document = parse_document(content, name=str(path))
    except DocumentRejected as error:
        raise CatalogueError(error.problem.sentence(file=str(path))) from error
    file = _validated(document)
    # Values that could not be read are absent: rules across keys would speak about the gaps.
    problems = document.problems or _with_lines(cross_key_problems(file), document=document)
    if problems:
        raise _error(problems, document=document)
    try:
        return catalogue_of(file, folder=path.absolute().parent, digest=document.digest)
    except ValueError as error:  # an invariant of the dataclasses that no check has caught
        raise CatalogueError(f"{path}: {error}") from error


def _validated(document: Document) -> CatalogueFile:
    try:
        return CatalogueFile.model_validate(document.values)
    except ValidationError as error:
        found = schema_problems(error, document=document, model=CatalogueFile)
        raise _error((*document.problems, *found), document=document) from error


def _with_lines(problems: Iterable[Problem], *, document: Document) -> tuple[Problem, ...]:
    return tuple(
        dataclasses.replace(problem, line=document.line(problem.path)) for problem in problems
    )


def _error(problems: Iterable[Problem], *, document: Document) -> CatalogueError:
    return CatalogueError("\n".join(sentences(problems, file=document.name)))
