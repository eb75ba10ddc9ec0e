"""The tables of the SQLite store, their version, and how an older file becomes a newer one.

`streams.no` stands for the stream's id in all other tables, so that rows stay narrow. Rows of one chunk lie side by
side: partials are clustered by (stream, start), and events are in blocks of up to a thousand. The compressed bytes have
a table of their own, so that a search by time reads none of them. A chunk has a row in `marks` while it is not folded.
"""

import sqlite3
from collections.abc import Callable, Mapping

from logagg.errors import StoreError, StoreVersionError
from logagg.store.sqlite_rows import pack_rows

APPLICATION_ID = 0x6C6F6761        # "loga"; https://www.sqlite.org/pragma.html#pragma_application_id
PAGE_BYTES = 8192                  # measured: 15 % more events/s than 4096; 16384 gains less and wastes small stores

#: version -> the statements that lead there from the version before; a new file runs through all of them.
#: Never change one that was released: add the next.
MIGRATIONS: Mapping[int, str] = {
    1: """
CREATE TABLE streams (no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, host TEXT NOT NULL, app TEXT NOT NULL,
    path TEXT NOT NULL, first_line TEXT NOT NULL, n INTEGER NOT NULL, revision INTEGER NOT NULL,
    "end" INTEGER NOT NULL, resume INTEGER NOT NULL, carry TEXT NOT NULL, head BLOB NOT NULL, windows TEXT NOT NULL,
    end_window TEXT NOT NULL, counts TEXT NOT NULL, open_counts TEXT NOT NULL, dropped TEXT NOT NULL,
    last_ts_us INTEGER);
CREATE INDEX streams_by_source ON streams (host, app);
CREATE INDEX streams_by_first_line ON streams (first_line);

-- age_us: what expiry goes by: the last record's time, or that of the commit where no record has a time
CREATE TABLE chunks (no INTEGER PRIMARY KEY, stream INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    revision INTEGER NOT NULL, open INTEGER NOT NULL, gone TEXT, ts_from_us INTEGER, ts_to_us INTEGER,
    age_us INTEGER NOT NULL, counts TEXT NOT NULL, carry TEXT NOT NULL, UNIQUE (stream, start));
CREATE INDEX chunks_by_age ON chunks (age_us);
CREATE TABLE raw (chunk INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE marks (no INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL, start INTEGER NOT NULL,
    revision INTEGER NOT NULL, dirty TEXT NOT NULL, UNIQUE (stream, start));

-- ts_us is -1 and committed_us is set for an event without a time
CREATE TABLE events (stream INTEGER NOT NULL, "offset" INTEGER NOT NULL, ts_us INTEGER NOT NULL, level TEXT,
    event TEXT, body TEXT NOT NULL, committed_us INTEGER, PRIMARY KEY (stream, "offset")) WITHOUT ROWID;
CREATE INDEX events_by_time ON events (ts_us, stream, "offset");
CREATE INDEX events_without_time ON events (committed_us) WHERE committed_us IS NOT NULL;
CREATE TABLE partials (stream INTEGER NOT NULL, start INTEGER NOT NULL, minute INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (stream, start, minute)) WITHOUT ROWID;
CREATE INDEX partials_by_minute ON partials (minute, stream, start);

CREATE TABLE buckets (no INTEGER PRIMARY KEY, step TEXT NOT NULL, zone TEXT NOT NULL, start INTEGER NOT NULL,
    metric TEXT NOT NULL, revision INTEGER NOT NULL, UNIQUE (step, zone, start, metric));
CREATE TABLE rollups (bucket INTEGER NOT NULL, labels TEXT NOT NULL, stat BLOB NOT NULL,
    PRIMARY KEY (bucket, labels)) WITHOUT ROWID;
CREATE TABLE documents (kind TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (kind, key)) WITHOUT ROWID;
""",
    # An event's body in columns (sqlite_events.py); what was written before stays as it is, whole in `body`.
    2: """
ALTER TABLE events ADD COLUMN ts_digits INTEGER;
ALTER TABLE events ADD COLUMN logger TEXT;
ALTER TABLE events ADD COLUMN thread TEXT;
ALTER TABLE events ADD COLUMN message TEXT;
ALTER TABLE events ADD COLUMN exception TEXT;
ALTER TABLE events ADD COLUMN fields TEXT;
""",
    # Events in blocks (sqlite_events.py); `events` is what SQL sees of them, on connections with `block_rows`.
    3: """
ALTER TABLE events RENAME TO event_rows;
-- ts_from_us and ts_to_us are -1 and committed_us is set for events without a time; size is that of the bodies' JSON
CREATE TABLE event_blocks (stream INTEGER NOT NULL, "offset" INTEGER NOT NULL, last INTEGER NOT NULL,
    ts_from_us INTEGER NOT NULL, ts_to_us INTEGER NOT NULL, committed_us INTEGER, size INTEGER NOT NULL,
    names BLOB NOT NULL, keys BLOB NOT NULL, bodies BLOB NOT NULL, PRIMARY KEY (stream, "offset")) WITHOUT ROWID;
CREATE INDEX event_blocks_by_time ON event_blocks (ts_from_us, ts_to_us, stream, "offset");
CREATE INDEX event_blocks_without_time ON event_blocks (committed_us) WHERE committed_us IS NOT NULL;
CREATE VIEW events AS SELECT streams.id AS stream, host, app, streams.path AS path,
    json_extract(value, '$[0]') AS "offset", json_extract(value, '$[1]') AS ts_us, json_extract(value, '$[2]') AS ts,
    json_extract(value, '$[3]') AS level, json_extract(value, '$[4]') AS event, json_extract(value, '$[5]') AS logger,
    json_extract(value, '$[6]') AS thread, json_extract(value, '$[7]') AS message,
    json_extract(value, '$[8]') AS exception, json_extract(value, '$[9]') AS fields,
    json_extract(value, '$[10]') AS body, ts_from_us AS block_from_us, ts_to_us AS block_to_us
    FROM event_blocks JOIN streams ON streams.no = stream, json_each(block_rows(names, keys, committed_us, bodies));
""",
}

#: version -> what is done behind its statements, in the same transaction
CONVERSIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {3: pack_rows}


def stored_version(db: sqlite3.Connection, path: str) -> int:
    """The file's schema version, 0 for an empty one. Errors: not a logagg store, or of a newer logagg."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if application != APPLICATION_ID:
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application or version or tables:
            raise StoreError(f"{path} is an SQLite database of another program, not a logagg store: give another path"
                             " in [store] url")
        return 0
    newest = max(MIGRATIONS)
    if version > newest:
        raise StoreVersionError(f"{path} has schema version {version}, written by a newer logagg; this one knows up to"
                                f" {newest}: upgrade logagg, or use another store")
    return version


def migrate(db: sqlite3.Connection, path: str) -> None:
    """Bring the file to the newest version, all steps in one transaction; two processes may try at once."""
    if stored_version(db, path) == max(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = stored_version(db, path)                  # again: another process may have been first
        for step in range(version + 1, max(MIGRATIONS) + 1):
            for statement in _statements(MIGRATIONS[step]):
                db.execute(statement)
            if step in CONVERSIONS:
                CONVERSIONS[step](db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {max(MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:           # some errors (disk full) have rolled back already
            db.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """A script's statements one by one: executescript would commit between them."""
    found, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return found
