"""Day files: what damage, full disks, midnight and years do to them."""

from pathlib import Path

import pytest

from collector.errors import SourceError
from collector.history.day_files import DayFileHistory
from collector.history.records import FILE_MARKER, append_record, scan_records
from collector.model.history import Resolution, Signal
from collector.model.ids import ServiceName

CHAT, EMBED = ServiceName("chat"), ServiceName("embed")
FINE = Resolution(bin_seconds=600.0, keep_seconds=86400.0)
HOURS = Resolution(bin_seconds=3600.0, keep_seconds=4 * 86400.0)
DAY = 86400.0


class Files:
    """A folder of day files that is opened again and again."""

    def __init__(self, folder):
        self.folder = folder
        self.reports = []

    def open(self, **more):
        return DayFileHistory(
            self.folder, finest=FINE, coarser=(HOURS,), report=self.reports.append, **more
        )

    def names(self, resolution="600s"):
        return sorted(path.name for path in (self.folder / resolution).iterdir())

    def file(self, name, resolution="600s"):
        return self.folder / resolution / name


@pytest.fixture(name="files")
def _files(tmp_path):
    return Files(tmp_path / "history")


def add(store, start, end, value, *, service=CHAT):
    store.append(
        start_timestamp_seconds=start,
        end_timestamp_seconds=end,
        increases={(Signal.ARRIVED_REQUESTS, service): value},
        levels={},
    )


def fill(store, *, until, start=0.0, service=CHAT):
    """One request per second, one interval per bin."""
    moment = start
    while moment < until:
        add(store, moment, moment + 600, 600, service=service)
        moment += 600


def sums(store, now, *, window, bin_seconds=None, service=CHAT):
    history = store.history(
        services=[service],
        window_seconds=window,
        now_timestamp_seconds=now,
        bin_seconds=bin_seconds,
    )
    return history.signals[Signal.ARRIVED_REQUESTS].sums[0].tolist()


def test_a_bin_is_on_disk_as_soon_as_it_closes(files):
    fill(files.open(), until=1800)  # no close: as if killed
    assert sums(files.open(), 1799, window=1800) == [600, 600, 600]


def test_the_open_bin_is_on_disk_once_the_store_is_closed(files):
    store = files.open()
    add(store, 0, 900, 900)
    assert sums(files.open(), 900, window=1200) == [600, 0]
    store.close()
    again = files.open()
    assert sums(again, 900, window=1200) == [600, 300]
    add(again, 800, 1200, 400)  # what was counted is not counted again
    assert sums(again, 1199, window=1200) == [600, 600]


def test_a_cut_write_is_dropped_and_told_and_the_rest_is_there(files):
    fill(files.open(), until=1800)
    path = files.file("1970-01-01.bins")
    whole = path.read_bytes()
    for length in range(len(whole) - 1, len(FILE_MARKER), -7):
        path.write_bytes(whole[:length])
        files.reports.clear()
        found = sums(files.open(), 1799, window=1800)
        complete = len(scan_records(whole[:length]).payloads)
        assert found == [600.0] * complete + [0.0] * (3 - complete)
        is_cut = path.stat().st_size != length
        assert [("a cut write" in line) for line in files.reports] == [True] * is_cut


def test_after_a_cut_write_it_goes_on(files):
    fill(files.open(), until=1200)
    path = files.file("1970-01-01.bins")
    path.write_bytes(path.read_bytes()[:-3])
    fill(files.open(), start=600, until=1800)
    files.reports.clear()
    assert sums(files.open(), 1799, window=1800) == [600, 600, 600]
    assert files.reports == []


@pytest.mark.parametrize("position", [20, 60, 200])
def test_a_flipped_byte_costs_its_own_bin_only(files, position):
    fill(files.open(), until=6000)
    path = files.file("1970-01-01.bins")
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
    found = sums(files.open(), 5999, window=6000)
    assert sorted(found) == [0, *[600] * 9]
    assert len(files.reports) == 1
    assert "damaged bytes were left out" in files.reports[0]


def test_a_file_of_something_else_is_set_aside(files):
    files.open()
    files.file("1970-01-01.bins").write_bytes(b"my shopping list, do not delete")
    assert sums(files.open(), 600, window=600) == [0]
    assert files.names() == ["1970-01-01.damaged"]
    assert files.file("1970-01-01.damaged").read_bytes().startswith(b"my shopping")
    assert "set aside" in files.reports[0]


