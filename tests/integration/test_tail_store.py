"""The store is away for a while, loses answers, or has another agent: nothing lost, nothing twice, nothing piles up."""

import errno
import os
import random
from pathlib import Path

import pytest

from logagg.errors import SourceError
from logagg.source import files
from logagg.source.files import PlainFile
from logagg.source.tail import Agent
from tests.tailing import Bench


def lines(name: str, count: int) -> str:
    return "".join(f"{name} {i:06} " + "x" * 40 + "\n" for i in range(count))


def test_store_down(tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    """Files that come, rotate and vanish while the store is down are read when it is back; it is said once."""
    bench = Bench(tmp_path, rng=random.Random(1))
    bench.write("a.log", lines("one", 10))
    bench.settle()
    bench.store.down = True
    for generation in range(3):
        bench.write("a.log", lines(f"down{generation}", 10))
        bench.settle(10)
        (tmp_path / "a.log").rename(tmp_path / "a.log.1")
        bench.settle(2)
    (tmp_path / "a.log.1").unlink()
    bench.settle(30)
    assert [m for m in caplog.messages if "out of reach" in m] == [
        "the store is out of reach; trying again until it is back, nothing is lost"
    ]
    bench.store.down = False
    bench.settle(30)
    assert sorted(bench.contents()) == sorted(
        [lines("one", 10) + lines("down0", 10), lines("down1", 10), lines("down2", 10)]
    )


def test_lost_answers(tmp_path: Path) -> None:
    """A commit that succeeded without telling is not made twice."""
    bench = Bench(tmp_path, block_bytes=4096)
    for i in range(20):
        bench.write("a.log", lines(f"{i}", 30))
        bench.ingest.answers_lost = i % 3
        bench.settle(1)
    bench.settle(20)
    assert bench.contents() == ["".join(lines(f"{i}", 30) for i in range(20))]


def test_two_agents(tmp_path: Path) -> None:
    """Two agents on one growing file commit each byte once, and go on when one of them stops."""
    bench = Bench(tmp_path, block_bytes=4096)
    other = Agent(bench.sources, bench.store, bench.ingest, clock=bench.clock, block_bytes=2048)  # type: ignore[arg-type]
    for i in range(40):
        bench.write("a.log", lines(f"{i}", 30))
        for agent in (bench.agent, other) if i % 2 else (other, bench.agent):
            agent.step()
        bench.clock.step(0.1)
    other.stop()
    other.close()
    bench.write("a.log", lines("last", 3))
    bench.settle(5)
    assert bench.contents() == ["".join(lines(f"{i}", 30) for i in range(40)) + lines("last", 3)]


def test_many_large_files_are_read_in_bounded_memory(tmp_path: Path) -> None:
    """A group never holds more than the bound and one block."""
    bench = Bench(tmp_path)
    for i in range(12):
        bench.write(f"{i}.log", lines(f"{i}", 40_000))
    bench.settle(3)
    assert sorted(bench.contents()) == sorted(lines(f"{i}", 40_000) for i in range(12))
    assert bench.ingest.buffered_max <= 9 << 20


def test_a_read_error_hides_nothing_and_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a file cannot be read no observation is claimed, what it lacks stays pending, and afterwards it goes on."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1\n2\n")
    bench.settle(8)
    observed_us = bench.store.kept["observation", "app@host"]["at_us"]

    def broken(file: PlainFile, offset: int, size: int) -> bytes:
        raise SourceError(f"{file.path}: reading at {offset} failed: Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(PlainFile, "read_at", broken)
        bench.write("a.log", "3\n")
        failing_us = bench.clock.now_us()
        bench.settle(12)
    assert observed_us <= bench.store.kept["observation", "app@host"]["at_us"] < failing_us
    bench.settle(8)
    assert bench.contents() == ["1\n2\n3\n"]
    assert bench.store.kept["observation", "app@host"]["at_us"] > failing_us


@pytest.mark.parametrize("down", [False, True])
def test_a_file_that_a_network_drive_lets_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, down: bool) -> None:
    """A file that cannot even be asked for its size, or be read while the store is away, stops nothing else; it is
    opened again until that works."""
    bench = Bench(tmp_path)
    for name in ("a", "b"):
        bench.write(f"{name}.log", f"{name}1\n{name}2\n")
    bench.settle(8)
    asked, inode = os.fstat, (tmp_path / "a.log").stat().st_ino

    def stale(descriptor: int) -> os.stat_result:
        status = asked(descriptor)
        if status.st_ino == inode:
            raise OSError(errno.ESTALE, "Stale file handle")
        return status

    def broken(file: PlainFile, offset: int, size: int) -> bytes:
        raise SourceError(f"{file.path}: reading at {offset} failed: Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(PlainFile, "read_at", broken) if down else patched.setattr(files.os, "fstat", stale)
        bench.store.down = down
        for name in ("a", "b"):
            bench.write(f"{name}.log", f"{name}3\n{name}4\n")
        bench.settle(15)
        assert down or bench.contents() == ["a1\na2\n", "b1\nb2\nb3\nb4\n"]
    bench.store.down = False
    bench.settle(15)
    assert sorted(bench.contents()) == ["a1\na2\na3\na4\n", "b1\nb2\nb3\nb4\n"]


def test_notes_of_a_killed_agent_are_taken_back(tmp_path: Path) -> None:
    """What was noted as found and not read is not pending for ever because the agent that noted it was killed."""
    bench = Bench(tmp_path)
    bench.write("a.log", "unfinished")
    bench.settle(1)
    assert bench.store.kept["found", f"app@host:{tmp_path / 'a.log'}"]["size"] == 10
    bench.restart(kill=True)
    bench.write("a.log", " no more\n")
    bench.settle(8)
    assert bench.contents() == ["unfinished no more\n"]
    assert bench.store.kept["found", f"app@host:{tmp_path / 'a.log'}"]["size"] == 0
