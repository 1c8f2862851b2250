"""What chunks and answers say: content, usage, errors, ends; and token counts from it."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.gateway.books import Books, FinishReason
from collector.gateway.chunks import Usage, read_chunk, usage_at_end
from collector.gateway.meters import AnswerMeter, StreamMeter
from collector.gateway.recording import record_answer, record_completion
from collector.gateway.request_body import (
    Endpoint,
    PromptSize,
    parse_request,
    upstream_body,
)
from collector.gateway.tokens import CorrectedCounter, PromptTokenEstimator
from collector.model.catalogue import Sli
from collector.model.ids import ServiceName


def _chunk(**choice: object) -> bytes:
    return json.dumps({"choices": [{"index": 0, **choice}]}).encode()


@pytest.mark.parametrize(
    ("data", "has_content"),
    [
        (_chunk(delta={"content": "x"}), True),
        (_chunk(delta={"reasoning_content": "x"}), True),
        (_chunk(delta={"tool_calls": [{"index": 0}]}), True),
        (_chunk(text="x"), True),
        (_chunk(delta={"role": "assistant"}), False),
        (_chunk(delta={"role": "assistant", "content": ""}), False),
        (_chunk(delta={"content": None}), False),
        (_chunk(text=""), False),
        (_chunk(delta={}, finish_reason="stop"), False),
        (b"[DONE]", False),
        (b"nonsense", False),
        (b'{"choices": 4}', False),
        (b'{"choices": [null, 3, {"delta": 7}]}', False),
        (b"[" * 100_000, False),
        (b"\xff\xfe", False),
    ],
)
def test_content_is_what_carries_a_token(data: bytes, has_content: bool) -> None:
    assert read_chunk(data).has_content is has_content


@pytest.mark.parametrize(
    ("document", "is_usage_only"),
    [
        ({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}, True),
        ({"choices": [], "usage": None}, False),
        ({"choices": [{"delta": {}}], "usage": {"prompt_tokens": 3}}, False),
        ({"usage": {"prompt_tokens": 3}}, False),
        ({"choices": []}, False),
    ],
)
def test_only_the_chunk_that_was_asked_for_is_usage_only(
    document: dict[str, object], is_usage_only: bool
) -> None:
    assert read_chunk(json.dumps(document).encode()).is_usage_only is is_usage_only


@pytest.mark.parametrize("count", [-1, 1.5, "4", True, None, 10**12, [3]])
def test_a_count_that_is_no_count_is_not_known(count: object) -> None:
    data = json.dumps({"usage": {"prompt_tokens": count, "completion_tokens": 2}}).encode()
    assert read_chunk(data).usage == Usage(prompt_tokens=None, completion_tokens=2)


def test_the_token_counts_of_other_apis_are_read_too() -> None:
    data = b'{"usage": {"input_tokens": 3, "output_tokens": 4}}'
    assert read_chunk(data).usage == Usage(prompt_tokens=3, completion_tokens=4)


def test_usage_of_a_large_answer_is_found_at_its_end() -> None:
    meter = AnswerMeter()
    vectors = [{"embedding": [0.123456] * 100} for _ in range(1000)]
    raw = json.dumps({"data": vectors, "usage": {"prompt_tokens": 9, "total_tokens": 9}}).encode()
    for start in range(0, len(raw), 60_000):
        assert meter.pass_on(raw[start : start + 60_000], now_monotonic_seconds=0)
    meter.end()
    assert meter.usage == Usage(prompt_tokens=9, completion_tokens=None)


@pytest.mark.parametrize("tail", [b"", b'"usage"', b'"usage": null}', b'"usage": {"a"', b"x" * 99])
def test_usage_that_is_not_there_is_not_known(tail: bytes) -> None:
    assert usage_at_end(tail) is None


def test_the_estimate_starts_at_four_bytes_per_token_and_learns() -> None:
    estimator = PromptTokenEstimator()
    assert estimator.bytes_per_token_ratio == 4.0
    assert estimator.estimate_tokens(PromptSize(text_bytes=400, tokens=0)) == 100
    for _ in range(300):
        estimator.learn(PromptSize(text_bytes=200, tokens=0), prompt_tokens=100)
    assert estimator.bytes_per_token_ratio == pytest.approx(2.0, rel=0.02)


def test_tokens_given_as_numbers_are_counted_exactly_and_teach_nothing() -> None:
    estimator = PromptTokenEstimator()
    size = PromptSize(text_bytes=0, tokens=37)
    estimator.learn(size, prompt_tokens=500)
    assert estimator.estimate_tokens(size) == 37
    assert estimator.bytes_per_token_ratio == 4.0


def test_a_prompt_without_text_is_still_a_token() -> None:
    assert PromptTokenEstimator().estimate_tokens(PromptSize(text_bytes=0, tokens=0)) == 1


@given(st.lists(st.integers(-1000, 1000)))
def test_the_admitted_counter_never_falls_and_forgets_no_credit(amounts: list[int]) -> None:
    counter = CorrectedCounter()
    seen = [0.0]
    for amount in amounts:
        counter.add(amount)
        seen.append(counter.total)
    assert seen == sorted(seen)
    assert counter.total == max(itertools.accumulate(amounts, initial=0))


def test_a_credit_is_used_up_by_what_comes_next() -> None:
    counter = CorrectedCounter()
    counter.add(100)
    counter.add(-30)
    assert counter.total == 100
    counter.add(20)
    assert counter.total == 100
    counter.add(20)
    assert counter.total == 110


@pytest.mark.parametrize(
    ("document", "text_bytes", "tokens"),
    [
        ({"prompt": "hello"}, 5, 0),
        ({"prompt": "häß"}, 5, 0),
        ({"prompt": ["ab", "c"]}, 3, 0),
        ({"prompt": [1, 2, 3]}, 0, 3),
        ({"input": [[1, 2], [3]]}, 0, 3),
        ({"messages": [{"role": "user", "content": "hello"}]}, 5, 0),
        (
            {"messages": [{"content": [{"type": "text", "text": "ab"}, {"image_url": "x" * 99}]}]},
            2,
            0,
        ),
        ({}, 0, 0),
    ],
)
def test_the_size_of_a_prompt_is_its_text(
    document: dict[str, object], text_bytes: int, tokens: int
) -> None:
    raw = json.dumps({"model": "m", **document}).encode()
    size = parse_request(raw, endpoint=Endpoint.CHAT).prompt
    assert size == PromptSize(text_bytes=text_bytes, tokens=tokens)


@pytest.mark.parametrize(
    ("raw", "endpoint", "sent"),
    [
        (b' {"model":"m" , "x":1.50}', Endpoint.CHAT, b' {"model":"m" , "x":1.50}'),
        (
            b' {"model":"m","stream":true}',
            Endpoint.CHAT,
            b'{"stream_options":{"include_usage":true},"model":"m","stream":true}',
        ),
        (b'{"model":"m","stream":true}', Endpoint.OTHER, b'{"model":"m","stream":true}'),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
            Endpoint.COMPLETIONS,
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
        ),
    ],
    ids=["untouched", "injected", "not for other paths", "asked already"],
)
def test_the_clients_bytes_are_kept(raw: bytes, endpoint: Endpoint, sent: bytes) -> None:
    assert upstream_body(parse_request(raw, endpoint=endpoint), upstream_model=None) == sent


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False, "other": 1}])
def test_usage_is_added_to_other_stream_options(options: dict[str, object] | None) -> None:
    raw = json.dumps({"model": "m", "stream": True, "stream_options": options}).encode()
    request = parse_request(raw, endpoint=Endpoint.CHAT)
    sent = json.loads(upstream_body(request, upstream_model="n"))
    assert sent["model"] == "n"
    assert sent["stream_options"] == {**(options or {}), "include_usage": True}


def _streamed(gaps: list[float], *, usage: Usage | None) -> StreamMeter:
    meter = StreamMeter(strips_usage=True, expects_end=True)
    now = 0.0
    for gap in [0.0, *gaps]:
        now += gap
        event = b"data: " + _chunk(text="x") + b"\n\n"
        assert meter.pass_on(event, now_monotonic_seconds=now) == event
    meter.usage = usage
    return meter


@given(gaps=st.lists(st.floats(0, 10), min_size=1, max_size=20), tokens=st.integers(2, 500))
def test_a_stream_of_n_tokens_makes_n_minus_one_observations_of_the_same_total(
    gaps: list[float], tokens: int
) -> None:
    book = Books().follow(ServiceName("s"), thresholds={})
    ticket = book.open_ticket(
        size=PromptSize(text_bytes=1, tokens=0), received_monotonic_seconds=0.0
    )
    meter = _streamed(gaps, usage=Usage(prompt_tokens=1, completion_tokens=tokens))
    record_answer(ticket, meter)
    seen = book.latency[Sli.INTER_TOKEN_LATENCY].value()
    assert seen.total == pytest.approx(tokens - 1)
    assert seen.sum == pytest.approx(sum(gaps))


def test_without_usage_a_chunk_carries_what_chunks_carried_before() -> None:
    book = Books().follow(ServiceName("s"), thresholds={})
    size = PromptSize(text_bytes=1, tokens=0)
    for _ in range(60):
        ticket = book.open_ticket(size=size, received_monotonic_seconds=0.0)
        record_answer(ticket, _streamed([1.0], usage=Usage(prompt_tokens=1, completion_tokens=8)))
    before = book.latency[Sli.INTER_TOKEN_LATENCY].value().total
    ticket = book.open_ticket(size=size, received_monotonic_seconds=0.0)
    meter = _streamed([1.0, 1.0], usage=None)
    record_answer(ticket, meter)
    assert book.latency[Sli.INTER_TOKEN_LATENCY].value().total - before == pytest.approx(
        8, rel=0.01
    )
    record_completion(ticket, meter, now_monotonic_seconds=5.0)
    assert book.output_tokens == 12


@pytest.mark.parametrize(
    ("events", "failure"),
    [
        ([b"data: [DONE]\n\n"], None),
        ([b"data: " + _chunk(finish_reason="length") + b"\n\n"], None),
        ([b"data: " + _chunk(text="x") + b"\n\n"], FinishReason.TRUNCATED),
        ([b'data: {"error":{"message":"full"}}\n\n'], FinishReason.ERROR_EVENT),
        ([b'data: {"error":null}\n\n', b"data: [DONE]\n\n"], None),
        (
            [b"data: " + _chunk(finish_reason="abort") + b"\n\n", b"data: [DONE]\n\n"],
            FinishReason.ENGINE_ABORTED,
        ),
        ([], FinishReason.TRUNCATED),
    ],
)
def test_how_a_stream_ended(events: list[bytes], failure: FinishReason | None) -> None:
    meter = StreamMeter(strips_usage=False, expects_end=True)
    for event in events:
        meter.pass_on(event, now_monotonic_seconds=0.0)
    assert meter.failure() is failure
