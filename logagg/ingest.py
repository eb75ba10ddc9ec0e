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

from logagg.grammar.detect import PREFIX_BYTES
from logagg.interfaces import Committed, Store
from logagg.raw import CUT, HOLE, content, find_hole
from logagg.reading import Pipeline, Reading, read, read_closed, read_into_gap, read_to_hole
from logagg.record import NO_COUNTS, Chunk, Stream
from logagg.source.identity import WINDOW_BYTES, advance

log = logging.getLogger(__name__)

MOVED_ATTEMPTS_MAX = 100
TRANSACTION_EVENTS_MAX = 10_000
PIECE_LINES_MAX = 10_000


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
        before = Reading((), state.carry)
        if state.resume < state.read_end:
            stored = self._store.chunks(stream=state.id, start=state.resume, end=state.read_end)
            before = read_closed(state, b"".join(map(content, stored)), self._pipeline_for(state))
            before = replace(before, carry={**before.carry, CUT: True})
        gap = Chunk(state.id, state.read_end, end, b"", before.carry, open=True, gone=reason)
        counts = sum((chunk.counts for chunk in before.chunks), state.counts)
        return replace(state, end=end, resume=gap.start, carry=before.carry, counts=counts, open_counts=NO_COUNTS,
                       dropped=_dropped(state, (gap,))), (*before.chunks, gap)

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
        if state.resume + end < state.end:      # it came with what filled a gap: the open chunk has it as text
            hole = end = len(data)
        piece = data[: _piece_end(data[:hole], decided=pipeline.reader.decided(state.carry))]
        plan = None
        if len(piece) < hole:
            plan = self._plan_bytes(state, segment, piece, pipeline, more=True)
        if plan is None and hole < end:
            return _advance(state, self._before(state, segment), data, read_to_hole(state, data, hole, end, pipeline),
                            more=True)
        if plan is None and data:       # there is no more, or no record ends in the piece
            plan = self._plan_bytes(state, segment, data, pipeline, more=False)
        return plan or (_Plan(state, ()) if renamed and state.revision else None)

    def _plan_bytes(
        self, state: Stream, segment: Segment, data: bytes, pipeline: Pipeline, *, more: bool
    ) -> _Plan | None:
        """What `data` of the segment adds to `state`."""
        if state.read_end < state.end > state.resume + len(data):
            reading = read_into_gap(state, data, pipeline)
        else:
            reading = read(state, data, pipeline, flush=segment.flush and not more)
            if state.read_end < state.end and reading.chunks and reading.chunks[-1].end < state.end:
                reading = read_into_gap(state, data, pipeline)      # the last record waits, and began in the gap
        if reading.chunks and reading.chunks[-1].end > state.read_end:
            reading = Reading(tuple(map(self._store.ready, reading.chunks)), reading.carry)
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


def _advance(state: Stream, before: bytes, data: bytes, reading: Reading, *, more: bool) -> _Plan:
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
        open_counts=last.counts if last.open else NO_COUNTS,
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
