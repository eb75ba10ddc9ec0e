"""Real Log4j 2, Log4j 1.2 and Logback write and rotate while `logagg run` follows: every record once, with kills too.

Their old files are compressed, renamed at each rollover and deleted, and the applications start anew on the way.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from logagg.store import open_store
from tests.mongod import database_url
from tests.service import Service, logagg
from tests.waiting import until
from tests.writers import (
    Load,
    Writers,
    check_each_once,
    committed_records,
    configuration,
    found_records,
    numbered_writer,
    source_tables,
)

__all__ = ["numbered_writer"]

RECORDS = 200_000
WAIT_S = 280
ONE_POLICY = {"log4j2": ("plain",)}


@pytest.fixture(params=["sqlite", "mongodb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/logagg.db"
    return database_url(request.getfixturevalue("mongod_url"), f"live_{abs(hash(tmp_path))}")


def a_seed() -> random.Random:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


def kept_numbers(store_url: str) -> Iterator[int]:
    """The numbers of the records in the order of the store, with keep = "all"; each is looked at."""
    store = open_store(store_url, read_only=True)
    try:
        for event in store.events():
            match = re.match(r"record (\d+) ", event.body.get("message", ""))
            assert match, f"a record that nobody wrote: {event}"
            if int(match[1]) % 1000 == 999:
                assert event.body["exception"].startswith("java.lang.IllegalStateException: number " + match[1])
            yield int(match[1])
    finally:
        store.close()


def check_kept(store_url: str, count: int) -> None:
    found = Counter(kept_numbers(store_url))
    repeated = [n for n, times in found.items() if times > 1]
    lost = sorted(set(range(count)) - found.keys())
    assert not repeated, f"{len(repeated)} repeated, the first {repeated[:5]}"
    assert not lost, f"{len(lost)} lost, the first {lost[:5]}"


def kill_now_and_then(service: Service, writers: Writers, store_url: str, kills: int, records: int,
                      chance: random.Random) -> None:
    """Kill the service at random moments of its work, `kills` times while some `records` are written; every other time
    it stays away until files have been rolled over."""
    for kill in range(kills):
        more = writers.committed(store_url) + chance.randrange(1, 2 * records // (kills + 1))
        until(lambda more=more: service.holds(writers.committed(store_url) >= more) or not writers.writing(),
              f"work, kill {kill}", WAIT_S)
        service.kill()
        if kill % 2 == 0:
            files = writers.files() + chance.randrange(2) * len(writers.names)
            until(lambda files=files: writers.files() >= files or not writers.writing(), "rollovers", WAIT_S)
        service.start()


def finish(service: Service, writers: Writers, store_url: str, records: int) -> None:
    """Wait until all is written and committed."""
    until(lambda: service.holds(writers.committed(store_url) >= records), f"all {records} records committed", WAIT_S)
    writers.finish(WAIT_S)


@pytest.mark.service
@pytest.mark.parametrize("kills", [0, 10])
def test_followed_at_full_speed(numbered_writer: str, store_url: str, tmp_path: Path, kills: int) -> None:
    """200,000 records through some 24 rotations arrive exactly once, whole, also where the service is killed ten times
    at random moments of its work; SIGTERM ends it with status 0."""
    chance = a_seed()
    load = Load(size_kb=1024, keep=1000, per_second=25_000 if kills else 0)
    sources = source_tables(tmp_path, ONE_POLICY).rstrip() + '\nkeep = "all"\n'
    config = configuration(tmp_path, store_url, sources)
    with Service(config) as service, Writers(numbered_writer, tmp_path, load, ONE_POLICY) as writers:
        writers.start(0, RECORDS)
        kill_now_and_then(service, writers, store_url, kills, RECORDS, chance)
        finish(service, writers, store_url, RECORDS)
        assert service.stop() == 0, service.messages()
    check_kept(store_url, RECORDS)


def follow_all_policies(class_path: str, folder: Path, store_url: str, load: Load, count: int, kills: int) -> None:
    """Let all policies write `count` records, one half after a new start of the applications, and kill the service
    in each half: then each record is there once."""
    chance = a_seed()
    config = configuration(folder, store_url, source_tables(folder))
    with Service(config) as service, Writers(class_path, folder, load) as writers:
        names = writers.names
        for first in (0, count // 2):
            writers.start(first, count // 2)
            kill_now_and_then(service, writers, store_url, kills, len(names) * count // 2, chance)
            finish(service, writers, store_url, len(names) * (first + count // 2))
        assert service.stop() == 0, service.messages()
    check_each_once(store_url, names, count)


@pytest.mark.service
def test_all_policies(numbered_writer: str, tmp_path: Path) -> None:
    """Whatever the rolling policy, each record arrives once: index shift both ways, dates, direct writing, new folders,
    .gz .zip .bz2 .xz, temporary files, deletion, files begun anew, buffers, with two kills and a new start between."""
    store_url = f"sqlite:///{tmp_path}/logagg.db"
    load = Load(size_kb=40, keep=14, per_second=450, ahead=2500)    # at most half of what the old files hold
    follow_all_policies(numbered_writer, tmp_path, store_url, load, 6000, 1)


@pytest.mark.soak
@pytest.mark.service
@pytest.mark.timeout(1800)
def test_all_policies_for_long(numbered_writer: str, store_url: str, tmp_path: Path) -> None:
    """The same with files of 1 MB over two times a minute and more, and ten kills."""
    load = Load(size_kb=1024, keep=20, per_second=1000, ahead=80_000)
    follow_all_policies(numbered_writer, tmp_path, store_url, load, 130_000, 5)


def written_at(truth: Path) -> list[int]:
    """The time of each record, in milliseconds since the epoch."""
    times = re.findall(r"^(\S+) (?:INFO |ERROR) \[main\] \w+ - record (\d+) ", truth.read_text(), re.MULTILINE)
    assert [int(number) for _, number in times] == list(range(len(times)))
    return [round(datetime.fromisoformat(time + "+00:00").timestamp() * 1000) for time, _ in times]


def milliseconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp() * 1000


@pytest.mark.service
def test_what_is_missing_was_flagged(numbered_writer: str, tmp_path: Path) -> None:
    """Seven old files at full speed, and a service that is away while more are filled: no record is repeated, and each
    that is missing was written within an interval that the status tells, or its bytes are counted."""
    lose_some(numbered_writer, f"sqlite:///{tmp_path}/logagg.db", tmp_path, 300_000, 1)


@pytest.mark.soak
@pytest.mark.service
@pytest.mark.timeout(1800)
def test_what_is_missing_was_flagged_for_long(numbered_writer: str, store_url: str, tmp_path: Path) -> None:
    """The same with more records and kills."""
    lose_some(numbered_writer, store_url, tmp_path, 2_000_000, 5)


def lose_some(class_path: str, store_url: str, tmp_path: Path, count: int, kills: int) -> None:
    """Write `count` records at full speed and look for those that are missing."""
    chance = a_seed()
    policies = {"log4j2": ("max",)}
    config = configuration(tmp_path, store_url, source_tables(tmp_path, policies))
    truth = tmp_path / "truth.log"
    with Service(config) as service, Writers(class_path, tmp_path, Load(1024, 7, 0, truth=True), policies) as writers:
        writers.start(0, count)
        for kill in range(kills):
            more = committed_records(store_url) + chance.randrange(1, count // 20)
            until(lambda more=more: service.holds(committed_records(store_url) >= more), f"work, kill {kill}", WAIT_S)
            service.kill()
            size = truth.stat().st_size + (10 << 20)
            until(lambda size=size: truth.stat().st_size >= size or not writers.writing(), "rollovers")
            service.start()
        writers.finish(WAIT_S)
        until(lambda: service.holds(count - 1 in found_records(store_url, "max").numbers), "the last record", WAIT_S)
        assert service.stop() == 0, service.messages()
    status = json.loads(logagg("status", "--json", config=config).stdout)
    found = found_records(store_url, "max")
    times, missing = written_at(truth), sorted(set(range(count)) - found.numbers.keys())
    flagged = [(milliseconds(one["from"]), milliseconds(one["to"])) for one in status["unseen"]]
    outside = [n for n in missing if not any(start <= times[n] <= end for start, end in flagged)]
    counted = sum(row["pending"] + sum(row["dropped"].values()) for row in status["streams"] if row["stream"])
    print(f"{len(missing)} missing in {(times[-1] - times[0]) / 1000:.1f} s, {len(outside)} of them outside "
          f"{len(flagged)} intervals of {sum(b - a for a, b in flagged) / 1000:.1f} s, {counted} bytes counted")
    assert missing, "nothing was lost: the service was not away for long enough"
    assert max(found.numbers.values()) == 1
    assert 80 * len(outside) <= counted
