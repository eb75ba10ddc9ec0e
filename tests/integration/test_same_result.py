"""However the same logs come in, the store ends with the same events, rollups and reports."""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from logagg.store import open_store
from tests.mongod import database_url
from tests.service import Service, json_lines, logagg, stored_streams
from tests.waiting import until

FROM, TO = "2026-11-18", "2026-11-21"


@dataclass(frozen=True)
class Result:
    """What a user can see of a store: events, rollups, and the reports' data and page but for the time of building."""

    events: list[dict[str, Any]]
    rollups: dict[str, list[dict[str, Any]]]
    report: dict[str, Any]
    page: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of the demo's logs with their configuration, nothing read yet."""
    folder = tmp_path_factory.mktemp("same") / "demo"
    logagg("demo", "--dir", folder, "--days", 2, "--until", TO, "--no-serve")
    for name in ("logagg.db", "logagg.db-wal", "logagg.db-shm"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "reports")
    return folder


def fresh(demo: Path, folder: Path) -> Path:
    """A copy of the demo; the answer is its configuration."""
    shutil.copytree(demo, folder)
    return folder / "logagg.toml"


def result(config: Path) -> Result:
    span = ("--from", FROM, "--to", TO)
    events = json_lines(logagg("export", "events", *span, config=config).stdout)
    for event in events:
        event["path"] = str(Path(event["path"]).relative_to(config.parent))
    rollups = {
        step: json_lines(logagg("export", "rollups", *span, "--step", step, config=config).stdout)
        for step in ("minute", "hour", "day")
    }
    built = logagg("report", "build", "--name", "operations", "--period", "daily", "--date", "2026-11-20",
                   "--out", config.parent / "out", config=config)
    assert built.stdout
    folder = config.parent / "out" / "operations" / "daily" / "2026-11-20" / "r1"
    report = json.loads((folder / "data.json").read_text())
    built_at = report.pop("built_at")
    page = (folder / "index.html").read_text()
    for form in (built_at, built_at.replace("T", " "), built_at[:16].replace("T", " ")):
        page = page.replace(form, "BUILT")
    return Result(events, rollups, report, page)


@pytest.fixture(scope="module")
def once(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The reference: every file is there, and all are read once."""
    config = fresh(demo, tmp_path_factory.mktemp("once") / "demo")
    logagg("ingest", config=config)
    found = result(config)
    assert len(found.events) > 10_000
    assert len(found.rollups["minute"]) > 10_000
    return found


def check_same(found: Result, expected: Result) -> None:
    assert len(found.events) == len(expected.events)
    for one, other in zip(found.events, expected.events, strict=True):
        assert one == other
    assert found.rollups == expected.rollups
    assert found.report == expected.report
    assert found.page == expected.page


def test_ingested_twice(demo: Path, once: Result, tmp_path: Path) -> None:
    """A second ingest of the same files adds nothing."""
    config = fresh(demo, tmp_path / "demo")
    logagg("ingest", config=config)
    logagg("ingest", config=config)
    check_same(result(config), once)


def test_ingested_in_shuffled_order(demo: Path, once: Result, tmp_path: Path) -> None:
    """The order of the files does not matter."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    config = fresh(demo, tmp_path / "demo")
    logs = sorted(path for path in (config.parent / "logs").rglob("*") if path.is_file())
    random.Random(seed).shuffle(logs)
    for path in logs:
        logagg("ingest", path, config=config)
    check_same(result(config), once)


def test_followed_live(demo: Path, once: Result, tmp_path: Path) -> None:
    """Written piece by piece, cut anywhere, with pauses in which the last records are committed as open chunks, and
    stack traces that arrive after their first line was committed."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    config = fresh(demo, tmp_path / "demo")
    logs = config.parent / "logs"
    contents = {path: path.read_bytes() for path in sorted(logs.rglob("*")) if path.is_file()}
    for path in contents:
        path.unlink()
    with Service(config) as service:
        written = dict.fromkeys(contents, 0)
        for round_ in range(6):
            for path, content in contents.items():
                end = len(content) if round_ == 5 else chance.randrange(written[path], len(content) + 1)
                if round_ % 2 == 0 and round_ < 5:
                    end = late_trace(content, end)
                with path.open("ab") as log:
                    log.write(content[written[path] : end])
                written[path] = end
            until(lambda: service.holds(settled(config, contents, written)), f"round {round_} committed", 120)
        assert service.stop() == 0, service.messages()
    check_same(result(config), once)


@pytest.mark.service
def test_in_mongodb(demo: Path, once: Result, tmp_path: Path, mongod_url: str) -> None:
    """The other store gives the same answers to the last digit."""
    config = fresh(demo, tmp_path / "demo")
    url = database_url(mongod_url, "same_result")
    config.write_text(config.read_text().replace("sqlite:///logagg.db", url))
    logagg("ingest", config=config)
    assert not (config.parent / "logagg.db").exists()
    check_same(result(config), once)


def late_trace(content: bytes, near: int) -> int:
    """The end of the first line after `near` that a stack trace follows, so that the trace arrives late."""
    trace = content.find(b"\n\tat ", near)
    return near if trace < 0 else content.rfind(b"\n", 0, trace) + 1


def settled(config: Path, contents: dict[Path, bytes], written: dict[Path, int]) -> bool:
    """Every whole line that was written is committed, and everything is folded."""
    url = f"sqlite:///{config.parent / 'logagg.db'}"
    ends = {Path(stream.path): stream.end for stream in stored_streams(url)}
    lines = {path: content[: written[path]].rfind(b"\n") + 1 for path, content in contents.items()}
    if any(ends.get(path, 0) < end for path, end in lines.items()):
        return False
    store = open_store(url, read_only=True)
    try:
        return not store.unfolded(1)
    finally:
        store.close()
