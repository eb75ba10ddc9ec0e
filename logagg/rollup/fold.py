"""Partials -> rollups: minutes, quarters, hours, then days, weeks and months in each time zone.

A bucket is a function of what lies below it: a minute of its partials, a quarter of its minutes, an hour of its
quarters, a day of its hours (of its quarters in zones like Kolkata's), a week or month of its days. Since Stats merge
in any order and exactly, every way down gives the same. A fold takes chunks that are not folded, computes the windows
of their minutes anew, level by level, and marks the chunks when all levels are written. After a crash anywhere the
next fold does the same again; its cost depends on the partials of the dirty windows, not on events.

Two folders may work at once. The windows' `records` buckets are guards: every write of a window includes that bucket,
changed or not, under the revision that was read before anything else of the window. Who loses reads everything anew.

Windows that are wholly below the freeze horizon (document "horizon"/"freeze", {"minute": …}) are left alone. The
horizon is read behind the data, and whoever expires raises it before deleting: so data that was read is whole.

Beyond a metric's `label_limit` the label sets of a day, week or month with the smallest counts (the later text, where
equal) become one row, whose labels all say "__other__": its numbers are exact, the names in it are lost.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from logagg.errors import StoreError
from logagg.interfaces import Store
from logagg.record import Bucket, BucketKey
from logagg.rollup.metric import RECORDS, Metric, MetricSet
from logagg.rollup.partial import add_partial, add_stat, labels_json
from logagg.rollup.sketch import Stat
from logagg.rollup.window import FIRST_MINUTE, LAST_MINUTE, ZONED, end_of, start_of, zone_of

OTHER = "__other__"
MARKS_MAX = 1000
ATTEMPTS_MAX = 100
WINDOWS_MAX = {"minute": 240, "quarter": 96, "hour": 96, "day": 8, "week": 4, "month": 2}
"""How many windows are computed and written together, which bounds memory and transactions."""

Rows = dict[str, Stat]
"""labels (canonical JSON) -> Stat"""


@dataclass(frozen=True, slots=True)
class FoldResult:
    """How many chunks were folded, dirty minutes recomputed, minutes left alone below the horizon, buckets written."""

    chunks: int = 0
    minutes: int = 0
    frozen: int = 0
    buckets: int = 0

    def __add__(self, other: "FoldResult") -> "FoldResult":
        return FoldResult(self.chunks + other.chunks, self.minutes + other.minutes, self.frozen + other.frozen,
                          self.buckets + other.buckets)


class Folder:
    """Folds what is not folded yet. Several may run at once, on one or on many machines.

    Days are folded in UTC, in the zones given, and in all zones that any folder of this store was ever given
    (documents of kind "zone"): so a zone that appears in one configuration is kept up by all.
    """

    def __init__(self, store: Store, metrics: MetricSet, zones: Sequence[str] = ()) -> None:
        self._store = store
        self._metrics = metrics
        self._zones = tuple(dict.fromkeys(zone or "UTC" for zone in ("UTC", *zones)))
        for zone in self._zones:
            zone_of(zone)

    def fold_all(self, progress: Callable[[FoldResult], None] | None = None) -> FoldResult:
        """Fold until nothing is left; `progress` is told the sum so far after each step."""
        total = FoldResult()
        while (step := self.fold()).chunks:
            total += step
            if progress:
                progress(total)
        return total

    def fold(self, limit: int = MARKS_MAX) -> FoldResult:
        """Fold at most `limit` chunks, those committed first."""
        for zone in self._zones:
            self._take_up(zone)
        marks = self._store.unfolded(limit)
        if not marks:
            return FoldResult()
        dirty = sorted({minute for mark in marks for minute in mark.dirty if FIRST_MINUTE <= minute < LAST_MINUTE})
        written = self._fold_minutes(dirty)
        self._store.fold({}, marks)
        frozen = bisect_right(dirty, self._horizon() - 1)
        return FoldResult(len(marks), len(dirty) - frozen, frozen, written)

    def _fold_minutes(self, dirty: Sequence[int]) -> int:
        """Recompute all windows that hold one of these minutes; how many buckets were written."""
        quarters = _windows("quarter", dirty)
        written = self._level("minute", "", dirty)
        written += self._level("quarter", "", quarters)
        written += self._level("hour", "", _windows("hour", quarters))
        # Read only now: a zone that was taken up before this sees these hours here, one that is taken up later
        # finds them in the store.
        for zone in self._store.documents("zone"):
            written += self._zone(zone, quarters)
        return written

    def _zone(self, zone: str, quarters: Iterable[int], *, frozen_too: bool = False) -> int:
        """Recompute the days, weeks and months of a zone that hold one of these quarters."""
        days = _windows("day", quarters, zone)
        return sum(self._level(step, zone, _windows(step, days, zone), frozen_too=frozen_too) for step in ZONED)

    def _take_up(self, zone: str) -> None:
        """Fold the days of a zone that is new to this store from the hours that there are."""
        known = self._store.document("zone", zone)
        if known and known[1].get("ready"):
            return
        if not known:
            self._store.put_document("zone", zone, 0, {"ready": False})
        hours = [key.start for key, _ in
                 self._store.buckets("hour", "", FIRST_MINUTE, LAST_MINUTE, metric=RECORDS.name)]
        self._zone(zone, (quarter for hour in hours for quarter in range(hour, hour + 60, 15)), frozen_too=True)
        self._store.put_document("zone", zone, None, {"ready": True})

    def _level(self, step: str, zone: str, starts: Sequence[int], *, frozen_too: bool = False) -> int:
        size = WINDOWS_MAX[step]
        return sum(self._write(_Windows(step, zone, starts[at:at + size]), frozen_too)
                   for at in range(0, len(starts), size))

    def _write(self, windows: "_Windows", frozen_too: bool) -> int:
        """Compute and write some windows; how many buckets were written."""
        for _ in range(ATTEMPTS_MAX):
            stored = self._stored(windows)
            computed = self._computed(windows)
            horizon = FIRST_MINUTE if frozen_too else self._horizon()
            changes = {key: bucket for start, end in zip(windows.starts, windows.ends, strict=True) if end > horizon
                       for key, bucket in _changes(windows, start, stored.get(start, {}), computed.get(start, {}))}
            if self._store.fold(changes, ()):
                return len(changes)
        raise StoreError(f"folding {windows.step} buckets lost {ATTEMPTS_MAX} races in a row; "
                         "nothing is lost, but expected are a few aggregators on one store, not dozens")

    def _horizon(self) -> int:
        document = self._store.document("horizon", "freeze")
        return max(FIRST_MINUTE, int(document[1]["minute"])) if document else FIRST_MINUTE

    def _stored(self, windows: "_Windows") -> dict[int, dict[str, Bucket]]:
        """start -> metric -> bucket. The guards are read before the rest: a scan need not be a snapshot."""
        found: dict[int, dict[str, Bucket]] = {start: {} for start in windows.starts}
        guards = dict.fromkeys(windows.starts, Bucket(0, {}))
        for start, end in windows.runs():
            for key, bucket in self._store.buckets(windows.step, windows.zone, start, end, metric=RECORDS.name):
                guards[key.start] = bucket
            for key, bucket in self._store.buckets(windows.step, windows.zone, start, end):
                if key.start in found:
                    found[key.start][key.metric] = bucket
        for start, metrics in found.items():
            metrics[RECORDS.name] = guards[start]
        return found

    def _computed(self, windows: "_Windows") -> dict[int, dict[str, Rows]]:
        """start -> metric -> rows, from the level below."""
        found: dict[int, dict[str, Rows]] = {}
        if windows.step == "minute":
            for partial in self._store.partials(windows.starts):
                add_partial(found.setdefault(partial.minute, {}), partial.data)
            return found
        for start, end in windows.runs():
            for key, bucket in self._store.buckets(*windows.source(), start, end):
                window = windows.holding(key.start)
                if window is not None:
                    rows = found.setdefault(window, {}).setdefault(key.metric, {})
                    for labels, data in bucket.rows.items():
                        add_stat(rows, labels, Stat.from_bytes(data))
        if windows.step in ZONED:
            return {start: {metric: limit_labels(rows, self._metrics.get(metric)) for metric, rows in metrics.items()}
                    for start, metrics in found.items()}
        return found


class _Windows:
    """Some windows of one step, by rising start."""

    def __init__(self, step: str, zone: str, starts: Sequence[int]) -> None:
        self.step = step
        self.zone = zone
        self.starts = starts
        self.ends = [end_of(step, start, zone) for start in starts]

    def runs(self) -> Iterator[tuple[int, int]]:
        """Few ranges [start, end) that cover the windows; windows near each other share one."""
        start = None
        for here, end, following in zip(self.starts, self.ends, [*self.starts[1:], None], strict=True):
            start = here if start is None else start
            if following is None or following - end > 10 * (end - here):
                yield start, end
                start = None

    def holding(self, minute: int) -> int | None:
        """The start of the window that holds a minute."""
        i = bisect_right(self.starts, minute) - 1
        return self.starts[i] if i >= 0 and minute < self.ends[i] else None

    def source(self) -> tuple[str, str]:
        """The step and zone of the buckets below."""
        if self.step in ("week", "month"):
            return "day", self.zone
        if self.step == "day":
            whole_hours = all(bound % 60 == 0 for bound in (*self.starts, *self.ends))
            return ("hour" if whole_hours else "quarter"), ""
        return ("quarter" if self.step == "hour" else "minute"), ""


def _windows(step: str, minutes: Iterable[int], zone: str = "") -> list[int]:
    """The starts of the windows that hold these minutes, once each, rising."""
    return sorted({start_of(step, minute, zone) for minute in minutes})


def _changes(windows: _Windows, start: int, stored: Mapping[str, Bucket],
             computed: Mapping[str, Rows]) -> Iterator[tuple[BucketKey, Bucket]]:
    """The buckets of one window that differ from what is stored, and its guard. What has vanished becomes empty."""
    for metric in sorted({RECORDS.name, *stored, *computed}):
        old = stored.get(metric, Bucket(0, {}))
        rows = {labels: stat.to_bytes() for labels, stat in sorted(computed.get(metric, {}).items())}
        if metric == RECORDS.name or rows != dict(old.rows):
            yield BucketKey(metric, windows.step, windows.zone, start), Bucket(old.revision, rows)


def limit_labels(rows: Rows, metric: Metric | None) -> Rows:
    """At most `label_limit` rows, those of the highest count, and one for all others where there are more."""
    limit = metric.label_limit if metric else Metric("", "counter").label_limit
    if len(rows) <= limit:
        return rows
    names = metric.labels if metric else json.loads(min(rows))
    other = labels_json(dict.fromkeys(names, OTHER))
    ranked = sorted(rows.keys() - {other}, key=lambda labels: (-rows[labels].count, labels))
    if len(ranked) <= limit:
        return rows
    kept = {labels: rows[labels] for labels in ranked[:limit]}
    kept[other] = Stat.merged(rows[labels] for labels in (*ranked[limit:], other) if labels in rows)
    return kept


def expirable_before(horizon: int, zones: Iterable[str]) -> dict[str, int]:
    """step -> the minute before which its buckets may be deleted once the horizon stands at `horizon`.

    What lies below a window that reaches beyond the horizon is still needed to recompute that window.
    """
    days = [start_of("day", horizon, zone) for zone in ("", *zones)]
    hour = start_of("hour", min(days))
    return {"minute": start_of("quarter", horizon), "quarter": hour, "hour": hour}
