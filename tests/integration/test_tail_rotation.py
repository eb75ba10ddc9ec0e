"""Rotation by renaming: the renamed file is finished, then the new one is begun."""

from pathlib import Path

from tests.tailing import Bench


def lines(name: str, count: int) -> str:
    return "".join(f"{name} {i:06} " + "x" * 40 + "\n" for i in range(count))


def test_renamed_file_is_finished_first(tmp_path: Path) -> None:
    """What is unread of the renamed file is read before the new file, from the same descriptor."""
    bench = Bench(tmp_path, block_bytes=4096)
    bench.write("a.log", lines("old", 10))
    bench.settle()
    bench.write("a.log", lines("more", 1000))
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    bench.write("a.log", lines("new", 200))
    bench.ingest.order.clear()
    bench.settle(5)
    assert bench.contents() == [lines("old", 10) + lines("more", 1000), lines("new", 200)]
    assert bench.ingest.order == sorted(bench.ingest.order, reverse=True)
    assert [s.path for s in bench.streams()] == [str(tmp_path / "a.log.1"), str(tmp_path / "a.log")]


def test_cascade(tmp_path: Path) -> None:
    """a.log -> a.log.1 -> a.log.2 -> gone, one rotation a round: each file is one stream, with its last path."""
    bench = Bench(tmp_path)
    for generation in range(6):
        for i in (2, 1):
            if (tmp_path / f"a.log.{i}").exists():
                (tmp_path / f"a.log.{i}").replace(tmp_path / f"a.log.{i + 1}")
        if (tmp_path / "a.log").exists():
            (tmp_path / "a.log").rename(tmp_path / "a.log.1")
        (tmp_path / "a.log.3").unlink(missing_ok=True)
        bench.write("a.log", lines(f"g{generation}", 20))
        bench.settle(1.1)
    bench.settle(10)
    assert bench.contents() == [lines(f"g{g}", 20) for g in range(6)]
    paths = [Path(s.path).name for s in bench.streams()]
    assert paths[3:] == ["a.log.2", "a.log.1", "a.log"]


def test_renamed_out_of_the_glob_or_deleted(tmp_path: Path) -> None:
    """A file whose name is gone is still read to its end, with what is written to it afterwards."""
    bench = Bench(tmp_path, "*.log")
    bench.write("a.log", "1\n")
    bench.settle()
    with (tmp_path / "a.log").open("ab") as late:
        (tmp_path / "a.log").rename(tmp_path / "a.old")
        bench.settle()
        late.write(b"2\n")
        late.flush()
        (tmp_path / "a.old").unlink()
        bench.settle()
        late.write(b"3\n")
        late.flush()
        bench.settle()
    assert bench.contents() == ["1\n2\n3\n"]
    bench.settle(70)
    assert bench.agent._roster.followers == []


def test_rotation_while_the_agent_is_down(tmp_path: Path) -> None:
    """After a restart the renamed file is known by its content and the new one read from its start."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("old", 100))
    bench.settle()
    bench.agent.stop()
    bench.agent.close()
    bench.write("a.log", lines("more", 100))
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    bench.write("a.log", lines("new", 5))
    bench.start()
    bench.settle(6)
    assert bench.contents() == [lines("old", 100) + lines("more", 100), lines("new", 5)]
    assert [Path(s.path).name for s in bench.streams()] == ["a.log.1", "a.log"]


def test_same_banner_in_each_generation(tmp_path: Path) -> None:
    """A new file that so far holds only the banner of the old one is a new stream, as the old one was seen to go."""
    bench = Bench(tmp_path)
    for generation in range(3):
        bench.write("a.log", "banner\n" + lines(f"g{generation}", 50))
        bench.settle(2)
        (tmp_path / "a.log").rename(tmp_path / f"a.log.{generation}")
        bench.write("a.log", "banner\n")
        bench.settle(2)
        (tmp_path / "a.log").write_bytes(b"")
        bench.settle(2)
    assert [s.n for s in bench.streams()] == [0, 1, 2, 3, 4, 5]


def test_short_file_that_cannot_be_told_waits(tmp_path: Path) -> None:
    """After a restart a file that holds only another one's beginning is pending, until it differs."""
    bench = Bench(tmp_path)
    bench.write("a.log.1", "banner\n" + lines("old", 50))
    bench.settle()
    bench.write("a.log", "banner\n")
    bench.settle(6)
    assert len(bench.contents()) == 1
    found = bench.store.kept["found", f"app@host:{tmp_path / 'a.log'}"]
    assert (found["size"], found["reason"]) == (7, "too_short")
    bench.write("a.log", lines("new", 2))
    bench.settle(6)
    assert bench.contents() == ["banner\n" + lines("old", 50), "banner\n" + lines("new", 2)]
    assert bench.store.kept["found", f"app@host:{tmp_path / 'a.log'}"]["size"] == 0


def test_without_inodes(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Where the system has no inodes the content alone leads through a rotation."""
    for module in ("files", "roster", "follow"):
        monkeypatch.setattr(f"logagg.source.{module}.file_key", lambda status: None)
    bench = Bench(tmp_path)
    for generation in range(4):
        bench.write("a.log", lines(f"g{generation}", 60))
        bench.settle(1.2)
        bench.write("a.log", lines(f"late{generation}", 3))
        (tmp_path / "a.log").rename(tmp_path / f"a.log.{generation}")
    bench.settle(3)
    assert sorted(bench.contents()) == sorted(lines(f"g{g}", 60) + lines(f"late{g}", 3) for g in range(4))


def test_copies_are_not_read_again(tmp_path: Path) -> None:
    """A full and a partial copy beside the log are recognised; the log goes on as its own stream."""
    text = lines("a", 200)
    bench = Bench(tmp_path)
    bench.write("a.log", text)
    bench.settle()
    bench.write("a.log.bak", text)
    bench.write("a.log.part", text[:5000])
    bench.settle(2)
    bench.write("a.log", lines("b", 10))
    bench.settle(6)
    assert bench.contents() == [text + lines("b", 10)]
    assert [Path(s.path).name for s in bench.streams()] == ["a.log"]
    reasons = {Path(v["path"]).name: v["reason"] for (kind, _), v in bench.store.kept.items() if kind == "found"}
    assert reasons["a.log.bak"] == reasons["a.log.part"] == "copy"
    bench.restart()
    bench.write("a.log", lines("c", 10))
    bench.settle(3)
    assert bench.contents() == [text + lines("b", 10) + lines("c", 10)]
