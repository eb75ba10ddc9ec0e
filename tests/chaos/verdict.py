"""What is stored, against what was written.

Each stream is one generation's bytes from its first on, each generation's bytes are in one stream; what is missing was
destroyed; records, counts and rollups are what reading each stream's bytes at once gives; chunks follow each other;
and the ledger adds up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from logagg.ingest import Ingest, Segment
from logagg.interfaces import Store
from logagg.ledger import GONE, ledger
from logagg.raw import decompress
from logagg.record import Chunk, Counts, Stream
from logagg.rollup.fold import Folder
from logagg.rollup.partial import merge_partials
from logagg.source.gone import log_name
from logagg.source.identity import HEAD_BYTES
from logagg.store.memory import MemoryStore
from tests.chaos.world import METRICS, World, pipelines
from tests.chaos.written import Generation, Log
from tests.rollups import snapshot


@dataclass(frozen=True)
class Stored:
    """A stream, the bytes that the store has of it, and how many it knows to be gone behind them."""

    stream: Stream
    content: bytes
    gone: int
    chunks: tuple[Chunk, ...]


def problems(world: World) -> list[str]:
    """What is wrong, in words; nothing is right."""
    store = world.store.store
    found = [_stored(stream, list(store.chunks(stream=stream.id, with_parts=True))) for stream in store.streams()]
    wrong = [text for one in found for text in _chunk_problems(one)]
    wrong += _content_problems(world, found)
    if not wrong:
        wrong += _reading_problems(world, found)
        wrong += _ledger_problems(world, found)
    return wrong


def _stored(stream: Stream, chunks: list[Chunk]) -> Stored:
    content = b"".join(decompress(chunk.raw) for chunk in chunks if chunk.gone is None)
    gone = sum(chunk.end - chunk.start for chunk in chunks if chunk.gone is not None)
    return Stored(stream, content, gone, tuple(chunks))


def _chunk_problems(one: Stored) -> Iterator[str]:
    """The chunks lead from 0 to the stream's end, only the last may be open, and nothing but what is gone is last."""
    stream, chunks = one.stream, one.chunks
    if not chunks or chunks[0].start or any(a.end != b.start for a, b in pairwise(chunks)):
        yield f"{_name(one)}: its chunks are not contiguous: {[(c.start, c.end) for c in chunks]}"
        return
    if chunks[-1].end != stream.end:
        yield f"{_name(one)}: ends at {stream.end}, its chunks at {chunks[-1].end}"
    if (chunks[-1].start if chunks[-1].open else chunks[-1].end) != stream.resume or any(c.open for c in chunks[:-1]):
        yield f"{_name(one)}: resumes at {stream.resume}, but open are {[c.start for c in chunks if c.open]}"
    if any(len(decompress(c.raw)) != c.end - c.start for c in chunks if c.gone is None):
        yield f"{_name(one)}: a chunk does not hold the bytes that it says"
    if any(a.gone is not None and b.gone is None for a, b in pairwise(chunks)):
        yield f"{_name(one)}: goes on behind what is gone"


# --- bytes ------------------------------------------------------------------------------------------------------------


def _content_problems(world: World, found: list[Stored]) -> Iterator[str]:
    """Match streams with generations, one to one."""
    whose = match(world, found)
    for one in found:
        if whose.get(one.stream.id) is None:
            yield f"{_name(one)}: nobody wrote this, or it is stored twice: {_shape(one.content)}"
    stored = {generation: one for one in found if (generation := whose.get(one.stream.id)) is not None}
    for generation in world.written.generations:
        size = len(stored[generation].content) if generation in stored else 0
        least = len(generation.text) if generation.floor is None else generation.floor
        if size < least and not _begins_another(world, generation):
            yield (f"{generation.log.path.name}: {least - size} bytes are lost: of {_shape(generation.text)}"
                   f" {size} bytes are stored")
        alike = len(generation.log.banner) >= HEAD_BYTES
        if generation in stored and size + stored[generation].gone > len(generation.text) and not alike:
            yield f"{generation.log.path.name}: more is said to be gone of {_shape(generation.text)} than there was"


def _begins_another(world: World, generation: Generation) -> bool:
    """Whether it holds nothing of its own: then it cannot be told from a copy of another one's beginning."""
    return any(other is not generation and other.log.app == generation.log.app and other.text.startswith(
        generation.text) for other in world.written.generations)


def match(world: World, found: list[Stored]) -> Mapping[str, Generation]:
    """A stream's generation by the stream's id. What several begin with is taken for the beginning of one of which
    nothing else is stored."""
    whose: dict[str, Generation] = {}
    for one in sorted(found, key=lambda one: -len(one.content)):
        candidates = [g for g in world.written.generations if g not in whose.values() and g.text.startswith(one.content)
                      and g.log.app == one.stream.app and one.content]
        if candidates:
            whose[one.stream.id] = max(candidates, key=lambda g: (len(g.text) == len(one.content), g.floor is not None))
    return whose


# --- records ----------------------------------------------------------------------------------------------------------


