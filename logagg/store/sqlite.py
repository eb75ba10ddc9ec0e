"""The embedded store: one SQLite file, no server (interfaces.Store says what each method promises).

A commit is one `BEGIN IMMEDIATE` transaction with synchronous=FULL: when it returns, the bytes are on disk, and a
process killed before its COMMIT has written nothing. Several threads and several processes may share a file; writers
wait for each other (10 s at most, then StoreUnavailable), readers wait for nobody. Keep it on a local disk: WAL does
not work over network file systems.
"""

import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from logagg.clock import Clock, SystemClock
from logagg.interfaces import Committed
from logagg.record import Bucket, BucketKey, Chunk, Counts, Event, Mark, Partial, Stream
from logagg.store import sqlite_read as read
from logagg.store.checks import check_replace, check_steps, counts_change, decide_commits, dirty_minutes
from logagg.store.codec import counts_to_json, from_column, from_json, to_column, to_json
from logagg.store.sqlite_commit import Rows, stored_of
from logagg.store.sqlite_events import DELETE as DELETE_EVENTS
from logagg.store.sqlite_events import INSERT as INSERT_EVENT
from logagg.store.sqlite_events import event_rows, events_of, keys_of
from logagg.store.sqlite_file import SqliteFile

CHUNKS_PER_EXPIRY = 200             # with up to 4 MiB each
BLOCKS_PER_EXPIRY = 5               # with up to 1000 events each
BUCKETS_PER_EXPIRY = 2000


