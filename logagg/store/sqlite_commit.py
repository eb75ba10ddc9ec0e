"""Writing what a commit adds to a SQLite store: one look at a stream, then a statement for each table and not for each
stream, since a commit may hold a thousand streams with a line each.

An open chunk that grows keeps its rows where they are: what is the same (the stream's names, which are indexed, and
the minutes of its partials) is not written again.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from logagg.record import Chunk, Stream
from logagg.store.checks import dirty_minutes
from logagg.store.codec import counts_to_json, from_json, to_column, to_json
from logagg.store.sqlite_events import DELETE as DELETE_EVENTS
from logagg.store.sqlite_events import INSERT as INSERT_EVENT
from logagg.store.sqlite_events import Row

LOOK = """
SELECT streams.no, streams.revision, streams."end", resume, chunks.no, chunks.revision, dirty,
    (SELECT group_concat(minute) FROM partials WHERE partials.stream = streams.no AND partials.start = chunks.start)
FROM streams LEFT JOIN chunks ON chunks.stream = streams.no AND chunks.start = resume AND resume < streams."end"
    LEFT JOIN marks ON marks.stream = streams.no AND marks.start = chunks.start WHERE id = ?"""

NAMES = "id, host, app, first_line, n"
STATE = ('path, revision, "end", resume, carry, head, windows, end_window, counts, open_counts, dropped, last_ts_us')
INSERT_STREAM = f"INSERT INTO streams ({STATE}, {NAMES}) VALUES (?{', ?' * 16})"
UPDATE_STREAM = f"UPDATE streams SET ({STATE}) = (?{', ?' * 11}) WHERE no = ?"

CHUNK = '"end", revision, open, gone, ts_from_us, ts_to_us, age_us, counts, carry'
INSERT_CHUNK = f"INSERT INTO chunks ({CHUNK}, stream, start) VALUES (?{', ?' * 10})"
UPDATE_CHUNK = f"UPDATE chunks SET ({CHUNK}) = (?{', ?' * 8}) WHERE no = ?"
PUT_RAW = "INSERT OR REPLACE INTO raw VALUES (?, ?)"
PUT_PARTIAL = ("INSERT INTO partials VALUES (?, ?, ?, ?)"
               " ON CONFLICT (stream, start, minute) DO UPDATE SET data = excluded.data")
PUT_MARK = "INSERT OR REPLACE INTO marks (stream, start, revision, dirty) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of a stream: its number and position; of its open chunk, if it has one, the number, the revision,
    the minutes of its partials, and those that it has made dirty."""

    no: int
    revision: int
    end: int
    resume: int
    open_no: int | None
    open_revision: int
    minutes: frozenset[int]
    dirty: tuple[int, ...]


def stored_of(db: sqlite3.Connection, id: str) -> Stored | None:
    row = db.execute(LOOK, (to_column(id),)).fetchone()
    if row is None:
        return None
    no, revision, end, resume, open_no, open_revision, dirty, minutes = row
    return Stored(no, revision, end, resume, open_no, open_revision or 0,
                  frozenset(map(int, minutes.split(","))) if minutes else frozenset(),
                  tuple(from_json(dirty)) if dirty else ())


