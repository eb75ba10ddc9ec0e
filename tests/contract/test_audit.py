"""`logagg audit` proves what is whole, and names each damage, in every kind of store."""

import gzip
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logagg.app import App
from logagg.audit import Audit
from logagg.cli import main
from logagg.config import load
from logagg.interfaces import Store
from logagg.merge import Merger
from logagg.raw import compress, decompress
from logagg.record import Chunk, Counts, Stream
from logagg.rollup.expire import expire
from logagg.store import open_store

CONFIG = """
timezone = "UTC"
[store]
url = "{url}"
[[source]]
app = "das"
host = "app01"
paths = ["logs/**"]
layout = "%d %-5p [%t] %c - %m%n"
packs = ["{pack}"]
keep = "{keep}"
[packs]
paths = ["."]
[retention]
raw = "{raw}"
events = "forever"
"""


def lines(first: int, last: int) -> str:
    return "".join(f"2026-11-20 10:{i // 60 % 60:02}:{i % 60:02},000 INFO  [main-{'x' * 60}] a.B - "
                   f"DAS call getAccount completed in {i} ms rc=0\n" for i in range(first, last))


class Place:
    """A folder with logs, read into a store in chunks of some 30 records."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.configure()

    def configure(self, pack: str = "callcenter", keep: str = "events", raw: str = "forever") -> None:
        (self.folder / "logagg.toml").write_text(CONFIG.format(url=self.url, pack=pack, keep=keep, raw=raw))

    @property
    def config(self) -> str:
        return str(self.folder / "logagg.toml")

    def read(self) -> None:
        """Read all logs in pieces, so that there are several chunks of each, and fold them."""
        from logagg.source.once import read_once

        with App(load(Path(self.config))) as app:
            read_once(app._file_sources(), app.store, app.ingest(), block_bytes=1 << 12)
            app.folder().fold_all()

    def audit(self, *paths: str) -> Audit:
        from logagg.adhoc import sources_for

        with App(load(Path(self.config)), read_only=True) as app:
            sources, problems = sources_for(app.config, [str(self.logs / path) for path in paths or ("",)], {})
            assert not problems
            return app.audit(sources, lambda done: None)

    def problems(self) -> list[str]:
        """What is wrong with the streams."""
        found = self.audit()
        assert found.proven == (not any(one.problems for one in found.streams)
                                and not any(file.is_problem for file in found.files))
        return [problem for one in found.streams for problem in one.problems]

    def files(self, *paths: str) -> list[tuple[str, str]]:
        return [(Path(file.path).name, file.state) for file in self.audit(*paths).files]

    def missing(self, name: str) -> list[tuple[int, int, str]]:
        [file] = self.audit(name).files
        return [(one.start, one.end, one.why) for one in file.missing]


@pytest.fixture
def place(tmp_path: Path, url: str) -> Place:
    return Place(tmp_path, url)


@pytest.fixture
def whole(place: Place) -> Place:
    """One log of several chunks, whole."""
    (place.logs / "a.log").write_text(lines(0, 300))
    place.read()
    assert (place.problems(), place.files()) == ([], [("a.log", "ok")])
    return place


@pytest.fixture
def store(whole: Place) -> Iterator[Store]:
    store = open_store(whole.url)
    yield store
    store.close()


def chunk_at(store: Store, number: int) -> Chunk:
    return list(store.chunks(with_parts=True))[number]


def put(store: Store, chunk: Chunk, **changes: Any) -> None:
    """Put a changed chunk in a chunk's place."""
    changed = replace(chunk, **changes)
    assert store.replace(chunk.stream, chunk.start, chunk.end, {chunk.start: chunk.revision}, [changed])


