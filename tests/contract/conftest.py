"""The stores under test: `store` is any of them, `url` any that can be opened again.

A store of one's own joins by LOGAGG_TEST_STORE="myscheme://…/{fresh}", where {fresh} is replaced by a name that no
other test uses.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logagg.interfaces import Store
from logagg.store import open_store
from logagg.store.memory import MemoryStore
from tests.mongod import database_url

_numbers = itertools.count()
KINDS = ["sqlite", "mongodb", *(["third"] if "LOGAGG_TEST_STORE" in os.environ else [])]


@pytest.fixture
def mongo_url(mongod_url: str) -> Iterator[str]:
    """A database of its own on the shared mongod, dropped afterwards."""
    from pymongo import MongoClient

    name = f"test_{os.getpid()}_{next(_numbers)}"
    yield database_url(mongod_url, name)
    with MongoClient(mongod_url) as client:
        client.drop_database(name)


@pytest.fixture(scope="session")
def shared_mongo_url(mongod_url: str) -> str:
    return database_url(mongod_url, f"contract_{os.getpid()}")


@pytest.fixture
def emptied_mongo_url(shared_mongo_url: str) -> str:
    """A database that has its collections and indexes, all empty: creating them takes longer than most tests."""
    from pymongo import MongoClient

    with MongoClient(shared_mongo_url) as client:
        db = client.get_default_database()
        for name in db.list_collection_names():
            if name != "meta":
                db[name].delete_many({})
    return shared_mongo_url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def url_of(request: pytest.FixtureRequest, kind: str) -> str:
    if kind == "third":
        return os.environ["LOGAGG_TEST_STORE"].replace("{fresh}", f"test_{os.getpid()}_{next(_numbers)}")
    found: str = request.getfixturevalue({"sqlite": "sqlite_url", "mongodb": "mongo_url"}[kind])
    return found


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store, for each kind of store that outlives its process."""
    return url_of(request, request.param)


@pytest.fixture
def opened() -> Iterator[Callable[..., Store]]:
    """Opens stores, and closes them afterwards."""
    stores: list[Store] = []

    def open_(url: str, **options: bool) -> Store:
        stores.append(open_store(url, **options))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


@pytest.fixture(params=["memory", *KINDS])
def store(request: pytest.FixtureRequest, opened: Callable[..., Store]) -> Store:
    """An empty store of each kind."""
    if request.param == "memory":
        return MemoryStore()
    if request.param == "mongodb":
        return opened(request.getfixturevalue("emptied_mongo_url"))
    return opened(url_of(request, request.param))
