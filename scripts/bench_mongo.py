"""The bench's stages of MongoDB: logagg's commits, plain inserts of the same documents, and syslog-ng's."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bench_peers
from bench_figures import Figures, Stage, Stopwatch, Taken
from bench_log import Log
from bench_stages import ingest, note_kept
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, WriteConcern

from logagg.store import open_store
from tests.mongod import Mongod, find_mongod

INSERT_DOCUMENTS = 10_000

Client = MongoClient[dict[str, Any]]


@contextmanager
def running_mongod(folder: Path) -> Iterator[Mongod | None]:
    """A real mongod, a replica set of one node; None where there is none."""
    binary = find_mongod()
    if isinstance(binary, str):
        print(binary, file=sys.stderr)
        yield None
        return
    mongod = Mongod(folder / "mongod", binary)
    mongod.start()
    try:
        yield mongod
    finally:
        mongod.kill()


class Stages:
    """`log` for what keeps few documents, `parts` for one process and two, `all_log` for a document of each line, `few`
    for the slow peer."""

    def __init__(self, mongod: Mongod, log: Log, parts: Log, all_log: Log, few: Log, figures: Figures) -> None:
        self._mongod, self._log, self._all_log, self._few, self._figures = mongod, log, all_log, few, figures
        self._parts = parts
        self._client: Client = MongoClient(mongod.url("admin"))
        self._documents: list[RawBSONDocument] = []

    def all(self) -> list[Stage]:
        return [
            Stage("logagg: file to MongoDB", self._log, lambda f: self._logagg(f, self._log, "events")),
            Stage("logagg: file to MongoDB, all records", self._all_log,
                  lambda f: self._logagg(f, self._all_log, "all")),
            Stage("logagg: files to MongoDB, 1 process", self._parts, lambda f: self._jobs(f, 1)),
            Stage("logagg: files to MongoDB, 2 processes", self._parts, lambda f: self._jobs(f, 2)),
            Stage("pymongo: insert_many of the same BSON", self._all_log, lambda _: self._insert(1)),
            Stage("pymongo: the same, the events' own index", self._all_log, lambda _: self._insert(1, indexed=True)),
            Stage("pymongo: the same on 2 connections", self._all_log, lambda _: self._insert(2)),
            Stage("syslog-ng: file to mongodb()", self._few, lambda f: self._syslog_ng(f, "", 1)),
            Stage("syslog-ng: mongodb(), 4 workers, w=1", self._few, lambda f: self._syslog_ng(f, "&w=1", 4)),
        ]

    def close(self) -> None:
        self._client.close()

    def _logagg(self, folder: Path, log: Log, keep: str) -> Taken:
        self._client.drop_database("bench")
        open_store(self._mongod.url("bench")).close()   # its making is not measured, as that of the peer's collection
        taken = ingest(log, self._mongod.url("bench"), keep, folder)
        if keep == "all" and not self._documents:
            self._documents = self._stored()
        elif keep == "events":
            note_kept(self._figures, self._mongod.url("bench"), log, "repeated lines, MongoDB")
        return taken

    def _jobs(self, folder: Path, count: int) -> Taken:
        self._client.drop_database("bench")
        return ingest(self._parts, self._mongod.url("bench"), "events", folder, "--jobs", str(count))

    def _stored(self) -> list[RawBSONDocument]:
        """The events that logagg has stored, as BSON."""
        raw = self._client["bench"].get_collection(
            "events", codec_options=self._client.codec_options.with_options(document_class=RawBSONDocument))
        return list(raw.find())     # type: ignore[arg-type]

    def _insert(self, connections: int, *, indexed: bool = False) -> Taken:
        """insert_many with write concern majority, as logagg commits; without transactions, and nothing but events."""
        self._client.drop_database("plain")
        events = self._client["plain"].get_collection("events", write_concern=WriteConcern("majority"))
        if indexed:
            events.create_index([(name, 1) for name in ("ts_us", "stream", "offset", "event")])
        else:
            events.create_index([("_id", 1)])       # made with the collection: its making is not measured
        parts = [self._documents[i: i + INSERT_DOCUMENTS] for i in range(0, len(self._documents), INSERT_DOCUMENTS)]
        with ThreadPoolExecutor(connections) as threads:
            watch = Stopwatch()
            list(threads.map(lambda part: events.insert_many(part, ordered=False), parts))
            taken = watch.taken()
        inserted = events.count_documents({})
        if inserted != self._all_log.lines:
            raise RuntimeError(f"{inserted} of {self._all_log.lines} documents were inserted")
        return taken

    def _syslog_ng(self, folder: Path, concern: str, workers: int) -> Taken | None:
        self._client.drop_database("peers")
        count = self._client["peers"]["lines"].estimated_document_count
        return bench_peers.syslog_ng_mongodb(self._few.path, self._few.lines, folder,
                                             self._mongod.url("peers") + concern, workers, count)
