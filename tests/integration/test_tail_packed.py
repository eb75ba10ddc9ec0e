"""Compressed files: renamed at each rollover, beside what they were made of, not complete yet."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logagg.source import files
from tests.tailing import Bench

FILES = 40


def text(generation: int) -> bytes:
    return b"".join(b"generation %d line %06d of the log\n" % (generation, i) for i in range(2000))


class Unpacked:
    """Counts what was decompressed since it was last asked."""

    def __init__(self) -> None:
        self.bytes = 0

    def take(self) -> int:
        taken, self.bytes = self.bytes, 0
        return taken


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Unpacked]:
    count, open_content = Unpacked(), files._content

    class Counted:
        def __init__(self, content: files.Content) -> None:
            self._content = content

        def read1(self, size: int) -> bytes:
            data = self._content.read1(size)
            count.bytes += len(data)
            return data

    monkeypatch.setattr(files, "_content", lambda path, file: Counted(open_content(path, file)))
    yield count


def shift(bench: Bench, newest: int, count: int, *, up: bool) -> None:
    """A rollover as with fileIndex=min (.1 is the newest) or max (the oldest goes, all others are renamed)."""
    def name(i: int) -> Path:
        return bench.folder / f"a-{i}.log.gz"

    if up:
        name(count).unlink(missing_ok=True)
        for i in range(count - 1, 0, -1):
            name(i).rename(name(i + 1))
    else:
        name(1).unlink()
        for i in range(1, count):
            name(i + 1).rename(name(i))
    path = name(1 if up else count)
    path.write_bytes(gzip.compress(text(newest)))
    os.utime(path, ns=(0, bench.clock.now_us() * 1000))


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("open_max", [16, 256])
def test_renamed_archives_are_not_unpacked_again(tmp_path: Path, unpacked: Unpacked, up: bool, open_max: int) -> None:
    """However many compressed files a rollover renames, only the new one is unpacked, and none after a restart; few of
    them are kept open."""
    for i in range(1, FILES + 1):
        (tmp_path / f"a-{i}.log.gz").write_bytes(gzip.compress(text(i)))
    bench = Bench(tmp_path, open_max=open_max)
    bench.settle(30)
    assert sorted(bench.contents()) == sorted(text(i).decode() for i in range(1, FILES + 1))
    unpacked.take()
    size = len(text(1))
    for rollover in range(5):
        shift(bench, 100 + rollover, FILES, up=up)
        bench.settle(12)
        assert text(100 + rollover).decode() in bench.contents()
        assert unpacked.take() <= 4 * size
    assert sum(follower.file is not None for follower in bench.agent._roster.followers) == 0
    paths = {stream.path for stream in bench.streams() if os.path.exists(stream.path)}     # noqa: PTH110
    assert paths == {str(path) for path in tmp_path.iterdir()}
    bench.agent.stop()
    bench.agent.close()
    for rollover in range(5, 8):
        shift(bench, 100 + rollover, FILES, up=up)
    bench.start()
    bench.settle(30)
    assert len(bench.contents()) == FILES + 8
    assert unpacked.take() <= 3 * 4 * size


def test_an_archive_is_read_when_it_is_complete(tmp_path: Path) -> None:
    """A compressed file that is being written beside the plain one is left alone until it can be read to its end, and
    then it is known at once: nothing is read twice, and the source is observed before 5 s are over."""
    bench = Bench(tmp_path)
    packed = gzip.compress(text(1))
    bench.write("a-1.log", text(1))
    bench.settle()
    for part in (b"", packed[:100], packed[:-1]):
        bench.write("a-1.log.gz", part[(tmp_path / "a-1.log.gz").stat().st_size if part else 0:])
        bench.settle(2)
        assert [Path(follower.path).name for follower in bench.agent._roster.followers] == ["a-1.log"]
    bench.write("a-1.log.gz", packed[-1:])
    begun_us = bench.clock.now_us()
    bench.settle(2.5)
    (tmp_path / "a-1.log").unlink()
    bench.settle(2)
    assert bench.agent._observers["app", "host"].at_us > begun_us
    assert bench.contents() == [text(1).decode()]
    bench.settle(70)
    assert [(stream.path, stream.end) for stream in bench.streams()] == [(str(tmp_path / "a-1.log.gz"), len(text(1)))]


def test_an_archive_from_the_future(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large archive whose time is ahead, since a clock was set back, is read now, and the source is observed."""
    monkeypatch.setattr(files, "WHOLE_DISK_BYTES_MAX", 100)     # "large"
    bench = Bench(tmp_path)
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(text(1)))
    then_ns = (bench.clock.now_us() + 3_600_000_000) * 1000
    os.utime(tmp_path / "a.log.gz", ns=(then_ns, then_ns))
    bench.settle(20)
    assert bench.contents() == [text(1).decode()]
    assert ("observation", "app@host") in bench.store.kept


def test_observed_through_steady_rollovers(tmp_path: Path) -> None:
    """An application that compresses a file each second does not keep its source from being observed."""
    bench = Bench(tmp_path)
    for i in range(12):
        bench.write("a.log", text(i))
        bench.settle(0.5)
        (tmp_path / "a.log").rename(tmp_path / f"a-{i}.log")
        bench.write(f"a-{i}.log.gz", gzip.compress(text(i)))
        (tmp_path / f"a-{i}.log").unlink()
        bench.settle(0.5)
    at_us = bench.agent._observers["app", "host"].at_us
    assert at_us is not None and bench.clock.now_us() - at_us < 3_000_000
    assert bench.contents() == [text(i).decode() for i in range(12)]
