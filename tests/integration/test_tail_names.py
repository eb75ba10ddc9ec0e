"""Names say little: links that are swapped, second names, other folders, and inodes that are used again."""

import os
from pathlib import Path

import pytest

from tests.tailing import Bench


def lines(name: str, count: int) -> str:
    return "".join(f"{name} {i:06} " + "x" * 40 + "\n" for i in range(count))


def test_a_link_that_is_swapped(tmp_path: Path) -> None:
    """`current.log` leads to one file after the other: each is one stream, read to its end, also while the link is
    elsewhere and after a restart."""
    bench = Bench(tmp_path, "*.log")
    for i in range(4):
        bench.write(f"app-{i}.log", lines(f"g{i}", 30))
        (tmp_path / "new").symlink_to(f"app-{i}.log")
        (tmp_path / "new").rename(tmp_path / "current.log")
        bench.settle(2)
        bench.write("current.log", lines(f"more{i}", 30))
        bench.settle(0.1)
        if i == 2:
            bench.restart(kill=True)
    bench.write("app-0.log", lines("late", 3))
    bench.settle(12)
    expected = [lines(f"g{i}", 30) + lines(f"more{i}", 30) for i in range(4)]
    assert bench.contents() == [expected[0] + lines("late", 3), *expected[1:]]


def test_only_the_link_is_watched(tmp_path: Path) -> None:
    """Where the glob means the link alone, the file that it led to is finished before the next one."""
    bench = Bench(tmp_path, "current.log")
    for i in range(4):
        bench.write(f"app-{i}.log", lines(f"g{i}", 30))
        (tmp_path / "new").symlink_to(f"app-{i}.log")
        bench.write(f"app-{max(i - 1, 0)}.log", lines(f"last{i}", 5))
        (tmp_path / "new").rename(tmp_path / "current.log")
        bench.settle(2)
    bench.settle(12)
    assert bench.contents() == [lines("g0", 30) + lines("last0", 5) + lines("last1", 5),
                                *(lines(f"g{i}", 30) + lines(f"last{i + 1}", 5) for i in (1, 2)), lines("g3", 30)]


def test_a_second_name_that_outlives_the_first(tmp_path: Path) -> None:
    """A hard link is the same file: it is read once, and on when the first name has gone."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("one", 30))
    bench.settle()
    (tmp_path / "b.log").hardlink_to(tmp_path / "a.log")
    bench.settle(2)
    bench.write("b.log", lines("two", 30))
    bench.settle(2)
    (tmp_path / "a.log").unlink()
    bench.settle(80)
    bench.write("b.log", lines("three", 30))
    bench.settle(8)
    assert bench.contents() == [lines("one", 30) + lines("two", 30) + lines("three", 30)]
    bench.restart()
    bench.settle(8)
    assert [Path(stream.path).name for stream in bench.streams()] == ["b.log"]


@pytest.mark.parametrize("down", [False, True])
def test_moved_to_another_folder(tmp_path: Path, down: bool) -> None:
    """Old files that are moved to a folder by day go on as their streams, whether anybody looks or not."""
    bench = Bench(tmp_path, "**/*.log*")
    bench.write("a.log", lines("one", 300))
    bench.settle(2)
    if down:
        bench.agent.close()
    bench.write("a.log", lines("more", 10))
    (tmp_path / "2026-11").mkdir()
    (tmp_path / "a.log").rename(tmp_path / "2026-11" / "a.log.20")
    bench.write("a.log", lines("two", 300))
    if down:
        bench.start()
    bench.settle(12)
    assert bench.contents() == [lines("one", 300) + lines("more", 10), lines("two", 300)]
    assert [os.path.relpath(stream.path, tmp_path) for stream in bench.streams()] == ["2026-11/a.log.20", "a.log"]


@pytest.mark.parametrize("count", [5, 200])
@pytest.mark.parametrize("down", [False, True])
def test_an_inode_that_is_used_again(tmp_path: Path, count: int, down: bool) -> None:
    """A new log on the inode of an old file that was deleted is a new stream, shorter or longer than that one was."""
    bench = Bench(tmp_path)
    bench.write("a.log.1", lines("zero", 50))
    bench.write("a.log", lines("one", 50))
    bench.settle(2)
    if down:
        bench.agent.close()
    os.truncate(tmp_path / "a.log.1", 0)        # with the rename as good as deleted and its inode given to the new log
    (tmp_path / "a.log.1").rename(tmp_path / "new")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    (tmp_path / "new").rename(tmp_path / "a.log")
    bench.write("a.log", lines("two", count))
    if down:
        bench.start()
    bench.settle(8)
    assert sorted(bench.contents()) == [lines("one", 50), lines("two", count), lines("zero", 50)]
    bench.write("a.log", lines("more", 20))
    bench.settle(2)
    assert lines("two", count) + lines("more", 20) in bench.contents()


@pytest.mark.parametrize("count", [1, 10, 30])
def test_generations_shorter_than_a_window(tmp_path: Path, count: int) -> None:
    """Files of one line and of some dozens, with one banner: each is a stream of its own, through kills too."""
    bench = Bench(tmp_path)
    for generation in range(8):
        bench.write("a.log", "banner\n" + lines(f"g{generation}", count))
        bench.settle(2)
        for i in range(8, 0, -1):
            if (tmp_path / f"a.log.{i}").exists():
                (tmp_path / f"a.log.{i}").rename(tmp_path / f"a.log.{i + 1}")
        (tmp_path / "a.log").rename(tmp_path / "a.log.1")
        if generation % 3 == 2:
            bench.restart(kill=True)
    bench.settle(40)
    assert bench.contents() == ["banner\n" + lines(f"g{g}", count) for g in range(8)]
