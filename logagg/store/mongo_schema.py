"""The collections and indexes of the MongoDB store, their version, and how an older database becomes a newer one.

    collection  _id                                    other indexes
    streams     the stream's id                        {host, app}; {first_line}
    chunks      {stream, start}                        by_place {stream, start, end, ts_from_us, ts_to_us}; {age_us}
    marks       {stream, start}                        {seq}: chunks that are not folded, oldest first
    events      {stream, offset}, clustered            by_time {ts_us, stream, offset, event};
                                                       {committed_us}, sparse: events without a time
    partials    {stream, start, minute}                {minute}
    rollups     {step, zone, start, metric, labels}    none; labels null is the bucket itself with its revision
    documents   {kind, key}                            none
    meta        "schema"                               none

`events` has real fields for queries of one's own: stream, offset, ts (a date), ts_us, level, logger, thread, message,
mdc, ndc, marker, exception, event, fields, extra. To shard it: `sh.shardCollection("logagg.events",
{stream: "hashed"})`; every write carries `stream`. Chunks' bytes are in `raw` (logagg/digits.py).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, OperationFailure

from logagg.errors import StoreError, StoreVersionError

NAMESPACE_EXISTS = 48

COLLECTIONS: Mapping[str, list[IndexModel]] = {
    "streams": [IndexModel([("host", ASCENDING), ("app", ASCENDING)], name="by_source"),
                IndexModel([("first_line", ASCENDING)], name="by_first_line")],
    "chunks": [IndexModel([(name, ASCENDING) for name in ("stream", "start", "end", "ts_from_us", "ts_to_us")],
                          name="by_place"),
               IndexModel([("age_us", ASCENDING)], name="by_age")],
    "marks": [IndexModel([("seq", ASCENDING)], name="by_seq")],
    "events": [IndexModel([(name, ASCENDING) for name in ("ts_us", "stream", "offset", "event")], name="by_time"),
               IndexModel([("committed_us", ASCENDING)], name="without_time", sparse=True)],
    "partials": [IndexModel([("minute", ASCENDING)], name="by_minute")],
    "rollups": [],
    "documents": [],
}


#: Clustered by _id: a document is found, and written, in one tree instead of two. Ranges of _id and single ones are
#: read from it, lists of them ($in) are not. A database of an older logagg keeps its `events` as they are.
OPTIONS: Mapping[str, dict[str, Any]] = {"events": {"clusteredIndex": {"key": {"_id": 1}, "unique": True}}}


def create(db: Database[dict[str, Any]]) -> None:
    """Create what is missing of the newest schema; doing it twice, or two at once, does no harm."""
    present = set(db.list_collection_names())
    for name, indexes in COLLECTIONS.items():
        if name not in present and (name in OPTIONS or not indexes):    # else its first index makes it
            try:
                db.create_collection(name, check_exists=False, **OPTIONS.get(name, {}))
            except OperationFailure as problem:
                if problem.code != NAMESPACE_EXISTS:     # another process was first
                    raise
        if indexes:
            db[name].create_indexes(indexes)


#: version -> what leads there from the version before. Each must bear being run twice: two processes may open an
#: old database at once, and one may die half-way. Never change one that was released: add the next.
MIGRATIONS: Mapping[int, Callable[[Database[dict[str, Any]]], None]] = {
    1: create,
    2: create,          # chunks' bytes may be in the form of logagg/digits.py, which programs before cannot read
}


def prepare(db: Database[dict[str, Any]], *, read_only: bool) -> None:
    """Create or migrate the database. Errors: of another program, of a newer logagg, older and read-only."""
    newest = max(MIGRATIONS)
    version = _stored_version(db)
    if version > newest:
        raise StoreVersionError(f"database {db.name} has schema version {version}, written by a newer logagg; this one"
                                f" knows up to {newest}: upgrade logagg, or use another database")
    if read_only:
        if version == 0:
            raise StoreError(f"database {db.name} is empty: there is no store to read yet")
        if version < newest:
            raise StoreError(f"database {db.name} was written by an older logagg and is open for reading only:"
                             " `logagg run` or `logagg ingest` migrates it")
        return
    if version == 0:
        _claim(db)
    for step in range(version + 1, newest + 1):
        MIGRATIONS[step](db)
        db.meta.update_one({"_id": "schema", "version": {"$lt": step}}, {"$set": {"version": step}})
    if version == newest:
        create(db)                                       # a creation that was cut short


def _stored_version(db: Database[dict[str, Any]]) -> int:
    found = db.meta.find_one({"_id": "schema"})
    return int(found["version"]) if found else 0


def _claim(db: Database[dict[str, Any]]) -> None:
    """Say first that the database is logagg's, so that a second process finds it said and creates along."""
    for name in COLLECTIONS:
        if db[name].find_one({}, {"_id": 1}) is not None and db.meta.find_one({"_id": "schema"}) is None:
            raise StoreError(f"database {db.name} holds a collection {name} that logagg did not make: give another"
                             " database in [store] url")
    with suppress(DuplicateKeyError):
        db.meta.insert_one({"_id": "schema", "version": 0, "program": "logagg"})
