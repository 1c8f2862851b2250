"""What is a trace, and what a file that is none is told."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from collector.errors import ConfigurationError
from foresail.backtest.trace_file import default_engine, default_scale, read_trace
from support.backtests import write_trace


def test_a_trace_is_read_as_it_stands(tmp_path):
    path = write_trace(
        tmp_path / "week.parquet",
        arrival_s=[0.5, 2.0],
        prompt_tokens=[10, 20],
        output_tokens=[3, 4],
    )
    trace = read_trace(str(path), model=None)
    assert (trace.name, trace.model) == ("week", None)
    assert trace.workload.arrival_seconds.tolist() == [0.5, 2.0]
    assert trace.workload.prompt_tokens.tolist() == [10, 20]
    assert trace.workload.output_tokens.tolist() == [3, 4]


def test_one_model_of_several_is_taken(tmp_path):
    path = write_trace(
        tmp_path / "t.parquet",
        arrival_s=[1.0, 2.0, 3.0],
        model=pa.array(["a", "b", "a"]).dictionary_encode(),
    )
    trace = read_trace(str(path), model="a")
    assert trace.model == "a"
    assert trace.workload.arrival_seconds.tolist() == [1.0, 3.0]


def test_the_only_model_needs_no_name(tmp_path):
    path = write_trace(tmp_path / "t.parquet", arrival_s=[1.0], model=["a"])
    assert read_trace(str(path), model=None).model == "a"


@pytest.mark.parametrize(
    ("columns", "model", "said"),
    [
        pytest.param({"arrival_s": [2.0, 1.0]}, None, "arrival_s falls at row 1", id="unsorted"),
        pytest.param({"arrival_s": [-1.0]}, None, "0 or more", id="before-the-start"),
        pytest.param(
            {"arrival_s": [1.0], "output_tokens": [0]}, None, "output_tokens is 0 at row 0", id="zero"
        ),
        pytest.param(
            {"arrival_s": [1.0], "prompt_tokens": [-5]}, None, "prompt_tokens is -5", id="negative"
        ),
        pytest.param({"arrival_s": pa.array([], pa.float64()), "prompt_tokens": pa.array([], pa.int32()),
                      "output_tokens": pa.array([], pa.int32())}, None, "holds no requests", id="empty"),
        pytest.param(
            {"arrival_s": [1.0, 2.0], "model": ["a", "b"]}, None, "--model: a, b", id="which-model"
        ),
        pytest.param(
            {"arrival_s": [1.0], "model": ["a"]}, "c", "no requests of 'c'; --model may be: a", id="other"
        ),
        pytest.param({"arrival_s": [1.0]}, "a", "leave --model out", id="no-models"),
        pytest.param(
            {"arrival_s": ["soon"]}, None, "arrival_s is of type string", id="text-for-a-number"
        ),
        pytest.param(
            {"arrival_s": [1.0], "prompt_tokens": [1.5]}, None, "must be whole numbers", id="fraction"
        ),
        pytest.param(
            {"arrival_s": [1.7e9, 1.7e9 + 60.0]}, None, "subtract the first arrival", id="epoch-seconds"
        ),
        pytest.param(
            {"arrival_s": [1.0, None]}, None, "arrival_s has no value at row 1", id="missing-value"
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_trace_is_refused(tmp_path, columns, model, said):
    path = write_trace(tmp_path / "t.parquet", **columns)
    with pytest.raises(ConfigurationError) as error:
        read_trace(str(path), model=model)
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"arrival_s": [1.0], "tokens": [3]}), path)
    with pytest.raises(
        ConfigurationError, match=r"no column 'prompt_tokens'.*found: arrival_s, tokens"
    ):
        read_trace(str(path), model=None)


def test_another_kind_of_file_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("arrival_s\n1\n")
    with pytest.raises(ConfigurationError, match="is no Parquet file"):
        read_trace(str(path), model=None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("nowhere.parquet", "does not exist", id="missing"),
        pytest.param(".", "is a folder", id="folder"),
    ],
)
def test_a_path_without_a_file_is_a_wrong_use(tmp_path, name, said):
    with pytest.raises(ConfigurationError) as error:
        read_trace(str(tmp_path / name), model=None)
    assert str(error.value).startswith(f"{tmp_path / name}: {said}; give --trace")


def test_the_bundled_example_is_two_days_of_requests():
    trace = read_trace("example", model=None)
    assert len(trace.workload) == 62_313
    assert 1.99 < trace.workload.end_seconds / 86400 <= 2.0
    assert np.median(trace.workload.output_tokens) == 13
    assert (default_scale("example"), default_engine("example")) == (16, "llama-3.1-8b-fp8-gb10")
    assert (default_scale("week.parquet"), default_engine(None)) == (1, "llama-3.1-8b-l40s-tp1")
