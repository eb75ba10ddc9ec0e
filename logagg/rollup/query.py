"""Questions to the rollups: one number for a day or an hour, or a metric's rows over time.

Stats of a metric: a counter has count, sum (the same) and rate (per second); a distribution has all; a ratio has rate
(also called mean), count (of its wholes) and sum (of its parts). `average` is another name of `mean`; percentiles are
by nearest rank. Days are read as folded where the zone is folded, and put together from hours or quarters where not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache
from json import loads
from typing import Any

from logagg.errors import UsageError
from logagg.interfaces import Store
from logagg.rollup.fold import Rows
from logagg.rollup.metric import Metric, MetricSet
from logagg.rollup.partial import MINUTE_US, add_stat, labels_json
from logagg.rollup.read import Seen, read
from logagg.rollup.sketch import Stat
from logagg.rollup.window import STEPS, day_start, end_of, hours_of, local, zone_of

QUANTILES = {"median": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
STATS = {
    "counter": ("count", "sum", "rate"),
    "distribution": ("count", "sum", "min", "max", "mean", "average", *QUANTILES, "rate"),
    "ratio": ("rate", "mean", "average", "count", "sum"),
}
UNFOLDED_MAX = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """What one label set saw from `start` to `end` (minutes). A ratio has its wholes in `stat`, its parts in `part`."""

    labels: Mapping[str, str]
    start: int
    end: int
    stat: Stat
    part: Stat = field(default_factory=Stat)


def query(store: Store, metrics: MetricSet, name: str, stat: str, day: str | date, hour: int | None = None, *,
          zone: str = "UTC", labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One number: {"metric", "labels", "stat", "unit", "from", "to", "value", "count", "complete", "revision"}.

    `day` is a local date of `zone`, `hour` one of its 24 local hours: both runs of a repeated one, nothing of a
    skipped one. All label sets that agree with `labels` are merged. Without data the value is None and the count 0.
    `revision` is the sum of the revisions of the buckets read: it rises whenever one of them is written again.
    UsageError names what is meant by a misspelt metric, stat or label.
    """
    zone_of(zone)
    metric = find_metric(metrics, name)
    _check_stat(metric, stat)
    _check_labels(metrics, metric, labels or {})
    if hour is not None and not 0 <= hour <= 23:
        raise UsageError(f"hour {hour}: expected 0 to 23")
    windows, step = _windows(store, _date(day), hour, zone)
    found, part, revision = Stat(), Stat(), 0
    for start, end in windows:
        for names, into in ((metric.part, part), (metric.whole or (metric.name,), found)):
            for _, seen in _read(store, metrics, names, step, zone, start, end):
                revision += seen.revision
                for row, stat_of_row in seen.rows.items():
                    if _agrees(row, labels):
                        into.add(stat_of_row)
    minutes = sum(end - start for start, end in windows)
    from_minute, to_minute = windows[0][0], windows[-1][1]
    return {
        "metric": metric.name, "labels": dict(labels or {}), "stat": stat, "unit": _unit(metric, stat),
        "from": utc_text(from_minute), "to": utc_text(to_minute),
        "value": _value(metric, stat, found, part, minutes * 60), "count": found.count,
        "complete": is_complete(store, from_minute, to_minute), "revision": revision,
    }


