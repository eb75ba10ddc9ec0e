"""Writing folded buckets into MongoDB.

Two folds of one bucket meet at the bucket's own document (labels null): one commits, the other is run again by
`MongoServer.transact`, reads the raised revision, and answers False.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from logagg.record import Bucket, BucketKey, Mark
from logagg.store.codec import from_column, to_column
from logagg.store.mongo_codec import Document, place, row_id
from logagg.store.mongo_read import ANYTHING, batches, between, key_of

IDS_PER_QUERY = 5000                 # far below the 16 MB of one command

Rows = dict[BucketKey, dict[str, bytes]]


def fold_buckets(db: Database[Document], session: ClientSession, buckets: Mapping[BucketKey, Bucket]) -> bool:
    """Write the buckets' revisions and the rows that changed; False where a stored revision differs."""
    revisions = _stored_revisions(db, session, buckets)
    if any(revisions.get(key, 0) != bucket.revision for key, bucket in buckets.items()):
        return False
    stored = _stored_rows(db, session, list(revisions))
    writes: list[Any] = []
    for key, bucket in buckets.items():
        header = row_id(key, None)
        writes.append(UpdateOne({"_id": header}, {"$inc": {"revision": 1}}) if bucket.revision
                      else InsertOne({"_id": header, "revision": 1}))
        writes += _row_writes(key, bucket, stored.get(key, {}))
    for batch in batches(writes, IDS_PER_QUERY):
        db.rollups.bulk_write(batch, ordered=False, session=session)
    return True


def _row_writes(key: BucketKey, bucket: Bucket, stored: Mapping[str, bytes]) -> list[Any]:
    """Only rows that differ: most of a large bucket stays as it is from fold to fold."""
    writes: list[Any] = [DeleteOne({"_id": row_id(key, labels)}) for labels in stored.keys() - bucket.rows.keys()]
    for labels, stat in bucket.rows.items():
        id = row_id(key, labels)
        if labels not in stored:
            writes.append(InsertOne({"_id": id, "stat": stat}))
        elif stored[labels] != stat:
            writes.append(ReplaceOne({"_id": id}, {"stat": stat}))
    return writes


def _stored_revisions(db: Database[Document], session: ClientSession,
                      buckets: Mapping[BucketKey, Bucket]) -> dict[BucketKey, int]:
    found: dict[BucketKey, int] = {}
    for batch in batches(buckets, IDS_PER_QUERY):
        ids = [row_id(key, None) for key in batch]
        for document in db.rollups.find({"_id": {"$in": ids}}, session=session):
            found[key_of(document["_id"])] = document["revision"]
    return found


def _stored_rows(db: Database[Document], session: ClientSession, keys: Sequence[BucketKey]) -> Rows:
    """The rows of these buckets: one range of _ids for each step, zone and start."""
    groups: dict[tuple[str, str, int], list[str | bytes]] = {}
    for key in keys:
        groups.setdefault((key.step, key.zone, key.start), []).append(to_column(key.metric))
    rows: Rows = {}
    for (step, zone, start), metrics in groups.items():
        of = {"step": to_column(step), "zone": to_column(zone), "start": start}
        wanted = {"_id": between(of, metric=ANYTHING, labels=ANYTHING), "_id.metric": {"$in": metrics}}
        for document in db.rollups.find(wanted, session=session):
            if document["_id"]["labels"] is not None:
                labels = from_column(document["_id"]["labels"])
                rows.setdefault(key_of(document["_id"]), {})[labels] = bytes(document["stat"])
    return rows


def fold_marks(db: Database[Document], session: ClientSession, marks: Sequence[Mark]) -> None:
    """Forget the marks that still have the revision that was folded."""
    for batch in batches(marks, IDS_PER_QUERY):
        db.marks.bulk_write([DeleteOne({"_id": place(mark.stream, mark.start), "revision": mark.revision})
                             for mark in batch], ordered=False, session=session)
