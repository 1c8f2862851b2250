"""Turns what a meter saw of one answer into the service's latencies and tokens. Pure."""

from collector.gateway.books import ServiceBook, Ticket
from collector.gateway.meters import Meter
from collector.model.catalogue import Sli

_LEARNING = 0.2  # weight of the newest stream in tokens per chunk


def record_first_content(ticket: Ticket, *, now_monotonic_seconds: float) -> None:
    """Time to first token from receipt, the hold included; at once, since streams are long."""
    elapsed = now_monotonic_seconds - ticket.received_monotonic_seconds
    ticket.book.latency[Sli.TIME_TO_FIRST_TOKEN].observe(elapsed)


def record_answer(ticket: Ticket, meter: Meter) -> None:
    """Inter-token latency and prompt tokens, of broken-off answers too: those may be the slow ones."""
    gaps = len(meter.gaps_seconds)
    tokens = None if meter.usage is None else meter.usage.completion_tokens
    if gaps:
        _record_gaps(ticket.book, meter, tokens=tokens)
    if meter.usage is not None and meter.usage.prompt_tokens:
        ticket.correct(meter.usage.prompt_tokens)
    is_told = tokens is not None or meter.first_content_monotonic_seconds is not None
    ticket.count_overflow_output(_output_tokens(ticket.book, meter) if is_told else None)


def record_completion(ticket: Ticket, meter: Meter, *, now_monotonic_seconds: float) -> None:
    """End-to-end latency and output tokens of a request that was served."""
    book = ticket.book
    elapsed = now_monotonic_seconds - ticket.received_monotonic_seconds
    book.latency[Sli.END_TO_END_LATENCY].observe(elapsed)
    tokens = _output_tokens(book, meter)
    book.output_tokens += tokens
    book.told_answers += tokens > 0


def _record_gaps(book: ServiceBook, meter: Meter, *, tokens: int | None) -> None:
    """One observation per token after the first: a gap before a chunk of k tokens is k of gap/k."""
    gaps = len(meter.gaps_seconds)
    per_gap = book.tokens_per_chunk
    if tokens is not None and tokens > 1:
        per_gap = (tokens - 1) / gaps
        book.tokens_per_chunk += _LEARNING * (tokens / (gaps + 1) - book.tokens_per_chunk)
    histogram = book.latency[Sli.INTER_TOKEN_LATENCY]
    for gap in meter.gaps_seconds:
        histogram.observe(gap / per_gap, weight=per_gap)


def _output_tokens(book: ServiceBook, meter: Meter) -> int:
    """From usage; without it, chunks times what a chunk usually carries; 0 when neither is known."""
    if meter.usage is not None and meter.usage.completion_tokens is not None:
        return meter.usage.completion_tokens
    if meter.first_content_monotonic_seconds is None:
        return 0
    return round((len(meter.gaps_seconds) + 1) * book.tokens_per_chunk)
