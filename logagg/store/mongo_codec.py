"""Records as BSON documents and back.

Fields are real wherever BSON can hold them, so that users can query them. What it cannot hold whole (integers beyond
64 bits, lone surrogates, keys with NUL or a leading "$") is stored twice: cleaned in the real fields, for queries,
and exact as JSON text in `body_json` (events) or `value_json` (documents), from which it is read back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bson import DatetimeMS, Timestamp, encode
from bson.binary import Binary
from bson.errors import InvalidDocument
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from logagg.bodies import KeptEvents
from logagg.record import BucketKey, Chunk, Event, Mark, Partial, Stream
from logagg.store.codec import counts_from_list, counts_to_list, from_column, from_json, to_column, to_json

Document = dict[str, Any]

#: keys of an event's body that are stored as fields of the same name; `ts`, `level` and `event` have their own rule
BODY_FIELDS = frozenset(("logger", "thread", "message", "mdc", "ndc", "marker", "exception", "fields", "extra"))
_OWN_KEYS = frozenset(("level", "event"))
_SCALARS = frozenset((str, int, float, bool, type(None)))


class EncodedEvents(KeptEvents):
    """Events with the documents that they are stored as."""

    __slots__ = ("documents",)

    def __init__(self, events: KeptEvents, documents: list[RawBSONDocument]) -> None:
        super().__init__(events.stream, events.bodies, events.claims)
        self.documents = documents


def encode_events(events: Sequence[Event], now_us: int) -> list[RawBSONDocument]:
    """The events' documents; `now_us` is kept for an event without a time, which expires by it."""
    if isinstance(events, EncodedEvents):
        return events.documents
    if isinstance(events, KeptEvents):
        from logagg.store.mongo_events import encode_columns  # with numpy: commands that write no events do without

        return encode_columns(events, now_us)
    return [document_of_event(event, now_us) for event in events]


def document_of_event(event: Event, now_us: int) -> RawBSONDocument:
    """The event as BSON; `now_us` is kept for an event without a time, which expires by it."""
    body = event.body
    document = _head(event, now_us)
    try:
        for key, value in body.items():
            if key in BODY_FIELDS:
                if type(value) not in _SCALARS and not is_plain(value):
                    break
                document[key] = value
            elif key == "ts" and type(value) is str:
                document["ts_text"] = value
            elif key not in _OWN_KEYS or value is None:
                break
        else:
            if body.get("level") == event.level and body.get("event") == event.event:
                return RawBSONDocument(encode(document))
    except (UnicodeEncodeError, OverflowError, InvalidDocument):
        pass
    return _document_of_odd(event, now_us)


def _document_of_odd(event: Event, now_us: int) -> RawBSONDocument:
    """An event whose document's fields alone could not tell its texts or its body again."""
    stream = to_column(event.stream)
    document = _head(event, now_us) | {"_id": {"stream": stream, "offset": event.offset}, "stream": stream}
    for key, value in (("level", event.level), ("event", event.event)):
        if value is not None:
            document[key] = to_column(value)
    for key, value in event.body.items():
        if key in BODY_FIELDS or key == "ts":
            document["ts_text" if key == "ts" else key] = clean(value)
    return RawBSONDocument(encode({**document, "body_json": to_json(event.body)}))


