"""The house rules a reader would otherwise have to remember: shape, names, and what may be committed.

Reads the source of the shipped packages and the files git knows of; runs none of them. Which
package may import which is import-linter's part (`make check`).
"""

import ast
import importlib
import re
import statistics
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_MEDIAN_FUNCTION_LINES = 12

FORBIDDEN_TEXT = {
    "address of a package registry": re.compile(
        r"\b(?:pypi|pythonhosted|npmjs|crates|goproxy|proxy\.golang|sum\.golang|maven|maven\.apache"
        r"|deb\.debian|security\.debian|archive\.ubuntu)\.(?:org|io|com)\b"
    ),
    "absolute path of one person's machine": re.compile(
        r"(?<![\w.:/~-])/(?:home|Users|root|work)/[\w.-]+|\b[A-Z]:\\Users\\"
    ),
    "path of this checkout": re.compile(re.escape(str(ROOT)) + r"\b"),
}


def source_files() -> list[Path]:
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), filename=str(file))


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def function_lengths() -> Iterator[tuple[str, int]]:
    """(where, lines from `def` to the last statement) of every function, docstring included."""
    for file in source_files():
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                yield f"{named(file)}:{node.lineno} {node.name}", length


def committed_texts() -> Iterator[tuple[str, str]]:
    """(path, text) of every text file that is in git or would be with `git add --all`."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout, so nothing here is about to be committed")
    for path in sorted(set(filter(None, listing.stdout.decode().split("\0")))):
        file = ROOT / path
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            if b"\0" not in content:
                yield path, content.decode(errors="replace")


def test_no_file_is_longer_than_two_screens_can_explain() -> None:
    lengths = {named(file): file.read_text().count("\n") for file in source_files()}
    assert {file: n for file, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_the_ceiling() -> None:
    assert [each for each in function_lengths() if each[1] > MAX_FUNCTION_LINES] == []


def test_half_of_the_functions_fit_in_a_glance() -> None:
    assert statistics.median(n for _, n in function_lengths()) <= MAX_MEDIAN_FUNCTION_LINES


def test_every_module_says_what_it_is_for() -> None:
    assert [named(file) for file in source_files() if not ast.get_docstring(parsed(file))] == []


def test_every_folder_of_a_package_is_a_regular_package() -> None:
    # A folder without __init__.py would be merged with a stranger's folder of the same name.
    folders = {file.parent for file in source_files()}
    assert [named(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_ships_its_types(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_import_name_is_ours(package: str) -> None:
    # Two distributions may both bring a folder `collector`; installers overwrite without a word.
    # An editable install lists no folders, so only other owners of the name can be seen here.
    owners = set(packages_distributions().get(package, ()))
    assert owners <= {PYPROJECT["project"]["name"]}
    file = importlib.import_module(package).__file__
    assert file is not None
    assert Path(file).resolve() == ROOT / package / "__init__.py"


def test_wheel_types_and_import_rules_cover_the_same_packages() -> None:
    folders = {
        file.parent.name for file in ROOT.glob("*/__init__.py") if file.parent.name != "tests"
    }
    assert folders == set(PACKAGES)
    assert set(PYPROJECT["tool"]["mypy"]["packages"]) - {"support"} == set(PACKAGES)
    assert PYPROJECT["tool"]["importlinter"]["root_packages"] == PACKAGES


def test_tests_and_deployment_are_no_packages() -> None:
    # An editable install puts the checkout on the path; as packages they could be imported by ours.
    assert not (ROOT / "tests" / "__init__.py").exists()
    assert not (ROOT / "deploy" / "__init__.py").exists()


def test_nothing_committed_names_a_registry_or_somebodys_machine() -> None:
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group()}"
        for path, text in committed_texts()
        for what, pattern in FORBIDDEN_TEXT.items()
        for match in pattern.finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        pytest.param("index-url = https://" + "pypi" + ".org/simple", False, id="registry"),
        pytest.param("see /" + "home/ana/src/foresail", False, id="home"),
        pytest.param("file:///" + "home/ana/x", True, id="inside-an-address"),
        pytest.param("GET /v1/home/page", True, id="path-of-an-api"),
        pytest.param("image: docker.io/vllm/vllm-openai", True, id="container-image"),
    ],
)
def test_forbidden_text_is_told_from_harmless_text(*, text: str, is_allowed: bool) -> None:
    assert (not any(pattern.search(text) for pattern in FORBIDDEN_TEXT.values())) is is_allowed
