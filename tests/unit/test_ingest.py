"""Segments to commits: trimming, gaps, open chunks, lost races, and a reader that breaks."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace

import pytest

from logagg import ingest as ingest_module
from logagg.audit.streams import audit_stream
from logagg.errors import StoreUnavailable
from logagg.grammar.claims import EventClaims
from logagg.grammar.reader import LayoutReader
from logagg.ingest import PIECE_LINES_MAX, TRANSACTION_EVENTS_MAX, Ingest, Outcome, Segment
from logagg.interfaces import Batch, Claims, Committed
from logagg.merge import groups, merged
from logagg.raw import content, decompress
from logagg.reading import Pipeline, read_closed
from logagg.record import Carry, Chunk, Stream
from logagg.rollup.metric import MetricSet
from logagg.source.identity import WINDOW_BYTES, new_stream, window_hash
from logagg.store.memory import MemoryStore

LAYOUT = "%d{ISO8601} %p %c - %m%n"


def line(i: int) -> bytes:
    return f"2026-11-20T10:00:{i % 60:02},000 INFO a.b - message {i}\n".encode()


class NoClaims:
    """A classifier that knows no event."""

    def claim(self, first_lines: Sequence[bytes]) -> Claims:
        return EventClaims()


def pipeline(**options: object) -> Pipeline:
    return Pipeline(LayoutReader(LAYOUT), NoClaims(), MetricSet(), keep="all", **options)  # type: ignore[arg-type]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def ingest(store: MemoryStore) -> Ingest:
    one = pipeline()
    return Ingest(store, lambda stream: one)


@pytest.fixture
def stream() -> Stream:
    return new_stream("app", "host", "/logs/a.log", line(0).rstrip(b"\n"), 0)


def offer(ingest: Ingest, stream: Stream, start: int, data: bytes, *, flush: bool = False) -> Outcome:
    [outcome] = ingest.commit([Segment(stream, start, data, flush, path=stream.path)])
    return outcome


def messages(store: MemoryStore) -> list[str]:
    return [event.body["message"] for event in store.events()]


def test_last_record_waits(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """Without `flush` the last record is not committed: more lines of it may come."""
    data = line(0) + line(1)
    outcome = offer(ingest, stream, 0, data)
    assert outcome.stream.end == len(line(0))
    assert messages(store) == ["message 0"]


def test_flush_commits_the_last_record_as_an_open_chunk(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """It is there, and reading goes on at its start, so that a late line still reaches it."""
    before = b"".join(map(line, range(99)))
    outcome = offer(ingest, stream, 0, before + line(99), flush=True)
    assert outcome.stream.end == len(before + line(99))
    assert outcome.stream.resume == outcome.next == len(before)
    grown = offer(ingest, outcome.stream, outcome.next, line(99) + b"\tat late.Line\n", flush=True)
    assert sorted(messages(store)) == sorted([*(f"message {i}" for i in range(99)), "message 99\n\tat late.Line"])
    assert grown.stream.counts.records + grown.stream.open_counts.records == 100


@pytest.mark.parametrize("flush", [False, True])
def test_little_stays_open(store: MemoryStore, ingest: Ingest, stream: Stream, flush: bool) -> None:
    """What is small and of one minute is one open chunk that grows; the next minute closes it."""
    known = offer(ingest, stream, 0, line(0) + line(1) + line(2), flush=flush)
    for i in range(3, 60):
        known = offer(ingest, known.stream, known.next, b"".join(map(line, range(i + 1))), flush=flush)
        assert known.next == 0
        assert [chunk.open for chunk in store.chunks()] == [True]
    later = line(0).replace(b"10:00:00", b"10:01:00")
    known = offer(ingest, known.stream, 0, b"".join(map(line, range(60))) + later * 2, flush=flush)
    assert known.next >= len(b"".join(map(line, range(60))))
    assert [chunk.open for chunk in store.chunks()] == ([False, True] if flush else [False])
    assert len(messages(store)) == (62 if flush else 61)


def test_half_a_line_waits(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """Even with `flush` an unfinished line is not committed."""
    outcome = offer(ingest, stream, 0, line(0) + line(1)[:20], flush=True)
    assert outcome.stream.end == len(line(0))
    assert messages(store) == ["message 0"]


def test_what_is_there_is_not_read_again(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """The same segment offered twice changes nothing, whether the state it comes with is old or new."""
    data = line(0) + line(1)
    first = offer(ingest, stream, 0, data, flush=True)
    for state in (stream, first.stream):
        assert offer(ingest, state, 0, data, flush=True).stream == first.stream
    assert messages(store) == ["message 0", "message 1"]


def test_overlap_is_trimmed(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """A segment that begins below the end adds only what is new."""
    offer(ingest, stream, 0, line(0) + line(1) + line(2))
    offer(ingest, stream, 0, line(0) + line(1) + line(2) + line(3) + line(4), flush=True)
    assert messages(store) == [f"message {i}" for i in range(5)]


def test_gap_is_refused(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """A segment that begins above the end writes nothing, and the outcome says where to go on."""
    known = offer(ingest, stream, 0, line(0) + line(1), flush=True)
    outcome = offer(ingest, known.stream, known.stream.end + 10, line(3) + line(4), flush=True)
    assert outcome.next == known.stream.resume == 0
    assert messages(store) == ["message 0", "message 1"]


def test_lost_race(store: MemoryStore, stream: Stream) -> None:
    """Two agents with the same state: the second one reads what the first one left over."""
    one, other = (Ingest(store, lambda stream: pipeline()) for _ in range(2))
    offer(one, stream, 0, line(0) + line(1) + line(2))
    outcome = offer(other, stream, 0, b"".join(map(line, range(5))), flush=True)
    assert messages(store) == [f"message {i}" for i in range(5)]
    assert outcome.stream.counts.records + outcome.stream.open_counts.records == 5


def test_group_with_one_moved_stream(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """The other streams of the group are committed all the same."""
    other = new_stream("app", "host", "/logs/b.log", b"other", 0)
    offer(Ingest(store, lambda stream: pipeline()), stream, 0, line(0) + line(1))
    segments = [Segment(s, 0, line(0) + line(1) + line(2), True) for s in (stream, other)]
    outcomes = ingest.commit(segments)
    assert [outcome.stream.end for outcome in outcomes] == [len(line(0)) * 3] * 2
    assert sorted(messages(store)) == sorted(2 * [f"message {i}" for i in range(3)])


def test_renamed_file_is_noted(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """A stream's path follows its file, even when there is nothing new to read."""
    known = offer(ingest, stream, 0, line(0), flush=True)
    moved = offer(ingest, replace(known.stream, path="/logs/a.log.1"), known.next, line(0), flush=True)
    [outcome] = ingest.commit([Segment(known.stream, known.next, line(0), True, path="/logs/a.log.1")])
    assert outcome.stream.path == "/logs/a.log.1"
    assert store.streams()[0].path == "/logs/a.log.1"
    assert moved.stream.end == len(line(0))


