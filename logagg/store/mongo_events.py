"""A chunk's events -> BSON documents: those of plain records from columns, all at once.

What the documents of a chunk share, and what those of one head share, is encoded by the driver once; the rest is put
in between. The result is the same, byte by byte, as that of `mongo_codec.document_of_event`, which makes all others.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from bson import DatetimeMS, encode
from bson.errors import InvalidDocument
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from numpy.typing import NDArray

from logagg.bodies import Head, KeptEvents
from logagg.store.codec import encodable
from logagg.store.mongo_codec import document_of_event, is_plain

COLUMN_ROWS_MIN = 16
"""Fewer events are encoded one by one faster than columns are set up."""

_INT32_END = 1 << 31
_ODD = b"", b""
"""Stands for what cannot be encoded here."""

_Matrix = NDArray[np.uint8]


def encode_columns(events: KeptEvents, now_us: int) -> list[RawBSONDocument]:
    """The events' documents; `now_us` is kept for an event without a time, which expires by it."""
    bodies, count = events.bodies, len(events)
    starts = _starts(events) if count >= COLUMN_ROWS_MIN and encodable(events.stream) else None
    if starts is None:
        return [document_of_event(event, now_us) for event in events]
    heads = [_ODD if head is None else _of_head(head) for head in bodies.heads]
    levels, rests = zip(*heads, strict=True)
    names, ends = [b""] * count, [b"\0\0"] * count
    for i, claim in events.claims.items():
        names[i], ends[i] = _of_claim(*claim)
    moments = [*map(_of_second, bodies.seconds, map(len, bodies.fractions))]
    messages = [*bodies.messages]
    columns = (levels, names, moments, bodies.fractions, rests, messages, ends)
    sizes = [np.fromiter(map(len, column), np.int64, count) for column in columns]
    starts[:, :4] = _int32s(sum(sizes, starts.shape[1] + 4))
    message_sizes = _rows(_int32s(sizes[5] + 1))
    documents = map(b"".join, zip(_rows(starts), *columns[:5], message_sizes, messages, ends, strict=True))
    return [RawBSONDocument(document) if rest and end else document_of_event(events[i], now_us)
            for i, (document, rest, end) in enumerate(zip(documents, rests, ends, strict=True))]


def _starts(events: KeptEvents) -> _Matrix | None:
    """What the documents begin with, up to and with `ts_us`, their own size still missing: a row each. None where
    offsets are not all of one size in BSON."""
    offsets, times = events.bodies.offsets, events.bodies.times
    small = offsets[-1] < _INT32_END
    if not small and offsets[0] < _INT32_END:
        return None
    offset = np.array(offsets, "<i4" if small else "<i8")
    time = np.array([0 if ts_us is None else ts_us for ts_us in times], "<i8")
    id = encode({"_id": {"stream": events.stream, "offset": offsets[0]}})[:-1]
    parts = (id, _elements({"stream": events.stream, "offset": offsets[0]}), _elements({"ts": DatetimeMS(0)}),
             _elements({"ts_us": Int64(0)}))
    ends = np.cumsum([*map(len, parts)])    # each part but the first ends with its number
    rows = np.frombuffer(b"".join(parts) * len(offsets), np.uint8).reshape(len(offsets), -1).copy()
    for end, column in zip((ends[0] - 1, *ends[1:]), (offset, offset, time // 1000, time), strict=True):
        rows[:, end - column.itemsize:end] = column.view(np.uint8).reshape(len(offsets), -1)
    return rows


def _int32s(numbers: Any) -> _Matrix:
    """Whole numbers as BSON's 32-bit integers, a row each."""
    return np.asarray(numbers).astype("<i4").view(np.uint8).reshape(-1, 4)


def _rows(matrix: _Matrix) -> list[bytes]:
    rows: list[bytes] = np.ascontiguousarray(matrix).view(f"V{matrix.shape[1]}").ravel().tolist()
    return rows


@lru_cache(maxsize=8192)
def _of_head(head: Head) -> tuple[bytes, bytes]:
    """The level's element; and all that is between the time's digits and the message's size."""
    texts = dict(head.texts)
    level = {"level": texts.pop("level")} if "level" in texts else {}
    try:
        return _elements(level), b"Z\0" + _elements(texts) + b"\x02message\0"
    except (UnicodeEncodeError, InvalidDocument):
        return _ODD


@lru_cache(maxsize=4096)
def _of_second(second: str, digits: int) -> bytes:
    """The beginning of the element `ts_text`: what is left is the fraction's digits, "Z" and NUL."""
    text = second + ("." if digits else "")
    return b"\x02ts_text\0" + (len(text) + digits + 2).to_bytes(4, "little") + text.encode()


def _of_claim(name: str, fields: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The element of the event's name; and all that is behind the message's last byte."""
    try:
        return (_of_name(name), b"\0" + _elements({"fields": fields}) + b"\0") if is_plain(fields) else _ODD
    except (UnicodeEncodeError, OverflowError, InvalidDocument):
        return _ODD


@lru_cache(maxsize=1024)
def _of_name(name: str) -> bytes:
    return _elements({"event": name})


def _elements(document: Mapping[str, Any]) -> bytes:
    """A document without its size and its end."""
    return encode(document)[4:-1]
