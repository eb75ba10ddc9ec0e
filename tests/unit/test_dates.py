"""Printed dates -> microseconds UTC: named formats, letters, zones, repeated and skipped hours."""

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from logagg.grammar.dateformat import DateError
from logagg.grammar.dates import DateFormat, text_of


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def read(name: str, date: str, zone: str = "UTC", dialect: str = "log4j2") -> int | None:
    date_format = DateFormat(name, zone, dialect)
    raw = date.encode()
    assert re.fullmatch(date_format.regex, raw), (date_format.regex, raw)
    return date_format.decode([raw], None)[0]


@pytest.mark.parametrize(("name", "date", "moment"), [
    ("DEFAULT", "2024-03-08 01:02:03,456", "2024-03-08T01:02:03.456"),
    ("DEFAULT_MICROS", "2024-03-08 01:02:03,456789", "2024-03-08T01:02:03.456789"),
    ("DEFAULT_NANOS", "2024-03-08 01:02:03,456789123", "2024-03-08T01:02:03.456789"),
    ("ISO8601", "2024-03-08T01:02:03,456", "2024-03-08T01:02:03.456"),
    ("ISO8601_PERIOD", "2024-03-08T01:02:03.456", "2024-03-08T01:02:03.456"),
    ("ISO8601_BASIC", "20240308T010203,456", "2024-03-08T01:02:03.456"),
    ("ISO8601_OFFSET_DATE_TIME_HH", "2024-03-08T01:02:03,456-05", "2024-03-08T06:02:03.456"),
    ("ISO8601_OFFSET_DATE_TIME_HHMM", "2024-03-08T01:02:03,456+0530", "2024-03-07T19:32:03.456"),
    ("ISO8601_OFFSET_DATE_TIME_HHCMM", "2024-03-08T01:02:03,456Z", "2024-03-08T01:02:03.456"),
    ("COMPACT", "20240308010203456", "2024-03-08T01:02:03.456"),
    ("DATE", "08 Mar 2024 01:02:03,456", "2024-03-08T01:02:03.456"),
    ("US_MONTH_DAY_YEAR4_TIME", "31/12/2024 01:02:03.456", "2024-12-31T01:02:03.456"),
    ("US_MONTH_DAY_YEAR2_TIME", "31/12/24 01:02:03.456", "2024-12-31T01:02:03.456"),
    ("UNIX", "1709859723", "2024-03-08T01:02:03"),
    ("UNIX_MILLIS", "1709859723456", "2024-03-08T01:02:03.456"),
    ("yy/MM/dd HH:mm:ss", "17/06/09 20:10:40", "2017-06-09T20:10:40"),
    ("yyMMdd HHmmss", "081109 203615", "2008-11-09T20:36:15"),
    ("yy/MM/dd HH:mm", "99/06/09 20:10", "1999-06-09T20:10"),
    ("EEE MMM dd HH:mm:ss yyyy", "Sun Dec 04 04:47:44 2005", "2005-12-04T04:47:44"),
    ("MM/dd/yyyy hh:mm:ss a", "03/08/2024 12:02:03 AM", "2024-03-08T00:02:03"),
    ("MM/dd/yyyy hh:mm:ss.SSS a", "03/08/2024 01:02:03.456 PM", "2024-03-08T13:02:03.456"),
    ("yyyy-DDD HH:mm:ss", "2024-068 01:02:03", "2024-03-08T01:02:03"),
    ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2024-03-08T01:02:03.456+01:00", "2024-03-08T00:02:03.456"),
    ("yyyy-MM-dd HH:mm:ss Z", "2024-03-08 01:02:03 -0500", "2024-03-08T06:02:03"),
    ("yyyy-MM-dd HH:mm:ss z", "2024-03-08 01:02:03 EST", "2024-03-08T06:02:03"),
    ("yyyy-MM-dd 'at' HH 'o''clock'", "2024-03-08 at 07 o'clock", "2024-03-08T07:00"),
    ("d MMMM yyyy H:m:s", "8 March 2024 1:2:3", "2024-03-08T01:02:03"),
])
def test_formats(name: str, date: str, moment: str) -> None:
    """Named formats and SimpleDateFormat letters give the moment that they print."""
    assert read(name, date) == us(moment)


@pytest.mark.parametrize(("name", "date"), [("ABSOLUTE", "01:02:03,456"), ("MMM dd HH:mm:ss", "Mar 08 01:02:03"),
                                            ("yyyy-MM-dd", "2024-03-08")])
def test_a_date_without_year_or_hour_is_no_moment(name: str, date: str) -> None:
    """Where year, day or hour are not printed there is no time, rather than a guessed one."""
    assert read(name, date) is None


