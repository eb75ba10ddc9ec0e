"""What every store must do with commits: interfaces.Store, claim by claim, against each kind of store (conftest.py).

test_store_reading.py and test_store_folding.py go on.
"""

import multiprocessing
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from logagg.bodies import KeptEvents
from logagg.errors import StoreError
from logagg.grammar.reader import LayoutReader
from logagg.interfaces import Store
from logagg.record import Bucket, BucketKey, Chunk, Counts, Mark, Stream
from logagg.store import open_store
from logagg.store.memory import MemoryStore
from tests.contract.making import (
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

    @pytest.mark.parametrize("count", [2, 200])
    def test_what_was_made_ready(self, store: Store, count: int) -> None:
        """A chunk whose events came in columns, and that was made ready before, is the same chunk, and comes back."""
        line = b"2026-11-20 10:00:01,%03d WARN [main] com.acme.A - caf\xc3\xa9 %d\n"
        text = b"".join(line % (i, i) for i in range(count))
        batch = LayoutReader("%d %p [%t] %c - %m%n").read(text, 0, {}, final=True)
        events = KeptEvents("s1", batch.bodies(range(count)), {1: ("das_call", {"duration_ms": 7})})
        part = chunk("s1", 0, len(text), events=events)
        ready = store.ready(part)
        assert ready == part
        assert ready.events == tuple(events)
        assert store.commit([(after(stream(), [ready]), [ready])]) == ["committed"]
        assert list(store.events()) == list(events)
        with pytest.raises(StoreError, match="outside"):
            store.commit([(after(stream("s2"), [replace(ready, stream="s2")]), [replace(ready, stream="s2")])])

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

    def test_a_gap_that_is_filled_later(self, store: Store) -> None:
        """An open chunk without bytes gives way to what is found of it, and to a shorter gap behind that."""
        gap = chunk("s1", 100, 500, offsets=[], ts_us=None, raw=b"", gone="deleted", open=True, counts=Counts())
        state = commit(store, stream(), chunk("s1", 0, 100), gap)
        assert (state.end, state.read_end) == (500, 100)
        state = commit(store, state, chunk("s1", 100, 300), replace(gap, start=300))
        assert [(each.start, each.end, each.gone) for each in store.chunks()] == [
            (0, 100, None), (100, 300, None), (300, 500, "deleted")]
        assert (state.end, state.read_end) == (500, 300)
        assert commit(store, state, chunk("s1", 300, 600)).read_end == 600
        assert_whole(store)

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

    def test_many_that_grow_together(self, store: Store) -> None:
        """Groups of streams, of which some grow by an open chunk, some by several, some have moved and some only have
        a new path, leave in every store what they leave in memory."""
        seed = random.randrange(1 << 32)
        print("seed", seed)
        rng, model = random.Random(seed), MemoryStore()
        for _ in range(12):
            group = [grown(rng, model, id) for id in rng.sample("abcdefgh", rng.randrange(1, 8))]
            assert store.commit(group) == model.commit(group)
            assert everything(store) == everything(model)
            assert_whole(store)
            if not rng.randrange(4):
                fold_all(store)
                fold_all(model)


def grown(rng: random.Random, store: Store, id: str) -> tuple[Stream, list[Chunk]]:
    """What is to be committed of a stream next, perhaps upon a state that is not the stored one."""
    [state] = store.streams(id=id) or [stream(id)]
    if not rng.randrange(6):
        state = replace(state, revision=state.revision + rng.choice([-1, 1]))
    if not rng.randrange(6):
        return replace(state, path=f"/{rng.random()}"), []
    ends = [state.end + 10 * i for i in range(1, rng.randrange(2, 4))]
    parts = [chunk(id, start, end, offsets=range(start, end, rng.choice([5, 10])),
                   minutes=sorted(rng.sample(range(T0_MINUTE, T0_MINUTE + 4), rng.randrange(3))))
             for start, end in zip([state.resume, *ends], ends, strict=False)]
    if rng.randrange(4):
        parts[-1] = replace(parts[-1], open=True)
    elif not rng.randrange(4):
        parts[0] = replace(parts[0], raw=b"", events=(), gone="truncated")
    return after(state, parts), parts


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

        in_threads([write] * 4)
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

        in_threads([partial(write, i) for i in range(2)])
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


class TestOpening:
    def test_all_is_there_again(self, url: str, opened: Callable[..., Store]) -> None:
        """What was written is there after closing and opening."""
        first = opened(url)
        commit(first, stream(), chunk("s1", 0, 10))
        first.put_document("a", "b", 0, {"c": 1})
        assert first.fold({BucketKey("calls", "minute", "", 0): Bucket(0, {"{}": b"1"})}, [])
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
