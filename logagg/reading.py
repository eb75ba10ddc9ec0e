"""Bytes of a stream -> chunks: records, events and partials, as a function of the bytes and of the state before them.

Nothing is written here and nothing is asked of the store: `Ingest` does that. The same bytes with the same state and
configuration give the same chunks, so that any chunk can be read again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from logagg.bodies import KeptEvents
from logagg.columns import NO_TIME
from logagg.interfaces import Batch, Claims, Classifier, Reader
from logagg.raw import HOLE, compress, content
from logagg.record import Carry, Chunk, Counts, Event, Stream
from logagg.rollup.metric import MetricSet
from logagg.rollup.partial import FEW_MAX, MINUTE_US, partials

log = logging.getLogger(__name__)

SEVERE = frozenset({"WARN", "WARNING", "ERROR", "SEVERE", "FATAL", "CRITICAL", "ALERT", "EMERG", "EMERGENCY", "PANIC"})
"""Levels at or above WARN, in the words of Log4j, java.util.logging, Python and syslog."""

PREVIEW_CHARS = 1000
OPEN_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How the streams of one source are read and what is kept of them."""

    reader: Reader
    classifier: Classifier
    metrics: MetricSet
    keep: Literal["events", "all"] = "events"
    record_bytes_max: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Reading:
    """The chunks made of a block, and the carry at the place where reading resumes."""

    chunks: tuple[Chunk, ...]
    carry: Carry


def read(state: Stream, data: bytes, pipeline: Pipeline, *, flush: bool) -> Reading:
    """Read `data`: a closed chunk of the records that cannot grow, and with `flush` an open one of the rest.

    What is small and all of one minute stays open as a whole and grows with the next lines, so that a stream that
    writes now and then does not leave a chunk for each line; no commit makes an older minute dirty again.

    While the layout is not decided, everything since the stream's start stays open and is read again as it grows, so
    that the decision depends on the bytes alone and not on how they came.
    """
    try:
        if flush and len(data) <= OPEN_BYTES_MAX:
            batch = pipeline.reader.read(data, state.resume, state.carry, final=True)
            chunk = _chunk(state, data, batch, state.carry, pipeline, is_open=True)
            if _minutes(chunk) <= 1:
                return Reading((chunk,), state.carry)
        closed = pipeline.reader.read(data, state.resume, state.carry, final=False)
        decided = pipeline.reader.decided(closed.carry)
        end = closed.end if decided else 0
        chunks = [_chunk(state, data[:end], closed, state.carry, pipeline)] if end else []
        carry = closed.carry if end else state.carry
        if not flush and 0 < end <= OPEN_BYTES_MAX and _minutes(chunks[0]) <= 1:
            return Reading((replace(chunks[0], open=True),), state.carry)
        if flush and end < len(data):
            rest = data[end:]
            batch = pipeline.reader.read(rest, state.resume + end, carry, final=True)
            chunks.append(_chunk(state, rest, batch, carry, pipeline, is_open=True))
    except Exception:
        return _failed(state, data)
    return Reading(tuple(chunks), carry)


def read_into_gap(state: Stream, data: bytes, pipeline: Pipeline) -> Reading:
    """Read bytes that were given up and have turned up, but not all of them: the rest stays a gap."""
    try:
        batch = pipeline.reader.read(data, state.resume, state.carry, final=False)
        if not batch.end or not pipeline.reader.decided(batch.carry):
            return Reading((), state.carry)
        chunk, carry = _chunk(state, data[: batch.end], batch, state.carry, pipeline), batch.carry
    except Exception:
        [chunk], carry = _failed(state, data).chunks, state.carry
    reason = next(reason for reason in state.dropped if reason != HOLE)
    gap = Chunk(state.id, chunk.end, state.end, b"", carry, open=True, gone=reason)
    return Reading((chunk, gap), carry)


def read_to_hole(state: Stream, data: bytes, hole: int, end: int, pipeline: Pipeline) -> Reading:
    """A closed chunk of what is before the hole, which ends records and lines, and one without bytes for the hole."""
    before = read_closed(state, data[:hole], pipeline) if hole else Reading((), state.carry)
    carry = {key: value for key, value in before.carry.items() if key in ("layout", "ts")} | {HOLE: True}
    gap = Chunk(state.id, state.resume + hole, state.resume + end, b"", carry, gone=HOLE)
    return Reading((*before.chunks, gap), carry)


