"""What a page calls its period and the ones that it is compared with."""

from dataclasses import dataclass
from datetime import date, timedelta

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")


@dataclass(frozen=True, slots=True)
class Words:
    """`this` and `before` head columns; `line` is what the course of the period is told by; `again` is the third
    period of comparison, "" where there is none."""

    kind: str
    unit: str
    this: str
    before: str
    line: str
    during: str
    again: str = ""


_WORDS = {
    "daily": Words("Daily report", "day", "This day", "Day before", "hour", "on this day", "Week before"),
    "weekly": Words("Weekly report", "week", "This week", "Week before", "day", "in this week"),
    "monthly": Words("Monthly report", "month", "This month", "Month before", "day", "in this month"),
}


def words_of(kind: str) -> Words:
    return _WORDS[kind]


def heading(kind: str, first: date) -> str:
    """Friday, 20 November 2026; Week 47 of 2026, 16 to 22 November; November 2026.

    Spelled here because strftime follows the machine's locale.
    """
    if kind == "daily":
        return f"{_DAYS[first.weekday()]}, {day_month(first)} {first.year}"
    if kind == "monthly":
        return f"{_MONTHS[first.month - 1]} {first.year}"
    last = first + timedelta(days=6)
    iso = first.isocalendar()
    start = str(first.day) if first.month == last.month else day_month(first)
    return f"Week {iso.week} of {iso.year}, {start} to {day_month(last)}"


def day_month(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]}"


def weekday_day(day: date) -> str:
    """Fri 20 Nov."""
    return f"{_DAYS[day.weekday()][:3]} {day.day} {_MONTHS[day.month - 1][:3]}"
