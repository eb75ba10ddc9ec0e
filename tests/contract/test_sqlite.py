"""What is SQLite's own: durability at a kill -9, foreign and newer files, rights, a full disk, short transactions."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logagg.clock import StepClock
from logagg.errors import StoreError, StoreFull, StoreUnavailable, StoreVersionError
from logagg.interfaces import Store
from logagg.record import Bucket, BucketKey, Event
from logagg.store import open_store, sqlite_events, sqlite_path, sqlite_read, sqlite_rows, sqlite_schema
from logagg.store.codec import to_column
from logagg.store.sqlite import SqliteStore
from logagg.store.sqlite_events import printed
from logagg.store.sqlite_file import SqliteFile
from tests.contract.making import (
    T0_MINUTE,
    T0_US,
    assert_pages_agree,
    assert_whole,
    chunk,
    commit,
    event,
    everything,
    stored,
    stream,
)

ROOT = Path(__file__).resolve().parents[2]

#: a process that commits chunks of 10 bytes for ever, says each when it is committed, and kills itself on demand
WRITER = """
import os, signal, sys
from logagg.store import open_store
from tests.contract.making import after, chunk, stream

url, moment, commits = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = open_store(url)
found = store.streams(id="s1")
state = found[0] if found else stream()
if found and state.resume < state.end:
    print("reopened an open chunk", file=sys.stderr)

def die(statement):
    if statement == moment:
        os.kill(os.getpid(), signal.SIGKILL)

for i in range(10_000):
    if i == commits:
        store._file._writer.set_trace_callback(die)            # called before each statement is run
    part = chunk("s1", state.end, state.end + 10, offsets=[state.end, state.end + 5])
    assert store.commit([(after(state, [part]), [part])]) == ["committed"]
    print(part.end, flush=True)
    if i == commits:
        os.kill(os.getpid(), signal.SIGKILL)
    [state] = store.streams(id="s1")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def sqlite_store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(path))
    yield store
    store.close()


def writer(url: str, moment: str, commits: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, url, moment, str(commits)], stdout=subprocess.PIPE,
                            text=True, cwd=ROOT)


class TestKill:
    @pytest.mark.parametrize(("moment", "committed"), [
        ("BEGIN IMMEDIATE", 20), ("COMMIT", 20), ("never", 30)])
    def test_on_either_side_of_commit(self, sqlite_url: str, moment: str, committed: int) -> None:
        """Killed before its COMMIT runs, a transaction has left nothing; killed after it, it is wholly there."""
        process = writer(sqlite_url, moment, 2)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == -9
        store = open_store(sqlite_url)
        assert stored(store, "s1").end == committed
        assert [e.offset for e in store.events()] == list(range(0, committed, 5))
        assert len(store.unfolded(99)) == committed // 10
        assert int(out.split()[-1]) == committed
        assert_whole(store)
        store.close()

    def test_at_random_moments(self, sqlite_url: str) -> None:
        """Through ten kills at random moments, all that was acknowledged is there, once, and nothing is half there."""
        seed = random.randrange(1 << 30)
        print("seed", seed)
        rng = random.Random(seed)
        acknowledged = 0
        for _ in range(10):
            process = writer(sqlite_url, "never", -1)
            assert process.stdout is not None
            for _ in range(rng.randrange(1, 25)):
                acknowledged = int(process.stdout.readline())
            process.kill()
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
            process.wait(10)
            process.stdout.close()
        store = open_store(sqlite_url)
        end = stored(store, "s1").end
        assert end in (acknowledged, acknowledged + 10)
        assert [e.offset for e in store.events()] == list(range(0, end, 5))
        assert_whole(store)
        store.close()


