"""What every store must do: interfaces.Store, claim by claim, against each kind of store (conftest.py: `url`)."""

import itertools
import multiprocessing
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from logagg.errors import StoreError
from logagg.interfaces import Store
from logagg.record import Bucket, BucketKey, Chunk, Counts, Event, Mark, Partial, Stream
from logagg.store import open_store
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
    stored,
    stream,
)

HOSTILE = ["", "\0", "a\0b", "\ud800", "x\udcffy", "$where", "a.b", "'; DROP TABLE streams; --", "é漢🙂", "\x1b[31m",
           "a\u2028b", "%s{}", "x" * 5000]


class TestCommit:
    def test_round_trip(self, store: Store) -> None:
        """A stream and its chunk come back as they were given, with the revisions that the store sets."""
        part = chunk("s1", 0, 90, offsets=[0, 40], gone=None)
        given = after(stream(n=3, head=b"\0\xffhead", windows={1024: "aa", 2048: "bb"}, end_window="cc",
                             dropped={"rotated": 7}, last_ts_us=T0_US + 1), [part])
        assert store.commit([(given, [part])]) == ["committed"]
        assert store.streams() == [replace(given, revision=1)]
        assert list(store.chunks(with_parts=True)) == [replace(part, revision=1)]
        assert list(store.events()) == list(part.events)
        assert store.unfolded(10) == [Mark("s1", 0, 1, (T0_MINUTE,))]

    def test_a_moved_stream_leaves_nothing(self, store: Store) -> None:
        """In a group, a stream whose revision is not the stored one is "moved", and all others are committed."""
        state = commit(store, stream("b"), chunk("b", 0, 10))
        before = list(store.chunks(stream="b", with_parts=True))
        group = [(after(stream(id), [chunk(id, 0, 20)]), [chunk(id, 0, 20)]) for id in "abc"]
        assert store.commit(group) == ["committed", "moved", "committed"]
        assert list(store.chunks(stream="b", with_parts=True)) == before
        assert stored(store, "b") == state
        assert [mark.stream for mark in store.unfolded(10)].count("b") == 1
        assert [stored(store, id).end for id in "ac"] == [20, 20]

    @pytest.mark.parametrize("revision", [0, 1, 3, 99])
    def test_any_other_revision_is_moved(self, store: Store, revision: int) -> None:
        """Older and newer revisions than the stored one are "moved" alike, also where the chunk would not fit."""
        state = commit(store, commit(store, stream(), chunk("s1", 0, 10)), chunk("s1", 10, 20))
        assert state.revision == 2
        wrong = chunk("s1", 99, 120)
        assert store.commit([(after(replace(state, revision=revision), [wrong]), [wrong])]) == ["moved"]
        assert stored(store, "s1") == state

    def test_a_stream_that_is_not_there_is_moved(self, store: Store) -> None:
        """A revision for a stream that the store does not have is "moved"."""
        part = chunk("s1", 0, 10)
        assert store.commit([(after(stream(revision=4), [part]), [part])]) == ["moved"]
        assert everything(store) == everything(MemoryStore())

    def test_the_same_stream_twice(self, store: Store) -> None:
        """A stream that a group holds twice is committed once; the second is "moved"."""
        first, second = chunk("s1", 0, 10), chunk("s1", 10, 20)
        state = after(stream(), [first])
        answers = store.commit([(state, [first]), (after(replace(state, revision=1), [second]), [second])])
        assert answers == ["committed", "moved"]
        assert stored(store, "s1").end == 10
        assert_whole(store)

    def test_an_empty_group(self, store: Store) -> None:
        """Nothing to commit is no error."""
        assert store.commit([]) == []

    @pytest.mark.parametrize(("chunks", "changes", "says"), [
        ([chunk("s1", 20, 30)], {}, "gap"),
        ([chunk("s1", 5, 30)], {}, "already committed"),
        ([chunk("s1", 10, 20), chunk("s1", 21, 30)], {}, "not contiguous"),
        ([chunk("s1", 10, 20), chunk("s1", 15, 30)], {}, "not contiguous"),
        ([chunk("s1", 10, 20, open=True), chunk("s1", 20, 30)], {}, "only the last chunk may be open"),
        ([chunk("s1", 10, 20)], {"end": 21}, "end and resume"),
        ([chunk("s1", 10, 20)], {"resume": 10}, "end and resume"),
        ([chunk("s1", 10, 20, open=True)], {"resume": 20}, "end and resume"),
        ([chunk("s1", 10, 10, offsets=[])], {}, "at least one byte"),
        ([chunk("other", 10, 20)], {}, "another stream"),
        ([chunk("s1", 10, 20, offsets=[20])], {}, "outside"),
        ([chunk("s1", 10, 20, events=(event("other", 10),))], {}, "outside"),
        ([chunk("s1", 10, 20, offsets=[11, 11])], {}, "same offset"),
        ([chunk("s1", 10, 20, minutes=[1, 1])], {}, "same minute"),
        ([], {"end": 11, "resume": 11}, "without chunks"),
        ([], {"resume": 0}, "without chunks"),
    ])
    def test_what_does_not_fit_is_refused(self, store: Store, chunks: list[Chunk], changes: dict[str, Any],
                                          says: str) -> None:
        """A gap, an overlap, a wrong end … raises StoreError, and nothing of the whole group is written."""
        state = commit(store, stream(), chunk("s1", 0, 10))
        before = everything(store)
        new = replace(after(state, chunks) if chunks else state, **changes)
        good = chunk("s0", 0, 10)
        with pytest.raises(StoreError, match=says):
            store.commit([(after(stream("s0"), [good]), [good]), (new, chunks)])
        assert everything(store) == before

    def test_an_end_never_falls(self, store: Store) -> None:
        """An open chunk cannot be replaced by fewer bytes: what is committed stays committed."""
        state = commit(store, stream(), chunk("s1", 0, 10), chunk("s1", 10, 30, open=True))
        with pytest.raises(StoreError, match="below the committed end"):
            commit(store, state, chunk("s1", 10, 25))
        assert stored(store, "s1") == state

    def test_state_alone(self, store: Store) -> None:
        """Without chunks the path and the dropped bytes change, and the chunks, events and marks stay."""
        state = commit(store, stream(), chunk("s1", 0, 10), chunk("s1", 10, 12, open=True))
        before = everything(store)
        assert store.commit([(replace(state, path="/new", dropped={"truncated": 5}), [])]) == ["committed"]
        now = everything(store)
        assert now.pop("streams") == [replace(state, path="/new", dropped={"truncated": 5}, revision=2)]
        before.pop("streams")
        assert now == before

    def test_a_range_that_is_gone(self, store: Store) -> None:
        """A chunk without bytes keeps its reason."""
        part = chunk("s1", 0, 500, offsets=[], ts_us=None, raw=b"", gone="truncated")
        commit(store, stream(), part)
        assert list(store.chunks(with_parts=True)) == [replace(part, revision=1)]

    def test_many_chunks_and_streams(self, store: Store) -> None:
        """One group holds several chunks each of several streams."""
        group = []
        for id in ("a", "b", "c"):
            parts = [chunk(id, i * 10, i * 10 + 10, offsets=[i * 10, i * 10 + 5]) for i in range(4)]
            group.append((after(stream(id), parts), parts))
        assert store.commit(group) == ["committed"] * 3
        assert [(c.stream, c.start) for c in store.chunks()] == [(id, i * 10) for id in "abc" for i in range(4)]
        assert len(list(store.events())) == 24
        assert_whole(store)

    def test_streams_are_found_by_all_keys(self, store: Store) -> None:
        """Streams match all given keys, in the order (app, host, path, first_line, n)."""
        keys = [("b", "h1", "x"), ("a", "h2", "x"), ("a", "h1", "y"), ("a", "h1", "x"), ("b", "h1", "x")]
        states = [stream(f"s{i}", app=app, host=host, path=f"/{9 - i}", first_line=line, n=i)
                  for i, (app, host, line) in enumerate(keys)]
        store.commit([(state, []) for state in states])
        found = [replace(s, revision=0) for s in store.streams()]
        assert found == sorted(states, key=lambda s: (s.app, s.host, s.path, s.first_line, s.n))
        assert {s.id for s in store.streams(app="a")} == {"s1", "s2", "s3"}
        assert {s.id for s in store.streams(app="a", host="h1")} == {"s2", "s3"}
        assert {s.id for s in store.streams(first_line="x", host="h1")} == {"s0", "s3", "s4"}
        assert [s.id for s in store.streams(id="s2")] == ["s2"]
        assert store.streams(id="s2", app="b") == []


