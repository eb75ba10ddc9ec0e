"""What is MongoDB's own: the replica set it needs, faults inside transactions, crashes, and documents for queries."""

import itertools
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from logagg.clock import StepClock
from logagg.errors import StoreError, StoreFull, StoreUnavailable, StoreVersionError
from logagg.interfaces import Store
from logagg.record import Bucket, BucketKey
from logagg.store import mongo_read, mongo_schema, open_store
from logagg.store.memory import MemoryStore
from logagg.store.mongo import MongoStore
from logagg.store.mongo_fold import _row_writes
from tests.contract.making import (
    T0_US,
    after,
    assert_pages_agree,
    assert_whole,
    chunk,
    commit,
    event,
    everything,
    fold_all,
    stored,
    stream,
)
from tests.mongod import Mongod, database_url, free_port

IMPATIENT = "&serverSelectionTimeoutMS=300&connectTimeoutMS=300&socketTimeoutMS=1000"


@pytest.fixture
def mongo_store(emptied_mongo_url: str) -> Iterator[MongoStore]:
    store = MongoStore(emptied_mongo_url, clock=StepClock())
    yield store
    store.close()


@pytest.fixture
def database(emptied_mongo_url: str) -> Iterator[Database[dict[str, Any]]]:
    """The store's database by the driver alone, as a user's own query sees it."""
    with MongoClient[dict[str, Any]](emptied_mongo_url) as client:
        yield client.get_default_database()


@contextmanager
def failing(url: str, command: str, times: int, **data: Any) -> Iterator[None]:
    """The server fails this command as often (failCommand is MongoDB's own test facility)."""
    with MongoClient[dict[str, Any]](url) as client:
        data = {"failCommands": [command], "appName": "logagg", **data}
        client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": times}, "data": data})
        try:
            yield
        finally:
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


class TestServer:
    def test_a_standalone_is_refused(self, tmp_path: Path, mongod_binary: Path) -> None:
        """A standalone mongod is refused with the two commands that make it a replica set."""
        server = Mongod(tmp_path / "db", mongod_binary, replica_set=None)
        try:
            server.start()
            with pytest.raises(StoreError, match=r"(?s)standalone.*mongod --replSet rs0.*mongosh.*rs.initiate\(\)"):
                open_store(server.url())
        finally:
            server.kill()

    def test_a_set_that_is_not_initiated_is_refused(self, tmp_path: Path, mongod_binary: Path) -> None:
        """A mongod with a set's name whose set is not initiated is refused with the one command that is missing."""
        server = Mongod(tmp_path / "db", mongod_binary)
        try:
            server.start(initiate=False)
            for url in (server.url() + IMPATIENT, server.url().partition("?")[0] + IMPATIENT.replace("&", "?", 1)):
                with pytest.raises(StoreError, match=r"(?s)not initiated.*rs.initiate\(\)"):
                    open_store(url)
        finally:
            server.kill()

    def test_nobody_there(self) -> None:
        """A server that is not there is StoreUnavailable after a bounded time; the password is not shown."""
        url = f"mongodb://me:top%40secret@127.0.0.1:{free_port()}/logagg?replicaSet=rs0{IMPATIENT}"
        with pytest.raises(StoreUnavailable, match="cannot open: out of reach") as caught:
            open_store(url)
        assert "secret" not in str(caught.value)
        assert len(str(caught.value)) < 400

    @pytest.mark.parametrize("url", ["mongodb://", "mongodb://me:top@secret@host/x", "mongodb://me:secret@host:port/x",
                                     "mongodb://h/bad name.x"])
    def test_a_wrong_url(self, url: str) -> None:
        """A URL that the driver refuses is a StoreError that says what is expected and shows no password."""
        with pytest.raises(StoreError, match=r"not a MongoDB URL.*expected mongodb://host") as caught:
            open_store(url)
        assert "secret" not in str(caught.value).replace("secret@host", "")
        assert "top" not in str(caught.value)


    def test_a_wrong_option(self) -> None:
        """An option that the driver does not know is a mistake, and one that holds a secret is not shown."""
        url = "mongodb://h/x?tlsCertificateKeyFilePassword=secret&replicaSett=rs0"
        with pytest.raises(StoreError, match=r"an option of this URL is wrong: Unknown option") as caught:
            open_store(url)
        assert "replicaSett=rs0" in str(caught.value), "newer drivers do not say which"
        assert "secret" not in str(caught.value)


