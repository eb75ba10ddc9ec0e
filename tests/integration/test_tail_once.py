"""`read_once`: all files to their ends, once, whatever their order, form and state."""

import gzip
import random
import threading
from pathlib import Path

import pytest
import zstandard

from logagg.clock import StepClock
from logagg.errors import StoreUnavailable
from logagg.ledger import ledger
from logagg.source.discover import FileSource
from logagg.source.once import Once, read_once
from tests.tailing import NOW_US, Bench, MemoryIngest, MemoryStore


def lines(name: str, count: int) -> str:
    return "".join(f"{name} {i:06} " + "x" * 40 + "\n" for i in range(count))


class Run:
    """A store in memory that is filled by calls of `read_once`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryStore()
        self.ingest = MemoryIngest(self.store)
        self.progress: list[tuple[int, int]] = []

    def read(self, *paths: str, **options: object) -> Once:
        source = FileSource("app", "host", tuple(str(self.folder / p) for p in paths or (".",)))
        return read_once(
            [source], self.store, self.ingest,  # type: ignore[arg-type]
            progress=lambda done, total: self.progress.append((done, total)),
            clock=StepClock(NOW_US), rng=random.Random(1), **options,  # type: ignore[arg-type]
        )

    def contents(self) -> list[str]:
        return sorted(content.decode() for content in self.store.content.values())


def test_plain_and_compressed(tmp_path: Path) -> None:
    """All files of a folder are read, last unfinished lines included, and progress ends at all bytes on disk."""
    (tmp_path / "a.log").write_text(lines("a", 5000) + "unfinished")
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(lines("b", 5000).encode()))
    (tmp_path / "c.log.zst").write_bytes(zstandard.compress(b"no line end"))
    (tmp_path / "empty.log").touch()
    (tmp_path / "empty.log.gz").write_bytes(gzip.compress(b""))
    run = Run(tmp_path)
    result = run.read(block_bytes=10_000)
    assert run.contents() == [lines("a", 5000) + "unfinished", lines("b", 5000), "no line end"]
    assert (result.paths, result.errors, result.copies) == (5, [], [])
    total = sum(p.stat().st_size for p in tmp_path.iterdir())
    assert run.progress == sorted(run.progress) and run.progress[-1] == (total, total)
    assert run.store.kept["observation", "app@host"] == {"at_us": NOW_US, "paths": 5}


def test_second_time_reads_nothing(tmp_path: Path) -> None:
    """Read again, also compressed or as a partial copy meanwhile, the files add nothing."""
    (tmp_path / "a.log").write_text("banner\n" + lines("a", 500))
    (tmp_path / "b.log").write_text("banner\n" + lines("b", 500))
    run = Run(tmp_path)
    run.read()
    commits, contents = run.ingest.commits, run.contents()
    run.read()
    (tmp_path / "a.log.gz").write_bytes(gzip.compress((tmp_path / "a.log").read_bytes()))
    (tmp_path / "a.part").write_bytes((tmp_path / "a.log").read_bytes()[:2000])
    (tmp_path / "b.log").rename(tmp_path / "b.old")
    result = run.read()
    assert (run.ingest.commits, run.contents()) == (commits, contents)
    assert result.copies == [str(tmp_path / "a.part")]
    (tmp_path / "b.old").write_text("banner\n" + lines("b", 600))
    run.read()
    assert run.contents() == ["banner\n" + lines("a", 500), "banner\n" + lines("b", 600)]


def test_copies_and_waiting_files_are_in_the_ledger(tmp_path: Path) -> None:
    """What is not read is noted with its reason, and taken back once it is read."""
    (tmp_path / "a.log").write_text("banner\n" + lines("a", 500))
    (tmp_path / "b.log").write_text("banner\n")
    (tmp_path / "c.part").write_bytes((tmp_path / "a.log").read_bytes()[:2000])
    run = Run(tmp_path)
    run.read()
    rows = {Path(row["path"]).name: row for row in ledger(run.store, 0)["streams"]}  # type: ignore[arg-type]
    assert (rows["b.log"]["reason"], rows["b.log"]["pending"]) == ("too_short", 7)
    assert rows["c.part"]["dropped"] == {"copy": 2000}
    (tmp_path / "b.log").write_text("banner\n" + lines("b", 5))
    run.read()
    (row,) = [row for row in ledger(run.store, 0)["streams"] if row["path"].endswith("b.log")]  # type: ignore[arg-type]
    assert (row["committed"], row["pending"]) == (len("banner\n" + lines("b", 5)), 0)


@pytest.mark.parametrize("seed", range(8))
def test_any_order(tmp_path: Path, seed: int) -> None:
    """Generations with one banner, and a copy, give the same streams in whatever order they come."""
    rng = random.Random(seed)
    texts = ["banner\n" + lines(f"g{i}", rng.randrange(1, 300)) for i in range(12)]
    names = [f"{i:02}.log" for i in range(13)]
    rng.shuffle(names)
    for name, text in zip(names, [*texts, texts[0]], strict=True):
        (tmp_path / name).write_text(text)
    run = Run(tmp_path)
    for name in rng.sample(names, 13) if seed % 2 else ["."]:
        run.read(name)
    assert run.contents() == sorted(texts)


def test_bad_files_stop_no_other(tmp_path: Path) -> None:
    """A truncated archive gives what it holds, a missing path an error, the rest is read, and nothing is observed."""
    (tmp_path / "a.log").write_text(lines("a", 10))
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(random.Random(1).randbytes(300_000))[:200_000])
    (tmp_path / "c.log").write_text(lines("c", 10))
    run = Run(tmp_path)
    result = run.read("a.log", "none.log", "b.log.gz", "c.log")
    assert [str(error).split(": ")[1][:9] for error in result.errors] == ["no such f", "truncated"]
    assert [len(content) > 100_000 for content in run.store.content.values()] == [False, True, False]
    assert ("observation", "app@host") not in run.store.kept


def test_store_away_and_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reading goes on by itself when the store comes back within the time, and raises when it does not.

    However often it is tried, it is said once.
    """
    (tmp_path / "a.log").write_text(lines("a", 1000))
    run = Run(tmp_path)

    class Returning(StepClock):
        def wait(self, event: threading.Event, timeout_s: float) -> bool:
            run.store.down = self.now_us() < NOW_US + 30_000_000
            return super().wait(event, timeout_s)

    source = FileSource("app", "host", (str(tmp_path),))
    run.store.down = True
    read_once([source], run.store, run.ingest, clock=Returning(NOW_US), rng=random.Random(1))  # type: ignore[arg-type]
    assert run.contents() == [lines("a", 1000)]
    assert [record.getMessage().endswith("; trying again for 300 seconds") for record in caplog.records] == [True]
    run.store.down = True
    with pytest.raises(StoreUnavailable):
        run.read()


def test_once_after_live(tmp_path: Path) -> None:
    """What an agent has read is not read again, and what it had not is added."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("a", 10) + "half")
    bench.settle()
    run = Run(tmp_path)
    run.store, run.ingest = bench.store, bench.ingest
    bench.write("a.log", " line\n" + lines("b", 10))
    run.read()
    assert run.contents() == [lines("a", 10) + "half line\n" + lines("b", 10)]
