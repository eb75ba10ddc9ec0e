"""Which files go to which process."""

import gzip
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from logagg.source.discover import FileSource
from logagg.source.follow import NO_LINE
from logagg.source.identity import new_stream
from logagg.source.once import Once, read_shares
from logagg.source.share import shares
from logagg.store.memory import MemoryStore


def write(folder: Path, contents: dict[str, bytes]) -> list[tuple[FileSource, str]]:
    source = FileSource("app", "host", (str(folder),), ("*.tmp",))
    for name, content in contents.items():
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return [(source, str(folder / name)) for name in sorted(contents)]


def names(parts: list[list[FileSource]]) -> list[list[str]]:
    return sorted(sorted(Path(path).name for source in part for path in source.paths) for part in parts)


def test_files_that_may_be_one_stream_stay_together(tmp_path: Path) -> None:
    """Copies, longer copies and unfinished first lines go where the file is that begins as they do."""
    files = write(tmp_path, {"a.log": b"one\nmore\n" * 90, "a.log.1.gz": b"one\nmore\n", "a.short": b"on",
                             "b.log": b"two\n" * 90, "c.log": b"once\n" * 80, "d.log": b"twice\n", "empty": b""})
    parts = shares(files, 7)
    assert names(parts) == [["a.log", "a.log.1.gz", "a.short", "c.log"], ["b.log"], ["d.log"], ["empty"]]
    assert all(source.exclude == () and source.app == "app" for part in parts for source in part)


def test_files_without_a_first_line_stay_together(tmp_path: Path) -> None:
    """Their streams differ in nothing but a number, which two processes would give twice: one would lose its bytes."""
    files = write(tmp_path, {"a.short": b"one", "b.short": b"two", "c.log": b"\nthree\n", "d.log": b"\r\nfour\n",
                             "e.log": b"one more\n", "f.log": b"x\n", "g.log": b"y\n"})
    assert names(shares(files, 7)) == [["a.short", "b.short", "c.log", "d.log", "e.log"], ["f.log"], ["g.log"]]


def test_files_that_may_be_a_stored_stream_without_a_first_line_stay_together(tmp_path: Path) -> None:
    """Each of them could go on with it; the stored stream itself has no share."""
    source = write(tmp_path, {"a.log": b"one a\n", "b.log": b"one b\n", "c.log": b"two\n"})[0][0]
    store = MemoryStore()
    store.commit([(replace(new_stream("app", "host", "gone", NO_LINE, 0), head=b"one"), ())])
    parts: list[list[FileSource]] = []

    def read(found: Sequence[Sequence[FileSource]]) -> list[Once]:
        parts.extend(map(list, found))
        return []

    read_shares([source], store, 3, read)
    assert names(parts) == [["a.log", "b.log"], ["c.log"]]


def test_other_hosts_are_other_streams(tmp_path: Path) -> None:
    """Files that begin alike on two hosts may be read by two processes."""
    [(one, first), (_, second)] = write(tmp_path, {"a": b"x\n", "b": b"x\n"})
    parts = shares([(one, first), (FileSource("app", "other", (second,)), second)], 2)
    assert sorted((source.host, source.paths) for part in parts for source in part) == [
        ("host", (first,)), ("other", (second,))]


def test_shares_are_about_equal(tmp_path: Path) -> None:
    """Every file is in one share; none holds more than the others by more than a file."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    files = write(tmp_path, {f"{i}.log": (b"%03d\n" % i) * rng.randrange(1, 5000) for i in range(40)})
    parts = shares(files, 3)
    assert sorted(path for part in parts for source in part for path in source.paths) == sorted(p for _, p in files)
    sizes = [sum(Path(path).stat().st_size for source in part for path in source.paths) for part in parts]
    assert max(sizes) - min(sizes) < 4 * 5000


def test_what_cannot_be_opened_has_its_share_too(tmp_path: Path) -> None:
    """A file that has gone is left to its reader, which says so; no more shares than files."""
    files = write(tmp_path, {"a.log": b"x\n"})
    gone = (files[0][0], str(tmp_path / "gone.log"))
    assert names(shares([*files, gone], 5)) == [["a.log"], ["gone.log"]]
    assert shares([], 5) == []
