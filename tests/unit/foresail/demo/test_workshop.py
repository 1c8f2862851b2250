"""What the demo puts into its work folder is what an owner could run."""

from pathlib import Path

import pytest
import yaml

from collector.catalogue_file import read_catalogue
from collector.model.catalogue import (
    ActionKind,
    AuthorityLevel,
    CapacityPrior,
    Catalogue,
    Mode,
    ProcessTarget,
)
from foresail.demo import llama_server
from foresail.demo.trace import SERVICES as RECORDED
from foresail.demo.workshop import (
    SERVICES,
    Measured,
    engine_command,
    write_catalogue,
    write_models,
    write_settings,
)
from foresail.settings import LogFormat, read_settings

MIB = 2**20
MEASURED = Measured(
    capacity=CapacityPrior(prompt_seconds_per_token=0.0005, output_seconds_per_token=0.004),
    memory_bytes=100 * MIB,
)


@pytest.fixture(name="catalogue")
def _catalogue(tmp_path: Path) -> Catalogue:
    models = {each.name: tmp_path / f"{each.name}.gguf" for each in SERVICES}
    return read_catalogue(write_catalogue(tmp_path, models=models, measured=MEASURED))


def test_the_settings_are_valid_and_stay_in_the_folder(tmp_path: Path) -> None:
    settings = read_settings(write_settings(tmp_path, gateway_port=4001, controller_port=4002), {})
    assert settings.state_dir == tmp_path / "state"
    assert settings.catalogue_path == tmp_path / "catalogue.yaml"
    assert (settings.gateway.port, settings.controller.port) == (4001, 4002)
    assert settings.gateway.host == settings.controller.host == "127.0.0.1"
    assert settings.ticks.ingest_seconds < settings.ticks.decide_seconds <= 1.0
    assert settings.logging.format is LogFormat.JSON


def test_the_catalogue_lets_foresail_act_and_says_so(catalogue: Catalogue) -> None:
    assert catalogue.authority.mode is Mode.ACTIVE
    assert catalogue.authority.level(ActionKind.SCALE) is AuthorityLevel.AUTO


def test_every_recorded_service_is_served_in_a_tier_of_its_own(catalogue: Catalogue) -> None:
    assert {each.name for each in catalogue.services} == set(RECORDED)
    assert [each.tier for each in catalogue.services] == ["gold", "silver", "bronze"]
    prices = [catalogue.tier(each.tier).violation_price_per_minute for each in catalogue.services]
    assert prices == sorted(prices, reverse=True)


def test_what_was_measured_is_what_is_declared(catalogue: Catalogue) -> None:
    for each in catalogue.services:
        (variant,) = each.variants
        assert variant.capacity_prior == MEASURED.capacity
        assert variant.memory_bytes == 100 * MIB


def test_memory_is_worth_deciding_on(catalogue: Catalogue) -> None:
    (pool,) = catalogue.pools
    variants = [variant for each in catalogue.services for variant in each.variants]
    wanted = sum(variant.max_replicas for variant in variants)
    kept = sum(variant.min_replicas for variant in variants)
    fit = pool.budget_bytes // (100 * MIB)
    assert kept + 1 < fit  # something can always be added
    assert pool.budget_bytes < wanted * 135 * MIB  # but not everything, once replicas have grown


def test_windows_fit_into_a_demo_of_three_minutes(catalogue: Catalogue) -> None:
    control = catalogue.control
    assert control.scale_in_hold_seconds <= 30
    assert control.idle_to_zero_seconds <= 30
    assert control.length_window_seconds <= 30


def test_the_engines_command_is_one_that_the_engine_takes(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    for each in catalogue.services:
        target = each.variants[0].target
        assert isinstance(target, ProcessTarget)
        words = [word.replace("{port}", "4003") for word in target.command]
        assert words[:3] == ["{python}", "-m", "foresail.demo.llama_server"]
        options = llama_server._parse(words[3:])
        assert (options.port, options.alias, options.slots) == (4003, each.name, 2)
        assert options.model == tmp_path / f"{each.name}.gguf"
        assert target.required_files == (str(options.model),)


def test_a_folder_with_a_space_is_one_word(tmp_path: Path) -> None:
    model = tmp_path / "my models" / "x.gguf"
    assert str(model) in engine_command(model=model, name="chat")


def test_the_files_are_for_people_to_read(tmp_path: Path) -> None:
    write_settings(tmp_path, gateway_port=1, controller_port=2)
    content = yaml.safe_load((tmp_path / "foresail.yaml").read_text())
    assert list(content)[:2] == ["catalogue", "state_dir"]


def test_each_service_gets_a_model_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    models = write_models(tmp_path)
    assert list(models) == [each.name for each in SERVICES]
    contents = {path.read_bytes() for path in models.values()}
    assert len(contents) == 3
    assert {content[:4] for content in contents} == {b"GGUF"}