def delete_chunk(url: str, start: int) -> None:
    """As no store would: the row alone."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
            assert db.execute("DELETE FROM chunks WHERE start = ?", (start,)).rowcount == 1
        db.close()
        return
    from pymongo import MongoClient

    with MongoClient(url) as client:
        assert client.get_default_database().chunks.delete_one({"start": start}).deleted_count == 1


def test_rotated_compressed_and_copied(place: Place) -> None:
    """Each file is its stream, whatever its name and form, and a copy of a part is a copy."""
    (place.logs / "a.log").write_text(lines(1000, 1100))
    (place.logs / "a.log.1").write_text(lines(500, 1000))
    (place.logs / "a.log.2.gz").write_bytes(gzip.compress(lines(0, 500).encode()))
    (place.logs / "old").mkdir()
    place.read()
    (place.logs / "old" / "part.log").write_text(lines(500, 700))
    (place.logs / "old" / "empty.log").touch()
    (place.logs / "a.log").rename(place.logs / "a.log.0")
    (place.logs / "z.log").write_text(lines(0, 500))
    found = place.audit()
    assert found.proven
    assert [(Path(file.path).name, file.state, file.records) for file in found.files] == [
        ("a.log.0", "ok", 100), ("a.log.1", "ok", 500), ("a.log.2.gz", "ok", 500), ("empty.log", "ok", 0),
        ("part.log", "copy", found.files[4].records), ("z.log", "copy", 500)]
    assert 0 < found.files[4].records <= 200
    assert {one.reading for one in found.streams} == {"equal"} and len(found.streams) == 3


def test_what_is_not_there(whole: Place) -> None:
    """Bytes behind the stream's end are pending, a file of no stream was never read, too little of one cannot be told;
    the ranges are exact."""
    size = len(lines(0, 300))
    (whole.logs / "a.log").write_text(lines(0, 302))
    (whole.logs / "b.log").write_text(lines(7, 9))
    (whole.logs / "c.log").write_text(lines(0, 2))
    assert whole.missing("a.log") == [(size, len(lines(0, 302)), "pending")]
    assert whole.missing("b.log") == [(0, len(lines(7, 9)), "never read")]
    assert whole.missing("c.log") == [(0, len(lines(0, 2)), "too short to tell")]
    assert whole.problems() == [] and not whole.audit().proven


def test_a_compressed_file_that_was_never_read(whole: Place) -> None:
    """It is unpacked to its end: all of it is missing."""
    text = lines(9000, 9500).encode()
    (whole.logs / "a.log.9.gz").write_bytes(gzip.compress(text))
    found = {Path(each.path).name: each for each in whole.audit().files}["a.log.9.gz"]
    assert (found.state, found.bytes, [(one.start, one.end, one.why) for one in found.missing]) == (
        "missing", len(text), [(0, len(text), "never read")])


def test_a_chunk_that_has_gone(whole: Place, store: Store) -> None:
    """Its bytes are missing from the file, and the stream has a hole there; events without a chunk do not hide it."""
    chunk = chunk_at(store, 1)
    delete_chunk(whole.url, chunk.start)
    assert whole.missing("a.log") == [(chunk.start, chunk.end, "no chunk")]
    hole, counts = whole.problems()
    assert hole == f"no chunk holds the bytes {chunk.start:,} to {chunk.end:,}"
    assert counts.startswith("counts: the stream says 300 records")


def test_a_byte_that_was_changed(whole: Place, store: Store) -> None:
    """The first offset that differs is told; and the event that the byte belongs to, even without the file."""
    chunk = chunk_at(store, 1)
    data = bytearray(decompress(chunk.raw))
    at = data.index(b" ms rc=0") - 1
    data[at] ^= 1
    put(store, chunk, raw=compress(bytes(data)))
    [file] = whole.audit().files
    assert (file.state, file.differs_at) == ("differs", chunk.start + at)
    assert whole.problems() == ["the 4 KiB before byte 8,192 are not those that were read",
                                f"the event at {chunk.start:,} is not what reading gives there"]


def test_bytes_that_cannot_be_unpacked(whole: Place, store: Store) -> None:
    """A damaged chunk is named."""
    chunk = chunk_at(store, 2)
    put(store, chunk, raw=chunk.raw[: len(chunk.raw) // 2])
    [file] = whole.audit().files
    assert (file.state, file.differs_at) == ("differs", chunk.start)
    assert whole.problems() == [f"the chunk at {chunk.start:,}: its bytes are damaged"]


def test_an_event_twice(whole: Place, store: Store) -> None:
    """An event that is stored again beside its place is not what reading gives there."""
    chunk = chunk_at(store, 0)
    again = replace(chunk.events[0], offset=chunk.events[0].offset + 1)
    put(store, chunk, events=(*chunk.events, again))
    wrong = whole.problems()
    assert f"the event at {again.offset:,} is not what reading gives there" in wrong
    assert any("and has" in problem for problem in wrong)


def test_an_event_that_is_not_there(whole: Place, store: Store) -> None:
    """A missing event is found by reading the chunk again."""
    chunk = chunk_at(store, 0)
    put(store, chunk, events=chunk.events[1:])
    assert whole.problems() == [f"the event at {chunk.events[0].offset:,} is not stored"]


def test_counts_that_are_wrong(whole: Place, store: Store) -> None:
    """The stream's counts are the sums of its chunks'."""
    [stream] = store.streams()
    assert store.commit([(replace(stream, counts=stream.counts + Counts(1)), ())]) == ["committed"]
    [problem] = whole.problems()
    assert problem.startswith("counts: the stream says 301 records")


def test_partials_that_are_wrong(whole: Place, store: Store) -> None:
    """Partials are of the minutes of the chunk's records."""
    chunk = chunk_at(store, 0)
    put(store, chunk, partials=chunk.partials[1:])
    assert whole.problems() == [f"the chunk at {chunk.start:,}: its partials are of other minutes than its records"]


