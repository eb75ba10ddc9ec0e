"""Holes: NULs that nobody wrote. They are dropped and counted; the records around them are whole."""

import gzip
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from logagg.clock import StepClock
from logagg.grammar.claims import EventClaims
from logagg.grammar.reader import LayoutReader
from logagg.ingest import Ingest, Segment
from logagg.interfaces import Claims
from logagg.ledger import ledger
from logagg.raw import content
from logagg.reading import Pipeline
from logagg.rollup.metric import MetricSet
from logagg.source.discover import FileSource
from logagg.source.identity import first_line, new_stream
from logagg.source.tail import Agent
from logagg.store.memory import MemoryStore


class NoClaims:
    def claim(self, first_lines: Sequence[bytes]) -> Claims:
        return EventClaims()


def ingest_into(store: MemoryStore, layout: str | None = "%d{ISO8601} %p %c - %m%n") -> Ingest:
    pipeline = Pipeline(LayoutReader(layout), NoClaims(), MetricSet(), keep="all")
    return Ingest(store, lambda stream: pipeline)


def lines(first: int, count: int) -> bytes:
    return b"".join(b"2026-11-20T10:%02d:%02d,000 INFO a.b - message %d\n\tand more of it\n" % (i // 60 % 60, i % 60, i)
                    for i in range(first, first + count))


def messages(store: MemoryStore) -> list[str]:
    return [event.body["message"] for event in store.events()]


def wanted(count: int) -> list[str]:
    return [f"message {i}\n\tand more of it" for i in range(count)]


@pytest.mark.parametrize("layout", ["%d{ISO8601} %p %c - %m%n", None])
@pytest.mark.parametrize("seed", range(30))
def test_read_in_any_pieces(seed: int, layout: str | None) -> None:
    """However a log with holes is cut into segments, the same records come of it, and the holes are counted."""
    chance = random.Random(seed)
    log = bytes(chance.choice([0, 512, 70_000]))
    holes = len(log)
    for first in range(0, 90, 30):
        hole = chance.choice([512, 1000, 3_000_000])
        log += lines(first, 30) + bytes(hole)
        holes += hole
    store = MemoryStore()
    ingest = ingest_into(store, layout)
    stream = new_stream("app", "host", "a.log", first_line(log) or b"", 0)
    cuts = sorted(chance.randrange(len(log)) for _ in range(chance.choice([0, 3, 40])))
    for _, cut in pairwise([0, *cuts, len(log)]):
        last = cut == len(log)
        data = log[stream.resume:cut]
        [outcome] = ingest.commit([Segment(stream, stream.resume, data, last or chance.random() < 0.5, whole=last)])
        stream = outcome.stream
    assert messages(store) == wanted(90)
    assert (stream.end, stream.dropped, stream.counts.rejects) == (len(log), {"hole": holes}, 0)
    assert b"".join(content(chunk) for chunk in store.chunks()) == log
    [row] = ledger(store, 0)["streams"]
    assert (row["committed"], row["dropped"]) == (len(log) - holes, {"hole": holes})


def test_few_nuls_are_text() -> None:
    """A message may hold NULs: what is shorter than a hole stays in its record."""
    store = MemoryStore()
    log = lines(0, 1)[:-1] + bytes(511) + b"\n" + lines(1, 1)
    stream = new_stream("app", "host", "a.log", first_line(log) or b"", 0)
    ingest_into(store).commit([Segment(stream, 0, log, True, whole=True)])
    assert messages(store) == [wanted(1)[0] + "\0" * 511, wanted(2)[1]]


def test_a_line_that_a_hole_cuts() -> None:
    """After a loss of power a line may end in a hole: what is there of it is a record, and the next one is whole."""
    store = MemoryStore()
    log = lines(0, 2)[:-8] + bytes(4096) + lines(2, 2)
    stream = new_stream("app", "host", "a.log", first_line(log) or b"", 0)
    ingest_into(store).commit([Segment(stream, 0, log, True, whole=True)])
    assert messages(store) == [wanted(1)[0], wanted(2)[1][:-7], *wanted(4)[2:]]


class Log:
    """A log that an application writes without appending, and an agent that follows it and its copies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = StepClock(4_000_000_000_000_000)
        self.store = MemoryStore()
        self.file = (folder / "a.log").open("wb")
        self.copies = 0
        self.start()

    def start(self) -> None:
        source = FileSource("app", "host", (str(self.folder / "a.log*"),))
        self.agent = Agent([source], self.store, ingest_into(self.store), clock=self.clock)

    def write(self, first: int, count: int) -> None:
        self.file.write(lines(first, count))
        self.file.flush()

    def copy_and_empty(self) -> None:
        self.copies += 1
        (self.folder / f"a.log.{self.copies}").write_bytes((self.folder / "a.log").read_bytes())
        with (self.folder / "a.log").open("r+b") as file:
            file.truncate()

    def settle(self, seconds: float = 8.0) -> None:
        end = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < end:
            self.clock.step(max(0.02, self.agent.step()))


@pytest.mark.parametrize("seed", range(10))
def test_emptied_under_a_writer_that_does_not_append(tmp_path: Path, seed: int) -> None:
    """Each time it is emptied the log goes on behind a longer hole: every record is there once, also where the agent
    sees neither the emptying nor, for a while, the log."""
    chance = random.Random(seed)
    log = Log(tmp_path)
    written = 0
    for _ in range(8):
        count = chance.choice([1, 20, 300])
        log.write(written, count)
        written += count
        if chance.random() < 0.5:
            log.settle(chance.choice([0.1, 3.0]))
        if chance.random() < 0.3:
            log.agent.close()
            log.start()
        log.copy_and_empty()
        if chance.random() < 0.5:
            log.settle(chance.choice([0.1, 3.0]))
    log.write(written, 5)
    log.settle(80)
    log.agent.close()
    log.start()
    log.settle(20)
    found = sorted(int(message.split()[1]) for message in messages(log.store))
    assert found == list(range(written + 5)), f"seed {seed}"
    table = ledger(log.store, 0)
    assert table["totals"]["rejected"] == 0
    assert table["totals"]["pending"] == 0


def test_compressed_generations_of_one_hole(tmp_path: Path) -> None:
    """Compressed while nobody followed, the generations begin with the same hole, each a longer one: none is taken for
    a part of another."""
    written, holes = 0, [0]
    for generation in range(12):
        text = lines(written, 3000)
        (tmp_path / f"a.log.{99 - generation}.gz").write_bytes(gzip.compress(bytes(holes[-1]) + text))
        written += 3000
        holes.append(holes[-1] + len(text))
    log = Log(tmp_path)
    log.settle(30)
    assert sorted(int(message.split()[1]) for message in messages(log.store)) == list(range(written))
    assert sorted(stream.dropped.get("hole", 0) for stream in log.store.streams()) == holes[:-1]