class TestOpenChunk:
    def test_it_is_replaced_with_all_its_parts(self, store: Store) -> None:
        """The next commit replaces the open chunk; no event, partial or mark of it stays, and its revision rises."""
        old = chunk("s1", 10, 30, offsets=[10, 20], minutes=[T0_MINUTE, T0_MINUTE + 1], open=True)
        state = commit(store, stream(), chunk("s1", 0, 10), old)
        assert (state.end, state.resume) == (30, 10)
        new, rest = chunk("s1", 10, 40, minutes=[T0_MINUTE + 2]), chunk("s1", 40, 50, open=True)
        commit(store, state, new, rest)
        assert [(c.start, c.end, c.revision, c.open) for c in store.chunks()] == [
            (0, 10, 1, False), (10, 40, 2, False), (40, 50, 1, True)]
        assert [e.offset for e in store.events()] == [0, 10, 40]
        assert sorted(p.data for p in store.partials([T0_MINUTE, T0_MINUTE + 1, T0_MINUTE + 2])) == sorted(
            p.data for c in (chunk("s1", 0, 10), new, rest) for p in c.partials)
        assert_whole(store)

    @pytest.mark.parametrize("folded", [False, True])
    def test_its_minutes_stay_dirty(self, store: Store, folded: bool) -> None:
        """The minutes of a replaced open chunk, folded or not, are dirty through the first new chunk alone."""
        state = commit(store, stream(), chunk("s1", 0, 10, minutes=[5, 9], open=True))
        if folded:
            fold_all(store)
        commit(store, state, chunk("s1", 0, 20, minutes=[7]), chunk("s1", 20, 30, minutes=[8], open=True))
        assert [(m.start, m.revision, m.dirty) for m in store.unfolded(9)] == [(0, 2, (5, 7, 9)), (20, 1, (8,))]

    def test_dirty_minutes_pass_through_several_replacements(self, store: Store) -> None:
        """Minutes that only the first of several open chunks touched are still dirty after the last."""
        state = commit(store, stream(), chunk("s1", 0, 10, minutes=[1], open=True))
        for i in range(2, 5):
            state = commit(store, state, chunk("s1", 0, i * 10, minutes=[i], open=True))
        assert store.unfolded(9) == [Mark("s1", 0, 4, (1, 2, 3, 4))]

    def test_state_alone_keeps_it(self, store: Store) -> None:
        """A commit without chunks does not touch the open chunk."""
        state = commit(store, stream(), chunk("s1", 0, 10, open=True))
        store.commit([(replace(state, path="/x"), [])])
        assert [(c.start, c.open, c.revision) for c in store.chunks()] == [(0, True, 1)]


