"""Whatever Prometheus answers: each target gets a page that can be read, or one line why there is none."""

import math
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from collector.clock import VirtualClock
from collector.contract.loader import load_contracts
from collector.model.page import PageIdentity
from collector.model.reading import Missing
from collector.model.replica import EngineKind
from collector.normalise.page import read_page
from collector.ports import InstantAnswer, InstantSample, ScrapeTarget
from collector.sources.prometheus_pages import PrometheusReader

CONTRACT = load_contracts().engines[EngineKind.VLLM]
NAMES = sorted(
    {name for rule in CONTRACT.rules.values() for each in rule.sources for name in each.names}
)
TARGETS = [ScrapeTarget(key=key, url=f"http://{key}:1/metrics") for key in ("a", "b")]
LABELS = st.dictionaries(
    st.sampled_from(["instance", "le", "model_name", "engine", "finished_reason", "x"]),
    st.sampled_from(["a:1", "b:1", "0.5", "+Inf", "nan", 'q"\\\n', "", "é"]),
)
SAMPLES = st.lists(
    st.builds(
        lambda name, labels, value: InstantSample(labels={"__name__": name, **labels}, value=value),
        st.sampled_from([*NAMES, *(f"{name}_bucket" for name in NAMES), ""]),
        LABELS,
        st.floats(),
    ),
    max_size=30,
)
ANSWERS = st.builds(
    lambda samples, error: InstantAnswer(samples=tuple(samples), error=error),
    SAMPLES,
    st.sampled_from([None, "refused"]),
)


class Answering:
    """Answers in turn; the first two are when and how often the targets were scraped."""

    def __init__(self, answers: list[InstantAnswer]) -> None:
        self._answers: Iterator[InstantAnswer] = iter(answers)

    def query(self, expression: str) -> InstantAnswer:
        if "timestamp(up)" in expression:
            found = [InstantSample(labels={"instance": f"{key}:1"}, value=900.0) for key in "ab"]
            return InstantAnswer(samples=tuple(found))
        return next(self._answers, InstantAnswer(samples=()))


@given(answers=st.lists(ANSWERS, max_size=6))
async def test_no_answer_crashes_or_becomes_a_number_that_is_none(
    answers: list[InstantAnswer],
) -> None:
    reader = PrometheusReader(
        Answering(answers), rules=CONTRACT.rules.values, clock=VirtualClock(1000.0)
    )
    pages = await reader.read_expositions(TARGETS)
    assert set(pages) == {"a", "b"}
    for key, page in pages.items():
        assert (page.text is None) != (page.error is None)
        if page.text is None:
            continue
        identity = PageIdentity(key=key, source="engine:vllm")
        read = read_page(
            page.text, contract=CONTRACT, identity=identity, observed_timestamp_seconds=900.0
        )
        for reading in read.numbers.values():
            assert isinstance(reading, Missing) or math.isfinite(reading.value)
