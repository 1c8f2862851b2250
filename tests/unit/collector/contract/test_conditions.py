"""What conditions of KServe's objects mean."""

import pytest

from collector.contract.conditions import load_condition_facts
from collector.model.cluster import Condition

FACTS = load_condition_facts()


def condition(name, is_true):
    return Condition(
        name=name, is_true=is_true, reason=None, message=None, changed_timestamp_seconds=None
    )


@pytest.mark.parametrize(
    ("kind", "name", "is_true", "good"),
    [
        ("InferenceService", "PredictorReady", True, True),
        ("InferenceService", "PredictorReady", False, False),
        ("InferenceService", "PredictorReady", None, False),
        ("InferenceService", "Stopped", False, True),
        ("InferenceService", "Stopped", True, False),
        ("LLMInferenceService", "WorkloadsReady", True, True),
        ("LLMInferenceService", "OfANewerRelease", False, False),
        ("Deployment", "Available", True, True),
    ],
)
def test_a_condition_is_good_or_not(kind, name, is_true, good):
    assert FACTS.is_good(condition(name, is_true), kind=kind) is good


def test_each_says_what_it_is_about_in_one_sentence():
    assert all(row.meaning.endswith(".") and "\n" not in row.meaning for row in FACTS.rows)
    names = [(row.kind, row.name) for row in FACTS.rows]
    assert len(names) == len(set(names))
    assert len(FACTS.reference.split()) > 2
