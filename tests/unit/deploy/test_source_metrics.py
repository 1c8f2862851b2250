"""Metrics found in source text without running it."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[3] / "deploy" / "contract" / "source_metrics.py"


@pytest.fixture(scope="module")
def reader():
    spec = importlib.util.spec_from_file_location("source_metrics", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def found(reader, text):
    return {each.name: each for each in reader.metrics_of_calls(text, prefix="e:")}


@pytest.mark.parametrize(
    ("call", "name", "kind"),
    [
        ('Counter(name="e:done")', "e:done_total", "counter"),
        ('Counter(name="e:done_total")', "e:done_total", "counter"),
        ('self._gauge_cls(name="e:now")', "e:now", "gauge"),
        ('prometheus_client.Histogram("e:wait", "doc")', "e:wait", "histogram"),
        ('Info(name="e:config")', "e:config_info", "info"),
        ('name = "e:made_up_later"', "e:made_up_later", None),
    ],
)
def test_names_and_types(reader, call, name, kind):
    assert {each.name: each.kind for each in found(reader, call).values()} == {name: kind}


def test_labels_and_buckets_are_followed_to_where_they_are_written(reader):
    text = """
EDGES = (0.1, 1, float("inf"))
class Logger:
    def __init__(self, size):
        labelnames = ["model"]
        self.a = Counter(name="e:a", documentation="", labelnames=labelnames + ["reason"])
        self.b = Histogram("e:b", "", labelnames, buckets=EDGES)
        self.c = Histogram(name="e:c", labelnames=self.made(), buckets=made(size))
"""
    metrics = found(reader, text)
    assert metrics["e:a_total"].labels == ("model", "reason")
    assert metrics["e:b"].labels == ("model",)
    assert metrics["e:b"].buckets == (0.1, 1.0)
    assert metrics["e:c"].labels is None
    assert metrics["e:c"].buckets is None
    assert metrics["e:c"].buckets_expression == "made(size)"


def test_other_strings_are_no_metrics(reader):
    assert found(reader, 'x = "see e:a and e:b"\nCounter(name="other")\nnotify(name="e:")') == {}


def test_constants_of_a_class_are_suffixes(reader):
    text = 'class a:\n    X = "x_total"\n    Y = "NOT_ONE"\nclass b:\n    Z = "z"\n'
    names = reader.metrics_of_constants(text, class_name="a", prefix="p_")
    assert [each.name for each in names] == ["p_x_total"]
