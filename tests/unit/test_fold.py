"""Partials -> rollups."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from logagg.errors import StoreError, StoreUnavailable, UsageError
from logagg.record import Bucket, BucketKey, Chunk, Mark, Stream
from logagg.rollup.fold import OTHER, Folder, FoldResult, expirable_before, limit_labels
from logagg.rollup.metric import Metric, MetricSet
from logagg.rollup.sketch import Stat
from logagg.store.memory import MemoryStore
from tests.rollups import METRICS, STEPS, Columns, commit, snapshot, stored, text, utc

NEW_YORK = "America/New_York"
ZONES = ("UTC", NEW_YORK)
T = utc("2026-11-20T13:17:30")
MINUTE = T // 60_000_000


def call(ts: int, ms: int = 10) -> tuple[Any, ...]:
    return (ts, "INFO", "das_call", {"operation": "a", "duration_ms": ms})


def test_a_record_reaches_every_level() -> None:
    """One call is in its minute, quarter and hour, and in the day, week and month of each zone."""
    store = MemoryStore()
    commit(store, "s", [Columns([call(T)])])
    result = Folder(store, METRICS, [NEW_YORK]).fold_all()
    assert (result.chunks, result.minutes, result.frozen) == (1, 1, 0)
    for place, rows in snapshot(store, ZONES).items():
        assert {metric for metric, _, _ in rows} == {"records", "das_calls", "das_time"}, place
        assert {start for _, start, _ in rows} == {
            "minute": {MINUTE}, "quarter": {MINUTE - 2}, "hour": {MINUTE - 17},
            "day": {MINUTE - 797} if place[1] == "UTC" else {MINUTE - 497},
            "week": {utc("2026-11-16T00:00" if place[1] == "UTC" else "2026-11-16T05:00") // 60_000_000},
            "month": {utc("2026-11-01T00:00" if place[1] == "UTC" else "2026-11-01T04:00") // 60_000_000},
        }[place[0]]
    assert store.unfolded(9) == []


def test_folding_again_changes_nothing() -> None:
    """Without new chunks a fold does nothing; folding the same chunks again leaves the same bytes."""
    store = MemoryStore()
    commit(store, "s", [Columns([call(T)]), Columns([call(T + 5 * 60_000_000)])])
    marks = store.unfolded(9)
    Folder(store, METRICS, [NEW_YORK]).fold_all()
    before = snapshot(store, ZONES)
    assert Folder(store, METRICS, [NEW_YORK]).fold() == FoldResult()
    store._unfolded.update({(mark.stream, mark.start): mark for mark in marks})      # as after a crash
    assert Folder(store, METRICS, [NEW_YORK]).fold_all().chunks == 2
    assert snapshot(store, ZONES) == before


def test_only_dirty_windows_are_written() -> None:
    """A late record rewrites its own windows and no other."""
    store = MemoryStore()
    commit(store, "s", [Columns([call(T), call(T + 3_600_000_000), call(T + 86_400_000_000)])])
    folder = Folder(store, METRICS, [NEW_YORK])
    folder.fold_all()
    revisions = {key: bucket.revision for step in STEPS for zone in ("", *ZONES)
                 for key, bucket in store.buckets(step, zone, 0, 10**9)}
    commit(store, "s", [Columns([call(T + 1, 99)])])
    folder.fold_all()
    changed = {key for step in STEPS for zone in ("", *ZONES) for key, bucket in store.buckets(step, zone, 0, 10**9)
               if bucket.revision != revisions[key]}
    assert {(key.step, key.zone) for key in changed} == set(snapshot(store, ZONES))
    assert len(changed) == 3 * len(snapshot(store, ZONES))      # records, das_calls, das_time


def test_a_metric_that_vanishes_leaves_an_empty_bucket() -> None:
    """After a chunk was replaced by one without calls, the calls are gone from every level."""
    store = MemoryStore()
    commit(store, "s", [Columns([call(T)])])
    folder = Folder(store, METRICS, [NEW_YORK])
    folder.fold_all()
    chunk = next(store.chunks(stream="s"))
    assert store.replace("s", 0, 10, {0: chunk.revision}, [Chunk("s", 0, 10, b"raw")])
    folder.fold_all()
    assert all(rows == {} for rows in snapshot(store, ZONES).values())
    assert [key.metric for key, _ in store.buckets("day", "UTC", 0, 10**9)] == ["das_calls", "das_time", "records"]


def test_windows_below_the_horizon_are_left_alone() -> None:
    """A late record below the freeze horizon changes nothing there, is counted as frozen, and does count in a day
    that reaches beyond the horizon only through what was not frozen."""
    store = MemoryStore()
    commit(store, "s", [Columns([call(T), call(T + 3_600_000_000)])])
    folder = Folder(store, METRICS, [NEW_YORK])
    folder.fold_all()
    before = snapshot(store, ZONES)
    assert store.put_document("horizon", "freeze", 0, {"minute": MINUTE + 60})
    commit(store, "s", [Columns([call(T + 1)])])
    result = folder.fold_all()
    assert (result.minutes, result.frozen) == (0, 1)
    assert snapshot(store, ZONES) == before and store.unfolded(9) == []
    commit(store, "s", [Columns([call(T + 3_600_000_000 + 1)])])
    folder.fold_all()
    days = stored(store, "day", NEW_YORK)
    assert days["das_calls", MINUTE - 497, text(host="h1", operation="a")] == b"3"


class Killed(MemoryStore):
    """Ends the process instead of the second write of a fold."""

    writes = 0

    def fold(self, buckets: Mapping[BucketKey, Bucket], marks: Iterable[Mark]) -> bool:
        self.writes += 1
        if self.writes == 2:
            raise StoreUnavailable("killed")
        return super().fold(buckets, marks)


def test_a_horizon_that_rises_after_a_crash_leaves_no_day_behind_its_hours() -> None:
    """Where the minutes of a fold were written and are frozen since, the next fold still brings their days up to them.
    """
    store = Killed()
    commit(store, "s", [Columns([call(T + i * 60_000_000) for i in range(10)])])
    with pytest.raises(StoreUnavailable):
        Folder(store, METRICS).fold()
    store.put_document("horizon", "freeze", 0, {"minute": MINUTE + 60})
    assert Folder(store, METRICS).fold_all().frozen == 10
    hours, days = ([sum(Stat.from_bytes(row).count for row in bucket.rows.values())
                    for key, bucket in store.buckets(step, zone, 0, 10**9) if key.metric == "das_calls"]
                   for step, zone in (("hour", ""), ("day", "UTC")))
    assert sum(hours) == sum(days) == 10


def test_expiring_below_the_horizon_never_shrinks_a_number() -> None:
    """Deleting chunks and all buckets that may go leaves days exact when late data still comes above the horizon."""
    store = MemoryStore()
    commit(store, "s", [Columns([call(T + h * 3_600_000_000) for h in range(-30, 8)])])
    folder = Folder(store, METRICS, [NEW_YORK, "Asia/Kolkata"])
    folder.fold_all()
    before = stored(store, "month", NEW_YORK)
    horizon = MINUTE + 7
    store.put_document("horizon", "freeze", 0, {"minute": horizon})
    counted = store.expire(raw_before_us=horizon * 60_000_000,
                           buckets_before=expirable_before(horizon, store.documents("zone")))
    assert counted["buckets"] > 0
    commit(store, "s", [Columns([call(T + 600_000_000, 77)])])
    folder.fold_all()
    after = stored(store, "month", NEW_YORK)
    label = text(host="h1", operation="a")
    assert {key[0] for key in before} == {key[0] for key in after}
    for zone in ("UTC", NEW_YORK, "Asia/Kolkata"):
        assert sum(int(data) for key, data in stored(store, "day", zone).items() if key[2] == label) == 39


def test_a_horizon_that_rises_during_a_fold_is_seen() -> None:
    """If chunks expire between reading the marks and reading the partials, the fold leaves their minutes alone."""
    store = Expiring()
    commit(store, "s", [Columns([call(T)])])
    Folder(store, METRICS).fold_all()
    before = snapshot(store, ("UTC",))
    commit(store, "s", [Columns([call(T + 1), call(T + 2, 99)])])
    store.armed = True
    Folder(store, METRICS).fold_all()
    assert snapshot(store, ("UTC",)) == before


class Expiring(MemoryStore):
    """Raises the horizon and expires everything folded just before partials are read."""

    armed = False

    def partials(self, minutes: Any) -> Any:
        if self.armed:
            self.put_document("horizon", "freeze", None, {"minute": MINUTE + 100_000})
            assert self.expire(raw_before_us=T + 10**12)["chunks"] == 1
            self.armed = False
        return super().partials(minutes)


def test_labels_beyond_the_limit_become_one_row_of_a_day() -> None:
    """Minutes and hours keep every label set; a day keeps the largest, and one row "__other__" has the rest."""
    metrics = MetricSet([Metric("m", "counter", ("e",), labels=("code", "host"), label_limit=2)])
    store = MemoryStore()
    rows = [(T, None, "e", {"code": code}) for code in "aaabbccd"]
    commit(store, "s", [Columns(rows)], metrics=metrics)
    Folder(store, metrics).fold_all()
    label = {code: text(code=code, host="h1") for code in "abcd"} | {OTHER: text(code=OTHER, host=OTHER)}
    counts = {step: {labels: json.loads(data) for (metric, _, labels), data in stored(store, step, zone).items()
                     if metric == "m"} for step, zone in (("hour", ""), ("day", "UTC"), ("month", "UTC"))}
    assert counts["hour"] == {label["a"]: 3, label["b"]: 2, label["c"]: 2, label["d"]: 1}
    assert counts["day"] == counts["month"] == {label["a"]: 3, label["b"]: 2, label[OTHER]: 3}


def test_cutting_labels_again_keeps_the_row_of_the_others() -> None:
    """A week of days that were cut is cut too; nothing is lost from the sum, and the row of the others never ranks."""
    metric = Metric("m", "counter", labels=("k",), label_limit=2)
    other = text(k=OTHER)
    cut = limit_labels({other: Stat(99), text(k="a"): Stat(1), text(k="b"): Stat(2), text(k="c"): Stat(1)}, metric)
    assert cut == {text(k="b"): Stat(2), text(k="a"): Stat(1), other: Stat(100)}
    assert limit_labels(cut, metric) == cut


def test_a_zone_that_comes_later_is_folded_from_the_start() -> None:
    """A folder with a new zone makes its days of everything folded before, and folders without it keep them up."""
    store = MemoryStore()
    commit(store, "s", [Columns([call(T)])])
    old = Folder(store, METRICS)
    old.fold_all()
    Folder(store, METRICS, ["Asia/Kolkata"]).fold_all()
    commit(store, "s", [Columns([call(T + 1)])])
    old.fold_all()
    days = stored(store, "day", "Asia/Kolkata")
    assert days["das_calls", utc("2026-11-19T18:30") // 60_000_000, text(host="h1", operation="a")] == b"2"


def test_an_unknown_zone_is_refused_at_once() -> None:
    """A folder is not made with a zone that does not exist."""
    with pytest.raises(UsageError, match="Mars"):
        Folder(MemoryStore(), METRICS, ["Mars/Olympus"])


class Overtaken(MemoryStore):
    """Runs `meanwhile` once, just before the next write of buckets."""

    meanwhile: Callable[[], None] | None = None

    def fold(self, buckets: Mapping[BucketKey, Bucket], marks: Iterable[Mark]) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, None
        if buckets and meanwhile:
            meanwhile()
        return super().fold(buckets, marks)


def test_a_stale_fold_loses_even_where_the_faster_one_changed_nothing() -> None:
    """A chunk changes to other content and back while a folder holds the other content: the first content stays."""
    store = Overtaken()
    first, other = Columns([call(T, 10)]), Columns([call(T, 20)])
    commit(store, "s", [first])
    Folder(store, METRICS).fold_all()
    before = snapshot(store, ("UTC",))
    assert store.replace("s", 0, 10, {0: 1}, [chunk_of(other, 10)])

    def change_back() -> None:
        assert store.replace("s", 0, 10, {0: 2}, [chunk_of(first, 10)])
        Folder(store, METRICS).fold_all()

    store.meanwhile = change_back
    Folder(store, METRICS).fold()
    assert store.unfolded(9) == [] and snapshot(store, ("UTC",)) == before


class Stubborn(MemoryStore):
    """Loses the race for the first `losses` writes of buckets."""

    losses = 0

    def fold(self, buckets: Mapping[BucketKey, Bucket], marks: Iterable[Mark]) -> bool:
        if buckets and self.losses > 0:
            self.losses -= 1
            return False
        return super().fold(buckets, marks)


def test_a_lost_race_is_run_again() -> None:
    """A few lost races change nothing in the result; losing for ever ends in an error and leaves the chunks marked."""
    store = Stubborn()
    store.losses = 7
    commit(store, "s", [Columns([call(T)])])
    Folder(store, METRICS).fold_all()
    assert stored(store, "day", "UTC")
    commit(store, "s", [Columns([call(T)])])
    store.losses = 10**6
    with pytest.raises(StoreError, match="lost 100 races"):
        Folder(store, METRICS).fold()
    assert len(store.unfolded(9)) == 1


def test_a_chunk_replaced_during_a_fold_stays_unfolded() -> None:
    """An open chunk that grows while it is folded is folded again, with its new content."""
    store = MemoryStore()
    state = Stream("s", "h1", "xivr", "p", "f", end=10, resume=0)
    first, second = Columns([call(T)]), Columns([call(T), call(T + 60_000_000)])
    store.commit([(state, [chunk_of(first, 10, is_open=True)])])
    marks = store.unfolded(9)
    store.commit([(Stream("s", "h1", "xivr", "p", "f", revision=1, end=20, resume=20), [chunk_of(second, 20)])])
    store.fold({}, marks)
    assert len(store.unfolded(9)) == 1
    Folder(store, METRICS).fold_all()
    assert stored(store, "hour", "")["das_calls", MINUTE - 17, text(host="h1", operation="a")] == b"2"


def chunk_of(batch: Columns, end: int, *, is_open: bool = False) -> Chunk:
    from logagg.rollup.partial import partials

    return Chunk("s", 0, end, b"raw", open=is_open, partials=tuple(partials(batch, batch, METRICS, "xivr", "h1", None)))


def test_progress_is_told() -> None:
    """`fold_all` tells the sum of chunks after each step."""
    store = MemoryStore()
    commit(store, "s", [Columns([call(T)])] * 3)
    told: list[int] = []
    folder = Folder(store, METRICS)
    assert folder.fold(limit=2).chunks == 2
    folder.fold_all(lambda result: told.append(result.chunks))
    assert told == [1]


def test_hostile_times_do_not_stop_folding() -> None:
    """Records at the ends of what is measured, and scattered over centuries, are folded like others."""
    store = MemoryStore()
    rows = [call(utc(f"{year}-06-01T00:00")) for year in (1970, 2000, 2399, 9997)]
    commit(store, "s", [Columns([call(0), *rows, call(utc("9997-12-31T23:59:59"))])])
    Folder(store, METRICS, ["Pacific/Kiritimati", "Pacific/Pago_Pago"]).fold_all()
    assert len({start for _, start, _ in stored(store, "day", "Pacific/Pago_Pago")}) == 6


def test_two_folders_at_once_do_not_count_twice() -> None:
    """Four threads that fold while chunks are committed end in the same bytes as one folder afterwards."""
    racing, calm = MemoryStore(), MemoryStore()
    batches = [Columns([call(T + i * 20_000_000 + j * 7_000_000, i + j) for j in range(4)]) for i in range(40)]
    done = threading.Event()

    def work() -> None:
        folder = Folder(racing, METRICS, [NEW_YORK])
        while not done.is_set():
            folder.fold(limit=3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    commit(racing, "s", batches)
    done.set()
    for thread in threads:
        thread.join(60)
    commit(calm, "s", batches)
    for store in (racing, calm):
        Folder(store, METRICS, [NEW_YORK]).fold_all()
    assert snapshot(racing, ZONES) == snapshot(calm, ZONES)
