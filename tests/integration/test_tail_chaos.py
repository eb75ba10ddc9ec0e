"""What random schedules of faults (tests/chaos) have found, each as the shortest life of a log that shows it."""

from pathlib import Path
from typing import Any

import pytest

from logagg.ledger import ledger
from logagg.source.gone import GONE_AFTER_S
from logagg.source.tail import Agent
from tests.tailing import Bench

BANNER = "=== banner ===\n"
WAIT_S = GONE_AFTER_S + 20


def record(name: str, count: int = 1) -> str:
    return "".join(f"{name} {i:03} {'x' * 30}\n" for i in range(count))


def told(bench: Bench) -> tuple[dict[str, int], list[str]]:
    """Bytes dropped by reason, and why an interval may hold more."""
    result: dict[str, Any] = ledger(bench.store, bench.clock.now_us())  # type: ignore[arg-type]
    return result["totals"]["dropped"], [one["reason"] for one in result["unseen"]]


def test_the_copy_of_a_stump(tmp_path: Path) -> None:
    """A copy that has all that is left of a destroyed log is not read again by the next agent."""
    bench = Bench(tmp_path)
    bench.write("a.log", BANNER + record("one"))
    bench.settle()
    bench.write("a.log.copy", BANNER + record("one"))
    bench.store.down = True
    bench.write("a.log", record("late", 3))
    bench.settle()
    (tmp_path / "a.log").write_text(BANNER)
    bench.settle()
    bench.store.down = False
    bench.write("a.log", record("two"))
    bench.settle(WAIT_S)
    bench.restart(kill=True)
    bench.settle(WAIT_S)
    assert bench.contents() == [BANNER + record("one"), BANNER + record("two")]


def test_a_copy_is_found_before_the_log_is_found_emptied(tmp_path: Path) -> None:
    """The log was copied, emptied, and has grown beyond what it was: that more may have been in it is told."""
    bench = Bench(tmp_path)
    bench.write("a.log", BANNER + record("one"))
    bench.settle()
    bench.write("a.log.copy", BANNER + record("one"))
    (tmp_path / "a.log").write_text(BANNER + record("two", 3))
    bench.settle(WAIT_S)
    assert sorted(bench.contents()) == [BANNER + record("one"), BANNER + record("two", 3)]
    assert told(bench)[1] == ["truncated"]


def test_emptied_and_regrown_while_the_store_goes_away(tmp_path: Path) -> None:
    """The size of the next content is not taken for what was seen of the last one."""
    bench = Bench(tmp_path)
    bench.write("a.log", BANNER + record("one"))
    bench.settle()
    bench.store.down = True
    (tmp_path / "a.log").write_text(BANNER + record("two", 3))
    bench.settle()
    bench.store.down = False
    bench.settle(WAIT_S)
    assert bench.contents() == [BANNER + record("one"), BANNER + record("two", 3)]
    assert told(bench)[0] == {}


def test_a_name_that_was_never_given(tmp_path: Path) -> None:
    """Two agents see a new log emptied before the store has heard of it: its next content is stored once."""
    bench = Bench(tmp_path)
    other = Agent(bench.sources, bench.store, bench.ingest, clock=bench.clock)  # type: ignore[arg-type]
    bench.write("a.log", BANNER + record("one"))
    for agent in (bench.agent, other):
        agent.step()
        bench.clock.step(0.3)
    bench.store.down = True
    for _ in range(20):
        bench.clock.step(0.3)
        bench.agent.step()
        other.step()
    (tmp_path / "a.log").write_text(BANNER)
    bench.agent.step()
    other.step()
    bench.write("a.log", record("two"))
    bench.store.down = False
    for _ in range(100):
        bench.clock.step(0.3)
        other.step()
        bench.agent.step()
    other.close()
    assert bench.contents().count(BANNER + record("two")) == 1


class Killed(BaseException):
    """SIGKILL."""


def test_killed_when_the_next_content_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a log was emptied is written down before anything of its next content is."""
    bench = Bench(tmp_path)
    bench.write("a.log", BANNER + record("one", 3))
    bench.settle(12)
    (tmp_path / "a.log").write_text(BANNER + record("two"))
    commit = bench.ingest.commit

    def last_commit(segments: Any) -> Any:
        commit(segments)
        raise Killed

    monkeypatch.setattr(bench.ingest, "commit", last_commit)
    with pytest.raises(Killed):
        bench.settle(5)
    monkeypatch.undo()
    bench.restart(kill=True)
    bench.settle(WAIT_S)
    assert bench.contents() == [BANNER + record("one", 3), BANNER + record("two")]
    assert "truncated" in told(bench)[1]


def test_the_clock_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was noted as lost is committed as gone a minute later, also where that is an hour ago by the clock."""
    bench = Bench(tmp_path)
    bench.write("a.log", BANNER + record("one"))
    bench.settle()
    bench.store.down = True
    bench.write("a.log", record("late"))
    bench.settle()
    (tmp_path / "a.log").write_text("two\n")
    bench.settle()
    bench.store.down = False
    bench.settle(12)
    now_us = bench.clock.now_us
    monkeypatch.setattr(bench.clock, "now_us", lambda: now_us() - 3_600_000_000)
    bench.settle(WAIT_S)
    assert told(bench)[0] == {"truncated": len(record("late"))}
