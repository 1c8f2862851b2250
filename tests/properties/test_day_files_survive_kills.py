"""A process that writes day files is killed at any moment: what it had closed is there, and is true."""

import os
import random
import select
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from collector.model.history import Signal
from support import history_writer
from support.history_writer import CHAT, COARSER, FINEST, opened

ROOT = Path(__file__).parents[2]
START_SECONDS = 1_000 * 86400.0


def write_until_killed(folder: Path, *, start_seconds: float, seconds: float) -> float:
    """Runs a writer that long, from its first interval on; the last end it has told."""
    command = [sys.executable, history_writer.__file__, str(folder), str(start_seconds)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    told = b""
    try:
        assert select.select([process.stdout], [], [], 20.0)[0], "the writer says nothing"
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([process.stdout], [], [], left)[0]:
                told += os.read(process.stdout.fileno(), 1 << 16)
    finally:
        process.kill()
        told += process.stdout.read()
        process.stdout.close()
        process.wait()
    return float(told[: told.rindex(b"\n")].splitlines()[-1])


@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_was_closed_is_lost_and_nothing_is_made_up(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    end = START_SECONDS
    for _ in range(3):
        begin = end
        end = write_until_killed(tmp_path, start_seconds=begin, seconds=chance.uniform(0.02, 0.5))
        reports: list[str] = []
        store = opened(tmp_path, reports=reports)
        assert all("a cut write" in line for line in reports), reports
        for resolution in (FINEST, *COARSER):
            whole = check_bins(store, resolution=resolution, end=end)
            # The open bin may be lost, and with it what the next writer would have to know.
            assert whole >= end - resolution.bin_seconds - FINEST.bin_seconds
        end = store.ring.frontier_seconds
        assert not list(tmp_path.rglob("*.damaged"))


def check_bins(store, *, resolution, end: float) -> float:
    """Up to when every bin from the start on is whole; no bin holds more than happened."""
    window = min(end - START_SECONDS + 2 * resolution.bin_seconds, resolution.keep_seconds / 2)
    history = store.history(
        services=[CHAT],
        window_seconds=window,
        now_timestamp_seconds=end + 2 * history_writer.STEP_SECONDS,
        bin_seconds=resolution.bin_seconds,
    )
    found = history.signals[Signal.ARRIVED_REQUESTS]
    np.testing.assert_allclose(found.sums, found.covered_seconds)
    pending = history.signals[Signal.PENDING_REQUESTS]
    np.testing.assert_allclose(pending.sums, 2 * found.covered_seconds)
    covered = found.covered_seconds[0]
    assert covered.max() <= resolution.bin_seconds
    count = len(covered)
    first = history.end_timestamp_seconds - count * resolution.bin_seconds
    told = np.flatnonzero(covered == resolution.bin_seconds)
    if not len(told):
        return end if end - START_SECONDS < 2 * resolution.bin_seconds else first
    since = max(0, round((START_SECONDS - first) / resolution.bin_seconds))
    assert told[0] == since
    assert (np.diff(told) == 1).all(), "a hole"
    return first + (int(told[-1]) + 1) * resolution.bin_seconds
