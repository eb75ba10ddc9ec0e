"""Rollups hold whatever comes, however it comes."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logagg.errors import StoreUnavailable
from logagg.record import Bucket, BucketKey, Mark
from logagg.rollup.fold import Folder
from logagg.rollup.sketch import Stat
from logagg.store.memory import MemoryStore
from tests.rollups import METRICS, STEPS, Columns, commit, expected, random_rows, snapshot, stored, utc

ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
VALUES = st.lists(st.one_of(st.integers(-10**18, 10**18), st.integers(-60, 60)), max_size=60)


def merged_in_random_order(parts: Sequence[Stat], rng: random.Random) -> Stat:
    """Merge pairs chosen at random until one is left, through bytes now and then."""
    left = list(parts)
    while len(left) > 1:
        rng.shuffle(left)
        one = left.pop().merge(left.pop())
        left.append(Stat.from_bytes(one.to_bytes()) if rng.random() < 0.5 else one)
    return left[0] if left else Stat()


@given(st.lists(VALUES, max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_bytes_do_not_depend_on_the_order_of_merging(parts: list[list[int]], rng: random.Random) -> None:
    """Merging parts in any order and grouping gives the bytes of all values at once, below and above the limit."""
    everything = [value for part in parts for value in part]
    assert merged_in_random_order([Stat.of(part) for part in parts], rng).to_bytes() == Stat.of(everything).to_bytes()


@given(st.integers(0, 2**32), st.sampled_from([10, 999, 1000, 1001, 5000]), st.floats(0, 18))
@settings(max_examples=60, deadline=None)
def test_quantiles_are_exact_or_within_one_percent(seed: int, size: int, magnitude: float) -> None:
    """Against sorting all values: exact up to 1,000 values, within 1 % above; sum, min, max and mean always exact."""
    rng = random.Random(seed)
    values = [int(rng.choice((-1, 1, 1)) * 10 ** rng.uniform(0, magnitude)) for _ in range(size)]
    stat = merged_in_random_order([Stat.of(values[i::7]) for i in range(7)], rng)
    ordered = sorted(values)
    assert (stat.count, stat.sum, stat.min, stat.max) == (size, sum(values), ordered[0], ordered[-1])
    assert stat.mean == sum(values) / size
    for percent in (0, 1, 25, 50, 90, 95, 99, 100):
        true = ordered[max(1, ceil(percent * size / 100)) - 1]
        found = stat.quantile(percent / 100)
        assert found is not None
        assert found == true if size <= 1000 else abs(found - true) <= 0.01 * abs(true), (percent, seed)


SPANS = {
    "spring": (utc("2026-03-06T00:00"), utc("2026-03-10T00:00")),
    "autumn": (utc("2026-10-31T00:00"), utc("2026-11-03T00:00")),
    "lord_howe": (utc("2026-10-02T00:00"), utc("2026-10-05T00:00")),
}


@pytest.mark.parametrize("span", SPANS)
def test_folds_equal_a_recomputation_from_all_records(span: str) -> None:
    """Random records of two hosts in random chunks, folded a few chunks at a time, equal in every step and zone what
    plain datetime arithmetic makes of all records at once; over days of 23, 23.5, 24 and 25 hours."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    store = MemoryStore()
    rows = {host: random_rows(rng, *SPANS[span], 150) for host in ("h1", "h2")}
    folder = Folder(store, METRICS, ZONES)
    for host, given_rows in rows.items():
        at = 0
        while at < len(given_rows):
            n = rng.randrange(1, 40)
            commit(store, host, [Columns(given_rows[at:at + n])], host=host)
            at += n
            if rng.random() < 0.4:
                folder.fold(limit=rng.randrange(1, 4))
    folder.fold_all()
    for step in STEPS:
        for zone in ZONES if step in STEPS[3:] else ("",):
            wanted = {key: stat.to_bytes() for key, stat in expected(rows, step, zone or "UTC").items()}
            assert stored(store, step, zone) == wanted, (step, zone, seed)