class TestFile:
    def test_durable_settings(self, sqlite_store: SqliteStore) -> None:
        """The writer uses WAL and synchronous=FULL, so that a commit survives a power cut."""
        db = sqlite_store._file._writer
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)

    def test_a_text_file(self, path: Path) -> None:
        """A file that is no database is refused, with its path, and not touched."""
        path.write_text("2026-11-20 13:15:30,123 INFO not a store\n" * 100)
        before = path.read_bytes()
        for read_only in (False, True):
            with pytest.raises(StoreError, match=r"store\.db is not a logagg store"):
                SqliteStore(str(path), read_only=read_only)
        assert path.read_bytes() == before

    def test_another_programs_database(self, path: Path) -> None:
        """An SQLite database of another program is refused and not touched."""
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE songs (name)")
        db.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="of another program"):
            SqliteStore(str(path))
        assert path.read_bytes() == before

    def test_an_empty_file(self, path: Path) -> None:
        """An empty file becomes a store; one who may only read is told that there is none yet."""
        path.touch()
        with pytest.raises(StoreError, match="is empty: there is no store to read yet"):
            SqliteStore(str(path), read_only=True)
        store = SqliteStore(str(path))
        assert store.streams() == []
        store.close()

    def test_a_damaged_file(self, path: Path) -> None:
        """A damaged store says that it is damaged and what can be done."""
        store = SqliteStore(str(path))
        commit(store, stream(), *(chunk("s1", i * 10, i * 10 + 10) for i in range(500)))
        store.close()
        content = bytearray(path.read_bytes())
        content[8192:] = os.urandom(len(content) - 8192)
        path.write_bytes(content)
        store = SqliteStore(str(path))
        with pytest.raises(StoreError, match=r"damaged.*restore a backup"):
            everything(store)
        store.close()

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        """A path in a folder that does not exist names the folder; a path that is a folder says so."""
        with pytest.raises(StoreError, match=r"the folder .*/none does not exist: create it"):
            SqliteStore(str(tmp_path / "none" / "store.db"))
        with pytest.raises(StoreError, match="is a folder"):
            SqliteStore(str(tmp_path))

    @pytest.mark.skipif(not hasattr(os, "seteuid"), reason="POSIX rights")
    def test_no_right_to_write(self, path: Path) -> None:
        """Without the right to write, the error names owner, mode and what to do, while the store is in use or not."""
        store = SqliteStore(str(path))
        commit(store, stream(), chunk("s1", 0, 10))
        for _ in range(2):
            with unprivileged(path.parent), pytest.raises(StoreError, match=r"uid \d+ with mode -r.*run as the owner"):
                SqliteStore(str(path))
            store.close()

    def test_urls(self) -> None:
        """The path of a URL is taken as it is; what is no path is refused."""
        assert sqlite_path("sqlite:///a%20b.db?x") == "a%20b.db?x"
        assert sqlite_path("sqlite:////var/lib/l.db") == "/var/lib/l.db"
        for url in ("sqlite://x.db", "sqlite:///", "sqlite:///:memory:"):
            with pytest.raises(StoreError, match="expected sqlite:///"):
                open_store(url)
        with pytest.raises(StoreError, match=r"no store for the scheme 'postgres'"):
            open_store("postgres://user:secret@host/x")

    def test_strange_paths(self, tmp_path: Path, opened: Callable[..., Store]) -> None:
        """A path with URL characters, spaces and non-ASCII letters is that very file."""
        path = tmp_path / "a b%20?#é.db"
        store = opened(f"sqlite:///{path}")
        commit(store, stream(), chunk("s1", 0, 10))
        assert path.is_file()
        assert store.size_bytes() > path.stat().st_size

    def test_a_third_partys_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An entry point of the group logagg.stores adds a scheme."""
        class Entry:
            def load(self) -> Callable[..., Any]:
                return lambda url, read_only: (url, read_only)

        found = {("logagg.stores", "mine"): [Entry()]}
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group, name: found.get((group, name), []))
        assert open_store("mine://here", read_only=True) == ("mine://here", True)


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """As another user than the owner of `folder`, which root can become; everybody else loses the right to write."""
    if os.geteuid() != 0:
        modes = {place: place.stat().st_mode for place in (folder, *folder.iterdir())}
        for place in modes:
            place.chmod(0o555 if place.is_dir() else 0o444)
        try:
            yield
        finally:
            for place, mode in modes.items():
                place.chmod(mode)
        return
    for place in (folder, *folder.parents):
        if place.stat().st_mode & 0o005 != 0o005:
            place.chmod(place.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def make_older(path: Path, version: int, events: Sequence[Event]) -> None:
    """Give a store without events the schema of an older version, and it the events of its only stream as it had them:
    a body as JSON, in version 2 its usual parts in columns. Times are printed with milliseconds."""
    texts = ("logger", "thread", "message", "exception")
    with sqlite3.connect(path) as db:
        db.execute("DROP VIEW events")
        db.execute("DROP TABLE event_blocks")
        for script in list(sqlite_schema.MIGRATIONS.values())[:version]:
            for statement in script.split(";\n"):
                if "events" in statement:
                    db.execute(statement)
        for e in events:
            body = dict(e.body)
            row: list[Any] = [1, e.offset, -1 if e.ts_us is None else e.ts_us, e.level, e.event]
            if version == 1:
                row += [json.dumps(body), None if e.ts_us is not None else 5]
            else:
                is_regular = e.ts_us is not None and body["ts"] == printed(e.ts_us, 3)
                if is_regular or e.ts_us is None:
                    body.pop("ts", None)
                rest = {key: body[key] for key in body.keys() - {"level", "event", "fields", *texts}}
                row += [json.dumps(rest) if rest else "", None if e.ts_us is not None else 5, 3 if is_regular else -1,
                        *(to_column(body.get(text)) for text in texts),
                        json.dumps(body["fields"]) if "fields" in body else None]
            db.execute(f"INSERT INTO events VALUES ({','.join('?' * len(row))})", row)
        db.execute(f"PRAGMA user_version = {version}")
    db.close()


class Failing:
    """Calls `step`, and is interrupted the given time that it is called."""

    def __init__(self, step: Callable[..., Any], at: int) -> None:
        self.step, self.left = step, at

    def __call__(self, *arguments: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.step(*arguments)


class TestVersion:
    def test_a_newer_store_is_refused(self, path: Path) -> None:
        """A store of a newer logagg is refused with both versions and not touched."""
        SqliteStore(str(path)).close()
        with sqlite3.connect(path) as db:
            db.execute(f"PRAGMA user_version = {max(sqlite_schema.MIGRATIONS) + 1}")
        db.close()
        for read_only in (False, True):
            with pytest.raises(StoreVersionError, match=r"schema version 4, written by a newer logagg.*up to 3"):
                SqliteStore(str(path), read_only=read_only)

    @pytest.mark.parametrize("version", [1, 2])
    def test_events_of_older_schemas(self, path: Path, version: int) -> None:
        """The rows of older schemas become blocks, with all they hold; chunks keep their own, also when replaced, and
        events whose chunks have expired stay."""
        bodies: list[dict[str, Any]] = [
            {"fields": {"n": 1 << 70}, "mdc": {"k": "v"}}, {"logger": "a\0", "thread": "\ud800"}, {"exception": "x"}]
        events = [event("s1", offset, ts_us, **bodies[offset % 3]) for offset, ts_us in enumerate(
            [T0_US, None, T0_US + 5, T0_US + 4, T0_US - 7, None, T0_US, T0_US + 123_000, T0_US])]
        new = SqliteStore(str(path))
        commit(new, stream(), chunk("s1", 0, 3, offsets=[]), chunk("s1", 3, 6, offsets=[]),
               chunk("s1", 6, 9, offsets=[]))
        new.fold({}, [mark for mark in new.unfolded(9) if mark.start == 3])
        assert new.expire(raw_before_us=T0_US + 1)["chunks"] == 1
        new.close()
        make_older(path, version, events)
        store = SqliteStore(str(path))
        assert sorted(store.events(), key=lambda e: e.offset) == events
        assert [[e.offset for e in c.events] for c in store.chunks(with_parts=True)] == [[0, 1, 2], [6, 7, 8]]
        assert store.replace("s1", 0, 3, {0: 1}, [chunk("s1", 0, 3, events=tuple(events[:1]))])
        commit(store, stored(store, "s1"), chunk("s1", 9, 20, events=(event("s1", 9),)))
        assert sorted(e.offset for e in store.events()) == [0, 3, 4, 5, 6, 7, 8, 9]
        store.close()

    def test_a_migration_that_is_killed(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where events were being packed, the older store is as it was, and is packed at the next start."""
        SqliteStore(str(path)).close()
        events = [event("s1", offset) for offset in range(50)]
        store = SqliteStore(str(path))
        commit(store, stream(), chunk("s1", 0, 99, offsets=[]))
        store.close()
        make_older(path, 2, events)
        with monkeypatch.context() as patch:
            patch.setattr("logagg.store.sqlite_rows.EVENTS_PER_STEP", 20)
            patch.setattr("logagg.store.sqlite_rows.event_rows", Failing(sqlite_rows.event_rows, 2))
            with pytest.raises(KeyboardInterrupt):
                SqliteStore(str(path))
        with sqlite3.connect(path) as db:
            assert db.execute("SELECT count(*) FROM events").fetchone() == (50,)
            assert db.execute("PRAGMA user_version").fetchone() == (2,)
        db.close()
        store = SqliteStore(str(path))
        assert list(store.events()) == events
        store.close()

    def test_a_migration_on_a_full_disk(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where packing finds the disk full, that is what is said, and can be tried again; the store is as it was."""
        store = SqliteStore(str(path))
        commit(store, stream(), chunk("s1", 0, 9999, offsets=[]))
        store.close()
        events = [event("s1", offset, logger=os.urandom(200).hex()) for offset in range(500)]
        make_older(path, 2, events)
        connect = SqliteFile._connect

        def crowded(file: SqliteFile, cache_kb: int) -> sqlite3.Connection:
            db = connect(file, cache_kb)
            db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0] + 4}")
            return db

        with monkeypatch.context() as patch:
            patch.setattr(SqliteFile, "_connect", crowded)
            with pytest.raises(StoreFull, match="the disk is full"):
                SqliteStore(str(path))
        store = SqliteStore(str(path))
        assert list(store.events()) == events
        store.close()

    def test_sql(self, sqlite_store: SqliteStore) -> None:
        """The view `events` shows SQL an event as a row, its usual parts as columns, and its fields as JSON."""
        events = [event("s1", i, None if i == 3 else T0_US + i, name=("x", None)[i % 2], logger="a.B",
                        fields={"n": i, "code": "é"}) for i in range(30)]
        commit(sqlite_store, stream(), chunk("s1", 0, 99, events=tuple(events)))
        with sqlite_store._file.reading() as db:
            found = db.execute("SELECT stream, \"offset\", ts_us, ts, level, event, logger, message, thread,"
                               " json_extract(fields, '$.n'), json_extract(body, '$.fields.code'), app FROM events"
                               " ORDER BY \"offset\"").fetchall()
            narrow = db.execute("SELECT count(*) FROM events WHERE event = 'x' AND block_to_us >= ?", (T0_US,))
            assert narrow.fetchone() == (15,)
        assert found == [("s1", e.offset, e.ts_us, e.body.get("ts"), "INFO", e.event, "a.B", f"at {e.offset}", None,
                          e.offset, "é", "das") for e in events]

    @pytest.mark.parametrize("body", [
        {}, {"ts": "2023-11-14T22:13:20Z"}, {"ts": "2023-11-14T22:13:00.000000Z"},
        {"ts": "2023-11-14T22:13:00.0000000Z"}, {"ts": "2023-11-14T22:13:01.000Z"}, {"ts": None}, {"ts": 5},
        {"level": None}, {"level": "INFO"}, {"level": "WARN"}, {"event": "x", "level": "INFO"}, {"logger": None},
        {"logger": 5}, {"thread": "\ud800"}, {"message": "a\0b"}, {"fields": None}, {"fields": []}, {"fields": {}},
        {"fields": {"n": 1 << 70}}, {"exception": "", "extra": {"a": "b"}}, {"unknown": [1, None]}])
    def test_odd_bodies(self, sqlite_store: SqliteStore, body: dict[str, Any]) -> None:
        """Whatever a body holds, agreeing with its row or not, comes back equal."""
        events = (Event("s1", 0, T0_US, "INFO", "x", body), Event("s1", 1, None, None, None, body),
                  Event("s1", 2, T0_US, "INFO", "x", {"level": "INFO", "event": "x", **body}))
        commit(sqlite_store, stream(), chunk("s1", 0, 10, events=events))
        assert sorted(sqlite_store.events(), key=lambda found: found.offset) == list(events)

    def test_an_older_store_is_migrated(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A newer program migrates an older store, with its content, once, also when several open it at once."""
        old = SqliteStore(str(path))
        commit(old, stream(), chunk("s1", 0, 10))
        before = everything(old)
        old.close()
        newer = {**sqlite_schema.MIGRATIONS, 4: "CREATE TABLE notes (text TEXT);\nINSERT INTO notes VALUES ('a;b');\n"}
        monkeypatch.setattr(sqlite_schema, "MIGRATIONS", newer)
        monkeypatch.setattr("logagg.store.sqlite_file.MIGRATIONS", newer)
        with pytest.raises(StoreError, match="written by an older logagg"):
            SqliteStore(str(path), read_only=True)
        stores: list[SqliteStore] = []
        threads = [threading.Thread(target=lambda: stores.append(SqliteStore(str(path)))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(stores) == 3
        assert everything(stores[0]) == before
        assert stores[0]._file._writer.execute("SELECT text FROM notes").fetchall() == [("a;b",)]
        assert stores[0]._file._writer.execute("PRAGMA user_version").fetchone() == (4,)
        for store in stores:
            store.close()

    def test_a_failed_migration_changes_nothing(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A migration that fails half-way leaves the store as it was, for the older program."""
        SqliteStore(str(path)).close()
        with monkeypatch.context() as patch:
            broken = {**sqlite_schema.MIGRATIONS, 4: "CREATE TABLE a (x);\nNONSENSE;\n"}
            patch.setattr(sqlite_schema, "MIGRATIONS", broken)
            with pytest.raises(StoreError, match="NONSENSE"):
                SqliteStore(str(path))
        store = SqliteStore(str(path))
        assert store._file._writer.execute("SELECT count(*) FROM sqlite_master WHERE name = 'a'").fetchone() == (0,)
        store.close()


class TestTrouble:
    def test_a_full_disk(self, sqlite_store: SqliteStore) -> None:
        """On a full disk a commit is StoreUnavailable, writes nothing, and succeeds once there is room again."""
        state = commit(sqlite_store, stream(), chunk("s1", 0, 10))
        before = everything(sqlite_store)
        db = sqlite_store._file._writer
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        big = chunk("s1", 10, 20, raw=os.urandom(1 << 20))
        with pytest.raises(StoreUnavailable, match=r"the disk is full; free some space"):
            commit(sqlite_store, state, big)
        assert everything(sqlite_store) == before
        db.execute("PRAGMA max_page_count = 1000000")
        commit(sqlite_store, state, big)
        assert_whole(sqlite_store)

    def test_a_locked_store(self, path: Path, sqlite_store: SqliteStore) -> None:
        """A store that another process keeps locked is StoreUnavailable after the busy time; reading goes on."""
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        sqlite_store._file._writer.execute("PRAGMA busy_timeout = 10")
        with pytest.raises(StoreUnavailable, match="another process has kept it locked"):
            commit(sqlite_store, stream(), chunk("s1", 0, 10))
        assert sqlite_store.streams() == []
        other.execute("ROLLBACK")
        other.close()
        commit(sqlite_store, stream(), chunk("s1", 0, 10))

    def test_iterators_hold_no_transaction(self, sqlite_store: SqliteStore) -> None:
        """Between two items no iterator keeps a read transaction: the write-ahead log can be emptied."""
        commit(sqlite_store, stream(), *(chunk("s1", i * 10, i * 10 + 10) for i in range(50)))
        key = BucketKey("m", "minute", "", 0)
        sqlite_store.fold({replace(key, start=i): Bucket(0, {"x": b"1"}) for i in range(50)}, [])
        iterators = [sqlite_store.chunks(with_parts=True), sqlite_store.events(), sqlite_store.partials([T0_MINUTE]),
                     sqlite_store.buckets("minute", "", 0, 99)]
        for iterator in iterators:
            next(iterator)
        busy, in_log, _ = sqlite_store._file._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert (busy, in_log) == (0, 0)
        assert [len(list(iterator)) for iterator in iterators] == [49] * 4

    def test_readers_do_not_pile_up(self, sqlite_store: SqliteStore) -> None:
        """Many threads that read leave only a few idle connections behind."""
        threads = [threading.Thread(target=sqlite_store.streams) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(sqlite_store._file._idle) <= 8

    def test_a_fold_writes_only_rows_that_changed(self, sqlite_store: SqliteStore) -> None:
        """Folding a bucket of 1000 rows again with one changed writes that row and the revision."""
        key = BucketKey("m", "day", "UTC", 0)
        rows = {f"{i}": b"x" * 100 for i in range(1000)}
        sqlite_store.fold({key: Bucket(0, rows)}, [])
        db = sqlite_store._file._writer
        before = db.total_changes
        sqlite_store.fold({key: Bucket(1, {**rows, "7": b"new"})}, [])
        assert db.total_changes - before == 2


@pytest.mark.parametrize("seed", range(4))
def test_events_in_small_pages(sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """However times fall on pages and blocks, events come in the contract's order and continue behind any key."""
    print("seed", seed)
    monkeypatch.setattr(sqlite_read, "EVENTS_PER_PAGE", 5)
    monkeypatch.setattr(sqlite_read, "EVENTS_PER_PAGE_MAX", 12)
    monkeypatch.setattr(sqlite_read, "EVENT_BYTES_PER_PAGE", 700)
    monkeypatch.setattr(sqlite_read, "BLOCKS_PER_PAGE", 3)
    monkeypatch.setattr(sqlite_events, "EVENTS_PER_BLOCK", 4)
    for module in (sqlite_events, sqlite_read):
        monkeypatch.setattr(module, "BLOCK_US_MAX", 6)
    assert_pages_agree(sqlite_store, random.Random(seed), 60)


def test_what_has_no_time_expires_by_the_clock(path: Path) -> None:
    """The time of a commit is the injected clock's."""
    clock = StepClock(T0_US)
    store = SqliteStore(str(path), clock=clock)
    state = commit(store, stream(), chunk("s1", 0, 10, ts_us=None))
    clock.step(10)
    commit(store, state, chunk("s1", 10, 20, ts_us=None))
    store.fold({}, store.unfolded(9))
    assert store.expire(raw_before_us=T0_US + 1, events_before_us=T0_US + 1) == {"chunks": 1, "events": 1, "buckets": 0}
    assert [c.start for c in store.chunks()] == [10] == [e.offset for e in store.events()]
    store.close()
