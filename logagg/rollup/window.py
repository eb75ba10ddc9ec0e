"""Windows of time: which bucket a minute belongs to, and where it ends. Pure.

All times are whole minutes since the epoch (UTC); windows are half-open. Steps: minute, quarter (of an hour), hour:
in UTC; day, week (ISO 8601: from Monday) and month: in an IANA time zone, "" or "UTC" for UTC itself.

A local day runs from the first instant of its date to the first instant of the next date, so it may have 23 or 25
hours (or 22 to 26, or none: 2011-12-30 did not happen in Samoa). Since 1972 local midnights are at quarter-hours of
UTC, so a day is made of whole quarters. Exceptions: Kiribati's Line Islands up to 1979, 10:40 behind UTC, and before
1972 Liberia's local mean time, whose days are cut at the quarter before; and zones that changed at 00:01 (Newfoundland
up to 2011), where the repeated 59 minutes before midnight count on the new day.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from logagg.errors import UsageError

STEPS = ("minute", "quarter", "hour", "day", "week", "month")
ZONED = ("day", "week", "month")
FIRST_MINUTE = 0                            #: 1970-01-01; a clock that says earlier is wrong, and measures nothing
LAST_MINUTE = 4_222_320_480                 #: 9998-01-01; every local time near it can still be computed
_LENGTH = {"minute": 1, "quarter": 15, "hour": 60}
_EPOCH = datetime(1970, 1, 1)
_MINUTE = timedelta(minutes=1)


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name ("" is UTC); UsageError with near names if there is none."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):     # a folder or a strange path below the zone data is an OSError
        near = get_close_matches(name, sorted(available_timezones()), 3, 0.6)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"unknown time zone {name!r}: expected an IANA name such as Europe/Berlin or UTC{hint}"
                         ) from None


def local(minute: int, zone: str) -> datetime:
    """The local time, without its zone, at a minute."""
    if zone in ("", "UTC"):
        return _EPOCH + minute * _MINUTE
    return (_EPOCH.replace(tzinfo=UTC) + minute * _MINUTE).astimezone(zone_of(zone)).replace(tzinfo=None, fold=0)


def _utc(moment: datetime, zone: str) -> int:
    """The minute of a local time; the first of two, and of a time that does not exist what the old offset gives."""
    offset = moment.replace(tzinfo=zone_of(zone)).utcoffset() or timedelta()
    return (moment - offset - _EPOCH) // _MINUTE


@lru_cache(maxsize=4096)
def day_start(day: date, zone: str) -> int:
    """The first minute of a local date (of the next one, if it was skipped)."""
    # Where midnight was skipped the old offset gives the change itself: since 1972 no gap began before midnight.
    start = _utc(datetime.combine(day, datetime.min.time()), zone)
    return start - start % 15


def start_of(step: str, minute: int, zone: str = "") -> int:
    """The start of the window of `step` that holds `minute`."""
    length = _LENGTH.get(step)
    if length is not None:
        return minute - minute % length
    day = _day_of(minute - minute % 15, zone)
    return day_start(_first_day(step, day), zone)


def end_of(step: str, start: int, zone: str = "") -> int:
    """The end of the window that starts at `start`, which is the start of the next."""
    length = _LENGTH.get(step)
    if length is not None:
        return start + length
    day = _day_of(start, zone)
    first = _first_day(step, day)
    if step == "month":
        following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    else:
        following = first + timedelta(days=7 if step == "week" else 1)
    return day_start(following, zone)


def starts(step: str, from_minute: int, to_minute: int, zone: str = "") -> Iterator[int]:
    """The starts of the windows that overlap [from_minute, to_minute), rising."""
    start = start_of(step, from_minute, zone)
    while start < to_minute:
        yield start
        start = end_of(step, start, zone)


def hours_of(day: date, hour: int, zone: str) -> list[tuple[int, int]]:
    """The windows [from, to) of a local hour, in quarters: none if the clocks skipped it, and both if they repeated it.

    Two that touch are given as one; they do not touch where clocks go back by two hours (Troll station).
    """
    windows: list[tuple[int, int]] = []
    start, end = day_start(day, zone), day_start(day + timedelta(days=1), zone)
    for quarter in range(start, end, 15):
        if local(quarter, zone).hour != hour:
            continue
        if windows and windows[-1][1] == quarter:
            windows[-1] = (windows[-1][0], quarter + 15)
        else:
            windows.append((quarter, quarter + 15))
    return windows


def _day_of(minute: int, zone: str) -> date:
    """The date whose day holds a minute: its local date, but for an hour repeated across midnight."""
    day = local(minute, zone).date()
    while minute >= day_start(day + timedelta(days=1), zone):
        day += timedelta(days=1)
    return day


def _first_day(step: str, day: date) -> date:
    if step == "day":
        return day
    if step == "week":
        return day - timedelta(days=day.weekday())
    if step == "month":
        return day.replace(day=1)
    raise ValueError(f"unknown step {step!r}: expected one of {', '.join(STEPS)}")


class Windows:
    """Some windows of one step, by rising start."""

    def __init__(self, step: str, zone: str, starts: Sequence[int]) -> None:
        self.step = step
        self.zone = zone
        self.starts = starts
        self.ends = [end_of(step, start, zone) for start in starts]

    def behind(self, horizon: int) -> "Windows":
        """Those that reach beyond a minute."""
        return self if self.ends and self.ends[0] > horizon else Windows(
            self.step, self.zone, [start for start, end in zip(self.starts, self.ends, strict=True) if end > horizon])

    def runs(self) -> Iterator[tuple[int, int]]:
        """Few ranges [start, end) that cover the windows; windows near each other share one."""
        return _runs(zip(self.starts, self.ends, strict=True), 10)

    def missing(self, computed: Collection[int]) -> Iterator[tuple[int, int]]:
        """The ranges of the level below that are needed and not computed."""
        if not computed:
            return self.runs()
        return _runs(self._gaps(sorted(computed)))

    def _gaps(self, computed: Sequence[int]) -> Iterator[tuple[int, int]]:
        """What lies between these windows of the level below."""
        step, zone = self.source()
        for start, end in zip(self.starts, self.ends, strict=True):
            at = start
            for source in computed[bisect_left(computed, start):bisect_left(computed, end)]:
                if at < source:
                    yield at, source
                at = end_of(step, source, zone)
            if at < end:
                yield at, end

    def holding(self, minute: int) -> int:
        """The start of the window that holds a minute; -1, where no window starts, if none does."""
        i = bisect_right(self.starts, minute) - 1
        return self.starts[i] if i >= 0 and minute < self.ends[i] else -1

    def source(self) -> tuple[str, str]:
        """The step and zone of the buckets below."""
        if self.step in ("week", "month"):
            return "day", self.zone
        if self.step == "day":
            whole_hours = all(bound % 60 == 0 for bound in (*self.starts, *self.ends))
            return ("hour" if whole_hours else "quarter"), ""
        return ("quarter" if self.step == "hour" else "minute"), ""


def _runs(windows: Iterable[tuple[int, int]], gap_max: int = 0) -> Iterator[tuple[int, int]]:
    """Put windows together that follow each other with at most `gap_max` times their length between them."""
    run: tuple[int, int] | None = None
    for start, end in windows:
        if run is not None and start - run[1] <= gap_max * (end - start):
            run = (run[0], end)
            continue
        if run is not None:
            yield run
        run = (start, end)
    if run is not None:
        yield run


def starts_of(step: str, minutes: Iterable[int], zone: str = "") -> list[int]:
    """The starts of the windows that hold these minutes, once each, rising."""
    return sorted({start_of(step, minute, zone) for minute in minutes})
