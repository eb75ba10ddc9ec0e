"""Counts by the minute -> readings of a rule's condition: at which moments it holds, does not, or cannot be told. Pure.

All times are whole minutes since the epoch (UTC). "Complete" is the minute before which all that was written has been
read: what a window of complete minutes says is final. Before that only what more data cannot undo is said: that more
than so many came.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from heapq import merge
from itertools import accumulate, pairwise

from logagg.alert.rule import Rule
from logagg.rollup.window import day_start, local, zone_of

_EPOCH = datetime(1970, 1, 1)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was seen up to the moment `at`: whether the condition holds, and whether it goes on where it held before.
    `minute` is the last one that was looked at, `since` where the silence of an absence begins; `part` and `whole`
    are the window's counts."""

    at: int
    holds: bool
    part: int = 0
    whole: int = 0
    minute: int = 0
    since: int = 0
    goes_on: bool | None = None     #: None: as `holds`

    def says(self, firing: bool) -> bool:
        """What the reading says to what is firing, or is not."""
        return self.goes_on if firing and self.goes_on is not None else self.holds


class Counts:
    """One label set's counts: minute -> how many of the rule's parts, and of its wholes."""

    def __init__(self, parts: Mapping[int, int], wholes: Mapping[int, int] | None = None) -> None:
        wholes = wholes or {}
        self.minutes = sorted(parts.keys() | wholes.keys())
        self.events = [minute for minute in self.minutes if parts.get(minute)]
        self._parts = list(accumulate((parts.get(minute, 0) for minute in self.minutes), initial=0))
        self._wholes = list(accumulate((wholes.get(minute, 0) for minute in self.minutes), initial=0))

    def sums(self, start: int, end: int) -> tuple[int, int]:
        """(parts, wholes) in [start, end)."""
        first, last = bisect_left(self.minutes, start), bisect_left(self.minutes, end)
        return self._parts[last] - self._parts[first], self._wholes[last] - self._wholes[first]

    def last_event(self, before: int) -> int | None:
        """The last minute before `before` with a part."""
        found = bisect_left(self.events, before)
        return self.events[found - 1] if found else None

    def first_event(self, start: int) -> int | None:
        """The first minute from `start` on with a part."""
        found = bisect_left(self.events, start)
        return self.events[found] if found < len(self.events) else None


def exceeds(rule: Rule, part: int, whole: int) -> bool:
    """Whether these counts of a window are more than the rule allows, however few there are."""
    if rule.type != "ratio":
        return part > rule.above
    # In fractions of what was written: 29 of 100 are not more than 0.29, though 0.29 * 100 is below 29.
    return part > Fraction(repr(rule.above)) * whole


def threshold_readings(rule: Rule, counts: Counts, start: int, end: int, complete: int,
                       early_from: int) -> Iterator[Reading]:
    """The readings of an event, count or ratio rule at the minutes [start, end), by rising moment.

    A window is the minutes (m - window, m]. There is a reading where its content changes, and at `start`. That more
    than allowed came, where it need not hold for some time, is said with minute m itself, and from `early_from` on
    even while it is not complete; all else is said at the end of m, once it is complete.
    """
    near = counts.minutes[bisect_left(counts.minutes, start - rule.window):bisect_left(counts.minutes, end)]
    changes = {start, *(minute for minute in near if minute >= start), *(minute + rule.window for minute in near)}
    for minute in sorted(changes):
        if not start <= minute < end:
            continue
        part, whole = counts.sums(minute - rule.window + 1, minute + 1)
        holds, known = exceeds(rule, part, whole), minute < complete
        if rule.type == "ratio":
            if known:       # too few to begin with are enough to go on
                yield Reading(minute + 1, holds and whole >= rule.min_count, part, whole, minute, goes_on=holds)
        elif known:
            yield Reading(minute if holds and not rule.hold else minute + 1, holds, part, whole, minute)
        elif holds and not rule.hold and minute >= early_from:
            yield Reading(minute, True, part, whole, minute)


def absence_readings(rule: Rule, counts: Counts, start: int, end: int, complete: int,
                     known_from: int) -> Iterator[Reading]:
    """The readings of an absent rule at the moments [start, end), by rising moment: it was missed, or it came.

    Nothing is missed before `known_from`, where counting began, nor later than `complete`.
    """
    came = (Reading(minute, False, 1, minute=minute) for minute in counts.events if start <= minute < end)
    last = min(end, complete + 1)
    missed = _missed_due(rule, counts, start, last, known_from) if rule.due is not None else (
        _missed_within(rule, counts, start, last, known_from))
    # What was missed at a moment comes before what came in the minute that begins there.
    return merge(missed, came, key=lambda reading: (reading.at, not reading.holds))


def _missed_due(rule: Rule, counts: Counts, start: int, end: int, known_from: int) -> Iterator[Reading]:
    for midnight, due in due_times(rule, start, end):
        if midnight >= known_from and not counts.sums(midnight, due)[0]:
            yield Reading(due, True, minute=due, since=midnight)


def _missed_within(rule: Rule, counts: Counts, start: int, end: int, known_from: int) -> Iterator[Reading]:
    within = rule.within or 0
    for opens, closes in working_hours(rule, start - within, end):
        opens = max(opens, known_from)
        # The silence after each event of these hours, and that from their beginning on.
        events = counts.events[bisect_left(counts.events, opens):bisect_left(counts.events, closes)]
        for before, after in pairwise([opens - 1, *events, closes]):
            at = before + 1 + within
            if at <= after and start <= at < end:
                yield Reading(at, True, minute=at, since=before + 1)


def due_times(rule: Rule, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(local midnight, due moment) of the rule's days with a due moment in [start, end)."""
    for day in _days(rule, start, end):
        due = local_minute(day, rule.due or 0, rule.timezone)
        if start <= due < end:
            yield day_start(day, rule.timezone), due


def working_hours(rule: Rule, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The hours [opens, closes) of the rule's days that overlap [start, end). Hours that touch are one."""
    span: tuple[int, int] | None = None
    for day in _days(rule, start, end):
        first, last = rule.between or (0, 1440)
        opens, closes = (local_minute(day, at, rule.timezone) for at in (first, last))
        if span and opens <= span[1]:
            span = (span[0], closes)
            continue
        if span:
            yield span
        span = (opens, closes)
    if span:
        yield span


def _days(rule: Rule, start: int, end: int) -> Iterator[date]:
    """The rule's days around [start, end)."""
    day, last = local(start, rule.timezone).date() - _DAY, local(end, rule.timezone).date() + _DAY
    while day <= last:
        if not rule.days or day.weekday() in rule.days:
            yield day
        day += _DAY


def local_minute(day: date, minute: int, zone: str) -> int:
    """The moment of a local clock time, `minute` after midnight by the clock: the first of two where clocks go back;
    where they skip it, as much after the change as it would have been (02:30 is 03:30)."""
    moment = datetime.combine(day, datetime.min.time()) + minute * _MINUTE
    offset = moment.replace(tzinfo=zone_of(zone)).utcoffset() or timedelta()
    return (moment - offset - _EPOCH) // _MINUTE


def lookback(rule: Rule, start: int, end: int) -> int:
    """From where on counts are needed to read [start, end)."""
    if rule.type != "absent":
        return start - rule.window
    if rule.due is not None:
        return min([start, *(midnight for midnight, _ in due_times(rule, start, end))])
    return start - (rule.within or 0) - 1


def merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Half-open ranges, rising, those that touch as one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