def test_windows_survive_a_restart(store: MemoryStore, stream: Stream) -> None:
    """The windows of a stream read in pieces by several processes are those of the stream read at once."""
    content = b"".join(map(line, range(2000)))
    at_once = offer(Ingest(MemoryStore(), lambda s: pipeline()), stream, 0, content, flush=True).stream
    state, position = stream, 0
    for end in (700, 5000, 5100, 40_000, len(content)):
        outcome = offer(Ingest(store, lambda s: pipeline()), state, position, content[position:end], flush=True)
        state, position = outcome.stream, outcome.next
    assert (state.head, state.windows, state.end_window) == (at_once.head, at_once.windows, at_once.end_window)


def test_windows_when_the_stored_bytes_are_gone(store: MemoryStore, stream: Stream) -> None:
    """A segment that begins before the stream's end gives the end's window its bytes, though they have expired."""
    content = b"".join(map(line, range(300)))
    at_once = offer(Ingest(MemoryStore(), lambda s: pipeline()), stream, 0, content, flush=True).stream
    state = offer(Ingest(store, lambda s: pipeline()), stream, 0, content[:-300]).stream
    store.fold({}, store.unfolded(10))
    assert store.expire(raw_before_us=1 << 60)["chunks"] == 1
    low = state.resume - WINDOW_BYTES
    state = offer(Ingest(store, lambda s: pipeline()), state, low, content[low:], flush=True).stream
    assert (state.end, state.end_window, state.windows) == (len(content), at_once.end_window, at_once.windows)


