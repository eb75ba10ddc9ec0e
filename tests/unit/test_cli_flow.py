"""The commands in a row, on a small log and the embedded store, as a person would type them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from logagg.cli import main

LOG = """\
2026-11-20 10:00:00,000 INFO  [main] a.B - Callflow begin: callId=c-1 ani=1 dnis=2 app=ivr
2026-11-20 10:00:01,000 INFO  [main] a.B - DAS call getAccount completed in 120 ms rc=0
2026-11-20 10:00:02,000 ERROR [main] a.B - DAS getAccount failed after 5012 ms: TIMEOUT
java.net.SocketTimeoutException: \x1b[2Jread
\tat a.B.c(B.java:1)
2026-11-20 10:00:03,000 INFO  [main] a.B - noise
"""
CONFIG = """
timezone = "UTC"
[[source]]
app = "das"
host = "app01"
paths = ["logs/*.log"]
layout = "%d %-5p [%t] %c - %m%n"
packs = ["callcenter"]
[[report]]
name = "operations"
"""


class Typed:
    """Runs commands in a folder and remembers what they printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.err = ""

    def __call__(self, *argv: str, status: int = 0) -> str:
        assert main(argv) == status, self._capsys.readouterr().err
        captured = self._capsys.readouterr()
        self.err = captured.err
        return captured.out

    def json(self, *argv: str) -> Any:
        return json.loads(self(*argv, "--json"))

    def lines(self, *argv: str) -> list[Any]:
        return [json.loads(line) for line in self(*argv).splitlines()]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """A folder with one log; the working folder is there."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "das.log").write_text(LOG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    return Typed(capsys)


def test_with_a_configuration(typed: Typed, tmp_path: Path) -> None:
    """ingest, status, query, export, grep and report agree with the log."""
    Path("logagg.toml").write_text(CONFIG)
    answer = typed.json("ingest")
    assert (answer["files"], answer["errors"]) == (1, [])
    (stream,) = typed.json("status")["streams"]
    assert (stream["app"], stream["host"], stream["committed"]) == ("das", "app01", len(LOG))
    assert stream["found"] == stream["committed"] + stream["pending"]
    assert "das    app01" in typed("status")
    assert typed("query", "das_failures", "count", "2026-11-20") == "1\n"
    answer = typed.json("query", "das_time", "max", "2026-11-20", "10", "--label", "operation=getAccount")
    assert (answer["value"], answer["unit"], answer["count"]) == (120, "ms", 1)
    assert typed("query", "das_time", "max", "2026-11-19") == "no data\n"
    typed("query", "das_tme", "max", "2026-11-20", status=2)
    assert "did you mean das_time" in typed.err
    (event,) = typed.lines("export", "events", "--event", "das_failure")
    assert event["fields"] == {"operation": "getAccount", "duration_ms": 5012, "code": "TIMEOUT"}
    rows = typed.lines("export", "rollups", "--step", "day", "--from", "2026-11-20", "--to", "2026-11-21")
    assert {"das_failures", "calls", "records"} <= {row["metric"] for row in rows}
    assert typed("export", "rollups", "--format", "csv").startswith("metric,labels,step,from,to,count")
    (found,) = typed.lines("grep", "SocketTimeout", "--json")
    assert (found["id"], found["event"], found["hit"]) == (event["id"], "das_failure", True)
    assert typed("grep", "noise", "--from", "2026-11-20T10:00:03") == LOG.splitlines()[-1] + "\n"
    page = typed("report", "build", "--date", "2026-11-20", "--out", "out").strip()
    assert (tmp_path / page).is_file() and Path(page).with_name("data.json").is_file()


def test_without_a_configuration(typed: Typed) -> None:
    """ingest fills ./logagg.db with layouts detected; reading it again adds nothing; the other commands find it."""
    typed("ingest", "logs", "--timezone", "UTC")
    assert "no configuration: store" in typed.err
    before = typed.json("status")
    typed("ingest", "logs", "--timezone", "UTC")
    assert typed.json("status") == before
    assert before["streams"][0]["app"] == "das"
    assert typed("query", "das_failures", "count", "2026-11-20") == "1\n"


def test_a_zone_that_is_none(typed: Typed) -> None:
    """--timezone is checked, also where no time is given to be read in it."""
    typed("ingest", "logs")
    query = ["query", "calls", "count", "2026-11-20"]
    for argv in (["grep", "x", "--from", "2026-11-20"], ["export", "events"], query):
        for zone in ("Mars/Base", "../../etc/passwd", ""):
            assert typed(*argv, "--timezone", zone, status=2) == ""
            assert typed.err.startswith("logagg: --timezone: ")


def test_a_layout_that_does_not_fit(typed: Typed) -> None:
    """Where every record is a reject, the next thing to try is said; with any that is read, nothing."""
    assert len(typed.lines("parse", "logs", "--layout", "%d{ISO8601} %p - %m%n")) == 6
    assert typed.err == ("no record has this layout: 6 rejects; Log4j 1.2 and Logback are other dialects (--dialect), "
                         "and without --layout it is detected\n")
    typed("parse", "logs")
    assert typed.err == ""


def test_a_folder_is_read_twice(typed: Typed) -> None:
    """The store that the first reading made in the folder is no log of the second; what was not understood is said."""
    Path("odd.log").write_text("this is no log\nat all\n")
    for _ in range(2):
        answer = typed.json("ingest", ".")
        assert answer["files"] == 2
        assert [Path(path).name for path in answer["no_layout"]] == ["odd.log"]
        assert "odd.log: no record of it was understood; see what" in typed.err


def test_names_of_any_bytes(typed: Typed) -> None:
    """Files whose names are no UTF-8 or hold controls are read like any other; none begins a line of the messages."""
    try:
        for name in (b"b\xff.log", b"\x1b[2Jc.log", b"d\ne.log"):
            Path(os.fsdecode(b"logs/" + name)).write_text(LOG)
        Path(os.fsdecode(b"logs/f\ng.log.gz")).write_text("no gzip")
    except OSError:
        pytest.skip("this file system takes no such names")
    typed("ingest", "logs", status=1)
    assert any(line.startswith("    g.log.gz: corrupt") for line in typed.err.splitlines())
    assert {row["app"] for row in typed.json("status")["streams"]} == {"das", r"b\udcff", r"\x1b[2Jc", r"d\ne"}
    assert r"/logs/d\ne.log" in typed("status")
    assert len(typed.lines("grep", "Callflow", "--json")) == 4


def test_nothing_there(typed: Typed) -> None:
    """Asking where nothing is says what to do; a path that does not exist makes no store."""
    typed("status", status=2)
    assert "no configuration found, and no logagg.db in this folder" in typed.err
    typed("ingest", "none", status=1)
    assert "none: no such file or folder" in typed.err and not Path("logagg.db").exists()
    typed("ingest", status=2)
    typed("status", "--store", "sqlite:///none.db", status=1)
    assert "none.db" in typed.err and not Path("none.db").exists()
    typed("status", "--store", "postgres://u:hunter2@h/db", status=2)
    assert "--store: " in typed.err and "hunter2" not in typed.err


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_run_ends_in_order(number: int, status: int, typed: Typed) -> None:
    """The service reads what is there, and a signal ends it with the exit status that it should have."""
    Path("logagg.toml").write_text(CONFIG + '[web]\nlisten = "127.0.0.1:0"\n')
    with Path("err.txt").open("wb") as err:
        process = subprocess.Popen([sys.executable, "-m", "logagg", "run"], stderr=err,
                                   env={**os.environ, "XDG_CONFIG_HOME": "/none"})
    try:
        deadline = time.monotonic() + 60
        while not _committed(typed) and process.poll() is None and time.monotonic() < deadline:
            process.poll()
        process.send_signal(number)
        assert process.wait(60) == status, Path("err.txt").read_text()
    finally:
        process.kill()
        process.wait()
    assert typed.json("status")["totals"]["committed"] == len(LOG)
    assert "timezone UTC" in Path("err.txt").read_text()


def _committed(typed: Typed) -> bool:
    return Path("logagg.db").exists() and typed.json("status")["totals"]["committed"] == len(LOG)
