"""What is wrong gets a clear message or a counted reject, nothing is lost, and the service goes on."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from logagg.store import open_store
from tests.conftest import missing
from tests.service import Service, logagg, stored_streams
from tests.waiting import until

HEAD = "2026-11-20T10:00:00,000 INFO a.b - "
CONFIG = """\
[store]
url = "sqlite:///logagg.db"

[[source]]
app = "a"
host = "h"
paths = ["logs/**/*.log"]
layout = "%d{ISO8601} %p %c - %m%n"
timezone = "UTC"
keep = "all"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logagg.toml"
    path.write_text(CONFIG)
    return path


def status(config: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(logagg("status", "--json", config=config).stdout)
    return answer


def ledger(config: Path, name: str) -> dict[str, Any]:
    [line] = [line for line in status(config)["streams"] if line["path"].endswith(name)]
    return line


def unprivileged() -> list[str]:
    """A prefix under which file modes count even for root."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        missing("setpriv (util-linux), to test permissions as root")
    caps = "-dac_override,-dac_read_search"
    return ["setpriv", f"--inh-caps={caps}", f"--bounding-set={caps}"]


def run_ingest(config: Path) -> "subprocess.CompletedProcess[str]":
    command = [*unprivileged(), sys.executable, "-m", "logagg", "-c", str(config), "ingest"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_unreadable_file(config: Path) -> None:
    """The message names the file, its owner and mode, and what to do; the other files are read; exit status 1."""
    good, bad = config.parent / "logs" / "good.log", config.parent / "logs" / "bad.log"
    good.write_text(HEAD + "fine\n")
    bad.write_text(HEAD + "secret\n")
    if os.geteuid() == 0:
        os.chown(bad, 65534, 65534)
    bad.chmod(0o000)
    done = run_ingest(config)
    assert done.returncode == 1, done.stderr
    assert str(bad) in done.stderr
    assert "mode 000" in done.stderr
    assert bad.owner() in done.stderr
    assert "chmod" in done.stderr
    assert "Traceback" not in done.stderr
    assert ledger(config, "good.log")["committed"] == good.stat().st_size


def test_missing_directory(config: Path) -> None:
    """A glob into a folder that is not there is said once, and is no failure of the service."""
    config.write_text(CONFIG.replace("logs/**/*.log", "nowhere/*.log"))
    done = logagg("ingest", config=config, check=False)
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text, expected", [
    ("[store\n", ["logagg.toml:1"]),
    (CONFIG.replace("%p", "%q"), ["logagg.toml:8", "%q"]),
    (CONFIG.replace('timezone = "UTC"', 'timezone = "Amerika"'), ["logagg.toml:9", "Amerika"]),
    (CONFIG.replace("app =", "ap ="), ["logagg.toml:5", "ap", "app"]),
])
def test_wrong_configuration(config: Path, text: str, expected: list[str]) -> None:
    """Exit status 2, the place, and what is wrong; nothing is started and no store is made."""
    config.write_text(text)
    done = logagg("run", config=config, check=False)
    assert done.returncode == 2, done.stderr
    for part in expected:
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not (config.parent / "logagg.db").exists()


def hostile_files(folder: Path, seed: int) -> dict[str, bytes]:
    """Files that no application should write, by name."""
    chance = random.Random(seed)
    good = (HEAD + "fine\n").encode()
    files = {
        "rubbish.log": chance.randbytes(2_000_000) + b"\n",
        "long.log": good + HEAD.encode() + b"x" * 50_000_000 + b"\n" + good,
        "empty.log": b"",
        "latin.log": good + HEAD.encode() + b"caf\xe9 \xff\xfe \xc3\x28 end\n" + good,
        "nul.log": good + b"\0" * 10_000 + b"\n" + good,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


def check_hostile(config: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if content:
            line = ledger(config, name)
            assert line["committed"] + line["dropped"].get("hole", 0) == len(content), name
            assert line["dropped"] == ({"hole": 10_000} if name == "nul.log" else {}), name
            assert line["pending"] == 0, name
    assert ledger(config, "rubbish.log")["rejected"] > 0
    assert ledger(config, "long.log")["rejected"] == len(HEAD) + 50_000_000 + 1
    assert ledger(config, "latin.log")["rejected"] == 0
    store = open_store(f"sqlite:///{config.parent / 'logagg.db'}", read_only=True)
    try:
        paths = {stream.id: Path(stream.path).name for stream in store.streams()}
        stored = sorted(store.events(), key=lambda event: event.offset)
        events = [(paths[event.stream], event.event, event.body) for event in stored]
    finally:
        store.close()
    long = [(event, body) for name, event, body in events if name == "long.log"]
    assert [event for event, _ in long] == [None, "reject", None]
    assert long[1][1]["fields"]["reason"] == "too_long"
    messages = [body["message"] for name, _, body in events if name == "latin.log"]
    assert messages == ["fine", "caf\ufffd \ufffd\ufffd \ufffd( end", "fine"]
    reasons = {body["fields"]["reason"] for name, _, body in events if name == "rubbish.log"}
    assert reasons <= {"no_layout", "too_long"}


def test_hostile_files_read_at_once(config: Path) -> None:
    """Every byte of rubbish, a 50 MB line, nothing, invalid UTF-8 and NULs is accounted for."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    files = hostile_files(config.parent / "logs", seed)
    logagg("ingest", config=config)
    check_hostile(config, files)


def test_hostile_files_followed(config: Path) -> None:
    """The same while the service follows: it goes on, and reads what comes after."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    with Service(config) as service:
        files = hostile_files(config.parent / "logs", seed)

        def committed() -> bool:
            streams = stored_streams(f"sqlite:///{config.parent / 'logagg.db'}")
            ends = {Path(stream.path).name: stream.end for stream in streams}
            return all(ends.get(name) == len(content) for name, content in files.items() if content)

        until(lambda: service.holds(committed()), "every byte committed", 120)
        files["after.log"] = (HEAD + "after\n").encode()
        (config.parent / "logs" / "after.log").write_bytes(files["after.log"])
        until(lambda: service.holds(committed()), "the file written after the rubbish", 30)
        assert service.stop() == 0, service.messages()
        assert "Traceback" not in service.messages()
    check_hostile(config, files)


def test_port_taken(config: Path) -> None:
    """The live page's port belongs to somebody else: it is said, and reading and watching go on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config.write_text(CONFIG + f'\n[web]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n')
        with Service(config, "--roles", "agent,aggregator,web") as service:
            until(lambda: service.holds("cannot be had" in service.messages()), "the message")
            (config.parent / "logs" / "a.log").write_text(HEAD + "fine\n")
            url = f"sqlite:///{config.parent / 'logagg.db'}"
            until(lambda: service.holds(bool(stored_streams(url))), "the line committed")
            assert service.stop() == 0, service.messages()
