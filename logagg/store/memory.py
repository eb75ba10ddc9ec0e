"""A store in memory: complete, gone when the process ends. For tests; no URL leads to it.

One lock around plain dictionaries; each write is checked wholly before anything is changed, so it happens wholly or
not at all. What is handed out is frozen or a copy. Reads answer from the moment at which they were begun.
"""

import copy
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace as changed
from typing import Any

from logagg.clock import Clock, SystemClock
from logagg.interfaces import Committed
from logagg.record import Bucket, BucketKey, Chunk, Counts, Event, Mark, Partial, Stream
from logagg.store.checks import check_replace, check_steps, counts_change, decide_commits

EXPIRED_MAX = 5000
_Place = tuple[str, int]


class MemoryStore:
    """interfaces.Store over dictionaries."""

    remote = False

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._committed_us: dict[_Place, int] = {}          # chunks and events; what has no time expires by it
        self._lock = threading.RLock()
        self._streams: dict[str, Stream] = {}
        self._chunks: dict[_Place, Chunk] = {}
        self._events: dict[_Place, Event] = {}
        self._unfolded: dict[_Place, Mark] = {}             # in the order of commits
        self._by_minute: dict[int, set[_Place]] = {}        # which chunks have a partial there
        self._buckets: dict[BucketKey, Bucket] = {}
        self._documents: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}

    def streams(self, *, id: str | None = None, host: str | None = None, app: str | None = None,
                first_line: str | None = None) -> list[Stream]:
        asked = {"id": id, "host": host, "app": app, "first_line": first_line}
        wanted = {name: value for name, value in asked.items() if value is not None}
        with self._lock:
            found = [stream for stream in self._streams.values()
                     if all(getattr(stream, name) == value for name, value in wanted.items())]
        found.sort(key=lambda stream: (stream.app, stream.host, stream.path, stream.first_line, stream.n))
        return [copy.deepcopy(stream) for stream in found]

    def ready(self, chunk: Chunk) -> Chunk:
        return chunk

    def commit(self, commits: Sequence[tuple[Stream, Sequence[Chunk]]]) -> list[Committed]:
        with self._lock:
            answers = decide_commits(self._streams, commits)
            for (stream, chunks), answer in zip(commits, answers, strict=True):
                if answer == "committed":
                    self._write(stream, chunks)
            return answers

    def _write(self, stream: Stream, chunks: Sequence[Chunk]) -> None:
        self._streams[stream.id] = changed(copy.deepcopy(stream), revision=stream.revision + 1)
        if not chunks:
            return
        old = self._chunks.get((stream.id, chunks[0].start))
        dirty = self._drop(old) if old is not None else set()
        for chunk in chunks:
            self._put(changed(chunk, revision=old.revision + 1 if old and old.start == chunk.start else 1),
                      dirty if chunk is chunks[0] else set())

    def _put(self, chunk: Chunk, dirty: set[int]) -> None:
        """Store a chunk with its parts, not folded, dirty with its own minutes and those given."""
        place = (chunk.stream, chunk.start)
        chunk = copy.deepcopy(chunk)
        self._chunks[place] = chunk
        self._committed_us[place] = self._clock.now_us()
        for event in chunk.events:
            self._events[event.stream, event.offset] = event
            self._committed_us[event.stream, event.offset] = self._committed_us[place]
        for partial in chunk.partials:
            self._by_minute.setdefault(partial.minute, set()).add(place)
        minutes = dirty | {partial.minute for partial in chunk.partials}
        self._unfolded[place] = Mark(chunk.stream, chunk.start, chunk.revision, tuple(sorted(minutes)))

    def _drop(self, chunk: Chunk) -> set[int]:
        """Remove a chunk with its parts; the minutes that are dirty without it."""
        place = (chunk.stream, chunk.start)
        del self._chunks[place]
        for event in chunk.events:
            self._events.pop((event.stream, event.offset), None)
        for partial in chunk.partials:
            places = self._by_minute[partial.minute]
            places.discard(place)
            if not places:
                del self._by_minute[partial.minute]
        mark = self._unfolded.pop(place, None)
        return {partial.minute for partial in chunk.partials} | set(mark.dirty if mark else ())

    def replace(self, stream: str, start: int, end: int, revisions: Mapping[int, int],
                chunks: Sequence[Chunk]) -> bool:
        with self._lock:
            there = [chunk for place, chunk in sorted(self._chunks.items())
                     if place[0] == stream and start <= chunk.start < end]
            if {chunk.start: chunk.revision for chunk in there} != dict(revisions):
                return False
            check_replace(stream, start, end, there, chunks)
            revision = max(revisions.values()) + 1
            dirty = set().union(*(self._drop(chunk) for chunk in there))
            for chunk in chunks:
                self._put(changed(chunk, revision=revision), dirty if chunk is chunks[0] else set())
            state, change = self._streams[stream], counts_change(there, chunks)
            if change != Counts():                          # a tailer's own state has moved then
                self._streams[stream] = changed(state, counts=state.counts + change, revision=state.revision + 1)
            return True

    def chunks(self, *, stream: str | None = None, from_us: int | None = None, to_us: int | None = None,
               start: int | None = None, end: int | None = None, with_parts: bool = False) -> Iterator[Chunk]:
        with self._lock:
            found = [chunk for _, chunk in sorted(self._chunks.items())
                     if stream in (None, chunk.stream)
                     and (start is None or chunk.end > start) and (end is None or chunk.start < end)
                     and _in_time(chunk, from_us, to_us)]
            if with_parts:
                found = [changed(chunk, events=tuple(self._present(chunk))) for chunk in found]
            else:
                found = [changed(chunk, events=(), partials=()) for chunk in found]
        for chunk in found:
            yield copy.deepcopy(chunk)

    def _present(self, chunk: Chunk) -> Iterator[Event]:
        """The chunk's events that have not expired."""
        return (event for event in chunk.events if (event.stream, event.offset) in self._events)

    def events(self, *, from_us: int | None = None, to_us: int | None = None, names: Sequence[str] | None = None,
               stream: str | None = None, after: tuple[int, str, int] | None = None,
               limit: int | None = None) -> Iterator[Event]:
        wanted = None if names is None else set(names)
        timed = from_us is not None or to_us is not None
        with self._lock:
            found = [event for event in self._events.values()
                     if stream in (None, event.stream)
                     and (wanted is None or event.event in wanted)
                     and not (timed and event.ts_us is None)
                     and (from_us is None or event.ts_us is None or event.ts_us >= from_us)
                     and (to_us is None or event.ts_us is None or event.ts_us < to_us)
                     and (after is None or _event_key(event) > after)]
        found.sort(key=_event_key)
        for event in found[:limit]:
            yield copy.deepcopy(event)

    def unfolded(self, limit: int) -> list[Mark]:
        with self._lock:
            return list(self._unfolded.values())[:limit]

    def partials(self, minutes: Sequence[int]) -> Iterator[Partial]:
        wanted = set(minutes)
        with self._lock:
            found = [partial for minute in wanted for place in self._by_minute.get(minute, ())
                     for partial in self._chunks[place].partials if partial.minute == minute]
        yield from found

    def fold(self, buckets: Mapping[BucketKey, Bucket], marks: Iterable[Mark]) -> bool:
        with self._lock:
            for key, bucket in buckets.items():
                stored = self._buckets.get(key)
                if (stored.revision if stored else 0) != bucket.revision:
                    return False
            for key, bucket in buckets.items():
                self._buckets[key] = Bucket(bucket.revision + 1, dict(bucket.rows))
            for mark in marks:
                present = self._unfolded.get((mark.stream, mark.start))
                if present is not None and present.revision == mark.revision:
                    del self._unfolded[mark.stream, mark.start]
            return True

    def buckets(self, step: str, zone: str, start: int, end: int, *,
                metric: str | None = None) -> Iterator[tuple[BucketKey, Bucket]]:
        with self._lock:
            found = [(key, bucket) for key, bucket in self._buckets.items()
                     if key.step == step and key.zone == zone and start <= key.start < end
                     and metric in (None, key.metric)]
        found.sort(key=lambda item: (item[0].start, item[0].metric))
        for key, bucket in found:
            yield key, Bucket(bucket.revision, dict(bucket.rows))

    def expire(self, *, raw_before_us: int | None = None, events_before_us: int | None = None,
               buckets_before: Mapping[str, int] | None = None) -> dict[str, int]:
        check_steps(buckets_before or ())
        with self._lock:
            return {
                "chunks": self._expire_chunks(raw_before_us) if raw_before_us is not None else 0,
                "events": self._expire_events(events_before_us) if events_before_us is not None else 0,
                "buckets": sum(self._expire_buckets(step, before) for step, before in (buckets_before or {}).items()),
            }

    def _expire_chunks(self, before_us: int) -> int:
        old = [chunk for place, chunk in self._chunks.items()
               if not chunk.open and place not in self._unfolded
               and (self._committed_us[place] if chunk.ts_to_us is None else chunk.ts_to_us) < before_us][:EXPIRED_MAX]
        for chunk in old:
            kept = {(event.stream, event.offset): event for event in self._present(chunk)}
            self._drop(chunk)
            self._events |= kept            # events have a retention of their own
        return len(old)

    def _expire_events(self, before_us: int) -> int:
        old = [place for place, event in self._events.items()
               if (self._committed_us[place] if event.ts_us is None else event.ts_us) < before_us][:EXPIRED_MAX]
        for place in old:
            del self._events[place]
        return len(old)

    def _expire_buckets(self, step: str, before: int) -> int:
        old = [key for key in self._buckets if key.step == step and key.start < before][:EXPIRED_MAX]
        for key in old:
            del self._buckets[key]
        return len(old)

    def document(self, kind: str, key: str) -> tuple[int, dict[str, Any]] | None:
        with self._lock:
            return copy.deepcopy(self._documents.get((kind, key)))

    def documents(self, kind: str, *, start: str = "", end: str | None = None) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {place[1]: copy.deepcopy(value) for place, (_, value) in sorted(self._documents.items())
                    if place[0] == kind and place[1] >= start and (end is None or place[1] < end)}

    def put_document(self, kind: str, key: str, revision: int | None, value: dict[str, Any]) -> bool:
        with self._lock:
            stored = self._documents.get((kind, key), (0, {}))[0]
            if revision not in (None, stored):
                return False
            self._documents[kind, key] = (stored + 1, copy.deepcopy(value))
            return True

    def check_space(self) -> None:
        """There is none to run out of."""

    def size_bytes(self) -> int:
        """Bytes of what is stored: the raw bytes, partials and rollups, without Python's own overhead."""
        with self._lock:
            return (sum(len(chunk.raw) + sum(len(partial.data) for partial in chunk.partials)
                        for chunk in self._chunks.values())
                    + sum(len(row) for bucket in self._buckets.values() for row in bucket.rows.values()))

    def close(self) -> None:
        """Nothing to close: what is stored stays readable until the store itself is forgotten."""


def _in_time(chunk: Chunk, from_us: int | None, to_us: int | None) -> bool:
    if from_us is None and to_us is None:
        return True
    if chunk.ts_from_us is None or chunk.ts_to_us is None:
        return False
    return (from_us is None or chunk.ts_to_us >= from_us) and (to_us is None or chunk.ts_from_us < to_us)


def _event_key(event: Event) -> tuple[int, str, int]:
    return (-1 if event.ts_us is None else event.ts_us, event.stream, event.offset)
