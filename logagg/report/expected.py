"""What should come, and when it came: loads that are due at a time of the day, calls that should never pause for long.

Expectations are the packs' and the user's rules of the type "absent"; here they are told per local day of the period.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from logagg.interfaces import Store
from logagg.report.minutes import Moment, moments
from logagg.report.period import Day, Period, days, utc_text
from logagg.rollup.window import zone_of

PAUSES_MAX = 20
"""Pauses told per day and rule; further ones are counted."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Expectation:
    """Something of `metric` should come each of `weekdays` (0: Monday): by `due`, or all `within_minutes` minutes
    within [from, to) of `between`. `due` and `between` are minutes since local midnight in `zone` ("": the report's).
    """

    name: str
    metric: str
    due: int | None = None
    within_minutes: int | None = None
    between: tuple[int, int] = (0, 1440)
    weekdays: frozenset[int] = frozenset(range(7))
    zone: str = ""


def expected(store: Store, this: Period, expectations: Iterable[Expectation], *, complete: bool,
             seen: bool) -> list[dict[str, Any]]:
    """Each rule with its days: {"name", "metric", "due" | "within_minutes", "between", "days": [{"date", …}]}.

    Days of a `due` have "state" and "at" (UTC, to the minute; null); days of a `within_minutes` have "state",
    "pauses" ([{"from", "to", "minutes"}], the first PAUSES_MAX) and "pauses_count". States: "ok", "late", "missing",
    "pauses", and "unknown" while the period is not `complete` or nothing was `seen` of it.
    """
    return [_told(store, this, one, known=complete and seen) for one in expectations]


def _told(store: Store, this: Period, one: Expectation, *, known: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"name": one.name, "metric": one.metric, "days": []}
    if one.due is not None:
        row["due"] = _clock(one.due)
    else:
        row |= {"within_minutes": one.within_minutes, "between": "-".join(map(_clock, one.between))}
    zone = one.zone or this.zone
    of_period = moments(store, one.metric, this.from_us // 60_000_000, this.to_us // 60_000_000)
    for day in days(this):
        if day.date.weekday() in one.weekdays:
            told = _due(one, day, zone, of_period) if one.due is not None else _pauses(one, day, zone, of_period)
            if not known and told["state"] in ("missing", "pauses"):
                told["state"] = "unknown"
            row["days"].append({"date": day.date.isoformat(), **told})
    return row


def _due(one: Expectation, day: Day, zone: str, seen: Sequence[Moment]) -> dict[str, Any]:
    """The first of the day against the time at which it is due."""
    assert one.due is not None
    first = next((m.start for m in seen if day.from_us <= m.start * 60_000_000 < day.to_us), None)
    if first is None:
        return {"state": "missing", "at": None}
    late = first > _minute(day, one.due, zone)
    return {"state": "late" if late else "ok", "at": utc_text(first * 60_000_000)}


def _pauses(one: Expectation, day: Day, zone: str, seen: Sequence[Moment]) -> dict[str, Any]:
    """Stretches of the working hours, longer than allowed, in which nothing came."""
    assert one.within_minutes is not None
    start, end = (_minute(day, bound, zone) for bound in one.between)
    ends = [edge for m in seen if start <= m.start < end for edge in (m.start, m.start + m.length)]
    gaps = list(pairwise([start, *ends, end]))[::2]
    long = [(a, b) for a, b in gaps if b - a > one.within_minutes]
    told = [{"from": utc_text(a * 60_000_000), "to": utc_text(b * 60_000_000), "minutes": b - a} for a, b in long]
    return {"state": "pauses" if long else "ok", "pauses": told[:PAUSES_MAX], "pauses_count": len(long)}


def _minute(day: Day, clock: int, zone: str) -> int:
    """The minute since the epoch of a local time of the day; where clocks repeat it, the first."""
    midnight = datetime.combine(day.date, datetime.min.time())
    at = (midnight + timedelta(minutes=clock)).replace(tzinfo=zone_of(zone))
    return int(at.astimezone(UTC).timestamp()) // 60


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
