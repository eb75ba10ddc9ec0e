"""Rollups and ledger -> data.json, the report's numbers. Reads no event: a report costs the same on a busy day.

Equal rollups give equal data. A counter without rows is 0 on a day from which there is any record, and null ("no data")
on a day from which there is none: nothing seen is not the same as nothing happened.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from logagg.interfaces import Store
from logagg.record import Stream
from logagg.report.period import Hour, Period, hours, previous, utc_text
from logagg.report.rows import Day, count, day, metric_rows, ratio
from logagg.rollup.metric import RECORDS, REJECTS, Metric
from logagg.rollup.query import in_unit
from logagg.rollup.sketch import Stat


def report_data(store: Store, name: str, this: Period, metrics: Sequence[Metric], base: Path,
                incomplete_because: Sequence[str]) -> dict[str, Any]:
    """Everything in data.json but `revision` and `built_at`.

    `metrics` are those shown, built-in ones apart; paths in the ledger are relative to `base` where they lie below it.
    """
    now, before = day(store, this), day(store, previous(this))
    counters = {metric.name: metric for metric in metrics if metric.kind == "counter"}
    backends = backend_names(metrics)
    steps = {metric.name: metric.step for metric in metrics}
    return {
        "name": name,
        "period": this.kind,
        "date": this.first.isoformat(),
        "timezone": this.zone,
        "from": utc_text(this.from_us),
        "to": utc_text(this.to_us),
        "complete": not incomplete_because,
        "incomplete_because": list(incomplete_because),
        "metrics": [row for metric in sorted(metrics, key=lambda metric: metric.name)
                    for row in metric_rows(metric, counters, now, before)],
        "backends": [{"name": backend, **_backend(backend, now, steps), "previous": _backend(backend, before, steps)}
                     for backend in backends],
        "hours": _hours(store, this, "calls" in counters, backends, now.seen),
        "sources": source_rows(now, before),
        "ledger": [_ledger(stream, base) for stream in store.streams()],
    }


def backend_names(metrics: Sequence[Metric]) -> list[str]:
    """The backend services: every name N with counters N_calls and N_failures and a distribution N_time in ms."""
    counters = {metric.name for metric in metrics if metric.kind == "counter"}
    times = {metric.name for metric in metrics if metric.kind == "distribution" and metric.unit == "ms"}
    calls = [metric.name.removesuffix("_calls") for metric in metrics if metric.name.endswith("_calls")]
    return [name for name in calls if {f"{name}_calls", f"{name}_failures"} <= counters and f"{name}_time" in times]


def _backend(name: str, of: Day, steps: Mapping[str, float]) -> dict[str, Any]:
    step = steps[f"{name}_time"]
    time = Stat.merged(of.of(f"{name}_time").values())
    median, p95 = time.quantiles((0.5, 0.95))
    calls, failures = (count(of.of(f"{name}_{what}")) for what in ("calls", "failures"))
    return {
        "calls": calls if of.seen else None,
        "failures": failures if of.seen else None,
        "failure_rate": ratio(failures, calls),
        "median_ms": in_unit(median, step),
        "p95_ms": in_unit(p95, step),
    }


def _hours(store: Store, this: Period, has_calls: bool, backends: Sequence[str], seen: bool) -> list[dict[str, Any]]:
    """Per local hour: calls, and calls and failures of all backends. From hours where they start on the hour of UTC,
    else from quarter-hours."""
    day_hours = hours(this)
    columns = {
        "calls": ["calls"] if has_calls else [],
        "backend_calls": [f"{name}_calls" for name in backends],
        "backend_failures": [f"{name}_failures" for name in backends],
    }
    counts = {column: _counts(store, this, names, _step(day_hours)) for column, names in columns.items()}
    return [
        {"hour": hour.hour, "from": utc_text(hour.from_us), "to": utc_text(hour.to_us),
         **{column: _within(counts[column], hour) if names and seen else None for column, names in columns.items()}}
        for hour in day_hours
    ]


def _step(day_hours: Sequence[Hour]) -> str:
    edges = {edge // 60_000_000 % 60 for hour in day_hours for edge in (hour.from_us, hour.to_us)}
    return "hour" if edges <= {0} else "quarter"


def _counts(store: Store, this: Period, names: Iterable[str], step: str) -> dict[int, int]:
    """Start in minutes -> the counts of these metrics."""
    found: dict[int, int] = {}
    for name in names:
        for key, bucket in store.buckets(step, "", this.from_us // 60_000_000, this.to_us // 60_000_000, metric=name):
            counted = count({labels: Stat.from_bytes(data) for labels, data in bucket.rows.items()})
            found[key.start] = found.get(key.start, 0) + counted
    return found


def _within(counts: Mapping[int, int], hour: Hour) -> int:
    return sum(n for start, n in counts.items() if hour.from_us <= start * 60_000_000 < hour.to_us)


def source_rows(now: Day, before: Day) -> list[dict[str, Any]]:
    """Records, rejects and records per level of each source that wrote on this day or the day before."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for of, counts in ((before, False), (now, True)):
        for metric in (RECORDS.name, REJECTS.name):
            for text, stat in of.of(metric).items():
                labels = json.loads(text)
                host, app = labels.get("host", ""), labels.get("app", "")
                new: dict[str, Any] = {"host": host, "app": app, "records": 0, "rejects": 0, "levels": {}}
                row = found.setdefault((host, app), new)
                if counts:
                    row[metric] += stat.count
                    if metric == RECORDS.name:
                        level = labels.get("level", "")
                        row["levels"][level] = row["levels"].get(level, 0) + stat.count
    return [found[key] for key in sorted(found)]


def _ledger(stream: Stream, base: Path) -> dict[str, Any]:
    counts = stream.counts + stream.open_counts
    return {"host": stream.host, "app": stream.app, "path": shown_path(stream.path, base),
            "committed": stream.end, "rejects": counts.rejects, "rejected_bytes": counts.rejected_bytes,
            "dropped": dict(stream.dropped)}


def shown_path(path: str, base: Path) -> str:
    """Relative to the configuration's folder where the file lies below it, with / between folders."""
    pure = PurePath(path)
    return pure.relative_to(base).as_posix() if pure.is_relative_to(base) else path