class Counting(MemoryStore):
    """Notes how many events each transaction holds."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def commit(self, commits: Sequence[tuple[Stream, Sequence[Chunk]]]) -> list[Committed]:
        self.sizes.append(sum(len(chunk.events) for _, chunks in commits for chunk in chunks))
        return super().commit(commits)


def test_transactions_are_bounded() -> None:
    """A group whose events are too many for one transaction is written in several."""
    store = Counting()
    content = b"".join(map(line, range(6000)))
    streams = [new_stream("app", "host", f"/logs/{i}.log", str(i).encode(), 0) for i in range(4)]
    Ingest(store, lambda stream: pipeline()).commit([Segment(s, 0, content, True) for s in streams])
    assert sum(store.sizes) == 24_000
    assert max(store.sizes) <= TRANSACTION_EVENTS_MAX


class Noting(LayoutReader):
    """Notes for each block that it reads how many transactions there had been."""

    def __init__(self, store: Counting) -> None:
        super().__init__(LAYOUT)
        self._store = store
        self.written: list[int] = []

    def read(self, block: bytes, base: int, carry: Carry, *, final: bool) -> Batch:
        self.written.append(len(self._store.sizes))
        return super().read(block, base, carry, final=final)


def test_memory_is_bounded() -> None:
    """The events of a group's later streams are made only when those of its earlier ones are written."""
    store = Counting()
    reader = Noting(store)
    one = replace(pipeline(), reader=reader)
    content = b"".join(map(line, range(6000)))
    streams = [new_stream("app", "host", f"/logs/{i}.log", str(i).encode(), 0) for i in range(4)]
    Ingest(store, lambda stream: one).commit([Segment(s, 0, content, False) for s in streams])
    assert reader.written == [0, 0, 1, 2]


def test_short_lines() -> None:
    """A segment of very many lines is written in several transactions, to its end, and quietly with its last record."""
    store = Counting()
    stream = new_stream("app", "host", "/logs/a.log", b"x", 0)
    content = b"x\n" * (3 * PIECE_LINES_MAX + 5)
    outcome = offer(Ingest(store, lambda stream: pipeline()), stream, 0, content, flush=True)
    assert outcome.stream.end == len(content)
    assert len(store.sizes) == 4
    assert max(store.sizes) <= PIECE_LINES_MAX
    assert sum(store.sizes) == 3 * PIECE_LINES_MAX + 5


