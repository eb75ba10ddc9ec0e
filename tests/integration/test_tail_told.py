"""Growth that the kernel tells of, and growth that it is silent about."""

import errno
import logging
import os
import sys
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from logagg.source import inotify
from logagg.source.watch import NoWatcher, open_watcher
from tests.tailing import Bench

SILENT_S = 5.0


class Told:
    """A watcher that tells what the test says."""

    def __init__(self) -> None:
        self.changed = False
        self.grown: set[str] | None = set()

    def watch(self, folders: Mapping[str, tuple[int, int] | None]) -> Collection[str]:
        return ()

    def take_changed(self) -> bool:
        changed, self.changed = self.changed, False
        return changed

    def take_grown(self) -> set[str] | None:
        grown, self.grown = self.grown, set()
        return grown

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_the_kernel_tells_of_growth(tmp_path: Path) -> None:
    """Each file that grows or is emptied is named once, under its present name; names that come are no growth."""
    watcher = open_watcher()
    (tmp_path / "a.log").write_text("1\n")
    watcher.watch({str(tmp_path): None})
    assert watcher.take_grown() == set()
    for name in ("a.log", "b.log"):
        with (tmp_path / name).open("a") as file:
            for _ in range(100):
                file.write("2\n")
                file.flush()
    assert watcher.take_grown() == {str(tmp_path / "a.log"), str(tmp_path / "b.log")}
    assert watcher.take_changed()
    (tmp_path / "a.log").rename(tmp_path / "c.log")
    watcher.take_grown()
    with (tmp_path / "c.log").open("a") as file:
        file.write("3\n")
    assert watcher.take_grown() == {str(tmp_path / "c.log")}
    (tmp_path / "c.log").write_text("")
    assert watcher.take_grown() == {str(tmp_path / "c.log")}
    watcher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_names_that_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are written to and deleted leave nothing behind, however many names they had."""
    monkeypatch.setattr(inotify, "PATHS_MAX", 10)
    watcher = inotify.InotifyWatcher()
    watcher.watch({str(tmp_path): None})
    paths = [tmp_path / f"{i}.log" for i in range(50)]
    for path in paths:
        path.write_text("1\n")
        path.unlink()
    assert watcher.take_grown() == {str(path) for path in paths}
    assert len(watcher._paths) <= 10
    watcher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_events_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes as fast as events are read holds up nobody: what is left is told the next time."""
    watcher = inotify.InotifyWatcher()
    watcher.watch({str(tmp_path): None})
    (tmp_path / "a.log").write_text("1\n")
    event = os.read(watcher._fd, inotify.READ_BYTES)
    monkeypatch.setattr(inotify.os, "read", lambda fd, size: event)
    assert watcher.take_grown() == {str(tmp_path / "a.log")}
    monkeypatch.undo()
    watcher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_a_folder_that_was_moved_away(tmp_path: Path) -> None:
    """A folder that is elsewhere is watched no more: what is written there wakes nobody."""
    (tmp_path / "logs").mkdir()
    watcher = open_watcher()
    watcher.watch({str(tmp_path / "logs"): None})
    (tmp_path / "logs").rename(tmp_path / "gone")
    assert watcher.take_changed()
    (tmp_path / "gone" / "a.log").write_text("1\n")
    assert not watcher.take_changed()
    assert watcher.take_grown() == set()
    watcher.close()


def test_a_python_without_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without inotify folders are listed instead."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "logagg.source.inotify", None)
    assert isinstance(open_watcher(), NoWatcher)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_no_more_watchers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where other programs have taken all that the system has, files are asked; the kernel tells as soon as there is
    one again, without a restart."""
    caplog.set_level(logging.INFO)
    with monkeypatch.context() as patch:
        patch.setattr(inotify.InotifyWatcher, "__init__", _refuse)
        bench = Bench(tmp_path, open_watcher=open_watcher)
        bench.write("a.log", "1\n2\n")
        bench.settle(2)
        assert not bench.agent._growth.tells
    bench.settle(11)
    assert bench.agent._growth.tells and not bench.agent._growth.unwatched
    bench.write("a.log", "3\n4\n")
    bench.agent.step()
    assert bench.contents() == ["1\n2\n3\n"]
    assert [text.partition(";")[0] for text in caplog.messages if "watch" in text] == [
        "no watching of folders here", "folders can be watched now"]
    bench.agent.close()


def _refuse(watcher: inotify.InotifyWatcher) -> None:
    raise OSError(errno.EMFILE, "no more")


def test_told_files_are_read_at_once(tmp_path: Path) -> None:
    """A file that the kernel tells of is read in the next round, and nothing is to be done until the next look."""
    told = Told()
    bench = Bench(tmp_path, watcher=told)
    bench.write("a.log", "1\n2\n")
    bench.settle(2)
    assert bench.agent.step() > 1
    bench.write("a.log", "3\n4\n")
    told.grown = {str(tmp_path / "a.log")}
    bench.agent.step()
    assert bench.contents() == ["1\n2\n3\n"]
    bench.settle(0.3)
    assert bench.contents() == ["1\n2\n3\n4\n"]


def test_a_silent_file_is_asked_from_then_on(tmp_path: Path) -> None:
    """Growth that the kernel did not tell of is found within seconds, and after that in every round."""
    bench = Bench(tmp_path, watcher=Told())
    bench.write("a.log", "1\n2\n")
    bench.settle(2)
    bench.write("a.log", "3\n4\n")
    bench.settle(SILENT_S + 1)
    assert bench.contents() == ["1\n2\n3\n4\n"]
    assert bench.agent.step() <= 0.2
    bench.write("a.log", "5\n6\n")
    bench.settle(0.5)
    assert bench.contents() == ["1\n2\n3\n4\n5\n6\n"]


def test_a_file_that_is_renamed_as_it_grows(tmp_path: Path) -> None:
    """Growth is told under the name of that moment, and the file is found under another: it is not silent for that."""
    told = Told()
    bench = Bench(tmp_path, watcher=told)
    bench.write("a.log", "1\n2\n")
    bench.settle(2)
    bench.write("a.log", "3\n4\n")
    told.grown = {str(tmp_path / "a.log")}
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    told.changed = True
    bench.settle(2)
    assert bench.contents() == ["1\n2\n3\n4\n"]
    assert bench.agent.step() > 1


def test_events_that_were_lost_say_nothing_of_files(tmp_path: Path) -> None:
    """A file that grew while the kernel lost count is told of as before from then on."""
    told = Told()
    bench = Bench(tmp_path, watcher=told)
    bench.write("a.log", "1\n2\n")
    bench.settle(2)
    bench.write("a.log", "3\n4\n")
    bench.clock.step(SILENT_S)
    bench.agent.step()
    told.grown = None
    bench.agent.step()
    bench.settle(2)
    assert bench.contents() == ["1\n2\n3\n4\n"]
    assert bench.agent.step() > 1