class SqliteStore:
    """`interfaces.Store` in the file at `path`."""

    remote = False

    def __init__(self, path: str, *, read_only: bool = False, clock: Clock | None = None,
                 reserve_bytes: int = 0) -> None:
        self._clock = clock or SystemClock()
        self._file = SqliteFile(path, read_only=read_only, clock=self._clock, reserve_bytes=reserve_bytes)

    def streams(self, *, id: str | None = None, host: str | None = None, app: str | None = None,
                first_line: str | None = None) -> list[Stream]:
        given = {"id": id, "host": host, "app": app, "first_line": first_line}
        wanted = {name: to_column(value) for name, value in given.items() if value is not None}
        where = " AND ".join(["1", *(f"{name} = ?" for name in wanted)])
        with self._file.reading() as db:
            rows = db.execute(f"SELECT {read.STREAM_COLUMNS} FROM streams WHERE {where}", [*wanted.values()]).fetchall()
        return sorted(map(read.stream_of, rows), key=lambda s: (s.app, s.host, s.path, s.first_line, s.n))

    def ready(self, chunk: Chunk) -> Chunk:
        return chunk

    def commit(self, commits: Sequence[tuple[Stream, Sequence[Chunk]]]) -> list[Committed]:
        now_us = self._clock.now_us()
        prepared = [[event_rows(chunk.events, now_us) for chunk in chunks] for _, chunks in commits]
        with self._file.writing(bulk=True) as db:
            found = {stream.id: stored_of(db, stream.id) for stream, _ in commits}
            answers = decide_commits({id: stored for id, stored in found.items() if stored}, commits)
            rows = Rows(db, now_us)
            for (stream, chunks), events, answer in zip(commits, prepared, answers, strict=True):
                if answer == "committed":
                    rows.add(found[stream.id], stream, chunks, events)
            rows.write()
        return answers

    def replace(self, stream: str, start: int, end: int, revisions: Mapping[int, int],
                chunks: Sequence[Chunk]) -> bool:
        now_us = self._clock.now_us()
        prepared = [event_rows(chunk.events, now_us) for chunk in chunks]
        with self._file.writing(bulk=True) as db:
            no, stored = _stored_stream(db, stream)
            rows = db.execute(f"SELECT {read.CHUNK_COLUMNS} FROM chunks WHERE stream = ? AND start >= ? AND start < ?"
                              " ORDER BY start", (no, start, end)).fetchall()
            old = [read.chunk_of(stream, row) for row in rows]
            if no is None or stored is None or {chunk.start: chunk.revision for chunk in old} != dict(revisions):
                return False
            check_replace(stream, start, end, old, chunks)
            dirty = [minute for chunk in old for minute in _delete_chunk(db, no, chunk)]
            revision = max(revisions.values()) + 1
            new = Rows(db, now_us)
            for i, (chunk, events) in enumerate(zip(chunks, prepared, strict=True)):
                new.append(no, chunk, events, revision, () if i else dirty)
            new.write()
            change = counts_change(old, chunks)
            if change != Counts():                     # the ledger follows; a tailer's own state has moved then
                db.execute("UPDATE streams SET counts = ?, revision = revision + 1 WHERE no = ?",
                           (counts_to_json(stored.counts + change), no))
            return True

    def chunks(self, *, stream: str | None = None, from_us: int | None = None, to_us: int | None = None,
               start: int | None = None, end: int | None = None, with_parts: bool = False) -> Iterator[Chunk]:
        return read.read_chunks(self._file, stream, from_us, to_us, start, end, with_parts)

    def events(self, *, from_us: int | None = None, to_us: int | None = None, names: Sequence[str] | None = None,
               stream: str | None = None, after: tuple[int, str, int] | None = None,
               limit: int | None = None) -> Iterator[Event]:
        return read.EventQuery(self._file, from_us, to_us, names, stream).after(after, limit)

    def unfolded(self, limit: int) -> list[Mark]:
        with self._file.reading() as db:
            rows = db.execute("SELECT streams.id, start, marks.revision, dirty FROM marks JOIN streams"
                              " ON streams.no = marks.stream ORDER BY marks.no LIMIT ?", (limit,)).fetchall()
        return [Mark(from_column(row[0]), row[1], row[2], tuple(from_json(row[3]))) for row in rows]

    def partials(self, minutes: Sequence[int]) -> Iterator[Partial]:
        return read.read_partials(self._file, minutes)

    def fold(self, buckets: Mapping[BucketKey, Bucket], marks: Iterable[Mark]) -> bool:
        with self._file.writing(bulk=True) as db:
            numbers: dict[BucketKey, int] = {}
            for key, bucket in buckets.items():
                found = db.execute("SELECT no, revision FROM buckets WHERE step = ? AND zone = ? AND start = ?"
                                   " AND metric = ?", _bucket_columns(key)).fetchone()
                if (found[1] if found else 0) != bucket.revision:
                    return False
                if found:
                    numbers[key] = found[0]
            for key, bucket in buckets.items():
                _write_bucket(db, numbers.get(key), key, bucket)
            db.executemany("DELETE FROM marks WHERE stream = (SELECT no FROM streams WHERE id = ?) AND start = ?"
                           " AND revision = ?", [(to_column(m.stream), m.start, m.revision) for m in marks])
            return True

    def buckets(self, step: str, zone: str, start: int, end: int, *,
                metric: str | None = None) -> Iterator[tuple[BucketKey, Bucket]]:
        return read.read_buckets(self._file, step, zone, start, end, metric)

    def expire(self, *, raw_before_us: int | None = None, events_before_us: int | None = None,
               buckets_before: Mapping[str, int] | None = None) -> dict[str, int]:
        check_steps(buckets_before or ())
        deleted = {"chunks": 0, "events": 0, "buckets": 0}
        with self._file.writing() as db:
            if raw_before_us is not None:
                deleted["chunks"] = _expire_chunks(db, raw_before_us)
            if events_before_us is not None:
                deleted["events"] = _expire_events(db, events_before_us)
            for step, before in (buckets_before or {}).items():
                deleted["buckets"] += _expire_buckets(db, step, before)
        return deleted

    def document(self, kind: str, key: str) -> tuple[int, dict[str, Any]] | None:
        with self._file.reading() as db:
            row = db.execute("SELECT revision, value FROM documents WHERE kind = ? AND key = ?",
                             (to_column(kind), to_column(key))).fetchone()
        return (row[0], from_json(row[1])) if row else None

    def documents(self, kind: str, *, start: str = "", end: str | None = None) -> dict[str, dict[str, Any]]:
        wanted, values = "kind = ? AND key >= ?", [to_column(kind), to_column(start)]
        if end is not None:
            wanted, values = wanted + " AND key < ?", [*values, to_column(end)]
        with self._file.reading() as db:
            rows = db.execute(f"SELECT key, value FROM documents WHERE {wanted}", values).fetchall()
        return {key: from_json(value) for key, value in sorted((from_column(key), value) for key, value in rows)}

    def put_document(self, kind: str, key: str, revision: int | None, value: dict[str, Any]) -> bool:
        place, text = (to_column(kind), to_column(key)), to_json(value)
        with self._file.writing() as db:
            if revision == 0:
                done = db.execute("INSERT OR IGNORE INTO documents VALUES (?, ?, 1, ?)", (*place, text))
            elif revision is None:
                done = db.execute("INSERT INTO documents VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE SET"
                                  " revision = revision + 1, value = excluded.value", (*place, text))
            else:
                done = db.execute("UPDATE documents SET revision = revision + 1, value = ? WHERE kind = ? AND key = ?"
                                  " AND revision = ?", (text, *place, revision))
            return done.rowcount == 1

    def check_space(self) -> None:
        self._file.check_space()

    def size_bytes(self) -> int:
        return self._file.size_bytes()

    def close(self) -> None:
        self._file.close()


def _stored_stream(db: sqlite3.Connection, id: str) -> tuple[int | None, Stream | None]:
    row = db.execute(f"SELECT {read.STREAM_COLUMNS}, no FROM streams WHERE id = ?", (to_column(id),)).fetchone()
    return (row[-1], read.stream_of(row)) if row else (None, None)