class TestChunks:
    @pytest.fixture
    def filled(self, store: Store) -> Store:
        for id in ("b", "a"):
            parts = [chunk(id, i * 10, i * 10 + 10, ts_us=T0_US + i * 1000) for i in range(40)]
            commit(store, stream(id), *parts, chunk(id, 400, 410, ts_us=None))
        return store

    def test_order_and_pages(self, filled: Store) -> None:
        """All chunks come ordered by (stream, start), also when they are more than any page."""
        assert [(c.stream, c.start) for c in filled.chunks()] == [(id, i * 10) for id in "ab" for i in range(41)]

    def test_bytes_overlap(self, filled: Store) -> None:
        """[start, end) finds the chunks that share a byte with it."""
        assert [c.start for c in filled.chunks(stream="a", start=15, end=40)] == [10, 20, 30]
        assert [c.start for c in filled.chunks(stream="a", start=20, end=20)] == []
        assert [c.start for c in filled.chunks(stream="a", start=395)] == [390, 400]
        assert [c.start for c in filled.chunks(stream="a", end=1)] == [0]

    def test_times_overlap(self, filled: Store) -> None:
        """[from, to) finds the chunks with a time in it; those without any time only come without a time range."""
        found = filled.chunks(stream="a", from_us=T0_US + 3000, to_us=T0_US + 5000)
        assert [c.start for c in found] == [30, 40]
        assert [c.start for c in filled.chunks(stream="b", from_us=T0_US + 38_001)] == [390]
        assert [c.start for c in filled.chunks(stream="b", to_us=T0_US + 1)] == [0]
        assert len(list(filled.chunks(from_us=0))) == 80

    def test_parts_only_on_demand(self, filled: Store) -> None:
        """Events and partials are there only with `with_parts`; the bytes always are."""
        bare, whole = (next(filled.chunks(stream="a", with_parts=parts)) for parts in (False, True))
        assert (bare.events, bare.partials, bare.raw) == ((), (), b"raw a 0")
        assert replace(bare, events=whole.events, partials=whole.partials) == whole
        assert whole.events and whole.partials

    def test_unknown_stream(self, filled: Store) -> None:
        """A stream that is not there has no chunks."""
        assert list(filled.chunks(stream="zz")) == []

    def test_a_long_iteration_lets_writers_through(self, filled: Store) -> None:
        """While an iteration is under way, commits succeed, and what was there before is still seen once."""
        found = filled.chunks(stream="a")
        first = next(found)
        commit(filled, stored(filled, "b"), chunk("b", 410, 420))
        assert [first.start, *(c.start for c in found)] == [i * 10 for i in range(41)]