def test_an_impossible_date_has_no_time_and_spoils_no_other() -> None:
    """February 30 in a column gives None; its neighbours keep their times."""
    dates = [b"2023-02-28 10:00:00,000", b"2023-02-30 10:00:00,000", b"2023-03-01 10:00:00,001"]
    assert DateFormat().decode(dates, None) == [us("2023-02-28T10:00"), None, us("2023-03-01T10:00:00.001")]


def test_a_leap_second_behind_the_last_year_has_no_time() -> None:
    """A time in the year 10000 could not be told as text; the second before it can."""
    dates = [b"9999-12-31 23:59:59,999", b"9999-12-31 23:59:60,000"]
    first, second = DateFormat().decode(dates, None)
    assert first is not None and second is None
    assert text_of(first, "999") == "9999-12-31T23:59:59.999Z"
    assert DateFormat(zone="Etc/GMT+5").decode([b"9999-12-31 18:59:60,000"], None) == [None]


@pytest.mark.parametrize(("zone", "moment"), [
    ("UTC", "2024-07-01T12:00"), ("America/New_York", "2024-07-01T16:00"), ("Asia/Kolkata", "2024-07-01T06:30"),
    ("+05:30", "2024-07-01T06:30"), ("GMT-3", "2024-07-01T15:00"), ("Australia/Lord_Howe", "2024-07-01T01:30")])
def test_zones(zone: str, moment: str) -> None:
    """A date without an offset is read in the layout's zone."""
    assert read("DEFAULT", "2024-07-01 12:00:00,000", zone) == us(moment)


def test_a_repeated_hour_is_resolved_by_order() -> None:
    """In New York 2024-11-03 01:00 to 01:59 comes twice; going back by more than 10 s starts the second pass."""
    column = [b"2024-11-03 00:59:59,000", b"2024-11-03 01:30:00,000", b"2024-11-03 01:29:59,000",
              b"2024-11-03 01:00:00,500", b"2024-11-03 01:59:00,000", b"2024-11-03 02:00:00,000"]
    assert DateFormat("DEFAULT", "America/New_York").decode(column, None) == [
        us("2024-11-03T04:59:59"), us("2024-11-03T05:30:00"), us("2024-11-03T05:29:59"), us("2024-11-03T06:00:00.5"),
        us("2024-11-03T06:59:00"), us("2024-11-03T07:00:00")]


def test_a_repeated_hour_needs_only_the_last_time() -> None:
    """A column decoded in two parts, with the last time carried over, is decoded like one."""
    date_format = DateFormat("yyyy-MM-dd HH:mm", "Europe/Berlin")
    column = [f"2024-10-27 0{hour}:{minute:02}".encode() for hour in (1, 2, 2, 3) for minute in range(0, 60, 7)]
    whole = date_format.decode(column, None)
    for cut in range(1, len(column)):
        first = date_format.decode(column[:cut], None)
        assert first + date_format.decode(column[cut:], first[-1]) == whole
    assert [b - a for a, b in pairwise(whole) if a and b and b < a] == []


def test_a_skipped_hour_is_read_with_the_offset_before() -> None:
    """02:30 on the day that New York skips it is what 02:30 EST would be."""
    assert read("DEFAULT", "2024-03-10 02:30:00,000", "America/New_York") == us("2024-03-10T07:30")


@pytest.mark.parametrize(("name", "date", "text"), [
    ("DEFAULT", "2026-11-20 13:15:30,123", "2026-11-20T13:15:30.123Z"),
    ("yyyy-MM-dd HH:mm:ss", "2026-11-20 13:15:30", "2026-11-20T13:15:30Z"),
    ("DEFAULT_NANOS", "2026-11-20 13:15:30,123456789", "2026-11-20T13:15:30.123456789Z"),
    ("UNIX_MILLIS", "1709859723456", "2024-03-08T01:02:03.456Z")])
def test_text_keeps_the_precision_of_the_log(name: str, date: str, text: str) -> None:
    """The RFC 3339 text has as many digits as were printed."""
    date_format = DateFormat(name)
    (moment,) = date_format.decode([date.encode()], None)
    assert moment is not None
    assert text_of(moment, date_format.fraction(date.encode())) == text


@pytest.mark.parametrize("pattern", ["yyyy 'open", "yyyy-QQ", "SSSSSSSSSSSS"])
def test_unusable_formats_are_refused(pattern: str) -> None:
    """An open quote, an unknown letter and an impossible fraction are errors."""
    with pytest.raises(DateError, match="date format"):
        DateFormat(pattern)
