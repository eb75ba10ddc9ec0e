"""Bytes that were seen and destroyed are counted exactly; when others may have gone unseen is reported."""

import gzip
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logagg.errors import SourceError
from logagg.ledger import ledger
from logagg.source.files import PlainFile
from logagg.source.gone import GONE_AFTER_S, INTERVALS_MAX, log_name, write_unseen
from tests.tailing import NOW_US, Bench, MemoryStore

WAIT_S = GONE_AFTER_S + 20


def lines(name: str, count: int) -> str:
    return "".join(f"{name} {i:06} " + "x" * 40 + "\n" for i in range(count))


def ledger_of(bench: Bench) -> dict[str, Any]:
    result = ledger(bench.store, bench.clock.now_us())  # type: ignore[arg-type]
    for row in (*result["streams"], result["totals"]):
        assert row["found"] == row["committed"] + row["pending"] + sum(row["dropped"].values())
    return result


def dropped(bench: Bench) -> dict[str, int]:
    found: dict[str, int] = ledger_of(bench)["totals"]["dropped"]
    return found


def unseen(bench: Bench) -> list[tuple[str, str]]:
    return [(Path(one["path"]).name, one["reason"]) for one in ledger_of(bench)["unseen"]]


def lose(bench: Bench, text: str) -> None:
    """Write while the store is away, look, and empty the log."""
    bench.store.down = True
    bench.write("a.log", text)
    bench.settle()
    (bench.folder / "a.log").write_bytes(b"")
    bench.settle()
    bench.store.down = False


def test_nothing_is_given_up_while_a_copy_may_turn_up(tmp_path: Path) -> None:
    """A compressed copy that comes within the time is read, and nothing is gone."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("one", 100))
    bench.settle()
    lose(bench, lines("late", 50))
    whole = lines("one", 100) + lines("late", 50)
    bench.settle(GONE_AFTER_S / 2)
    assert ledger_of(bench)["totals"]["pending"] == len(lines("late", 50))
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(whole.encode()))
    bench.settle(WAIT_S)
    assert (dropped(bench), bench.contents()) == ({}, [whole])


def test_a_folder_that_cannot_be_read_puts_it_off(tmp_path: Path) -> None:
    """The copy may be in a folder that is closed for now."""
    bench = Bench(tmp_path, "*.log", "other/*.log")
    bench.write("a.log", lines("one", 100))
    bench.settle()
    lose(bench, lines("late", 50))
    bench.settle(WAIT_S)
    assert dropped(bench) == {}
    (tmp_path / "other").mkdir()
    bench.settle(WAIT_S)
    assert dropped(bench) == {"truncated": len(lines("late", 50))}


def test_a_copy_found_later_is_still_read(tmp_path: Path) -> None:
    """After it was given up, too: read from where the committed bytes end, and no more counted as dropped."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("one", 100))
    bench.settle()
    lose(bench, lines("late", 50))
    bench.settle(WAIT_S)
    assert dropped(bench) == {"truncated": len(lines("late", 50))}
    bench.restart()
    bench.settle()
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress((lines("one", 100) + lines("late", 51)).encode()))
    bench.settle(20)
    assert (dropped(bench), bench.contents()) == ({}, [lines("one", 100) + lines("late", 51)])


def test_emptied_and_deleted_while_the_store_is_away(tmp_path: Path) -> None:
    """However long the store is away, what a file had lost before it was deleted is counted, and when that was."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1 first\n2\n")
    bench.settle(8)
    bench.store.down = True
    bench.write("a.log", "3 seen\n")
    bench.settle(3)
    os.truncate(tmp_path / "a.log", 0)
    bench.settle(3)
    (tmp_path / "a.log").unlink()
    bench.settle(200)
    bench.store.down = False
    bench.settle(GONE_AFTER_S + 20)
    assert dropped(bench) == {"truncated": len("3 seen\n")}
    assert [reason for _, reason in unseen(bench)] == ["truncated"]
    bench.settle(100)
    assert not bench.agent._roster.followers, "then it is let go"


def test_an_observation_from_before_the_clock_was_put_back(tmp_path: Path) -> None:
    """An interval of what may have gone unseen never ends before it begins."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1 first\n2\n")
    bench.settle(8)
    bench.agent.stop()
    bench.agent.close()
    key = ("observation", "app@host")
    bench.store.kept[key] = {**bench.store.kept[key], "at_us": bench.clock.now_us() + 3_600_000_000}
    (tmp_path / "a.log").unlink()
    bench.write("a.log", "1 another\n2\n")
    bench.start()
    bench.settle(20)
    [interval] = ledger_of(bench)["unseen"]
    assert interval["from"] < interval["to"]