def _reading_problems(world: World, found: list[Stored]) -> Iterator[str]:
    """Records, counts and rollups are what reading at once gives."""
    at_once = MemoryStore()
    for one in found:
        ingest = Ingest(at_once, pipelines(world.options))
        fresh = Stream(one.stream.id, one.stream.host, one.stream.app, one.stream.path, one.stream.first_line)
        ingest.commit([Segment(fresh, 0, one.content, flush=True, whole=True, path=one.stream.path)])
        again = _stored(at_once.streams(id=one.stream.id)[0],
                        list(at_once.chunks(stream=one.stream.id, with_parts=True)))
        for what, left, right in zip(("records", "counts", "partials"), _read(one), _read(again), strict=True):
            if left != right:
                yield f"{_name(one)}: its {what} are not those of reading at once: {_difference(left, right)}"
    store: Store = world.store.store
    for folded in (store, at_once):
        Folder(folded, METRICS).fold_all()
    left, right = snapshot(store, ["UTC"]), snapshot(at_once, ["UTC"])
    if left != right:
        yield f"rollups differ: {[place for place in left if left[place] != right[place]]}"


def _read(one: Stored) -> tuple[Any, Any, Any]:
    events = [(e.offset, e.ts_us, e.level, e.event, e.body) for chunk in one.chunks for e in chunk.events]
    counts = one.stream.counts + one.stream.open_counts
    assert counts == sum((chunk.counts for chunk in one.chunks), Counts())
    minutes: dict[int, list[bytes]] = {}
    for chunk in one.chunks:
        for part in chunk.partials:
            minutes.setdefault(part.minute, []).append(part.data)
    return events, counts, {minute: merge_partials(datas) for minute, datas in minutes.items()}


def _difference(left: Any, right: Any) -> str:
    if isinstance(left, list) and isinstance(right, list):
        left, right = [x for x in left if x not in right][:3], [x for x in right if x not in left][:3]
    return f"{left!s:.500} / {right!s:.500}"


# --- the ledger -------------------------------------------------------------------------------------------------------


def _ledger_problems(world: World, found: list[Stored]) -> Iterator[str]:
    """What was found is committed, pending or dropped, and nothing is pending but short copies, of which nobody can
    tell whether they are copies; what was seen and destroyed is counted. How many losses that went unseen lie within
    a flagged interval is told, no more: an agent that is killed right then leaves no trace."""
    told = ledger(world.store.store, world.clock.now_us())
    for row in told["streams"]:
        if row["found"] != row["committed"] + row["pending"] + sum(row["dropped"].values()):
            yield f"{row['path']}: the ledger does not add up: {row}"
        if row["pending"] and not (row["stream"] is None and row["found"] < HEAD_BYTES):
            yield f"{row['path']}: bytes are pending: {row}"
    whose = match(world, found)
    stored = {whose[one.stream.id]: len(one.content) for one in found}
    for log in world.written.logs:
        own = [generation for generation in world.written.generations if generation.log is log]
        gone = [g for g in own if g.floor is not None and stored.get(g, 0) < len(g.text)]
        least, most = (sum(max(0, size[generation] - stored.get(generation, 0)) for generation in gone)
                       for size in (world.sure, world.seen))
        most *= 1 + bool(world.counts["second_agent"])      # what two have lost before it had a name is counted by both
        counted = _counted(log, own, told["streams"], whose)
        world.tally["destroyed"] += sum(len(g.text) - stored.get(g, 0) for g in gone)
        world.tally["counted"] += counted
        world.tally["logs counted exactly" if least == most else "logs counted within bounds"] += bool(most)
        # Of what was destroyed before it was identified only the first 1 KiB is known: not whose, if all begin so.
        if not least <= counted <= most and len(log.banner) < HEAD_BYTES:
            yield f"{log.path.name}: {counted} bytes are counted as destroyed, {least} to {most} had been seen"
        for generation in gone:
            if stored.get(generation) and world.sure[generation] < len(generation.text):
                flagged = _is_flagged(world, generation, told["unseen"])
                world.tally[f"unseen losses {'within' if flagged else 'outside of'} a flagged interval"] += 1


def _counted(log: Log, own: list[Generation], rows: list[dict[str, Any]], whose: Mapping[str, Generation]) -> int:
    """How many bytes of a log the ledger has as destroyed."""
    return sum(size for row in rows for reason, size in row["dropped"].items() if reason in GONE
               and (whose[row["stream"]] in own if row["stream"] else Path(row["path"]).name.startswith(log.path.name)))


def _is_flagged(world: World, generation: Generation, unseen: list[dict[str, Any]]) -> bool:
    """Whether an interval of the log holds the moment of the loss, whatever the clock was put back meanwhile."""
    lost = datetime.fromtimestamp(generation.lost_us / 1e6, UTC)
    slack = timedelta(microseconds=world.clock.behind_us + 1000)
    return any(log_name(one["path"]) == log_name(str(generation.log.path))
               and datetime.fromisoformat(one["from"]) - slack <= lost <= datetime.fromisoformat(one["to"]) + slack
               for one in unseen)


def _name(one: Stored) -> str:
    return f"{one.stream.app} {one.stream.path.rpartition('/')[2]} ({one.stream.id[:6]} n={one.stream.n})"


def _shape(text: bytes | bytearray) -> str:
    return f"[{len(text)} bytes: {bytes(text[:20])!r} … {bytes(text[-20:])!r}]"
