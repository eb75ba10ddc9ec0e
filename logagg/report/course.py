"""How a period went: a day by local hour, a week or month by local day.

What is told follows from the metrics' names: `calls`; the backend services N, with N_calls, N_failures and N_time; and
the outcomes N, with N_ok and N_failed (payments). Read are hours, or quarter-hours where the zone's hours do not start
on those of UTC, and days: as many buckets on a busy day as on a quiet one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from logagg.interfaces import Store
from logagg.report.period import Period, days, hours, utc_text
from logagg.rollup.metric import Metric
from logagg.rollup.query import in_unit
from logagg.rollup.sketch import Stat

_US = 60_000_000


class Span(Protocol):
    """An hour or a day."""

    @property
    def from_us(self) -> int: ...

    @property
    def to_us(self) -> int: ...


def course(store: Store, this: Period, metrics: Sequence[Metric], *, seen: bool) -> dict[str, list[dict[str, Any]]]:
    """{"hours": […], "days": […]}, of which one is empty.

    Counts are null where the report has no such metric, and all are where nothing was `seen` in the whole period.
    """
    if this.kind == "daily":
        spans = hours(this)
        heads: list[dict[str, Any]] = [{"hour": one.hour} for one in spans]
        return {"hours": _lines(store, this, metrics, heads, spans, (_step(spans), ""), seen=seen), "days": []}
    found = days(this)
    heads = [{"date": one.date.isoformat()} for one in found]
    return {"hours": [], "days": _lines(store, this, metrics, heads, found, ("day", this.zone or "UTC"), seen=seen)}


def backend_names(metrics: Sequence[Metric]) -> list[str]:
    """The backend services: every name N with counters N_calls and N_failures and a distribution N_time in ms."""
    counters = {metric.name for metric in metrics if metric.kind == "counter"}
    times = {metric.name for metric in metrics if metric.kind == "distribution" and metric.unit == "ms"}
    calls = [metric.name.removesuffix("_calls") for metric in metrics if metric.name.endswith("_calls")]
    return [name for name in calls if {f"{name}_calls", f"{name}_failures"} <= counters and f"{name}_time" in times]


def outcome_names(metrics: Sequence[Metric]) -> list[str]:
    """What ends well or badly: every name N with counters N_ok and N_failed."""
    counters = [metric.name for metric in metrics if metric.kind == "counter"]
    return [name.removesuffix("_ok") for name in counters
            if name.endswith("_ok") and name.removesuffix("ok") + "failed" in counters]


def _lines(store: Store, this: Period, metrics: Sequence[Metric], heads: Sequence[dict[str, Any]],
           spans: Sequence[Span], step: tuple[str, str], *, seen: bool) -> list[dict[str, Any]]:
    reads = _Reads(store, this, step, spans, seen)
    backends, outcomes = backend_names(metrics), outcome_names(metrics)
    steps = {metric.name: metric.step for metric in metrics}
    has_calls = any(metric.name == "calls" and metric.kind == "counter" for metric in metrics)
    columns = {
        "calls": reads.counts(["calls"] if has_calls else []),
        "backend_calls": reads.counts([f"{name}_calls" for name in backends]),
        "backend_failures": reads.counts([f"{name}_failures" for name in backends]),
    }
    ended = {name: {how: reads.counts([f"{name}_{how}"]) for how in ("ok", "failed")} for name in outcomes}
    times = {name: reads.p95(f"{name}_time", steps[f"{name}_time"]) for name in backends}
    return [
        {**head, "from": utc_text(span.from_us), "to": utc_text(span.to_us),
         **{column: counts[i] for column, counts in columns.items()},
         "outcomes": {name: {how: counts[i] for how, counts in by.items()} for name, by in ended.items()},
         "p95_ms": {name: values[i] for name, values in times.items()}}
        for i, (head, span) in enumerate(zip(heads, spans, strict=True))
    ]


class _Reads:
    """Columns of one number per span, from buckets of one step."""

    def __init__(self, store: Store, this: Period, step: tuple[str, str], spans: Sequence[Span], seen: bool) -> None:
        self._store, self._this, self._step, self._spans, self._seen = store, this, step, spans, seen

    def counts(self, names: Sequence[str]) -> list[int | None]:
        """The counts of several counters together; without any, or where nothing was seen, null."""
        if not names or not self._seen:
            return [None] * len(self._spans)
        found = [self._per_span(name) for name in names]
        return [sum(stats[i].count for stats in found) for i in range(len(self._spans))]

    def p95(self, name: str, step: float) -> list[int | float | None]:
        """A distribution's 95th percentile in its unit."""
        return [in_unit(stat.quantile(0.95), step) for stat in self._per_span(name)]

    def _per_span(self, name: str) -> list[Stat]:
        found = [Stat() for _ in self._spans]
        numbers = self._numbers()
        start, end = self._this.from_us // _US, self._this.to_us // _US
        for key, bucket in self._store.buckets(*self._step, start, end, metric=name):
            if key.start in numbers:
                for data in bucket.rows.values():
                    found[numbers[key.start]].add(Stat.from_bytes(data))
        return found

    def _numbers(self) -> Mapping[int, int]:
        """Start of a bucket (minutes) -> the number of its span."""
        if self._step[0] == "day":
            return {span.from_us // _US: i for i, span in enumerate(self._spans)}
        length = 60 if self._step[0] == "hour" else 15
        return {minute: i for i, span in enumerate(self._spans)
                for minute in range(span.from_us // _US, span.to_us // _US, length)}


def _step(spans: Iterable[Span]) -> str:
    edges = {edge // _US % 60 for span in spans for edge in (span.from_us, span.to_us)}
    return "hour" if edges <= {0} else "quarter"
