"""Metrics found in Go source without building it."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "contract"

CONSTANTS = """
package metrics

const (
\tcomponent = "pool"
\tnamespace = "board"
)

var (
\tmodelLabels = []string{"model", "target"}
\tedges       = []float64{
\t\t0.1, 1, 2.5, // seconds
\t}
)
"""


@pytest.fixture(scope="module")
def reader():
    sys.path.insert(0, str(FOLDER))
    try:
        import go_metrics

        yield go_metrics
    finally:
        sys.path.remove(str(FOLDER))
        for name in ("go_metrics", "source_metrics"):
            sys.modules.pop(name, None)


def found(reader, text):
    (metric,) = reader.metrics_of_go(text, package=CONSTANTS + text)
    return metric


def options(kind, *, fields, labels="", vec="Vec"):
    return f"""
\tthing = prometheus.New{kind}{vec}(
\t\tprometheus.{kind}Opts{{
\t\t\tSubsystem: component,
{fields}
\t\t}},{labels}
\t)
"""


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param('\n\t\t[]string{"name"},', ("name",), id="written down"),
        pytest.param("\n\t\tmodelLabels,", ("model", "target"), id="a variable"),
        pytest.param(
            '\n\t\tappend(modelLabels, "code"),', ("model", "target", "code"), id="one more"
        ),
        pytest.param("\n\t\telsewhere,", None, id="bound elsewhere"),
        pytest.param("", (), id="none"),
    ],
)
def test_labels_of_options(reader, labels, expected):
    text = options("Counter", fields='\t\t\tName: "x_total",', labels=labels)
    metric = found(reader, text)
    assert (metric.name, metric.kind, metric.labels) == ("pool_x_total", "counter", expected)


@pytest.mark.parametrize(
    ("buckets", "expected", "expression"),
    [
        pytest.param("[]float64{1, 2}", (1.0, 2.0), None, id="written down"),
        pytest.param("[]float64{\n\t\t\t\t1, // one\n\t\t\t\t2,\n\t\t\t}", (1.0, 2.0), None, id="lines"),
        pytest.param("edges", (0.1, 1.0, 2.5), None, id="a variable"),
        pytest.param(
            "prometheus.ExponentialBuckets(1, 2, 9)", None,
            "prometheus.ExponentialBuckets(1, 2, 9)", id="computed",
        ),
    ],
)  # fmt: skip
def test_edges_of_options(reader, buckets, expected, expression):
    fields = f'\t\t\tName: "wait_seconds",\n\t\t\tBuckets: {buckets},'
    metric = found(reader, options("Histogram", fields=fields, labels="\n\t\tmodelLabels,"))
    assert (metric.buckets, metric.buckets_expression) == (expected, expression)
    assert metric.labels == ("model", "target")


def test_a_name_whose_parts_are_bound_elsewhere_is_left_out(reader):
    text = options("Gauge", fields='\t\t\tNamespace: elsewhere,\n\t\t\tName: "x",')
    assert list(reader.metrics_of_go(text, package=CONSTANTS + text)) == []


def test_a_full_name_has_no_type(reader):
    metric = found(
        reader,
        'd = prometheus.NewDesc(\n\tprometheus.BuildFQName(namespace, "", "power_watts"),\n'
        '\t"Power (\\"now\\").",\n\t[]string{"id"},\n\tnil,\n)\n',
    )
    assert (metric.name, metric.kind, metric.labels) == ("board_power_watts", None, ("id",))


def test_a_generator_makes_its_labels_while_running(reader):
    metric = found(
        reader,
        '*generator.NewFamilyGeneratorWithStability(\n\t"kube_x_total",\n\t"Help.",\n\tmetric.Counter,\n',
    )
    assert (metric.name, metric.kind, metric.labels) == ("kube_x_total", "counter", None)
