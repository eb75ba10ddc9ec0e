"""Many files on one agent: what idle ones cost, live ones beside a backlog, limits of the system, options."""

import logging
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logagg.source import files, roster, tail
from logagg.source.inotify import InotifyWatcher
from logagg.source.observe import OBSERVE_S
from logagg.source.watch import open_watcher
from tests.integration.test_tail_told import Told
from tests.service import Service, stored_streams
from tests.tailing import Bench
from tests.waiting import until

linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


def old(bench: Bench, name: str, text: str, age_s: float) -> None:
    """A file that was changed last so long ago."""
    bench.write(name, text)
    then_ns = bench.clock.now_us() * 1000 - round(age_s * 1e9)
    os.utime(bench.folder / name, ns=(then_ns, then_ns))


class Counting:
    """How often files are asked for their sizes, and which folders are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = self.read = 0
        monkeypatch.setattr(files.os, "fstat", self.counted("asked", os.fstat))
        monkeypatch.setattr(files.os, "scandir", self.counted("read", os.scandir))

    def counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def count(*args: object) -> Any:
            setattr(self, name, getattr(self, name) + 1)
            return call(*args)
        return count


def test_idle_files_cost_a_look_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is written, each of 200 files is asked for its size once in five seconds and its folder is not
    read; a file that the kernel tells of is asked alone."""
    told = Told()
    bench = Bench(tmp_path, watcher=told)
    for i in range(200):
        bench.write(f"{i:03}.log", f"1 of {i}\n2\n")
    monkeypatch.setattr("logagg.source.discover.SETTLED_S", -1.0)   # as if the folder had been read a while ago
    bench.settle(30)
    counting = Counting(monkeypatch)
    bench.settle(20)
    assert 3 * 200 <= counting.asked <= 5 * 200
    assert counting.read == 0
    bench.agent.step()
    counting.asked = 0
    bench.write("007.log", "3\n")
    told.grown = {str(tmp_path / "007.log")}
    bench.settle(1)
    assert bench.store.content[next(s.id for s in bench.streams() if s.path.endswith("007.log"))].endswith(b"2\n3\n")
    assert counting.asked < 20


def test_a_round_goes_over_what_is_awake(tmp_path: Path) -> None:
    """Files that rest are not gone through in a round in which another one grows."""
    told = Told()
    bench = Bench(tmp_path, watcher=told)
    for i in range(50):
        bench.write(f"{i:02}.log", f"1 of {i}\n2\n")
    bench.settle(10)
    bench.write("07.log", "3\n")
    told.grown = {str(tmp_path / "07.log")}
    bench.agent.step()
    assert [Path(follower.path).name for follower in bench.agent._awake] == ["07.log"]


def test_live_files_beside_a_backlog(tmp_path: Path) -> None:
    """While 200 old files are read, each line of a live one is committed by the second round after it was written."""
    bench = Bench(tmp_path, block_bytes=4096)
    bench.agent._turns.budget = 1 << 16
    for i in range(200):
        old(bench, f"old{i:03}.log", "".join(f"{i} line {n} of an old file\n" for n in range(1000)), 86_400)
    bench.write("live.log", "live 0\n")
    rounds = lines = 0
    while any(follower.behind for follower in bench.agent._roster.followers) or rounds < 10:
        lines += 1
        bench.write("live.log", f"live {lines}\n")
        bench.clock.step(0.3)
        bench.agent.step()
        rounds += 1
        if rounds >= 5:
            [live] = [text for text in bench.contents() if text.startswith("live")]
            assert f"live {lines - 2}\n" in live, f"round {rounds}"
    assert rounds > 50 and len(bench.contents()) == 201


