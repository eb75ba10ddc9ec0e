"""Real logrotate rotates what real loggers write while `logagg run` follows."""

import logging
import logging.handlers
import os
import random
import re
import shutil
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from logagg.source.files import open_log
from tests.conftest import missing
from tests.service import Service
from tests.waiting import until
from tests.writers import (
    FAKETIME,
    Load,
    Writers,
    committed_records,
    configuration,
    found_records,
    numbered_writer,
    source_tables,
    stored_dropped,
)

__all__ = ["numbered_writer"]

ROUNDS = 12
EACH = 400

MODES = {
    "create": "create\ncompress\ndelaycompress",
    "create_dated": "create\ncompress\ndelaycompress\ndateext",
    "create_compressed": "create\ncompress",
    "copied": "copytruncate\ncompress",
    "copied_delayed": "copytruncate\ncompress\ndelaycompress",
    "copied_dated": "copytruncate\ncompress\ndelaycompress\ndateext",
    "copied_meanwhile": "copytruncate\ncompress\ndelaycompress",
}
"""Options of logrotate. In MEANWHILE lines are written while it works. Nothing can be lost by that, but in
`copied_meanwhile` what comes between copying and emptying is in no file."""

MEANWHILE = ("create", "create_dated", "copied_meanwhile")


@pytest.fixture(scope="module")
def logrotate() -> str:
    program = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin:/sbin")
    if not program or not FAKETIME.exists():
        missing("logrotate and libfaketime: apt-get install logrotate libfaketime")
    assert program
    return program


class Rotated:
    """One log, its logger, and its logrotate; each run of it is a day later than the one before."""

    def __init__(self, program: str, folder: Path, options: str, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self._name = name
        self._days = 0
        self._written = 0
        self._conf = folder / f"{name}.conf"
        self._conf.write_text(f"{self.folder}/app.log {{\nrotate 100\nmissingok\n{options}\n}}\n")
        self._conf.chmod(0o600)
        self._command = [program, "--force", "--state", str(folder / f"{name}.state"), str(self._conf)]
        kind = logging.handlers.WatchedFileHandler if options.startswith("create") else logging.FileHandler
        self._handler = kind(self.folder / "app.log")
        self._handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)-5s [main] {name} - %(message)s"))

    def write(self, count: int) -> None:
        for i in range(self._written, self._written + count):
            text = f"record {i} and some text that makes it as long as lines usually are"
            self._handler.emit(logging.LogRecord(self._name, logging.INFO, "", 0, text, None, None))
        self._written += count

    def rotate(self) -> "subprocess.Popen[bytes]":
        """Begin to rotate."""
        self._days += 1
        environment = os.environ | {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"-{400 - self._days}d"}
        return subprocess.Popen(self._command, env=environment)

    def close(self) -> None:
        self._handler.close()


def numbers_in_files(folder: Path) -> Counter[int]:
    """How often each number is in the files that there are."""
    found: Counter[int] = Counter()
    for path in folder.iterdir():
        file = open_log(str(path))
        content, size = b"", -1
        while len(content) != size:
            size = len(content)
            content += file.read_at(size, 1 << 20)
        file.close()
        found.update(int(number) for number in re.findall(rb"- record (\d+) ", content))
    return found


def gaps(numbers: Counter[int], count: int) -> list[tuple[int, int]]:
    """The first and the last number of each gap: one for each time that a log was emptied before it was read."""
    known = sorted({-1, count, *numbers})
    return [(before + 1, after - 1) for before, after in pairwise(known) if after > before + 1]


def log_bytes(folder: Path) -> int:
    path = folder / "app.log"
    return path.stat().st_size if path.exists() else 0


