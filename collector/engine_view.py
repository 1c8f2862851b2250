"""What one engine's page says as an `EngineView`. Pure; a part of `assemble`.

In: the page's readings, the version the engine told, the last view. Out: a view in which every
signal is a reading with its reason. Must not judge what the numbers mean.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Protocol, TypeVar

from collector.model.contract import Contract, EngineSignal, version_numbers
from collector.model.page import PageReadings
from collector.model.reading import Missing, MissingReason, Reading
from collector.model.snapshot import EngineView

T = TypeVar("T")


class Settle(Protocol):
    """What was told now, else what was told before as `Stale`, else why there is nothing."""

    def __call__(
        self, now: Reading[T] | None, *, before: Reading[T] | None, source: str
    ) -> Reading[T]:
        """The reading that goes into the snapshot."""
        ...


def page_version(
    told: str | None, *, contract: Contract, report: Callable[[str], None]
) -> tuple[int, ...] | None:
    """The version a page is to be read as; None: nobody can say, so the newest is assumed."""
    if told is None:
        return None
    try:
        version = version_numbers(told)
    except ValueError:
        version = ()
    if version and contract.versions.contains(version):
        return version
    assumed = ".".join(map(str, contract.assumed_version))
    report(
        f"engine version {told} is none that the contract of {contract.engine} covers; its page is "
        f"read as that of {assumed}"
    )
    return None


def engine_view(
    page: PageReadings | None,
    *,
    version: Reading[str],
    before: EngineView | None,
    source: str,
    settle: Settle,
) -> EngineView:
    """The view; without a page what was known stays as stale."""
    now = _told(page, version=version) if page else None
    readings: dict[str, Any] = {  # Any: the fields' readings are of different types
        name: settle(
            getattr(now, name) if now else None,
            before=getattr(before, name) if before else None,
            source=source,
        )
        for name in _FIELDS
    }
    return EngineView(**readings)


def engine_view_without_readings(reason: MissingReason, *, source: str) -> EngineView:
    """Nothing is known, and why."""
    missing: dict[str, Any] = dict.fromkeys(_FIELDS, Missing(reason=reason, source=source))
    return EngineView(**missing)


def _told(page: PageReadings, *, version: Reading[str]) -> EngineView:
    return EngineView(
        version=version,
        config_hash=page.config_hash,
        sleep_state=page.sleep_state,
        waiting_requests_by_reason=page.numbers_by_label(EngineSignal.WAITING_REQUESTS_BY_REASON),
        finished_requests_by_reason=page.numbers_by_label(EngineSignal.FINISHED_REQUESTS_TOTAL),
        rejected_requests_by_reason=page.numbers_by_label(EngineSignal.REJECTED_REQUESTS_TOTAL),
        failed_requests_total=page.number(EngineSignal.FAILED_REQUESTS_TOTAL),
        preemptions_total=page.number(EngineSignal.PREEMPTIONS_TOTAL),
        kv_use_ratio=page.number(EngineSignal.KV_USE_RATIO),
        kv_capacity_tokens=page.number(EngineSignal.KV_CAPACITY_TOKENS),
        prefix_cache_queried_tokens_total=page.number(
            EngineSignal.PREFIX_CACHE_QUERIED_TOKENS_TOTAL
        ),
        prefix_cache_hit_tokens_total=page.number(EngineSignal.PREFIX_CACHE_HIT_TOKENS_TOTAL),
        time_to_first_token=page.histogram(EngineSignal.TIME_TO_FIRST_TOKEN),
        inter_token_latency=page.histogram(EngineSignal.INTER_TOKEN_LATENCY),
        end_to_end_latency=page.histogram(EngineSignal.END_TO_END_LATENCY),
        queue_time=page.histogram(EngineSignal.QUEUE_TIME),
    )


_FIELDS = tuple(each.name for each in fields(EngineView))
