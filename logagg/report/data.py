"""Rollups and ledger -> data.json, the report's numbers. Reads no event: a report costs the same on a busy day.

Equal rollups give equal data. A counter without rows is 0 in a period from which there is any record, and null ("no
data") in one from which there is none: nothing seen is not the same as nothing happened.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from logagg.interfaces import Store
from logagg.record import Stream
from logagg.report.changes import Part, changes
from logagg.report.complete import known_until
from logagg.report.course import backend_names, course
from logagg.report.expected import Expectation, expected
from logagg.report.incidents import incidents
from logagg.report.period import Period, days, previous, utc_text, week_before
from logagg.report.rows import PeriodRows, count, metric_rows, period_rows, ratio
from logagg.report.timeline import timeline
from logagg.rollup.metric import RECORDS, REJECTS, Metric
from logagg.rollup.query import in_unit
from logagg.rollup.sketch import Stat


def report_data(store: Store, name: str, this: Period, metrics: Sequence[Metric], base: Path,
                incomplete_because: Sequence[str], sections: Sequence[Part] = (),
                expectations: Sequence[Expectation] = ()) -> dict[str, Any]:
    """Everything in data.json but `revision` and `built_at`.

    `metrics` are those shown, built-in ones apart; paths in the ledger are relative to `base` where they lie below it.
    """
    now = period_rows(store, this)
    then = {"previous": period_rows(store, previous(this))}
    if this.kind == "daily":
        then["week_before"] = period_rows(store, week_before(this))
    counters = {metric.name: metric for metric in metrics if metric.kind == "counter"}
    backends = backend_names(metrics)
    steps = {metric.name: metric.step for metric in metrics}
    rows = [row for metric in sorted(metrics, key=lambda metric: metric.name)
            for row in metric_rows(metric, counters, now, then)]
    seen_days = {key: _days_seen(store, of) for key, of in (("this", this), ("previous", previous(this)))}
    comparable = _comparable(seen_days, this)
    weekly = "week_before" in then and bool(_days_seen(store, week_before(this)))
    return {
        "name": name,
        "period": this.kind,
        "date": this.first.isoformat(),
        "timezone": this.zone,
        "from": utc_text(this.from_us),
        "to": utc_text(this.to_us),
        "complete": not incomplete_because,
        "incomplete_because": list(incomplete_because),
        "days_seen": {"this": len(seen_days["this"]), "this_days": len(days(this)), "comparable": comparable,
                      "previous": len(seen_days["previous"]), "previous_days": len(days(previous(this)))},
        "changes": changes(metrics, rows, backends, sections, weekly=weekly) if comparable else [],
        "metrics": rows,
        "backends": [{"name": backend, **_backend(backend, now, steps),
                      **{key: _backend(backend, of, steps) for key, of in then.items()}} for backend in backends],
        **course(store, this, metrics, seen=now.seen),
        "incidents": incidents(store, this),
        "timeline": timeline(store, this, metrics),
        "expected": expected(store, this, expectations, until_us=known_until(store, this), seen=seen_days["this"]),
        "sources": source_rows(now, then["previous"]),
        "ledger": [_ledger(stream, base) for stream in store.streams()],
    }


def _days_seen(store: Store, this: Period) -> set[int]:
    """The first minutes of those local days from which there are records."""
    buckets = store.buckets("day", this.zone or "UTC", this.from_us // 60_000_000, this.to_us // 60_000_000,
                            metric=RECORDS.name)
    return {key.start for key, bucket in buckets if bucket.rows}


def _comparable(seen: Mapping[str, set[int]], this: Period) -> bool:
    """Unless clearly fewer days of the period before are known, as in the first weeks of an installation."""
    shares = [len(seen[key]) / max(1, len(days(of))) for key, of in (("this", this), ("previous", previous(this)))]
    return bool(seen["previous"]) and shares[1] >= 0.8 * shares[0]


def _backend(name: str, of: PeriodRows, steps: Mapping[str, float]) -> dict[str, Any]:
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


def source_rows(now: PeriodRows, before: PeriodRows) -> list[dict[str, Any]]:
    """Records, rejects and records per level of each source that wrote in this period or the one before."""
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
            "committed": stream.read_end, "rejects": counts.rejects, "rejected_bytes": counts.rejected_bytes,
            "dropped": dict(stream.dropped)}


def shown_path(path: str, base: Path) -> str:
    """Relative to the configuration's folder where the file lies below it, with / between folders."""
    pure = PurePath(path)
    return pure.relative_to(base).as_posix() if pure.is_relative_to(base) else path