@pytest.mark.service
def test_all_modes(logrotate: str, tmp_path: Path) -> None:
    """Created anew or copied and emptied, compressed at once or delayed, numbered or dated: every record is there once,
    with kills. What is written while a log is copied and emptied is there once if any file has it."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    store_url = f"sqlite:///{tmp_path}/logagg.db"
    config = configuration(tmp_path, store_url, source_tables(tmp_path, {"log4j1": tuple(MODES)}))
    with Service(config) as service:
        logs = {name: Rotated(logrotate, tmp_path, options, name) for name, options in MODES.items()}
        for turn in range(ROUNDS):
            for name, log in logs.items():
                log.write(EACH if name in MEANWHILE else 2 * EACH)
                process = log.rotate()
                if name in MEANWHILE:
                    log.write(EACH)
                assert process.wait(60) == 0
                if chance.random() < 0.1:
                    service.kill()
                    service.start()
            if turn % 3 == 1:
                known = (turn + 1) * 2 * EACH * (len(MODES) - 1)
                until(lambda known=known: service.holds(committed_records(store_url) >= known), "reading", 60)
        for log in logs.values():
            log.write(10)
            log.close()
        total = ROUNDS * 2 * EACH + 10
        wanted = {name: set(range(total)) for name in MODES}
        wanted["copied_meanwhile"] = set(numbers_in_files(tmp_path / "copied_meanwhile"))
        until(lambda: service.holds(all(wanted[name] <= found_records(store_url, name).numbers.keys()
                                        for name in MODES)), "all that files have", 60)
        assert service.stop() == 0, service.messages()
    for name in MODES:
        found = found_records(store_url, name)
        print(f"{name}: {found.records} of {total} records in {found.streams} streams, {found.rejects} rejects")
        assert wanted[name] <= found.numbers.keys()
        assert max(found.numbers.values()) == 1
        assert len(gaps(found.numbers, total)) <= (ROUNDS if name == "copied_meanwhile" else 0)
        if name not in MEANWHILE:
            assert (found.records, found.rejects) == (total, 0)


@pytest.mark.service
def test_a_writer_that_does_not_append(logrotate: str, numbered_writer: str, tmp_path: Path) -> None:
    """Log4j 1.2 with Append=false goes on behind a hole when its log was copied and emptied: what any file has is there
    once, holes are dropped by that name, and no record is a reject but where the emptying cut it."""
    policies = {"log4j1": ("not_appending",)}
    store_url = f"sqlite:///{tmp_path}/logagg.db"
    config = configuration(tmp_path, store_url, source_tables(tmp_path, policies))
    folder = tmp_path / "not_appending"
    with Service(config) as service, Writers(numbered_writer, tmp_path, Load(0, 0, 2000), policies) as writers:
        conf = tmp_path / "logrotate.conf"
        conf.write_text(f"{folder}/app.log {{\nrotate 100\nmissingok\ncopytruncate\ncompress\ndelaycompress\n}}\n")
        conf.chmod(0o600)
        writers.start(0, 20_000)
        rotations = 0
        while writers.writing():
            size = log_bytes(folder)
            until(lambda size=size: log_bytes(folder) > size + 60_000 or not writers.writing(), "more")
            subprocess.run([logrotate, "--force", "--state", tmp_path / "state", conf], check=True)
            rotations += 1
            if rotations == 2:
                service.kill()
                service.start()
        writers.finish()
        wanted = set(numbers_in_files(folder))
        until(lambda: service.holds(wanted <= found_records(store_url, "not_appending").numbers.keys()), "all", 60)
        assert service.stop() == 0, service.messages()
    found = found_records(store_url, "not_appending")
    print(f"{rotations} rotations, {len(found.numbers)} of 20000, {found.rejects} rejects")
    assert rotations > 2
    assert wanted <= found.numbers.keys()
    assert max(found.numbers.values()) == 1
    assert len(gaps(found.numbers, 20_000)) <= rotations
    assert found.rejects <= 3 * rotations       # an emptying may cut a line, or a stack trace off its record
    assert stored_dropped(store_url).get("hole", 0) > 10_000
