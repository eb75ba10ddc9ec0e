"""Which chunks are merged, and what a merged chunk holds."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from logagg.grammar.reader import LayoutReader
from logagg.ingest import Ingest, Segment
from logagg.merge import (
    COUNT_MIN,
    MERGED_BYTES_MAX,
    MERGED_US_MAX,
    OLD_US,
    SMALL_BYTES_MAX,
    YOUNG_US,
    Merger,
    groups,
    merged,
)
from logagg.raw import compress, decompress
from logagg.reading import Pipeline
from logagg.record import Chunk, Counts, Partial, Stream
from logagg.rollup.metric import MetricSet
from logagg.source.identity import WINDOW_BYTES
from logagg.store.memory import MemoryStore
from tests.contract.making import commit, stored
from tests.unit.test_ingest import NoClaims

NOW_US = 1_790_000_000_000_000
LATELY_US = NOW_US - 2 * YOUNG_US


def chunks(*sizes: int, ts_us: int | None = LATELY_US, start: int = 0, **changes: object) -> list[Chunk]:
    made = []
    for size in sizes:
        made.append(Chunk("s1", start, start + size, b"", ts_from_us=ts_us, ts_to_us=ts_us, **changes))
        start += size
    return made


def sizes(given: list[Chunk], now_us: int = NOW_US) -> list[list[int]]:
    return [[chunk.end - chunk.start for chunk in group] for group in groups(given, now_us)]


def test_eight_neighbours() -> None:
    """Seven small chunks wait for the eighth."""
    assert sizes(chunks(*[200] * (COUNT_MIN - 1))) == []
    assert sizes(chunks(*[200] * COUNT_MIN)) == [[200] * COUNT_MIN]


def test_old_ones_do_not_wait() -> None:
    """After an hour two are enough; one has nobody to be merged with."""
    assert sizes(chunks(200, 200, ts_us=NOW_US - OLD_US)) == [[200, 200]]
    assert sizes(chunks(200, ts_us=NOW_US - OLD_US)) == []
    assert sizes(chunks(200, 200, ts_us=None)) == [[200, 200]]


def test_young_ones_are_left() -> None:
    """What is of this minute is left alone."""
    assert sizes(chunks(*[200] * 20, ts_us=NOW_US - 1)) == []
    assert sizes(chunks(*[200] * 8) + chunks(200, ts_us=NOW_US, start=1600)) == [[200] * 8]


@pytest.mark.parametrize("other", [{"open": True}, {"gone": "expired"}, "large", "elsewhere"])
def test_what_ends_a_run(other: object) -> None:
    """Open chunks, those without bytes, large ones and gaps stand between groups."""
    before = chunks(*[200] * 8)
    middle = chunks(SMALL_BYTES_MAX if other == "large" else 10, start=1600,
                    **(other if isinstance(other, dict) else {}))
    behind = chunks(*[200] * 8, start=middle[-1].end)
    if other == "elsewhere":
        middle = []
    assert sizes(before + middle + behind) == [[200] * 8, [200] * 8]


def test_a_wrong_clock() -> None:
    """What is of a year to come is not waited for."""
    assert sizes(chunks(200, 200, ts_us=NOW_US + 100 * OLD_US)) == [[200, 200]]


class Counting(MemoryStore):
    """Counts the chunks that are read."""

    read = 0

    def chunks(self, **wanted: Any) -> Iterator[Chunk]:
        for chunk in super().chunks(**wanted):
            self.read += 1
            yield chunk


def test_what_is_never_merged_is_read_once() -> None:
    """Small chunks between large ones do not make each look read all that has come since."""
    store = Counting()
    merger, state = Merger(store), Stream("s1", "host", "app", "a.log", "x")
    for minute in range(30):
        state = commit(store, state, *(chunk_with(c) for c in chunks(200, SMALL_BYTES_MAX, 300, SMALL_BYTES_MAX,
                                                                     start=state.end)))
        store.read = 0
        assert merger.merge(NOW_US + minute * 60_000_000) == (0, 0)
        assert store.read <= 5


def test_a_stream_that_rests_is_not_read() -> None:
    """Chunks that have nobody to be merged with wait for their stream to grow, and then are merged."""
    store = Counting()
    merger = Merger(store)
    commit(store, Stream("s1", "host", "app", "a.log", "x"), *(chunk_with(c) for c in chunks(5000, 200)))
    assert merger.merge(NOW_US) == (0, 0)
    store.read = 0
    assert merger.merge(NOW_US + 2 * OLD_US) == (0, 0)
    assert store.read == 0
    commit(store, stored(store, "s1"), *(chunk_with(c) for c in chunks(4800, start=5200)))
    assert merger.merge(NOW_US + 2 * OLD_US) == (3, 1)


def test_bounds() -> None:
    """A merged chunk is neither too large nor longer than a day."""
    for group in groups(chunks(*[30_000] * 40), NOW_US):
        assert group[-1].end - group[0].start <= MERGED_BYTES_MAX
    thirds = [LATELY_US - (9 - i) * MERGED_US_MAX // 3 for i in range(8)]
    days = [chunk for i, ts_us in enumerate(thirds) for chunk in chunks(200, start=200 * i, ts_us=ts_us)]
    assert [len(group) for group in groups(days, NOW_US)] == [4, 4]


def test_no_byte_is_written_often() -> None:
    """A stream that gets a small chunk a minute: each byte's chunk doubles with each merge, to the largest size."""
    kept: list[Chunk] = []
    written = end = 0
    for minute in range(5000):
        now_us = NOW_US + minute * 60_000_000
        kept += chunks(190, start=end, ts_us=now_us - 2 * YOUNG_US)
        end = kept[-1].end
        for group in groups(list(kept), now_us):
            assert 2 * max(chunk.end - chunk.start for chunk in group) <= group[-1].end - group[0].start
            written += group[-1].end - group[0].start
            kept = [chunk for chunk in kept if chunk not in group[1:]]
            kept[kept.index(group[0])] = merged([chunk_with(c) for c in group])
    assert all(one.end == other.start for one, other in pairwise(kept))
    assert written <= 6 * end
    assert len(kept) < 100


