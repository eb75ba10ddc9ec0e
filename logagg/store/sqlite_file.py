"""One SQLite file: opening it, one writer, a pool of readers, and the driver's errors in words.

WAL and synchronous=FULL (https://www.sqlite.org/wal.html): a commit is on disk when it returns, readers never wait
for the writer, and a process that dies between two commits leaves the last one whole.
"""

import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from logagg.clock import Clock, SystemClock
from logagg.errors import StoreError, StoreFull, StoreUnavailable
from logagg.store.codec import out_of_range
from logagg.store.reserve import Reserve
from logagg.store.sqlite_events import block_rows
from logagg.store.sqlite_schema import APPLICATION_ID, MIGRATIONS, PAGE_BYTES, migrate, stored_version

BUSY_TIMEOUT_S = 10
READERS_KEPT = 8                    # idle reader connections; more are opened where needed and closed after use
WRITER_CACHE_KB = 16_000
ROOM_BYTES = 16 << 20               # so much space within the file lets commits go on while the disk is full
NO_SPACE_BYTES = 1 << 20            # an input/output error with less left on the disk than this is want of space
READER_CACHE_KB = 4_000


class SqliteFile:
    """The connections to one store file; `writing` and `reading` lend them out, from any thread.

    Readers come from a pool instead of one per thread, since an iterator borrows one for a page at a time and may be
    consumed by several threads: none outlives its thread, and none holds a read transaction between pages.
    """

    def __init__(self, path: str, *, read_only: bool = False, clock: Clock | None = None,
                 reserve_bytes: int = 0) -> None:
        self.path = path
        self._reserve = Reserve(path, reserve_bytes)
        self.read_only = read_only
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._check_place()
        with self._errors("open"):
            self._writer = self._connect(WRITER_CACHE_KB)
            try:
                self._prepare()
            except BaseException:
                self._writer.close()
                raise
        if not read_only and not self._reserve.released():
            self._reserve.keep()

    def _check_place(self) -> None:
        path = Path(self.path)
        if self.read_only and not path.exists():
            raise StoreError(f"{self.path} does not exist: there is no store to read yet")
        if not path.exists() and not path.absolute().parent.is_dir():
            raise StoreError(f"{self.path}: the folder {path.absolute().parent} does not exist: create it,"
                             " or give another path in [store] url")
        if path.is_dir():
            raise StoreError(f"{self.path} is a folder; expected the path of the store's file")

    def _connect(self, cache_kb: int) -> sqlite3.Connection:
        mode = "ro" if self.read_only else "rwc"
        uri = Path(self.path).absolute().as_uri() + f"?mode={mode}"
        db = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False,
                             cached_statements=256)
        db.execute(f"PRAGMA cache_size = -{cache_kb}")
        db.create_function("block_rows", 4, block_rows, deterministic=True)         # for the view `events`
        return db

    def _prepare(self) -> None:
        if self.read_only:
            version = stored_version(self._writer, self.path)
            if version == 0:
                raise StoreError(f"{self.path} is empty: there is no store to read yet")
            if version < max(MIGRATIONS):
                raise StoreError(f"{self.path} was written by an older logagg and is open for reading only: "
                                 "`logagg run` or `logagg ingest` migrates it")
            return
        stored_version(self._writer, self.path)               # before anything is changed in a foreign file
        self._writer.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._patiently(lambda: self._writer.execute("PRAGMA journal_mode = WAL"))
        self._writer.execute("PRAGMA synchronous = FULL")
        self._writer.execute("PRAGMA wal_autocheckpoint = 2000")             # 16 MB: fewer, larger checkpoints
        self._writer.execute(f"PRAGMA journal_size_limit = {64 << 20}")
        migrate(self._writer, self.path)
        self._writer.execute("BEGIN IMMEDIATE")               # without the right to write, fail here and not later:
        self._writer.execute(f"PRAGMA application_id = {APPLICATION_ID}")               # it takes a write to find out
        self._writer.execute("ROLLBACK")

    def _patiently(self, step: Callable[[], object]) -> None:
        """The change to WAL does not wait for locks by itself when several processes create a store at once."""
        until = self._clock.monotonic_s() + BUSY_TIMEOUT_S
        while True:
            try:
                step()
                return
            except sqlite3.OperationalError as problem:
                if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or self._clock.monotonic_s() > until:
                    raise
                self._clock.wait(threading.Event(), 0.02)

    @contextmanager
    def writing(self, *, bulk: bool = False) -> Iterator[sqlite3.Connection]:
        """A write transaction; it is committed, durably, at the end and rolled back by any exception.

        `bulk`: it may take much space, so that it is refused while the disk is full.
        """
        if self.read_only:
            raise StoreError(f"{self.path} is open for reading only")
        with self._lock, self._errors("write"):
            self._check_open()
            if bulk:
                self._check_space()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:               # some errors (disk full) have rolled back already
                    self._writer.execute("ROLLBACK")
                raise

    def check_space(self) -> None:
        """Raise StoreFull while the reserve is released, and can neither be taken again nor is there room within the
        file, as after expiring. Takes it where there is none yet."""
        if self.read_only:
            return
        with self._lock, self._errors("write"):
            self._check_open()
            if not self._reserve.released():
                self._reserve.keep()
            else:
                self._check_space()

    def _check_space(self) -> None:
        if not self._reserve.released() or self._reserve.keep() or self._reserve.enough():
            return
        free_pages = self._writer.execute("PRAGMA freelist_count").fetchone()[0]
        if free_pages * PAGE_BYTES < ROOM_BYTES:
            raise full(self.path, "write")

    def _shorten_log(self) -> None:
        """Give the write-ahead log's space back; the writer's lock is held."""
        with suppress(sqlite3.Error):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection with one consistent view; for a page at a time, never across a yield to the caller."""
        with self._errors("read"):
            self._check_open()
            try:
                db = self._idle.pop()
            except IndexError:
                db = self._connect(READER_CACHE_KB)
                db.execute("PRAGMA query_only = ON")
            try:
                db.execute("BEGIN")
                yield db
            finally:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                self._give_back(db)

    def _give_back(self, db: sqlite3.Connection) -> None:
        if self._closed or db.in_transaction or len(self._idle) >= READERS_KEPT:
            db.close()
        else:
            self._idle.append(db)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.path} is closed")

    def size_bytes(self) -> int:
        """The file and its write-ahead log."""
        total = 0
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                total += Path(self.path + suffix).stat().st_size
        return total

    def close(self) -> None:
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            self._writer.close()

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            with driver_errors(self.path, doing):
                yield
        except StoreFull as problem:
            if not self.read_only and problem.__cause__ is not None:
                self._reserve.release()
                if doing == "write":
                    self._shorten_log()
            raise


@contextmanager
def driver_errors(path: str, doing: str) -> Iterator[None]:
    """Turn the driver's exceptions into StoreError and StoreUnavailable that say what to do."""
    try:
        yield
    except sqlite3.Error as problem:
        raise in_words(path, doing, problem) from problem
    except OverflowError as problem:
        raise out_of_range(problem) from problem


