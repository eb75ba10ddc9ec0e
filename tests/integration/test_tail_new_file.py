"""New files are picked up, from one source or several, and one bad name hinders no other."""

import threading
from pathlib import Path

from logagg.source.watch import open_watcher
from tests.tailing import Bench
from tests.waiting import until


def test_existing_and_new_files(tmp_path: Path) -> None:
    """A file that is there at the start and one that comes later are both read, each as its own stream."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1 a\n2 a\n")
    bench.settle()
    bench.write("b.log", "1 b\n")
    bench.settle()
    assert bench.contents() == ["1 a\n2 a\n", "1 b\n"]
    assert [(s.path, s.n) for s in bench.streams()] == [(str(tmp_path / "a.log"), 0), (str(tmp_path / "b.log"), 0)]


def test_empty_file_and_missing_folder(tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    """An empty file is no stream, a missing folder is said once, and its files are read when it comes."""
    bench = Bench(tmp_path, "later/*.log", "*.log")
    (tmp_path / "empty.log").touch()
    bench.settle(5)
    assert bench.contents() == []
    assert [m for m in caplog.messages if "no such file" in m] == caplog.messages and len(caplog.messages) == 1
    assert ("observation", "app@host") not in bench.store.kept
    (tmp_path / "later").mkdir()
    bench.write("later/x.log", "1 x\n")
    bench.settle(6)
    assert bench.contents() == ["1 x\n"]
    assert bench.store.kept["observation", "app@host"]["paths"] == 2


def test_files_that_begin_alike(tmp_path: Path) -> None:
    """Files with one first line and different content are different streams, and stay so after a restart."""
    bench = Bench(tmp_path)
    for name in ("a", "b", "c"):
        bench.write(f"{name}.log", f"banner\n1 {name}\n")
    bench.settle(2)
    bench.restart()
    for name in ("c", "b", "a"):
        bench.write(f"{name}.log", f"2 {name}\n")
    bench.settle()
    assert sorted(bench.contents()) == [f"banner\n1 {name}\n2 {name}\n" for name in ("a", "b", "c")]
    assert sorted(s.n for s in bench.streams()) == [0, 1, 2]


def test_a_link_is_the_same_file(tmp_path: Path) -> None:
    """A symbolic link beside its file does not make it two streams."""
    bench = Bench(tmp_path)
    bench.write("a-2026.log", "1\n")
    (tmp_path / "current.log").symlink_to("a-2026.log")
    bench.settle()
    bench.write("a-2026.log", "2\n")
    bench.settle()
    assert bench.contents() == ["1\n2\n"]


def test_more_files_than_may_be_open(tmp_path: Path) -> None:
    """With a bound on open files all are read, and what an idle, closed one gets later is read too."""
    bench = Bench(tmp_path, open_max=3)
    for i in range(12):
        bench.write(f"{i:02}.log", f"first {i}\n")
    bench.settle(15)
    assert sorted(bench.contents()) == sorted(f"first {i}\n" for i in range(12))
    for i in range(12):
        bench.write(f"{i:02}.log", f"second {i}\n")
    bench.settle(15)
    assert sorted(bench.contents()) == sorted(f"first {i}\nsecond {i}\n" for i in range(12))


def test_compressed_file_beside_its_stream(tmp_path: Path) -> None:
    """A rotated log that was compressed is recognised by its content, and what was not read of it yet is."""
    import gzip

    text = "".join(f"{i} line of the log\n" for i in range(2000))
    bench = Bench(tmp_path)
    bench.write("a.log", text[:20000])
    bench.settle()
    bench.agent.stop()
    bench.agent.close()
    (tmp_path / "a.log").unlink()
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(text.encode()))
    bench.start()
    bench.settle()
    assert bench.contents() == [text]
    assert [s.path for s in bench.streams()] == [str(tmp_path / "a.log.1.gz")]
    commits = bench.ingest.commits
    bench.restart()
    bench.settle()
    assert bench.ingest.commits == commits
    assert [value["size"] for (kind, _), value in bench.store.kept.items() if kind == "packed"] == [len(text)]


def test_the_watcher_notices_names(tmp_path: Path) -> None:
    """A new, a renamed and a deleted name wake the agent; growth does not; a folder that comes later is watched."""
    watcher = open_watcher()
    here, later = str(tmp_path), str(tmp_path / "later")
    (tmp_path / "grows.log").touch()
    assert set(watcher.watch({here: None, later: None})) == {later}
    (tmp_path / "a.log").touch()
    until(watcher.take_changed, "the new file")
    (tmp_path / "later").mkdir()
    until(watcher.take_changed, "the new folder")
    assert not watcher.watch({here: None, later: None})
    (tmp_path / "later" / "b.log").touch()
    until(watcher.take_changed, "the file in the new folder")
    (tmp_path / "a.log").rename(tmp_path / "b.log")
    until(watcher.take_changed, "the new name")
    watcher.close()


def test_run_until_stopped(tmp_path: Path) -> None:
    """`run` follows until the event is set, and then commits the last record and the half-written line too."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1\n2\n")
    stop = threading.Event()
    step = bench.agent.step

    def step_and_write(**options: bool) -> float:
        wait_s = step(**options)
        if bench.contents() == ["1\n2\n"] and not stop.is_set():
            bench.write("a.log", "3\nhalf")
            stop.set()
        return wait_s

    bench.agent.step = step_and_write  # type: ignore[method-assign]
    bench.agent.run(stop)
    assert bench.contents() == ["1\n2\n3\nhalf"]
    assert bench.store.kept["observation", "app@host"]["at_us"] == bench.clock.now_us()
