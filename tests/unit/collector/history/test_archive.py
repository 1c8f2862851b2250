"""A history on disk is the history."""

import numpy as np
import pytest

from collector.errors import PayloadError
from collector.history.archive import load_history, save_history
from collector.history.memory import MemoryHistoryStore
from collector.model.history import Signal


def some_history(services=("chat", "émb\n")):
    store = MemoryHistoryStore(bin_seconds=15, keep_seconds=600)
    for step in range(40):
        store.append(
            start_timestamp_seconds=1e9 + step * 5.1,
            end_timestamp_seconds=1e9 + (step + 1) * 5.1,
            increases={(Signal.ARRIVED_REQUESTS, name): step / 3 for name in services},
            levels={(Signal.PENDING_REQUESTS, name): step / 7 for name in services},
        )
    return store.history(services=services, window_seconds=300, now_timestamp_seconds=1e9 + 204)


@pytest.mark.parametrize("services", [("chat", "émb\n"), ()], ids=["two services", "none"])
def test_round_trip_is_exact(tmp_path, services):
    history = some_history(services)
    path = tmp_path / "history.npz"
    save_history(history, path=path)
    loaded = load_history(path)
    assert (loaded.services, loaded.bin_seconds, loaded.end_timestamp_seconds) == (
        history.services,
        history.bin_seconds,
        history.end_timestamp_seconds,
    )
    assert list(loaded.signals) == list(history.signals)
    for signal, bins in history.signals.items():
        for part in ("sums", "maxima", "covered_seconds"):
            kept, expected = getattr(loaded.signals[signal], part), getattr(bins, part)
            assert kept.dtype == expected.dtype
            np.testing.assert_array_equal(kept, expected)
    assert [each.name for each in tmp_path.iterdir()] == ["history.npz"]


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04broken"])
def test_another_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "history.npz"
    path.write_bytes(content)
    with pytest.raises(PayloadError, match="not a saved history") as caught:
        load_history(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("bin_seconds", "keep_seconds"), [(0, 10), (-1, 10), (10, 5)])
def test_a_store_needs_sensible_lengths(bin_seconds, keep_seconds):
    with pytest.raises(ValueError, match="bin_seconds"):
        MemoryHistoryStore(bin_seconds=bin_seconds, keep_seconds=keep_seconds)