def _delete_chunk(db: sqlite3.Connection, no: int, chunk: Chunk) -> list[int]:
    """Delete a chunk with all its parts; the answer is the minutes whose rollups it leaves dirty."""
    place = (no, chunk.start)
    mark = db.execute("SELECT dirty FROM marks WHERE stream = ? AND start = ?", place).fetchone()
    own = db.execute("SELECT minute FROM partials WHERE stream = ? AND start = ?", place).fetchall()
    db.execute("DELETE FROM marks WHERE stream = ? AND start = ?", place)
    db.execute("DELETE FROM partials WHERE stream = ? AND start = ?", place)
    db.execute(DELETE_EVENTS, (*place, chunk.end))
    db.execute("DELETE FROM raw WHERE chunk = (SELECT no FROM chunks WHERE stream = ? AND start = ?)", place)
    db.execute("DELETE FROM chunks WHERE stream = ? AND start = ?", place)
    return dirty_minutes(from_json(mark[0]) if mark else (), (minute for minute, in own))


def _bucket_columns(key: BucketKey) -> tuple[str | bytes, str | bytes, int, str | bytes]:
    return to_column(key.step), to_column(key.zone), key.start, to_column(key.metric)


def _write_bucket(db: sqlite3.Connection, no: int | None, key: BucketKey, bucket: Bucket) -> None:
    """Write the rows that differ from the stored ones: most of a large bucket stays as it is from fold to fold."""
    stored: dict[str | bytes, bytes] = {}
    if no is None:
        no = db.execute("INSERT INTO buckets (step, zone, start, metric, revision) VALUES (?, ?, ?, ?, 1)",
                        _bucket_columns(key)).lastrowid
    else:
        db.execute("UPDATE buckets SET revision = revision + 1 WHERE no = ?", (no,))
        stored = dict(db.execute("SELECT labels, stat FROM rollups WHERE bucket = ?", (no,)))
    rows = {to_column(labels): stat for labels, stat in bucket.rows.items()}
    db.executemany("DELETE FROM rollups WHERE bucket = ? AND labels = ?",
                   [(no, labels) for labels in stored.keys() - rows.keys()])
    db.executemany("INSERT OR REPLACE INTO rollups VALUES (?, ?, ?)",
                   [(no, labels, stat) for labels, stat in rows.items() if stored.get(labels) != stat])


def _expire_chunks(db: sqlite3.Connection, before_us: int) -> int:
    found = db.execute("SELECT no, stream, start FROM chunks WHERE age_us < ? AND NOT open AND NOT EXISTS (SELECT 1"
                       " FROM marks WHERE marks.stream = chunks.stream AND marks.start = chunks.start) ORDER BY age_us"
                       f" LIMIT {CHUNKS_PER_EXPIRY}", (before_us,)).fetchall()
    db.executemany("DELETE FROM partials WHERE stream = ? AND start = ?", [row[1:] for row in found])
    db.executemany("DELETE FROM raw WHERE chunk = ?", [row[:1] for row in found])
    db.executemany("DELETE FROM chunks WHERE no = ?", [row[:1] for row in found])
    return len(found)


def _expire_events(db: sqlite3.Connection, before_us: int) -> int:
    """Events without a time go by the time of their commit, whole blocks of them; of others a part may stay."""
    columns = 'stream, "offset", names, keys, committed_us, bodies'
    found = db.execute(f"SELECT {columns} FROM event_blocks WHERE ts_from_us < ? AND committed_us IS NULL"
                       f" ORDER BY ts_from_us LIMIT {BLOCKS_PER_EXPIRY}", (before_us,)).fetchall()
    found += db.execute(f"SELECT {columns} FROM event_blocks WHERE committed_us < ? ORDER BY committed_us"
                        f" LIMIT {BLOCKS_PER_EXPIRY - len(found)}", (before_us,))
    gone = 0
    for stream, offset, names, keys, committed_us, bodies in found:
        own = keys_of(names, keys, committed_us)
        old = bisect_left(own.times, before_us) if own.timed else len(own.times)
        left = events_of("", own, bodies, range(old, len(own.times))) if old < len(own.times) else {}
        db.execute('DELETE FROM event_blocks WHERE stream = ? AND "offset" = ?', (stream, offset))
        db.executemany(INSERT_EVENT, ((stream, *row) for row in event_rows(left.values(), 0)))
        gone += old
    return gone


def _expire_buckets(db: sqlite3.Connection, step: str, before: int) -> int:
    found = db.execute("SELECT no FROM buckets WHERE step = ? AND start < ? ORDER BY zone, start"
                       f" LIMIT {BUCKETS_PER_EXPIRY}", (step, before)).fetchall()
    db.executemany("DELETE FROM rollups WHERE bucket = ?", found)
    db.executemany("DELETE FROM buckets WHERE no = ?", found)
    return len(found)
