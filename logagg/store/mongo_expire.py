"""Deleting what is too old in MongoDB, some thousand documents a call, each in the caller's transaction."""

from pymongo import DeleteMany, DeleteOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from logagg.store.mongo_codec import Document
from logagg.store.mongo_read import ANYTHING, partials_of

CHUNKS_PER_EXPIRY = 500
EVENTS_PER_EXPIRY = 5000
BUCKETS_PER_EXPIRY = 1000


def expire_chunks(db: Database[Document], session: ClientSession, before_us: int) -> int:
    """Closed chunks without a mark, with their partials."""
    found = list(db.chunks.aggregate([
        {"$match": {"age_us": {"$lt": before_us}, "open": False}},
        {"$sort": {"age_us": 1}},
        {"$project": {"_id": 1}},
        {"$lookup": {"from": "marks", "localField": "_id", "foreignField": "_id", "as": "mark"}},
        {"$match": {"mark": []}},
        {"$limit": CHUNKS_PER_EXPIRY}], session=session))
    if not found:
        return 0
    places = [document["_id"] for document in found]
    db.partials.bulk_write([DeleteMany(partials_of(place)) for place in places], ordered=False, session=session)
    return db.chunks.delete_many({"_id": {"$in": places}}, session=session).deleted_count


def expire_events(db: Database[Document], session: ClientSession, before_us: int) -> int:
    """Events by their time, those without a time by the time of their commit."""
    gone = 0
    for wanted in ({"ts_us": {"$lt": before_us}, "committed_us": None}, {"committed_us": {"$lt": before_us}}):
        if gone == EVENTS_PER_EXPIRY:
            break                                            # to MongoDB, limit 0 means none
        found = list(db.events.find(wanted, {"stream": 1}, session=session).limit(EVENTS_PER_EXPIRY - gone))
        if found:       # one by one: a clustered collection would be looked through for a list of _ids
            deletes = [DeleteOne({"_id": document["_id"], "stream": document["stream"]}) for document in found]
            gone += db.events.bulk_write(deletes, ordered=False, session=session).deleted_count
    return gone


def expire_buckets(db: Database[Document], session: ClientSession, step: str, before: int) -> int:
    """Whole buckets, oldest first. Steps that expire have no zone: see interfaces.Store.expire."""
    of = {"step": step, "zone": ""}
    low = of | {"start": ANYTHING[0], "metric": ANYTHING[0], "labels": ANYTHING[0]}
    high = of | {"start": before, "metric": ANYTHING[0], "labels": ANYTHING[0]}
    headers = list(db.rollups.find({"_id": {"$gte": low, "$lt": high}, "_id.labels": None}, {"_id": 1},
                                   session=session).sort({"_id": 1}).limit(BUCKETS_PER_EXPIRY))
    if headers:
        last = headers[-1]["_id"] | {"labels": ANYTHING[1]}
        db.rollups.delete_many({"_id": {"$gte": headers[0]["_id"], "$lt": last}}, session=session)
    return len(headers)