def in_words(path: str, doing: str, problem: sqlite3.Error) -> StoreError:
    """The error for a person; https://www.sqlite.org/rescode.html"""
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
    where = f"store {path}: cannot {doing}"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailable(f"{where}: another process has kept it locked for {BUSY_TIMEOUT_S} s; try again")
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _free_bytes(path) < NO_SPACE_BYTES):
        return full(path, doing)
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{path} is not a logagg store (no SQLite database at all): give another path in [store] url")
    if code == sqlite3.SQLITE_CORRUPT:
        return StoreError(f"{where}: the file is damaged ({problem}); restore a backup, or move it away and read the"
                          " logs again")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return StoreError(f"{where}: {problem}; {permissions(path)}")
    if code == sqlite3.SQLITE_IOERR:
        return StoreUnavailable(f"{where}: {problem} ({getattr(problem, 'sqlite_errorname', '')}); check the disk")
    return StoreError(f"{where}: {problem}")


def full(path: str, doing: str) -> StoreFull:
    return StoreFull(f"store {path}: cannot {doing}: the disk is full; free some space, or lower [retention] and run"
                     " `logagg expire`; nothing is lost, reading goes on where it stopped")


def _free_bytes(path: str) -> int:
    try:
        return shutil.disk_usage(Path(path).absolute().parent).free
    except OSError:
        return NO_SPACE_BYTES


def permissions(path: str) -> str:
    """Who may write the file and its folder (SQLite writes path-wal and path-shm beside it), and what to do."""
    parts = []
    for place in (Path(path), Path(path).absolute().parent):
        try:
            info = place.stat()
        except OSError as problem:
            parts.append(f"{place}: {problem.strerror}")
            continue
        parts.append(f"{place} belongs to uid {info.st_uid} with mode {stat.filemode(info.st_mode)}")
    user = f"this is uid {os.geteuid()}: " if hasattr(os, "geteuid") else ""
    return "; ".join(parts) + f"; {user}run as the owner, or give this user the right to write both"