def test_many_lines_of_one_record(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """A record with more lines than are read at once is read whole."""
    content = line(0) + b"x\n" * (PIECE_LINES_MAX + 5) + line(1)
    assert offer(ingest, stream, 0, content, flush=True).stream.end == len(content)
    assert [len(message) for message in messages(store)][1:] == [len("message 1")]
    assert messages(store)[0].endswith("x\nx")


class Breaking:
    """A reader with a bug."""

    def read(self, block: bytes, base: int, carry: Carry, *, final: bool) -> Batch:
        raise ZeroDivisionError("a bug")

    def decided(self, carry: Carry) -> bool:
        return True


def test_reader_that_breaks(store: MemoryStore, stream: Stream) -> None:
    """Its bytes are kept as a reject `parser_failed`, and reading goes on behind them."""
    broken = Pipeline(Breaking(), NoClaims(), MetricSet())
    data = line(0) + line(1)
    outcome = offer(Ingest(store, lambda stream: broken), stream, 0, data)
    assert outcome.stream.end == len(data)
    assert outcome.stream.counts.rejected_bytes == len(data)
    [event] = store.events()
    assert event.body["fields"] == {"reason": "parser_failed"}
    assert decompress(next(iter(store.chunks())).raw) == data


def test_reader_that_breaks_in_a_gap(store: MemoryStore, stream: Stream) -> None:
    """What turns up of what was given up is kept as a reject in the same way; the rest of the gap stays."""
    broken = Pipeline(Breaking(), NoClaims(), MetricSet())
    ingest = Ingest(store, lambda stream: broken)
    data = line(0) + line(1)
    known = ingest.give_up(stream, 500, "deleted")
    known = offer(ingest, known, 0, data).stream
    assert (known.read_end, known.end, known.dropped) == (len(data), 500, {"deleted": 500 - len(data)})
    assert known.counts.rejected_bytes == len(data)


class BreakingOnce(LayoutReader):
    """A reader with a bug that some bytes wake."""

    def read(self, block: bytes, base: int, carry: Carry, *, final: bool) -> Batch:
        if b"bug" in block:
            raise ZeroDivisionError("a bug")
        return super().read(block, base, carry, final=final)


def test_what_broke_the_reader_is_whole_also_when_merged(store: MemoryStore, stream: Stream) -> None:
    """The audit does not read it again: that would fail, or give something else, and nothing is wrong with it."""
    one = replace(pipeline(), reader=BreakingOnce(LAYOUT))
    parts = (b"no record\n" + line(0), b"bug\n", line(1))
    chunks: list[Chunk] = []
    for part in parts:
        end = chunks[-1].end if chunks else 0
        chunks += read_closed(replace(stream, end=end, resume=end), part, one).chunks
    chunks = [merged(chunks[:2]), chunks[2]]
    data = b"".join(parts)
    state = replace(stream, end=len(data), resume=len(data), end_window=window_hash(data),
                    counts=chunks[0].counts + chunks[1].counts)
    assert store.commit([(state, chunks)]) == ["committed"]
    found = audit_stream(store, state, lambda stream: one, lambda done: None)
    assert (found.counts.rejects, found.problems, found.reading) == (2, (), "equal")


class Server(MemoryStore):
    """A store whose commits are another's work; `before` is done at the beginning of each."""

    remote = True

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[int], None] = lambda number: None
        self.commits = 0

    def commit(self, commits: Sequence[tuple[Stream, Sequence[Chunk]]]) -> list[Committed]:
        self.commits += 1
        self.before(self.commits)
        return super().commit(commits)


PIECES = b"x\n" * (3 * PIECE_LINES_MAX + 5)


def test_reading_goes_on_while_a_server_commits() -> None:
    """A piece is committed while the next is read: the first commit here ends only when the second piece is read."""
    server = Server()
    stream = new_stream("app", "host", "/logs/a.log", b"x", 0)
    read = threading.Semaphore(0)

    class Telling(LayoutReader):
        def read(self, block: bytes, base: int, carry: Carry, *, final: bool) -> Batch:
            read.release()
            return super().read(block, base, carry, final=final)

    waited: list[bool] = []
    server.before = lambda number: waited.append(number > 1 or (read.acquire(timeout=30) and read.acquire(timeout=30)))
    one = replace(pipeline(), reader=Telling(LAYOUT))
    outcome = offer(Ingest(server, lambda stream: one), stream, 0, PIECES, flush=True)
    assert (outcome.stream.end, waited) == (len(PIECES), [True] * 4)
    assert outcome.stream == server.streams()[0]


