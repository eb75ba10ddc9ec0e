"""Reading the MongoDB store: everything that may be long comes in pages by key.

A page is read at one moment (snapshot); a whole iteration is not: what is committed meanwhile may or may not be seen,
what was there before and stays is seen once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from bson.max_key import MaxKey
from bson.min_key import MinKey
from pymongo.client_session import ClientSession

from logagg.record import Bucket, BucketKey, Chunk, Event, Partial
from logagg.store.codec import from_column, to_column
from logagg.store.mongo_codec import Document, chunk_of_document, event_of_document, place
from logagg.store.mongo_server import MongoServer

CHUNKS_PER_PAGE = 16                # up to 4 MiB each
EVENTS_PER_PAGE = 1000
MINUTES_PER_PAGE = 100
ROWS_PER_BATCH = 2000
BUCKET_BYTES_PER_PAGE = 4 << 20

BY_TIME = {"ts_us": 1, "stream": 1, "offset": 1}
ANYTHING = (MinKey(), MaxKey())     # in `between`: whatever the field holds

Item = TypeVar("Item")


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def between(equal: Document, **last: tuple[Any, Any]) -> Document:
    """A half-open range of compound _ids that begin with the fields `equal` and go on with those of `last`."""
    return {"$gte": equal | {name: pair[0] for name, pair in last.items()},
            "$lt": equal | {name: pair[1] for name, pair in last.items()}}


def key_of(id: Document) -> BucketKey:
    """The bucket that a row of `rollups` belongs to, from the row's _id."""
    return BucketKey(from_column(id["metric"]), from_column(id["step"]), from_column(id["zone"]), id["start"])


def read_chunks(server: MongoServer, stream: str | None, from_us: int | None, to_us: int | None, start: int | None,
                end: int | None, with_parts: bool) -> Iterator[Chunk]:
    """Ranges of the index alone (no min/max), so that what does not match is passed over without being fetched."""
    wanted: Document = {}
    for name, condition, value in (("end", "$gt", start), ("start", "$lt", end), ("ts_to_us", "$gte", from_us),
                                   ("ts_from_us", "$lt", to_us)):
        if value is not None:
            wanted[name] = {condition: value}
    ranges: list[Document] = [{"stream": {"$gte": MinKey()} if stream is None else to_column(stream)}]
    while ranges:
        page = _chunk_page(server, ranges[0], wanted, with_parts)
        yield from page
        if len(page) < CHUNKS_PER_PAGE:
            ranges.pop(0)
            continue
        last = to_column(page[-1].stream)
        ranges = [{"stream": last, "end": {"$gt": page[-1].end}}]
        if stream is None:
            ranges.append({"stream": {"$gt": last}})


def _chunk_page(server: MongoServer, within: Document, wanted: Document, with_parts: bool) -> list[Chunk]:
    with server.reading() as session:
        if "end" in within:             # behind this byte: what holds it may have been merged meanwhile
            at = {"stream": within["stream"], "start": {"$lt": within["end"]["$gt"]}}
            before = server.db.chunks.find_one(at, {"start": 1}, session=session, hint="by_place",
                                               sort={"stream": -1, "start": -1})
            within = within | {"start": {"$gte": before["start"] if before else 0}}
        wanted = {"$and": [within, wanted]}
        found = server.db.chunks.find(wanted, session=session).hint("by_place").sort({"stream": 1, "start": 1})
        page = [chunk_of_document(document) for document in found.limit(CHUNKS_PER_PAGE)]
        return [with_its_parts(server, session, chunk) for chunk in page] if with_parts else page


def with_its_parts(server: MongoServer, session: ClientSession, chunk: Chunk) -> Chunk:
    events = server.db.events.find(events_of(chunk), {"ts": 0}, session=session).sort({"_id": 1})
    partials = server.db.partials.find(partials_of(place(chunk.stream, chunk.start)), session=session).sort({"_id": 1})
    return replace(chunk, events=tuple(map(event_of_document, events)),
                   partials=tuple(Partial(found["minute"], bytes(found["data"])) for found in partials))