class TestSchema:
    def test_indexes_are_the_documented_ones(self, mongo_store: MongoStore, database: Database[dict[str, Any]]) -> None:
        """Collections and indexes are those that the module's docstring lists."""
        assert set(database.list_collection_names()) == {*mongo_schema.COLLECTIONS, "meta"}
        for name in mongo_schema.COLLECTIONS:
            assert f"    {name} " in (mongo_schema.__doc__ or "")
            for index in database[name].index_information().values():
                fields = [field for field, _ in index["key"]]
                if fields != ["_id"]:
                    assert "{" + ", ".join(fields) + "}" in (mongo_schema.__doc__ or "")

    def test_another_programs_database_is_refused(self, mongo_url: str) -> None:
        """A database with documents in a collection of ours that logagg did not make is refused and not touched."""
        with MongoClient[dict[str, Any]](mongo_url) as client:
            db = client.get_default_database()
            db.events.insert_one({"mine": 1})
            with pytest.raises(StoreError, match="a collection events that logagg did not make"):
                open_store(mongo_url)
            assert db.list_collection_names() == ["events"]

    def test_events_that_are_not_clustered(self, mongo_url: str) -> None:
        """A database whose `events` an older logagg made keeps them as they are, and everything works."""
        with MongoClient[dict[str, Any]](mongo_url) as client:
            db = client.get_default_database()
            db.meta.insert_one({"_id": "schema", "version": 1, "program": "logagg"})
            db.create_collection("events")
            old = open_store(mongo_url)
            parts = [chunk("s1", 0, 10), chunk("s1", 10, 20, offsets=[12, 14])]
            commit(old, stream(), *parts)
            assert "clusteredIndex" not in db.events.options()
            assert [found.offset for found in old.events()] == [0, 12, 14]
            assert [len(found.events) for found in old.chunks(with_parts=True)] == [1, 2]
            assert old.expire(events_before_us=T0_US + 1)["events"] == 3
            old.close()

    def test_versions(self, mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A newer program migrates an older store, twice without harm; an older one refuses a newer store."""
        newest = max(mongo_schema.MIGRATIONS)
        old = open_store(mongo_url)
        commit(old, stream(), chunk("s1", 0, 10))
        before = everything(old)
        old.close()

        def add_notes(db: Database[dict[str, Any]]) -> None:
            db.notes.update_one({"_id": 1}, {"$set": {"text": "x"}}, upsert=True)

        with monkeypatch.context() as patch:
            patch.setattr(mongo_schema, "MIGRATIONS", {**mongo_schema.MIGRATIONS, newest + 1: add_notes})
            with pytest.raises(StoreError, match="written by an older logagg"):
                open_store(mongo_url, read_only=True)
            for _ in range(2):
                newer = open_store(mongo_url)
                assert everything(newer) == before
                newer.close()
        with MongoClient[dict[str, Any]](mongo_url) as client:
            db = client.get_default_database()
            assert [list(db.meta.find({}, {"_id": 0})), list(db.notes.find())] == [
                [{"version": newest + 1, "program": "logagg"}], [{"_id": 1, "text": "x"}]]
        refused = rf"schema version {newest + 1}, written by a newer logagg.*up to {newest}"
        for read_only in (False, True):
            with pytest.raises(StoreVersionError, match=refused):
                open_store(mongo_url, read_only=read_only)

    def test_a_creation_cut_short_is_completed(self, mongo_url: str) -> None:
        """A store whose creation was interrupted is completed by the next opening."""
        with MongoClient[dict[str, Any]](mongo_url) as client:
            client.get_default_database().meta.insert_one({"_id": "schema", "version": 0, "program": "logagg"})
        store = open_store(mongo_url)
        commit(store, stream(), chunk("s1", 0, 10))
        assert [c.start for c in store.chunks()] == [0]
        store.close()


class TestFaults:
    @pytest.mark.parametrize(("command", "data"), [
        ("insert", {"errorCode": 112, "errorLabels": ["TransientTransactionError"]}),
        ("insert", {"closeConnection": True}),
        ("commitTransaction", {"errorCode": 112, "errorLabels": ["TransientTransactionError"]}),
        ("commitTransaction", {"closeConnection": True}),
        ("commitTransaction", {"errorCode": 64, "errorLabels": ["UnknownTransactionCommitResult"]}),
        ("commitTransaction", {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}),
        ("find", {"errorCode": 10107, "errorLabels": ["TransientTransactionError"]}),
    ])
    def test_passing_faults_are_retried(self, mongo_store: MongoStore, emptied_mongo_url: str, command: str,
                                        data: dict[str, Any]) -> None:
        """Conflicts, lost connections and lost answers, before and after the commit, still commit exactly once."""
        with failing(emptied_mongo_url, command, 2, **data):
            part = chunk("s1", 0, 10)
            assert mongo_store.commit([(after(stream(), [part]), [part])]) == ["committed"]
        assert stored(mongo_store, "s1").revision == 1
        assert [e.offset for e in mongo_store.events()] == [0]
        assert_whole(mongo_store)

    def test_retries_are_bounded(self, mongo_store: MongoStore, emptied_mongo_url: str) -> None:
        """A conflict that does not pass becomes StoreUnavailable, and nothing was written."""
        label = ["TransientTransactionError"]
        with (failing(emptied_mongo_url, "insert", 100_000, errorCode=112, errorLabels=label),
              pytest.raises(StoreUnavailable, match="cannot commit: out of reach or busy")):
            commit(mongo_store, stream(), chunk("s1", 0, 10))
        assert everything(mongo_store) == everything(MemoryStore())

    def test_full_disk(self, mongo_store: MongoStore, emptied_mongo_url: str) -> None:
        """The server's full disk is StoreFull at once: nothing was written, and the same commit succeeds later."""
        with (failing(emptied_mongo_url, "insert", 1, errorCode=14031),
              pytest.raises(StoreFull, match="the server's disk is full")):
            commit(mongo_store, stream(), chunk("s1", 0, 10))
        assert everything(mongo_store) == everything(MemoryStore())
        commit(mongo_store, stream(), chunk("s1", 0, 10))
        assert_whole(mongo_store)

    def test_a_commit_whose_answer_never_comes(self, mongo_store: MongoStore, emptied_mongo_url: str) -> None:
        """If the outcome of a commit stays unknown it is StoreUnavailable; reading again tells, and trying again does
        no harm."""
        part = chunk("s1", 0, 10)
        group = [(after(stream(), [part]), [part])]
        with (failing(emptied_mongo_url, "commitTransaction", 100_000, errorCode=64,
                      errorLabels=["UnknownTransactionCommitResult"]), pytest.raises(StoreUnavailable)):
            mongo_store.commit(group)
        answers = mongo_store.commit(group)
        assert answers in (["committed"], ["moved"])
        assert [e.offset for e in mongo_store.events()] == [0]
        assert stored(mongo_store, "s1").end == 10

    def test_no_driver_exception_escapes(self, mongod: Mongod) -> None:
        """With the server gone every method raises StoreUnavailable after a bounded time, and all works again, by
        itself, once it is back."""
        store = open_store(mongod.url() + IMPATIENT)
        state = commit(store, stream(), chunk("s1", 0, 10))
        before = everything(store)
        mongod.kill()
        for call in calls(store):
            with pytest.raises(StoreUnavailable):
                call()
        mongod.start()
        assert everything(store) == before
        commit(store, state, chunk("s1", 10, 20))
        mongod.pause()
        with pytest.raises(StoreUnavailable):
            store.streams()
        mongod.resume()
        mongod.wait_primary()
        assert stored(store, "s1").end == 20
        store.close()

    def test_killed_while_committing(self, mongod: Mongod) -> None:
        """Through kill -9 of mongod at random moments all that was acknowledged is there, once."""
        seed = random.randrange(1 << 30)
        print("seed", seed)
        rng = random.Random(seed)
        store = open_store(mongod.url() + IMPATIENT)
        acknowledged = [0]
        progress, finished = threading.Condition(), threading.Event()
        writer = threading.Thread(target=write_on, args=(store, acknowledged, progress, finished))
        writer.start()
        for _ in range(3):
            goal = acknowledged[0] + 10 * rng.randrange(1, 20)
            with progress:
                assert progress.wait_for(lambda goal=goal: acknowledged[0] >= goal, 60)
            mongod.kill()
            mongod.start()
        finished.set()
        writer.join(60)
        end = stored(store, "s1").end
        assert end in (acknowledged[0], acknowledged[0] + 10)
        assert [e.offset for e in store.events()] == list(range(0, end, 10))
        assert_whole(store)
        store.close()


def calls(store: Store) -> list[Callable[[], Any]]:
    part = chunk("s2", 0, 10)
    return [store.streams, lambda: store.commit([(after(stream("s2"), [part]), [part])]),
            lambda: store.replace("s1", 0, 10, {0: 1}, [chunk("s1", 0, 10)]), lambda: list(store.chunks()),
            lambda: list(store.events()), lambda: store.unfolded(3), lambda: list(store.partials([1])),
            lambda: store.fold({}, store_marks()), lambda: list(store.buckets("day", "", 0, 9)),
            lambda: store.expire(raw_before_us=1), lambda: store.document("a", "b"), lambda: store.documents("a"),
            lambda: store.put_document("a", "b", None, {}), lambda: store.put_document("a", "b", 0, {}),
            store.size_bytes]


def store_marks() -> list[Any]:
    from logagg.record import Mark

    return [Mark("s1", 0, 1, ())]


def write_on(store: Store, acknowledged: list[int], progress: threading.Condition, finished: threading.Event) -> None:
    """A tailer in small: after StoreUnavailable it reads the stream again and goes on from its end."""
    for _ in itertools.count():
        if finished.is_set():
            return
        try:
            state = next(iter(store.streams(id="s1")), stream())
            part = chunk("s1", state.end, state.end + 10)
            if store.commit([(after(state, [part]), [part])]) == ["committed"]:
                with progress:
                    acknowledged[0] = part.end
                    progress.notify_all()
        except StoreUnavailable:
            continue


class TestDocuments:
    def test_events_are_open_to_queries(self, mongo_store: MongoStore, database: Database[dict[str, Any]]) -> None:
        """A stored event has real fields: a date, numbers and texts that a query of one's own can use."""
        events = tuple(event("s1", i, T0_US + i * 1000, fields={"duration_ms": i, "code": "TIMEOUT"},
                             mdc={"call.id": "c-17"}, exception="java.lang.X\n\tat y") for i in range(3))
        commit(mongo_store, stream(), chunk("s1", 0, 10, events=events))
        when = datetime.fromtimestamp((T0_US + 1000) / 1e6, UTC).replace(tzinfo=None)
        found = list(database.events.find({"fields.duration_ms": {"$gt": 0}, "ts": {"$lte": when}, "level": "INFO"}))
        assert found == [{
            "_id": {"stream": "s1", "offset": 1}, "stream": "s1", "offset": 1, "ts": when, "ts_us": T0_US + 1000,
            "ts_text": "2023-11-14T22:13:00.000Z", "level": "INFO", "event": "das_call", "message": "at 1",
            "fields": {"duration_ms": 1, "code": "TIMEOUT"}, "mdc": {"call.id": "c-17"},
            "exception": "java.lang.X\n\tat y"}]

    def test_what_bson_cannot_hold_is_found_cleaned(self, mongo_store: MongoStore,
                                                    database: Database[dict[str, Any]]) -> None:
        """Beside its exact text, a body that BSON cannot hold has real fields too, with the nearest values."""
        body = {"message": "bad \ud800 text", "fields": {"$n": 1 << 70, "ok": 5, "a\0b": "x"}}
        commit(mongo_store, stream(), chunk("s1", 0, 10, events=(event("s1", 0, **body),)))
        [found] = database.events.find({"fields.ok": 5})
        assert found["message"] == "bad ? text"
        assert found["fields"] == {"＄n": str(1 << 70), "ok": 5, "a␀b": "x"}

    def test_a_commit_of_several_commands(self, mongo_store: MongoStore) -> None:
        """Events that do not fit into one command (16 MiB for the driver) are committed with their chunk as one."""
        events = tuple(event("s1", i, T0_US + i, message="x" * 1_000_000) for i in range(18))
        commit(mongo_store, stream(), chunk("s1", 0, 20, events=events))
        assert [found.offset for found in mongo_store.events()] == [*range(18)]

    def test_events_are_found_by_their_place(self, mongo_store: MongoStore, database: Database[dict[str, Any]]) -> None:
        """A chunk's events and one event by its _id are looked up, not looked for in all events."""
        parts = [chunk("s1", i * 10, i * 10 + 10, offsets=range(i * 10, i * 10 + 10)) for i in range(20)]
        commit(mongo_store, stream(), *parts)
        one = {"stream": "s1", "_id": {"stream": "s1", "offset": 73}}
        for wanted, count in ((mongo_read.events_of(parts[7]), 10), (one, 1)):
            stats = database.events.find(wanted).explain()["executionStats"]
            assert (stats["nReturned"], stats["totalDocsExamined"] <= count + 2) == (count, True)

    def test_a_fold_writes_only_rows_that_changed(self) -> None:
        """Of a bucket's rows only those that were added, changed or removed are written."""
        stored_rows = {f"{i}": b"x" for i in range(1000)}
        rows = {**stored_rows, "7": b"new", "added": b"y"}
        del rows["8"]
        writes = _row_writes(BucketKey("m", "day", "UTC", 0), Bucket(1, rows), stored_rows)
        assert sorted(type(write).__name__ for write in writes) == ["DeleteOne", "InsertOne", "ReplaceOne"]

    def test_what_does_not_match_is_not_fetched(self, mongo_store: MongoStore,
                                                database: Database[dict[str, Any]]) -> None:
        """Chunks outside a time range and events of other names are passed over in the index."""
        names = ["x" if i in (20, 40) else "y" for i in range(60)]
        parts = [chunk("s1", i, i + 1, ts_us=T0_US + i, events=(event("s1", i, T0_US + i, name=names[i]),))
                 for i in range(60)]
        commit(mongo_store, stream(), *parts)
        database.command("profile", 2)
        try:
            assert len(list(mongo_store.chunks(from_us=T0_US + 50, to_us=T0_US + 52))) == 2
            assert len(list(mongo_store.events(names=["x"], from_us=T0_US + 1))) == 2
        finally:
            database.command("profile", 0)
        for name in ("chunks", "events"):
            [profiled] = database.system.profile.find({"op": "query", "ns": f"{database.name}.{name}"})
            assert (name, profiled["docsExamined"], profiled["nreturned"]) == (name, 2, 2)
        database.system.profile.drop()

    def test_an_expiry_is_not_held_up(self, mongo_store: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Old chunks that are not folded do not keep others from expiring, however few a call takes."""
        monkeypatch.setattr("logagg.store.mongo_expire.CHUNKS_PER_EXPIRY", 2)
        commit(mongo_store, stream("old"), *(chunk("old", i * 10, i * 10 + 10, ts_us=T0_US) for i in range(5)))
        unfolded = mongo_store.unfolded(99)
        commit(mongo_store, stream("new"), *(chunk("new", i * 10, i * 10 + 10, ts_us=T0_US + 1) for i in range(3)))
        mongo_store.fold({}, [mark for mark in mongo_store.unfolded(99) if mark not in unfolded])
        assert [mongo_store.expire(raw_before_us=T0_US + 9)["chunks"] for _ in range(3)] == [2, 1, 0]
        fold_all(mongo_store)


@pytest.mark.parametrize("seed", range(2))
def test_events_in_small_pages(mongo_store: MongoStore, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """However times fall on pages, events come in the contract's order and continue behind any key."""
    print("seed", seed)
    monkeypatch.setattr(mongo_read, "EVENTS_PER_PAGE", 5)
    assert_pages_agree(mongo_store, random.Random(seed), 30)


def test_writers_of_different_streams_do_not_conflict(mongo_store: MongoStore, emptied_mongo_url: str,
                                                      database: Database[dict[str, Any]]) -> None:
    """Transactions of several writers, each with its own streams, never abort each other: nothing is shared."""
    def conflicts() -> int:
        return int(database.command("serverStatus")["metrics"]["operation"]["writeConflicts"])

    before = conflicts()
    stores = [open_store(emptied_mongo_url) for _ in range(3)]

    def write(store: Store, id: str) -> None:
        state = stream(id)
        for i in range(15):
            state = commit(store, state, chunk(id, i * 10, i * 10 + 10))

    threads = [threading.Thread(target=write, args=(store, f"w{i}")) for i, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [s.end for s in stores[0].streams()] == [150, 150, 150]
    assert conflicts() == before
    for store in stores:
        store.close()


def test_the_database_url_helper() -> None:
    """Only the database's name is exchanged."""
    assert database_url("mongodb://h:1/logagg?replicaSet=rs0", f"x{os.getpid()}") == (
        f"mongodb://h:1/x{os.getpid()}?replicaSet=rs0")
