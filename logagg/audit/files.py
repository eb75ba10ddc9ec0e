"""A file against the stored bytes of its stream, range by range.

Which stream a file is, its content tells, as for the agent. What is not in the store has its reason:

    pending             behind the stream's end: to be read yet
    gone: <reason>      given up when no file seemed to have it: reading this one fills the gap
    never read          of no stream that the store knows
    too short to tell   less than 1 KiB, with which another log begins, too
    expired             deleted by retention
    no chunk            the store has lost it
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from logagg.errors import SourceError
from logagg.interfaces import Store
from logagg.raw import HOLE, content
from logagg.record import Chunk, Stream
from logagg.rollup.partial import MINUTE_US
from logagg.source.discover import FileSource
from logagg.source.files import LogFile, open_log
from logagg.source.follow import BLOCK_BYTES, Follower, State
from logagg.source.recognise import Holders, recognise

EXPIRED = "expired"
PIECE_BYTES = 1 << 16
TRIES_MAX = 10


@dataclass(frozen=True, slots=True)
class Missing:
    """The bytes [start, end) of a file are not in the store."""

    start: int
    end: int
    why: str


@dataclass(frozen=True, slots=True)
class FileAudit:
    """What came of one file. `bytes` and offsets are of the uncompressed content; `records` counts those of the chunks
    that lie in it. `state`: ok, copy (the same as another file or a part of it), missing, differs, unreadable."""

    path: str
    app: str
    host: str
    state: str = "ok"
    stream: str | None = None
    stream_path: str = ""
    bytes: int = 0
    records: int = 0
    missing: tuple[Missing, ...] = ()
    differs_at: int | None = None
    error: str | None = None

    @property
    def is_problem(self) -> bool:
        return self.state in ("differs", "unreadable") or any(one.why != EXPIRED for one in self.missing)

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "app": self.app, "host": self.host, "state": self.state, "stream": self.stream,
                "bytes": self.bytes, "records": self.records,
                "missing": [{"from": one.start, "to": one.end, "why": one.why} for one in self.missing],
                "differs_at": self.differs_at, "error": self.error}


def audit_file(store: Store, source: FileSource, path: str, progress: Callable[[int], None]) -> FileAudit:
    """Compare one file with the store. What cannot be read of it is part of the answer."""
    found = FileAudit(path, source.app, source.host)
    try:
        with closing(open_log(path)) as file:
            found = _audit(store, source, file, found, progress)
            damage = file.damage()
    except (SourceError, OSError) as error:
        text = str(error) if isinstance(error, SourceError) else f"{path}: {error.strerror or error}".lower()
        return replace(found, state="unreadable", error=text)
    return replace(found, state="unreadable", error=damage) if damage else found


def _audit(store: Store, source: FileSource, file: LogFile, found: FileAudit,
           progress: Callable[[int], None]) -> FileAudit:
    follower = _recognised(store, source, file, found.path)
    size = follower.size
    if not size:
        return found
    id = follower.stream.id if follower.stream is not None and follower.stream.revision else follower.copy_of
    [*known] = store.streams(id=id) if id else []
    if not known:
        why = "too short to tell" if follower.state is State.WAITING else "never read"
        return replace(found, state="missing", bytes=size, missing=(Missing(0, size, why),))
    comparison = _Comparison(store, known[0], file, size, progress)
    missing = tuple(comparison.missing())
    copy = follower.state is State.COPY
    state = "differs" if comparison.differs_at is not None else "missing" if missing else "copy" if copy else "ok"
    return replace(found, state=state, stream=id, stream_path=known[0].path, bytes=size, missing=missing,
                   records=comparison.records, differs_at=comparison.differs_at)


def _recognised(store: Store, source: FileSource, file: LogFile, path: str) -> Follower:
    """The file with its stream, or what it is a copy of. It is read through: what is noted of it is not believed."""
    follower = Follower(source, path, file, now_s=0.0)
    tries = 0       # it may be written anew meanwhile; a compressed one is read through in steps
    while follower.state is State.UNKNOWN and follower.beginning() and tries < TRIES_MAX:
        recognise(follower, store, 0.0, Holders(()), final=True, recall=False)
        tries += not follower.scanning
    if follower.packed:
        offset = 0
        while (size := file.size()) is None:
            offset += len(file.read_at(offset, BLOCK_BYTES))
        follower.size = size
    return follower


class _Comparison:
    """One file with the chunks of its stream."""

    def __init__(self, store: Store, stream: Stream, file: LogFile, size: int, progress: Callable[[int], None]) -> None:
        self._store, self._stream, self._file, self._size, self._progress = store, stream, file, size, progress
        self.records = 0
        self.differs_at: int | None = None

    def missing(self) -> Iterator[Missing]:
        """Compare, and yield what is missing; ended by the first byte that differs."""
        at, before = 0, None
        for chunk in self._store.chunks(stream=self._stream.id, start=0, end=self._size):
            if chunk.start > at:
                yield self._hole(at, chunk.start, before)
            low, high = max(at, chunk.start), min(chunk.end, self._size)
            if low >= high:
                continue                # merged meanwhile: compared already
            if chunk.gone not in (None, HOLE):
                yield Missing(low, high, f"gone: {chunk.gone}")
            elif (differs := self._differs(chunk, low, high)) is not None:
                self.differs_at = differs
                return
            if chunk.end <= self._size:
                self.records += chunk.counts.records
            at, before = high, chunk
            self._progress(high - low)
        if at < min(self._size, self._stream.end):
            yield self._hole(at, min(self._size, self._stream.end), before)
            at = min(self._size, self._stream.end)
        if at < self._size:
            yield Missing(at, self._size, "pending")

    def _hole(self, start: int, end: int, before: Chunk | None) -> Missing:
        return Missing(start, end, EXPIRED if is_expired(self._store, before) else "no chunk")

    def _differs(self, chunk: Chunk, low: int, high: int) -> int | None:
        """The first offset in [low, high) at which file and store differ; what cannot be unpacked differs at `low`."""
        try:
            stored = content(chunk)
        except Exception:
            return low
        for at in range(low, high, PIECE_BYTES):
            piece = stored[at - chunk.start : min(at + PIECE_BYTES, high) - chunk.start]
            own = self._file.read_at(at, min(PIECE_BYTES, high - at))
            if piece != own:
                return at + next((i for i, (a, b) in enumerate(zip(piece, own, strict=False)) if a != b),
                                 min(len(piece), len(own)))
        return None


def is_expired(store: Store, before: Chunk | None) -> bool:
    """Whether chunks behind this one may have gone by retention: only what lies below the freeze horizon may, and
    records are about in the order of time."""
    _, horizon = store.document("horizon", "freeze") or (0, None)
    if horizon is None:
        return False
    return before is None or before.ts_to_us is None or before.ts_to_us < horizon["minute"] * MINUTE_US


def settle_copies(files: list[FileAudit]) -> list[FileAudit]:
    """Of several files of one stream, the one at its path (else the first) is it, and whole others are copies."""
    main: dict[str, FileAudit] = {}
    for file in files:
        if file.stream is not None and file.state != "copy":
            known = main.get(file.stream)
            if known is None or (file.path == file.stream_path != known.path):
                main[file.stream] = file
    return [replace(file, state="copy") if file.state == "ok" and file.stream is not None
            and main[file.stream] is not file else file for file in files]