def events_of(chunk: Chunk) -> Document:
    """The filter for a chunk's events."""
    of = {"stream": to_column(chunk.stream)}
    return of | {"_id": between(of, offset=(chunk.start, chunk.end))}


def partials_of(place: Document) -> Document:
    """The filter for the partials of the chunk with this _id."""
    return {"_id": between(place, minute=ANYTHING)}


def read_events(server: MongoServer, from_us: int | None, to_us: int | None, names: Sequence[str] | None,
                stream: str | None, after: tuple[int, str, int] | None) -> Iterator[Event]:
    """Ranges of the index alone, as in `read_chunks`: names are in the index, too."""
    wanted: Document = {}
    if names is not None:
        wanted["event"] = {"$in": [to_column(name) for name in names]}
    if stream is not None:
        wanted["stream"] = to_column(stream)
    if (from_us is not None or to_us is not None) and (from_us is None or from_us < 0):
        wanted["committed_us"] = None                    # events without a time are stored at -1
    times = {condition: value for condition, value in (("$gte", from_us), ("$lt", to_us)) if value is not None}
    within: Document = {"ts_us": times or {"$gte": MinKey()}}
    ranges = [within] if after is None else _behind(*after)
    while ranges:
        with server.errors("read"):
            found = server.db.events.find({"$and": [ranges[0], within, wanted]}, {"ts": 0}).hint("by_time")
            page = [event_of_document(document) for document in found.sort(BY_TIME).limit(EVENTS_PER_PAGE)]
        yield from page
        if len(page) < EVENTS_PER_PAGE:
            ranges.pop(0)
        else:
            last = page[-1]
            ranges = _behind(-1 if last.ts_us is None else last.ts_us, last.stream, last.offset)


def _behind(ts_us: int, stream: str, offset: int) -> list[Document]:
    """Three ranges of the index that make up all that is behind a key, in order."""
    name = to_column(stream)
    return [{"ts_us": ts_us, "stream": name, "offset": {"$gt": offset}}, {"ts_us": ts_us, "stream": {"$gt": name}},
            {"ts_us": {"$gt": ts_us}}]


def read_partials(server: MongoServer, minutes: Sequence[int]) -> Iterator[Partial]:
    for batch in batches(sorted(set(minutes)), MINUTES_PER_PAGE):
        with server.reading() as session:       # one moment: what is merged meanwhile is seen once
            for found in server.db.partials.find({"minute": {"$in": batch}}, session=session):
                yield Partial(found["minute"], bytes(found["data"]))


def read_buckets(server: MongoServer, step: str, zone: str, start: int, end: int,
                 metric: str | None) -> Iterator[tuple[BucketKey, Bucket]]:
    of = {"step": to_column(step), "zone": to_column(zone)}
    wanted = {} if metric is None else {"_id.metric": to_column(metric)}
    low = of | {"start": start, "metric": MinKey(), "labels": MinKey()}
    high = of | {"start": end, "metric": MinKey(), "labels": MinKey()}
    while True:
        page, more = _bucket_page(server, {"_id": {"$gt": low, "$lt": high}, **wanted})
        yield from page
        if not more:
            return
        last = page[-1][0]
        low = of | {"start": last.start, "metric": to_column(last.metric), "labels": MaxKey()}


def _bucket_page(server: MongoServer, wanted: Document) -> tuple[list[tuple[BucketKey, Bucket]], bool]:
    """Whole buckets of at least BUCKET_BYTES_PER_PAGE together, and whether there may be more behind them."""
    page: list[tuple[BucketKey, Bucket]] = []
    rows: dict[str, bytes] = {}
    size = 0
    with server.reading() as session:
        for found in server.db.rollups.find(wanted, session=session).sort({"_id": 1}).batch_size(ROWS_PER_BATCH):
            id = found["_id"]
            if id["labels"] is None:
                if size >= BUCKET_BYTES_PER_PAGE:
                    return page, True
                rows = {}
                page.append((key_of(id), Bucket(found["revision"], rows)))
                size += 100
            else:
                rows[from_column(id["labels"])] = bytes(found["stat"])
                size += len(found["stat"]) + len(id["labels"])
    return page, False