def test_a_line_a_second_settles() -> None:
    """A stream with a line a second, looked at once a minute for half an hour, keeps one chunk for each 32 KiB and no
    more than another twenty for what has just come."""
    store = MemoryStore()
    pipe = Pipeline(LayoutReader("%d %-5p %c - %m%n"), NoClaims(), MetricSet())
    ingest, merger = Ingest(store, lambda stream: pipe), Merger(store)
    state, content, most = Stream("s1", "host", "app", "a.log", "x"), b"", 0
    for second in range(1800):
        now = datetime(2026, 11, 20, 10, tzinfo=UTC) + timedelta(seconds=second)
        content += f"{now:%Y-%m-%d %H:%M:%S},000 INFO  a.b.Orders - order {second * 7919} {'.' * 140}\n".encode()
        low = max(0, state.resume - WINDOW_BYTES)
        [outcome] = ingest.commit([Segment(state, low, content[low:], flush=True, path=state.path)])
        state = outcome.stream
        if second % 60 == 59:
            merger.merge(round(now.timestamp() * 1e6))
            most = max(most, sum(1 for _ in store.chunks()) - len(content) // SMALL_BYTES_MAX)
    assert b"".join(decompress(chunk.raw) for chunk in store.chunks()) == content
    assert most <= 20


def chunk_with(chunk: Chunk) -> Chunk:
    return Chunk("s1", chunk.start, chunk.end, compress(b""), ts_from_us=chunk.ts_from_us, ts_to_us=chunk.ts_to_us)


def test_a_merged_chunk() -> None:
    """All bytes, counts, times and sums; the first one's carry."""
    one = Chunk("s1", 0, 3, compress(b"ab\n"), {"ts": 1}, ts_from_us=5, ts_to_us=9, counts=Counts(1, 1, 0, 0),
                partials=(Partial(1, b'{"records":{"{}":2}}'), Partial(2, b'{"records":{"{}":1}}')))
    other = Chunk("s1", 3, 5, compress(b"c\n"), {"ts": 2}, ts_from_us=4, ts_to_us=7, counts=Counts(2, 0, 1, 2),
                  partials=(Partial(2, b'{"das":{"{}":[1,7,7,7,1,[7],[1]]},"records":{"{}":3}}'),))
    both = merged([one, other])
    assert (both.start, both.end, decompress(both.raw), both.carry) == (0, 5, b"ab\nc\n", {"ts": 1})
    assert (both.ts_from_us, both.ts_to_us, both.counts, both.open) == (4, 9, Counts(3, 1, 1, 2), False)
    assert both.partials == (Partial(1, b'{"records":{"{}":2}}'),
                             Partial(2, b'{"das":{"{}":[1,7,7,7,1,[7],[1]]},"records":{"{}":4}}'))
