"""Where committed streams, chunks, events, partials, rollups and documents are kept.

`open_store` knows two stores: sqlite.py, one file without a server, and mongo.py, a MongoDB replica set. Others come
as entry points of the group `logagg.stores`: the name is the URL's scheme, the object is called as
`factory(url, read_only=...)` and returns an `interfaces.Store`; tests/contract/test_store*.py is the suite to pass.
"""

from logagg.errors import StoreError
from logagg.interfaces import Store
from logagg.store.codec import hide_password, printable

ENTRY_POINTS = "logagg.stores"


def open_store(url: str, *, read_only: bool = False, reserve_bytes: int = 0) -> Store:
    """Open the store, and create or migrate it where needed.

    `sqlite:///relative.db`, `sqlite:////absolute.db` (on Windows `sqlite:///C:/logagg.db`), `mongodb://host/database`
    or `mongodb+srv://…`. With `read_only` nothing is created or migrated, and every write is refused.
    `reserve_bytes`: so much space is kept free beside a SQLite store (reserve.py).
    Errors: StoreError (no such scheme, not a logagg store, no permission …), StoreVersionError (written by a newer
    logagg), StoreUnavailable (out of reach for now).
    """
    scheme = url.partition("://")[0]
    if scheme == "sqlite":
        from logagg.store.sqlite import SqliteStore

        return SqliteStore(sqlite_path(url), read_only=read_only, reserve_bytes=reserve_bytes)
    if scheme in ("mongodb", "mongodb+srv"):
        from logagg.store.mongo import MongoStore  # the driver's import takes long: only where it is used

        return MongoStore(url, read_only=read_only)
    import importlib.metadata  # 40 ms: only for a scheme that is not known here

    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS, name=scheme):
        store: Store = entry.load()(url, read_only=read_only)
        return store
    raise StoreError(f"store {hide_password(url)}: no store for the scheme {hide_password(scheme)!r}; expected"
                     " sqlite:///path or mongodb://host/database")


def sqlite_path(url: str) -> str:
    """The path in a `sqlite:///` URL, taken as it is: nothing is unescaped."""
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path == ":memory:":
        raise StoreError(f"store {printable(url)}: expected sqlite:///relative/path.db or sqlite:////absolute/path.db")
    return path
