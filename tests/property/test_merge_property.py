"""Whenever chunks are merged, and however that ends, the store ends as if they never were."""

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pytest

from logagg.errors import StoreUnavailable
from logagg.grammar.reader import LayoutReader
from logagg.ingest import Ingest, Segment
from logagg.interfaces import Store
from logagg.merge import Merger
from logagg.raw import decompress
from logagg.reading import Pipeline
from logagg.record import Chunk
from logagg.rollup.fold import Folder
from logagg.rollup.metric import MetricSet
from logagg.rollup.partial import merge_partials
from logagg.source.identity import first_line, new_stream
from logagg.store.memory import MemoryStore
from logagg.store.sqlite import SqliteStore
from tests.unit.test_ingest import NoClaims

RUNS = int(os.environ.get("LOGAGG_MODEL_RUNS", "60")) // 2
FAR_US = 4_000_000_000_000_000
PIPELINE = Pipeline(LayoutReader("%d %-5p [%t] %c - %m%n"), NoClaims(), MetricSet(), keep="all")


class Failing:
    """A store whose `replace` may end before or after it was done, as by a kill, or find that another was faster."""

    def __init__(self, store: Store, rng: random.Random, between: Sequence[object]) -> None:
        self._store, self._rng, self._between = store, rng, between

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def replace(self, stream: str, start: int, end: int, revisions: Mapping[int, int],
                chunks: Sequence[Chunk]) -> bool:
        chance = self._rng.random()
        if chance < 0.1:
            raise StoreUnavailable("killed before")
        if chance < 0.3:
            self._rng.choice(self._between)()  # type: ignore[operator]
        done = self._store.replace(stream, start, end, revisions, chunks)
        if chance > 0.9:
            raise StoreUnavailable("killed after")
        return done


class Life:
    """Two streams that come in pieces, are folded and merged, and what they are."""

    def __init__(self, store: Store, rng: random.Random) -> None:
        self.store, self.rng = store, rng
        self.contents = [b"".join(_records(rng, number)) for number in range(2)]
        self.states = [new_stream("app", "host", f"{i}.log", first_line(content) or b"", 0)
                       for i, content in enumerate(self.contents)]
        self.merger = Merger(self._failing())
        self.merged = 0

    def _failing(self) -> Store:
        return Failing(self.store, self.rng, [self.read, self.fold, self.merge_as_another])  # type: ignore[return-value]

    def read(self, size: int | None = None) -> None:
        i = self.rng.randrange(2)
        state = self.states[i]
        end = min(len(self.contents[i]), state.end + (size or self.rng.randrange(1, 600)))
        segment = Segment(state, state.resume, self.contents[i][state.resume:end], self.rng.random() < 0.7)
        [outcome] = Ingest(self.store, lambda stream: PIPELINE).commit([segment])
        self.states[i] = outcome.stream

    def read_to_end(self) -> None:
        for i, content in enumerate(self.contents):
            segment = Segment(self.states[i], self.states[i].resume, content[self.states[i].resume:], flush=True)
            self.states[i] = Ingest(self.store, lambda stream: PIPELINE).commit([segment])[0].stream

    def fold(self) -> None:
        Folder(self.store, MetricSet()).fold(self.rng.choice([1, 1000]))

    def merge(self) -> None:
        if self.rng.random() < 0.2:
            self.merger = Merger(self._failing())
        try:
            self.merged += self.merger.merge(FAR_US)[0]
        except StoreUnavailable:
            self.merger = Merger(self._failing())

    def merge_as_another(self) -> None:
        self.merged += Merger(self.store).merge(FAR_US)[0]


def _records(rng: random.Random, number: int) -> Iterator[bytes]:
    minute = 0
    for i in range(rng.randrange(5, 80)):
        minute = min(59, minute + rng.choice([0, 0, 0, 1, 3]))
        level = rng.choice(["INFO", "WARN", "ERROR"])
        yield f"2026-11-20 10:{minute:02}:{i % 60:02},000 {level} [main] a.B{number} - record {i}\n".encode()
        if rng.random() < 0.1:
            yield b"\tat a.b.C.d(C.java:1)\n" * rng.randrange(1, 4)


def seen(store: Store) -> dict[str, object]:
    """What a store says, but for how it is cut into chunks and how often it was written."""
    chunks = list(store.chunks(with_parts=True))
    minutes: dict[int, list[bytes]] = {}
    for chunk in chunks:
        for part in chunk.partials:
            minutes.setdefault(part.minute, []).append(part.data)
    return {
        "bytes": {stream.id: b"".join(decompress(c.raw) for c in chunks if c.stream == stream.id)
                  for stream in store.streams()},
        "counts": {stream.id: stream.counts + stream.open_counts for stream in store.streams()},
        "events": list(store.events()),
        "in chunks": sorted((event for chunk in chunks for event in chunk.events),
                            key=lambda event: (event.stream, event.offset)),
        "partials": {minute: merge_partials(datas) for minute, datas in minutes.items()},
        "rollups": [(key, bucket.rows) for step, zone in (("minute", ""), ("hour", ""), ("month", "UTC"))
                    for key, bucket in store.buckets(step, zone, 0, 1 << 40)],
    }


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("seed", range(RUNS))
def test_merging_changes_nothing(tmp_path: Path, kind: str, seed: int) -> None:
    """After any life, bytes, ledger, events, partials and rollups are those of reading at once without a merge."""
    rng = random.Random(seed)
    store: Store = MemoryStore() if kind == "memory" else SqliteStore(str(tmp_path / "a.db"))
    life = Life(store, rng)
    with patch("logagg.reading.OPEN_BYTES_MAX", rng.choice([0, 200, 4096])), \
            patch("logagg.merge.MERGED_BYTES_MAX", rng.choice([500, 5000, 1 << 18])):
        for _ in range(rng.randrange(10, 60)):
            rng.choices([life.read, life.fold, life.merge], [6, 2, 3])[0]()
    life.read_to_end()
    life.merge_as_another()
    Folder(store, MetricSet()).fold_all()
    once = MemoryStore()
    for state, content in zip(life.states, life.contents, strict=True):
        stream = new_stream(state.app, state.host, state.path, first_line(content) or b"", 0)
        Ingest(once, lambda stream: PIPELINE).commit([Segment(stream, 0, content, flush=True)])
    Folder(once, MetricSet()).fold_all()
    assert seen(store) == seen(once), f"seed {seed}"
    ends = [(chunk.stream, chunk.start, chunk.end) for chunk in store.chunks()]
    assert all(one[2] == other[1] for one, other in pairwise(ends) if one[0] == other[0])
    store.close()


def test_lives_merge(tmp_path: Path) -> None:
    """The lives above do merge: else they would show nothing."""
    total = 0
    for seed in range(10):
        life = Life(MemoryStore(), random.Random(seed))
        with patch("logagg.reading.OPEN_BYTES_MAX", 0):
            for _ in range(40):
                life.rng.choices([life.read, life.merge], [6, 3])[0]()
        total += life.merged
    assert total > 50
