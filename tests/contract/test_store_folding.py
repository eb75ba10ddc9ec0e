"""What every store must do with marks, partials, buckets and expiry, and all of it mixed at random."""

import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from logagg.errors import StoreError
from logagg.interfaces import Store
from logagg.record import Bucket, BucketKey, Chunk, Mark
from logagg.store.memory import MemoryStore
from tests.contract.making import (
    MINUTE_US,
    T0_MINUTE,
    T0_US,
    after,
    assert_whole,
    chunk,
    commit,
    event,
    everything,
    fold_all,
    in_threads,
    stored,
    stream,
)


class TestFold:
    KEY = BucketKey("calls", "minute", "", T0_MINUTE)

    def test_marks(self, store: Store) -> None:
        """Chunks are unfolded in the order of their commits until a fold takes their marks."""
        for id in ("c", "a", "b"):
            commit(store, stream(id), chunk(id, 0, 10))
        marks = store.unfolded(10)
        assert [m.stream for m in marks] == ["c", "a", "b"]
        assert store.unfolded(2) == marks[:2]
        assert store.unfolded(0) == []
        assert store.fold({}, marks[:1])
        assert store.unfolded(10) == marks[1:]
        assert store.fold({}, [*marks, Mark("zz", 0, 1, ())])
        assert store.unfolded(10) == []

    def test_a_replaced_chunk_keeps_its_new_mark(self, store: Store) -> None:
        """A fold of a chunk that was replaced meanwhile leaves it unfolded."""
        state = commit(store, stream(), chunk("s1", 0, 10, open=True))
        marks = store.unfolded(10)
        commit(store, state, chunk("s1", 0, 20))
        assert store.fold({}, marks)
        assert [(m.start, m.revision) for m in store.unfolded(10)] == [(0, 2)]

    def test_buckets_by_revision(self, store: Store) -> None:
        """A bucket is written only over the revision that it was computed from; else nothing is, marks included."""
        commit(store, stream(), chunk("s1", 0, 10))
        other = replace(self.KEY, metric="other")
        assert store.fold({self.KEY: Bucket(0, {"{}": b"1"})}, [])
        assert not store.fold({other: Bucket(0, {"{}": b"1"}), self.KEY: Bucket(0, {"{}": b"2"})}, store.unfolded(9))
        assert not store.fold({other: Bucket(3, {"{}": b"1"})}, store.unfolded(9))
        assert list(store.buckets("minute", "", 0, 1 << 40)) == [(self.KEY, Bucket(1, {"{}": b"1"}))]
        assert len(store.unfolded(9)) == 1
        assert store.fold({other: Bucket(0, {}), self.KEY: Bucket(1, {"{}": b"2"})}, store.unfolded(9))
        assert store.unfolded(9) == []

    def test_rows_are_replaced_whole(self, store: Store) -> None:
        """A bucket has exactly the rows of its last fold: added, changed, kept and removed ones."""
        rows = {f'{{"host":"{i}"}}': bytes([i]) for i in range(50)}
        assert store.fold({self.KEY: Bucket(0, rows)}, [])
        changed = {**rows, '{"host":"1"}': b"new", "{}": b"added"}
        del changed['{"host":"2"}']
        assert store.fold({self.KEY: Bucket(1, changed)}, [])
        assert list(store.buckets("minute", "", 0, 1 << 40)) == [(self.KEY, Bucket(2, changed))]
        assert store.fold({self.KEY: Bucket(2, {})}, [])
        assert list(store.buckets("minute", "", 0, 1 << 40)) == [(self.KEY, Bucket(3, {}))]

    def test_buckets_in_order(self, store: Store) -> None:
        """Buckets of one step and zone that start in [start, end), ordered by (start, metric), in pages or not."""
        keys = [BucketKey(metric, step, zone, start) for start in (-5, 0, 5, 10) for metric in ("b", "a", "B")
                for step in ("day", "hour") for zone in ("", "Europe/Paris")]
        size = {key: 700_000 if (key.step, key.zone) == ("day", "Europe/Paris") else 1 for key in keys}
        assert store.fold({key: Bucket(0, {"x": b"1" * size[key], "y": b"2"}) for key in keys}, [])
        found = list(store.buckets("day", "Europe/Paris", -5, 10))
        assert [(k.start, k.metric) for k, _ in found] == [(s, m) for s in (-5, 0, 5) for m in ("B", "a", "b")]
        assert {(k.step, k.zone, b.revision, len(b.rows)) for k, b in found} == {("day", "Europe/Paris", 1, 2)}
        assert [k.start for k, _ in store.buckets("hour", "", 0, 11, metric="a")] == [0, 5, 10]
        assert list(store.buckets("week", "", -99, 99)) == []

    def test_partials_by_minute(self, store: Store) -> None:
        """The partials of the given minutes of all chunks, each once, however the minutes are given."""
        for id in ("a", "b"):
            commit(store, stream(id), chunk(id, 0, 10, minutes=[1, 2]), chunk(id, 10, 20, minutes=[2, 3]))
        found = sorted((p.minute, p.data) for p in store.partials([3, 1, 1, 99]))
        assert found == [(1, b"a:0:1"), (1, b"b:0:1"), (3, b"a:10:3"), (3, b"b:10:3")]
        assert list(store.partials([])) == []

    def test_partials_of_one_moment(self, store: Store) -> None:
        """While chunks are merged a minute's partials are read as before or as after: none is missed or counted twice.

        A fold that did would tell the rules of numbers that never were.
        """
        ids = [f"s{i:04}" for i in range(200)]
        parts = {id: [chunk(id, at, at + 10) for at in (0, 10, 20)] for id in ids}
        store.commit([(after(stream(id), parts[id]), parts[id]) for id in ids])
        before = sorted(part.data for part in store.partials([T0_MINUTE]))
        reading = store.partials([T0_MINUTE])
        seen = [next(reading).data]
        for id in ids[1::15]:
            assert store.replace(id, 0, 30, {0: 1, 10: 1, 20: 1}, [chunk(id, 0, 30)])
        assert sorted(seen + [part.data for part in reading]) == before

    def test_many_partials(self, store: Store) -> None:
        """A minute with more partials than any page gives all of them."""
        parts = [chunk(f"s{i:04}", 0, 10, offsets=[]) for i in range(1100)]
        store.commit([(after(stream(part.stream), [part]), [part]) for part in parts])
        assert sorted(p.data for p in store.partials([T0_MINUTE])) == [f"s{i:04}:0:{T0_MINUTE}".encode()
                                                                       for i in range(1100)]

    def test_concurrent_folds(self, store: Store) -> None:
        """Of folds that computed one bucket from the same revision, exactly one is written."""
        start, answers = threading.Barrier(4), list[bool]()

        def fold(i: int) -> None:
            start.wait(10)
            answers.append(store.fold({self.KEY: Bucket(0, {"{}": bytes([i])})}, []))

        in_threads([partial(fold, i) for i in range(4)])
        assert sorted(answers) == [False, False, False, True]


