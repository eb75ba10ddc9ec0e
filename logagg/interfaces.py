"""What can be plugged in, as contracts. `tests/contract/` holds the suite that every implementation passes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from logagg.bodies import Bodies
from logagg.record import Bucket, BucketKey, Carry, Chunk, Event, Mark, Partial, Record, Stream

if TYPE_CHECKING:
    from logagg.columns import Ints, Spans

Committed = Literal["committed", "moved"]


class Store(Protocol):
    """Keeps streams, chunks, events, partials, rollups and small documents.

    Every method may raise `StoreUnavailable`; no driver's exception or type crosses this interface. Instances may
    be used from several threads. Writes are durable when a method returns. Texts may hold NUL and lone surrogates,
    and JSON values integers of any size: they come back equal.
    """

    remote: bool        #: a commit is mostly a server's work: the caller gains by doing something else meanwhile

    def streams(self, *, id: str | None = None, host: str | None = None, app: str | None = None,
                first_line: str | None = None) -> list[Stream]:
        """The streams that match all given keys, ordered by (app, host, path, first_line, n)."""
        ...

    def ready(self, chunk: Chunk) -> Chunk:
        """An equal chunk that `commit` has less to do with: what can be done before, while others are waited for.
        Optional to call, and harmless where the chunk is never committed."""
        ...

    def commit(self, commits: Sequence[tuple[Stream, Sequence[Chunk]]]) -> list[Committed]:
        """Commit for each stream its new state and chunks, all in one transaction; one answer per stream, in order.

        `Stream.revision` is the revision that the state was computed from (0: the stream is new); the stored one
        becomes revision + 1. A stream whose stored revision differs leaves the group as "moved" and nothing of it is
        written: the caller reads it again, trims what is already there, and tries again. The chunks must follow each
        other from the stored `resume` to the new `end`, only the last may be open, and the new `resume` must be its
        start (or `end`): anything else raises StoreError (a gap is refused) and writes nothing. A stored open chunk,
        which starts at the first chunk's start, is deleted with its events and partials; its minutes stay dirty,
        now through the first new chunk. Chunks are stored as not folded. Without chunks only the stream's own state
        (path, dropped) is written; `end` and `resume` must not move. `end` never falls. A stream that the group holds
        twice is "moved" the second time.
        """
        ...

    def replace(self, stream: str, start: int, end: int, revisions: Mapping[int, int],
                chunks: Sequence[Chunk]) -> bool:
        """Replace the closed chunks of [start, end) by `chunks`, which cover the same bytes, in one transaction.

        `revisions` maps the start of each chunk now there to its revision; False, and nothing written, if it differs.
        The new chunks are not folded, and dirty with what old and new ones touch. For merging and reading again.
        Chunks, old or new, that are open or do not cover [start, end) exactly raise StoreError. Where the chunks'
        counts change, the stream's change with them and its revision rises.
        """
        ...

    def chunks(self, *, stream: str | None = None, from_us: int | None = None, to_us: int | None = None,
               start: int | None = None, end: int | None = None, with_parts: bool = False) -> Iterator[Chunk]:
        """Chunks by (stream, start) that overlap [start, end) and the time [from_us, to_us); `events` and `partials`
        are filled only with `with_parts`. Chunks without any time are found only without a time range.

        Bytes that are there before and stay are found, whoever merges meanwhile: a merged chunk may then begin before
        the end of the one before."""
        ...

    def events(self, *, from_us: int | None = None, to_us: int | None = None, names: Sequence[str] | None = None,
               stream: str | None = None, after: tuple[int, str, int] | None = None,
               limit: int | None = None) -> Iterator[Event]:
        """Events of [from_us, to_us) ordered by (ts_us, stream, offset); `after` continues behind such a key.

        Without a time range, events without a time come first (ts_us None sorts and counts as -1 in `after`).
        """
        ...

    def unfolded(self, limit: int) -> list[Mark]:
        """At most `limit` chunks that are not folded, oldest commit first."""
        ...

    def partials(self, minutes: Sequence[int]) -> Iterator[Partial]:
        """All stored partials of all chunks at these minutes, in any order; those of one minute as of one moment."""
        ...

    def fold(self, buckets: Mapping[BucketKey, Bucket], marks: Iterable[Mark]) -> bool:
        """Write whole buckets (each where the stored revision is still `Bucket.revision`, absent: 0; it becomes
        revision + 1), then mark the chunks that still have their mark's revision as folded, in one transaction.
        False, and nothing written, where a bucket's revision differs. A bucket without rows is stored empty."""
        ...

    def buckets(self, step: str, zone: str, start: int, end: int, *,
                metric: str | None = None) -> Iterator[tuple[BucketKey, Bucket]]:
        """The stored buckets of one step that start in [start, end) minutes, ordered by (start, metric)."""
        ...

    def expire(self, *, raw_before_us: int | None = None, events_before_us: int | None = None,
               buckets_before: Mapping[str, int] | None = None) -> dict[str, int]:
        """Delete folded closed chunks with their partials whose times are all before `raw_before_us`, events before
        `events_before_us`, and buckets of a step (minute, quarter, hour) that start before
        `buckets_before[step]` minutes.
        What has no time is as old as its commit. Streams never expire.
        The answer counts what was deleted: {"chunks", "events", "buckets"}.

        The caller has raised the freeze horizon (document "horizon"/"freeze") before. One call is bounded: it deletes
        at most some thousand items and is called again until it counts nothing.
        """
        ...

    def document(self, kind: str, key: str) -> tuple[int, dict[str, Any]] | None:
        """A small keyed document and its revision."""
        ...

    def documents(self, kind: str, *, start: str = "", end: str | None = None) -> dict[str, dict[str, Any]]:
        """The documents of one kind by key, those with keys in [start, end), in order of keys."""
        ...

    def put_document(self, kind: str, key: str, revision: int | None, value: dict[str, Any]) -> bool:
        """Write if the stored revision is `revision` (0: absent; None: whatever it is); tell whether it was written."""
        ...

    def check_space(self) -> None:
        """Raise StoreFull while `commit`, `replace` and `fold` are refused for want of space. `put_document` may still
        work then, from a reserve that is kept for it; a store that cannot tell raises nothing."""
        ...

    def size_bytes(self) -> int:
        """What the store takes on disk."""
        ...

    def close(self) -> None: ...


