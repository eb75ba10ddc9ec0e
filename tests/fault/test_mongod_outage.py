"""mongod stopped for a while and killed once while logs are followed: nothing lost, nothing repeated."""

import json
import random
from pathlib import Path

import psutil
import pytest

from logagg.store import open_store
from tests.mongod import Mongod
from tests.service import Service, stored_streams
from tests.waiting import until

CONFIG = """\
[store]
url = "{url}"

[[source]]
app = "numbered"
host = "app01"
paths = ["logs/app*.log"]
layout = "%d{{ISO8601}} %-5p [%t] %c{{1}} - %m%n"
timezone = "UTC"
keep = "all"
"""
LINES = 60_000
OUTAGE_S = 30
MEMORY_BYTES_MAX = 200 << 20


def line(i: int) -> str:
    return f"2026-11-20T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02},000 INFO  [main] Numbered - record {i} text\n"


def committed(url: str) -> int:
    return sum((stream.counts + stream.open_counts).records for stream in stored_streams(url))


@pytest.mark.service
def test_outage_and_kill(mongod: Mongod, tmp_path: Path) -> None:
    """It waits without growing, goes on by itself, and holds every record once."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    url = mongod.url("outage")
    config = tmp_path / "logagg.toml"
    config.write_text(CONFIG.format(url=url))
    (tmp_path / "logs").mkdir()
    written = 0
    with Service(config) as service, (tmp_path / "logs" / "app.log").open("a") as log:

        def write(count: int) -> None:
            nonlocal written
            log.writelines(line(i) for i in range(written, written + count))
            log.flush()
            written += count

        write(chance.randrange(1000, LINES // 4))
        until(lambda: service.holds(committed(url) >= written // 2), "the first lines")
        mongod.stop()
        write(LINES // 2 - written)
        assert service.process is not None
        process = psutil.Process(service.process.pid)
        until_outage_is_over(process)
        mongod.start()
        until(lambda: service.holds(committed(url) >= written - 1), "the lines written during the outage", 90)
        write(LINES // 4)
        mongod.kill()
        write(LINES - written)
        mongod.start()
        until(lambda: service.holds(committed(url) >= written), "everything", 90)
        assert service.running(), service.messages()
        assert service.stop() == 0, service.messages()
    store = open_store(url, read_only=True)
    found = sorted(int(event.body["message"].split()[1]) for event in store.events())
    store.close()
    assert found == list(range(LINES))


def until_outage_is_over(process: psutil.Process) -> None:
    """30 s pass with mongod down; the service lives on and its memory stays bounded."""
    peak = 0
    start = psutil.time.monotonic()

    def over() -> bool:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)
        return psutil.time.monotonic() - start >= OUTAGE_S

    until(over, "the outage", OUTAGE_S + 10)
    assert process.is_running()
    assert peak < MEMORY_BYTES_MAX, json.dumps({"peak": peak})