class TestExpire:
    def drained(self, store: Store, **given: Any) -> dict[str, int]:
        total = {"chunks": 0, "events": 0, "buckets": 0}
        for _ in range(1000):
            found = store.expire(**given)
            if not any(found.values()):
                return total
            total = {name: total[name] + found[name] for name in total}
        raise AssertionError("expire does not come to an end")

    def test_chunks(self, store: Store) -> None:
        """Folded closed chunks go with their partials once all their times are before the limit; events stay."""
        state = stream()
        for i in range(4):
            state = commit(store, state, chunk("s1", i * 10, i * 10 + 10, ts_us=T0_US + i * MINUTE_US))
        state = commit(store, state, chunk("s1", 40, 45, ts_us=T0_US, open=True))
        marks = [m for m in store.unfolded(9) if m.start != 10]
        assert store.fold({}, marks)
        assert self.drained(store, raw_before_us=T0_US + 3 * MINUTE_US) == {"chunks": 2, "events": 0, "buckets": 0}
        assert [c.start for c in store.chunks()] == [10, 30, 40]
        assert sorted(p.minute for p in store.partials(range(T0_MINUTE, T0_MINUTE + 9))) == [
            T0_MINUTE, T0_MINUTE + 1, T0_MINUTE + 3]
        assert len(list(store.events())) == 5
        assert stored(store, "s1") == state

    def test_a_chunk_that_reaches_the_limit_stays(self, store: Store) -> None:
        """The last time of a chunk decides, and the limit itself is not before the limit."""
        commit(store, stream(), chunk("s1", 0, 10, ts_from_us=T0_US - 5, ts_to_us=T0_US))
        fold_all(store)
        assert self.drained(store, raw_before_us=T0_US)["chunks"] == 0
        assert self.drained(store, raw_before_us=T0_US + 1)["chunks"] == 1

    def test_events(self, store: Store) -> None:
        """Events before the limit go, whether their chunk is folded or not; the chunk's bytes stay."""
        events = tuple(event("s1", i, T0_US + i) for i in range(9))
        commit(store, stream(), chunk("s1", 0, 9, events=events))
        assert self.drained(store, events_before_us=T0_US + 6) == {"chunks": 0, "events": 6, "buckets": 0}
        assert [e.offset for e in store.events()] == [6, 7, 8]
        assert [e.offset for e in next(store.chunks(with_parts=True)).events] == [6, 7, 8]

    def test_what_has_no_time_goes_by_its_commit(self, store: Store) -> None:
        """A chunk and an event without a time are as old as their commit."""
        commit(store, stream(), chunk("s1", 0, 9, ts_us=None))
        fold_all(store)
        assert self.drained(store, raw_before_us=T0_US, events_before_us=T0_US) == {
            "chunks": 0, "events": 0, "buckets": 0}
        assert self.drained(store, raw_before_us=1 << 60, events_before_us=1 << 60) == {
            "chunks": 1, "events": 1, "buckets": 0}

    def test_buckets(self, store: Store) -> None:
        """Buckets of the named steps that start before their limit go with their rows; days never do."""
        keys = [BucketKey("m", step, "", start) for step in ("minute", "quarter", "hour") for start in (-3, 0, 15, 60)]
        days = [BucketKey("m", "day", "UTC", 0)]
        assert store.fold({key: Bucket(0, {"a": b"1", "b": b"2"}) for key in keys + days}, [])
        assert self.drained(store, buckets_before={"minute": 60, "quarter": 15})["buckets"] == 5
        left = [k for step in ("minute", "quarter", "hour") for k, _ in store.buckets(step, "", -99, 99)]
        assert left == [k for k in keys if (k.step, k.start) in {("minute", 60), ("quarter", 15), ("quarter", 60)}
                        or k.step == "hour"]
        assert list(store.buckets("day", "UTC", -99, 99))
        with pytest.raises(StoreError, match="do not expire"):
            store.expire(buckets_before={"day": 99})
        expired = BucketKey("m", "minute", "", 0)
        assert store.fold({expired: Bucket(0, {"c": b"3"})}, [])
        assert list(store.buckets("minute", "", 0, 1)) == [(expired, Bucket(1, {"c": b"3"}))]

    def test_one_call_is_bounded(self, store: Store) -> None:
        """One call deletes at most some thousand items, and repeated calls delete all."""
        events = tuple(event("s1", i, T0_US) for i in range(11_000))
        commit(store, stream(), chunk("s1", 0, 11_000, events=events))
        first = store.expire(events_before_us=T0_US + 1)["events"]
        assert 0 < first < 11_000
        assert first + self.drained(store, events_before_us=T0_US + 1)["events"] == 11_000
        assert list(store.events()) == []

    def test_a_stream_goes_on_after_expiry(self, store: Store) -> None:
        """Streams do not expire: the next chunk is committed where the expired ones ended."""
        state = commit(store, stream(), chunk("s1", 0, 10))
        fold_all(store)
        assert self.drained(store, raw_before_us=1 << 60, events_before_us=1 << 60)["chunks"] == 1
        commit(store, state, chunk("s1", 10, 20))
        assert [c.start for c in store.chunks()] == [10]
        assert_whole(store)


