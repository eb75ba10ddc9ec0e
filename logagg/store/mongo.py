"""The store for production: a MongoDB replica set or sharded cluster, 6.0 or newer (mongo_schema.py: its collections).

A commit is one multi-document transaction with write concern majority and journal; two writers of one stream meet at
the stream's own document, where exactly one wins. Nothing else is shared: writers of different streams never wait for
each other. One transaction must fit into a fifth of mongod's cache: 50 MB with the smallest, 256 MB.
interfaces.Store says what each method promises.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import DeleteMany, InsertOne, ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError

from logagg.bodies import KeptEvents
from logagg.clock import Clock, SystemClock
from logagg.interfaces import Committed
from logagg.record import Bucket, BucketKey, Chunk, Counts, Event, Mark, Partial, Stream
from logagg.store import mongo_codec as codec
from logagg.store import mongo_read as read
from logagg.store.checks import check_replace, check_steps, counts_change, decide_commits, dirty_minutes
from logagg.store.codec import counts_to_list, from_column, to_column
from logagg.store.mongo_expire import expire_buckets, expire_chunks, expire_events
from logagg.store.mongo_fold import fold_buckets, fold_marks
from logagg.store.mongo_schema import prepare
from logagg.store.mongo_server import MongoServer

_WITHOUT_BYTES = {"raw": 0}
COMMAND_BYTES_MAX = 12_000_000
COMMAND_DOCUMENTS_MAX = 50_000

Encoded = list[RawBSONDocument]


class MongoStore:
    """`interfaces.Store` in the database that the URL names."""

    remote = True

    def __init__(self, url: str, *, read_only: bool = False, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._server = MongoServer(url, self._clock, read_only=read_only)
        self._db = self._server.db
        try:
            with self._server.errors("open"):
                prepare(self._db, read_only=read_only)
        except BaseException:
            self._server.close()
            raise

    def streams(self, *, id: str | None = None, host: str | None = None, app: str | None = None,
                first_line: str | None = None) -> list[Stream]:
        given = {"_id": id, "host": host, "app": app, "first_line": first_line}
        wanted = {name: to_column(value) for name, value in given.items() if value is not None}
        with self._server.errors("read"):
            found = [codec.stream_of_document(document) for document in self._db.streams.find(wanted)]
        return sorted(found, key=lambda s: (s.app, s.host, s.path, s.first_line, s.n))

    def ready(self, chunk: Chunk) -> Chunk:
        if not isinstance(chunk.events, KeptEvents):
            return chunk
        with self._server.errors("commit"):
            documents = codec.encode_events(chunk.events, self._clock.now_us())
        return replace(chunk, events=codec.EncodedEvents(chunk.events, documents))

    def commit(self, commits: Sequence[tuple[Stream, Sequence[Chunk]]]) -> list[Committed]:
        now_us = self._clock.now_us()
        with self._server.errors("commit"):
            encoded = [[codec.encode_events(chunk.events, now_us) for chunk in chunks] for _, chunks in commits]

        def body(session: ClientSession) -> list[Committed]:
            ids = [to_column(stream.id) for stream, _ in commits]
            stored = {stream.id: stream for stream in map(
                codec.stream_of_document, self._db.streams.find({"_id": {"$in": ids}}, session=session))}
            answers = decide_commits(stored, commits)
            accepted = [(stream, chunks, events) for (stream, chunks), events, answer
                        in zip(commits, encoded, answers, strict=True) if answer == "committed"]
            if accepted:
                _write_streams(self._db, session, [stream for stream, _, _ in accepted])
                olds = _open_chunks(self._db, session, [stored[stream.id] for stream, chunks, _ in accepted
                                                        if chunks and stream.id in stored])
                dirty = _dirty_of(self._db, session, olds.values())
                writes = _ChunkWrites(now_us)
                for stream, chunks, events in accepted:
                    writes.append(olds.get(stream.id), dirty.get(stream.id, []), chunks, events)
                writes.run(self._db, session)
            return answers

        return self._server.transact("commit", body)

    def replace(self, stream: str, start: int, end: int, revisions: Mapping[int, int],
                chunks: Sequence[Chunk]) -> bool:
        now_us = self._clock.now_us()
        with self._server.errors("replace"):
            encoded = [codec.encode_events(chunk.events, now_us) for chunk in chunks]
        wanted = {"stream": to_column(stream), "start": {"$gte": start, "$lt": end}}

        def body(session: ClientSession) -> bool:
            found = self._db.chunks.find(wanted, _WITHOUT_BYTES, session=session).sort({"start": 1})
            old = [codec.chunk_of_document(document) for document in found]
            state = self._db.streams.find_one({"_id": to_column(stream)}, session=session)
            if state is None or {chunk.start: chunk.revision for chunk in old} != dict(revisions):
                return False
            check_replace(stream, start, end, old, chunks)
            writes = _ChunkWrites(now_us)
            revision = max(revisions.values()) + 1
            dirty = _dirty_of(self._db, session, old)[stream]
            for i, (chunk, events) in enumerate(zip(chunks, encoded, strict=True)):
                writes.add(replace(chunk, revision=revision), () if i else dirty, events)
            writes.old += old
            writes.run(self._db, session)
            change = counts_change(old, chunks)
            if change != Counts():                     # the ledger follows; a tailer's own state has moved then
                counts = codec.stream_of_document(state).counts + change
                self._db.streams.update_one({"_id": state["_id"]}, {"$set": {"counts": counts_to_list(counts)},
                                                                    "$inc": {"revision": 1}}, session=session)
            return True

        return self._server.transact("replace", body)

    def chunks(self, *, stream: str | None = None, from_us: int | None = None, to_us: int | None = None,
               start: int | None = None, end: int | None = None, with_parts: bool = False) -> Iterator[Chunk]:
        return read.read_chunks(self._server, stream, from_us, to_us, start, end, with_parts)

    def events(self, *, from_us: int | None = None, to_us: int | None = None, names: Sequence[str] | None = None,
               stream: str | None = None, after: tuple[int, str, int] | None = None,
               limit: int | None = None) -> Iterator[Event]:
        found = read.read_events(self._server, from_us, to_us, names, stream, after)
        return found if limit is None else islice(found, limit)

    def unfolded(self, limit: int) -> list[Mark]:
        if limit <= 0:                                 # to MongoDB, limit 0 means none
            return []
        with self._server.errors("read"):
            return [codec.mark_of_document(found) for found in self._db.marks.find().sort({"seq": 1}).limit(limit)]

    def partials(self, minutes: Sequence[int]) -> Iterator[Partial]:
        return read.read_partials(self._server, minutes)

    def fold(self, buckets: Mapping[BucketKey, Bucket], marks: Iterable[Mark]) -> bool:
        folded = list(marks)

        def body(session: ClientSession) -> bool:
            if not fold_buckets(self._db, session, buckets):
                return False
            fold_marks(self._db, session, folded)
            return True

        return self._server.transact("fold", body)

    def buckets(self, step: str, zone: str, start: int, end: int, *,
                metric: str | None = None) -> Iterator[tuple[BucketKey, Bucket]]:
        return read.read_buckets(self._server, step, zone, start, end, metric)

    def expire(self, *, raw_before_us: int | None = None, events_before_us: int | None = None,
               buckets_before: Mapping[str, int] | None = None) -> dict[str, int]:
        steps = dict(buckets_before or {})
        check_steps(steps)

        def body(session: ClientSession) -> dict[str, int]:
            return {
                "chunks": 0 if raw_before_us is None else expire_chunks(self._db, session, raw_before_us),
                "events": 0 if events_before_us is None else expire_events(self._db, session, events_before_us),
                "buckets": sum(expire_buckets(self._db, session, step, before) for step, before in steps.items()),
            }

        return self._server.transact("expire", body)

    def document(self, kind: str, key: str) -> tuple[int, dict[str, Any]] | None:
        with self._server.errors("read"):
            found = self._db.documents.find_one({"_id": _document_id(kind, key)})
        return (found["revision"], codec.value_of(found)) if found else None

    def documents(self, kind: str, *, start: str = "", end: str | None = None) -> dict[str, dict[str, Any]]:
        of = {"kind": to_column(kind)}
        keys = (to_column(start) if start else read.ANYTHING[0], read.ANYTHING[1] if end is None else to_column(end))
        with self._server.errors("read"):
            found = list(self._db.documents.find({"_id": read.between(of, key=keys)}))
        return dict(sorted((from_column(document["_id"]["key"]), codec.value_of(document)) for document in found))

    def put_document(self, kind: str, key: str, revision: int | None, value: dict[str, Any]) -> bool:
        self._server.check_writable()
        id = _document_id(kind, key)
        with self._server.errors("write"):
            fields = codec.value_fields(value)
            if revision is None:
                update: dict[str, Any] = {"$set": fields, "$inc": {"revision": 1}}
                if "value_json" not in fields:
                    update["$unset"] = {"value_json": 1}
                self._db.documents.update_one({"_id": id}, update, upsert=True)
                return True
            if revision:
                found = self._db.documents.replace_one({"_id": id, "revision": revision},
                                                       {"revision": revision + 1, **fields})
                return found.matched_count == 1
            try:
                self._db.documents.insert_one({"_id": id, "revision": 1, **fields})
            except DuplicateKeyError:
                return False
            return True

    def check_space(self) -> None:
        """Only the server knows: a commit tells."""

    def size_bytes(self) -> int:
        with self._server.errors("read"):
            stats = self._db.command("dbStats")
        return int(stats["storageSize"] + stats["indexSize"])

    def close(self) -> None:
        self._server.close()


@dataclass
class _ChunkWrites:
    """What a transaction does to chunks and their parts, gathered so that each collection gets one command."""

    now_us: int
    old: list[Chunk] = field(default_factory=list)
    chunks: list[codec.Document] = field(default_factory=list)
    marks: list[codec.Document] = field(default_factory=list)
    partials: list[codec.Document] = field(default_factory=list)
    events: Encoded = field(default_factory=list)

    def append(self, old: Chunk | None, dirty: Iterable[int], chunks: Sequence[Chunk],
               encoded: Sequence[Encoded]) -> None:
        """A commit's chunks; the open one that they replace leaves its dirty minutes to the first."""
        revision = 1
        if old is not None:
            self.old.append(old)
            revision = old.revision + 1
        for chunk, events in zip(chunks, encoded, strict=True):
            self.add(replace(chunk, revision=revision), dirty, events)
            dirty, revision = (), 1

    def add(self, chunk: Chunk, dirty: Iterable[int], events: Encoded) -> None:
        minutes = [partial.minute for partial in chunk.partials]
        self.chunks.append(codec.document_of_chunk(chunk, self.now_us))
        self.marks.append(codec.document_of_mark(chunk, dirty_minutes(dirty, minutes)))
        self.partials += [codec.document_of_partial(chunk.stream, chunk.start, part) for part in chunk.partials]
        self.events += events

    def run(self, db: Database[codec.Document], session: ClientSession) -> None:
        if self.old:                                   # first: a new chunk may take an old one's place
            places = [codec.place(chunk.stream, chunk.start) for chunk in self.old]
            db.chunks.delete_many({"_id": {"$in": places}}, session=session)
            db.marks.delete_many({"_id": {"$in": places}}, session=session)
            db.partials.bulk_write([DeleteMany(read.partials_of(place)) for place in places], session=session)
            db.events.bulk_write([DeleteMany(read.events_of(chunk)) for chunk in self.old], session=session)
        for collection, documents in ((db.chunks, self.chunks), (db.marks, self.marks), (db.partials, self.partials)):
            if documents:
                collection.insert_many(documents, session=session)
        _insert_events(db, self.events, session)


