"""A report's interval: local days with their DST changes, weeks, months, and what lies before."""

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logagg.errors import UsageError
from logagg.report.period import KINDS, hours, period, previous, utc_text, week_before

HOUR_US = 3_600_000_000
ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo", "America/Sao_Paulo",
         "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "Europe/London"]


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(("kind", "day", "zone", "start", "end"), [
    ("daily", "2026-11-20", "America/New_York", "2026-11-20T05:00", "2026-11-21T05:00"),
    ("daily", "2026-11-01", "America/New_York", "2026-11-01T04:00", "2026-11-02T05:00"),    # 25 h
    ("daily", "2026-03-08", "America/New_York", "2026-03-08T05:00", "2026-03-09T04:00"),    # 23 h
    ("daily", "2024-04-26", "Africa/Cairo", "2024-04-25T22:00", "2024-04-26T21:00"),        # no midnight
    ("daily", "2025-11-02", "America/Havana", "2025-11-02T04:00", "2025-11-03T05:00"),      # midnight twice
    ("daily", "1970-01-01", "Asia/Kolkata", "1969-12-31T18:30", "1970-01-01T18:30"),
    ("daily", "2011-12-30", "Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00"),        # the day that was not
    ("weekly", "2026-11-01", "America/New_York", "2026-10-26T04:00", "2026-11-02T05:00"),   # Sunday: its ISO week
    ("weekly", "2026-12-31", "UTC", "2026-12-28T00:00", "2027-01-04T00:00"),
    ("monthly", "2026-12-31", "Asia/Kolkata", "2026-11-30T18:30", "2026-12-31T18:30"),
    ("monthly", "2024-02-29", "UTC", "2024-02-01T00:00", "2024-03-01T00:00"),
])
def test_bounds(kind: str, day: str, zone: str, start: str, end: str) -> None:
    """A period is the half-open interval between the first instants of local days."""
    found = period(kind, date.fromisoformat(day), zone)
    assert (utc_text(found.from_us), utc_text(found.to_us)) == (utc_text(us(start)), utc_text(us(end)))


@given(st.dates(date(1990, 1, 1), date(2037, 12, 31)), st.sampled_from(ZONES), st.sampled_from(KINDS))
def test_periods_touch(day: date, zone: str, kind: str) -> None:
    """The period before ends where this one begins, and a period contains the day that it was asked for."""
    this = period(kind, day, zone)
    assert previous(this).to_us == this.from_us
    assert this.first <= day
    assert period(kind, day, zone, ahead=1).from_us == this.to_us


@given(st.dates(date(1990, 1, 1), date(2037, 12, 31)), st.sampled_from(ZONES))
def test_hours_tile_the_day(day: date, zone: str) -> None:
    """A day's hours follow each other without gap or overlap, and none bears a number twice unless marked."""
    this = period("daily", day, zone)
    found = hours(this)
    assert all(a.to_us == b.from_us for a, b in pairwise(found))
    if found:
        assert (found[0].from_us, found[-1].to_us) == (this.from_us, this.to_us)
    assert len({(h.hour, h.again) for h in found}) == len(found)


def test_hours_where_clocks_change() -> None:
    """Hour 1 comes twice in autumn, hour 2 is missing in spring, and a half-hour change gives one half hour."""
    autumn = hours(period("daily", date(2026, 11, 1), "America/New_York"))
    assert [h.hour for h in autumn] == [0, 1, 1, *range(2, 24)]
    assert [h.again for h in autumn[:4]] == [False, False, True, False]
    spring = hours(period("daily", date(2026, 3, 8), "America/New_York"))
    assert [h.hour for h in spring] == [0, 1, *range(3, 24)]
    half = hours(period("daily", date(2026, 4, 5), "Australia/Lord_Howe"))
    assert [(h.hour, h.to_us - h.from_us) for h in half if h.again] == [(1, HOUR_US // 2)]


def test_week_before() -> None:
    """The day to compare with is the same weekday a week before, whatever the clocks did between."""
    this = period("daily", date(2026, 11, 5), "America/New_York")
    before = week_before(this)
    assert before.first == date(2026, 10, 29)
    assert before.first.weekday() == this.first.weekday()
    assert this.from_us - before.from_us == (7 * 24 + 1) * HOUR_US


@pytest.mark.parametrize(("kind", "day", "message"), [
    ("yearly", date(2026, 1, 1), "no period 'yearly': expected one of daily, weekly, monthly"),
    ("daily", date(9999, 12, 31), "9999-12-31: no report is made for that year; give a date from 1970 to 9996"),
])
def test_refused(kind: str, day: date, message: str) -> None:
    """A period that cannot be is a user's mistake with the way out, not a stack trace."""
    with pytest.raises(UsageError) as error:
        period(kind, day, "UTC")
    assert str(error.value) == message
