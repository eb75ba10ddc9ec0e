"""The frozen types that pass between the steps, and nothing else.

Times are integers: `*_us` microseconds since the epoch, `minute` whole minutes since the epoch; all UTC.
Offsets and sizes count bytes of a stream's uncompressed content.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TRUNCATED = "truncated"
"""Why bytes are gone: their file was emptied or written over."""

DELETED = "deleted"
"""Why bytes are gone: no file has them any more."""

Carry = dict[str, Any]
"""What reading needs from the bytes before: small, bounded, JSON-able. Empty at a stream's start."""


@dataclass(frozen=True, slots=True)
class Record:
    """One log entry, seen whole. Absent parts are None.

    `ts` is RFC 3339 in UTC with the log's own precision; `reason` is set for a reject only.
    """

    offset: int
    size: int
    ts_us: int | None = None
    ts: str | None = None
    level: str | None = None
    logger: str | None = None
    thread: str | None = None
    message: str | None = None
    mdc: Mapping[str, str] | None = None
    ndc: list[str] | None = None
    marker: str | None = None
    exception: str | None = None
    extra: Mapping[str, str] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One stored document: a record that a grammar claims, that is WARN or above, or a reject.

    `body` holds the keys of the public JSON except id, app, host, path and offset, which the stream knows.
    """

    stream: str
    offset: int
    ts_us: int | None
    level: str | None
    event: str | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Partial:
    """A chunk's contribution to all metrics of one minute.

    `data` is the serialised mapping metric -> labels -> Stat (rollup/partial.py); a store keeps it as opaque bytes.
    """

    minute: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Counts:
    """A ledger line: records read, those with an event, rejects, and the rejects' bytes."""

    records: int = 0
    events: int = 0
    rejects: int = 0
    rejected_bytes: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.records + other.records,
            self.events + other.events,
            self.rejects + other.rejects,
            self.rejected_bytes + other.rejected_bytes,
        )


NO_COUNTS = Counts()


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bytes [start, end) of a stream with what reading made of them: the unit of commit.

    `raw` is the zstd-compressed bytes, empty where `gone` names why there are none. `carry` is the carry at
    `start`, so that the chunk can be read again alone. An `open` chunk may be replaced by a longer one. One that is
    gone is open, too: its bytes may still turn up in a copy.
    `revision` is set by the store and rises with each replacement.
    """

    stream: str
    start: int
    end: int
    raw: bytes
    carry: Carry = field(default_factory=dict)
    open: bool = False
    gone: str | None = None
    ts_from_us: int | None = None
    ts_to_us: int | None = None
    counts: Counts = NO_COUNTS
    events: Sequence[Event] = ()
    partials: tuple[Partial, ...] = ()
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream's committed state.

    `end` is where the committed bytes end. `resume` is where the next chunk starts: the start of the open chunk
    if there is one, else `end`. `carry` is the carry at `resume`. `counts` covers [0, resume), `open_counts` the
    open chunk. `head` is the first bytes (at most 1 KiB), `windows` maps 1024, 2048, 4096 … to the hash of the
    4 KiB that end there, `end_window` is the hash of the 4 KiB that end at `read_end`. `dropped` maps a reason to the
    bytes of the chunks that are gone. `revision` is 0 for a stream that the store does not have yet.
    """

    id: str
    host: str
    app: str
    path: str
    first_line: str
    n: int = 0
    revision: int = 0
    end: int = 0
    resume: int = 0
    carry: Carry = field(default_factory=dict)
    head: bytes = b""
    windows: Mapping[int, str] = field(default_factory=dict)
    end_window: str = ""
    counts: Counts = NO_COUNTS
    open_counts: Counts = NO_COUNTS
    dropped: Mapping[str, int] = field(default_factory=dict)
    last_ts_us: int | None = None

    @property
    def read_end(self) -> int:
        """Where the bytes end that were read: `end`, but where the open chunk is gone (it has no records) its start."""
        return self.end if self.open_counts != NO_COUNTS else self.resume


@dataclass(frozen=True, slots=True)
class BucketKey:
    """One metric's rollups for one step of time: step minute | quarter | hour | day | week | month.

    `zone` is "" (UTC) for minute, quarter and hour, else the IANA zone whose days are meant. `start` is in minutes.
    """

    metric: str
    step: str
    zone: str
    start: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """`rows` maps the labels (canonical JSON) to a serialised Stat. `revision` 0: not stored yet."""

    revision: int
    rows: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Mark:
    """A chunk that is not folded yet, at one of its revisions, with the minutes that it made dirty."""

    stream: str
    start: int
    revision: int
    dirty: tuple[int, ...]