def test_a_whole_record_that_means_nothing_is_left_out(files):
    fill(files.open(), until=600)
    append_record(files.file("1970-01-01.bins"), b"nonsense")
    assert sums(files.open(), 599, window=600) == [600]
    assert files.reports
    assert all("cannot be read" in line for line in files.reports)


@pytest.mark.parametrize("name", ["1970-13-41.bins", "notes.bins", "notes.txt"])
def test_strange_files_in_the_folder_are_nobodys_business(files, name):
    files.open()
    files.file(name).write_text("hello")
    store = files.open()
    fill(store, until=600)
    store.tidy()
    assert files.file(name).read_text() == "hello"
    assert files.reports == []


def test_a_day_that_is_over_becomes_one_record_with_the_same_values(files):
    store = files.open()
    fill(store, until=DAY + 600)
    before = sums(files.open(), DAY - 1, window=DAY / 2)
    size = files.file("1970-01-01.bins").stat().st_size
    store.tidy()
    content = files.file("1970-01-01.bins").read_bytes()
    assert len(scan_records(content).payloads) == 1
    assert len(content) < size / 20
    assert sums(files.open(), DAY - 1, window=DAY / 2) == before == [600.0] * 72
    assert len(scan_records(files.file("1970-01-02.bins").read_bytes()).payloads) == 1
    assert files.reports == []


def test_what_is_no_longer_kept_is_deleted(files):
    store = files.open()
    fill(store, until=7 * DAY)
    store.tidy()
    assert files.names() == ["1970-01-07.bins"]
    assert files.names("3600s") == [f"1970-01-0{day}.bins" for day in (4, 5, 6, 7)]
    assert sum(sums(store, 7 * DAY - 1, window=9 * DAY, bin_seconds=3600.0)) == 4 * DAY


def test_the_size_is_bounded_by_dropping_the_oldest_days(files):
    store = files.open(max_bytes=1)
    fill(store, until=3 * DAY)
    store.tidy()
    assert files.names() == ["1970-01-03.bins"]
    assert files.names("3600s") == ["1970-01-03.bins"]


def test_an_unfinished_compaction_is_forgotten(files):
    fill(files.open(), until=1200)
    files.file("1970-01-01.bins.unfinished").write_bytes(b"half of it")
    assert sums(files.open(), 1199, window=1200) == [600, 600]
    assert files.names() == ["1970-01-01.bins"]


def test_services_may_come_and_go(files):
    fill(files.open(), until=600)
    fill(files.open(), start=600, until=1200, service=EMBED)
    store = files.open()
    assert sums(store, 1199, window=1200) == [600, 0]
    assert sums(store, 1199, window=1200, service=EMBED) == [0, 600]


def test_a_disk_that_fails_costs_nothing_once_it_works_again(files):
    store = files.open()
    fill(store, until=600)
    path = files.file("1970-01-01.bins")
    kept = path.read_bytes()
    path.unlink()
    path.mkdir()  # nothing can be written here now
    fill(store, start=600, until=1800)
    assert len(files.reports) == 1
    assert "in memory only" in files.reports[0]
    assert sums(store, 1799, window=1800) == [600, 600, 600]
    path.rmdir()
    path.write_bytes(kept)
    fill(store, start=1800, until=2400)
    assert sums(files.open(), 2399, window=2400) == [600, 600, 600, 600]


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "history").write_text("a file")
    with pytest.raises(SourceError, match="cannot be opened"):
        Files(tmp_path / "history").open()


@pytest.mark.parametrize(
    ("fine", "coarse", "message"),
    [
        pytest.param(45.0, 60.0, "whole multiple", id="no multiple"),
        pytest.param(60.0, 60.0, "whole multiple", id="not coarser"),
        pytest.param(15.0, 86400.0, "kept for two coarse ones", id="fine bins are gone too soon"),
    ],
)
def test_widths_must_fit_one_another(tmp_path: Path, fine, coarse, message):
    with pytest.raises(ValueError, match=message):
        DayFileHistory(
            tmp_path,
            finest=Resolution(bin_seconds=fine, keep_seconds=21600.0),
            coarser=(Resolution(bin_seconds=coarse, keep_seconds=864000.0),),
            report=lambda line: None,
        )


def test_a_day_must_be_a_whole_number_of_bins(tmp_path: Path):
    with pytest.raises(ValueError, match="a day must be"):
        DayFileHistory(
            tmp_path,
            finest=Resolution(bin_seconds=7.0, keep_seconds=21600.0),
            coarser=(),
            report=lambda line: None,
        )
