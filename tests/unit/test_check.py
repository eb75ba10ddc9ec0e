"""`logagg check`: what it finds on this machine, and what it calls a problem."""

import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from logagg.check import check
from logagg.cli import main
from logagg.config import loads
from logagg.errors import SourceError

GOOD = "2026-11-20 10:00:00,000 INFO  [main] a.B - start\n" * 30
SOURCE = """
[[source]]
app = "das"
host = "app01"
paths = ["logs/*.log*"]
"""


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder of logs with one plain and one compressed file."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "das.log").write_text(GOOD)
    (folder / "das.log.1.gz").write_bytes(gzip.compress(GOOD.encode()))
    return folder


def _check(text: str, tmp_path: Path) -> dict[str, Any]:
    return check(loads(text, tmp_path / "logagg.toml"))


def test_files_and_layouts(logs: Path, tmp_path: Path) -> None:
    """Each glob's files with size, detected layout and how much of the beginning it reads; nothing is written."""
    answer = _check(SOURCE, tmp_path)
    (source,) = answer["sources"]
    (one,) = source["globs"]
    plain, packed = one["files"]
    assert (plain["path"], plain["bytes"]) == (str(logs / "das.log"), len(GOOD))
    assert (plain["records"], plain["rejects"], plain["detected"]) == (30, 0, True)
    assert (packed["records"], packed["layout"]) == (30, plain["layout"])
    assert answer["store"]["state"] == "new" and answer["problems"] == []
    assert not (tmp_path / "logagg.db").exists()


def test_ignored_files(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is older than `ignore_older` is shown as ignored, with its age, and is no problem."""
    then_s = time.time() - 41.5 * 86_400
    (logs / "das.log").write_text("nothing that any layout fits\n")
    os.utime(logs / "das.log", (then_s, then_s))
    answer = _check(SOURCE + 'ignore_older = "30d"', tmp_path)
    plain, packed = answer["sources"][0]["globs"][0]["files"]
    assert (plain["ignored_days"], plain["records"], packed["ignored_days"]) == (41, 0, None)
    assert answer["problems"] == []
    (tmp_path / "logagg.toml").write_text(SOURCE + 'ignore_older = "30d"')
    assert main(["-c", str(tmp_path / "logagg.toml"), "check"]) == 0
    assert "ignored: not changed for 41 days" in capsys.readouterr().out


def test_a_configured_layout_that_reads_nothing(logs: Path, tmp_path: Path) -> None:
    """A layout that fits none of a file's first records is a problem that says what to do."""
    answer = _check(SOURCE + 'layout = "[%p] %m%n"', tmp_path)
    assert len(answer["problems"]) == 2
    assert "none of its first 30 records has the layout of app das; take the layout from" in answer["problems"][0]


def test_no_layout_detected(logs: Path, tmp_path: Path) -> None:
    """A file in which no layout is detected is a problem."""
    (logs / "das.log").write_text("nothing\nof\nthe kind\n" * 500)
    assert any("no layout detected" in problem for problem in _check(SOURCE, tmp_path)["problems"])


def test_nothing_matches(tmp_path: Path) -> None:
    """A missing folder and a glob without files are told apart."""
    (missing,) = _check(SOURCE, tmp_path)["problems"]
    assert "logs" in missing and "no such file or directory" in missing.lower()
    (tmp_path / "logs").mkdir()
    (empty,) = _check(SOURCE, tmp_path)["problems"]
    assert "matches no file now; correct it, unless the application has not written yet" in empty


def test_an_empty_file_is_fine(logs: Path, tmp_path: Path) -> None:
    """A log that has just been rotated is empty, which is no problem."""
    (logs / "das.log").write_bytes(b"")
    assert _check(SOURCE, tmp_path)["problems"] == []


def test_two_sources_for_one_file(logs: Path, tmp_path: Path) -> None:
    """A file that two sources match would be read twice."""
    answer = _check(SOURCE + SOURCE.replace("das", "esp").replace("*.log*", "*.log"), tmp_path)
    assert answer["problems"] == [f"{logs / 'das.log'}: matched by source[1] and source[2], so it would be read twice; "
                                  "exclude it from one of them"]


def test_unreadable_and_damaged(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read, and one that is cut off, are problems; the others are still looked at."""
    (logs / "das.log.1.gz").write_bytes(gzip.compress(GOOD.encode())[:-9])
    real = check.__globals__["open_log"]

    def refuse(path: str) -> Any:
        if path.endswith("das.log"):
            raise SourceError(f"{path}: it has owner root, group adm, mode 0640")
        return real(path)

    monkeypatch.setitem(check.__globals__, "open_log", refuse)
    answer = _check(SOURCE, tmp_path)
    assert len(answer["problems"]) == 2
    assert "mode 0640" in answer["problems"][0] and "truncated" in answer["problems"][1]


@pytest.mark.parametrize(("url", "said"), [
    ("sqlite:///none/deep/logagg.db", None),
    ("sqlite:///logagg.toml/logagg.db", "it is no folder"),
    ("sqlite:///logs/das.log", "das.log"),
    ("mongodb://u:hunter2@127.0.0.1:1/logagg", "out of reach"),
], ids=["new", "no folder", "no store", "out of reach"])
def test_store(url: str, said: str | None, logs: Path, tmp_path: Path) -> None:
    """A store that is no store or out of reach is a problem; its password is not printed."""
    (tmp_path / "logagg.toml").touch()
    answer = _check(f'[store]\nurl = "{url}"{SOURCE}', tmp_path)
    if said is None:
        assert answer["problems"] == []
    else:
        (problem,) = answer["problems"]
        assert said in problem and answer["store"]["state"] == "failed"
    assert "hunter2" not in json.dumps(answer)


def test_command(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0, 1 and 2; the listing on stdout, problems on stderr; names cannot steer the terminal."""
    path = tmp_path / "logagg.toml"
    path.write_text(SOURCE)
    assert main(["check", "-c", str(path)]) == 0
    captured = capsys.readouterr()
    assert "30 of the first 30 records read" in captured.out and captured.err == "all is well\n"
    (logs / "x\x1b[2J\n.log").write_text("rubbish\n")
    assert main(["check", "-c", str(path)]) == 1
    captured = capsys.readouterr()
    assert "x\\x1b[2J\\n.log" in captured.out and "\x1b" not in captured.out + captured.err
    assert "1 problem found" in captured.err
    path.write_text("[[source]]\n")
    assert main(["check", "-c", str(path)]) == 2
    assert "2 problems in the configuration" in capsys.readouterr().err


def test_json(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one document, also for a wrong configuration; --schema needs none at all."""
    path = tmp_path / "logagg.toml"
    path.write_text(SOURCE)
    assert main(["check", "-c", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sources"][0]["globs"][0]["files"][0]["records"] == 30
    path.write_text("x = 1\ny = 2\n")
    assert main(["check", "-c", str(path), "--json"]) == 2
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 2
    assert main(["check", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["source"]["type"] == "array"
