"""Two agents on one file repeat nothing; two hosts with identical files are both kept."""

from pathlib import Path

from logagg.store import open_store
from tests.service import Service, logagg, stored_streams
from tests.waiting import until

CONFIG = """\
[store]
url = "sqlite:///logagg.db"

[[source]]
app = "a"
host = "{host}"
paths = ["*.log"]
layout = "%d{{ISO8601}} %p %c - %m%n"
timezone = "UTC"
keep = "all"
"""


def line(i: int) -> str:
    return f"2026-11-20T10:{i // 60 % 60:02}:{i % 60:02},000 INFO a.b - line {i}\n"


def messages(folder: Path) -> list[str]:
    if not stored_streams(f"sqlite:///{folder / 'logagg.db'}"):
        return []
    store = open_store(f"sqlite:///{folder / 'logagg.db'}", read_only=True)
    try:
        return [event.body["message"] for event in store.events()]
    finally:
        store.close()


def test_two_agents_on_one_file(tmp_path: Path) -> None:
    """Both follow the same growing file; each record is stored once."""
    first, second = tmp_path / "one.toml", tmp_path / "two.toml"
    for config in (first, second):
        config.write_text(CONFIG.format(host="h"))
    count = 3000
    with Service(first, "--roles", "agent") as one, Service(second, "--roles", "agent") as two:
        with (tmp_path / "a.log").open("a") as log:
            for i in range(count):
                log.write(line(i))
                if i % 50 == 49:
                    log.flush()
                if i % 500 == 499:
                    until(lambda i=i: len(messages(tmp_path)) > i - 1, f"line {i}")
        until(lambda: len(messages(tmp_path)) >= count, "all lines")
        assert one.running() and two.running(), one.messages() + two.messages()
        assert one.stop() == 0
        assert two.stop() == 0
    assert sorted(messages(tmp_path)) == sorted(f"line {i}" for i in range(count))


def test_two_hosts_with_identical_files(tmp_path: Path) -> None:
    """The host is part of a stream's identity."""
    log = tmp_path / "a.log"
    log.write_text("".join(line(i) for i in range(100)))
    url = f"sqlite:///{tmp_path / 'logagg.db'}"
    for host in ("h1", "h2", "h1"):
        logagg("ingest", log, "--store", url, "--app", "a", "--host", host, "--keep", "all")
    assert sorted(messages(tmp_path)) == sorted(2 * [f"line {i}" for i in range(100)])