class TestEvents:
    def test_order(self, store: Store) -> None:
        """Events come ordered by (time, stream, offset), those without a time first."""
        shuffled = random.Random(1)
        for id in ("c", "a", "b"):
            events = tuple(event(id, i, shuffled.choice([None, T0_US, T0_US + 1, T0_US + 2])) for i in range(50))
            commit(store, stream(id), chunk(id, 0, 50, events=events))
        found = list(store.events())
        assert len(found) == 150
        keys = [(-1 if e.ts_us is None else e.ts_us, e.stream, e.offset) for e in found]
        assert keys == sorted(keys)
        for i in (0, 1, 70, 148, 149):
            assert list(store.events(after=keys[i])) == found[i + 1:]
        assert list(store.events(after=keys[10], limit=5)) == found[11:16]
        assert list(store.events(after=(T0_US, "bb", 3))) == [e for e, k in zip(found, keys, strict=True)
                                                             if k > (T0_US, "bb", 3)]

    @pytest.mark.parametrize("ts_us", [None, T0_US])
    def test_many_at_one_time(self, store: Store, ts_us: int | None) -> None:
        """More events of one time than any page, of several streams, keep their order and can be continued."""
        for id in ("c", "a", "b"):
            commit(store, stream(id), chunk(id, 0, 1200, events=tuple(event(id, i, ts_us) for i in range(1200))))
        later = chunk("d", 0, 9, ts_us=T0_US + 5)
        commit(store, stream("d"), later)
        expected = [(id, i) for id in "abc" for i in range(1200)] + [("d", 0)]
        assert [(e.stream, e.offset) for e in store.events()] == expected
        key = -1 if ts_us is None else ts_us
        assert [(e.stream, e.offset) for e in store.events(after=(key, "b", 700))] == expected[1901:]
        assert [(e.stream, e.offset) for e in store.events(stream="b")] == expected[1200:2400]

    def test_filters(self, store: Store) -> None:
        """Time range (half-open), names and stream narrow together; a time range leaves out what has no time."""
        for id in ("a", "b"):
            events = tuple(event(id, i, None if i == 0 else T0_US + i, name=("x", "y", None)[i % 3]) for i in range(9))
            commit(store, stream(id), chunk(id, 0, 9, events=events))
        def offsets(**given: Any) -> list[int]:
            return [e.offset for e in store.events(**given) if e.stream == "a"]
        assert offsets() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
        assert offsets(from_us=T0_US + 2, to_us=T0_US + 5) == [2, 3, 4]
        assert offsets(to_us=T0_US + 3) == [1, 2]
        assert offsets(from_us=T0_US + 7) == [7, 8]
        assert offsets(from_us=-5) == [1, 2, 3, 4, 5, 6, 7, 8]
        assert offsets(names=["x"]) == [0, 3, 6]
        assert offsets(names=["x", "y"], from_us=T0_US + 4, stream="a") == [4, 6, 7]
        assert offsets(names=[]) == [] == offsets(stream="zz")
        assert offsets(from_us=T0_US + 5, to_us=T0_US + 5) == []
        assert offsets(from_us=T0_US + 2, after=(T0_US + 4, "a", 4), to_us=T0_US + 7) == [5, 6]
        assert offsets(from_us=T0_US + 6, after=(T0_US, "a", 0)) == [6, 7, 8]
        assert offsets(to_us=T0_US + 3, after=(T0_US + 9, "a", 0)) == []
        assert [e.stream for e in store.events(stream="b", limit=2)] == ["b", "b"]
        assert list(store.events(limit=0)) == []

    def test_precision(self, store: Store) -> None:
        """Times keep their microseconds, before 1970 and far away too, and the body the precision of the log."""
        times = [-1, 0, 1, -62_135_596_800_000_000, T0_US + 123_457, 253_402_300_799_999_999, (1 << 62) + 1, None]
        texts = ["2023-11-14T22:13:00.123456789Z", "2023-11-14T22:13:00Z", "2023-11-14T22:13:00.5Z"]
        events = tuple(event("s1", i, ts, **{"ts": texts[i % 3]}) for i, ts in enumerate(times))
        commit(store, stream(), chunk("s1", 0, 9, events=events, ts_from_us=-62_135_596_800_000_000))
        assert sorted(store.events(), key=lambda e: e.offset) == list(events)
        assert [e.ts_us for e in store.events(from_us=-1, to_us=1)] == [-1, 0]


