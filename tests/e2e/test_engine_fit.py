"""`--engine fit`: the costs of an engine out of what a real Prometheus has scraped of it."""

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from collector.clock import SystemClock
from collector.contract.loader import load_contracts
from collector.model.replica import EngineKind
from collector.sources.prometheus_api import PrometheusAddress, PrometheusApi
from foresail.backtest.engine_fit import FittedEngine, fitted_engine
from foresail.backtest.history_reader import Window
from foresail.backtest.step_history import StepHistoryReader
from foresail.cli.main import main
from foresail.emulate.performance import read_row
from support.emulated import Emulated, emulated
from support.prometheus_server import PROMETHEUS, PROMTOOL, running_prometheus

pytestmark = pytest.mark.skipif(not (PROMETHEUS and PROMTOOL), reason="no Prometheus here")

# Its steps take tens of milliseconds: what a busy test machine adds to each is lost in them.
ROW = "llama2-70b-h100-tp4-meas"
LOAD_SECONDS = 66
BIN_SECONDS = 3.0


async def use(engine: Emulated, *, least: int, most: int) -> None:
    """So many users, more and fewer of them in turn, until cancelled."""

    async def user(place: int) -> None:
        while True:
            if (time.time() // 6) % 3 / 2 * (most - least) + least > place:
                body = {"model": "tiny", "prompt": "word " * 400, "max_tokens": 60}
                await engine.stream(body)
            else:
                await asyncio.sleep(0.2)

    await asyncio.gather(*(user(place) for place in range(most)))


def fitted(url: str, *, since: float) -> FittedEngine:
    api = PrometheusApi(PrometheusAddress(url=url, timeout_seconds=10.0), clock=SystemClock())
    with contextlib.closing(api):
        reader = StepHistoryReader(
            api,
            contract=load_contracts().engines[EngineKind.VLLM],
            window=Window(start_timestamp_seconds=since, end_timestamp_seconds=time.time()),
            bin_seconds=BIN_SECONDS,
        )
        return fitted_engine(reader.steps("tiny"))


@pytest.mark.slow
@pytest.mark.timeout(120)  # bins enough for a fit take a minute of load
async def test_the_costs_of_a_running_engine_are_found_in_its_scrapes(tmp_path: Path) -> None:
    async with (
        emulated(row=read_row(ROW), speed=1.0) as one,
        emulated(row=read_row(ROW), speed=1.0) as two,
        running_prometheus(tmp_path / "p") as scraper,
    ):
        scraper.watch({"engines": [urlsplit(each.url).netloc for each in (one, two)]})
        await asyncio.sleep(3)
        since = time.time()
        load = [
            asyncio.create_task(use(one, least=6, most=40)),
            asyncio.create_task(use(two, least=12, most=60)),
        ]
        await asyncio.sleep(LOAD_SECONDS)
        found = await asyncio.to_thread(fitted, scraper.url, since=since)
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    row = read_row(ROW)
    costs = found.engine.costs
    assert found.engine.limits.kv_capacity_tokens == row.kv_capacity_tokens
    assert found.median_error_ratio < 0.25
    # Steps with 30 sequences in them, as long as those of the engine that was measured.
    fit = costs.floor_picoseconds + 30 * costs.sequence_picoseconds
    context = 30 * 430 * row.costs.context_token_picoseconds
    true = row.costs.floor_picoseconds + 30 * row.costs.sequence_picoseconds + context
    assert fit == pytest.approx(true, rel=0.2)


def write_history(path: Path, *, hours: int, without: str = "") -> None:
    """vLLM's series of one service, scraped twice a minute until now; a step is 20 ms + 1 ms per request."""
    scrapes = hours * 120
    times = int(time.time()) - 30 * np.arange(scrapes)[::-1]
    running = 8.0 + 6.0 * np.sin(np.arange(scrapes) / 40.0)
    step = 0.020 + 0.001 * running
    output = np.cumsum(30.0 * running / step)
    finished = output / 400.0
    series: dict[tuple[str, str], list[tuple[str, Any]]] = {
        ("vllm:request_success", "counter"): [('_total{finished_reason="stop",LABELS}', finished)],
        ("vllm:num_requests_running", "gauge"): [("{LABELS}", running)],
        ("vllm:num_requests_waiting", "gauge"): [("{LABELS}", 0.0 * running)],
        ("vllm:generation_tokens", "counter"): [("_total{LABELS}", output)],
        ("vllm:prompt_tokens", "counter"): [("_total{LABELS}", finished * 300.0)],
        ("vllm:cache_config", "gauge"): [('_info{engine="0",kv_cache_size_tokens="90000"}', step * 0 + 1)],
        ("vllm:request_prompt_tokens", "histogram"): lengths(finished, mean=300.0),
        ("vllm:request_generation_tokens", "histogram"): lengths(finished, mean=400.0),
        ("vllm:inter_token_latency_seconds", "histogram"): [
            ('_bucket{LABELS,le="+Inf"}', output),
            ("_count{LABELS}", output),
            ("_sum{LABELS}", np.cumsum(30.0 * running)),
        ],
    }  # fmt: skip
    labels = 'model_name="chat",engine="0",instance="h:8000",job="vllm"'
    with path.open("w") as file:
        for (name, kind), parts in series.items():
            if name == without:
                continue
            # An info family has its own type; a gauge of that name does as well here.
            shown = f"{name}_info" if name.endswith("cache_config") else name
            file.write(f"# TYPE {shown} {kind}\n")
            for suffix, values in parts:
                named = suffix.replace("LABELS", labels).replace(
                    '{engine="0",kv', '{instance="h:8000",kv'
                )
                file.writelines(
                    f"{name}{named} {value:.3f} {at}\n"
                    for at, value in zip(times, values, strict=True)
                )
        file.write("# EOF\n")


def lengths(finished: Any, *, mean: float) -> list[tuple[str, Any]]:
    buckets = (("200", 0.2), ("1000", 1.0), ("+Inf", 1.0))
    parts = [(f'_bucket{{LABELS,le="{edge}"}}', share * finished) for edge, share in buckets]
    return [*parts, ("_count{LABELS}", finished), ("_sum{LABELS}", mean * finished)]


async def backtest(folder: Path, *, without: str = "") -> int:
    history = folder / "history.txt"
    write_history(history, hours=5, without=without)
    asked = ["--since", "4h", "--tune-days", "0.05", "--policy", "work_rule", "--seeds", "1"]
    async with running_prometheus(folder / "prometheus", history=history) as prometheus:
        command = ["backtest", "--prometheus", prometheus.url, *asked, "--engine", "fit", "--json"]
        return await asyncio.to_thread(main, command, environ={})


async def test_a_backtest_runs_on_the_engine_of_the_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await backtest(tmp_path)
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    subject = json.loads(said.out)["subject"]
    assert subject["engine"] == "fit"
    (note,) = [each for each in subject["notes"] if each.startswith("engine fitted")]
    assert "a step takes 20" in note
    assert "ms more per sequence" in note


async def test_a_history_without_token_times_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await backtest(tmp_path, without="vllm:inter_token_latency_seconds")
    said = capsys.readouterr()
    assert code == 2
    assert "--engine fit: Prometheus has no vllm:inter_token_latency_seconds_count" in said.err
    assert "foresail emulate --rows" in said.err