def test_one_log_in_two_streams(whole: Place, store: Store) -> None:
    """Content that was read twice, as two streams, is found."""
    [stream] = store.streams()
    twin = replace(stream, id="f" * 32, n=1, revision=0, path=str(whole.logs / "twin.log"))
    chunks = [replace(chunk, stream=twin.id, events=tuple(replace(event, stream=twin.id) for event in chunk.events))
              for chunk in store.chunks(with_parts=True)]
    assert store.commit([(twin, chunks)]) == ["committed"]
    [problem] = whole.problems()
    assert problem.startswith(f"holds the same bytes as stream {stream.id}")


def test_another_grammar_is_no_damage(whole: Place) -> None:
    """Where the grammar, or the layout, is another now, events are not compared, which is said; the bytes still are."""
    (whole.folder / "mine").mkdir()
    (whole.folder / "mine" / "mine.lark").write_text(
        'start: completed\ncompleted: "DAS call getAccount completed in " ms " ms rc=0"\nms: INT\n'
        "%import common (INT)\n")
    (whole.folder / "mine" / "pack.toml").write_text('[pack]\nhelp = "Mine."\n')
    whole.configure(pack="mine")
    [stream] = whole.audit().streams
    assert (stream.problems, stream.reading) == ((), "not compared: the grammar is another now")
    text = (whole.folder / "logagg.toml").read_text()
    (whole.folder / "logagg.toml").write_text(text.replace("%c - %m%n", "%c %m%n"))
    found = whole.audit()
    assert found.proven and found.streams[0].reading.startswith("not compared: the layout is another now")


@pytest.mark.parametrize(("before", "now"), [("all", "events"), ("events", "all"), ("all", "all")])
def test_another_keep_is_no_damage(place: Place, before: str, now: str) -> None:
    """What is stored of each record is compared, whether or not more or fewer would be stored now; what lacks of
    those that are all stored is told."""
    place.configure(keep=before)
    (place.logs / "a.log").write_text(lines(0, 100) + lines(100, 200).replace(" completed ", " ended "))
    place.read()
    place.configure(keep=now)
    found = place.audit()
    assert (found.proven, [one.reading for one in found.streams]) == (True, ["equal"])
    if before == now == "all":
        store = open_store(place.url)
        chunk = chunk_at(store, -2)
        put(store, chunk, events=chunk.events[1:])
        store.close()
        assert place.problems() == [f"the event at {chunk.start:,} is not stored"]