def test_emptied_and_not_readable_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be asked for its size, once, is opened anew; what it had lost before that is still counted."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1 first\n2\n")
    bench.settle(8)
    lose(bench, "3 seen\n")
    bench.store.down = True

    def broken(file: PlainFile) -> int:
        raise SourceError(f"{file.path}: asking for its size failed: Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(PlainFile, "size", broken)
        bench.write("a.log", "1 another\n2\n3\n")
        bench.settle(3)
    bench.store.down = False
    bench.settle(GONE_AFTER_S + 20)
    assert sorted(bench.contents()) == ["1 another\n2\n3\n", "1 first\n2\n"]
    assert dropped(bench) == {"truncated": len("3 seen\n")}
    assert "truncated" in [reason for _, reason in unseen(bench)]
    assert len(bench.agent._roster.followers) == 1


def test_a_file_that_cannot_be_read_for_a_while_is_still_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log whose only file fails and is opened anew, again and again, was not rotated away."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1 first\n2\n")
    bench.settle(8)

    def broken(file: PlainFile, offset: int, size: int) -> bytes:
        raise SourceError(f"{file.path}: reading at {offset} failed: Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(PlainFile, "read_at", broken)
        bench.write("a.log", "3\n4\n")
        bench.settle(5)
    bench.settle(20)
    assert bench.contents() == ["1 first\n2\n3\n4\n"]
    assert unseen(bench) == []


def test_the_next_generation_is_not_taken_for_what_is_gone(tmp_path: Path) -> None:
    """A new log that begins with the same banner is a stream of its own, after a restart as well."""
    bench = Bench(tmp_path)
    bench.write("a.log", "banner\n" + lines("one", 3))
    bench.settle(8)
    lose(bench, lines("late", 50))
    bench.settle(WAIT_S)
    bench.restart(kill=True)
    bench.write("a.log", "banner\n" + lines("two", 90))
    bench.settle(10)
    assert bench.contents() == ["banner\n" + lines("one", 3), "banner\n" + lines("two", 90)]
    assert dropped(bench) == {"truncated": len(lines("late", 50))}


def test_deleted_while_the_agent_was_down(tmp_path: Path) -> None:
    """What an agent had seen and noted before it was killed counts when no file has it any more."""
    bench = Bench(tmp_path, block_bytes=4096)
    bench.write("a.log", lines("one", 5000))
    bench.agent.step()
    [read] = bench.contents()
    left = len(lines("one", 5000)) - len(read)
    assert ledger_of(bench)["totals"]["pending"] == left > 0
    bench.restart(kill=True)
    (tmp_path / "a.log").unlink()
    bench.settle(WAIT_S)
    assert (dropped(bench), bench.contents()) == ({"deleted": left}, [read])


@pytest.mark.parametrize("answer_lost", [False, True])
def test_what_was_never_committed(tmp_path: Path, answer_lost: bool) -> None:
    """A log that came and was emptied while the store was away is counted by its path; where it had been committed
    and only the answer was lost, by its stream."""
    bench = Bench(tmp_path)
    bench.settle()
    bench.store.down = not answer_lost
    bench.ingest.answers_lost = int(answer_lost)
    bench.write("a.log", lines("one", 10))
    for _ in range(30):
        bench.agent.step()
        if bench.contents():
            break
        bench.clock.step(0.05)
    committed = len("".join(bench.contents()))
    assert (committed > 0) == answer_lost
    bench.store.down = True
    bench.write("a.log", lines("two", 10))
    bench.settle()
    (tmp_path / "a.log").write_text("another\n")
    bench.settle()
    bench.store.down = False
    bench.settle(WAIT_S)
    assert dropped(bench) == {"truncated": len(lines("one", 10) + lines("two", 10)) - committed}
    assert "another\n" in bench.contents()


def test_written_over_between_two_looks(tmp_path: Path) -> None:
    """A log that was emptied and has grown beyond its old size since the last look: what counts is what had been seen
    of the old content, whether or not the store was there."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("one", 100))
    bench.settle()
    bench.store.down = True
    bench.write("a.log", lines("late", 50))
    bench.settle()
    (tmp_path / "a.log").write_text(lines("two", 400))
    bench.settle()
    bench.store.down = False
    bench.settle(WAIT_S)
    assert dropped(bench) == {"truncated": len(lines("late", 50))}
    (tmp_path / "a.log").write_text(lines("three", 900))
    bench.settle(WAIT_S)
    assert dropped(bench) == {"truncated": len(lines("late", 50))}
    assert bench.contents() == [lines("one", 100), lines("two", 400), lines("three", 900)]
    assert unseen(bench) == [("a.log", "truncated")] * 2


def test_an_emptied_log_may_have_had_more(tmp_path: Path) -> None:
    """The interval is that between the two looks, to the microsecond of the clock."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("one", 10))
    bench.settle(1)
    before = bench.clock.now_us()
    (tmp_path / "a.log").write_text("two\n")
    bench.settle(10)
    [interval] = bench.store.kept["unseen", f"app@host:{tmp_path / 'a.log'}"]["intervals"]
    assert before - 5_000_000 <= interval[0] <= before <= interval[1] <= before + 5_000_000
    assert ledger_of(bench)["unseen"][0]["from"] == "2096-10-02T07:06:40.950Z"


def rotate(folder: Path, keep: int) -> None:
    (folder / f"a.log.{keep}").unlink(missing_ok=True)
    for i in range(keep - 1, 0, -1):
        if (folder / f"a.log.{i}").exists():
            (folder / f"a.log.{i}").rename(folder / f"a.log.{i + 1}")
    (folder / "a.log").rename(folder / "a.log.1")


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize(("rotations", "told"), [(3, []), (4, [("a.log", "rotated")])])
def test_files_that_came_and_went(
    tmp_path: Path, rotations: int, told: list[tuple[str, str]], running: bool
) -> None:
    """With three rotated files kept, three rotations between two listings lose nothing, four may; whether or not the
    agent was running. Compressed ones are known by their content."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("0", 30))
    bench.settle(10)
    if not running:
        bench.restart()
        bench.agent.close()
    for i in range(rotations):
        bench.write("a.log", lines(f"{i}", 30))
        rotate(tmp_path, 3)
        bench.write("a.log", lines(f"{i + 1}", 30))
    oldest = tmp_path / "a.log.3"
    (tmp_path / "a.log.3.gz").write_bytes(gzip.compress(oldest.read_bytes()))
    oldest.unlink()
    os.utime(tmp_path / "a.log.3.gz", ns=(0, bench.clock.now_us() * 1000))
    if not running:
        bench.clock.step(600)
        bench.start()
    bench.settle(30)
    assert unseen(bench) == told


def test_killed_before_anything_was_noted(tmp_path: Path) -> None:
    """An agent that was killed before it noted which files a log had: the streams in the store tell it."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("one", 10))
    bench.settle()
    bench.agent.close()
    for key in [key for key in bench.store.kept if key[0] in ("log", "observation")]:
        del bench.store.kept[key]
    (tmp_path / "a.log").unlink()
    bench.write("a.log", lines("later", 10))
    bench.start()
    bench.settle(12)
    assert unseen(bench) == [("a.log", "rotated")]


@pytest.mark.parametrize(("age_s", "told"), [(1, [("a.log", "rotated")]), (60, [])])
def test_an_older_file_that_went_after_a_kill(tmp_path: Path, age_s: int, told: list[tuple[str, str]]) -> None:
    """An agent that was killed may have known the end of a file that had just been written and is gone now, although
    a younger file is still there; it had read all of one that was written long before."""
    bench = Bench(tmp_path)
    bench.write("a.log.1", lines("one", 10))
    bench.write("a.log", lines("two", 10))
    bench.settle(12)
    at_us = bench.store.kept["observation", "app@host"]["at_us"]
    for id, stream in bench.store.by_id.items():
        bench.store.by_id[id] = replace(stream, last_ts_us=at_us - age_s * 1_000_000)
    bench.agent.close()
    (tmp_path / "a.log.1").unlink()
    bench.start()
    bench.settle(12)
    assert unseen(bench) == told


def test_names_of_one_log() -> None:
    """Numbers, dates and compression do not make another log of it."""
    names = ["/l/app.log", "/l/app.log.1", "/l/app-2026-11-20-3.log.gz", "/old/app.2026-11-20.log", "/l/app_7.log.zst"]
    assert {log_name(name) for name in names} == {"app.log"}
    assert log_name("/l/2026-11-20") == "2026-11-20"


def test_intervals_are_bounded() -> None:
    """The oldest are merged into wider ones: none is forgotten."""
    store = MemoryStore()
    for i in range(3 * INTERVALS_MAX):
        for _ in range(2):
            write_unseen(store, "app", "host", "/a", (NOW_US + 10 * i, NOW_US + 10 * i + 1, "truncated"))  # type: ignore[arg-type]
    intervals = store.kept["unseen", "app@host:/a"]["intervals"]
    assert len(intervals) == INTERVALS_MAX
    assert intervals[0][:2] == [NOW_US, NOW_US + 10 * 2 * INTERVALS_MAX + 1]
    last_us = NOW_US + 10 * (3 * INTERVALS_MAX - 1)
    assert intervals[-1] == [last_us, last_us + 1, "truncated"]


def test_what_was_lost_is_written_down_at_once(tmp_path: Path) -> None:
    """An agent that is killed right after it found a log emptied leaves the interval and the loss behind."""
    bench = Bench(tmp_path, rng=random.Random(1))      # the store is asked again before a note would be due anyway
    bench.write("a.log", lines("one", 100))
    bench.settle(5.3)
    lose(bench, lines("late", 50))
    bench.settle(2)
    bench.restart(kill=True)
    bench.settle(WAIT_S)
    assert dropped(bench) == {"truncated": len(lines("late", 50))}
    assert ("a.log", "truncated") in unseen(bench)
