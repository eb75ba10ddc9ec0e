"""Rollups as they are read: window by window, whether its time zone is folded or not."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from logagg.interfaces import Store
from logagg.rollup.fold import Rows, limit_labels
from logagg.rollup.metric import MetricSet
from logagg.rollup.partial import add_stat
from logagg.rollup.sketch import Stat
from logagg.rollup.window import FIRST_MINUTE, LAST_MINUTE, ZONED, end_of, start_of


@dataclass(slots=True)
class Seen:
    """One metric in one window: its rows, and the sum of the revisions of the buckets that made them."""

    revision: int = 0
    rows: Rows = field(default_factory=dict)


Window = tuple[int, dict[str, Seen]]
"""The start of a window (minutes), and what each metric saw in it."""


def read(store: Store, metrics: MetricSet, step: str, zone: str, start: int, end: int,
         metric: str | None = None) -> Iterator[Window]:
    """The windows with data that start in [start, end) minutes, rising; one metric alone, or all.

    Days, weeks and months of a zone that no folder was given are put together from quarters.
    """
    start, end = max(start, FIRST_MINUTE - 50_000), min(end, LAST_MINUTE)
    zone = (zone or "UTC") if step in ZONED else ""
    if start >= end:
        return iter(())
    if not zone or _is_folded(store, zone):
        return _stored(store, step, zone, start, end, metric)
    return _put_together(store, metrics, step, zone, start, end, metric)


def _is_folded(store: Store, zone: str) -> bool:
    document = store.document("zone", zone)
    return bool(document and document[1].get("ready"))


def _stored(store: Store, step: str, zone: str, start: int, end: int, metric: str | None) -> Iterator[Window]:
    at, found = start, dict[str, Seen]()
    for key, bucket in store.buckets(step, zone, start, end, metric=metric):
        if key.start != at:
            if found:
                yield at, found
            at, found = key.start, {}
        if bucket.rows:
            rows = {labels: Stat.from_bytes(data) for labels, data in bucket.rows.items()}
            found[key.metric] = Seen(bucket.revision, rows)
    if found:
        yield at, found


def _put_together(store: Store, metrics: MetricSet, step: str, zone: str, start: int, end: int,
                  metric: str | None) -> Iterator[Window]:
    last = end_of(step, start_of(step, end - 1, zone), zone)
    at, until, found = start, start, dict[str, Seen]()
    for quarter, parts in _stored(store, "quarter", "", start, last, metric):
        if quarter >= until:
            if found and at >= start:
                yield at, _limited(found, metrics)
            at = start_of(step, quarter, zone)
            until, found = end_of(step, at, zone), {}
        for name, part in parts.items():
            into = found.setdefault(name, Seen())
            into.revision += part.revision
            for labels, stat in part.rows.items():
                add_stat(into.rows, labels, stat)
    if found and at >= start:
        yield at, _limited(found, metrics)


def _limited(found: dict[str, Seen], metrics: MetricSet) -> dict[str, Seen]:
    return {name: Seen(seen.revision, limit_labels(seen.rows, metrics.get(name))) for name, seen in found.items()}