def test_what_retention_deleted_is_no_loss(place: Place) -> None:
    """Expired ranges are said, and everything else is still proven."""
    (place.logs / "a.log").write_text(lines(0, 300))
    place.read()
    place.configure(raw="1d")
    config = load(Path(place.config))
    store = open_store(place.url)
    first, *_ = chunks = list(store.chunks())
    assert first.ts_to_us is not None and chunks[1].ts_to_us is not None
    expire(store, config.retention, (first.ts_to_us + chunks[1].ts_to_us) // 2 + 86_400_000_000)
    store.close()
    found = place.audit()
    assert found.proven and found.streams[0].expired == first.end
    assert place.missing("a.log") == [(0, first.end, "expired")]
    assert found.files[0].state == "missing"


def test_what_was_given_up_and_is_there(whole: Place, store: Store) -> None:
    """A file that has what the store counts as gone is named with the range and the reason."""
    from logagg.ingest import Ingest

    with App(load(Path(whole.config))) as app:
        ingest: Ingest = app.ingest()
        [stream] = app.store.streams()
        ingest.give_up(stream, stream.end + 500, "deleted")
    (whole.logs / "a.log").write_text(lines(0, 310))
    size = len(lines(0, 300))
    assert whole.missing("a.log") == [(size, size + 500, "gone: deleted"),
                                      (size + 500, len(lines(0, 310)), "pending")]
    assert whole.problems() == []
    place: Callable[[], None] = whole.read
    place()
    assert whole.audit().proven


def test_the_command(whole: Place, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status, summary, and names that would drive the terminal are harmless."""
    assert main(["-c", whole.config, "audit", str(whole.logs)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("proven: every byte is stored once (1 file, ")
    (whole.logs / "b\x1b[2J\n.log").write_text(lines(3, 9))
    assert main(["-c", whole.config, "audit", str(whole.logs)]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out and "b\\x1b[2J\\n.log: bytes [0, " in out
    assert out.splitlines()[-1].startswith("NOT proven: 1 of 2 files not proven (2 files, ")
    assert main(["-c", whole.config, "audit", str(whole.folder / "nothing")]) == 1
    assert "no such file" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["-c", whole.config, "audit"])
    assert ended.value.code == 2
    assert main(["audit", str(whole.logs)]) in (1, 2), "no configuration and no store"


def test_no_bytes_of_a_stream(whole: Place, store: Store) -> None:
    """A stream whose chunks have all gone without retention is a hole from its start to its end."""
    streams: list[Stream] = store.streams()
    for chunk in list(store.chunks()):
        delete_chunk(whole.url, chunk.start)
    assert f"no chunk holds the bytes 0 to {streams[0].end:,}" in whole.problems()


def test_beside_an_agent(whole: Place) -> None:
    """While the log grows and is read, chunks are merged and the audit looks on, nothing seems wrong with the stream,
    and nothing but the newest bytes of the file may be pending."""
    ended = threading.Event()

    def grow() -> None:
        merger_store = open_store(whole.url)
        for i in range(300, 900, 100):
            with (whole.logs / "a.log").open("a") as file:
                file.write(lines(i, i + 100))
            whole.read()
            Merger(merger_store).merge(4_000_000_000_000_000)
        merger_store.close()
        ended.set()

    thread = threading.Thread(target=grow)
    thread.start()
    audits = 0
    while not ended.is_set():
        found = whole.audit()
        assert [one.problems for one in found.streams] == [()]
        assert {one.why for one in found.files[0].missing} <= {"pending"} and found.files[0].differs_at is None
        audits += 1
    thread.join(60)
    assert audits > 1 and whole.audit().proven
