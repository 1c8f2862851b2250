"""The JSON Schemas say what the readers accept, and every key says what it is for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from collector.catalogue_file import read_catalogue
from collector.catalogue_file.schema import CatalogueFile
from collector.errors import ConfigurationError
from foresail.generate import generated_files, stale_files, write_generated_files
from foresail.settings import read_settings
from foresail.settings.schema import SettingsFile
from foresail.starter import write_starter
from support.files import CATALOGUE

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted(path.parent for path in ROOT.glob("deploy/examples/*/foresail.yaml"))


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((ROOT / f"deploy/schema/{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and every model below it."""
    yield model
    for part in type_parts([field.annotation for field in model.model_fields.values()]):
        yield from models(part)


def type_parts(types: list[Any]) -> Iterator[type[BaseModel]]:
    for each in types:
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each
        else:
            yield from type_parts(list(getattr(each, "__args__", ())))


def test_committed_schemas_are_what_the_code_makes() -> None:
    assert stale_files(ROOT) == ()


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
@pytest.mark.parametrize("name", ["foresail", "catalogue"])
def test_examples_fit_the_schema(folder: Path, name: str) -> None:
    validator(name).validate(yaml.safe_load((folder / f"{name}.yaml").read_text()))


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_examples_are_read(folder: Path) -> None:
    settings = read_settings(folder / "foresail.yaml", {})
    assert read_catalogue(settings.catalogue_path).services


def test_there_is_an_example() -> None:
    assert "desk" in [folder.name for folder in EXAMPLES]


def test_starter_files_are_read_and_fit_the_schema(tmp_path: Path) -> None:
    write_starter(tmp_path)
    settings = read_settings(tmp_path / "foresail.yaml", {})
    assert [service.name for service in read_catalogue(settings.catalogue_path).services] == [
        "chat"
    ]
    for name in ("foresail", "catalogue"):
        validator(name).validate(yaml.safe_load((tmp_path / f"{name}.yaml").read_text()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("owner: me", "ovner: me"),
        ("24GiB", "24G"),
        ("1s", "one second"),
        ("99%", "1.5"),
        ("slots: 4", "slots: 0"),
        ("engine: llama_cpp", "engine: other"),
        ("kind: process", "kind: other"),
        (
            "    tier: gold\n    objectives:\n      - {sli: avail",
            "    objectives:\n      - {sli: avail",
        ),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(tmp_path: Path, old: str, new: str) -> None:
    text = CATALOGUE.replace(old, new, 1)
    assert text != CATALOGUE
    path = tmp_path / "catalogue.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        read_catalogue(path)
    with pytest.raises(jsonschema.ValidationError):
        validator("catalogue").validate(yaml.safe_load(text))


@pytest.mark.parametrize("model", [CatalogueFile, SettingsFile])
def test_every_key_says_its_meaning_and_its_default(model: type[BaseModel]) -> None:
    silent = [
        f"{part.__name__}.{name}"
        for part in models(model)
        for name, field in part.model_fields.items()
        if not (field.description or "").strip().endswith(".")
        or (not field.is_required() and "efault" not in (field.description or ""))
    ]
    assert silent == []


def test_generating_twice_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert write_generated_files(tmp_path) == tuple(generated_files())
    assert write_generated_files(tmp_path) == ()
    assert stale_files(tmp_path) == ()


def test_an_edited_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    write_generated_files(tmp_path)
    edited = tmp_path / "deploy/schema/catalogue.schema.json"
    edited.write_text(edited.read_text() + "\n")
    assert stale_files(tmp_path) == ("deploy/schema/catalogue.schema.json",)


def test_nothing_is_written_outside_of_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a checkout of Foresail"):
        write_generated_files(tmp_path)
    assert list(tmp_path.iterdir()) == []
