"""`logagg ingest --jobs N`: several processes read what one would, and end as one does."""

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from logagg.store import open_store
from tests.conftest import ROOT
from tests.contract.making import assert_whole
from tests.waiting import until

LINES = 3000


def lines(name: str, count: int = LINES) -> bytes:
    return b"".join(b"2026-11-20 10:%02d:%02d,%03d %s [main] a.B - %s %d\n" % (
        i // 60 % 60, i % 60, i % 1000, b"WARN" if i % 20 == 0 else b"INFO", name.encode(), i) for i in range(count))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Five streams; one file is a copy of another, one is packed."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.log.1").write_bytes(lines("a", 2000))
    (folder / "a.log").write_bytes(lines("a", 5000)[len(lines("a", 2000)):])
    (folder / "a-copy.log").write_bytes(lines("a", 2000))
    (folder / "b.log").write_bytes(lines("b"))
    (folder / "c.log.gz").write_bytes(gzip.compress(lines("c")))
    (folder / "d.log").write_bytes(lines("d"))
    return folder


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "logagg", "ingest", "logs", "--app", "app", "--host", "h", "--timezone", "UTC",
               "--json", *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder)},
                            preexec_fn=listen_to_sigint if os.name == "posix" else None)


def listen_to_sigint() -> None:
    """Run in the child: what a shell starts in the background, as this test run may be, ignores SIGINT otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ingested(folder: Path, *options: str, status: int = 0) -> Any:
    process = started(folder, *options)
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, err
    return json.loads(out)


def content(path: Path) -> Any:
    """All that readers see, whatever the order in which it was committed."""
    store = open_store(f"sqlite:///{path}")
    try:
        assert_whole(store)
        observed = {key: value["paths"] for key, value in store.documents("observation").items()}
        buckets = [item for step in ("minute", "hour", "day") for item in store.buckets(step, "", 0, 1 << 40)]
        return ([(s.id, s.end, s.counts, s.open_counts) for s in store.streams()], list(store.events()),
                [(key, bucket.rows) for key, bucket in buckets], observed)
    finally:
        store.close()


def test_several_read_what_one_reads(tmp_path: Path, logs: Path) -> None:
    """Streams, events, rollups, observations and the answer are the same; a second call finds all of it there."""
    one = ingested(tmp_path, "--store", "sqlite:///one.db")
    several = ingested(tmp_path, "--store", "sqlite:///several.db", "--jobs", "3")
    for answer in (one, several):
        del answer["chunks_folded"]
    assert several == one
    assert one["files"] == 6
    assert content(tmp_path / "several.db") == content(tmp_path / "one.db")
    before = content(tmp_path / "several.db")
    ingested(tmp_path, "--store", "sqlite:///several.db", "--jobs", "2")
    assert content(tmp_path / "several.db") == before


def test_a_damaged_file_stops_no_other(tmp_path: Path, logs: Path) -> None:
    """Its error is told as with one process, with exit status 1, and the source counts as not read to its end."""
    (logs / "c.log.gz").write_bytes(gzip.compress(lines("c"))[:-3000])
    one = ingested(tmp_path, "--store", "sqlite:///one.db", status=1)
    several = ingested(tmp_path, "--store", "sqlite:///several.db", "--jobs", "3", status=1)
    assert several["errors"] == one["errors"] != []
    assert content(tmp_path / "several.db") == content(tmp_path / "one.db")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_all_processes(tmp_path: Path, logs: Path, number: int, status: int) -> None:
    """Nothing is left running, what is there is whole, and the same call again completes it."""
    for name in "efgh":
        (logs / f"{name}.log").write_bytes(lines(name, 15_000))
    process = started(tmp_path, "--store", "sqlite:///several.db", "--jobs", "2", "--keep", "all")
    until(lambda: committed(tmp_path / "several.db"), "the first commit")
    with closing(sqlite3.connect(tmp_path / "several.db", timeout=60, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")       # until the signal is there nobody goes on
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        pids = children.read_text().split() if children.exists() else []
        process.send_signal(number)
        writer.execute("ROLLBACK")
    process.communicate(timeout=60)
    assert process.returncode == status
    until(lambda: not any(map(is_alive, pids)), "the end of all processes")
    ingested(tmp_path, "--store", "sqlite:///several.db", "--jobs", "2", "--keep", "all")
    ingested(tmp_path, "--store", "sqlite:///one.db", "--keep", "all")
    assert content(tmp_path / "several.db") == content(tmp_path / "one.db")


def is_alive(pid: str) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def committed(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    store = open_store(f"sqlite:///{path}")
    try:
        return bool(store.streams())
    finally:
        store.close()


def test_how_many(tmp_path: Path, logs: Path) -> None:
    """Not none, not half a one."""
    for wrong in ("0", "x", "-1", "65"):
        process = started(tmp_path, "--jobs", wrong)
        assert "expected a number from 1 to 64" in process.communicate(timeout=60)[1]
        assert process.returncode == 2
