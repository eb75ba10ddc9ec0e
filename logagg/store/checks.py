"""What a commit, a replacement and a fold may be: the rules that all stores share, as pure functions.

They raise StoreError for what no retry can cure. What has merely moved in the meantime is no error; the stores
compare revisions for that before they come here.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

from logagg.bodies import KeptEvents
from logagg.errors import StoreError
from logagg.interfaces import Committed
from logagg.record import Chunk, Counts, Event, Stream
from logagg.store.codec import printable

EXPIRING_STEPS = ("minute", "quarter", "hour")


class Position(Protocol):
    """What of a stored stream tells whether it may be committed."""

    @property
    def revision(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def resume(self) -> int: ...


def decide_commits(stored: Mapping[str, Position],
                   commits: Sequence[tuple[Stream, Sequence[Chunk]]]) -> list[Committed]:
    """Which streams of a group may be committed, given the stored ones by id; raises for what is wrong in itself.

    A stream that is given twice is "moved" the second time: the first has raised its revision.
    """
    answers: list[Committed] = []
    taken: set[str] = set()
    for stream, chunks in commits:
        present = stored.get(stream.id)
        if (present.revision if present else 0) != stream.revision or stream.id in taken:
            answers.append("moved")
            continue
        check_commit(present, stream, chunks)
        taken.add(stream.id)
        answers.append("committed")
    return answers


def check_commit(stored: Position | None, stream: Stream, chunks: Sequence[Chunk]) -> None:
    """The chunks lead from the stored `resume` to the new `end` without a gap; the new state agrees with them."""
    resume, end = (stored.resume, stored.end) if stored else (0, 0)
    where = f"stream {printable(stream.id)}"
    if not chunks:
        if (stream.end, stream.resume) != (end, resume):
            raise StoreError(f"{where}: without chunks end and resume stay at {end} and {resume},"
                             f" not {stream.end} and {stream.resume}")
        return
    if chunks[0].start != resume:
        kind = "a gap" if chunks[0].start > resume else "bytes that are already committed"
        raise StoreError(f"{where}: {kind}: the first chunk starts at {chunks[0].start}, the stream goes on at"
                         f" {resume}; read the stream again and trim, or commit what is missing first")
    check_chunks(stream.id, chunks)
    for chunk in chunks[:-1]:
        if chunk.open:
            raise StoreError(f"{where}: only the last chunk may be open, not the one at {chunk.start}")
    last = chunks[-1]
    expected = (last.end, last.start if last.open else last.end)
    if (stream.end, stream.resume) != expected:
        raise StoreError(f"{where}: end and resume are {stream.end} and {stream.resume}, by the chunks they must be"
                         f" {expected[0]} and {expected[1]}")
    if stream.end < end:
        raise StoreError(f"{where}: the new end {stream.end} is below the committed end {end}")


def check_chunks(stream: str, chunks: Sequence[Chunk]) -> None:
    """Chunks of one stream that follow each other, each with its own events and one partial a minute."""
    for before, after in pairwise(chunks):
        if before.end != after.start:
            raise StoreError(f"stream {printable(stream)}: not contiguous: a chunk ends at {before.end},"
                             f" the next starts at {after.start}")
    for chunk in chunks:
        where = f"stream {printable(stream)}, chunk [{chunk.start}, {chunk.end})"
        if chunk.stream != stream:
            raise StoreError(f"{where}: belongs to another stream, {printable(chunk.stream)}")
        if not 0 <= chunk.start < chunk.end:
            raise StoreError(f"{where}: a chunk holds at least one byte")
        _check_parts(where, chunk)


def _check_parts(where: str, chunk: Chunk) -> None:
    offsets, streams = _places(chunk.events)
    if offsets and not (streams == {chunk.stream} and chunk.start <= min(offsets) and max(offsets) < chunk.end):
        event = next(event for event in chunk.events
                     if event.stream != chunk.stream or not chunk.start <= event.offset < chunk.end)
        raise StoreError(f"{where}: an event of {printable(event.stream)} at {event.offset} is outside")
    if len(offsets) != len(chunk.events):
        raise StoreError(f"{where}: two events have the same offset")
    if len({partial.minute for partial in chunk.partials}) != len(chunk.partials):
        raise StoreError(f"{where}: two partials have the same minute")


def _places(events: Sequence[Event]) -> tuple[set[int], set[str]]:
    """The offsets and the streams of events, which are not made for this where there are columns."""
    if isinstance(events, KeptEvents):
        return set(events.bodies.offsets), {events.stream}
    return {event.offset for event in events}, {event.stream for event in events}


def check_replace(stream: str, start: int, end: int, old: Sequence[Chunk], new: Sequence[Chunk]) -> None:
    """The stored chunks `old` (by start) are closed and cover [start, end) exactly, and so do the new ones."""
    where = f"stream {printable(stream)}, replacing [{start}, {end})"
    for name, chunks in (("stored", old), ("new", new)):
        if not chunks or chunks[0].start != start or chunks[-1].end != end:
            raise StoreError(f"{where}: the {name} chunks do not cover these bytes from the first to the last")
        if any(chunk.open for chunk in chunks):
            raise StoreError(f"{where}: a {name} chunk is open; only closed ones can be replaced")
    for before, after in pairwise(old):
        if before.end != after.start:
            raise StoreError(f"{where}: the stored chunks leave a gap at {before.end}; replace each side alone")
    check_chunks(stream, new)


def check_steps(steps: Iterable[str]) -> None:
    for step in steps:
        if step not in EXPIRING_STEPS:
            raise StoreError(f"buckets of step {printable(step)} do not expire; expected: {', '.join(EXPIRING_STEPS)}")


def dirty_minutes(*minutes: Iterable[int]) -> list[int]:
    """The minutes of all given collections, once each, ascending."""
    return sorted(set().union(*minutes))


def counts_change(old: Iterable[Chunk], new: Iterable[Chunk]) -> Counts:
    """By how much a replacement changes the stream's counts."""
    after, before = sum((c.counts for c in new), Counts()), sum((c.counts for c in old), Counts())
    return Counts(after.records - before.records, after.events - before.events, after.rejects - before.rejects,
                  after.rejected_bytes - before.rejected_bytes)
