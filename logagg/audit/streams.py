"""What the store has of one stream: whether it holds together, and is what reading its bytes again gives."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from logagg.audit.files import is_expired
from logagg.interfaces import Store
from logagg.raw import HOLE, content
from logagg.reading import SEVERE, Pipeline, read_again
from logagg.record import NO_COUNTS, Chunk, Counts, Event, Stream
from logagg.source.identity import WINDOW_BYTES, Prints
from logagg.source.recognise import stored_window

ATTEMPTS_MAX = 5
PROBLEMS_MAX = 100

ALIKE_MAX = 20

EQUAL = "equal"
NOTHING = "nothing to compare"


@dataclass(frozen=True, slots=True)
class StreamAudit:
    """What came of one stream. `expired`: bytes that retention has deleted. `reading`: "equal", or why the stored
    events were not compared with what reading the bytes again gives. `problems` is one line each, with offsets."""

    id: str
    app: str
    host: str
    path: str
    bytes: int = 0
    chunks: int = 0
    counts: Counts = NO_COUNTS
    dropped: dict[str, int] = field(default_factory=dict)
    expired: int = 0
    reading: str = NOTHING
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"stream": self.id, "app": self.app, "host": self.host, "path": self.path, "bytes": self.bytes,
                "chunks": self.chunks, "records": self.counts.records, "events": self.counts.events,
                "rejects": self.counts.rejects, "dropped": dict(self.dropped), "expired": self.expired,
                "reading": self.reading, "problems": list(self.problems)}


def audit_stream(store: Store, stream: Stream, pipeline_for: Callable[[Stream], Pipeline],
                 progress: Callable[[int], None]) -> StreamAudit:
    """Check one stream. What seems wrong is looked at again: it may have moved, or been merged, meanwhile. Of one that
    keeps moving only the closed chunks are judged."""
    before: tuple[str, ...] = ()
    for attempt in range(ATTEMPTS_MAX):
        [state] = store.streams(id=stream.id)
        found = _Check(store, state, pipeline_for(state), (lambda done: None) if attempt else progress).run()
        moved = store.streams(id=stream.id) != [state]
        if not found.problems or (found.problems == before and not moved):
            return found
        before = found.problems
    return _Check(store, state, pipeline_for(state), lambda done: None).run(settled=True) if moved else found


class _Check:
    """One look at one stream."""

    def __init__(self, store: Store, stream: Stream, pipeline: Pipeline, progress: Callable[[int], None]) -> None:
        self._store, self._stream, self._pipeline, self._progress = store, stream, pipeline, progress
        self._problems: list[str] = []
        self._closed, self._open = NO_COUNTS, NO_COUNTS
        self._dropped: Counter[str] = Counter()
        self._expired = 0
        self._prints = Prints(frozenset({stream.read_end}))
        self._same = self._base = self._differing = 0       # events: equal; equal but for the grammar; neither
        self._doubts: list[str] = []                        # what is wrong, unless the layout is another now

    def run(self, *, settled: bool = False) -> StreamAudit:
        """Check all; with `settled` only the chunks that were closed at this state, and not the state."""
        last, count = None, 0
        for chunk in self._store.chunks(stream=self._stream.id, with_parts=True):
            if settled and chunk.end > self._stream.resume:
                break
            self._follows(last, chunk)
            self._check(chunk)
            self._progress(chunk.end - chunk.start)
            last, count = replace(chunk, raw=b"", events=(), partials=()), count + 1
        if not settled:
            self._check_state(last)
        reading = self._judge()
        s = self._stream
        return StreamAudit(s.id, s.app, s.host, s.path, s.end, count, s.counts + s.open_counts, dict(s.dropped),
                           self._expired, reading, tuple(self._problems[:PROBLEMS_MAX]))

    def _problem(self, text: str) -> None:
        self._problems.append(text)

    def _follows(self, before: Chunk | None, chunk: Chunk) -> None:
        at = before.end if before else 0
        if chunk.start < at:
            self._problem(f"bytes {chunk.start:,} to {min(at, chunk.end):,} are stored twice")
        elif chunk.start > at:
            self._hole(at, chunk.start, before)
        if before is not None and before.open:
            self._problem(f"the chunk at {before.start:,} is open, and is not the last")

    def _hole(self, start: int, end: int, before: Chunk | None) -> None:
        if is_expired(self._store, before):
            self._expired += end - start
        else:
            self._problem(f"no chunk holds the bytes {start:,} to {end:,}")

    def _check_state(self, last: Chunk | None) -> None:
        """The stream's own state against its chunks."""
        s = self._stream
        end = last.end if last else 0
        if end < s.end:
            self._hole(end, s.end, last)
        elif end > s.end:
            self._problem(f"the stream ends at {s.end:,}, its last chunk at {end:,}")
        elif last is not None and s.resume != (last.start if last.open else last.end):
            self._problem(f"the stream resumes at {s.resume:,}, which is not where its last chunk says")
        if self._prints.size == s.read_end and not self._expired:
            known = {**s.windows, **({s.read_end: s.end_window} if s.read_end else {})}
            self._problems += [f"the 4 KiB before byte {at:,} are not those that were read"
                               for at, window in sorted(known.items()) if self._prints.window(at) != window]
        if dict(self._dropped) != dict(s.dropped):
            self._problem(f"dropped: the stream says {dict(s.dropped)}, its chunks {dict(self._dropped)}")
        if not self._expired and (self._closed, self._open) != (s.counts, s.open_counts):
            self._problem(f"counts: the stream says {_said(s.counts + s.open_counts)},"
                          f" its chunks {_said(self._closed + self._open)}")

    def _check(self, chunk: Chunk) -> None:
        where = f"the chunk at {chunk.start:,}"
        if chunk.open:
            self._open = chunk.counts
        else:
            self._closed += chunk.counts
        if chunk.gone is not None:
            self._dropped[chunk.gone] += chunk.end - chunk.start
            if chunk.raw or chunk.events or chunk.partials or chunk.counts != NO_COUNTS:
                self._problem(f"{where} is gone, and has something all the same")
            if chunk.gone == HOLE and chunk.start == self._prints.size:
                self._prints.add(content(chunk))
            return
        try:
            data = content(chunk)
        except Exception:
            self._problem(f"{where}: its bytes are damaged")
            return
        if len(data) != chunk.end - chunk.start:
            self._problem(f"{where}: {len(data):,} bytes are stored for {chunk.end - chunk.start:,}")
            return
        if chunk.start == self._prints.size:
            self._prints.add(data)
        if any(event.event == "reject" and _reason(event) == "parser_failed" for event in chunk.events):
            return                      # perhaps merged with others
        try:
            again = read_again(self._stream, chunk, self._pipeline)
            if {event.offset for event in chunk.events} - {event.offset for event in again.events}:
                again = read_again(self._stream, chunk, replace(self._pipeline, keep="all"))   # perhaps kept so once
        except Exception as error:
            self._doubts.append(f"{where}: reading its bytes again fails ({type(error).__name__})")
            return
        self._compare(chunk, again, where)

    def _compare(self, chunk: Chunk, again: Chunk, where: str) -> None:
        """Stored events and counts against those of reading again. Events expire apart from their chunk: then only
        those that are there are compared."""
        expected = {event.offset: event for event in again.events}
        there = {event.offset: event for event in chunk.events}
        for event in chunk.events:
            other = expected.get(event.offset)
            if other is not None and event == other:
                self._same += 1
            elif other is not None and _base(event) == _base(other):
                self._base += 1
            else:
                self._differing += 1
                self._doubts.append(f"the event at {event.offset:,} is not what reading gives there")
        own = sum(event.event not in (None, "reject") for event in chunk.events)
        rejects = sum(event.event == "reject" for event in chunk.events)
        if own > chunk.counts.events or rejects > chunk.counts.rejects:
            self._problem(f"{where} counts {_said(chunk.counts)}, and has {own} events and {rejects} rejects")
        lacking = [] if self._may_have_expired(chunk) else sorted(expected.keys() - there.keys())
        if all(map(_is_kept, chunk.events)):    # then records that only keep = "all" stores need not be there
            lacking = [at for at in lacking if _is_kept(expected[at])]
        if lacking:
            more = f" (and {len(lacking) - 1:,} more of {where})" if len(lacking) > 1 else ""
            self._doubts.append(f"the event at {lacking[0]:,} is not stored{more}")
        if again.counts != chunk.counts:
            self._doubts.append(f"{where} counts {_said(chunk.counts)}, reading gives {_said(again.counts)}")
        elif {part.minute for part in again.partials} != {part.minute for part in chunk.partials}:
            self._doubts.append(f"{where}: its partials are of other minutes than its records")

    def _may_have_expired(self, chunk: Chunk) -> bool:
        return not chunk.events and is_expired(self._store, chunk)

    def _judge(self) -> str:
        """What the comparison says. One event that reads the same shows that the layout and grammar are the same, so
        that what differs is wrong; without any, a changed configuration explains it as well."""
        if not self._doubts and not self._base:
            return EQUAL if self._same or self._closed.records + self._open.records else NOTHING
        if self._same or not (self._base or self._differing or self._doubts):
            self._problems += self._doubts
            return "differs"
        if self._base:
            return "not compared: the grammar is another now"
        return "not compared: the layout is another now, or no configuration tells it"


