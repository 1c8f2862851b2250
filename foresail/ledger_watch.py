"""What the page says of the ledger, read and verified in a worker thread, now and then.

In: the ledger's path. Out: `summary` and `records`, answered from memory. Must not write.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

from autoscaler.errors import LedgerError
from autoscaler.ledger import LedgerRecord, read_records, verify_ledger
from autoscaler.metrics import ControllerMetrics
from collector.clock import Clock
from foresail.ports import LedgerSummary

READ_INTERVAL_SECONDS = 2.0
VERIFY_INTERVAL_SECONDS = 300.0
"""Verifying walks the whole chain: about a second of CPU per 100,000 records."""
SHOWN_RECORDS = 20


class LedgerWatch:
    """Looks at a ledger for as long as `run` runs."""

    def __init__(self, path: Path, *, clock: Clock, metrics: ControllerMetrics) -> None:
        self._path = path
        self._clock = clock
        self._metrics = metrics
        self.summary: LedgerSummary | None = None
        self._verified: LedgerSummary | None = None  # as of the last verification
        self.records: tuple[LedgerRecord, ...] = ()  # newest first

    async def run(self) -> None:
        """Reads every few seconds, verifies every few minutes, until cancelled."""
        next_verify = 0.0
        while True:
            now = self._clock.monotonic_seconds()
            try:
                if now >= next_verify:
                    await self._verify()
                    next_verify = now + VERIFY_INTERVAL_SECONDS
                await self._read()
            except LedgerError:
                self.summary = None  # not there yet, or busy: the next round tries again
            await self._clock.sleep(READ_INTERVAL_SECONDS)

    async def _verify(self) -> None:
        report = await asyncio.to_thread(verify_ledger, self._path)
        self.summary = self._verified = LedgerSummary(
            record_count=report.record_count,
            head_hash=report.head_hash if report.record_count else None,
            is_intact=report.is_intact,
            verified_timestamp_seconds=self._clock.timestamp_seconds(),
            findings=report.findings,
        )

    async def _read(self) -> None:
        newest = await asyncio.to_thread(read_records, self._path, last=SHOWN_RECORDS)
        self.records = newest[::-1]
        if not self.records:
            return
        head = self.records[0]
        self._metrics.record_ledger(record_count=head.seq)
        verified = self._verified or LedgerSummary(record_count=0, head_hash=None, is_intact=None)
        self.summary = replace(verified, record_count=head.seq, head_hash=head.hash.hex())
