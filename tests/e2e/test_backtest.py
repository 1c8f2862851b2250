"""`foresail backtest` as people run it: on a file, on several processes, on Dask, on a real Prometheus."""

import asyncio
import importlib.util
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from pyarrow import parquet

from foresail.cli.main import main
from support.backtests import busy_hours, write_trace
from support.prometheus_server import PROMETHEUS, PROMTOOL, running_prometheus

USUAL = ("--tune-days", "0.04", "--policy", "work_rule,static")


@pytest.fixture
def trace(tmp_path):
    return str(write_trace(tmp_path / "trace.parquet", **busy_hours()))


@pytest.fixture
def backtest(capsys):
    def run(*arguments):
        code = main(["backtest", *arguments], environ={})
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_file_gives_a_table(backtest, trace):
    code, out, err = backtest("--trace", trace, *USUAL)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("trace, recorded: 2,000 requests in 0.08 days")
    assert lines[3].split("  ")[0] == "policy"
    assert {line.split()[0] for line in lines[4:7]} == {"work_rule", "static", "clairvoyant"}


def test_the_same_seed_gives_the_same_bytes_whoever_runs_it(backtest, trace):
    asked = ("--trace", trace, *USUAL, "--policy", "foresail", "--seeds", "2", "--json")
    here, elsewhere = backtest(*asked), backtest(*asked, "--jobs", "2")
    assert here[0] == 0
    assert here == elsewhere
    found = json.loads(here[1])
    assert found["subject"]["seeds"] == 2
    assert {each["policy"] for each in found["policies"]} == {
        "foresail", "work_rule", "static", "clairvoyant",
    }  # fmt: skip
    assert {each["clairvoyant"]["ratio"] for each in found["policies"]} - {None}


def test_files_that_were_asked_for_are_written(backtest, trace, tmp_path):
    page, schedule = tmp_path / "page.html", tmp_path / "schedule.parquet"
    code, *_ = backtest(
        "--trace", trace, *USUAL, "--html", str(page), "--schedule-out", str(schedule)
    )
    assert code == 0
    assert page.read_text().endswith("</html>\n")
    table = parquet.read_table(schedule)
    assert table.column_names == ["time_seconds", "policy", "ordered", "ready"]
    assert set(table["policy"].to_pylist()) == {"work_rule", "static", "clairvoyant"}


def test_the_forecast_alone_is_scored_per_horizon(backtest, tmp_path):
    columns = busy_hours(hours=60.0, requests=3000)
    trace = str(write_trace(tmp_path / "week.parquet", **columns))
    code, out, err = backtest("--trace", trace, "--forecast-only")
    assert (code, err) == (0, "")
    table, _, explained = out.partition("\n\n")
    assert [line.split()[0] for line in table.splitlines()] == [
        "service",
        "week",
        "week",
        "week",
        "week",
    ]
    assert explained.startswith("WAPE: error of the median")
    code, out, _ = backtest("--trace", trace, "--forecast-only", "--json")
    assert [each["horizon_seconds"] for each in json.loads(out)] == [
        600.0,
        3600.0,
        21600.0,
        86400.0,
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param((), "give --trace FILE.parquet, --trace example, or --prometheus URL", id="nothing"),
        pytest.param(("--trace", "none.parquet"), "none.parquet", id="no-file"),
        pytest.param(("--trace", "TRACE", "--prometheus", "http://127.0.0.1:9"), "not both", id="both"),
        pytest.param(("--trace", "TRACE", "--service", "a"), "--service goes with --prometheus", id="service"),
        pytest.param(("--prometheus", "127.0.0.1:9090"), "must be a url", id="url"),
        pytest.param(("--prometheus", "http://127.0.0.1:9", "--scale", "2"), "--scale goes with --trace", id="scale"),
        pytest.param(("--prometheus", "http://127.0.0.1:9"), "cannot be asked", id="nobody-there"),
        pytest.param(("--trace", "TRACE", "--html", "/nowhere/x.html"), "--html /nowhere/x.html: cannot be written", id="html"),
        pytest.param(("--trace", "TRACE", "--policy", "hpa"), "no such policy", id="policy"),
        pytest.param(("--trace", "TRACE", "--forecast-only"), "the series has 0.1 days", id="forecast-of-hours"),
        pytest.param(("--trace", "TRACE", "--forecast-only", "--days", "1"), "the series has 0.1 days", id="forecast-of-days"),
        pytest.param(("--trace", "TRACE", "--ttft", "soon"), "--ttft soon: must be a duration", id="ttft"),
    ],
)  # fmt: skip
def test_wrong_use_is_told_in_one_line(backtest, trace, arguments, said):
    code, out, err = backtest(*(trace if each == "TRACE" else each for each in arguments))
    assert code in {1, 2}
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert "defect" not in err


