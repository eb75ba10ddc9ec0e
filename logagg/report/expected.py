"""What should come, and when it came: loads that are due at a time of the day, calls that should never pause for long.

Expectations are the packs' and the user's rules of the type "absent"; here they are told per local day of the period.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

from logagg.interfaces import Store
from logagg.report.minutes import QUARTER, Moment, moments, moments_beside_pauses
from logagg.report.period import Day, Period, days, utc_text
from logagg.rollup.metric import Metric
from logagg.rollup.window import zone_of

DAY_MINUTES = 1440
PAUSE_MIN = 2 * QUARTER
PAUSES_MAX = 20
"""Pauses told per day and rule; further ones are counted."""

Find = Callable[[int, int], list[Moment]]
"""When a rule's events came in [start, end) minutes."""


class AbsentRule(Protocol):
    """What is read of a rule (`logagg.alert.rule.Rule`): those of the type "absent" are expectations.

    `due` and `between` are minutes of a local day (of `timezone`; "": the report's), `within` minutes, `days` weekdays
    from Monday, 0 (none: every day). `between` may reach over midnight: then it ends above 1440.
    """

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def event(self) -> tuple[str, ...]: ...

    @property
    def where(self) -> Sequence[object]: ...

    @property
    def due(self) -> int | None: ...

    @property
    def within(self) -> int | None: ...

    @property
    def between(self) -> tuple[int, int] | None: ...

    @property
    def days(self) -> tuple[int, ...]: ...

    @property
    def timezone(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Expectation:
    """A rule, the counter `counts` that saw its events, and the metric `shown` beside which it is told ("": none)."""

    rule: AbsentRule
    counts: str
    shown: str = ""


def expectations(rules: Iterable[AbsentRule], metrics: Sequence[Metric]) -> list[Expectation]:
    """The rules that expect something, with what counts it.

    That is a counter of just these events, which may know a longer past, else the rule's own counter.
    """
    counters = [metric for metric in metrics if metric.kind == "counter"]
    found = []
    for rule in rules:
        if rule.type == "absent":
            same = next((one.name for one in counters if set(one.events) == set(rule.event)), "")
            near = next((one.name for one in counters if set(one.events) & set(rule.event)), "")
            found.append(Expectation(rule, same if same and not rule.where else f"rule:{rule.name}:part", same or near))
    return found


def expected(store: Store, this: Period, wanted: Iterable[Expectation], *, until_us: int,
             seen: Collection[int]) -> list[dict[str, Any]]:
    """Each rule with its days: {"name", "metric", "due" | "within_minutes", "between", "days": [{"date", …}]}.

    Days of a `due` have "state" and "at" (UTC, to the minute; null); days of a `within_minutes` have "state",
    "pauses" ([{"from", "to", "minutes"}], the first PAUSES_MAX) and "pauses_count". States: "ok", "late", "missing",
    "pauses", and "unknown" for what was not there on a day that is not known wholly: all sources were read `until_us`,
    and there are records of the days `seen` (their first minutes).
    """
    known = {day for day in days(this) if day.to_us <= until_us and day.from_us // 60_000_000 in seen}
    return [_told(store, this, one, known) for one in wanted]


def _told(store: Store, this: Period, one: Expectation, known: Collection[Day]) -> dict[str, Any]:
    rule = one.rule
    row: dict[str, Any] = {"name": rule.name, "metric": one.shown, "days": []}
    if rule.due is not None:
        row["due"] = _clock(rule.due)
    else:
        start, end = rule.between or (0, DAY_MINUTES)
        row |= {"within_minutes": rule.within,
                "between": f"{_clock(start)}-{_clock(end if end <= DAY_MINUTES else end - DAY_MINUTES)}"}
    zone = rule.timezone or this.zone
    find = partial(moments_beside_pauses if (rule.within or 0) >= PAUSE_MIN else moments, store, one.counts)
    for day in days(this):
        told = _due(rule, day, zone, find) if rule.due is not None else _pauses(rule, day, zone, find)
        if told is not None:
            if day not in known and told["state"] in ("missing", "pauses"):
                told["state"] = "unknown"
            row["days"].append({"date": day.date.isoformat(), **told})
    return row


def _applies(rule: AbsentRule, weekday: int) -> bool:
    return not rule.days or weekday % 7 in rule.days


def _due(rule: AbsentRule, day: Day, zone: str, find: Find) -> dict[str, Any] | None:
    """The first of the day against the time at which it is due; None on a day on which nothing is."""
    assert rule.due is not None
    if not _applies(rule, day.date.weekday()):
        return None
    first = next((m.start for m in find(day.from_us // 60_000_000, day.to_us // 60_000_000)), None)
    if first is None:
        return {"state": "missing", "at": None}
    late = first >= _minute(day, rule.due, zone)
    return {"state": "late" if late else "ok", "at": utc_text(first * 60_000_000)}


def _pauses(rule: AbsentRule, day: Day, zone: str, find: Find) -> dict[str, Any] | None:
    """Stretches of the day's working hours, longer than allowed, in which nothing came; None on a day without any."""
    assert rule.within is not None
    hours = list(_hours(rule, day.date.weekday()))
    if not hours:
        return None
    long = []
    for start, end in ((_minute(day, start, zone), _minute(day, end, zone)) for start, end in hours):
        edges = [edge for m in find(start, end) for edge in (m.start, m.start + m.length)]
        gaps = list(pairwise([start, *edges, end]))[::2]
        long += [(a, b) for a, b in gaps if b - a > rule.within]
    told = [{"from": utc_text(a * 60_000_000), "to": utc_text(b * 60_000_000), "minutes": b - a} for a, b in long]
    return {"state": "pauses" if long else "ok", "pauses": told[:PAUSES_MAX], "pauses_count": len(long)}


def _hours(rule: AbsentRule, weekday: int) -> Iterator[tuple[int, int]]:
    """The working hours within one day: of hours over midnight, the end of yesterday's and the beginning of its own."""
    start, end = rule.between or (0, DAY_MINUTES)
    if end > DAY_MINUTES and _applies(rule, weekday - 1):
        yield 0, end - DAY_MINUTES
    if _applies(rule, weekday):
        yield start, min(end, DAY_MINUTES)


def _minute(day: Day, clock: int, zone: str) -> int:
    """The minute since the epoch of a local time of the day; where clocks repeat it, the first."""
    if clock == DAY_MINUTES:
        return day.to_us // 60_000_000
    return int(datetime.combine(day.date, time(clock // 60, clock % 60), zone_of(zone)).timestamp()) // 60


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
