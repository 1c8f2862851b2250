"""Whatever bytes lie in a file that people write: values, or one of our errors, and in no time."""

import contextlib
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from collector.catalogue_file import parse_catalogue
from collector.errors import CatalogueError, ConfigurationError
from foresail.settings import read_settings
from support.files import CATALOGUE

PATH = Path("catalogue.yaml")

words = st.sampled_from(
    ["version", "services", "chat", "tier", "gold", "pools", "desk", "kind", "unified", "target",
     "process", "url", "urls", "command", "{port}", "memory", "2GiB", "slots", "engine", "vllm",
     "variants", "objectives", "sli", "availability", "control", "", "~", "1:30", "<<", "*a", "&a"]
)  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), words, st.text(max_size=10)
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | scalars, inner, max_size=4),
    max_leaves=20,
)


def refused(content: bytes) -> str | None:
    try:
        parse_catalogue(content, path=PATH)
    except CatalogueError as error:
        return str(error)
    return None


@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b"%YAML 9.9\n---\n")
@example(b"? [a]\n: b\n")
@example(b"a: !!float 'x'\n")
@example(b"a: !!int ''\n")
@example(b"a: !!timestamp x\n")
@example(b"version: " + b"9" * 5000)
def test_any_bytes(content: bytes) -> None:
    told = refused(content)
    assert told
    assert all(line.startswith("catalogue.yaml") for line in told.splitlines())


@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    assert refused(text.encode("utf-8", "surrogatepass"))


@given(trees)
def test_any_tree(tree: Any) -> None:
    assert refused(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


@given(data=st.data())
def test_a_valid_file_with_anything_in_one_place(data: st.DataObject) -> None:
    tree: Any = yaml.safe_load(CATALOGUE)
    here = tree
    while data.draw(st.booleans()) and isinstance(here, dict | list) and here:
        keys = sorted(here) if isinstance(here, dict) else list(range(len(here)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(here[key], dict | list) or data.draw(st.booleans()):
            here[key] = data.draw(trees)
            break
        here = here[key]
    told = refused(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))
    assert told is None or all(line.startswith("catalogue.yaml") for line in told.splitlines())


@given(content=st.binary(max_size=200), variable=words, value=st.text(max_size=20))
def test_any_settings_and_any_variable(
    tmp_path_factory: Any, content: bytes, variable: str, value: str
) -> None:
    path = tmp_path_factory.mktemp("settings") / "foresail.yaml"
    path.write_bytes(content)
    with contextlib.suppress(ConfigurationError):
        read_settings(path, {f"FORESAIL_{variable}": value, "FORESAIL_GATEWAY__PORT": value})