def _insert_events(db: Database[codec.Document], documents: Encoded, session: ClientSession) -> None:
    """As `insert_many`, which looks at each document first: that takes longer than to send it."""
    for batch in _commands(documents):
        answer = db.command("insert", db.events.name, documents=batch, ordered=False, session=session)
        if answer.get("writeErrors"):
            raise BulkWriteError(answer)


def _commands(documents: Encoded) -> Iterator[Encoded]:
    """What fits into one command: the driver sends 16 MiB at most, the server takes 100,000 documents."""
    batch: Encoded = []
    size = 0
    for document in documents:
        if size + len(document.raw) > COMMAND_BYTES_MAX or len(batch) == COMMAND_DOCUMENTS_MAX:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document.raw)
    if batch:
        yield batch


def _write_streams(db: Database[codec.Document], session: ClientSession, streams: Iterable[Stream]) -> None:
    """First of all writes: here two writers of one stream meet, before either has written much."""
    writes: list[Any] = []
    for stream in streams:
        document = codec.document_of_stream(stream, stream.revision + 1)
        writes.append(ReplaceOne({"_id": document["_id"], "revision": stream.revision}, document) if stream.revision
                      else InsertOne(document))
    db.streams.bulk_write(writes, ordered=False, session=session)


def _open_chunks(db: Database[codec.Document], session: ClientSession, stored: Iterable[Stream]) -> dict[str, Chunk]:
    """The stored open chunks by stream."""
    places = [codec.place(stream.id, stream.resume) for stream in stored if stream.resume < stream.end]
    if not places:
        return {}
    found = db.chunks.find({"_id": {"$in": places}}, _WITHOUT_BYTES, session=session)
    return {chunk.stream: chunk for chunk in map(codec.chunk_of_document, found)}


def _dirty_of(db: Database[codec.Document], session: ClientSession, old: Iterable[Chunk]) -> dict[str, list[int]]:
    """By stream, the minutes that are dirty without these chunks: their marks' and their partials'."""
    dirty: dict[str, list[int]] = {chunk.stream: [] for chunk in old}
    for batch in read.batches(old, 500):
        places = [codec.place(chunk.stream, chunk.start) for chunk in batch]
        for found in db.marks.find({"_id": {"$in": places}}, session=session):
            dirty[from_column(found["_id"]["stream"])] += found["dirty"]
        wanted = {"$or": [read.partials_of(place) for place in places]}
        for found in db.partials.find(wanted, {"_id": 1}, session=session):
            dirty[from_column(found["_id"]["stream"])].append(found["_id"]["minute"])
    return dirty


def _document_id(kind: str, key: str) -> codec.Document:
    return {"kind": to_column(kind), "key": to_column(key)}
