"""Which interval a report covers: pure functions over an IANA time zone.

A period is half-open, `[from_us, to_us)`, and begins at the first instant of a local day. So a day has 23 or 25 hours
where the clocks change, and where midnight itself is skipped it begins when that day's first hour does. Weeks begin
on Monday (ISO 8601). Two periods that follow each other touch: `previous(p).to_us == p.from_us`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from logagg.errors import UsageError
from logagg.rollup.window import day_start, zone_of

QUARTER_S = 900


@dataclass(frozen=True, slots=True)
class Period:
    """`kind` daily | weekly | monthly, `first` its first local day, `zone` the IANA name of the days that are meant."""

    kind: str
    first: date
    zone: str
    from_us: int
    to_us: int


STEPS = {"daily": "day", "weekly": "week", "monthly": "month"}
"""kind -> the step of the rollups that hold a whole period of it."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One local hour of a day. When the clocks go back an hour number comes twice: `again` tells the second."""

    hour: int
    from_us: int
    to_us: int
    again: bool = False


def _month(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


_FIRST: dict[str, Callable[[date, int], date]] = {
    "daily": lambda day, n: day + timedelta(days=n),
    "weekly": lambda day, n: day + timedelta(days=7 * n - day.weekday()),
    "monthly": _month,
}
"""kind -> (a day, n) -> first day of the period that is n after the one with that day."""

KINDS = tuple(_FIRST)


def period(kind: str, day: date, zone: str, *, ahead: int = 0) -> Period:
    """The period of this kind that contains the local `day`, or the one `ahead` of it (negative: before it)."""
    if kind not in _FIRST:
        raise UsageError(f"no period {kind!r}: expected one of {', '.join(KINDS)}")
    if not 1970 <= day.year <= 9996:
        raise UsageError(f"{day}: no report is made for that year; give a date from 1970 to 9996")
    return _period(kind, day, zone, ahead)


def _period(kind: str, day: date, zone: str, ahead: int = 0) -> Period:
    first, after = _FIRST[kind](day, ahead), _FIRST[kind](day, ahead + 1)
    return Period(kind, first, zone, _start_us(first, zone), _start_us(after, zone))


def previous(this: Period) -> Period:
    """The period just before: yesterday, last week, last month."""
    return _period(this.kind, this.first, this.zone, -1)


def week_before(this: Period) -> Period:
    """The same weekday a week before; for a week, the week before."""
    return _period(this.kind, this.first - timedelta(days=7), this.zone)


def _start_us(day: date, zone: str) -> int:
    return day_start(day, zone) * 60_000_000


def hours(this: Period) -> list[Hour]:
    """The local hours of a day in order: 24, or 23 or 25 where the clocks change by an hour.

    Built from quarter-hours, the finest step by which zones in use today differ, so zones like Asia/Kolkata and
    half-hour changes (Australia/Lord_Howe) come out right.
    """
    info = zone_of(this.zone)
    quarters = range(this.from_us // 1_000_000, this.to_us // 1_000_000, QUARTER_S)
    local = [(at, datetime.fromtimestamp(at, info)) for at in quarters]
    found = []
    for (hour, fold), group in groupby(local, key=lambda item: (item[1].hour, item[1].fold)):
        at = [item[0] for item in group]
        found.append(Hour(hour, at[0] * 1_000_000, (at[-1] + QUARTER_S) * 1_000_000, bool(fold)))
    return found


@dataclass(frozen=True, slots=True)
class Day:
    """One local day of a week or month."""

    date: date
    from_us: int
    to_us: int


def days(this: Period) -> list[Day]:
    """The local days of a period in order; a date that a zone skipped (Samoa, 2011-12-30) is none of them."""
    found = []
    one = _period("daily", this.first, this.zone)
    while one.from_us < this.to_us:
        if one.from_us < one.to_us:
            found.append(Day(one.first, one.from_us, one.to_us))
        one = _period("daily", one.first, this.zone, 1)
    return found


def utc_text(at_us: int) -> str:
    """RFC 3339 in UTC to the second, as `data.json` writes times."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
