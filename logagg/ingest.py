"""The heart: a block of bytes becomes records, events and partials, and is committed exactly once.

`Ingest.commit` takes segments (bytes of streams, as an agent read them), trims what the store has already, reads
what is new, and commits all streams of the group in one transaction. A line is safe when `commit` has returned and
its offset is below the answer's `stream.end`; before that the file is the only copy.

Like a TCP segment: what lies wholly below the stream's end is there already, what begins below it is trimmed, what
begins above it is refused, and the answer tells where to go on. What is known to be gone is committed as an open chunk
without bytes (`give_up`): should its bytes turn up in a copy after all, they take its place.

While a server commits one piece of a long segment, the next one is read. That one is only offered once the answer is
there, and is thrown away where that says "moved": nothing is ever written upon a state that the store refused.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

import numpy as np

from logagg.bodies import KeptEvents
from logagg.columns import NO_TIME
from logagg.grammar.detect import PREFIX_BYTES
from logagg.interfaces import Batch, Claims, Classifier, Committed, Reader, Store
from logagg.raw import HOLE, compress, content, find_hole
from logagg.record import Carry, Chunk, Counts, Event, Stream
from logagg.rollup.metric import MetricSet
from logagg.rollup.partial import FEW_MAX, MINUTE_US, partials
from logagg.source.identity import WINDOW_BYTES, advance

log = logging.getLogger(__name__)

SEVERE = frozenset({"WARN", "WARNING", "ERROR", "SEVERE", "FATAL", "CRITICAL", "ALERT", "EMERG", "EMERGENCY", "PANIC"})
"""Levels at or above WARN, in the words of Log4j, java.util.logging, Python and syslog."""

PREVIEW_CHARS = 1000
MOVED_ATTEMPTS_MAX = 100
TRANSACTION_EVENTS_MAX = 10_000
PIECE_LINES_MAX = 10_000
OPEN_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes of one stream, from `start` on, as an agent read them; best from 4 KiB before `stream.resume`, because the
    end's window is made of them, and the store may not keep them any more.

    `stream` is the state as the agent knows it. `flush`: the stream is quiet, so commit the last record too, as an
    open chunk. `whole`: take an unfinished last line as complete.
    """

    stream: Stream
    start: int
    data: bytes
    flush: bool
    whole: bool = False
    path: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The stream's committed state, and the stream offset from which the next segment is expected."""

    stream: Stream
    next: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How the streams of one source are read and what is kept of them."""

    reader: Reader
    classifier: Classifier
    metrics: MetricSet
    keep: Literal["events", "all"] = "events"
    record_bytes_max: int = 1 << 20


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one segment adds to its stream: the next state and its chunks. `more`: the segment has more to add."""

    stream: Stream
    chunks: tuple[Chunk, ...]
    more: bool = False


