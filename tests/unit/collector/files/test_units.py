"""Quantities as people write them."""

import pytest

from collector.files.units import bytes_of, ratio_of, reserve_bytes_of, seconds_of, share_of

BYTES = {
    "24GiB": 25_769_803_776,
    "24 GiB": 25_769_803_776,
    "24GB": 24_000_000_000,
    "1.5GiB": 1_610_612_736,
    "512MiB": 536_870_912,
    "2000kB": 2_000_000,
    "1048576B": 1_048_576,
    1_048_576: 1_048_576,
}
SECONDS = {
    "250ms": 0.25,
    "700ms": 0.7,
    "90s": 90.0,
    "1.5s": 1.5,
    "5m": 300.0,
    "1h30m": 5400.0,
    "28d": 2_419_200.0,
    90: 90.0,
    0.5: 0.5,
}


@pytest.mark.parametrize(("typed", "expected"), BYTES.items())
def test_memory(typed: object, expected: int) -> None:
    assert bytes_of(typed) == expected


@pytest.mark.parametrize("typed", ["24G", "24Gi", "24gib", "24 gb", "1e9", "", "-1GiB", True, None, 1.5, [], "1024PiB", 10**400])  # fmt: skip
def test_memory_that_could_be_meant_two_ways_is_refused(typed: object) -> None:
    with pytest.raises(ValueError, match=r"^must be"):
        bytes_of(typed)


def test_only_a_reserve_may_be_nothing() -> None:
    assert reserve_bytes_of(0) == 0
    with pytest.raises(ValueError, match="must be from 1MiB"):
        bytes_of(0)


@pytest.mark.parametrize(("typed", "expected"), SECONDS.items())
def test_durations(typed: object, expected: float) -> None:
    assert seconds_of(typed) == expected


@pytest.mark.parametrize("typed", ["5", "5 m", "5M", "5min", "1:30", "m", "", "-5m", True, None, 0, -1, "401d", {}])  # fmt: skip
def test_durations_that_could_be_meant_two_ways_are_refused(typed: object) -> None:
    with pytest.raises(ValueError, match=r"^must be"):
        seconds_of(typed)


@pytest.mark.parametrize(
    ("typed", "expected"), [("99%", 0.99), ("99.9 %", 0.999), (0.95, 0.95), ("0.5%", 0.005)]
)
def test_shares(typed: object, expected: float) -> None:
    assert share_of(typed) == expected


@pytest.mark.parametrize("typed", [99, 1, 0, "100%", "0%", "99", "-1%", True, None])
def test_shares_outside_of_nothing_and_all_are_refused(typed: object) -> None:
    with pytest.raises(ValueError, match=r"^must be"):
        share_of(typed)


def test_a_ratio_may_be_all() -> None:
    assert ratio_of("100%") == 1.0
    with pytest.raises(ValueError, match="must be a ratio above 0%"):
        ratio_of(80)