def hostile_bodies() -> list[dict[str, Any]]:
    texts = [{"message": text, "logger": text, "mdc": {text: text}, "fields": {text: text}} for text in HOSTILE]
    return [*texts,
            {"fields": {"n": 1 << 70, "m": -(1 << 63), "k": (1 << 63) - 1, "f": 0.1, "e": 1e300}},
            {"mdc": {"$ref": "streams", "$id": "1"}, "extra": {"$db": "x", "_id": "y"}},
            {"ndc": ["a", "\0", "\udfff"], "exception": "java.lang.X\n\tat y"},
            {"_id": 1, "stream": "other", "offset": -1, "unknown": [1, {"a": None}], "committed_us": 5},
            {"level": "not the event's", "event": None, "ts": None},
            {"message": None, "fields": {}, "mdc": {"a": {"b": {"c": [1, 2.5, True, None]}}}},
            {}]


class TestHostile:
    def test_bodies(self, store: Store) -> None:
        """Whatever a log line brings (NUL, lone surrogates, operators, huge integers) comes back equal."""
        bodies = hostile_bodies()
        events = tuple(Event("s1", i, T0_US, "INFO", "x", body) for i, body in enumerate(bodies))
        commit(store, stream(), chunk("s1", 0, 99, events=events))
        found = list(store.events())
        assert found == list(events)
        assert [type(value) for e in found for value in e.body.get("fields", {}).values()] == [
            type(value) for e in events for value in e.body.get("fields", {}).values()]

    def test_names(self, store: Store) -> None:
        """Ids, hosts, paths, levels, event names, labels and keys may be any text, and are found by it."""
        for i, text in enumerate(HOSTILE):
            id = f"{i}{text}"
            parts = [chunk(id, 0, 9, events=(Event(id, 1, T0_US, text, text, {}),)), chunk(id, 9, 12, gone=text or "x")]
            new = after(stream(id, host=text, app=text, path=text, first_line=text, end_window=text,
                               dropped={text: 1}), parts, windows={1024: text})
            new = replace(new, carry={text: [text]})
            assert store.commit([(new, parts)]) == ["committed"]
            assert store.streams(host=text, app=text, first_line=text) == [replace(new, revision=1)]
            assert [c.gone for c in store.chunks(stream=id)] == [None, text or "x"]
            assert list(store.events(stream=id, names=[text])) == list(parts[0].events)
            key = BucketKey(f"m{text}", "day", text, 5)
            assert store.fold({key: Bucket(0, {text: b"1"})}, [])
            assert list(store.buckets("day", text, 0, 9, metric=key.metric)) == [(key, Bucket(1, {text: b"1"}))]
            value = {text: {text: [text, 1 << 80, None]}}
            assert store.put_document(text, text, 0, value)
            assert store.document(text, text) == (1, value)
            assert store.documents(text) == {text: value}
        assert len(store.streams()) == len(HOSTILE)

    def test_numbers_beyond_64_bits_are_refused(self, url: str, opened: Callable[..., Store]) -> None:
        """A time that no database can hold is a StoreError, and nothing is written."""
        store = opened(url)
        with pytest.raises(StoreError, match="64 bits"):
            commit(store, stream(), chunk("s1", 0, 9, events=(event("s1", 0, 1 << 70),)))
        assert store.streams() == []

    def test_large_chunks(self, store: Store) -> None:
        """Chunks of 4 MiB that do not compress, large events and many partials are kept, in one group."""
        noise = random.Random(3).randbytes(4 << 20)
        parts = [chunk("s1", i << 22, (i + 1) << 22, raw=noise, minutes=range(T0_MINUTE, T0_MINUTE + 150),
                       events=(event("s1", i << 22, message="é" * (2 << 20)),)) for i in range(3)]
        commit(store, stream(), *parts)
        assert [replace(part, revision=1) for part in parts] == list(store.chunks(with_parts=True))
        assert store.size_bytes() > 0


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

        run_all([threading.Thread(target=fold, args=(i,)) for i in range(4)])
        assert sorted(answers) == [False, False, False, True]


