"""kill -9 at random while reports are built and mailed: one current report a period, one mail a revision."""

import json
import random
import time
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from logagg.demo.logs import write_logs
from logagg.demo.settings import settings
from logagg.store import open_store
from tests.service import Service, stored_streams
from tests.smtpd import Server
from tests.waiting import until

DAYS = ["2026-11-19", "2026-11-20"]
MAIL = """
[[channel]]
name = "ops"
type = "email"
to = ["one@example.com", "two@example.com"]

[smtp]
host = "127.0.0.1"
port = {port}
security = "none"
from = "logagg@example.com"
"""


def configure(folder: Path, port: int) -> Path:
    """The demo's logs of two days, one daily report that is mailed to two people."""
    write_logs(folder, days=2, seed=1, until=date(2026, 11, 21))
    config = folder / "logagg.toml"
    config.write_text(settings().replace('packs = ["callcenter"]\n', 'packs = ["callcenter"]\nsend = ["ops"]\n', 1)
                      + MAIL.format(port=port))
    return config


def periods(url: str) -> dict[str, dict[str, object]]:
    if not stored_streams(url):
        return {}
    store = open_store(url, read_only=True)
    try:
        return store.documents("period")
    finally:
        store.close()


def all_built(url: str) -> bool:
    found = periods(url)
    wanted = [found.get(f"operations/daily/{day}", {}) for day in DAYS]
    return all(one.get("state") == "built" and one.get("complete") for one in wanted)


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.soak)])
def test_killed_while_building(tmp_path: Path, kills: int) -> None:
    """Afterwards the archive is whole; the newest report was mailed, to each once or under one Message-ID."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    url = f"sqlite:///{tmp_path / 'logagg.db'}"
    (tmp_path / "smtpd").mkdir()
    with Server(tmp_path / "smtpd") as server:
        config = configure(tmp_path, server.smtp().port)
        with Service(config, "--roles", "agent,aggregator") as service:
            for _ in range(kills):
                end_s = time.monotonic() + chance.uniform(0.5, 6)
                until(lambda end_s=end_s: time.monotonic() >= end_s, "a random moment", 10)
                service.kill()
                service.start()
            until(lambda: service.holds(all_built(url) and len(mailed(server)) >= 2), "both reports and the mails", 200)
            assert service.stop() == 0, service.messages()
        check_archive(tmp_path / "reports", periods(url))
        assert Counter(to for _, to in mailed(server)) == {"one@example.com": 1, "two@example.com": 1}


def mailed(server: Server) -> dict[tuple[str, str], str]:
    """The Message-ID by (subject, recipient) of each report's mail; asserts that there is only one of each."""
    found: dict[tuple[str, str], str] = {}
    for mail, message in zip(server.accepted(), server.mails(), strict=False):
        subject = str(message["Subject"]).strip()
        if subject.startswith("operations"):
            for to in mail["to"]:
                known = found.setdefault((subject, to), mail["id"])
                assert known == mail["id"], f"{subject} went to {to} under two Message-IDs"
    return found


def check_archive(archive: Path, known: dict[str, dict[str, object]]) -> None:
    for day in DAYS:
        folder = archive / "operations" / "daily" / day
        revisions = sorted(path.name for path in folder.iterdir() if path.name.startswith("r") and path.is_dir())
        assert revisions == [f"r{n}" for n in range(1, len(revisions) + 1)], revisions
        current = json.loads((folder / revisions[-1] / "data.json").read_text())
        assert current["revision"] == len(revisions) == known[f"operations/daily/{day}"]["revision"]
        assert current["complete"]
        assert (folder / revisions[-1] / "index.html").stat().st_size > 10_000
        left = [path for path in folder.rglob("*.tmp") if path.is_file()]
        assert not left, left