def series(store: Store, metrics: MetricSet, name: str, step: str, zone: str, from_us: int, to_us: int, *,
           labels: Mapping[str, str] | None = None) -> Iterator[Row]:
    """A metric's rows in all windows that start in [from, to), by (start, labels).

    A ratio has a row for each set of the labels that all its parts and wholes share.
    """
    check_step(step)
    zone_of(zone)
    metric = find_metric(metrics, name)
    _check_labels(metrics, metric, labels or {})
    start, end = -(-from_us // MINUTE_US), -(-to_us // MINUTE_US)
    shared = shared_labels(metrics, metric)
    by_start: dict[int, tuple[Rows, Rows]] = {}     #: wholes, parts
    for i, names in enumerate((metric.whole or (metric.name,), metric.part)):
        for at, seen in _read(store, metrics, names, step, zone, start, end):
            into = by_start.setdefault(at, ({}, {}))[i]
            for row, stat in seen.rows.items():
                if _agrees(row, labels):
                    add_stat(into, _project(row, shared) if metric.whole else row, stat)
    for at in sorted(by_start):
        stats, parts = by_start[at]
        for row in sorted(stats.keys() | parts.keys()):
            yield Row(loads(row), at, end_of(step, at, zone), stats.get(row) or Stat(), parts.get(row) or Stat())


def numbers(metric: Metric, stat: Stat) -> dict[str, int | float | None]:
    """count, sum, min, max, mean, median, p95 and p99 in the metric's unit; None where a counter has none."""
    if metric.kind == "counter":
        return {"count": stat.count, "sum": stat.count, "min": None, "max": None, "mean": None, "median": None,
                "p95": None, "p99": None}
    median, p95, p99 = stat.quantiles((0.5, 0.95, 0.99))
    steps = {"sum": stat.sum, "min": stat.min, "max": stat.max, "mean": stat.mean, "median": median, "p95": p95,
             "p99": p99}
    return {"count": stat.count, **{name: in_unit(value, metric.step) for name, value in steps.items()}}


def in_unit(value: float | None, step: float) -> int | float | None:
    """Steps -> the unit, to six decimals; an integer where value and step are whole."""
    if value is None or (step == 1 and isinstance(value, int)):
        return value
    exact = round(Fraction(value) * _fraction(step), 6)
    return int(exact) if exact.denominator == 1 and step == int(step) else float(exact)


@lru_cache(maxsize=256)
def _fraction(step: float) -> Fraction:
    return Fraction(repr(step))


def utc_text(minute: int) -> str:
    """A minute as RFC 3339 in UTC."""
    return local(minute, "").isoformat(timespec="seconds") + "Z"


def is_complete(store: Store, from_minute: int, to_minute: int) -> bool:
    """Whether nothing can change in [from, to) but by late data: every source was read to its end at or after `to`
    (documents of kind "observation"), and all of it is folded."""
    sources = {f"{stream.app}@{stream.host}" for stream in store.streams()}
    observed = store.documents("observation")
    at = [observed.get(source, {}).get("at_us", -1) for source in sources | observed.keys()]
    if not at or min(at) < to_minute * MINUTE_US:
        return False
    marks = store.unfolded(UNFOLDED_MAX)
    return len(marks) < UNFOLDED_MAX and not any(from_minute <= minute < to_minute
                                                 for mark in marks for minute in mark.dirty)


def find_metric(metrics: MetricSet, name: str) -> Metric:
    """The metric of that name, or a UsageError with near names."""
    metric = metrics.get(name)
    if metric is None:
        raise UsageError(f"no metric {name!r}" + _near(name, [metric.name for metric in metrics if not metric.hidden]))
    return metric


def shared_labels(metrics: MetricSet, metric: Metric) -> Sequence[str]:
    """A metric's labels; of a ratio those that all its parts and wholes have."""
    if metric.kind != "ratio":
        return metric.labels
    counters = [metrics[name] for name in (*metric.part, *metric.whole)]
    return [label for label in counters[0].labels if all(label in counter.labels for counter in counters)]


def check_step(step: str) -> None:
    if step not in STEPS:
        raise UsageError(f"no step {step!r}" + _near(step, STEPS))


def _check_stat(metric: Metric, stat: str) -> None:
    known = STATS[metric.kind]
    if stat not in known:
        raise UsageError(f"{metric.name} is a {metric.kind} and has no stat {stat!r}" + _near(stat, known))


def _check_labels(metrics: MetricSet, metric: Metric, labels: Mapping[str, str]) -> None:
    known = shared_labels(metrics, metric)
    for label in labels:
        if label not in known:
            raise UsageError(f"{metric.name} has no label {label!r}" + _near(label, known))


def _near(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word, known, n=3, cutoff=0.6)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; expected one of: {', '.join(known)}" if known else "; it has none"


def _date(day: str | date) -> date:
    try:
        found = date.fromisoformat(day) if isinstance(day, str) else day
    except ValueError:
        found = date.min
    if not 1970 <= found.year < 9998:
        raise UsageError(f"{day!r} is no date: expected one such as 2026-11-20")
    return found


def _windows(store: Store, day: date, hour: int | None, zone: str) -> tuple[list[tuple[int, int]], str]:
    """The windows asked for, never none, and the step of the buckets that make them."""
    start, end = day_start(day, zone), day_start(day + timedelta(days=1), zone)
    if hour is None:
        return [(start, end)], "day"
    windows = hours_of(day, hour, zone)
    if not windows:
        at = next((quarter for quarter in range(start, end, 15) if local(quarter, zone).hour > hour), end)
        return [(at, at)], "hour"
    whole = all(bound % 60 == 0 for window in windows for bound in window)
    return windows, "hour" if whole else "quarter"


def _read(store: Store, metrics: MetricSet, names: Sequence[str], step: str, zone: str, start: int,
          end: int) -> Iterator[tuple[int, Seen]]:
    """(start, what was seen) of several metrics, one after the other."""
    return ((at, seen) for name in names for at, found in read(store, metrics, step, zone, start, end, name)
            for seen in found.values())


def _agrees(row: str, labels: Mapping[str, str] | None) -> bool:
    if not labels:
        return True
    present = loads(row)
    return all(present.get(label) == value for label, value in labels.items())


def _project(row: str, shared: Sequence[str]) -> str:
    present = loads(row)
    return labels_json({label: present.get(label, "") for label in shared})


def _unit(metric: Metric, stat: str) -> str:
    if stat == "count" or metric.kind == "ratio":
        return "1"
    return "1/s" if stat == "rate" else metric.unit


def _value(metric: Metric, stat: str, found: Stat, part: Stat, seconds: int) -> int | float | None:
    if not found.count and not part.count:
        return None
    if stat == "count":
        return found.count
    if metric.kind == "ratio":
        if stat == "sum":
            return part.count
        return round(part.count / found.count, 6) if found.count else None
    if stat == "rate":
        return round(found.count / seconds, 6) if seconds else None
    if stat in QUANTILES:
        return in_unit(found.quantile(QUANTILES[stat]), metric.step)
    by_stat = {"sum": found.sum, "min": found.min, "max": found.max, "mean": found.mean, "average": found.mean}
    return in_unit(by_stat[stat], metric.step)