class TestReplace:
    @pytest.fixture
    def filled(self, store: Store) -> Store:
        parts = [chunk("s1", i * 10, i * 10 + 10, minutes=[i]) for i in range(4)]
        commit(store, stream(), *parts, chunk("s1", 40, 45, minutes=[4], open=True))
        fold_all(store)
        return store

    def test_merge(self, filled: Store) -> None:
        """Merged chunks have a higher revision than all before, are unfolded, and dirty with old and new minutes."""
        state = stored(filled, "s1")
        merged = chunk("s1", 10, 30, offsets=[10, 20], minutes=[1, 9])
        assert filled.replace("s1", 10, 30, {10: 1, 20: 1}, [merged])
        assert [(c.start, c.end, c.revision) for c in filled.chunks()] == [
            (0, 10, 1), (10, 30, 2), (30, 40, 1), (40, 45, 1)]
        assert filled.unfolded(9) == [Mark("s1", 10, 2, (1, 2, 9))]
        assert [e.offset for e in filled.events()] == [0, 10, 20, 30, 40]
        assert stored(filled, "s1") == state
        assert_whole(filled)

    def test_split_never_reuses_a_revision(self, filled: Store) -> None:
        """A chunk that comes back at an old start after a merge and a split does not take an old fold's mark."""
        old = Mark("s1", 20, 1, ())
        assert filled.replace("s1", 10, 30, {10: 1, 20: 1}, [chunk("s1", 10, 30)])
        assert filled.replace("s1", 10, 30, {10: 2}, [chunk("s1", 10, 20), chunk("s1", 20, 30)])
        assert filled.fold({}, [old])
        assert [(m.start, m.revision) for m in filled.unfolded(9)] == [(10, 3), (20, 3)]

    def test_dirty_minutes_of_unfolded_chunks_stay(self, filled: Store) -> None:
        """Replacing twice without a fold between leaves the first minutes dirty."""
        assert filled.replace("s1", 10, 20, {10: 1}, [chunk("s1", 10, 20, minutes=[70])])
        assert filled.replace("s1", 10, 20, {10: 2}, [chunk("s1", 10, 20, minutes=[71])])
        assert filled.unfolded(9) == [Mark("s1", 10, 3, (1, 70, 71))]

    @pytest.mark.parametrize("revisions", [{10: 1}, {10: 1, 20: 2}, {10: 1, 20: 1, 25: 1}, {10: 0, 20: 1}, {}])
    def test_another_revision_writes_nothing(self, filled: Store, revisions: dict[int, int]) -> None:
        """Where the chunks now there are not those that the caller saw, the answer is False and nothing changes."""
        before = everything(filled)
        assert not filled.replace("s1", 10, 30, revisions, [chunk("s1", 10, 30)])
        assert not filled.replace("zz", 10, 30, {10: 1, 20: 1}, [chunk("zz", 10, 30)])
        assert everything(filled) == before

    @pytest.mark.parametrize(("start", "end", "revisions", "chunks"), [
        (10, 30, {10: 1, 20: 1}, [chunk("s1", 10, 29)]),
        (10, 30, {10: 1, 20: 1}, [chunk("s1", 11, 30)]),
        (10, 30, {10: 1, 20: 1}, [chunk("s1", 10, 20), chunk("s1", 21, 30)]),
        (10, 30, {10: 1, 20: 1}, []),
        (10, 30, {10: 1, 20: 1}, [chunk("s1", 10, 30, open=True)]),
        (10, 30, {10: 1, 20: 1}, [chunk("zz", 10, 30)]),
        (10, 25, {10: 1, 20: 1}, [chunk("s1", 10, 25)]),
        (5, 20, {10: 1}, [chunk("s1", 5, 20)]),
        (40, 45, {40: 1}, [chunk("s1", 40, 45)]),
    ])
    def test_what_does_not_cover_is_refused(self, filled: Store, start: int, end: int, revisions: dict[int, int],
                                            chunks: list[Chunk]) -> None:
        """Old and new chunks must be closed and cover exactly [start, end): else StoreError, and nothing changes."""
        before = everything(filled)
        with pytest.raises(StoreError):
            filled.replace("s1", start, end, revisions, chunks)
        assert everything(filled) == before

    def test_counts_follow(self, filled: Store) -> None:
        """Reading again with another result changes the stream's counts, and a commit computed before is "moved"."""
        state = stored(filled, "s1")
        again = chunk("s1", 10, 20, offsets=[], counts=Counts(0, 0, 1, 10))
        assert filled.replace("s1", 10, 20, {10: 1}, [again])
        now = stored(filled, "s1")
        assert now.counts == Counts(state.counts.records - 1, state.counts.events - 1, 1, 10)
        assert filled.commit([(replace(state, path="/stale"), [])]) == ["moved"]
        assert replace(now, counts=state.counts, revision=state.revision) == state

    def test_a_deletion(self, filled: Store) -> None:
        """Replacing by a chunk without bytes removes events and bytes and keeps the account."""
        gone = chunk("s1", 0, 20, offsets=[], minutes=[], raw=b"", gone="deleted", ts_from_us=None, ts_to_us=None)
        assert filled.replace("s1", 0, 20, {0: 1, 10: 1}, [gone])
        assert filled.unfolded(9) == [Mark("s1", 0, 2, (0, 1))]
        assert [e.offset for e in filled.events()] == [20, 30, 40]
        assert_whole(filled)


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