def read_closed(state: Stream, data: bytes, pipeline: Pipeline) -> Reading:
    """One closed chunk of all of `data`: nothing follows its last record."""
    try:
        batch = pipeline.reader.read(data, state.resume, state.carry, final=True)
        return Reading((_chunk(state, data, batch, state.carry, pipeline),), batch.carry)
    except Exception:
        return _failed(state, data)


def _minutes(chunk: Chunk) -> int:
    """How many minutes a chunk's records span, from the first to the last."""
    if chunk.ts_from_us is None or chunk.ts_to_us is None:
        return 0
    return chunk.ts_to_us // MINUTE_US - chunk.ts_from_us // MINUTE_US + 1


def _chunk(
    state: Stream, data: bytes, batch: Batch, carry: Carry, pipeline: Pipeline, *, is_open: bool = False
) -> Chunk:
    """The chunk that holds `data` and what `batch`, read of it with `carry`, amounts to."""
    claims = pipeline.classifier.claim(batch.first_lines)
    parts = partials(batch, claims, pipeline.metrics, state.app, state.host, carry.get("ts"))
    known = batch.times[batch.times != NO_TIME]
    times = [int(known.min()), int(known.max())] if len(known) > FEW_MAX else known.tolist()
    times += [part.minute * 60_000_000 for part in parts]
    rejected = sum(_size(batch, i) for i in batch.rejects) if batch.rejects else 0
    return Chunk(
        stream=state.id,
        start=batch.base,
        end=batch.base + len(data),
        raw=compress(data),
        carry=carry,
        open=is_open,
        ts_from_us=min(times, default=None),
        ts_to_us=max(times, default=None),
        counts=Counts(
            len(batch) - len(batch.rejects), len(claims), len(batch.rejects), rejected + batch.skipped
        ),
        events=_events(state, batch, claims, pipeline.keep),
        partials=tuple(parts),
    )


def read_again(stream: Stream, chunk: Chunk, pipeline: Pipeline) -> Chunk:
    """What reading a stored chunk's bytes, with its carry, gives now. Raises whatever the reader does."""
    data = content(chunk)
    batch = pipeline.reader.read(data, chunk.start, chunk.carry, final=True)
    return _chunk(stream, data, batch, chunk.carry, pipeline, is_open=chunk.open)


def _size(batch: Batch, i: int) -> int:
    """The bytes of record `i`: up to the next record's start."""
    return (batch.starts[i + 1] if i + 1 < len(batch) else batch.end) - batch.starts[i]


def _events(state: Stream, batch: Batch, claims: Claims, keep: str) -> Sequence[Event]:
    """A document for each record that is kept, in order."""
    rows = range(len(batch)) if keep == "all" else _kept(batch, claims)
    if not rows:
        return ()
    if not len(claims):
        return KeptEvents(state.id, batch.bodies(rows), {})
    place = rows if keep == "all" else {row: number for number, row in enumerate(rows)}
    claimed = {place[row]: (name, fields)
               for row, name, fields in zip(claims.rows, claims.names, claims.fields, strict=True)
               if row not in batch.rejects}
    return KeptEvents(state.id, batch.bodies(rows), claimed)


def _kept(batch: Batch, claims: Claims) -> list[int]:
    """The records that are kept where not all are: claimed ones, rejects, WARN and above."""
    if len(batch) <= FEW_MAX:
        names = batch.level_names
        some = {i for i, code in enumerate(batch.level_codes.tolist()) if names[code] in SEVERE}
        return sorted(some.union(batch.rejects, *(group.rows.tolist() for group in claims.groups)))
    severe = np.fromiter((name in SEVERE for name in batch.level_names), bool)
    kept = severe[batch.level_codes]
    for group in claims.groups:
        kept[group.rows] = True
    kept[list(batch.rejects)] = True
    rows: list[int] = np.flatnonzero(kept).tolist()
    return rows


def _failed(state: Stream, data: bytes) -> Reading:
    """To be called where reading raised, by a bug of ours or of somebody's grammar: the bytes are kept and counted, as
    one reject `parser_failed` that holds all of them, and reading goes on behind them."""
    log.exception("%s: reading %d bytes at offset %d failed; kept as a reject", state.path, len(data), state.resume)
    preview = data[:PREVIEW_CHARS].decode("utf-8", "replace")
    body = {"message": preview, "event": "reject", "fields": {"reason": "parser_failed"}}
    chunk = Chunk(
        stream=state.id,
        start=state.resume,
        end=state.resume + len(data),
        raw=compress(data),
        carry=state.carry,
        counts=Counts(rejects=1, rejected_bytes=len(data)),
        events=(Event(state.id, state.resume, None, None, "reject", body),),
    )
    return Reading((chunk,), state.carry)