class Ingest:
    """Commits segments. One instance per thread."""

    def __init__(
        self, store: Store, pipeline_for: Callable[[Stream], Pipeline], on_commit: Callable[[], None] = lambda: None
    ) -> None:
        """`on_commit` is called behind each transaction, so that what waits for new data need not poll."""
        self._store = store
        self._on_commit = on_commit
        self._pipeline_for = pipeline_for
        self._threads: ThreadPoolExecutor | None = None
        self._under_way: tuple[tuple[int, ...], Future[list[Committed]]] | None = None

    def commit(self, segments: Sequence[Segment]) -> list[Outcome]:
        """Commit all segments as one group; one outcome per segment, in order.

        A segment of which nothing can be committed yet (its last record may still grow, or it begins behind a gap)
        is no error: its outcome tells where to go on. Raises StoreUnavailable when the store is out of reach: the
        same segments may then be offered again, whether or not they had got there.
        """
        states = [segment.stream for segment in segments]
        try:
            self._commit_all(segments, states)
        finally:
            self._wait()
        return [Outcome(state, state.resume) for state in states]

    def give_up(self, stream: Stream, end: int, reason: str) -> Stream:
        """Commit what lies behind the stream's committed end, up to `end`, as gone; the state that is stored then.

        Nothing is written where the store has (or knows as gone) that much already.
        """
        for _ in range(MOVED_ATTEMPTS_MAX):
            state = self._current(stream)
            if state.end >= end:
                return state
            after, chunks = self._without(state, end, reason)
            if self._store.commit([(after, chunks)]) == ["committed"]:
                self._on_commit()
                return replace(after, revision=after.revision + 1)
        raise RuntimeError(f"stream {stream.id} kept moving for {MOVED_ATTEMPTS_MAX} attempts")

    def _without(self, state: Stream, end: int, reason: str) -> tuple[Stream, tuple[Chunk, ...]]:
        """The state behind a gap that reaches to `end`, with the gap's chunk, and the open one before it closed."""
        closed: tuple[Chunk, ...] = ()
        carry = state.carry
        if state.resume < state.read_end:
            stored = self._store.chunks(stream=state.id, start=state.resume, end=state.read_end)
            data = b"".join(map(content, stored))
            pipeline = self._pipeline_for(state)
            try:
                batch = pipeline.reader.read(data, state.resume, carry, final=True)
                closed, carry = (_chunk(state, data, batch, carry, pipeline),), batch.carry
            except Exception:
                log.exception("%s: reading again at offset %d failed; kept as a reject", state.path, state.resume)
                closed = (_failed(state, data, pipeline),)
        gap = Chunk(state.id, state.read_end, end, b"", carry, open=True, gone=reason)
        counts = sum((chunk.counts for chunk in closed), state.counts)
        return replace(state, end=end, resume=gap.start, carry=carry, counts=counts, open_counts=Counts(),
                       dropped=_dropped(state, (gap,))), (*closed, gap)

    def _commit_all(self, segments: Sequence[Segment], states: list[Stream]) -> None:
        """Commit piece after piece; `states` run ahead of the store by the one transaction that is under way."""
        pending, attempts = set(range(len(segments))), 0
        while pending:
            moved: set[int] = set()
            more: set[int] = set()
            planned = ((i, plan) for i in sorted(pending) if (plan := self._plan(states[i], segments[i])))
            for plans in _transactions(planned):    # read no further before it is written: events take much memory
                moved |= self._answer()
                group = {i: plan for i, plan in plans.items() if i not in moved}
                more |= {i for i, plan in group.items() if plan.more}
                self._write(group, ahead=bool(more))
                for i, plan in group.items():
                    states[i] = replace(plan.stream, revision=plan.stream.revision + 1)
                del group
            if not more:
                moved |= self._answer()
            for i in moved:
                states[i] = self._current(states[i])
            attempts = attempts + 1 if moved else 0
            if attempts > MOVED_ATTEMPTS_MAX:
                raise RuntimeError(f"stream {states[min(moved)].id} kept moving for {attempts} attempts")
            pending = moved | more

    def _write(self, plans: dict[int, _Plan], *, ahead: bool) -> None:
        """Begin to commit the plans; `ahead`: there is more to read meanwhile. `_answer` tells what came of it."""
        if not plans:
            return
        commits = [(plan.stream, plan.chunks) for plan in plans.values()]
        if ahead and self._store.remote:
            self._threads = self._threads or ThreadPoolExecutor(1, "commit")
            self._under_way = tuple(plans), self._threads.submit(self._store.commit, commits)
        else:
            done: Future[list[Committed]] = Future()
            done.set_result(self._store.commit(commits))
            self._under_way = tuple(plans), done

    def _answer(self) -> set[int]:
        """Wait for the transaction under way, if any: the numbers of those plans whose streams had moved."""
        if self._under_way is None:
            return set()
        numbers, answers = self._under_way
        self._under_way = None
        moved = {i for i, answer in zip(numbers, answers.result(), strict=True) if answer == "moved"}
        self._on_commit()
        return moved

    def _wait(self) -> None:
        """Leave nothing behind under way, whatever went wrong: the segments may be offered again at once."""
        if self._under_way is not None:
            wait([self._under_way[1]])
            self._under_way = None

    def _current(self, stream: Stream) -> Stream:
        """The stored state of a stream that has moved; one that is not stored (any more) is new."""
        stored = self._store.streams(id=stream.id)
        return stored[0] if stored else Stream(stream.id, stream.host, stream.app, stream.path, stream.first_line,
                                               stream.n)

    def _plan(self, state: Stream, segment: Segment) -> _Plan | None:
        """What this segment adds to `state`; None where there is nothing to write."""
        renamed = bool(segment.path) and segment.path != state.path
        if renamed:
            state = replace(state, path=segment.path)
        pipeline = self._pipeline_for(state)
        data = _trim(state, segment, pipeline.record_bytes_max)
        hole, end = find_hole(data, state.resume, state.carry) if state.read_end == state.end else (len(data),) * 2
        piece = data[: _piece_end(data[:hole], decided=pipeline.reader.decided(state.carry))]
        plan = None
        if len(piece) < hole:
            plan = self._plan_bytes(state, segment, piece, pipeline, more=True)
        if plan is None and hole < end:
            return _advance(state, self._before(state, segment), data, _read_to_hole(state, data, hole, end, pipeline),
                            more=True)
        if plan is None and data:       # there is no more, or no record ends in the piece
            plan = self._plan_bytes(state, segment, data, pipeline, more=False)
        return plan or (_Plan(state, ()) if renamed and state.revision else None)

    def _plan_bytes(
        self, state: Stream, segment: Segment, data: bytes, pipeline: Pipeline, *, more: bool
    ) -> _Plan | None:
        """What `data` of the segment adds to `state`."""
        if state.read_end < state.end > state.resume + len(data):
            reading = _read_into_gap(state, data, pipeline)
        else:
            reading = _read(state, data, pipeline, flush=segment.flush and not more)
        if reading.chunks and reading.chunks[-1].end > state.read_end:
            reading = _Reading(tuple(map(self._store.ready, reading.chunks)), reading.carry)
            return _advance(state, self._before(state, segment), data, reading, more=more)
        return None

    def _before(self, state: Stream, segment: Segment) -> bytes:
        """The last 4 KiB before `state.resume`, from the segment or else from the stored chunks."""
        start = max(0, state.resume - WINDOW_BYTES)
        if segment.start <= start:
            return segment.data[start - segment.start : state.resume - segment.start]
        if self._under_way is not None:
            wait([self._under_way[1]])      # perhaps with these very bytes; what came of it, `_answer` tells
        before, at = b"", start
        for chunk in self._store.chunks(stream=state.id, start=start, end=state.resume):
            before += content(chunk)[max(0, at - chunk.start):]      # one that was merged meanwhile repeats some
            at = chunk.end
        return before[-WINDOW_BYTES:]