class TestDocuments:
    def test_compare_and_set(self, store: Store) -> None:
        """A document is written over the given revision alone; 0 means absent, None whatever there is."""
        assert store.document("job", "a") is None
        assert not store.put_document("job", "a", 1, {"x": 1})
        assert store.put_document("job", "a", 0, {"x": 1})
        assert not store.put_document("job", "a", 0, {"x": 2})
        assert store.put_document("job", "a", 1, {"x": 3})
        assert not store.put_document("job", "a", 1, {"x": 4})
        assert store.document("job", "a") == (2, {"x": 3})
        assert store.put_document("job", "a", None, {"x": 1 << 90})
        assert store.put_document("job", "a", None, {"x": [1, {"y": None}]})
        assert store.document("job", "a") == (4, {"x": [1, {"y": None}]})
        assert store.put_document("job", "b", None, {})
        assert store.document("job", "b") == (1, {})

    def test_by_kind(self, store: Store) -> None:
        """Documents of a kind come in the order of their keys; kinds do not mix."""
        for kind, key in (("b", "2"), ("a", "10"), ("a", "9"), ("a", "é"), ("a", "Z"), ("ab", "1")):
            store.put_document(kind, key, None, {"of": kind + key})
        assert list(store.documents("a").items()) == [(k, {"of": "a" + k}) for k in ("10", "9", "Z", "é")]
        assert store.documents("none") == {}

    def test_one_winner(self, store: Store) -> None:
        """Of several that put a document over the same revision, exactly one succeeds."""
        for revision in (0, 1):
            start, answers = threading.Barrier(6), list[bool]()

            def put(i: int, start: threading.Barrier = start, answers: list[bool] = answers,
                    revision: int = revision) -> None:
                start.wait(10)
                answers.append(store.put_document("lease", "x", revision, {"owner": i}))

            run_all([threading.Thread(target=put, args=(i,)) for i in range(6)])
            assert sorted(answers) == [False] * 5 + [True]


class TestConcurrency:
    def test_threads_on_one_stream(self, store: Store) -> None:
        """Writers of one stream that read again when "moved" leave every chunk exactly once, without a gap."""
        moved = list[int]()

        def write() -> None:
            for _ in range(6):
                while True:
                    found = store.streams(id="s1")
                    state = found[0] if found else stream()
                    part = chunk("s1", state.end, state.end + 10)
                    if store.commit([(after(state, [part]), [part])]) == ["committed"]:
                        break
                    moved.append(1)

        run_all([threading.Thread(target=write) for _ in range(4)])
        assert stored(store, "s1").end == 240
        assert stored(store, "s1").revision == 24
        assert [e.offset for e in store.events()] == [i * 10 for i in range(24)]
        assert_whole(store)

    def test_exactly_one_of_two_commits(self, store: Store) -> None:
        """Of commits computed from the same revision exactly one is written, the other streams of both all are."""
        state = commit(store, stream(), chunk("s1", 0, 10))
        start, answers = threading.Barrier(2), dict[int, list[str]]()

        def write(i: int) -> None:
            own, mine = chunk(f"own{i}", 0, 5), chunk("s1", 10, 20 + i)
            start.wait(10)
            answers[i] = list(store.commit([(after(stream(f"own{i}"), [own]), [own]), (after(state, [mine]), [mine])]))

        run_all([threading.Thread(target=write, args=(i,)) for i in range(2)])
        assert sorted(answers.values()) == [["committed", "committed"], ["committed", "moved"]]
        winner = next(i for i, answer in answers.items() if answer[1] == "committed")
        assert stored(store, "s1").end == 20 + winner
        assert_whole(store)

    def test_processes_on_different_streams(self, url: str, opened: Callable[..., Store]) -> None:
        """Several processes create a store at once and commit to their own streams, and all of it is there."""
        spawn = multiprocessing.get_context("spawn")
        processes = [spawn.Process(target=write_stream, args=(url, f"p{i}")) for i in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0, 0]
        store = opened(url)
        assert [(s.id, s.end) for s in store.streams()] == [(f"p{i}", 200) for i in range(3)]
        assert len(list(store.events())) == 60
        assert_whole(store)