def test_a_new_live_file_beside_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes to find out what old files are, one that is written now is read in the first rounds."""
    monkeypatch.setattr(tail, "ROUND_S", -1.0)      # no more than one is judged in a round
    bench = Bench(tmp_path)
    for n in range(30):
        old(bench, f"{n}.log", f"1 of {n}\n2\n", 86_400)
    bench.write("live.log", "1 live\n2\n3\n")
    for _ in range(3):
        bench.agent.step()
        bench.clock.step(0.2)
    assert "1 live\n2\n3\n" in bench.contents()
    bench.settle(20)
    assert len(bench.contents()) == 31


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_order_of_catching_up(tmp_path: Path, order: str) -> None:
    """Files that are there at the start are finished in the order of their last change, as the source says."""
    bench = Bench(tmp_path, block_bytes=1 << 14)
    bench.sources = [replace(bench.sources[0], order=order)]
    bench.start()
    bench.agent._turns.budget = 1 << 14
    for i, age_s in enumerate([500, 300, 400, 200]):
        old(bench, f"{i}.log", "".join(f"{i} line {n}\n" for n in range(5000)), age_s)
    ends: list[str] = []
    while len(ends) < 4:
        bench.clock.step(0.05)
        bench.agent.step()
        ends += [f.path for f in bench.agent._roster.followers if f.rests and f.path not in ends]
    ages = [{"0": 500, "1": 300, "2": 400, "3": 200}[Path(path).stem] for path in ends]
    assert ages == sorted(ages, reverse=order == "oldest")


def test_rate_limit(tmp_path: Path) -> None:
    """A source with a limit is read at that rate, without a busy loop; at the end it does not hold up stopping."""
    bench = Bench(tmp_path)
    bench.sources = [replace(bench.sources[0], rate_limit=10_000)]
    bench.start()
    old(bench, "a.log", "".join(f"{n:08}\n" for n in range(20_000)), 86_400)
    bench.settle(2)
    rounds, step = 0, bench.agent.step

    def counted() -> float:
        nonlocal rounds
        rounds += 1
        return step()

    bench.agent.step = counted  # type: ignore[method-assign,assignment]
    before = len(bench.contents()[0])
    bench.settle(10)
    assert 90_000 <= len(bench.contents()[0]) - before <= 110_000
    assert rounds <= 10 / 0.05
    bench.agent.step = step  # type: ignore[method-assign]
    bench.agent.stop()
    assert len(bench.contents()[0]) < 180_000


def test_a_limit_is_shared_by_live_files(tmp_path: Path) -> None:
    """Beside a file that grows faster than its source may be read, the others of the source have their turns."""
    bench = Bench(tmp_path)
    bench.sources = [replace(bench.sources[0], rate_limit=10_000)]
    bench.start()
    for name in ("a", "b", "c"):
        bench.write(f"{name}.log", f"{name} begins\n2\n")
    bench.settle(6)
    for n in range(300):
        bench.write("a.log", f"{n:08} of a log that grows by 15,000 bytes a second\n" * 26)
        if n == 100:
            bench.write("b.log", "3\n4\n")
            bench.write("c.log", "3\n4\n")
        bench.settle(0.1)
    assert {text for text in bench.contents() if text[0] in "bc"} == {f"{name} begins\n2\n3\n4\n" for name in "bc"}


def test_ignored_files(tmp_path: Path) -> None:
    """A file that was not changed for `ignore_older` is not opened and counted; it is read whole when it changes, and
    one that is followed stays followed however old it gets."""
    told = Told()
    bench = Bench(tmp_path, watcher=told)
    bench.sources = [replace(bench.sources[0], ignore_older_s=86_400)]
    bench.start()
    old(bench, "old.log", "1 old\n2 old\n", 86_500)
    old(bench, "new.log", "1 new\n2 new\n", 86_000)
    bench.settle(30)
    assert bench.contents() == ["1 new\n2 new\n"]
    assert bench.store.kept["ignored", "app@host"] == {"app": "app", "host": "host", "files": 1, "bytes": 12}
    bench.clock.step(90_000)
    bench.settle(30)
    assert bench.store.kept["ignored", "app@host"]["files"] == 1
    bench.write("old.log", "3 old\n")
    told.grown = {str(tmp_path / "old.log")}
    bench.settle(2)
    assert bench.contents() == ["1 new\n2 new\n", "1 old\n2 old\n3 old\n"]
    bench.settle(10)
    assert bench.store.kept["ignored", "app@host"]["files"] == 0


@pytest.mark.parametrize("name", ["a.log", "a.log.1"])
def test_a_file_that_is_too_old_before_it_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    """What was begun is read to its end after a restart, also under another name: only other old files are ignored,
    and nothing is taken for deleted."""
    bench = Bench(tmp_path, block_bytes=1000)
    bench.sources = [replace(bench.sources[0], ignore_older_s=3600)]
    bench.start()
    text = "".join(f"{n:08}\n" for n in range(5000))
    old(bench, "a.log", text, 3000)
    old(bench, "b.log", "1 of another\n", 4000)
    for _ in range(4):
        bench.agent.step()
        bench.clock.step(OBSERVE_S)
    assert 0 < len(bench.contents()[0]) < len(text)
    bench.agent.close()
    (tmp_path / "a.log").rename(tmp_path / name)
    bench.clock.step(4000)
    bench.start()
    bench.settle(100)
    assert bench.contents() == [text]
    assert [(one.end, one.dropped) for one in bench.streams()] == [(len(text), {})]
    assert bench.store.kept["ignored", "app@host"]["files"] == 1


def test_an_ignored_file_of_which_nobody_tells(tmp_path: Path) -> None:
    """Where nothing is watched, an ignored file that changes is found within ten seconds."""
    bench = Bench(tmp_path)
    bench.sources = [replace(bench.sources[0], ignore_older_s=60)]
    bench.start()
    old(bench, "a.log", "1\n", 100)
    bench.settle(3)
    assert bench.contents() == []
    bench.write("a.log", "2\n")
    bench.settle(12)
    assert bench.contents() == ["1\n2\n"]


# --- folders --------------------------------------------------------------------------------------------------------


class Late:
    """A watcher that lets something happen just before a folder is watched."""

    def __init__(self, happens: Callable[[str], None]) -> None:
        self.inner = InotifyWatcher()
        self.happens = happens
        self.seen: set[str] = set()
        self.take_changed, self.take_grown = self.inner.take_changed, self.inner.take_grown
        self.wait, self.close = self.inner.wait, self.inner.close

    def watch(self, folders: Mapping[str, tuple[int, int] | None]) -> Collection[str]:
        for folder in sorted(folders.keys() - self.seen):
            self.seen.add(folder)
            self.happens(folder)
        return self.inner.watch(folders)


@linux
def test_folders_that_grow_while_they_are_found(tmp_path: Path) -> None:
    """A file, and a folder with a file, that come between the reading of a folder and its watching are found in the
    same round."""
    def happens(folder: str) -> None:
        if (depth := len(Path(folder).relative_to(tmp_path).parts)) < 4:
            below = Path(folder) / f"deeper{depth}"
            below.mkdir()
            (below / "a.log").write_text(f"1 at {depth}\n")
            (Path(folder) / "b.log").write_text(f"1 b {depth}\n")

    bench = Bench(tmp_path, "**/*.log", watcher=Late(happens))
    bench.agent.step()
    assert len(bench.agent._roster.followers) == 8
    assert set(bench.agent._watcher.inner._watched) == bench.agent._watched  # type: ignore[attr-defined]
    assert len(bench.agent._watched) == 5


@linux
def test_new_folders_are_watched(tmp_path: Path) -> None:
    """Files in folders that come later, however deep, are read at once and told of by the kernel; excluded ones not."""
    bench = Bench(tmp_path, "**/*.log", open_watcher=open_watcher)
    bench.sources = [replace(bench.sources[0], exclude=("skip*", "*/no/*"))]
    bench.start()
    bench.settle(1)
    for folder in ("x/y/z", "no"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("x/y/z/a.log", "x/y/z/skip.log", "no/b.log"):
        bench.write(name, "1\n2\n")
    bench.settle(1)
    assert bench.contents() == ["1\n2\n"]
    bench.write("x/y/z/a.log", "3\n")
    bench.settle(0.5)
    assert bench.contents() == ["1\n2\n3\n"]
    assert all(follower.told for follower in bench.agent._roster.followers)


@linux
@pytest.mark.parametrize("way", ["link to a file elsewhere", "link to a folder", "doubled slashes", "two names"])
def test_growth_is_told_under_every_name(tmp_path: Path, way: str) -> None:
    """What is written to a file that is reached through a link, or under an odd path, is told of by the kernel."""
    (tmp_path / "real").mkdir()
    (tmp_path / "logs").mkdir()
    real, globs = "real/a.log", ("logs/*.log",)
    if way == "link to a file elsewhere":
        (tmp_path / "logs" / "current.log").symlink_to(tmp_path / "real" / "a.log")
    elif way == "link to a folder":
        (tmp_path / "logs").rmdir()
        (tmp_path / "logs").symlink_to("real")
    elif way == "doubled slashes":
        globs = ("/real//*.log",)
    else:
        (tmp_path / "logs").rmdir()
        (tmp_path / "logs").symlink_to("real")
        globs = ("real/*.log", "logs/*.log")
    bench = Bench(tmp_path, *globs, open_watcher=open_watcher)
    if way == "doubled slashes":
        bench.sources = [replace(bench.sources[0], paths=(f"{tmp_path}//real//*.log",))]
        bench.start()
    bench.write(real, "1\n2\n")
    bench.settle(2)
    for n in range(3, 6):
        bench.write(real, f"{n}\n")
        bench.clock.step(0.1)
        bench.settle(0.5)
        assert bench.contents() == ["".join(f"{i}\n" for i in range(1, n + 1))]
    assert all(follower.told for follower in bench.agent._roster.followers)
    assert not bench.agent._growth.asked_in_rounds


@linux
def test_a_link_that_leads_elsewhere(tmp_path: Path) -> None:
    """A folder's name that leads to another folder from now on is found within ten seconds, and watched there."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    bench = Bench(tmp_path, "current/*.log", open_watcher=open_watcher)
    bench.write("one/a.log", "1 one\n2\n")
    bench.write("two/a.log", "1 two\n2\n")
    (tmp_path / "current").symlink_to("one")
    bench.settle(2)
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "current")
    bench.settle(12)
    assert bench.contents() == ["1 one\n2\n", "1 two\n2\n"]
    bench.write("two/a.log", "3\n")
    bench.settle(0.5)
    assert bench.contents() == ["1 one\n2\n", "1 two\n2\n3\n"]


