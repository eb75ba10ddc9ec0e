"""`parse`: the public JSON of every record, from every kind of file."""

import gzip
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from logagg import parse as engine
from logagg.cli import main
from logagg.errors import LogaggError
from logagg.grammar.reader import LayoutReader
from logagg.parse import Parsing, grammars
from logagg.source.identity import stream_id

LAYOUT = "%d %-5p [%t] %c - %m%n"
LOG = (b"2026-11-20 08:15:30,123 ERROR [http-1] com.acme.Client - DAS GetAccount failed after 5012 ms: TIMEOUT\n"
       b"java.net.SocketTimeoutException: read\n\tat com.acme.Client.call(Client.java:7)\n"
       b"2026-11-20 08:15:31,000 INFO  [http-1] com.acme.Client - fine\n")


def _parsing(**changes: object) -> Parsing:
    options: dict[str, object] = {"layout": LAYOUT, "dialect": "log4j2", "timezone": "America/New_York",
                                  "encoding": "utf-8", "classifier": grammars(["callcenter"]), "host": "app01"}
    return Parsing(**{**options, **changes})     # type: ignore[arg-type]


def parse(paths: list[str], parsing: Parsing, problems: list[str]) -> list[dict[str, Any]]:
    """All rows of all groups."""
    return [row for rows in engine.parse(paths, parsing, problems) for row in rows]


def test_the_public_json(tmp_path: Path) -> None:
    """Every key is there, times are UTC, the event's fields have their types, absent parts are null."""
    path = tmp_path / "das.log.1"
    path.write_bytes(LOG)
    problems: list[str] = []
    first, second = parse([str(path)], _parsing(), problems)
    line = LOG.partition(b"\n")[0]
    assert first == {
        "id": f"{stream_id('das', 'app01', line, 0)}:0", "ts": "2026-11-20T13:15:30.123Z", "level": "ERROR",
        "logger": "com.acme.Client", "thread": "http-1", "message": "DAS GetAccount failed after 5012 ms: TIMEOUT",
        "mdc": None, "ndc": None, "marker": None,
        "exception": "java.net.SocketTimeoutException: read\n\tat com.acme.Client.call(Client.java:7)",
        "event": "das_failure", "fields": {"operation": "GetAccount", "duration_ms": 5012, "code": "TIMEOUT"},
        "app": "das", "host": "app01", "path": str(path), "offset": 0,
    }
    assert (second["event"], second["fields"], second["offset"]) == (None, None, LOG.rfind(b"2026"))
    assert problems == []


def test_compressed_and_folders(tmp_path: Path) -> None:
    """A folder is read file by file; a compressed file gives the same records at the same offsets."""
    (tmp_path / "a.log").write_bytes(LOG)
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(LOG))
    rows = parse([str(tmp_path)], _parsing(), [])
    assert [(Path(row["path"]).name, row["offset"]) for row in rows] == [
        ("a.log", 0), ("a.log", rows[1]["offset"]), ("b.log.gz", 0), ("b.log.gz", rows[1]["offset"])]


def test_what_cannot_be_read_stops_nothing_else(tmp_path: Path) -> None:
    """A missing path, a damaged file: one problem each, and the rest is read."""
    (tmp_path / "a.log").write_bytes(LOG)
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(LOG)[:-12])
    problems: list[str] = []
    rows = parse([str(tmp_path / "none.log"), str(tmp_path)], _parsing(), problems)
    assert len(rows) >= 2
    assert len(problems) == 2 and "none.log" in problems[0] and "truncated" in problems[1]


@pytest.mark.parametrize("piece", [1, 7, 64, 4096])
def test_blocks_do_not_matter(piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are the same however few bytes come at a time, layout detected or given; here from standard input."""
    data = LOG * 20
    path = tmp_path / "stdin.log"
    path.write_bytes(data)
    for layout in (LAYOUT, None):
        expected = [{**row, "path": "-"} for row in parse([str(path)], _parsing(layout=layout), [])]
        source = io.BytesIO(data)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(
            buffer=SimpleNamespace(read1=lambda size, source=source: source.read(piece))))
        assert parse(["-"], _parsing(layout=layout), []) == expected
        assert len(expected) == 40


def test_a_line_without_an_end_is_not_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line far longer than a record, behind others, is read in blocks of bounded size."""
    path = tmp_path / "a.log"
    path.write_bytes(LOG + b"z" * 200_000)
    sizes: list[int] = []
    read = LayoutReader.read

    def noting(reader: LayoutReader, block: bytes, *arguments: Any, **options: Any) -> Any:
        sizes.append(len(block))
        return read(reader, block, *arguments, **options)

    monkeypatch.setattr(LayoutReader, "read", noting)
    monkeypatch.setattr("logagg.parse.BLOCK_BYTES", 4096)
    rows = parse([str(path)], _parsing(record_bytes_max=8192), [])
    assert rows[-1]["fields"] == {"reason": "too_long"} and len(rows) == 2
    assert max(sizes) <= 3 * 8192


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON lines on stdout, problems on stderr, exit status 1 for a path that cannot be read, 2 for a wrong layout."""
    path = tmp_path / "das.log"
    path.write_bytes(LOG + b"2026-11-20 08:15:32,000 INFO  [http-1] c - \x1b[31m\xff\n")
    assert main(["parse", str(path), "--layout", LAYOUT, "--timezone", "UTC"]) == 0
    captured = capsys.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    assert len(rows) == 3 and rows[0]["ts"] == "2026-11-20T08:15:30.123Z" and captured.err == ""
    assert main(["parse", str(tmp_path / "none\x1b.log")]) == 1
    assert "none\\x1b.log" in capsys.readouterr().err
    assert main(["parse", str(path), "--layout", "%d{"]) == 2
    assert "column" in capsys.readouterr().err
    assert main(["parse", str(path), "--timezone", "Mars"]) == 2
    assert "--timezone: \"Mars\" is no time zone" in capsys.readouterr().err


def test_own_grammar_file(tmp_path: Path) -> None:
    """--grammar takes a file; a wrong one is told with its place."""
    grammar = tmp_path / "own.lark"
    grammar.write_text('start: fine\nfine: "fine"\n')
    (tmp_path / "a.log").write_bytes(LOG)
    rows = parse([str(tmp_path / "a.log")], _parsing(classifier=grammars([str(grammar)])), [])
    assert [row["event"] for row in rows] == [None, "fine"]
    for name, text in (("broken.lark", "start: ("), ("none.lark", None)):
        if text:
            (tmp_path / name).write_text(text)
        with pytest.raises(LogaggError, match=name):
            grammars([str(tmp_path / name)])
    with pytest.raises(LogaggError, match="callcentre"):
        grammars(["callcentre"])


def test_a_pipe_is_answered_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is printed as soon as the next one begins, long before the input ends."""
    pieces = [LOG, LOG, b""]
    read: list[bytes] = []

    def read1(size: int) -> bytes:
        read.append(pieces[len(read)])
        return read[-1]

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(read1=read1)))
    groups = engine.parse(["-"], _parsing(), [])
    assert (len(list(next(groups))), len(read)) == (1, 1)
    assert (len(list(next(groups))), len(read)) == (2, 2)
    assert [len(list(group)) for group in groups] == [1]


def test_an_empty_file(tmp_path: Path) -> None:
    """An empty file has no records and is no problem."""
    (tmp_path / "a.log").touch()
    problems: list[str] = []
    assert parse([str(tmp_path / "a.log")], _parsing(layout=None), problems) == [] and problems == []
