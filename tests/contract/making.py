"""Small streams, chunks and events for store tests, and the invariant that every store must keep."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from logagg.interfaces import Store
from logagg.record import Chunk, Counts, Event, Partial, Stream
from logagg.store.memory import MemoryStore

MINUTE_US = 60_000_000
T0_MINUTE = 28_333_333
T0_US = T0_MINUTE * MINUTE_US                       # 2023-11-14 22:13 UTC

ABSENT: Any = object()


def event(stream: str, offset: int, ts_us: int | None = T0_US, *, name: str | None = "das_call",
          level: str | None = "INFO", **body: Any) -> Event:
    whole = {"ts": "2023-11-14T22:13:00.000Z" if ts_us is not None else None, "level": level, "event": name,
             "message": f"at {offset}", **body}
    return Event(stream, offset, ts_us, level, name, {key: value for key, value in whole.items() if value is not None})


def chunk(stream: str, start: int, end: int, *, offsets: Sequence[int] | None = None, ts_us: int | None = T0_US,
          minutes: Sequence[int] | None = None, **changes: Any) -> Chunk:
    """A chunk with an event at each of `offsets` (default: one at its start) and a partial at each of `minutes`."""
    offsets = [start] if offsets is None else offsets
    if minutes is None:
        minutes = [] if ts_us is None else [ts_us // MINUTE_US]
    name = stream.encode("utf-8", "surrogatepass")
    parts = {"events": tuple(event(stream, offset, ts_us) for offset in offsets),
             "partials": tuple(Partial(minute, name + f":{start}:{minute}".encode()) for minute in minutes)}
    return replace(Chunk(stream, start, end, b"raw " + name + f" {start}".encode(), {"at": start}, ts_from_us=ts_us,
                         ts_to_us=ts_us, counts=Counts(len(offsets), len(offsets))), **{**parts, **changes})


def stream(id: str = "s1", **changes: Any) -> Stream:
    return replace(Stream(id, "app01", "das", f"/var/log/{id}.log", f"first line of {id}"), **changes)


def after(state: Stream, chunks: Sequence[Chunk], **changes: Any) -> Stream:
    """The stream's new state once `chunks` are committed."""
    last = chunks[-1]
    closed = [part.counts for part in chunks if not part.open]
    return replace(state, end=last.end, resume=last.start if last.open else last.end, carry={"at": last.end},
                   counts=sum(closed, state.counts), open_counts=last.counts if last.open else Counts(), **changes)


def commit(store: Store, state: Stream, *chunks: Chunk) -> Stream:
    """Commit, which must succeed; the answer is the stored state."""
    assert store.commit([(after(state, chunks), chunks)]) == ["committed"]
    return stored(store, state.id)


def stored(store: Store, id: str) -> Stream:
    [found] = store.streams(id=id)
    return found


def fold_all(store: Store) -> None:
    assert store.fold({}, store.unfolded(1_000_000))


def everything(store: Store) -> dict[str, Any]:
    """All that the store answers, to compare two states of it or two stores."""
    return {
        "streams": store.streams(),
        "chunks": list(store.chunks(with_parts=True)),
        "events": list(store.events()),
        "marks": sorted(store.unfolded(1_000_000), key=lambda mark: (mark.stream, mark.start)),
        "partials": sorted((part.minute, part.data) for part in store.partials(range(T0_MINUTE - 5, T0_MINUTE + 200))),
        "buckets": [item for step in ("minute", "hour", "day") for item in store.buckets(step, "", 0, 1 << 40)],
    }


def assert_whole(store: Store) -> None:
    """The invariant: each stream's chunks follow each other up to its end; `resume` is where its open one starts."""
    for state in store.streams():
        position = None
        last = None
        for last in store.chunks(stream=state.id):
            assert position in (None, last.start), f"a gap or an overlap at {last.start}"
            position = last.end
        if last is not None:
            assert (state.end, state.resume) == (last.end, last.start if last.open else last.end)


def in_threads(steps: Sequence[Callable[[], object]]) -> None:
    """Run the steps side by side, each in a thread, to their ends."""
    threads = [threading.Thread(target=step) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def assert_pages_agree(store: Store, rng: random.Random, tries: int) -> None:
    """Events whose times fall on pages by chance come in the contract's order, and continue behind any key, as the
    memory store has them."""
    model = MemoryStore()
    for id in rng.sample("abcdef", 4):
        events = tuple(event(id, i, rng.choice([None, *(T0_US + k for k in range(rng.choice([2, 20])))]),
                             name=rng.choice("xyz")) for i in range(40))
        for each in (model, store):
            commit(each, stream(id), chunk(id, 0, 40, events=events))
    whole = list(model.events())
    assert list(store.events()) == whole
    for _ in range(tries):
        at = rng.choice(whole)
        given: dict[str, Any] = {
            "after": rng.choice([None, (-1 if at.ts_us is None else at.ts_us, at.stream, at.offset)]),
            "from_us": rng.choice([None, T0_US + rng.randrange(20)]),
            "to_us": rng.choice([None, T0_US + rng.randrange(20)]), "names": rng.choice([None, ["x"], ["x", "z"]]),
            "stream": rng.choice([None, None, at.stream]), "limit": rng.choice([None, 3])}
        assert list(store.events(**given)) == list(model.events(**given)), given
