"""What every store must answer: chunks, events, documents, whatever texts and numbers they hold."""

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from logagg.errors import StoreError
from logagg.interfaces import Store
from logagg.record import Bucket, BucketKey, Chunk, Counts, Event, Mark, Partial, Stream
from tests.contract.making import (
    T0_MINUTE,
    T0_US,
    after,
    chunk,
    commit,
    event,
    everything,
    in_threads,
    stored,
    stream,
)

HOSTILE = ["", "\0", "a\0b", "\ud800", "x\udcffy", "$where", "a.b", "'; DROP TABLE streams; --", "é漢🙂", "\x1b[31m",
           "a\u2028b", "%s{}", "x" * 5000]


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

    def test_merged_meanwhile(self, filled: Store) -> None:
        """Whatever is merged while chunks are read, no byte is passed over: a merged chunk may repeat some."""
        found = filled.chunks(stream="a")
        seen = [next(found) for _ in range(16)]
        revisions = dict.fromkeys(range(100, 250, 10), 1)
        assert filled.replace("a", 100, 250, revisions, [chunk("a", 100, 250, ts_us=T0_US + 10_000)])
        seen += found
        assert {byte for c in seen for byte in range(c.start, c.end)} == set(range(410))

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
        assert list(store.documents("a", start="9")) == ["9", "Z", "é"]
        assert list(store.documents("a", start="10", end="Z")) == ["10", "9"]
        assert store.documents("a", end="1") == {}

    def test_one_winner(self, store: Store) -> None:
        """Of several that put a document over the same revision, exactly one succeeds."""
        for revision in (0, 1):
            start, answers = threading.Barrier(6), list[bool]()

            def put(i: int, start: threading.Barrier = start, answers: list[bool] = answers,
                    revision: int = revision) -> None:
                start.wait(10)
                answers.append(store.put_document("lease", "x", revision, {"owner": i}))

            in_threads([partial(put, i) for i in range(6)])
            assert sorted(answers) == [False] * 5 + [True]


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