def test_the_order_of_commits_does_not_matter() -> None:
    """The same chunks committed and folded in two orders give the same bytes in every bucket."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    batches = [(f"s{i}", Columns(random_rows(rng, *SPANS["autumn"], 20))) for i in range(12)]
    shuffled = rng.sample(batches, len(batches))
    snapshots = []
    for order, every in ((batches, 1), (shuffled, 5)):
        store = MemoryStore()
        for n, (stream, batch) in enumerate(order):
            commit(store, stream, [batch])
            if n % every == 0:
                Folder(store, METRICS, ZONES).fold()
        Folder(store, METRICS, ZONES).fold_all()
        snapshots.append(snapshot(store, ZONES))
    assert snapshots[0] == snapshots[1], seed


class Crashing(MemoryStore):
    """Raises at the nth write of buckets, marks or documents: before it, or after it was done."""

    writes_left = -1
    after = False

    def fold(self, buckets: Mapping[BucketKey, Bucket], marks: Iterable[Mark]) -> bool:
        return self._maybe_crash(lambda: MemoryStore.fold(self, buckets, marks))

    def put_document(self, kind: str, key: str, revision: int | None, value: dict[str, Any]) -> bool:
        return self._maybe_crash(lambda: MemoryStore.put_document(self, kind, key, revision, value))

    def _maybe_crash(self, write: Callable[[], bool]) -> bool:
        self.writes_left -= 1
        if self.writes_left == 0:
            if self.after:
                write()
            raise StoreUnavailable("crash")
        return write()


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_between_any_two_writes_is_healed_by_the_next_fold(after: bool) -> None:
    """Crash a fold at its 1st, 2nd … write, change some chunks, fold again: the same bytes as without a crash."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    first, late = (Columns(random_rows(rng, *SPANS["autumn"], 15)) for _ in range(2))
    calm = MemoryStore()
    commit(calm, "s", [first, late])
    Folder(calm, METRICS, ZONES).fold_all()
    wanted = snapshot(calm, ZONES)
    for n in range(1, 100):
        store = Crashing()
        store.after = after
        commit(store, "s", [first])
        store.writes_left = n
        try:
            Folder(store, METRICS, ZONES).fold_all()
        except StoreUnavailable:
            pass
        else:
            assert n > 15
            break
        commit(store, "s", [late])
        Folder(store, METRICS, ZONES).fold_all()
        assert snapshot(store, ZONES) == wanted, (n, seed)


class Interrupted(MemoryStore):
    """Lets another folder do all its work just before a chosen write of buckets."""

    at = -1
    busy = False
    late = Columns([])

    def fold(self, buckets: Mapping[BucketKey, Bucket], marks: Iterable[Mark]) -> bool:
        if not self.busy:
            self.at -= 1
            if self.at == 0:
                self.busy = True
                commit(self, "late", [self.late])
                Folder(self, METRICS, ZONES).fold_all()
                self.busy = False
        return super().fold(buckets, marks)


def test_two_folders_racing_at_any_point_end_in_the_same() -> None:
    """At each write of one folder a chunk arrives and another folder does everything: the result is that of one."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    first, late = (Columns(random_rows(rng, *SPANS["spring"], 12)) for _ in range(2))
    calm = MemoryStore()
    commit(calm, "s", [first])
    commit(calm, "late", [late])
    Folder(calm, METRICS, ZONES).fold_all()
    wanted = snapshot(calm, ZONES)
    for n in range(1, 100):
        store = Interrupted()
        store.late = late
        commit(store, "s", [first])
        store.at = n
        Folder(store, METRICS, ZONES).fold_all()
        if not store.streams(id="late"):
            assert n == 15      # the short steps, 3 steps in 4 zones, the marks
            break
        assert snapshot(store, ZONES) == wanted, (n, seed)