class Rows:
    """The rows that a commit writes, table by table."""

    def __init__(self, db: sqlite3.Connection, now_us: int) -> None:
        self._db, self._now_us = db, now_us
        self._streams: list[Row] = []
        self._chunks: list[Row] = []
        self._raw: list[Row] = []
        self._events_gone: list[Row] = []
        self._events: list[Row] = []
        self._partials_gone: list[Row] = []
        self._partials: list[Row] = []
        self._marks: list[Row] = []

    def add(self, stored: Stored | None, stream: Stream, chunks: Sequence[Chunk],
            events: Sequence[Iterable[Row]]) -> None:
        """A stream's next state and the chunks that it appends; the first of them takes the place of the open one."""
        if stored is None:
            no = self._inserted(INSERT_STREAM, (*_state(stream), *_names(stream)))
        else:
            no = stored.no
            self._streams.append((*_state(stream), no))
        for i, (chunk, rows) in enumerate(zip(chunks, events, strict=True)):
            if i == 0 and stored is not None and stored.open_no is not None:
                self._grow(stored, stored.open_no, chunk, rows)
            else:
                self.append(no, chunk, rows)

    def append(self, no: int, chunk: Chunk, events: Iterable[Row], revision: int = 1,
               dirty: Iterable[int] = ()) -> None:
        """A chunk where none is; `dirty` are minutes to be folded beside its own."""
        number = self._inserted(INSERT_CHUNK, (*self._chunk(chunk, revision), no, chunk.start))
        if chunk.raw:
            self._raw.append((number, chunk.raw))
        self._parts(no, chunk, events, revision, dirty)

    def _grow(self, stored: Stored, number: int, chunk: Chunk, events: Iterable[Row]) -> None:
        """The chunk in the place of the open one, whose minutes stay dirty."""
        revision = stored.open_revision + 1
        self._chunks.append((*self._chunk(chunk, revision), number))
        self._raw.append((number, chunk.raw))
        self._events_gone.append((stored.no, chunk.start, stored.end))
        gone = stored.minutes.difference(partial.minute for partial in chunk.partials)
        self._partials_gone += [(stored.no, chunk.start, minute) for minute in gone]
        self._parts(stored.no, chunk, events, revision, (*stored.dirty, *stored.minutes))

    def _chunk(self, chunk: Chunk, revision: int) -> Row:
        age_us = self._now_us if chunk.ts_to_us is None else chunk.ts_to_us
        return (chunk.end, revision, chunk.open, to_column(chunk.gone), chunk.ts_from_us, chunk.ts_to_us, age_us,
                counts_to_json(chunk.counts), to_json(chunk.carry))

    def _parts(self, no: int, chunk: Chunk, events: Iterable[Row], revision: int, dirty: Iterable[int]) -> None:
        self._events += [(no, *row) for row in events]
        self._partials += [(no, chunk.start, partial.minute, partial.data) for partial in chunk.partials]
        minutes = dirty_minutes(dirty, (partial.minute for partial in chunk.partials))
        self._marks.append((no, chunk.start, revision, to_json(minutes)))

    def _inserted(self, statement: str, row: Row) -> int:
        number = self._db.execute(statement, row).lastrowid
        assert number is not None
        return number

    def write(self) -> None:
        """Write what was added and not yet written; what goes goes before what comes."""
        for statement, rows in (
            (UPDATE_STREAM, self._streams), (UPDATE_CHUNK, self._chunks), (PUT_RAW, self._raw),
            (DELETE_EVENTS, self._events_gone),
            (INSERT_EVENT, self._events),
            ("DELETE FROM partials WHERE stream = ? AND start = ? AND minute = ?", self._partials_gone),
            (PUT_PARTIAL, self._partials), (PUT_MARK, self._marks),
        ):
            if rows:
                self._db.executemany(statement, rows)
                rows.clear()


def _names(stream: Stream) -> tuple[Any, ...]:
    """The values of NAMES, which a stream keeps."""
    return (*map(to_column, (stream.id, stream.host, stream.app, stream.first_line)), stream.n)


def _state(stream: Stream) -> tuple[Any, ...]:
    """The values of STATE, at the next revision."""
    return (to_column(stream.path), stream.revision + 1, stream.end, stream.resume, to_json(stream.carry), stream.head,
            _windows_json(stream.windows), to_column(stream.end_window), counts_to_json(stream.counts),
            counts_to_json(stream.open_counts), to_json(dict(stream.dropped)), stream.last_ts_us)


def _windows_json(windows: Mapping[int, str]) -> str:
    """As `to_json`, faster for hexadecimal digits."""
    if not "".join(windows.values()).isalnum():
        return to_json(dict(windows))
    return "{" + ",".join([f'"{offset}":"{digest}"' for offset, digest in windows.items()]) + "}"