@pytest.mark.parametrize("moment", [1, 2, 3, 4])
def test_another_writer_comes_before_a_commit_that_is_under_way(moment: int) -> None:
    """What was read behind a piece that the store refuses is thrown away: nothing is there twice, nothing missing."""
    server, plain = Server(), pipeline()
    stream = new_stream("app", "host", "/logs/a.log", b"x", 0)

    def overtake(number: int) -> None:
        if number == moment:
            server.before = lambda number: None
            [known] = server.streams() or [stream]
            rest = PIECES[known.resume : known.resume + 3000]
            offer(Ingest(server, lambda stream: plain), known, known.resume, rest)

    server.before = overtake
    outcome = offer(Ingest(server, lambda stream: plain), stream, 0, PIECES, flush=True)
    assert outcome.stream.end == len(PIECES)
    assert [event.offset for event in server.events()] == list(range(0, len(PIECES), 2))
    assert b"".join(decompress(chunk.raw) for chunk in server.chunks()) == PIECES


@pytest.mark.parametrize("moment", [1, 2, 3, 4])
def test_a_server_that_fails_while_more_is_read(moment: int) -> None:
    """The error is told, nothing is left under way, and the same segment offered again ends in the same state."""
    server = Server()
    stream = new_stream("app", "host", "/logs/a.log", b"x", 0)

    def fail(number: int) -> None:
        if number == moment:
            raise StoreUnavailable("gone")

    server.before = fail
    ingest = Ingest(server, lambda stream: pipeline())
    with pytest.raises(StoreUnavailable):
        offer(ingest, stream, 0, PIECES, flush=True)
    assert server.commits == moment
    offer(ingest, stream, 0, PIECES, flush=True)
    assert [event.offset for event in server.events()] == list(range(0, len(PIECES), 2))


