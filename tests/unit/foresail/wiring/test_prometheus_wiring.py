"""How Prometheus comes into a controller: what is asked for, and what its owner is told when it cannot."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from collector.clock import SystemClock
from collector.contract.loader import load_contracts
from collector.errors import ConfigurationError
from collector.gateway.settings import GatewaySettings
from collector.model.catalogue import Control
from collector.model.replica import EngineKind
from collector.ports import ScrapeTarget
from collector.sources.exposition_http import HttpExpositionReader
from foresail.settings import EngineSource, PrometheusSettings, Settings, SourceSettings
from foresail.wiring.prometheus import page_reader, range_reader, rules_in_use, tell_late_scrapes
from support.builders import make_catalogue, make_service, make_variant
from support.fake_prometheus import fake_prometheus

URL = "http://127.0.0.1:1"


def settings(folder: Path, **prometheus) -> Settings:
    return Settings(
        catalogue_path=folder / "catalogue.yaml",
        gateway=GatewaySettings(state_dir=folder),
        sources=SourceSettings(engines=EngineSource.PROMETHEUS),
        prometheus=PrometheusSettings(url=URL, **prometheus),
    )


def opened(it: Settings, *, catalogue=make_catalogue):
    return page_reader(it, clock=SystemClock(), contracts=load_contracts(), catalogue=catalogue)


async def test_only_the_signals_of_engines_in_use_are_asked_for(tmp_path: Path) -> None:
    up = {"metric": {"instance": "h:1"}, "value": [1, "1"]}
    target = ScrapeTarget(key="r1", url="http://h:1/metrics")
    with fake_prometheus() as fake:
        fake.answers([up])
        it = settings(tmp_path)
        it = replace(it, prometheus=replace(it.prometheus, url=fake.url))
        async with opened(it) as reader:
            page = (await reader.read_expositions([target]))["r1"]
        assert page.observed_timestamp_seconds == 1.0
        asked = " ".join(each["query"] for each in fake.asked)
    assert "llamacpp:requests_processing" in asked
    assert "vllm:" not in asked
    assert "foresail_" not in asked


def test_engines_of_a_catalogue_are_told_once_each() -> None:
    variants = [make_variant(name, engine=EngineKind.VLLM) for name in ("a", "b")]
    catalogue = make_catalogue(make_service("chat", variants=tuple(variants)))
    contracts = load_contracts()
    rules = list(rules_in_use(contracts, catalogue=catalogue))
    assert rules == list(contracts.engines[EngineKind.VLLM].rules.values())


async def test_direct_reading_opens_nothing_else(tmp_path: Path) -> None:
    it = replace(settings(tmp_path), sources=SourceSettings(), prometheus=PrometheusSettings())
    async with opened(it) as reader:
        assert isinstance(reader, HttpExpositionReader)


@pytest.mark.parametrize(
    ("key", "field"), [("bearer_token_file", "bearer_token_path"), ("ca_file", "ca_path")]
)
async def test_a_file_that_cannot_be_read_is_told_at_the_start(
    tmp_path: Path, key: str, field: str
) -> None:
    path = tmp_path / "none"
    with pytest.raises(ConfigurationError) as caught:
        async with opened(settings(tmp_path, **{field: path})):
            pytest.fail("it was opened")
    assert str(caught.value) == (
        f"prometheus.{key} is {path}, which cannot be read: No such file or directory; make it "
        "readable for this user, or change the path"
    )


def test_settings_made_in_code_need_the_url_too(tmp_path: Path) -> None:
    it = replace(settings(tmp_path), prometheus=PrometheusSettings())
    with (
        pytest.raises(ConfigurationError, match=r"history\.kind is prometheus, but"),
        range_reader(it, clock=SystemClock()),
    ):
        pytest.fail("it was opened")


WITHOUT_THE_EXTRA = """
import sys
from pathlib import Path
sys.modules["prometheus_api_client"] = None
from collector.clock import SystemClock
from collector.errors import ConfigurationError
from collector.gateway.settings import GatewaySettings
from foresail.settings import PrometheusSettings, Settings
import foresail.wiring.control
from foresail.wiring.prometheus import range_reader
settings = Settings(
    catalogue_path=Path("c"),
    gateway=GatewaySettings(state_dir=Path("s")),
    prometheus=PrometheusSettings(url="http://127.0.0.1:1"),
)
try:
    with range_reader(settings, clock=SystemClock()):
        pass
except ConfigurationError as error:
    print(error)
"""


def test_without_the_extra_the_rest_works_and_the_error_names_it() -> None:
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert told.stdout.strip() == (
        "history.kind is prometheus, which needs the Python package 'prometheus_api_client', not "
        "installed here; install it with: pip install 'foresail[prometheus]'"
    )


@pytest.mark.parametrize(("scrape_interval_seconds", "count"), [(15.0, 0), (30.0, 1)])
def test_scrapes_too_rare_for_fresh_readings_are_told(
    tmp_path: Path, scrape_interval_seconds: float, count: int
) -> None:
    log = LogCapture()
    tell_late_scrapes(
        settings(tmp_path, scrape_interval_seconds=scrape_interval_seconds),
        catalogue=make_catalogue(control=Control(stale_after_seconds=20.0)),
        log=structlog.wrap_logger(
            structlog.ReturnLogger(),
            processors=[log],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        ),
    )
    assert len(log.entries) == count
    assert all("say at least stale_after: 35s" in each["error"] for each in log.entries)
