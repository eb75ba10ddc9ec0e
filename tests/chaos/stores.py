"""Real stores with real faults, and the wrapper by which a client of one is cut off or killed.

A place is where one schedule after the other has its store. What a full disk answers comes from the store itself:
SQLite's own limit of pages, MongoDB's failCommand with the code of a full disk.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from logagg.clock import Clock
from logagg.errors import StoreUnavailable
from logagg.interfaces import Committed, Store
from logagg.record import Chunk, Stream
from logagg.store.sqlite import SqliteStore

PAGES_MAX = 1 << 30
DISK_FULL = 14031           # OutOfDiskSpace, https://www.mongodb.com/docs/manual/reference/error-codes/


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the program may catch it."""


class Place(Protocol):
    """Where a schedule's store is."""

    def clear(self) -> None:
        """Make it a place without any store, whose disk has room."""
        ...

    def open(self, clock: Clock) -> Store: ...

    def fill_disk(self, store: Store, pages: int) -> None:
        """Let the disk have room for (about) so many pages more."""
        ...

    def free_disk(self, store: Store) -> None: ...

    def end_sessions(self) -> None:
        """End what a killed client has left open, as the server does by itself after a minute."""
        ...


class SqlitePlace:
    """A folder with one SQLite file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "logagg.db"

    def clear(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").unlink()

    def open(self, clock: Clock) -> Store:
        return SqliteStore(str(self._path), clock=clock)

    def fill_disk(self, store: Store, pages: int) -> None:
        writer = store._file._writer  # type: ignore[attr-defined]
        used = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count = {used + pages}")

    def free_disk(self, store: Store) -> None:
        store._file._writer.execute(f"PRAGMA max_page_count = {PAGES_MAX}")  # type: ignore[attr-defined]

    def end_sessions(self) -> None:
        """The system has closed its files, and with them its locks."""


class MongoPlace:
    """A database of a replica set; `admin` is a client that the faults do not meet."""

    def __init__(self, url: str) -> None:
        from pymongo import MongoClient

        self._url = url
        self._admin: MongoClient[dict[str, Any]] = MongoClient(url)
        self._full = False

    def clear(self) -> None:
        self._fail("off")
        database = self._admin.get_default_database()
        for name in database.list_collection_names():
            database[name].delete_many({})

    def open(self, clock: Clock) -> Store:
        from logagg.store.mongo import MongoStore

        return MongoStore(self._url, clock=clock)

    def fill_disk(self, store: Store, pages: int) -> None:
        self._fail("alwaysOn")

    def free_disk(self, store: Store) -> None:
        self._fail("off")

    def end_sessions(self) -> None:
        self._admin.admin.command("killAllSessions", [])

    def _fail(self, mode: str) -> None:
        if self._full != (mode != "off"):
            data = {"failCommands": ["insert", "update", "bulkWrite"], "errorCode": DISK_FULL, "appName": "logagg"}
            self._admin.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
            self._full = mode != "off"

    def close(self) -> None:
        self._fail("off")
        self._admin.close()


class Faulty:
    """A store as its clients see it. What happens to the next writes is set in the attributes; `counts` tells what
    has happened, by the names of the actions that wanted it."""

    def __init__(self, store: Store, clock_step: Callable[[float], None], counts: Counter[str]) -> None:
        self.store = store
        self.remote = store.remote
        self.down = self.full = False
        self.slow_s, self.slow_commits = 0.0, 0
        self.armed: dict[str, int] = {}     #: a fault -> how many writes pass before it happens
        self.kill_note_after = False
        self._step = clock_step
        self._counts = counts

    def __getattr__(self, name: str) -> Any:
        """Reading."""
        self._reach()
        return getattr(self.store, name)

    def commit(self, commits: Sequence[tuple[Stream, Sequence[Chunk]]]) -> list[Committed]:
        self._reach()
        if self.slow_commits:
            self.slow_commits -= 1
            self._counts["slow_store"] += 1
            self._step(self.slow_s)
        if self._due("kill_before_commit"):
            raise Killed
        answers = self._write(lambda: self.store.commit(commits))
        if self._due("kill_after_commit"):
            raise Killed
        if self._due("lose_answer"):
            raise StoreUnavailable("the answer was lost")
        return answers

    def put_document(self, kind: str, key: str, revision: int | None, value: dict[str, Any]) -> bool:
        self._reach()
        due = self._due("kill_at_note")
        if due and not self.kill_note_after:
            raise Killed
        written = self._write(lambda: self.store.put_document(kind, key, revision, value))
        if due:
            raise Killed
        return written

    def _reach(self) -> None:
        if self.down:
            self._counts["store_down"] += 1
            raise StoreUnavailable("the store is out of reach")

    def _due(self, fault: str) -> bool:
        """Whether this is the write at which an armed fault happens."""
        if fault not in self.armed:
            return False
        self.armed[fault] -= 1
        if self.armed[fault] >= 0:
            return False
        del self.armed[fault]
        self._counts[fault] += 1
        return True

    def _write(self, write: Callable[[], Any]) -> Any:
        try:
            return write()
        except StoreUnavailable:
            if self.full:
                self._counts["fill_disk"] += 1
            raise