def _is_kept(event: Event) -> bool:
    """Whether it is stored with keep = "events", too."""
    return event.event is not None or event.level in SEVERE


def _base(event: Event) -> tuple[Any, ...]:
    """An event without what its grammar made of it."""
    body = {key: value for key, value in event.body.items() if key not in ("event", "fields")}
    return event.offset, event.ts_us, event.level, body


def _reason(event: Event) -> Any:
    return (event.body.get("fields") or {}).get("reason")


def _said(counts: Counts) -> str:
    return f"{counts.records:,} records, {counts.events:,} events, {counts.rejects:,} rejects"


def repeated(store: Store, streams: Sequence[Stream], found: Sequence[StreamAudit]) -> Iterator[StreamAudit]:
    """The same answers, with a problem where all bytes of a stream are those of another, too."""
    alike: dict[tuple[str, str, str, str], list[Stream]] = {}
    for stream, one in zip(streams, found, strict=True):
        window = stream.windows.get(WINDOW_BYTES)       # so much that a banner is not taken for it
        others = alike.setdefault((stream.app, stream.host, stream.first_line, window), []) if window else []
        other = next((other for other in others if _is_same(store, stream, other)), None)
        others.append(stream)
        del others[:-ALIKE_MAX]
        if other is None:
            yield one
        else:
            text = f"holds the same bytes as stream {other.id} ({other.path}): read, or written, twice"
            yield replace(one, problems=(*one.problems, text))


def _is_same(store: Store, one: Stream, other: Stream) -> bool:
    """Whether the shorter one of two streams is the beginning of the longer one."""
    short, long = sorted((one, other), key=lambda stream: stream.read_end)
    if any(short.windows[at] != long.windows.get(at) for at in short.windows):
        return False
    return short.end_window in (long.end_window if short.read_end == long.read_end else None,
                                stored_window(store, long, short.read_end))