def write_stream(url: str, id: str) -> None:
    """A process of test_processes_on_different_streams: 20 commits, none of which may be "moved"."""
    store = open_store(url)
    state = stream(id)
    for i in range(20):
        state = commit(store, state, chunk(id, i * 10, i * 10 + 10))
    store.close()


def run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


class TestOpening:
    def test_all_is_there_again(self, url: str, opened: Callable[..., Store]) -> None:
        """What was written is there after closing and opening."""
        first = opened(url)
        commit(first, stream(), chunk("s1", 0, 10))
        first.put_document("a", "b", 0, {"c": 1})
        assert first.fold({TestFold.KEY: Bucket(0, {"{}": b"1"})}, [])
        before = everything(first)
        first.close()
        again = opened(url)
        assert everything(again) == before
        assert again.document("a", "b") == (1, {"c": 1})

    def test_a_second_opener_sees_commits_at_once(self, url: str, opened: Callable[..., Store]) -> None:
        """Two open instances of one store see each other's commits when these have returned."""
        store, other = opened(url), opened(url)
        state = commit(store, stream(), chunk("s1", 0, 10))
        assert stored(other, "s1") == state
        state = commit(other, state, chunk("s1", 10, 20))
        assert stored(store, "s1") == state

    def test_read_only(self, url: str, opened: Callable[..., Store]) -> None:
        """A store opened for reading reads, and refuses every write."""
        writer = opened(url)
        state = commit(writer, stream(), chunk("s1", 0, 10))
        reader = opened(url, read_only=True)
        assert everything(reader) == everything(writer)
        for write in (lambda: reader.commit([(state, [])]), lambda: reader.put_document("a", "b", None, {}),
                      lambda: reader.fold({}, []), lambda: reader.expire(raw_before_us=1),
                      lambda: reader.replace("s1", 0, 10, {0: 1}, [chunk("s1", 0, 10)])):
            with pytest.raises(StoreError, match="reading only"):
                write()

    def test_read_only_creates_nothing(self, url: str, opened: Callable[..., Store]) -> None:
        """A store that is not there yet is not created for reading."""
        with pytest.raises(StoreError, match="no store to read"):
            opened(url, read_only=True)
        assert opened(url).streams() == []

    def test_closed(self, url: str, opened: Callable[..., Store]) -> None:
        """A closed store says that it is closed; closing twice does no harm."""
        store = opened(url)
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.streams()
        with pytest.raises(StoreError, match="closed"):
            store.commit([(stream(), [])])


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


def test_types(store: Store) -> None:
    """Only plain Python types leave a store: no driver's integers, binaries or documents."""
    part = chunk("s1", 0, 1 << 40, minutes=[T0_MINUTE, 1 << 40], events=(event("s1", 1 << 35, fields={"n": 1 << 40}),))
    commit(store, stream(last_ts_us=T0_US, head=b"x"), part)
    store.put_document("a", "b", None, {"n": 1 << 40, "m": {"k": [1 << 50]}})
    key = BucketKey("m", "minute", "", 1 << 40)
    store.fold({key: Bucket(0, {"{}": b"x"})}, [])
    found: list[Any] = [everything(store), store.documents("a"), store.document("a", "b")]
    allowed = (Stream, Chunk, Event, Counts, Partial, Mark, Bucket, BucketKey, dict, list, tuple, str, int, bytes,
               float, bool, type(None))
    while found:
        item = found.pop()
        assert type(item) in allowed, type(item)
        if isinstance(item, dict):
            found += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple):
            found += item
        elif hasattr(item, "__slots__"):
            found += [getattr(item, name) for name in item.__slots__]