def test_a_missing_extra_is_named(trace):
    hidden = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from foresail.cli.main import main\n"
        f"sys.exit(main(['backtest', '--trace', {trace!r}], environ={{}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "pip install 'foresail[backtest]'" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="no dask here")
def test_a_dask_cluster_gives_the_same(trace, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import subprocess, sys\n"
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=1, threads_per_worker=1, host='127.0.0.1',\n"
        "                      scheduler_port=0, dashboard_address=None) as cluster:\n"
        "        asked = [sys.executable, '-m', 'foresail', 'backtest', *sys.argv[1:]]\n"
        "        here = subprocess.run(asked, capture_output=True, check=True).stdout\n"
        "        there = subprocess.run([*asked, '--dask', cluster.scheduler_address],\n"
        "                               capture_output=True, check=True).stdout\n"
        "        sys.exit(0 if here == there and here else 3)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), "--trace", trace, *USUAL, "--json"],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.skipif(not (PROMETHEUS and PROMTOOL), reason="no Prometheus here")
async def test_history_of_vllm_in_a_real_prometheus_is_reconstructed(tmp_path, capsys):
    history = tmp_path / "history.txt"
    admitted = write_history(history, hours=8)
    async with running_prometheus(tmp_path / "prometheus", history=history) as prometheus:
        code = await asyncio.to_thread(
            main,
            ["backtest", "--prometheus", prometheus.url, "--since", "7h", "--tune-days", "0.1", "--policy", "work_rule", "--json"],
            environ={},
        )  # fmt: skip
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    found = json.loads(said.out)
    subject = found["subject"]
    assert subject["is_reconstructed"]
    assert subject["seeds"] == 5
    assert subject["trace"] == "chat"
    assert 5.9 / 24 < subject["trace_days"] <= 7 / 24
    assert subject["requests"] == pytest.approx(
        admitted * subject["trace_days"] / (8 / 24), rel=0.05
    )
    row = next(each for each in found["policies"] if each["policy"] == "work_rule")
    spread = row["gpu_hours_spread"]
    assert spread["low"] - 1e-9 <= row["gpu_hours"] <= spread["high"] + 1e-9


def write_history(path, *, hours):
    """Writes vLLM's series of one service, scraped twice a minute until now; how many requests it had."""
    scrapes = hours * 120
    times = int(time.time()) - 30 * np.arange(scrapes)[::-1]
    finished = np.cumsum(np.random.default_rng(0).poisson(6.0, scrapes))
    series = {
        ("vllm:request_success", "counter"): [('_total{finished_reason="stop",LABELS}', 1.0)],
        ("vllm:num_requests_running", "gauge"): [("{LABELS}", 0.0)],
        ("vllm:num_requests_waiting", "gauge"): [("{LABELS}", 0.0)],
        ("vllm:request_prompt_tokens", "histogram"): histogram((("100", 0.5), ("1000", 1.0)), mean=300),
        ("vllm:request_generation_tokens", "histogram"): histogram((("10", 0.2), ("200", 1.0)), mean=80),
    }  # fmt: skip
    with path.open("w") as file:
        for (name, kind), parts in series.items():
            file.write(f"# TYPE {name} {kind}\n")
            for suffix, factor in parts:
                labelled = suffix.replace("LABELS", 'model_name="chat",engine="0"')
                file.writelines(
                    f"{name}{labelled} {factor * count:.0f} {at}\n"
                    for at, count in zip(times, finished, strict=True)
                )
        file.write("# EOF\n")
    return int(finished[-1])


def histogram(shares, *, mean):
    buckets = [
        (f'_bucket{{LABELS,le="{edge}"}}', share) for edge, share in (*shares, ("+Inf", 1.0))
    ]
    return [*buckets, ("_sum{LABELS}", float(mean)), ("_count{LABELS}", 1.0)]
