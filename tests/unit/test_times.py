"""Times on the command line and in output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logagg.errors import UsageError
from logagg.times import instant_us, range_us, rfc3339


@pytest.mark.parametrize(("ts_us", "text"), [
    (0, "1970-01-01T00:00:00Z"),
    (1_700_000_000_123_000, "2023-11-14T22:13:20.123Z"),
    (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
    (-1, "1969-12-31T23:59:59.999999Z"),
    (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
    (10**18, "9999-12-31T23:59:59Z"),
])
def test_rfc3339(ts_us: int, text: str) -> None:
    """UTC with as many digits as needed, and never a crash."""
    assert rfc3339(ts_us) == text


@pytest.mark.parametrize(("text", "zone", "utc"), [
    ("2026-11-20", "America/New_York", "2026-11-20T05:00:00Z"),
    ("2026-11-20 13:15", "UTC", "2026-11-20T13:15:00Z"),
    ("2026-11-20T13:15:30.5+01:00", "America/New_York", "2026-11-20T12:15:30.500Z"),
    ("2026-07-01T00:00Z", "America/New_York", "2026-07-01T00:00:00Z"),
])
def test_instant(text: str, zone: str, utc: str) -> None:
    """A time without offset is local time of the zone; one with offset means the same everywhere."""
    assert rfc3339(instant_us(text, zone)) == utc


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_000_000))
def test_round_trip(ts_us: int) -> None:
    """What is printed reads back as the same microsecond."""
    assert instant_us(rfc3339(ts_us), "America/New_York") == ts_us


@pytest.mark.parametrize("text", ["", "yesterdayish", "2026-13-01", "2026-11-20T25:00", "\x1b[2J"])
def test_no_time(text: str) -> None:
    """What is no time is named with its option and an example, harmless on a terminal."""
    with pytest.raises(UsageError, match=r"^--from: .*is no time; expected a date such as") as caught:
        range_us(text, None, "UTC")
    assert "\x1b" not in str(caught.value)


def test_an_empty_range() -> None:
    """A range that ends before it begins is a mistake, not an empty answer."""
    with pytest.raises(UsageError, match=r"--to 2026-11-20 is not after --from 2026-11-20"):
        range_us("2026-11-20", "2026-11-20", "UTC")
