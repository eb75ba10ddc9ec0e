"""However the bytes of a stream come in, the store ends with the same events, counts and partials."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from logagg.grammar.reader import LayoutReader
from logagg.ingest import Ingest, Segment
from logagg.reading import Pipeline
from logagg.record import Counts, Event
from logagg.rollup.metric import MetricSet
from logagg.rollup.partial import merge_partials
from logagg.rollup.sketch import Stat
from logagg.source.identity import first_line, new_stream
from logagg.store.memory import MemoryStore
from tests.unit.test_ingest import NoClaims

LINES = [
    b"2026-11-20 10:00:01,250 INFO  [main] com.acme.A - begun\n",
    b"2026-11-20 10:00:59,999 ERROR [http-1] com.acme.B - failed\n",
    b"2026-11-20 10:01:00,000 WARN  [http-2] com.acme.C - caf\xc3\xa9 \xff\n",
    b"java.lang.IllegalStateException: why\n\tat a.b.C.d(C.java:1)\n",
    b"\tat late.Line(L.java:2)\n",
    b"a second line\n",
    b"\n",
    b"x" * 3000 + b"\n",
]
RECORD_BYTES_MAX = 2048
Seen = tuple[list[Event], Counts, dict[int, dict[str, dict[str, Stat]]]]


def read(content: bytes, cuts: list[tuple[int, bool]], layout: str | None, lines_max: int = 20_000) -> Seen:
    """Offer `content` in the pieces that end at `cuts` (offset, quiet then?) and at its end.

    Ingest reads `lines_max` lines at once.
    """
    with patch("logagg.ingest.PIECE_LINES_MAX", lines_max):
        return read_pieces(content, cuts, layout)


def read_pieces(content: bytes, cuts: list[tuple[int, bool]], layout: str | None) -> Seen:
    store = MemoryStore()
    reader = LayoutReader(layout, record_bytes_max=RECORD_BYTES_MAX)
    pipeline = Pipeline(reader, NoClaims(), MetricSet(), keep="all", record_bytes_max=RECORD_BYTES_MAX)
    line = first_line(content)
    assert line is not None
    state, position = new_stream("app", "host", "a.log", line, 0), 0
    for end, quiet in [*cuts, (len(content), True)]:
        if end > position:
            ingest = Ingest(store, lambda stream: pipeline)
            [outcome] = ingest.commit([Segment(state, position, content[position:end], quiet)])
            state, position = outcome.stream, outcome.next
    assert state.end == len(content)
    minutes: dict[int, list[bytes]] = {}
    for chunk in store.chunks(with_parts=True):
        for part in chunk.partials:
            minutes.setdefault(part.minute, []).append(part.data)
    merged = {minute: merge_partials(datas) for minute, datas in minutes.items()}
    return list(store.events()), state.counts + state.open_counts, merged


@st.composite
def cases(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, bool]]]:
    content = b"".join(draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=60)))
    cuts = draw(st.lists(st.tuples(st.integers(0, len(content)), st.booleans()), max_size=12))
    return content, sorted(cuts)


@settings(max_examples=150, deadline=None, print_blob=True)
@given(cases(), st.sampled_from(["%d %-5p [%t] %c - %m%n", None]), st.sampled_from([1, 3, 20_000]))
def test_pieces_do_not_matter(case: tuple[bytes, list[tuple[int, bool]]], layout: str | None, lines_max: int) -> None:
    """Cut anywhere, with and without pauses, with a new process for each piece, with and without a known layout, and
    however many lines are read at once."""
    content, cuts = case
    assert read(content, cuts, layout, lines_max) == read(content, [], layout)
