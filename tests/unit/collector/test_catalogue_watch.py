"""A catalogue that is edited under a running process: taken whole or not at all."""

import os
from pathlib import Path

import pytest

from collector.catalogue_file import CatalogueWatch
from collector.errors import CatalogueError
from support.files import CATALOGUE

OTHER = CATALOGUE.replace("owner: me", "owner: you")
HALF = CATALOGUE[: CATALOGUE.index("  embed:")]
INVALID = CATALOGUE.replace("version: 1", "version: 9")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path


def replace_file(path: Path, text: str) -> None:
    """As editors do: a new file takes the place of the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def owner(watch: CatalogueWatch) -> str:
    """After as many polls as a change needs to be taken."""
    watch.poll()
    return watch.poll().services[0].owner


def test_an_unchanged_file_gives_the_same_catalogue(path: Path) -> None:
    watch = CatalogueWatch(path)
    first = watch.poll()
    assert watch.poll() is first
    assert watch.problem is None


def test_a_file_that_was_replaced_is_taken(path: Path) -> None:
    watch = CatalogueWatch(path)
    replace_file(path, OTHER)
    assert owner(watch) == "you"


def test_a_file_that_was_written_over_is_taken(path: Path) -> None:
    watch = CatalogueWatch(path)
    path.write_text(OTHER)
    assert owner(watch) == "you"


def test_a_change_of_the_same_size_and_time_is_taken(path: Path) -> None:
    watch = CatalogueWatch(path)
    before = path.stat()
    replace_file(path, CATALOGUE.replace("owner: me", "owner: us"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert owner(watch) == "us"


def test_an_invalid_file_keeps_the_old_one_and_says_so_in_one_line(path: Path) -> None:
    watch = CatalogueWatch(path)
    path.write_text(INVALID)
    assert owner(watch) == "me"
    assert watch.problem == f"{path}:1: version is 9, must be 1"


def test_several_problems_are_one_line(path: Path) -> None:
    watch = CatalogueWatch(path)
    path.write_text(INVALID.replace("slots: 4", "slots: 0"))
    assert owner(watch) == "me"
    assert watch.problem is not None
    assert "\n" not in watch.problem
    assert "; " in watch.problem


def test_a_corrected_file_is_taken_and_the_problem_forgotten(path: Path) -> None:
    watch = CatalogueWatch(path)
    path.write_text(INVALID)
    assert owner(watch) == "me"
    path.write_text(OTHER)
    assert owner(watch) == "you"
    assert watch.problem is None


def test_a_file_that_is_gone_keeps_the_old_one(path: Path) -> None:
    watch = CatalogueWatch(path)
    path.unlink()
    assert owner(watch) == "me"
    assert watch.problem is not None
    assert "there is no such file" in watch.problem
    path.write_text(OTHER)
    assert owner(watch) == "you"


def test_half_a_file_that_happens_to_be_valid_is_never_in_force(path: Path) -> None:
    watch = CatalogueWatch(path)
    path.write_text(HALF)  # a writer stopped between two services
    assert len(watch.poll().services) == 2
    path.write_text(OTHER)  # and went on before the next poll
    assert len(watch.poll().services) == 2
    assert owner(watch) == "you"


def test_the_first_file_must_be_valid(path: Path) -> None:
    path.write_text(INVALID)
    with pytest.raises(CatalogueError):
        CatalogueWatch(path)
