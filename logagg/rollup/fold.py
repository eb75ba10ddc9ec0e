"""Partials -> rollups: minutes, quarters, hours, then days, weeks and months in each time zone.

A bucket is a function of what lies below it: a minute of its partials, a quarter of its minutes, an hour of its
quarters, a day of its hours (of its quarters in zones like Kolkata's), a week or month of its days. Since Stats merge
in any order and exactly, every way down gives the same. A fold takes chunks that are not folded, computes the windows
of their minutes anew, upwards, and marks the chunks when all levels are written. After a crash anywhere the
next fold does the same again; its cost depends on the partials of the dirty windows, not on events.

Two folders may work at once. The windows' `records` buckets are guards: every write of a window includes that bucket,
changed or not, under the revision that was read before what lies below. Who loses reads everything anew; and whoever
changes what lies below writes the window afterwards.

Windows that are wholly below the freeze horizon (document "horizon"/"freeze", {"minute": …}) are left alone. The
horizon is read again behind the data, and whoever expires raises it before deleting: so data that was read is whole.

Beyond a metric's `label_limit` the label sets of a day, week or month with the smallest counts (the later text, where
equal) become one row, whose labels all say "__other__": its numbers are exact, the names in it are lost.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from logagg.errors import StoreError
from logagg.interfaces import Store
from logagg.record import Bucket, BucketKey
from logagg.rollup.metric import RECORDS, Metric, MetricSet
from logagg.rollup.partial import add_partial, add_stat, labels_json
from logagg.rollup.sketch import Stat
from logagg.rollup.window import FIRST_MINUTE, LAST_MINUTE, ZONED, Windows, start_of, starts_of, zone_of

OTHER = "__other__"
MARKS_MAX = 1000
ATTEMPTS_MAX = 100
MINUTES_MAX = 240
WINDOWS_MAX = {"day": 8, "week": 4, "month": 2}
"""How many windows are computed and written together, which bounds memory and transactions."""

LIVE_MINUTES_MAX = 4
"""So few dirty minutes, those of live reading, are folded with all that holds them in one transaction."""

ONE_BY_ONE_MAX = 16
"""So many metrics are read each for itself."""

Rows = dict[str, Stat]
"""labels (canonical JSON) -> Stat"""

_Computed = dict[int, dict[str, Rows]]
"""start -> metric -> rows"""


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
        self._ready: set[str] = set()
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
            if zone not in self._ready:
                self._take_up(zone)
                self._ready.add(zone)
        marks = self._store.unfolded(limit)
        if not marks:
            return FoldResult()
        dirty = sorted({minute for mark in marks for minute in mark.dirty if FIRST_MINUTE <= minute < LAST_MINUTE})
        written = self._fold_minutes(dirty)
        self._store.fold({}, marks)
        frozen = bisect_left(dirty, self._horizon())
        return FoldResult(len(marks), len(dirty) - frozen, frozen, written)

    def _fold_minutes(self, dirty: Sequence[int]) -> int:
        """Recompute all windows that hold one of these minutes; how many buckets were written.

        `touched` are the guard and the metrics that the dirty minutes have or had: no other can have changed.
        """
        touched = {RECORDS.name}
        done: Collection[str] = ()
        if len(dirty) <= LIVE_MINUTES_MAX:
            done = self._store.documents("zone")
            zoned = [Windows(*level) for zone in done for level in _zoned(zone, dirty)]
            written = self._write([*_unzoned(dirty), *zoned], touched)
        else:
            written = sum(self._write(_unzoned(minutes), touched) for minutes in _batches(dirty))
            touched |= self._frozen_since(dirty)
        # Read only now: a zone that was taken up before this sees these hours here, one that is taken up later
        # finds them in the store.
        for zone in self._store.documents("zone"):
            if zone not in done:
                written += self._fold_zone(zone, dirty, touched)
        return written

    def _frozen_since(self, dirty: Sequence[int]) -> set[str]:
        """The metrics of the hours of frozen minutes: an earlier fold may have ended when it had written no more."""
        frozen = dirty[:bisect_left(dirty, self._horizon())]
        hours = Windows("hour", "", starts_of("hour", frozen))
        return {key.metric for start, end in hours.runs() for key, _ in self._store.buckets("hour", "", start, end)}

    def _fold_zone(self, zone: str, minutes: Iterable[int], touched: set[str], *, frozen_too: bool = False) -> int:
        """Recompute the days, weeks and months of a zone that hold one of these minutes."""
        written = 0
        for step, _, starts in _zoned(zone, minutes):
            size = WINDOWS_MAX[step]
            for at in range(0, len(starts), size):
                written += self._write([Windows(step, zone, starts[at:at + size])], touched, frozen_too=frozen_too)
        return written

    def _take_up(self, zone: str) -> None:
        """Fold the days of a zone that is new to this store from the hours that there are."""
        known = self._store.document("zone", zone)
        if known and known[1].get("ready"):
            return
        if not known:
            self._store.put_document("zone", zone, 0, {"ready": False})
        quarters: set[int] = set()
        touched = {RECORDS.name}
        for key, _ in self._store.buckets("hour", "", FIRST_MINUTE, LAST_MINUTE):
            touched.add(key.metric)
            quarters.update(range(key.start, key.start + 60, 15))
        self._fold_zone(zone, quarters, touched, frozen_too=True)
        self._store.put_document("zone", zone, None, {"ready": True})

    def _write(self, levels: Sequence[Windows], touched: set[str], *, frozen_too: bool = False) -> int:
        """Compute these windows, level by level upwards, and write all in one; how many buckets were written.

        Tried again until the horizon has not moved meanwhile and no other folder was faster.
        """
        for _ in range(ATTEMPTS_MAX):
            horizon = self._horizon()
            changes: dict[BucketKey, Bucket] = {}
            computed: dict[tuple[str, str], _Computed] = {}
            for level in levels:
                windows = level if frozen_too else level.behind(horizon)
                if windows.starts:
                    computed[windows.step, windows.zone] = self._level(windows, computed, touched, changes)
            if not changes:
                return 0
            if self._horizon() == horizon and self._store.fold(changes, ()):
                return len(changes)
        raise StoreError(f"folding {levels[0].step} buckets lost {ATTEMPTS_MAX} races in a row; "
                         "nothing is lost, but expected are a few aggregators on one store, not dozens")

    def _level(self, windows: Windows, computed: Mapping[tuple[str, str], _Computed], touched: set[str],
               changes: dict[BucketKey, Bucket]) -> _Computed:
        """The windows' content; what is new of it goes into `changes`."""
        minutes = windows.step == "minute"
        there = self._stored(windows, None if minutes else touched)     # the guard: before what lies below
        found = self._computed(windows, computed.get(windows.source(), {}), touched)
        if minutes:
            touched.update(*there.values(), *found.values())
        for start in windows.starts:
            changes.update(_changes(windows, start, there[start], found.get(start, {}), touched))
        return found

    def _horizon(self) -> int:
        document = self._store.document("horizon", "freeze")
        return max(FIRST_MINUTE, int(document[1]["minute"])) if document else FIRST_MINUTE

    def _buckets(self, step: str, zone: str, start: int, end: int,
                 touched: set[str] | None) -> Iterator[tuple[BucketKey, Bucket]]:
        """The stored buckets of the touched metrics at least; None: of all. A fold of what has just come touches few,
        and a month has thousands of others."""
        if touched is None or len(touched) > ONE_BY_ONE_MAX:
            yield from self._store.buckets(step, zone, start, end)
            return
        for metric in sorted(touched):
            yield from self._store.buckets(step, zone, start, end, metric=metric)

    def _stored(self, windows: Windows, touched: set[str] | None) -> dict[int, dict[str, Bucket]]:
        """start -> metric -> bucket."""
        found: dict[int, dict[str, Bucket]] = {start: {} for start in windows.starts}
        for start, end in windows.runs():
            for key, bucket in self._buckets(windows.step, windows.zone, start, end, touched):
                if key.start in found:
                    found[key.start][key.metric] = bucket
        return found

    def _computed(self, windows: Windows, below: _Computed, touched: set[str]) -> _Computed:
        """The windows' content from the level below: from `below` what was computed just now, the rest as stored."""
        found: _Computed = {start: {} for start in windows.starts}
        if windows.step == "minute":
            for partial in self._store.partials(windows.starts):
                add_partial(found[partial.minute], partial.data)
            return found
        for source, metrics in below.items():
            window = windows.holding(source)
            for metric, rows in metrics.items():
                _add_rows(found[window].setdefault(metric, {}), rows.items())
        for start, end in windows.missing(below):
            for key, bucket in self._buckets(*windows.source(), start, end, touched):
                window = windows.holding(key.start)
                if window in found and key.metric in touched and bucket.rows:
                    rows = found[window].setdefault(key.metric, {})
                    _add_rows(rows, ((labels, Stat.from_bytes(data)) for labels, data in bucket.rows.items()))
        if windows.step in ZONED:
            return {start: {metric: limit_labels(rows, self._metrics.get(metric)) for metric, rows in metrics.items()}
                    for start, metrics in found.items()}
        return found


