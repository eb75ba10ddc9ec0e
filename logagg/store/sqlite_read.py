"""Reading the SQLite store: everything that may be long comes in pages by key.

A page is one short read transaction and one consistent view; a whole iteration is not: what is committed meanwhile
may or may not be seen, what was there before and stays is seen once.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from logagg.record import Bucket, BucketKey, Chunk, Event, Partial, Stream
from logagg.store.codec import counts_from_list, from_column, from_json, to_column
from logagg.store.sqlite_events import COLUMNS as EVENT_COLUMNS
from logagg.store.sqlite_events import event_of
from logagg.store.sqlite_file import SqliteFile

STREAM_COLUMNS = ('id, host, app, path, first_line, n, revision, "end", resume, carry, head, windows, end_window,'
                  " counts, open_counts, dropped, last_ts_us")
CHUNK_COLUMNS = 'no, start, "end", revision, open, gone, ts_from_us, ts_to_us, counts, carry'

CHUNKS_PER_PAGE = 16                # up to 4 MiB each
EVENTS_PER_PAGE = 1000
EVENTS_PER_WINDOW = 50_000          # index entries that one statement may pass while it looks for names
BUCKET_BYTES_PER_PAGE = 4 << 20

Row = tuple[Any, ...]


def stream_of(row: Row) -> Stream:
    """A row of STREAM_COLUMNS."""
    return Stream(
        id=from_column(row[0]), host=from_column(row[1]), app=from_column(row[2]), path=from_column(row[3]),
        first_line=from_column(row[4]), n=row[5], revision=row[6], end=row[7], resume=row[8], carry=from_json(row[9]),
        head=row[10], windows={int(size): text for size, text in from_json(row[11]).items()},
        end_window=from_column(row[12]), counts=counts_from_list(from_json(row[13])),
        open_counts=counts_from_list(from_json(row[14])), dropped=from_json(row[15]), last_ts_us=row[16])


def chunk_of(stream: str, row: Row, raw: bytes = b"") -> Chunk:
    """A row of CHUNK_COLUMNS, without its parts."""
    return Chunk(stream, row[1], row[2], raw, from_json(row[9]), bool(row[4]), from_column(row[5]), row[6], row[7],
                 counts_from_list(from_json(row[8])), revision=row[3])


def read_chunks(file: SqliteFile, stream: str | None, from_us: int | None, to_us: int | None, start: int | None,
                end: int | None, with_parts: bool) -> Iterator[Chunk]:
    where, values = conditions((('"end" > ?', start), ("start < ?", end), ("ts_to_us >= ?", from_us),
                                ("ts_from_us < ?", to_us)))
    behind = "coalesce((SELECT max(start) FROM chunks WHERE stream = ? AND start < ?), -1)"     # merged meanwhile?
    sql = (f"SELECT {CHUNK_COLUMNS}, raw.bytes FROM chunks LEFT JOIN raw ON raw.chunk = chunks.no"
           f' WHERE stream = ? AND start >= {behind} AND "end" > ?{where} ORDER BY start LIMIT {CHUNKS_PER_PAGE}')
    for no, name in _stream_numbers(file, stream):
        after = -1
        while True:
            with file.reading() as db:
                page = [chunk_of(name, row, row[10] or b"") for row in db.execute(sql, (no, no, after, after, *values))]
                if with_parts:
                    page = [chunk_with_parts(db, no, chunk) for chunk in page]
            yield from page
            if len(page) < CHUNKS_PER_PAGE:
                break
            after = page[-1].end


def _stream_numbers(file: SqliteFile, stream: str | None) -> list[tuple[int, str]]:
    with file.reading() as db:
        if stream is None:
            rows = db.execute("SELECT no, id FROM streams").fetchall()
        else:
            rows = db.execute("SELECT no, id FROM streams WHERE id = ?", (to_column(stream),)).fetchall()
    return sorted(((no, from_column(name)) for no, name in rows), key=lambda row: row[1])


def chunk_with_parts(db: sqlite3.Connection, no: int, chunk: Chunk) -> Chunk:
    events = db.execute(f'SELECT {EVENT_COLUMNS} FROM events WHERE stream = ? AND "offset" >= ? AND "offset" < ?'
                        ' ORDER BY "offset"', (no, chunk.start, chunk.end))
    partials = db.execute("SELECT minute, data FROM partials WHERE stream = ? AND start = ? ORDER BY minute",
                          (no, chunk.start))
    return replace(chunk, events=tuple(event_of(chunk.stream, row) for row in events),
                   partials=tuple(Partial(*row) for row in partials))


def read_partials(file: SqliteFile, minutes: Sequence[int]) -> Iterator[Partial]:
    """A minute is read at one moment, whole: while chunks are merged, pages of it would miss or repeat some."""
    for minute in sorted(set(minutes)):
        with file.reading() as db:
            found = db.execute("SELECT data FROM partials WHERE minute = ?", (minute,)).fetchall()
        for data, in found:
            yield Partial(minute, data)


def read_buckets(file: SqliteFile, step: str, zone: str, start: int, end: int,
                 metric: str | None) -> Iterator[tuple[BucketKey, Bucket]]:
    only = "" if metric is None else " AND metric = ?"
    sql = ("SELECT start, metric, revision, labels, stat FROM buckets LEFT JOIN rollups ON bucket = no WHERE step = ?"
           f" AND zone = ? AND start < ? AND (start, metric) > (?, ?){only} ORDER BY start, metric, labels")
    wanted = () if metric is None else (to_column(metric),)
    after: tuple[int, str | bytes] = (start, "")            # a metric has a name: "" is before all of them
    while True:
        page, more = _bucket_page(file, sql, (to_column(step), to_column(zone), end, *after, *wanted))
        for at, name, revision, rows in page:
            yield BucketKey(from_column(name), step, zone, at), Bucket(revision, rows)
        if not more:
            return
        after = page[-1][:2]


BucketRow = tuple[int, str | bytes, int, dict[str, bytes]]


def _bucket_page(file: SqliteFile, sql: str, values: Row) -> tuple[list[BucketRow], bool]:
    """Whole buckets of at least BUCKET_BYTES_PER_PAGE together, and whether there may be more behind them."""
    page: list[BucketRow] = []
    size = 0
    with file.reading() as db:
        for start, metric, revision, labels, stat in db.execute(sql, values):
            if not page or page[-1][:2] != (start, metric):
                if size >= BUCKET_BYTES_PER_PAGE:
                    return page, True
                page.append((start, metric, revision, {}))
                size += 100
            if labels is not None:
                page[-1][3][from_column(labels)] = stat
                size += len(stat) + len(labels)
    return page, False


@dataclass(frozen=True)
class EventQuery:
    """Events by (ts_us, stream id, offset), while the index is by (ts_us, stream number, offset).

    Events of one ts_us are put in order here: a page holds all of them. A ts_us that more than a page of events
    share (a log without milliseconds; rejects, which have none) is read stream by stream instead.
    """

    file: SqliteFile
    from_us: int | None
    to_us: int | None
    names: Sequence[str] | None
    stream: str | None

    def after(self, key: tuple[int, str, int] | None) -> Iterator[Event]:
        """The events behind `key`, in order."""
        low = self.from_us
        if key is not None:
            low = key[0] if low is None else max(low, key[0])
        for window_low, window_high in self._windows(low):
            yield from self._window(window_low, window_high, key)

    def _windows(self, low: int | None) -> Iterator[tuple[int | None, int | None]]:
        """Half-open ranges of ts_us with few enough events that one statement through any of them is short."""
        while True:
            where, values = conditions((("ts_us > ?", low), ("ts_us < ?", self.to_us)))
            with self.file.reading() as db:
                row = db.execute(f"SELECT ts_us FROM events INDEXED BY events_by_time WHERE 1{where} ORDER BY ts_us"
                                 f" LIMIT 1 OFFSET {EVENTS_PER_WINDOW}", values).fetchone()
            if row is None:
                yield low, self.to_us
                return
            yield low, row[0]
            low = row[0]

    def _window(self, low: int | None, high: int | None, key: tuple[int, str, int] | None) -> Iterator[Event]:
        while True:
            rows = self._page(low, high)
            full = len(rows) == EVENTS_PER_PAGE
            if full and rows[0][3] == rows[-1][3]:
                at_us = rows[0][3]
                yield from self._same_time(at_us, key)
                low = at_us + 1
                continue
            if full:
                low = rows[-1][3]
                rows = [row for row in rows if row[3] != low]
            yield from in_order(rows, key)
            if not full:
                return

    def _same_time(self, ts_us: int, key: tuple[int, str, int] | None) -> Iterator[Event]:
        with self.file.reading() as db:
            found = db.execute("SELECT no, id FROM streams WHERE no IN (SELECT DISTINCT stream FROM events INDEXED BY"
                               " events_by_time WHERE ts_us = ?)", (ts_us,)).fetchall()
        for name, no in sorted((from_column(id), no) for no, id in found):
            after = -1
            if key is not None and key[0] == ts_us:
                if name < key[1]:
                    continue
                after = key[2] if name == key[1] else -1
            while True:
                rows = self._page(ts_us, ts_us + 1, no, after)
                yield from in_order(rows, key)
                if len(rows) < EVENTS_PER_PAGE:
                    break
                after = rows[-1][2]

    def _page(self, low: int | None, high: int | None, no: int | None = None, after: int | None = None) -> list[Row]:
        """Rows of (stream id, stream number, *EVENT_COLUMNS), in the index's order."""
        where, values = conditions((
            ("ts_us >= ?", low), ("ts_us < ?", high), ("stream = ?", no), ('"offset" > ?', after),
            ("stream = (SELECT no FROM streams WHERE id = ?)", to_column(self.stream))))
        if self.names is not None:
            where += f" AND event IN ({','.join('?' * len(self.names))})"
            values += [to_column(name) for name in self.names]
        if self.from_us is not None or self.to_us is not None:
            where += " AND committed_us IS NULL"
        with self.file.reading() as db:
            return db.execute(f"SELECT streams.id, stream, {EVENT_COLUMNS} FROM events INDEXED BY events_by_time"
                              f" CROSS JOIN streams ON no = stream WHERE 1{where} ORDER BY ts_us, stream,"
                              f' "offset" LIMIT {EVENTS_PER_PAGE}', values).fetchall()


def in_order(rows: list[Row], key: tuple[int, str, int] | None) -> Iterator[Event]:
    """The events of rows that hold all of each ts_us (or one stream of it), in the contract's order, behind `key`."""
    keyed = sorted(((row[3], from_column(row[0]), row[2]), i) for i, row in enumerate(rows))
    return (event_of(at[1], rows[i][2:]) for at, i in keyed if key is None or at > key)


def conditions(given: Iterable[tuple[str, Any]]) -> tuple[str, list[Any]]:
    """The SQL and the values of those conditions whose value is not None."""
    used = [(condition, value) for condition, value in given if value is not None]
    return "".join(f" AND {condition}" for condition, _ in used), [value for _, value in used]
