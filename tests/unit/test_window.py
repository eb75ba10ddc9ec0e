"""Windows of time."""

from datetime import UTC, date, datetime

import pytest

from logagg.errors import UsageError
from logagg.rollup import window

NEW_YORK = "America/New_York"


def minute(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // 60


def span(step: str, at: str, zone: str = "") -> tuple[str, str]:
    start = window.start_of(step, minute(at), zone)
    return shown(start), shown(window.end_of(step, start, zone))


def shown(at: int) -> str:
    return datetime.fromtimestamp(at * 60, UTC).strftime("%Y-%m-%dT%H:%M")


def test_short_steps_are_cut_in_utc() -> None:
    """Minute, quarter and hour hold their minute and are whole parts of the UTC hour, before 1970 too."""
    assert span("minute", "2026-11-20T13:17") == ("2026-11-20T13:17", "2026-11-20T13:18")
    assert span("quarter", "2026-11-20T13:17") == ("2026-11-20T13:15", "2026-11-20T13:30")
    assert span("hour", "2026-11-20T13:17") == ("2026-11-20T13:00", "2026-11-20T14:00")
    assert span("quarter", "1969-12-31T23:59") == ("1969-12-31T23:45", "1970-01-01T00:00")


@pytest.mark.parametrize(("zone", "at", "start", "end"), [
    ("", "2026-11-20T13:17", "2026-11-20T00:00", "2026-11-21T00:00"),
    (NEW_YORK, "2026-11-20T03:00", "2026-11-19T05:00", "2026-11-20T05:00"),
    (NEW_YORK, "2026-03-08T12:00", "2026-03-08T05:00", "2026-03-09T04:00"),             # 23 hours
    (NEW_YORK, "2026-11-01T12:00", "2026-11-01T04:00", "2026-11-02T05:00"),             # 25 hours
    ("Asia/Kolkata", "2026-11-20T18:29", "2026-11-19T18:30", "2026-11-20T18:30"),
    ("Asia/Kathmandu", "2026-11-20T18:15", "2026-11-20T18:15", "2026-11-21T18:15"),
    ("Australia/Lord_Howe", "2026-04-04T20:00", "2026-04-04T13:00", "2026-04-05T13:30"),  # 24 h 30 min
    ("America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04T03:00", "2018-11-05T02:00"),  # no midnight
    ("America/Sao_Paulo", "2018-02-18T02:30", "2018-02-17T02:00", "2018-02-18T03:00"),  # 23:00 twice
    ("America/Havana", "2026-11-01T04:30", "2026-11-01T04:00", "2026-11-02T05:00"),     # midnight twice
    ("Pacific/Apia", "2011-12-30T09:59", "2011-12-29T10:00", "2011-12-30T10:00"),       # then the 31st
    ("Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00", "2011-12-31T10:00"),
    ("Africa/Cairo", "2026-04-24T12:00", "2026-04-23T22:00", "2026-04-24T21:00"),
])
def test_a_local_day_is_cut_where_its_zone_cuts_it(zone: str, at: str, start: str, end: str) -> None:
    """Days of 23, 24, 24.5 and 25 hours, with and without a midnight, start and end at the zone's own instants."""
    assert span("day", at, zone) == (start, end)


@pytest.mark.parametrize("zone", ["UTC", NEW_YORK, "Asia/Kathmandu", "Australia/Lord_Howe", "Antarctica/Troll",
                                  "America/St_Johns", "Pacific/Apia", "Africa/Casablanca", "America/Havana"])
@pytest.mark.parametrize("step", window.ZONED)
def test_windows_tile_time(zone: str, step: str) -> None:
    """From 2009 to 2013 every window begins where the last ended, on a quarter, and holds its own quarters."""
    start = window.start_of(step, minute("2009-01-01T00:00"), zone)
    while start < minute("2013-01-01T00:00"):
        end = window.end_of(step, start, zone)
        assert end > start and start % 15 == 0
        for inside in (start, start + 14, (start + end) // 2, end - 1):
            assert window.start_of(step, inside, zone) == start, (shown(start), shown(inside))
        start = end


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    """A week runs from Monday to Monday and a month from the 1st to the 1st, in local days."""
    assert span("week", "2026-11-01T12:00", NEW_YORK) == ("2026-10-26T04:00", "2026-11-02T05:00")
    assert span("month", "2026-11-01T03:59", NEW_YORK) == ("2026-10-01T04:00", "2026-11-01T04:00")
    assert span("month", "2026-12-31T23:59", "") == ("2026-12-01T00:00", "2027-01-01T00:00")
    assert span("week", "2021-01-03T23:59", "UTC") == ("2020-12-28T00:00", "2021-01-04T00:00")


def test_starts_lists_the_windows_that_overlap() -> None:
    """`starts` begins with the window that holds the first minute and ends before `to`."""
    days = window.starts("day", minute("2026-03-07T20:00"), minute("2026-03-09T04:00"), NEW_YORK)
    assert [shown(day) for day in days] == ["2026-03-07T05:00", "2026-03-08T05:00"]


@pytest.mark.parametrize(("zone", "day", "hour", "windows"), [
    (NEW_YORK, date(2026, 11, 20), 8, [("2026-11-20T13:00", "2026-11-20T14:00")]),
    (NEW_YORK, date(2026, 3, 8), 2, []),
    (NEW_YORK, date(2026, 11, 1), 1, [("2026-11-01T05:00", "2026-11-01T07:00")]),
    ("Asia/Kolkata", date(2026, 11, 20), 0, [("2026-11-19T18:30", "2026-11-19T19:30")]),
    ("Australia/Lord_Howe", date(2026, 4, 5), 1, [("2026-04-04T14:00", "2026-04-04T15:30")]),
    ("Australia/Lord_Howe", date(2026, 10, 4), 2, [("2026-10-03T15:30", "2026-10-03T16:00")]),
    ("Antarctica/Troll", date(2026, 10, 25), 1, [("2026-10-24T23:00", "2026-10-25T00:00"),
                                                 ("2026-10-25T01:00", "2026-10-25T02:00")]),
])
def test_a_local_hour_may_be_missing_or_double(zone: str, day: date, hour: int,
                                               windows: list[tuple[str, str]]) -> None:
    """A skipped hour has no window, a repeated one has both of its runs."""
    assert [(shown(a), shown(b)) for a, b in window.hours_of(day, hour, zone)] == windows


def test_the_hours_of_a_day_make_the_day() -> None:
    """The 24 local hours of a 25-hour day cover it once."""
    day = date(2026, 11, 1)
    covered = [m for hour in range(24) for a, b in window.hours_of(day, hour, NEW_YORK) for m in range(a, b)]
    assert sorted(covered) == list(range(minute("2026-11-01T04:00"), minute("2026-11-02T05:00")))


def test_the_last_minutes_can_be_computed() -> None:
    """A hostile time at the edge of what is measured has its windows in every kind of zone."""
    for zone in ("", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        for step in window.STEPS:
            for at in (window.FIRST_MINUTE, window.LAST_MINUTE - 1):
                start = window.start_of(step, at, zone)
                assert start <= at < window.end_of(step, start, zone)


@pytest.mark.parametrize("name", ["Amerika/New_York", "../etc/passwd", "America", "/etc/passwd", "x\0y"])
def test_an_unknown_zone_is_a_users_mistake(name: str) -> None:
    """A wrong zone name, or a path, is refused with a way out."""
    with pytest.raises(UsageError, match="expected an IANA name"):
        window.zone_of(name)
    with pytest.raises(UsageError, match="did you mean America/New_York"):
        window.zone_of("America/NewYork")