def _advance(state: Stream, before: bytes, data: bytes, reading: "_Reading", *, more: bool) -> _Plan:
    """What was read of `data`, which begins at `state.resume` behind `before`, and the state behind it."""
    closed = [chunk for chunk in reading.chunks if not chunk.open]
    last = reading.chunks[-1]
    resume = last.start if last.open else last.end
    read_end = last.start if last.gone and last.open else last.end
    head, windows, end_window = advance(state, before, data[: read_end - state.resume])
    times = [chunk.ts_to_us for chunk in reading.chunks if chunk.ts_to_us is not None]
    stream = replace(
        state,
        end=last.end,
        resume=resume,
        carry=reading.carry,
        head=head,
        windows=windows,
        end_window=end_window,
        counts=sum((chunk.counts for chunk in closed), state.counts),
        open_counts=last.counts if last.open else Counts(),
        dropped=_dropped(state, reading.chunks),
        last_ts_us=max(times, default=state.last_ts_us),
    )
    return _Plan(stream, reading.chunks, more)


def _dropped(state: Stream, chunks: Sequence[Chunk]) -> dict[str, int]:
    """What the stream has dropped behind these chunks: holes, which stay, and the open chunk, if that is gone."""
    holes = state.dropped.get(HOLE, 0) + sum(chunk.end - chunk.start for chunk in chunks if chunk.gone == HOLE)
    last = chunks[-1]
    return ({HOLE: holes} if holes else {}) | ({last.gone: last.end - last.start} if last.gone and last.open else {})


def _transactions(plans: Iterable[tuple[int, _Plan]]) -> Iterator[dict[int, _Plan]]:
    """The plans in groups that a store can write in one transaction: MongoDB keeps all of one in its cache."""
    group: dict[int, _Plan] = {}
    events = 0
    for i, plan in plans:
        size = sum(len(chunk.events) for chunk in plan.chunks)
        if group and events + size > TRANSACTION_EVENTS_MAX:
            yield group
            group.clear()           # what was written is let go before more is read
            events = 0
        group[i] = plan
        events += size
    if group:
        yield group


@dataclass(frozen=True, slots=True)
class _Reading:
    """The chunks made of a block, and the carry at the place where reading resumes."""

    chunks: tuple[Chunk, ...]
    carry: Carry


