"""Starts and stops of servers, to the minute: every name N with the counters N_starts and N_stops (VIP servers)."""

from collections.abc import Sequence
from typing import Any

from logagg.interfaces import Store
from logagg.report.minutes import moments
from logagg.report.period import Period, utc_text
from logagg.rollup.metric import Metric

TIMELINE_MAX = 1000

_WHAT = {"stops": "stop", "starts": "start"}


def timeline(store: Store, this: Period, metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    """{"name", "what": "start" | "stop", "from", "to", "labels", "count"} in order of time, the first TIMELINE_MAX.

    `from` to `to` is the minute, or the hour where minutes have expired.
    """
    names = {metric.name for metric in metrics if metric.kind == "counter"}
    found: list[dict[str, Any]] = []
    for name in sorted(name.removesuffix("_starts") for name in names if name.endswith("_starts")):
        if f"{name}_stops" not in names:
            continue
        for plural, what in _WHAT.items():
            for moment in moments(store, f"{name}_{plural}", this.from_us // 60_000_000, this.to_us // 60_000_000):
                at, to = (utc_text(minute * 60_000_000) for minute in (moment.start, moment.start + moment.length))
                found += [{"name": name, "what": what, "from": at, "to": to, "labels": labels, "count": count}
                          for labels, count in moment.labelled()]
    found.sort(key=lambda row: (row["from"], row["name"], row["what"] == "start", sorted(row["labels"].items())))
    return found[:TIMELINE_MAX]
