"""Reading the SQLite store: everything that may be long comes in pages by key.

A page is one short read transaction and one consistent view; a whole iteration is not: what is committed meanwhile
may or may not be seen, what was there before and stays is seen once.
"""

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from logagg.record import Bucket, BucketKey, Chunk, Event, Partial, Stream
from logagg.store.codec import counts_from_list, from_column, from_json, to_column
from logagg.store.sqlite_events import BLOCK_US_MAX, KEY_COLUMNS, Keys, events_of, keys_of, names_of
from logagg.store.sqlite_file import SqliteFile

STREAM_COLUMNS = ('id, host, app, path, first_line, n, revision, "end", resume, carry, head, windows, end_window,'
                  " counts, open_counts, dropped, last_ts_us")
CHUNK_COLUMNS = 'no, start, "end", revision, open, gone, ts_from_us, ts_to_us, counts, carry'

CHUNKS_PER_PAGE = 16                # up to 4 MiB each
EVENTS_PER_PAGE = 1000
EVENTS_PER_PAGE_MAX = 16_000
EVENT_BYTES_PER_PAGE = 4 << 20      # of bodies as JSON, by their blocks' averages
BLOCKS_PER_PAGE = 5000              # that one statement may pass while it looks for names
BUCKET_BYTES_PER_PAGE = 4 << 20

