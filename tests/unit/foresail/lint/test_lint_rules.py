"""One expression at a time: what each rule says, and where it keeps quiet."""

from dataclasses import replace
from functools import cache

import pytest

from foresail.lint import load_name_facts
from foresail.lint.context import Context
from foresail.lint.promql import MAX_PARTS, NotPromql, parse
from foresail.lint.rules import RULES
from foresail.lint.templates import readings


@cache
def context(*, has_router: bool = False) -> Context:
    return Context(
        facts=load_name_facts(), versions={}, recorded=frozenset(), has_router=has_router
    )


def rules_of(text: str, *, has_router: bool = False) -> list[str]:
    node = parse(text)
    return [
        remark.rule.value for rule in RULES for remark in rule(node, context(has_router=has_router))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "rate(vllm:generation_tokens_total[5m])",
        "histogram_quantile(0.9, sum without (instance) (rate(vllm:time_to_first_token_seconds_bucket[5m])))",
        "histogram_quantile(0.9, rate(vllm:time_to_first_token_seconds_bucket[5m]))",
        "max(histogram_quantile(0.9, rate(vllm:time_to_first_token_seconds_bucket[5m])))",
        "rate(vllm:iteration_tokens_total_sum[5m])",
        "sum(vllm:kv_cache_usage_perc) / count(vllm:kv_cache_usage_perc)",
        "a / clamp_min(b, 1)",
        "a / (b > 0)",
        "a / 1024",
        "a / b > 0.5",
        "a / count(b)",
        'rate(vllm:time_to_first_token_seconds_bucket{le="+Inf"}[5m])',
        'rate(vllm:time_to_first_token_seconds_bucket{le="1.0"}[5m])',
        "up unless vllm:generation_tokens_total",
        "absent(vllm:generation_tokens_total)",
        '{__name__=~"vllm:.*"}',
        'sum(vllm:num_requests_running{job="x"})',
        "some_other_metric_nobody_knows",
        "my_vllm_requests",
        "increase(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[1h])",
        "DCGM_FI_DEV_SOME_FIELD_OF_TOMORROW",
        "vllm:prompt_tokens_created",
    ],
)
def test_nothing_is_said_about(text: str) -> None:
    assert rules_of(text, has_router=True) == []


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("a / b", ["unguarded-division"]),
        ("a / (b >bool 0)", ["unguarded-division"]),
        ("a / 0", ["unguarded-division"]),
        ("sum by (pod) (vllm:kv_cache_usage_perc)", ["sum-of-ratios"]),
        ("increase(foresail_replicas[5m])", ["rate-on-gauge"]),
        ("sum_over_time(histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))[1h:])", ["aggregated-quantile"]),
        ("avg(vllm:num_requests_waiting)", ["double-count"]),
        ('{"vllm:num_requests_swapped"}', ["removed-name"]),
        ("vllm:request_success", ["missing-total"]),
    ],
)  # fmt: skip
def test_a_rule_speaks_up_about(text: str, rules: list[str]) -> None:
    assert rules_of(text, has_router=True) == rules


@pytest.mark.parametrize(
    "text",
    [
        "rate(x[$__rate_interval])",
        "rate(x[${__range_s}s] offset $shift)",
        "rate(x[[[interval]]])",
        'x{job=~"${job:regex}", $filters}',
        "topk($n, sum by ($label, instance) (x))",
        "histogram_quantile($quantile, rate(x_bucket[5m]))",
        "$aggregation by (le) (rate(x[5m]))",
        "${function}(x[$__interval])",
        "x > $threshold",
        "x[5m:$step]",
        "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
        "clamp_min(x, $minimum)",
        'label_replace(x, "a", "$1", "b", "(.*)$")',
    ],
)
def test_variables_are_replaced_by_something_that_parses(text: str) -> None:
    def is_readable(reading: str) -> bool:
        try:
            parse(reading)
        except NotPromql:
            return False
        return True

    assert any(is_readable(reading) for reading in readings(text))


@pytest.mark.parametrize(
    "text",
    ["(" * 5000 + "x" + ")" * 5000, "-" * 5000 + "x", "+".join(["x"] * (MAX_PARTS + 2)), "x" * 70_000],
    ids=["brackets", "signs", "sums", "long"],
)  # fmt: skip
def test_hostile_nesting_is_refused_before_the_parser_sees_it(text: str) -> None:
    with pytest.raises(NotPromql):
        parse(text)


@pytest.mark.parametrize("part", ["(", "-", "abs(", "x+"])
def test_the_deepest_nesting_allowed_is_survived(part: str) -> None:
    count = MAX_PARTS - 5
    text = part * count + "x" + (")" * count if "(" in part else "")
    assert rules_of(text) == []


@pytest.mark.parametrize(
    ("label", "version", "rules"),
    [
        pytest.param("Hostname", None, ["renamed-label"], id="old name, newest version"),
        pytest.param("Hostname", (4, 6), ["renamed-label"], id="old name, new version"),
        pytest.param("Hostname", (4, 5, 3), [], id="old name, old version"),
        pytest.param("hostname", (4, 5, 3), ["renamed-label"], id="new name, old version"),
        pytest.param("hostname", None, [], id="new name, newest version"),
    ],
)
def test_a_label_is_that_of_the_version_in_use(
    label: str, version: tuple[int, ...] | None, rules: list[str]
) -> None:
    in_use = replace(context(), versions={"dcgm_exporter": version} if version else {})
    node = parse(f"max by ({label}) (DCGM_FI_DEV_GPU_TEMP)")
    assert [remark.rule.value for rule in RULES for remark in rule(node, in_use)] == rules
