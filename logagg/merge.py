"""Small chunks of one stream become larger ones, since a single line hardly compresses.

A merge changes nothing that can be read: the same bytes, the same events under the same ids, and partials whose sums
are the same. It goes through `Store.replace`, one transaction that is guarded by the chunks' revisions, and only
touches closed chunks, while agents only touch the open one: neither waits for the other. The minutes of merged chunks
are folded once more, to the same numbers; a fold that reads partials meanwhile is mended by that.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from logagg.interfaces import Store
from logagg.raw import CUT, compress, decompress
from logagg.record import Chunk, Counts, Partial, Stream
from logagg.rollup.partial import encoded, merge_partials

SMALL_BYTES_MAX = 32 << 10
"""What is larger compresses well enough, and costs more to write again than it gains."""

MERGED_BYTES_MAX = 256 << 10
MERGED_US_MAX = 86_400_000_000
"""A merged chunk spans at most a day, so that it expires little later than its first line might."""

COUNT_MIN = 8
MERGES_MAX = 2000
YOUNG_US = 60_000_000
OLD_US = 3_600_000_000
"""What is older than an hour is merged in any number."""

BEHIND_BYTES_MAX = 4 << 20
"""How far back a stream is looked at that this process has not looked at before."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A stream at the last look: its `resume`, where to begin next time, and whether something waits to be old."""

    resume: int
    start: int
    waits: bool


class Merger:
    """Merges what streams have got since it looked last. One at a time on a store; two do no harm."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, _Seen] = {}

    def merge(self, now_us: int, go_on: Callable[[], bool] = lambda: True) -> tuple[int, int]:
        """Look at each stream once; how many chunks became how many. Ends early when `go_on` says so, or when much
        is done: the next call does the rest."""
        before = after = 0
        for stream in self._store.streams():
            for group in self._due(stream, now_us):
                if after == MERGES_MAX or not go_on():
                    return before, after
                if merge(self._store, group):
                    before, after = before + len(group), after + 1
        return before, after

    def _due(self, stream: Stream, now_us: int) -> Iterator[list[Chunk]]:
        """The groups of a stream's chunks that are to be merged; it is only read where it has grown, or may be old.

        What will never be merged, a small chunk between large ones, is not looked at again.
        """
        far = max(0, stream.resume - BEHIND_BYTES_MAX)
        seen = self._seen.get(stream.id, _Seen(-1, far, True))
        if seen.resume == stream.resume and not seen.waits:
            return
        chunks = [replace(chunk, raw=b"") for chunk in self._store.chunks(stream=stream.id, start=max(seen.start, far),
                                                                         end=stream.resume) if not chunk.open]
        found, later = list(groups(chunks, now_us)), list(groups(chunks, None))
        start = min([_last_run(chunks, stream.resume), *(group[0].start for group in (*found, *later))])
        self._seen[stream.id] = _Seen(stream.resume, start, bool(found or later))
        yield from found


def _last_run(chunks: Sequence[Chunk], resume: int) -> int:
    """Where the small chunks begin that what comes next may be merged with."""
    start = resume
    for chunk in reversed(chunks):
        if not is_small(chunk) or chunk.end != start or resume - chunk.start > MERGED_BYTES_MAX:
            break
        start = chunk.start
    return start


def is_small(chunk: Chunk) -> bool:
    """Whether a chunk may be merged at all."""
    return not chunk.open and chunk.gone is None and chunk.end - chunk.start < SMALL_BYTES_MAX


def groups(chunks: Iterable[Chunk], now_us: int | None) -> Iterator[list[Chunk]]:
    """Which chunks of one stream, given by rising start, are to be merged with each other; None: once all are old.

    Neighbours that are small and not of this minute, at least eight of them (two, once they are old). The largest
    holds at most half of a group's bytes, so that a byte's chunk doubles with each merge: none is written often.
    """
    run: list[Chunk] = []
    for chunk in chunks:
        if run and not _fits(run, chunk):
            yield from _group(run, now_us)
            run = []
        if is_small(chunk) and not _is_of(chunk, now_us, YOUNG_US):
            run.append(chunk)
        elif run:
            yield from _group(run, now_us)
            run = []
    yield from _group(run, now_us)


def _fits(run: Sequence[Chunk], chunk: Chunk) -> bool:
    times = [at for one in (run[0], chunk) for at in (one.ts_from_us, one.ts_to_us) if at is not None]
    return (run[-1].end == chunk.start and CUT not in chunk.carry and chunk.end - run[0].start <= MERGED_BYTES_MAX
            and max(times, default=0) - min(times, default=0) <= MERGED_US_MAX)


def _group(run: list[Chunk], now_us: int | None) -> Iterator[list[Chunk]]:
    """The run, less its beginning up to what is too large for the rest."""
    while len(run) > 1:
        sizes = [chunk.end - chunk.start for chunk in run]
        if 2 * max(sizes) <= sum(sizes):
            break
        run = run[sizes.index(max(sizes)) + 1:]
    if len(run) >= (COUNT_MIN if run and _is_of(run[-1], now_us, OLD_US) else 2):
        yield run


def _is_of(chunk: Chunk, now_us: int | None, span_us: int) -> bool:
    """Whether a chunk's last record is of the last `span_us`. One of the far future has a wrong time: it is old."""
    return now_us is not None and chunk.ts_to_us is not None and abs(now_us - chunk.ts_to_us) < span_us


def merge(store: Store, group: Sequence[Chunk]) -> bool:
    """Replace these chunks by one; False where somebody has changed them meanwhile."""
    stream, start, end = group[0].stream, group[0].start, group[-1].end
    revisions = {chunk.start: chunk.revision for chunk in group}
    chunks = list(store.chunks(stream=stream, start=start, end=end, with_parts=True))
    if {chunk.start: chunk.revision for chunk in chunks} != revisions:
        return False
    return store.replace(stream, start, end, revisions, [merged(chunks)])


def merged(chunks: Sequence[Chunk]) -> Chunk:
    """One chunk that is all of these, which follow each other."""
    assert all(one.end == other.start for one, other in pairwise(chunks))
    from_us = [chunk.ts_from_us for chunk in chunks if chunk.ts_from_us is not None]
    to_us = [chunk.ts_to_us for chunk in chunks if chunk.ts_to_us is not None]
    return Chunk(
        stream=chunks[0].stream,
        start=chunks[0].start,
        end=chunks[-1].end,
        raw=compress(b"".join(decompress(chunk.raw) for chunk in chunks)),
        carry=chunks[0].carry,
        ts_from_us=min(from_us, default=None),
        ts_to_us=max(to_us, default=None),
        counts=sum((chunk.counts for chunk in chunks), Counts()),
        events=tuple(event for chunk in chunks for event in chunk.events),
        partials=tuple(_partials(part for chunk in chunks for part in chunk.partials)),
    )


def _partials(parts: Iterable[Partial]) -> Iterator[Partial]:
    """One partial for each minute, by rising minute."""
    by_minute: dict[int, list[bytes]] = {}
    for part in parts:
        by_minute.setdefault(part.minute, []).append(part.data)
    for minute, datas in sorted(by_minute.items()):
        yield Partial(minute, datas[0] if len(datas) == 1 else _sum(datas))


def _sum(datas: Sequence[bytes]) -> bytes:
    summed = {metric: {labels: stat.to_json() for labels, stat in rows.items()}
              for metric, rows in merge_partials(datas).items()}
    return encoded(summed)