def _trim(state: Stream, segment: Segment, record_bytes_max: int) -> bytes:
    """The segment's bytes from `state.resume` on, up to the last line end; nothing where there is a gap.

    An unfinished line goes along where the caller says that it is whole, and where it is longer than a record may be
    or a hole is in it.
    """
    if segment.start > state.resume or segment.start + len(segment.data) <= state.read_end:
        return b""
    data, begin = segment.data, state.resume - segment.start
    cut = max(begin, data.rfind(b"\n", begin) + 1)
    if segment.whole or len(data) - cut > record_bytes_max or _has_hole(state, data[cut:], segment.start + cut):
        return data[begin:]
    return data[begin:cut]


def _has_hole(state: Stream, line: bytes, start: int) -> bool:
    """Whether a hole is in what stands behind the last line end, at offset `start`."""
    first, end = find_hole(line, start, {} if start > state.resume else state.carry)
    return first < end


def _piece_end(data: bytes, *, decided: bool) -> int:
    """How far to read `data` at once: so many lines that their events do not take too much memory, and in pieces of
    one size, so that reading one takes about as long as writing the one before.

    While the layout is not decided, at least as far as it takes to decide it.
    """
    lines = data.count(b"\n")
    if lines <= PIECE_LINES_MAX:
        return len(data)
    end = 0
    for _ in range(ceil(lines / ceil(lines / PIECE_LINES_MAX))):
        end = data.find(b"\n", end) + 1
    if not decided and end < PREFIX_BYTES:
        end = data.find(b"\n", PREFIX_BYTES) + 1
    return end or len(data)


def _read(state: Stream, data: bytes, pipeline: Pipeline, *, flush: bool) -> _Reading:
    """Read `data`: a closed chunk of the records that cannot grow, and with `flush` an open one of the rest.

    What is small and all of one minute stays open as a whole and grows with the next lines, so that a stream that
    writes now and then does not leave a chunk for each line; no commit makes an older minute dirty again.

    While the layout is not decided, everything since the stream's start stays open and is read again as it grows, so
    that the decision depends on the bytes alone and not on how they came.
    """
    try:
        if flush and len(data) <= OPEN_BYTES_MAX:
            batch = pipeline.reader.read(data, state.resume, state.carry, final=True)
            chunk = _chunk(state, data, batch, state.carry, pipeline, is_open=True)
            if _minutes(chunk) <= 1:
                return _Reading((chunk,), state.carry)
        closed = pipeline.reader.read(data, state.resume, state.carry, final=False)
        decided = pipeline.reader.decided(closed.carry)
        end = closed.end if decided else 0
        chunks = [_chunk(state, data[:end], closed, state.carry, pipeline)] if end else []
        carry = closed.carry if end else state.carry
        if not flush and 0 < end <= OPEN_BYTES_MAX and _minutes(chunks[0]) <= 1:
            return _Reading((replace(chunks[0], open=True),), state.carry)
        if flush and end < len(data):
            rest = data[end:]
            batch = pipeline.reader.read(rest, state.resume + end, carry, final=True)
            chunks.append(_chunk(state, rest, batch, carry, pipeline, is_open=True))
    except Exception:
        # A bug of ours, or of somebody's grammar: the bytes are kept and counted, and reading goes on behind them.
        log.exception("%s: reading %d bytes at offset %d failed; kept as a reject", state.path, len(data), state.resume)
        return _Reading((_failed(state, data, pipeline),), state.carry)
    return _Reading(tuple(chunks), carry)


def _read_into_gap(state: Stream, data: bytes, pipeline: Pipeline) -> _Reading:
    """Read bytes that were given up and have turned up, but not all of them: the rest stays a gap."""
    batch = pipeline.reader.read(data, state.resume, state.carry, final=False)
    if not batch.end or not pipeline.reader.decided(batch.carry):
        return _Reading((), state.carry)
    chunk = _chunk(state, data[: batch.end], batch, state.carry, pipeline)
    reason = next(reason for reason in state.dropped if reason != HOLE)
    gap = Chunk(state.id, chunk.end, state.end, b"", batch.carry, open=True, gone=reason)
    return _Reading((chunk, gap), batch.carry)


def _read_to_hole(state: Stream, data: bytes, hole: int, end: int, pipeline: Pipeline) -> _Reading:
    """A closed chunk of what is before the hole, which ends records and lines, and one without bytes for the hole."""
    chunks: list[Chunk] = []
    carry = state.carry
    if hole:
        try:
            batch = pipeline.reader.read(data[:hole], state.resume, carry, final=True)
            chunks, carry = [_chunk(state, data[:hole], batch, carry, pipeline)], batch.carry
        except Exception:
            log.exception("%s: reading %d bytes at offset %d failed; kept as a reject", state.path, hole, state.resume)
            chunks = [_failed(state, data[:hole], pipeline)]
    carry = {key: value for key, value in carry.items() if key in ("layout", "ts")} | {HOLE: True}
    chunks.append(Chunk(state.id, state.resume + hole, state.resume + end, b"", carry, gone=HOLE))
    return _Reading(tuple(chunks), carry)