def random_chunks(rng: random.Random, id: str, start: int, end: int, *, opens: bool) -> list[Chunk]:
    """Chunks that cover [start, end), cut at random."""
    cuts = sorted({start, end, *(rng.randrange(start + 1, end) for _ in range(rng.randrange(3)) if end - start > 1)})
    parts = []
    for a, b in itertools.pairwise(cuts):
        ts_us = rng.choice([None, T0_US + rng.randrange(9) * MINUTE_US + rng.randrange(3)])
        offsets = sorted(rng.sample(range(a, b), min(b - a, rng.randrange(3))))
        minutes = sorted({T0_MINUTE + rng.randrange(9) for _ in range(rng.randrange(3))})
        parts.append(chunk(id, a, b, ts_us=ts_us, offsets=offsets, minutes=minutes))
    if opens and rng.random() < 0.5:
        parts[-1] = replace(parts[-1], open=True)
    return parts


def random_step(rng: random.Random, stores: list[Store]) -> None:
    """One random action on all stores alike; they must give the same answer."""
    model = stores[0]
    action = rng.choice(["commit", "commit", "commit", "stale", "replace", "fold", "expire", "gap"])
    id = rng.choice("abc")
    state = next(iter(model.streams(id=id)), stream(id))
    if action in ("commit", "stale", "gap"):
        start = state.resume + (action == "gap")
        parts = random_chunks(rng, id, start, max(state.end, start) + rng.randrange(1, 30), opens=True)
        given = after(replace(state, revision=state.revision + (action == "stale")), parts)
        answers = [outcome(lambda s=s: s.commit([(given, parts)])) for s in stores]
    elif action == "replace":
        closed = [c for c in model.chunks(stream=id) if not c.open]
        chosen = closed[rng.randrange(len(closed)):][:rng.randrange(1, 4)] if closed else []
        if not chosen:
            return
        revisions = {c.start: c.revision + (rng.random() < 0.1) for c in chosen}
        parts = random_chunks(rng, id, chosen[0].start, chosen[-1].end, opens=False)
        a, b = chosen[0].start, chosen[-1].end
        answers = [outcome(lambda s=s: s.replace(id, a, b, revisions, parts)) for s in stores]
    elif action == "fold":
        marks = model.unfolded(1000)
        key = BucketKey(rng.choice("xy"), "minute", "", T0_MINUTE + rng.randrange(3))
        old = dict(model.buckets("minute", "", 0, 1 << 40)).get(key, Bucket(0, {}))
        new = Bucket(old.revision + (rng.random() < 0.2), {rng.choice("pqr"): bytes([rng.randrange(9)])})
        answers = [outcome(lambda s=s: s.fold({key: new}, marks[::2])) for s in stores]
    else:
        limit = T0_US + rng.randrange(9) * MINUTE_US
        answers = [outcome(lambda s=s: s.expire(raw_before_us=limit, events_before_us=limit - MINUTE_US,
                                                buckets_before={"minute": T0_MINUTE + 1})) for s in stores]
    assert all(answer == answers[0] for answer in answers), (action, answers)


def outcome(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except StoreError:
        return "refused"


@pytest.mark.parametrize("seed", range(3))
def test_random_actions_against_the_model(store: Store, seed: int) -> None:
    """After every random action (commit, stale commit, gap, replace, fold, expire) the store answers exactly as the
    in-memory store does, and each stream's end is its chunks' end."""
    print("seed", seed)
    rng = random.Random(seed)
    stores: list[Store] = [MemoryStore(), store]
    for step in range(60):
        random_step(rng, stores)
        if step % 4 == 0 or step == 59:
            assert everything(stores[1]) == everything(stores[0])
            assert all(s.end == max((c.end for c in store.chunks(stream=s.id)), default=s.end) for s in store.streams())
