"""One MongoDB replica set: connecting, transactions with their retries, and the driver's errors in words.

https://www.mongodb.com/docs/manual/core/transactions-in-applications/ names the two error labels used here.
"""

import random
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.errors import BSONError
from bson.int64 import Int64
from pymongo import MongoClient, ReadPreference
from pymongo.client_session import ClientSession
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    DocumentTooLarge,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from logagg.clock import Clock
from logagg.errors import StoreError, StoreFull, StoreUnavailable
from logagg.store.codec import hide_password, out_of_range, printable

Answer = TypeVar("Answer")
Document = dict[str, Any]

OLDEST_WIRE_VERSION = 17                                # MongoDB 6.0
RETRY_LIMIT_S = 15.0
RETRY_WAITS_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.25)
CLIENT_OPTIONS: dict[str, Any] = {                       # each only where the URL says nothing of it
    "serverselectiontimeoutms": 3_000, "connecttimeoutms": 3_000, "sockettimeoutms": 30_000, "maxpoolsize": 20,
    "appname": "logagg"}
DURABLE = WriteConcern("majority", j=True, wtimeout=15_000)
TRANSIENT, UNKNOWN = "TransientTransactionError", "UnknownTransactionCommitResult"
UNAUTHORIZED, AUTHENTICATION_FAILED, DUPLICATE_KEY = 13, 18, 11000
OUT_OF_DISK, TOO_LARGE_FOR_CACHE = 14031, 388

STANDALONE = """store {where}: this mongod is a standalone, and commits need transactions: make it a replica set.
  1. start it with a name for the set (or with `replication: {{replSetName: rs0}}` in mongod.conf):
     mongod --replSet rs0 …
  2. initiate the set of this one node, once:
     mongosh --eval 'rs.initiate()'"""
NOT_INITIATED = """store {where}: this mongod has a replica set name, but the set is not initiated. Run once:
  mongosh --eval 'rs.initiate()'"""


class _PlainInt(TypeDecoder):
    """BSON's 64-bit integers as plain ints: no driver type leaves the store."""

    bson_type = Int64

    def transform_bson(self, value: Any) -> int:
        return int(value)


CODEC: CodecOptions[Document] = CodecOptions(type_registry=TypeRegistry([_PlainInt()]))