class Batch(Protocol):
    """A block's records as columns; nothing per record is a Python object of its own until it is asked for.

    All columns have `len(self)` items. `end` is where the last record ends in the block: what follows was not read.
    """

    base: int                           #: stream offset of the block's first byte
    block: bytes
    end: int
    texts: "Spans"                      #: the records' bytes
    times: "Ints"                       #: microseconds UTC; NO_TIME: the record has no (full) time
    level_codes: "Ints"                 #: numbers of `level_names`, which may have more names than are used
    level_names: Sequence[str | None]   #: as printed, padding stripped; interned, each once; the first is None
    first_lines: "Spans"                #: of the message, what event grammars read, without its line end
    rejects: Mapping[int, str]          #: record number -> reason
    carry: Carry                        #: the carry at `end`
    skipped: int                        #: bytes at the block's start that belong to a reject begun in an earlier block

    def __len__(self) -> int: ...

    @property
    def starts(self) -> Sequence[int]:
        """Where each record starts in the block. This and the next three are lists, made from arrays when asked for."""
        ...

    @property
    def ts_us(self) -> Sequence[int | None]: ...

    @property
    def levels(self) -> Sequence[str | None]: ...

    @property
    def loggers(self) -> Sequence[bytes | None]: ...

    def record(self, i: int) -> Record:
        """Record `i` decoded whole (message, exception, MDC …)."""
        ...

    def bodies(self, rows: Sequence[int]) -> Bodies:
        """Of each of these records its stream offset, its time in microseconds, and its body: the parts that it has,
        under the keys of the public JSON; without an event, but for a reject."""
        ...


class Reader(Protocol):
    """bytes -> records, as a pure function: read(A + B) gives the same records as read(A), then read(B)."""

    def read(self, block: bytes, base: int, carry: Carry, *, final: bool) -> Batch:
        """Read a block that begins where `carry` was taken.

        `block` ends after a line end, except where a record is longer than a block or a file ends without one.
        Without `final` the last record is left unread (more lines may come), unless it is longer than
        `record_bytes_max` already: then it becomes a reject "too_long", begun here, and the carry says so.
        """
        ...

    def decided(self, carry: Carry) -> bool:
        """Whether the layout is settled. While it is not, the stream is read again from its start as it grows."""
        ...


class ClaimGroup(Protocol):
    """Claims of one event in a batch. Several groups may be of the same event; no record is in two."""

    @property
    def event(self) -> str: ...

    @property
    def rows(self) -> "Ints":
        """Record numbers, ascending."""
        ...

    @property
    def columns(self) -> "Mapping[str, Sequence[int | float | str | None]]":
        """The values of each field, None where a record does not have it. A field that no record has may be missing."""
        ...


class Claims(Protocol):
    """What event grammars found in a batch: `groups`, and the same as parallel columns, which are made when they
    are asked for."""

    @property
    def groups(self) -> Sequence[ClaimGroup]: ...

    def __len__(self) -> int:
        """How many records were claimed."""
        ...

    @property
    def rows(self) -> Sequence[int]:
        """Record numbers, ascending, each at most once."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Event names."""
        ...

    @property
    def fields(self) -> Sequence[dict[str, int | float | str]]: ...


class Classifier(Protocol):
    """first lines of messages -> events."""

    def claim(self, first_lines: Sequence[bytes]) -> Claims: ...