def _minutes(chunk: Chunk) -> int:
    """How many minutes a chunk's records span, from the first to the last."""
    if chunk.ts_from_us is None or chunk.ts_to_us is None:
        return 0
    return chunk.ts_to_us // MINUTE_US - chunk.ts_from_us // MINUTE_US + 1


def _chunk(
    state: Stream, data: bytes, batch: Batch, carry: Carry, pipeline: Pipeline, *, is_open: bool = False
) -> Chunk:
    """The chunk that holds `data` and what `batch`, read of it with `carry`, amounts to."""
    claims = pipeline.classifier.claim(batch.first_lines)
    parts = partials(batch, claims, pipeline.metrics, state.app, state.host, carry.get("ts"))
    known = batch.times[batch.times != NO_TIME]
    times = [int(known.min()), int(known.max())] if len(known) > FEW_MAX else known.tolist()
    times += [part.minute * 60_000_000 for part in parts]
    rejected = sum(_size(batch, i) for i in batch.rejects) if batch.rejects else 0
    return Chunk(
        stream=state.id,
        start=batch.base,
        end=batch.base + len(data),
        raw=compress(data),
        carry=carry,
        open=is_open,
        ts_from_us=min(times, default=None),
        ts_to_us=max(times, default=None),
        counts=Counts(
            len(batch) - len(batch.rejects), len(claims), len(batch.rejects), rejected + batch.skipped
        ),
        events=_events(state, batch, claims, pipeline.keep),
        partials=tuple(parts),
    )


def read_again(stream: Stream, chunk: Chunk, pipeline: Pipeline) -> Chunk:
    """What reading a stored chunk's bytes, with its carry, gives now. Raises whatever the reader does."""
    data = content(chunk)
    batch = pipeline.reader.read(data, chunk.start, chunk.carry, final=True)
    return _chunk(stream, data, batch, chunk.carry, pipeline, is_open=chunk.open)


def _size(batch: Batch, i: int) -> int:
    """The bytes of record `i`: up to the next record's start."""
    return (batch.starts[i + 1] if i + 1 < len(batch) else batch.end) - batch.starts[i]


def _events(state: Stream, batch: Batch, claims: Claims, keep: str) -> Sequence[Event]:
    """A document for each record that is kept, in order."""
    rows = range(len(batch)) if keep == "all" else _kept(batch, claims)
    if not rows:
        return ()
    if not len(claims):
        return KeptEvents(state.id, batch.bodies(rows), {})
    place = rows if keep == "all" else {row: number for number, row in enumerate(rows)}
    claimed = {place[row]: (name, fields)
               for row, name, fields in zip(claims.rows, claims.names, claims.fields, strict=True)
               if row not in batch.rejects}
    return KeptEvents(state.id, batch.bodies(rows), claimed)


def _kept(batch: Batch, claims: Claims) -> list[int]:
    """The records that are kept where not all are: claimed ones, rejects, WARN and above."""
    if len(batch) <= FEW_MAX:
        names = batch.level_names
        some = {i for i, code in enumerate(batch.level_codes.tolist()) if names[code] in SEVERE}
        return sorted(some.union(batch.rejects, *(group.rows.tolist() for group in claims.groups)))
    severe = np.fromiter((name in SEVERE for name in batch.level_names), bool)
    kept = severe[batch.level_codes]
    for group in claims.groups:
        kept[group.rows] = True
    kept[list(batch.rejects)] = True
    rows: list[int] = np.flatnonzero(kept).tolist()
    return rows


def _failed(state: Stream, data: bytes, pipeline: Pipeline) -> Chunk:
    """A chunk that the reader could not read: one reject `parser_failed` that holds all of it."""
    preview = data[:PREVIEW_CHARS].decode("utf-8", "replace")
    body = {"message": preview, "event": "reject", "fields": {"reason": "parser_failed"}}
    event = Event(state.id, state.resume, None, None, "reject", body)
    return Chunk(
        stream=state.id,
        start=state.resume,
        end=state.resume + len(data),
        raw=compress(data),
        carry=state.carry,
        counts=Counts(rejects=1, rejected_bytes=len(data)),
        events=(event,),
    )