def test_a_file_that_goes_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that vanishes between listing and opening is no problem, and is read when it comes back."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1 a\n")
    bench.write("b.log", "1 b\n")
    opened = roster.open_log

    def open_late(path: str) -> files.LogFile:
        monkeypatch.setattr(roster, "open_log", opened)
        Path(path).unlink()
        return opened(path)

    monkeypatch.setattr(roster, "open_log", open_late)
    bench.settle(3)
    assert bench.contents() == ["1 b\n"]
    bench.write("a.log", "2 a\n")
    bench.settle(3)
    assert bench.contents() == ["1 b\n", "2 a\n"]


# --- limits of the system -------------------------------------------------------------------------------------------

CONFIG = """\
[store]
url = "sqlite:///logagg.db"

[[source]]
app = "a"
host = "h"
paths = ["logs/**/*.log"]
layout = "%d{ISO8601} %p %c - %m%n"
timezone = "UTC"
"""


def line(text: str) -> str:
    return f"2026-11-20T10:00:00,000 INFO a.b - {text}\n"


@linux
def test_no_more_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the system's limit files are asked at least every ten seconds, one message names the setting and a
    number, and when the limit is raised everything is watched without a restart."""
    limit = 3

    def open_limited() -> InotifyWatcher:
        watcher = InotifyWatcher()
        add = watcher._libc.inotify_add_watch

        class Limited:
            def inotify_add_watch(self, fd: int, folder: bytes, mask: int) -> int:
                import ctypes
                import errno
                if len(watcher._folders) >= limit:
                    ctypes.set_errno(errno.ENOSPC)
                    return -1
                return int(add(fd, folder, mask))

            def inotify_rm_watch(self, fd: int, number: int) -> int:
                return 0

        watcher._libc = Limited()  # type: ignore[assignment]
        return watcher

    for i in range(6):
        (tmp_path / str(i)).mkdir()
    bench = Bench(tmp_path, "*/*.log", open_watcher=open_limited)
    for i in range(6):
        bench.write(f"{i}/a.log", f"1 of {i}\n2\n")
    caplog.set_level(logging.INFO)
    bench.settle(100)
    [message] = [text for text in caplog.messages if "watched" in text]
    assert "4 of 7 folders cannot be watched" in message and "sudo sysctl fs.inotify.max_user_watches=" in message
    for i in range(6):
        bench.write(f"{i}/a.log", "3\n")
        bench.write(f"{i}/new.log", f"1 new of {i}\n")
    bench.settle(11)
    assert sorted(bench.contents()) == sorted(t for i in range(6) for t in (f"1 of {i}\n2\n3\n", f"1 new of {i}\n"))
    limit = 10
    bench.settle(11)
    assert caplog.messages[-1] == "all folders can be watched now"
    assert not bench.agent._growth.unwatched


@linux
@pytest.mark.skipif(not shutil.which("unshare") or subprocess.run(
    ["unshare", "-Ur", "true"], capture_output=True).returncode != 0, reason="needs user namespaces")
def test_the_kernels_own_limit(tmp_path: Path) -> None:
    """With the kernel's limit at four watches `logagg run` says so and follows the files of all ten folders."""
    for i in range(10):
        (tmp_path / "logs" / str(i)).mkdir(parents=True)
        (tmp_path / "logs" / str(i) / "a.log").write_text(line(f"1 of {i}"))
    config = tmp_path / "logagg.toml"
    config.write_text(CONFIG)
    script = 'echo 4 > /proc/sys/user/max_inotify_watches && exec "$@"'
    with Service(config, "--roles", "agent", prefix=("unshare", "-Ur", "sh", "-c", script, "sh")) as service:
        url = f"sqlite:///{tmp_path / 'logagg.db'}"
        until(lambda: service.holds(len(stored_streams(url)) == 10), "ten streams")
        sizes = {}
        for i in range(10):
            path = tmp_path / "logs" / str(i) / "a.log"
            with path.open("a") as file:
                file.write(line("2"))
            sizes[str(path)] = path.stat().st_size
        until(lambda: service.holds({s.path: s.end for s in stored_streams(url)} == sizes), "all second lines")
        assert "7 of 11 folders cannot be watched" in service.messages(), service.messages()
        assert "fs.inotify.max_user_watches" in service.messages()


@linux
def test_few_descriptors(tmp_path: Path) -> None:
    """With 1,024 descriptors 1,500 files are read, and lines that are written to any of them afterwards."""
    (tmp_path / "logs").mkdir()
    for i in range(1500):
        (tmp_path / "logs" / f"{i}.log").write_text(line(f"file {i}"))
    config = tmp_path / "logagg.toml"
    config.write_text(CONFIG)
    script = 'ulimit -n 1024 && exec "$@"'
    with Service(config, "--roles", "agent", prefix=("sh", "-c", script, "sh")) as service:
        url = f"sqlite:///{tmp_path / 'logagg.db'}"
        until(lambda: service.holds(len(stored_streams(url)) == 1500), "all streams", 120)
        chosen = random.Random(7).sample(range(1500), 300)
        for i in chosen:
            with (tmp_path / "logs" / f"{i}.log").open("a") as file:
                file.write(line("again"))
        sizes = {str(path): path.stat().st_size for path in (tmp_path / "logs").iterdir()}
        until(lambda: service.holds({s.path: s.end for s in stored_streams(url)} == sizes), "the second lines")
        assert "WARNING" not in service.messages(), service.messages()
        assert service.stop() == 0