def _head(event: Event, now_us: int) -> Document:
    """The document without the body's own fields."""
    stream, offset, ts_us = event.stream, event.offset, event.ts_us
    document: Document = {"_id": {"stream": stream, "offset": offset}, "stream": stream, "offset": offset}
    if ts_us is None:
        document["ts_us"], document["committed_us"] = -1, now_us
    else:                                         # Int64: a constant type, whatever the number
        document["ts"], document["ts_us"] = DatetimeMS(ts_us // 1000), Int64(ts_us)
    if event.level is not None:
        document["level"] = event.level
    if event.event is not None:
        document["event"] = event.event
    return document


def event_of_document(document: Document) -> Event:
    """The event that `document_of_event` stored; read without `ts`, whose milliseconds `ts_us` has too."""
    level, name = from_column(document.get("level")), from_column(document.get("event"))
    if "body_json" in document:
        body = from_json(document["body_json"])
    else:
        body = {key: value for key, value in document.items() if key in BODY_FIELDS}
        own = (("ts", document.get("ts_text")), ("level", level), ("event", name))
        body.update((key, value) for key, value in own if value is not None)
    ts_us = None if "committed_us" in document else document["ts_us"]
    return Event(from_column(document["stream"]), document["offset"], ts_us, level, name, body)


def is_plain(value: Any) -> bool:
    """Whether BSON gives the value back as it is: only JSON's types, and keys without NUL and without the leading "$"
    that makes references of them. (Integers and texts are left to the encoder, which refuses what does not fit.)"""
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str or key[:1] == "$" or "\0" in key:
                return False
            if type(item) not in _SCALARS and not is_plain(item):
                return False
        return True
    if isinstance(value, list | tuple):
        return all(type(item) in _SCALARS or is_plain(item) for item in value)
    return type(value) in _SCALARS


def clean(value: Any) -> Any:
    """The nearest value that BSON can hold: for queries only."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return str(value)
    if isinstance(value, Mapping):
        return {_clean_key(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def _clean_key(key: str) -> str:
    text = str(clean(key)).replace("\0", "␀")
    return "＄" + text[1:] if text[:1] == "$" else text


def value_fields(value: Document) -> Document:
    """The fields of a small document's value."""
    try:
        if is_plain(value):
            encode({"value": value})
            return {"value": value}
    except (UnicodeEncodeError, OverflowError, InvalidDocument):
        pass
    return {"value": clean(value), "value_json": to_json(value)}


def value_of(document: Document) -> Document:
    value: Document = from_json(document["value_json"]) if "value_json" in document else document["value"]
    return value


def place(stream: str, start: int) -> Document:
    """The _id of a chunk, and of its mark."""
    return {"stream": to_column(stream), "start": start}


def document_of_stream(stream: Stream, revision: int) -> Document:
    return {
        "_id": to_column(stream.id), "host": to_column(stream.host), "app": to_column(stream.app),
        "path": to_column(stream.path), "first_line": to_column(stream.first_line), "n": stream.n,
        "revision": revision, "end": Int64(stream.end), "resume": Int64(stream.resume), "carry": to_json(stream.carry),
        "head": stream.head, "windows": to_json(dict(stream.windows)), "end_window": to_column(stream.end_window),
        "counts": counts_to_list(stream.counts), "open_counts": counts_to_list(stream.open_counts),
        "dropped": to_json(dict(stream.dropped)), "last_ts_us": stream.last_ts_us,
    }


def stream_of_document(found: Document) -> Stream:
    return Stream(
        id=from_column(found["_id"]), host=from_column(found["host"]), app=from_column(found["app"]),
        path=from_column(found["path"]), first_line=from_column(found["first_line"]), n=found["n"],
        revision=found["revision"], end=found["end"], resume=found["resume"], carry=from_json(found["carry"]),
        head=found["head"], windows={int(size): text for size, text in from_json(found["windows"]).items()},
        end_window=from_column(found["end_window"]), counts=counts_from_list(found["counts"]),
        open_counts=counts_from_list(found["open_counts"]), dropped=from_json(found["dropped"]),
        last_ts_us=found["last_ts_us"])


def document_of_chunk(chunk: Chunk, now_us: int) -> Document:
    """Without its events and partials. `age_us` is what expiry goes by: the last record's time, or the commit's."""
    return {
        "_id": place(chunk.stream, chunk.start), "stream": to_column(chunk.stream), "start": Int64(chunk.start),
        "end": Int64(chunk.end), "revision": chunk.revision, "open": chunk.open, "gone": to_column(chunk.gone),
        "ts_from_us": chunk.ts_from_us, "ts_to_us": chunk.ts_to_us,
        "age_us": now_us if chunk.ts_to_us is None else chunk.ts_to_us, "counts": counts_to_list(chunk.counts),
        "carry": to_json(chunk.carry), "raw": Binary(chunk.raw),
    }


def chunk_of_document(found: Document) -> Chunk:
    return Chunk(
        from_column(found["stream"]), found["start"], found["end"], found.get("raw", b""), from_json(found["carry"]),
        found["open"], from_column(found["gone"]), found["ts_from_us"], found["ts_to_us"],
        counts_from_list(found["counts"]), revision=found["revision"])


def document_of_partial(stream: str, start: int, partial: Partial) -> Document:
    id = {"stream": to_column(stream), "start": start, "minute": partial.minute}
    return {"_id": id, "minute": partial.minute, "data": Binary(partial.data)}


def document_of_mark(chunk: Chunk, dirty: list[int]) -> Document:
    """`seq` is filled in by the server (an empty timestamp at the top level): no clock, no counter that all share."""
    return {"_id": place(chunk.stream, chunk.start), "revision": chunk.revision, "dirty": dirty, "seq": Timestamp(0, 0)}


def mark_of_document(found: Document) -> Mark:
    return Mark(from_column(found["_id"]["stream"]), found["_id"]["start"], found["revision"], tuple(found["dirty"]))


def row_id(key: BucketKey, labels: str | None) -> Document:
    """The _id of a bucket (labels None) and of its rows, which follow it in order."""
    return {"step": to_column(key.step), "zone": to_column(key.zone), "start": key.start,
            "metric": to_column(key.metric), "labels": to_column(labels)}
