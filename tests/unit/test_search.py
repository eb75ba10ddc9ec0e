"""`grep`: whole records, in range, with context, whatever the chunks are."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from logagg.config import Config, SourceConfig
from logagg.errors import UsageError
from logagg.grammar.reader import LayoutReader
from logagg.raw import compress
from logagg.record import Carry, Chunk, Stream
from logagg.search import Found, Readings, Wanted, search
from logagg.store.memory import MemoryStore
from logagg.times import instant_us

LAYOUT = "%d %-5p [%t] %c - %m%n"
RECORDS = [
    b"2026-11-20 10:00:00,000 INFO  [main] a.B - start\n",
    b"2026-11-20 10:00:01,000 ERROR [main] a.B - failed\njava.io.IOException: disk \xc3\xa4\n\tat a.B.c(B.java:1)\n",
    b"2026-11-20 10:00:02,000 INFO  [main] a.B - retry one\n",
    b"2026-11-20 10:00:03,000 INFO  [main] a.B - retry two\n",
    b"2026-11-20 10:00:04,000 INFO  [main] a.B - FAILED again\n",
    b"2026-11-20 10:00:05,000 INFO  [main] a.B - end\n",
]


@pytest.fixture(params=[1, 2, 6], ids=lambda n: f"{n} records a chunk")
def store(request: pytest.FixtureRequest) -> MemoryStore:
    """The records in chunks of one, two or six."""
    return _store({"das.log": RECORDS}, request.param)


def _store(logs: dict[str, list[bytes]], per_chunk: int) -> MemoryStore:
    store = MemoryStore()
    reader = LayoutReader(LAYOUT)
    for name, records in logs.items():
        chunks, at = [], 0
        carry: Carry = {}
        for i in range(0, len(records), per_chunk):
            data = b"".join(records[i : i + per_chunk])
            batch = reader.read(data, at, carry, final=True)
            times = [ts for ts in batch.ts_us if ts is not None]
            chunks.append(Chunk(name, at, at + len(data), compress(data), carry, ts_from_us=min(times, default=None),
                                ts_to_us=max(times, default=None)))
            at, carry = at + len(data), batch.carry
        stream = Stream(name, "app01", name.partition(".")[0], f"/logs/{name}", "x", end=at, resume=at, carry=carry)
        assert store.commit([(stream, chunks)]) == ["committed"]
    return store


def _readings() -> Readings:
    sources = tuple(SourceConfig(app, "app01", ("/logs/*",), layout=LAYOUT) for app in ("das", "esp"))
    return Readings(Config(path=None, folder=None, store_url="", sources=sources))      # type: ignore[arg-type]


def _search(store: MemoryStore, wanted: Wanted, **more: str) -> list[Found]:
    return list(search(store, wanted, _readings().reader, **more))


def test_the_whole_record(store: MemoryStore) -> None:
    """Text in a stack trace answers with the record that it belongs to, head and all, at its offset."""
    (found,) = _search(store, Wanted("B.java"))
    assert found.text == RECORDS[1].decode().rstrip("\n")
    assert found.offset == len(RECORDS[0])
    record, first_line = found.whole() or (None, b"")
    assert record is not None and record.level == "ERROR" and first_line == b"failed"


def test_case_and_expressions(store: MemoryStore) -> None:
    """Letters count unless -i; a regular expression is one only with --regex; text beyond ASCII is found."""
    assert len(_search(store, Wanted("failed"))) == 1
    assert len(_search(store, Wanted("failed", ignore_case=True))) == 2
    assert len(_search(store, Wanted("retry (one|two)"))) == 0
    assert len(_search(store, Wanted("retry (one|two)", regex=True))) == 2
    assert len(_search(store, Wanted("disk ä"))) == 1
    assert len(_search(store, Wanted("DISK Ä", ignore_case=True))) == 1


def test_range(store: MemoryStore) -> None:
    """Only records of [from, to), not the whole chunks that touch it."""
    from_us, to_us = (instant_us(f"2026-11-20T10:00:0{s}", "UTC") for s in (2, 4))
    found = _search(store, Wanted("a.B", from_us=from_us, to_us=to_us))
    assert [one.text[-3:] for one in found] == ["one", "two"]


def test_context_crosses_chunks(store: MemoryStore) -> None:
    """Context comes from neighbouring chunks too, each record once, gaps marked."""
    found = _search(store, Wanted("FAILED", context=1))
    assert [(one.text[-5:], one.hit) for one in found] == [("y two", False), ("again", True), ("- end", False)]
    found = _search(store, Wanted("start|end", regex=True, context=1))
    assert [(one.hit, one.gap) for one in found] == [(True, False), (False, False), (False, True), (True, False)]
    assert len(_search(store, Wanted("retry", context=9))) == len(RECORDS)


def test_merged_meanwhile() -> None:
    """A chunk that was merged while the search went on repeats what is told already: each record comes once."""
    one_by_one, whole = _store({"das.log": RECORDS}, 1), _store({"das.log": RECORDS}, 6)

    class Merged(MemoryStore):
        def streams(self, **wanted: Any) -> list[Stream]:
            return whole.streams(**wanted)

        def chunks(self, **wanted: Any) -> Iterator[Chunk]:
            yield from islice(one_by_one.chunks(**wanted), 3)
            yield from whole.chunks(**wanted)

    for context in (0, 1):
        assert len(_search(Merged(), Wanted("[main]", context=context))) == len(RECORDS)


def test_filters_and_streams() -> None:
    """--app narrows; without it every stream is searched."""
    store = _store({"das.log": RECORDS, "esp.log": RECORDS[:1]}, 6)
    assert [one.stream.app for one in _search(store, Wanted("start"))] == ["das", "esp"]
    assert [one.stream.app for one in _search(store, Wanted("start"), app="esp")] == ["esp"]
    assert not _search(store, Wanted("start"), host="app02")


def test_bytes_that_no_layout_reads_are_found() -> None:
    """Rubbish is found as it stands, bytes that are no text as escapes."""
    store = _store({"das.log": [b"\xff\xfe rubbish \x00\n", *RECORDS]}, 100)
    (found,) = _search(store, Wanted("rubbish"))
    assert (found.offset, found.text) == (0, "\\xff\\xfe rubbish \x00")


@pytest.mark.parametrize(("wanted", "said"), [
    (Wanted(""), "the text to look for is empty"),
    (Wanted("(", regex=True), r"is no regular expression: .* at position 0; leave out --regex"),
])
def test_wrong_text(wanted: Wanted, said: str) -> None:
    """A text that cannot be searched for is wrong usage, with the place in it."""
    with pytest.raises(UsageError, match=said):
        _search(MemoryStore(), wanted)