Row = tuple[Any, ...]
Key = tuple[int, str, int]


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
    blocks = db.execute("SELECT names, keys, committed_us, bodies FROM event_blocks WHERE stream = ? AND"
                        ' "offset" >= ? AND "offset" < ?', (no, chunk.start, chunk.end))
    events = [event for names, keys, committed_us, bodies in blocks
              for event in events_of(chunk.stream, keys_of(names, keys, committed_us), bodies).values()]
    partials = db.execute("SELECT minute, data FROM partials WHERE stream = ? AND start = ? ORDER BY minute",
                          (no, chunk.start))
    return replace(chunk, events=tuple(sorted(events, key=lambda event: event.offset)),
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


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """A block's keys, of bodies with `size` bytes."""

    no: int             #: of the stream
    offset: int
    stream: str
    size: int
    keys: Keys


_Found = tuple[Key, _Block, int]
"""An event's key, and its place in a block."""


@dataclass(frozen=True)
class EventQuery:
    """Events by (ts_us, stream id, offset), of blocks of which many may hold the same time.

    A page is the first events behind a key: the blocks are looked at in the order of their first events until all that
    follow begin later than the page's last event. Bodies are read of those blocks alone that have a part in the page.
    """

    file: SqliteFile
    from_us: int | None
    to_us: int | None
    names: Sequence[str] | None
    stream: str | None

    def after(self, key: Key | None, limit: int | None = None) -> Iterator[Event]:
        """The events behind `key`, in order. Pages grow while most of what is read for one is not in it, where many
        streams write side by side."""
        low = max((at for at in (self.from_us, key[0] if key else None) if at is not None), default=None)
        size, left = EVENTS_PER_PAGE, limit
        while left is None or left > 0:
            page, last, low, seen = self._page(low, key, size if left is None else min(size, left))
            yield from page
            if low is None:
                return
            key = last or key
            left = None if left is None else left - len(page)
            if seen > 2 * len(page):
                size = min(2 * size, EVENTS_PER_PAGE_MAX)

    def _page(self, low: int | None, key: Key | None, size: int) -> tuple[list[Event], Key | None, int | None, int]:
        """At most `size` events behind `key` and not before `low`, the key of the last one, the time to go on with or
        None at the end, and how many events the blocks hold that were read."""
        with self.file.reading() as db:
            found, next_low = self._first(self._blocks(db, low), low, key, size)
            weight = 0.0
            for i, (_, block, _) in enumerate(found):
                weight += block.size / len(block.keys.offsets)
                if i and weight > EVENT_BYTES_PER_PAGE:
                    del found[i:]
                    break
            if len(found) == size or weight > EVENT_BYTES_PER_PAGE:
                next_low = found[-1][0][0]
            seen = sum(len(block.keys.offsets) for block in {block for _, block, _ in found})
            return _with_events(db, found), found[-1][0] if found else None, next_low, seen

    def _blocks(self, db: sqlite3.Connection, low: int | None) -> Iterator[Row]:
        """Rows of (stream number, stream id, *KEY_COLUMNS) that may hold events of `low` or later, by their first."""
        where, values = conditions((
            ("ts_from_us >= ?", None if low is None else max(low - BLOCK_US_MAX, -(1 << 63))), ("ts_to_us >= ?", low),
            ("ts_from_us < ?", self.to_us), ("stream = (SELECT no FROM streams WHERE id = ?)", to_column(self.stream))))
        if self.from_us is not None or self.to_us is not None:
            where += " AND committed_us IS NULL"
        return db.execute(f"SELECT stream, streams.id, {KEY_COLUMNS} FROM event_blocks INDEXED BY"
                          f" event_blocks_by_time CROSS JOIN streams ON streams.no = stream WHERE 1{where}"
                          ' ORDER BY ts_from_us, streams.id, "offset"', values)

    def _first(self, rows: Iterator[Row], low: int | None, key: Key | None,
               size: int) -> tuple[list[_Found], int | None]:
        """The first `size` events behind `key`; where many blocks hold none, fewer, and the time to go on with."""
        found: list[_Found] = []
        last: Key | None = None
        for seen, (no, id, offset, end, ts_from_us, ts_to_us, committed_us, bytes_, names, keys) in enumerate(rows):
            stream = from_column(id)
            if last is not None and ts_from_us > last[0]:
                break
            if seen >= BLOCKS_PER_PAGE and (low is None or ts_from_us > low):
                return sorted(one for one in found if one[0][0] < ts_from_us)[:size], ts_from_us
            if ts_from_us == ts_to_us and ((last is not None and (ts_from_us, stream, offset) > last)
                                           or (key is not None and (ts_from_us, stream, end) <= key)):
                continue
            if self.names is not None and not set(self.names).intersection(names_of(names)):
                continue
            block = _Block(no, offset, stream, bytes_, keys_of(names, keys, committed_us))
            found += self._wanted(block, low, key, last)
            if len(found) >= 2 * size or (last is None and len(found) >= size):
                found.sort()
                del found[size:]
                last = found[-1][0]
        return sorted(found)[:size], None

    def _wanted(self, block: _Block, low: int | None, key: Key | None, last: Key | None) -> Iterator[_Found]:
        """The events of a block that are asked for, as far as none of them comes behind `last`."""
        offsets, times, names = block.keys.offsets, block.keys.times, block.keys.names
        start = 0 if low is None else bisect_left(times, low)
        end = len(times) if self.to_us is None else bisect_left(times, self.to_us)
        if last is not None:
            end = min(end, bisect_right(times, last[0]))
        for i in range(start, end):
            at = (times[i], block.stream, offsets[i])
            if (key is None or at > key) and (self.names is None or names[i] in self.names):
                yield at, block, i


def _with_events(db: sqlite3.Connection, found: Sequence[_Found]) -> list[Event]:
    """The events at these places, in the same order; each block's bodies are read once and let go."""
    places: dict[_Block, dict[int, int]] = {}
    for place, (_, block, i) in enumerate(found):
        places.setdefault(block, {})[i] = place
    page: list[Any] = [None] * len(found)
    for block, wanted in places.items():
        bodies, = db.execute('SELECT bodies FROM event_blocks WHERE stream = ? AND "offset" = ?',
                             (block.no, block.offset)).fetchone()
        for i, event in events_of(block.stream, block.keys, bodies, wanted).items():
            page[wanted[i]] = event
    return page


def conditions(given: Iterable[tuple[str, Any]]) -> tuple[str, list[Any]]:
    """The SQL and the values of those conditions whose value is not None."""
    used = [(condition, value) for condition, value in given if value is not None]
    return "".join(f" AND {condition}" for condition, _ in used), [value for _, value in used]
