"""Whatever stands in a file, the linter answers with findings and never with an exception."""

import json
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.lint import load_name_facts
from foresail.lint.documents import contents
from foresail.lint.judge import Document, context_of, judge
from foresail.lint.name_facts import NameFacts

_WORDS = (
    "sum(", "rate(", ")", "[5m]", "{", "}", 'le="1"', ",", "/", "> 0", "by (le) ", "vllm:num_requests_running",
    "vllm:time_to_first_token_seconds_bucket", "histogram_quantile(0.9, ", "$x", "[[y]]", "${z:regex}", " or ", "0",
    "<<.Series>>", "offset ", "\n", "#", "@", "'",
)  # fmt: skip
_KEYS = st.sampled_from(
    ("groups", "rules", "expr", "alert", "record", "for", "kind", "spec", "panels", "targets", "title", "templating",
     "list", "type", "query", "triggers", "metadata", "data", "a.json", "b.yaml", "items", "metrics", "pods", "metric",
     "name", "dashboard", "annotations", "datasource")
)  # fmt: skip
_EXPRESSIONS = st.lists(st.sampled_from(_WORDS), max_size=12).map("".join)
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.floats(), st.text(max_size=20), _EXPRESSIONS,
    st.sampled_from(("ScaledObject", "ConfigMap", "List", "HorizontalPodAutoscaler", "prometheus", "query")),
)  # fmt: skip
_DOCUMENTS = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=5)),
    max_leaves=25,
)


@cache
def name_facts() -> NameFacts:
    return load_name_facts()


def lint(text: str, *, is_json: bool) -> None:
    document = Document(file="x", text=text, contents=contents(text, is_json=is_json))
    judge(document, context_of([document], facts=name_facts(), versions={}))


@given(_EXPRESSIONS)
@settings(max_examples=150, deadline=None)
def test_any_expression(text: str) -> None:
    lint(json.dumps({"panels": [{"targets": [{"expr": text}]}]}), is_json=True)


@given(_DOCUMENTS)
@settings(max_examples=150, deadline=None)
def test_any_document(value: object) -> None:
    text = json.dumps(value)
    lint(text, is_json=True)
    lint(text, is_json=False)


@given(st.text(max_size=200), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_text(text: str, is_json: bool) -> None:
    lint(text, is_json=is_json)


def test_documents_that_refer_to_themselves_end() -> None:
    lines = ["a0: &a0 [x, x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)
    ]
    lint("\n".join([*lines, "groups: *a39"]), is_json=False)
    lint("groups: &g [*g, {rules: *g}]", is_json=False)
    lint("[" * 100_000, is_json=True)
    lint("[" * 5_000 + "]" * 5_000, is_json=True)
    lint("[" * 2_000, is_json=False)
