"""`logagg report`: build of each period, and list."""

import json
from pathlib import Path

import pytest

from logagg.cli import main

CONFIG = """\
[store]
url = "sqlite:///logagg.db"
[[report]]
name = "operations"
timezone = "UTC"
packs = ["callcenter"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "logagg.toml"
    path.write_text(CONFIG)
    return path


def test_built_and_listed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each period is built below the date of its first day, and listed with its revision and whether it is complete."""
    for period in ("daily", "weekly", "monthly"):
        assert main(["-c", str(config), "report", "build", "--period", period, "--date", "2026-11-20"]) == 0
    built = capsys.readouterr().out.splitlines()
    assert [Path(path).parts[-4:-1] for path in built] == [
        ("daily", "2026-11-20", "r1"), ("weekly", "2026-11-16", "r1"), ("monthly", "2026-11-01", "r1")]
    assert main(["-c", str(config), "report", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["html"] for row in rows] == built
    assert rows[1] == {"name": "operations", "period": "weekly", "date": "2026-11-16", "revision": 1,
                       "complete": False, "html": built[1]}
    assert main(["report", "list", "--out", str(config.parent / "reports"), "--period", "monthly"]) == 0
    assert capsys.readouterr().out.split() == ["operations", "monthly", "2026-11-01", "r1", "incomplete", built[2]]


def test_what_is_no_report_is_not_listed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other files and folders, half-written revisions and unreadable data do not stop the list."""
    place = config.parent / "reports" / "operations" / "daily"
    for folder in ("2026-11-20/r1", "2026-11-20/r12", "2026-11-20/.r13.1.tmp", "2026-11-21", "no-date/r1", "../other"):
        (place / folder).mkdir(parents=True)
    (place / "2026-11-20" / "r12" / "data.json").write_text("{")
    (config.parent / "reports" / "index.html").write_text("")
    assert main(["-c", str(config), "report", "list"]) == 0
    assert capsys.readouterr().out.split()[:5] == ["operations", "daily", "2026-11-20", "r12", "unreadable"]


def test_nothing_to_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An absent folder holds no reports; the message says how to make one."""
    assert main(["report", "list", "--out", str(tmp_path / "nowhere")]) == 0
    said = capsys.readouterr()
    assert said.out == "" and "`logagg report build` makes one" in said.err
