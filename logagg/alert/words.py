"""Lengths of time, clock times and days of the week as the configuration writes them -> numbers. Pure.

Each function answers None for a text that is none; `*_EXPECTED` says what would be.
"""

import re

DURATION_EXPECTED = 'a length of time such as "30s", "5m", "1h" or "2d"'
CLOCK_EXPECTED = 'a time of day such as "06:30"'
HOURS_EXPECTED = 'hours of a day such as "08:00-20:00" (or "22:00-06:00" over midnight)'
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAYS_EXPECTED = 'days such as "mon", "sat", or "mon-fri"'
CONDITION_EXPECTED = 'a condition such as "reason=heap_exhausted" or "reason!=nightly_restart"'

DAY_MINUTES = 1440
_DURATION = re.compile(r"(0|[1-9][0-9]{0,6})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])\Z")
_CONDITION = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(!?=)(.*)\Z", re.DOTALL)


def duration_s(text: str) -> int | None:
    """A length of time in seconds."""
    match = _DURATION.match(text)
    return int(match[1]) * _SECONDS[match[2]] if match else None


def whole_minutes(text: str) -> int | None:
    """A length of time in minutes, if it is whole ones."""
    seconds = duration_s(text)
    return None if seconds is None or seconds % 60 else seconds // 60


def minutes_text(minutes: int) -> str:
    """A length of time as people write it: "5m", "2h"."""
    for unit, length in (("d", DAY_MINUTES), ("h", 60)):
        if minutes and minutes % length == 0:
            return f"{minutes // length}{unit}"
    return f"{minutes}m"


def clock_minute(text: str) -> int | None:
    """A time of day in minutes since midnight, "24:00" being the day's end."""
    match = _CLOCK.match(text)
    minute = int(match[1]) * 60 + int(match[2]) if match else DAY_MINUTES + 1
    return minute if minute <= DAY_MINUTES else None


def clock_text(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def hours(text: str) -> tuple[int, int] | None:
    """The minutes [from, to) of a day; `to` is above 1440 where the hours reach over midnight."""
    first, dash, last = text.partition("-")
    start, end = clock_minute(first.strip()), clock_minute(last.strip())
    if not dash or start is None or end is None or start in (end, DAY_MINUTES):
        return None
    return (start, end) if end > start else (start, end + DAY_MINUTES)


def weekdays(text: str) -> tuple[int, ...] | None:
    """Days of the week from Monday, 0; a range may reach over Sunday ("sat-mon")."""
    first, dash, last = text.lower().partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        return None
    start = DAYS.index(first)
    length = (DAYS.index(last) - start) % 7 if dash else 0
    return tuple(sorted((start + i) % 7 for i in range(length + 1)))


def condition(text: str) -> tuple[str, bool, str] | None:
    """(field, whether it must be equal, value)."""
    match = _CONDITION.match(text)
    return (match[1], match[2] == "=", match[3]) if match else None
