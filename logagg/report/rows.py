"""Rollups of one period -> the numbers of each metric's rows, as data.json has them. Pure but for `period_rows`."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from logagg.interfaces import Store
from logagg.report.period import STEPS, Period
from logagg.rollup.metric import Metric
from logagg.rollup.partial import labels_json
from logagg.rollup.query import numbers
from logagg.rollup.sketch import Stat

Rows = Mapping[str, Stat]
"""Labels as canonical JSON -> what was seen."""

NUMBERS = ("count", "sum", "min", "max", "mean", "median", "p95", "p99", "value")


@dataclass(frozen=True, slots=True)
class PeriodRows:
    """The rollups of one period by metric; `seen`: there is any record or reject from that time."""

    rows: Mapping[str, Rows]

    @property
    def seen(self) -> bool:
        return any(self.rows.values())

    def of(self, metric: str) -> Rows:
        return self.rows.get(metric, {})


def period_rows(store: Store, this: Period) -> PeriodRows:
    """The period's rollups of all metrics, in its zone."""
    start = this.from_us // 60_000_000
    found = store.buckets(STEPS[this.kind], this.zone or "UTC", start, start + 1)
    return PeriodRows({key.metric: {labels: Stat.from_bytes(data) for labels, data in bucket.rows.items()}
                       for key, bucket in found})


def metric_rows(metric: Metric, counters: Mapping[str, Metric], now: PeriodRows,
                then: Mapping[str, PeriodRows]) -> list[dict[str, Any]]:
    """One row over all labels, then one for each label set of this period or the one before.

    `then` are the periods to compare with by their keys in the row: "previous", and "week_before" for a day.
    """
    rows_of = _ratio_rows(metric, counters) if metric.kind == "ratio" else _stat_rows(metric)
    these, those = rows_of(now), {key: rows_of(of) for key, of in then.items()}
    nothing = {key: _nothing(metric, of) for key, of in then.items()}
    return [
        {"metric": metric.name, "kind": metric.kind, "unit": metric.unit, "labels": json.loads(labels),
         **(these.get(labels) or _nothing(metric, now)),
         **{key: rows.get(labels, nothing[key]) for key, rows in those.items()}}
        for labels in sorted({"{}", *these, *those["previous"]})
    ]


_Numbers = dict[str, Any]


def _stat_rows(metric: Metric) -> Callable[[PeriodRows], dict[str, _Numbers]]:
    def rows(of: PeriodRows) -> dict[str, _Numbers]:
        stats = dict(of.of(metric.name))
        if stats:
            stats["{}"] = Stat.merged(stats.values())
        return {labels: _numbers(metric, stat) for labels, stat in stats.items()}
    return rows


def _ratio_rows(metric: Metric, counters: Mapping[str, Metric]) -> Callable[[PeriodRows], dict[str, _Numbers]]:
    """A ratio's rows are over the labels that all its counters have."""
    named = [counters[name] for name in (*metric.part, *metric.whole) if name in counters]
    shared = [label for label in (named[0].labels if named else ()) if all(label in other.labels for other in named)]

    def rows(of: PeriodRows) -> dict[str, _Numbers]:
        parts, wholes = _sums(of, metric.part, shared), _sums(of, metric.whole, shared)
        return {labels: _ratio_numbers(parts.get(labels, 0), wholes.get(labels, 0)) for labels in {*parts, *wholes}}
    return rows


def _sums(of: PeriodRows, names: Iterable[str], shared: Sequence[str]) -> dict[str, int]:
    """Counts of several counters, over all labels and per set of the shared labels."""
    found: dict[str, int] = {}
    for name in names:
        for text, stat in of.of(name).items():
            labels = json.loads(text)
            for key in {"{}", labels_json({label: labels.get(label, "") for label in shared})}:
                found[key] = found.get(key, 0) + stat.count
    return found


def _ratio_numbers(part: int, whole: int) -> _Numbers:
    return dict.fromkeys(NUMBERS) | {"count": whole, "sum": part, "value": ratio(part, whole)}


def ratio(part: int, whole: int) -> float | None:
    """part / whole to six decimals; null without wholes."""
    return round(part / whole, 6) if whole else None


def _numbers(metric: Metric, stat: Stat) -> _Numbers:
    """The numbers of one row, in the metric's unit; a distribution has no single value."""
    return numbers(metric, stat) | {"value": stat.count if metric.kind == "counter" else None}


def _nothing(metric: Metric, of: PeriodRows) -> _Numbers:
    """The numbers of a row without rollups."""
    none = dict.fromkeys(NUMBERS) | {"count": 0, "sum": 0}
    return none | {"value": 0} if metric.kind == "counter" and of.seen else none


def count(rows: Rows) -> int:
    """The count over all labels."""
    return sum(stat.count for stat in rows.values())