def _unzoned(minutes: Sequence[int]) -> list[Windows]:
    """These minutes, and the quarters and hours that hold them."""
    return [Windows(step, "", starts_of(step, minutes)) for step in ("minute", "quarter", "hour")]


def _zoned(zone: str, minutes: Iterable[int]) -> list[tuple[str, str, list[int]]]:
    """The days, weeks and months of a zone that hold one of these minutes: step, zone and starts."""
    days = starts_of("day", starts_of("quarter", minutes), zone)
    return [(step, zone, starts_of(step, days, zone)) for step in WINDOWS_MAX]


def _batches(dirty: Sequence[int]) -> Iterator[list[int]]:
    """Minutes in lists of at most MINUTES_MAX; an hour's minutes stay together."""
    batch: list[int] = []
    for _, hour in groupby(dirty, lambda minute: minute // 60):
        minutes = list(hour)
        if len(batch) + len(minutes) > MINUTES_MAX:
            yield batch
            batch = []
        batch += minutes
    if batch:
        yield batch


def _add_rows(into: Rows, rows: Iterable[tuple[str, Stat]]) -> None:
    for labels, stat in rows:
        add_stat(into, labels, stat)


def _changes(windows: Windows, start: int, stored: Mapping[str, Bucket], computed: Mapping[str, Rows],
             touched: set[str]) -> Iterator[tuple[BucketKey, Bucket]]:
    """The touched buckets of one window that differ from what is stored, and its guard. What has vanished becomes
    empty."""
    for metric in sorted(touched):
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