def test_bytes_before_a_segment_may_be_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that reaches back into the piece that is being committed is made of it, not of what is stored yet."""
    before = b"".join(map(line, range(174)))
    behind = line(1).replace(b"10:00", b"10:01") + line(2) + b"more\n" * PIECE_LINES_MAX + line(3)
    waited = threading.Event()

    def telling(under_way: list[Future[list[Committed]]]) -> None:
        waited.set()
        wait(under_way)

    def read(store: MemoryStore) -> Stream:
        first = new_stream("app", "host", "/logs/a.log", line(0).rstrip(b"\n"), 0)
        one = pipeline()
        ingest = Ingest(store, lambda stream: one)
        known = offer(ingest, first, 0, before, flush=True).stream
        assert known.resume + 150 < 8192       # a window ends there
        return offer(ingest, known, known.resume, before[known.resume:] + behind).stream

    server, plain = Server(), MemoryStore()
    server.before = lambda number: None if number != 2 or waited.wait(30) else pytest.fail("nobody waited")
    monkeypatch.setattr(ingest_module, "wait", telling)
    assert read(server) == read(plain)
    assert waited.is_set()


def bounds(store: MemoryStore) -> list[tuple[int, int, bool, str | None]]:
    return [(chunk.start, chunk.end, chunk.open, chunk.gone) for chunk in store.chunks()]


def test_what_is_gone_is_a_chunk_without_bytes(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """The open record before it is closed as it is, the stream ends behind the gap, and the ledger adds up."""
    data = line(0) + line(1)
    known = offer(ingest, stream, 0, data, flush=True).stream
    after = ingest.give_up(known, 500, "truncated")
    assert bounds(store) == [(0, len(data), False, None), (len(data), 500, True, "truncated")]
    assert (after.end, after.resume, after.read_end) == (500, len(data), len(data))
    assert after.dropped == {"truncated": 500 - len(data)} and after.counts.records == 2
    assert after == store.streams()[0] and messages(store) == ["message 0", "message 1"]
    assert ingest.give_up(known, 400, "deleted") == after, "what is known to be gone is gone only once"
    assert ingest.give_up(known, 600, "deleted").dropped == {"deleted": 600 - len(data)}


@pytest.mark.parametrize("behind", [0, 1, 20, 100])
def test_what_turns_up_ends_in_a_record_that_waits(
    store: MemoryStore, ingest: Ingest, stream: Stream, behind: int
) -> None:
    """While the last record of what fills the gap may still grow, and began in the gap, the rest stays a gap."""
    whole = b"".join(map(line, range(10)))
    offer(ingest, stream, 0, line(0) + line(1), flush=True)
    known = ingest.give_up(stream, len(whole) - behind, "deleted")
    known = offer(ingest, known, 0, whole).stream
    read = whole.rfind(b"\n", 0, -1) + 1
    waits = read < len(whole) - behind
    assert (known.read_end, known.end) == (read, len(whole) - behind if waits else read)
    assert known.dropped == ({"deleted": known.end - read} if waits else {})
    known = offer(ingest, known, 0, whole, flush=True).stream
    assert messages(store) == [f"message {i}" for i in range(10)]
    assert known.read_end == len(whole) and b"".join(decompress(chunk.raw) for chunk in store.chunks()) == whole


def test_a_record_that_a_gap_ended_is_not_merged(store: MemoryStore, ingest: Ingest, stream: Stream) -> None:
    """When more of it turns up, that stays a reject of another chunk: read together they would be one record."""
    begun, rest = line(0) + line(1), b" ".ljust(len(line(1)) - 1, b"x") + b"\n" + line(2)
    known = ingest.give_up(offer(ingest, stream, 0, begun, flush=True).stream, 100, "deleted")
    known = offer(ingest, known, 0, begun + rest, flush=True).stream
    ingest.give_up(known, known.end + 1, "deleted")     # closes it
    chunks = [chunk for chunk in store.chunks() if not chunk.open]
    assert [(chunk.start, chunk.gone) for chunk in chunks] == [(0, None), (len(begun), None)]
    assert list(groups(chunks, None)) == []
    assert list(groups([replace(chunk, carry={}) for chunk in chunks], None)) != []


@pytest.mark.parametrize("flush", [False, True])
def test_a_hole_in_what_turns_up(store: MemoryStore, ingest: Ingest, stream: Stream, flush: bool) -> None:
    """Its NULs are text of the open chunk that fills the gap, and reading goes on behind them."""
    found = line(0) + bytes(600) + b"\n" + line(1)
    known = ingest.give_up(stream, 50, "deleted")
    known = offer(ingest, known, 0, found, flush=True).stream
    assert (known.end, known.resume) == (len(found), 0)
    whole = found + line(2) + line(3)
    offer(ingest, known, 0, whole, flush=flush)
    known = offer(ingest, known, 0, whole, flush=True).stream
    assert known.read_end == len(whole) and b"".join(map(content, store.chunks())) == whole


@pytest.mark.parametrize("kept", [3, 7, 10])
def test_what_was_gone_and_turns_up_takes_its_place(
    store: MemoryStore, ingest: Ingest, stream: Stream, kept: int
) -> None:
    """A copy found later fills the gap, or its beginning; reading goes on behind it as if nothing had been."""
    whole = b"".join(map(line, range(10)))
    offer(ingest, stream, 0, line(0) + line(1), flush=True)
    known = ingest.give_up(stream, len(whole), "deleted")
    found = b"".join(map(line, range(kept)))
    known = offer(ingest, known, 0, found, flush=True).stream
    read = kept if kept == 10 else kept - 1     # a record at the end of what was found may be longer
    assert known.read_end == sum(len(line(i)) for i in range(read))
    assert known.dropped == ({} if kept == 10 else {"deleted": len(whole) - known.read_end})
    assert known.end == len(whole)
    more = whole + line(10) + line(11)
    known = offer(ingest, known, 0, more, flush=True).stream
    assert messages(store) == [f"message {i}" for i in range(12)]
    assert (known.end, known.read_end, known.dropped) == (len(more), len(more), {})
    assert b"".join(decompress(chunk.raw) for chunk in store.chunks()) == more