class MongoServer:
    """A client for one database; `transact` and `reading` are the only ways in."""

    def __init__(self, url: str, clock: Clock, *, read_only: bool = False) -> None:
        self._read_only = read_only
        self.where = hide_password(url)
        self._clock = clock
        self._closed = threading.Event()
        try:
            given = url.partition("?")[2].lower()
            options = {name: value for name, value in CLIENT_OPTIONS.items() if f"{name}=" not in given}
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)     # a misspelt option is a mistake, not a remark
                self._client: MongoClient[Document] = MongoClient(url, **options)
        except UserWarning as problem:
            said = str(problem).partition(" Refer to ")[0]              # … a docstring, which says nothing to a user
            raise StoreError(f"store {self.where}: an option of this URL is wrong: {printable(said)}") from None
        except (InvalidURI, ConfigurationError, ValueError, TypeError) as problem:
            detail = "" if "@" in url else f" ({problem})"       # the driver's words may repeat a password
            raise StoreError(f"store {self.where}: not a MongoDB URL{detail}; expected mongodb://host:port/database,"
                             " with %40 for an @ in a password") from None
        database = self._client.get_default_database("logagg").name
        self.db = self._client.get_database(database, codec_options=CODEC, read_preference=ReadPreference.PRIMARY,
                                            read_concern=ReadConcern("majority"), write_concern=DURABLE)
        try:
            with self.errors("open"):
                self._check_server()
        except BaseException:
            self.close()
            raise

    def _check_server(self) -> None:
        try:
            hello = self._client.admin.command("hello")
        except ServerSelectionTimeoutError:
            kinds = {s.server_type_name for s in self._client.topology_description.server_descriptions().values()}
            if "RSGhost" in kinds:
                raise StoreError(NOT_INITIATED.format(where=self.where)) from None
            raise
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise StoreError((NOT_INITIATED if hello.get("isreplicaset") else STANDALONE).format(where=self.where))
        if hello["maxWireVersion"] < OLDEST_WIRE_VERSION:
            raise StoreError(f"store {self.where}: this MongoDB is too old; expected 6.0 or newer")

    def transact(self, doing: str, body: Callable[[ClientSession], Answer]) -> Answer:
        """Run `body` in a transaction until it is committed by a majority and journalled.

        `body` may run several times: conflicts with other writers and changes of the primary are tried again with
        back-off, RETRY_LIMIT_S at most. StoreUnavailable: nothing was written, or (after a lost answer to the
        commit) it is not known whether all or nothing was.
        """
        self.check_writable()
        until = self._clock.monotonic_s() + RETRY_LIMIT_S
        attempt = 0
        while True:
            try:
                with self.errors(doing), self._client.start_session() as session:
                    session.start_transaction(ReadConcern("snapshot"), DURABLE, ReadPreference.PRIMARY)
                    answer = body(session)
                    self._commit(session, until)
                    return answer
            except StoreUnavailable as problem:
                if not _may_retry(problem.__cause__) or self._clock.monotonic_s() >= until:
                    raise
            self._back_off(attempt)
            attempt += 1

    def check_writable(self) -> None:
        if self._read_only:
            raise StoreError(f"store {self.where} is open for reading only")

    def _commit(self, session: ClientSession, until: float) -> None:
        """Commit; after a lost answer ask again, which is safe: the server commits a transaction once."""
        attempt = 0
        while True:
            try:
                session.commit_transaction()
                return
            except PyMongoError as problem:
                if (not problem.has_error_label(UNKNOWN) or isinstance(problem, ServerSelectionTimeoutError)
                        or self._clock.monotonic_s() >= until):
                    raise
            self._back_off(attempt)
            attempt += 1

    def _back_off(self, attempt: int) -> None:
        wait_s = RETRY_WAITS_S[min(attempt, len(RETRY_WAITS_S) - 1)]
        self._clock.wait(self._closed, wait_s * random.uniform(0.5, 1.5))       # or two writers would march in step

    @contextmanager
    def reading(self) -> Iterator[ClientSession]:
        """A session whose reads all see one moment, after all commits that were acknowledged before."""
        with self.errors("read"), self._client.start_session(snapshot=True) as session:
            yield session

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn the driver's exceptions into StoreError and StoreUnavailable that say what to do."""
        if self._closed.is_set():
            raise StoreError(f"store {self.where} is closed")
        try:
            yield
        except (PyMongoError, BSONError) as problem:
            self._raise_in_words(doing, problem)
        except OverflowError as problem:
            raise out_of_range(problem) from problem

    def _raise_in_words(self, doing: str, problem: Exception) -> NoReturn:
        where = f"store {self.where}: cannot {doing}"
        code = _code(problem)
        if code == AUTHENTICATION_FAILED:
            raise StoreError(f"{where}: user, password or authSource is wrong") from problem
        if code == UNAUTHORIZED:
            raise StoreError(f"{where}: this user may not; grant the role readWrite on {self.db.name}") from problem
        if code == OUT_OF_DISK:
            raise StoreFull(f"{where}: the server's disk is full; free some space") from problem
        if code == TOO_LARGE_FOR_CACHE:
            raise StoreError(f"{where}: one transaction is too large for the server's cache; commit less at once, or"
                             " give mongod more (storage.wiredTiger.engineConfig.cacheSizeGB)") from problem
        if isinstance(problem, DocumentTooLarge):
            raise StoreError(f"{where}: a document is above MongoDB's 16 MB: lower record_bytes_max") from problem
        if _passes(problem):
            raise StoreUnavailable(f"{where}: out of reach or busy ({_short(problem)}); try again") from problem
        raise StoreError(f"{where}: {_short(problem)}") from problem

    def close(self) -> None:
        self._closed.set()
        with suppress(PyMongoError):
            self._client.close()


def _passes(problem: Exception) -> bool:
    """Whether the same thing may succeed later."""
    if not isinstance(problem, PyMongoError):
        return False
    labels = (TRANSIENT, UNKNOWN, "RetryableWriteError")
    return (isinstance(problem, AutoReconnect | WriteConcernError) or problem.timeout or _is_duplicate(problem)
            or any(problem.has_error_label(label) for label in labels))


def _may_retry(problem: BaseException | None) -> bool:
    """Whether a new transaction may do: nothing of the failed one was or can be committed."""
    return (isinstance(problem, PyMongoError) and not isinstance(problem, ServerSelectionTimeoutError)
            and (problem.has_error_label(TRANSIENT) or _is_duplicate(problem)))


def _is_duplicate(problem: PyMongoError) -> bool:
    """Another writer inserted the same _id just now: the next attempt reads it, and answers "moved" or False."""
    return _code(problem) == DUPLICATE_KEY


def _write_errors(problem: Exception) -> list[dict[str, Any]]:
    details = problem.details if isinstance(problem, BulkWriteError) else None
    return list((details or {}).get("writeErrors", ()))


def _code(problem: Exception) -> int | None:
    """The server's error code, a bulk write's first; https://www.mongodb.com/docs/manual/reference/error-codes/"""
    for error in _write_errors(problem):
        return int(error["code"])
    return problem.code if isinstance(problem, OperationFailure) else None


def _short(problem: Exception) -> str:
    """The driver's message without the topology that it appends, which is long."""
    for error in _write_errors(problem):
        return str(error.get("errmsg"))[:300]
    return str(problem).partition(", Topology Description")[0].partition(", full error")[0][:300]
