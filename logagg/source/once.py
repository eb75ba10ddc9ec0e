"""Reading logs that are there once, to their ends: `logagg ingest PATH…`."""

import logging
import os
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from logagg.clock import Clock, SystemClock
from logagg.errors import SourceError, StoreUnavailable
from logagg.interfaces import Store
from logagg.retry import Backoff
from logagg.source.discover import FileSource, discover
from logagg.source.files import open_log
from logagg.source.follow import BLOCK_BYTES, NO_LINE, Follower, State
from logagg.source.identity import line_text
from logagg.source.notice import Notices
from logagg.source.observe import note_found
from logagg.source.recognise import Holders, recognise, remember
from logagg.source.share import shares
from logagg.source.tail import Commits
from logagg.source.turns import BUFFER_BYTES_MAX

log = logging.getLogger(__name__)

AT_ONCE_MAX = 16
PATIENCE_S = 300.0

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all, both as they are on disk."""


@dataclass(slots=True)
class Once:
    """What came of it. `paths` counts the files read to their ends, copies and waiting ones included."""

    paths: int = 0
    copies: list[str] = field(default_factory=list)     #: they hold nothing that their streams had not
    waiting: list[str] = field(default_factory=list)    #: too short to tell from another log's beginning: not read
    errors: list[SourceError] = field(default_factory=list)
    failed: set[tuple[str, str]] = field(default_factory=set)   #: app and host of sources with errors

    def add(self, other: "Once") -> None:
        """What came of reading other files."""
        self.paths += other.paths
        self.copies += other.copies
        self.waiting += other.waiting
        self.errors += other.errors
        self.failed |= other.failed


def read_once(
    sources: Sequence[FileSource],
    store: Store,
    ingest: Commits,
    *,
    progress: Progress | None = None,
    clock: Clock | None = None,
    rng: random.Random | None = None,
    block_bytes: int = BLOCK_BYTES,
    patience_s: float = PATIENCE_S,
    observed: bool = True,
) -> Once:
    """Read all files of the sources in the order of their names, and write down that they were read (`observed`).

    Several files are read side by side, so that small ones share a commit; files that may be the same stream are not.
    A file that cannot be read stops no other. Raises StoreUnavailable when the store stays out of reach for
    `patience_s`; what was committed until then is kept, and the same call again continues there.
    """
    run = _Run(store, ingest, progress, clock or SystemClock(), rng or random.Random(), block_bytes, patience_s)
    return run.run(sources, observed=observed)


def read_shares(
    sources: Sequence[FileSource],
    store: Store,
    count: int,
    read: Callable[[Sequence[Sequence[FileSource]]], Iterable[Once]],
    *,
    clock: Clock | None = None,
) -> Once:
    """The same, where `read` reads all of several shares of the files, elsewhere and without writing it down."""
    clock = clock or SystemClock()
    began_us, result = clock.now_us(), Once()
    found = {source: _find(source, result) for source in sources}
    files = [(source, path) for source, paths in found.items() for path in paths]
    for part in read(shares(files, count, store.streams(first_line=line_text(NO_LINE)))):
        result.add(part)
    result.copies.sort()
    result.waiting.sort()
    note_read(store, began_us, {source: len(paths) for source, paths in found.items()}, result.failed)
    return result


def note_read(store: Store, began_us: int, counts: Mapping[FileSource, int], failed: set[tuple[str, str]]) -> None:
    """Note that the sources had been read to their ends as of the beginning; not those with errors."""
    totals: dict[tuple[str, str], int] = {}
    for source, count in counts.items():
        totals[source.app, source.host] = totals.get((source.app, source.host), 0) + count
    for (app, host), paths in totals.items():
        known = store.document("observation", f"{app}@{host}")
        if (app, host) not in failed and (known is None or known[1]["at_us"] < began_us):
            store.put_document("observation", f"{app}@{host}", None, {"at_us": began_us, "paths": paths})


def _find(source: FileSource, result: Once) -> tuple[str, ...]:
    found = discover(source.paths, source.exclude)
    for problem in found.problems:
        _fail(source, SourceError(problem), result)
    return found.paths


def _fail(source: FileSource, error: SourceError, result: Once) -> None:
    log.warning("%s", error)
    result.failed.add((source.app, source.host))
    result.errors.append(error)


class _Run:
    """One call of `read_once`."""

    def __init__(self, store: Store, ingest: Commits, progress: Progress | None, clock: Clock, rng: random.Random,
                 block_bytes: int, patience_s: float) -> None:
        self._store, self._ingest, self._clock = store, ingest, clock
        self._progress, self._block_bytes, self._patience_s = progress, block_bytes, patience_s
        self._backoff = Backoff(rng)
        self._result = Once()
        self._queue: deque[tuple[FileSource, str]] = deque()
        self._active: list[Follower] = []
        self._done_bytes = 0
        self._all_bytes = 0

    def run(self, sources: Sequence[FileSource], *, observed: bool) -> Once:
        began_us = self._clock.now_us()
        counts = {source: self._find(source) for source in sources}
        try:
            while self._queue or self._active:
                self._patiently(self._round)
        finally:
            for follower in self._active:
                follower.close()
        if observed:
            self._patiently(lambda: note_read(self._store, began_us, counts, self._result.failed))
        return self._result

    def _find(self, source: FileSource) -> int:
        paths = _find(source, self._result)
        self._queue.extend((source, path) for path in paths)
        self._all_bytes += sum(map(_disk_bytes, paths))
        return len(paths)

    def _fail(self, source: FileSource, error: SourceError) -> None:
        _fail(source, error, self._result)

    def _patiently(self, work: Callable[[], None]) -> None:
        """Do `work` until the store plays along. It can be done again at any point: positions move after commits."""
        began_s, notices = self._clock.monotonic_s(), Notices()
        while True:
            try:
                work()
                return
            except StoreUnavailable as error:
                if self._clock.monotonic_s() - began_s >= self._patience_s:
                    raise
                notices.begin("store", f"{error}; trying again for {self._patience_s:.0f} seconds")
            self._clock.wait(threading.Event(), self._backoff.next_s())

    def _round(self) -> None:
        while self._queue and len(self._active) < AT_ONCE_MAX:
            self._open(*self._queue.popleft())
        now_s = self._clock.monotonic_s()
        holders = Holders(self._active)
        for follower in self._active:
            if follower.state is State.UNKNOWN and not self._has_rival(follower):
                self._try(follower, lambda f: recognise(f, self._store, now_s, holders, final=True))
        self._commit(now_s)
        self._backoff.reset()
        self._finish()

    def _open(self, source: FileSource, path: str) -> None:
        try:
            file = open_log(path)
            status = os.stat(path)  # noqa: PTH116
        except (SourceError, OSError) as error:
            self._fail(source, error if isinstance(error, SourceError) else SourceError(f"{path}: {error.strerror}"))
            self._done_bytes += _disk_bytes(path)
            return
        follower = Follower(source, path, file, now_s=self._clock.monotonic_s(), block_bytes=self._block_bytes)
        follower.signature = (status.st_size, status.st_mtime_ns)
        self._active.append(follower)

    def _has_rival(self, follower: Follower) -> bool:
        """Whether a file before it begins alike: perhaps the same stream, so that one is read to its end first."""
        for other in self._active:
            if other is follower:
                return False
            same_source = (other.source.app, other.source.host) == (follower.source.app, follower.source.host)
            if same_source and _begin_alike(other, follower):
                return True
        return False

    def _try(self, follower: Follower, work: Callable[[Follower], None]) -> None:
        """A file that cannot be read (any more) is noted, and left."""
        try:
            work(follower)
        except SourceError as error:
            self._fail(follower.source, error)
            follower.dropped = True

    def _commit(self, now_s: float) -> None:
        readings = []
        buffered = 0
        for follower in self._active:
            if follower.dropped or buffered >= BUFFER_BYTES_MAX:
                continue
            reading = None
            try:
                reading = follower.read(now_s, final=True)
            except SourceError as error:
                self._fail(follower.source, error)
                follower.dropped = True
            if reading is not None:
                readings.append((follower, reading))
                buffered += len(reading.segment.data)
        if readings:
            outcomes = self._ingest.commit([reading.segment for _, reading in readings])
            for (follower, reading), outcome in zip(readings, outcomes, strict=True):
                follower.committed(reading, outcome)

    def _finish(self) -> None:
        """Let go of the files that were read to their ends, and tell how far all is."""
        for follower in [f for f in self._active if f.dropped or _is_finished(f)]:
            remember(follower, self._store)
            if follower.stream is not None or not follower.dropped:
                note_found(follower, self._store, self._clock.now_us())
            self._active.remove(follower)
            self._account(follower)
            follower.close()
        if self._progress is not None:
            active = sum(f.file.stored_bytes()[0] for f in self._active if f.file is not None)
            self._progress(min(self._done_bytes + active, self._all_bytes), self._all_bytes)

    def _account(self, follower: Follower) -> None:
        self._done_bytes += follower.file.stored_bytes()[1] if follower.file is not None else 0
        if follower.dropped:
            return
        self._result.paths += 1
        if follower.state is State.COPY:
            self._result.copies.append(follower.path)
        elif follower.state is State.WAITING:
            self._result.waiting.append(follower.path)
        if follower.file is not None and (damage := follower.file.damage()):
            self._fail(follower.source, SourceError(damage))


def _is_finished(follower: Follower) -> bool:
    """Whether there is nothing (more) to be read of a file: it may also be empty, a copy, or too short to tell."""
    if follower.state is State.UNKNOWN:
        return not follower.beginning()
    return follower.state is not State.READING or follower.due_s(float("inf")) is None


def _begin_alike(one: Follower, other: Follower) -> bool:
    """Whether two files share their first line, as far as the shorter one goes."""
    a, b = one.beginning(), other.beginning()
    return bool(a and b) and (a.startswith(b) or b.startswith(a))


def _disk_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0
