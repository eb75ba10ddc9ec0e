"""Records in columns are the same as records one by one: as bodies, as events, and as MongoDB's documents."""

import random
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logagg.bodies import Bodies, KeptEvents
from logagg.grammar.reader import LayoutReader
from logagg.interfaces import Batch
from logagg.record import Event
from logagg.store.mongo_codec import document_of_event, encode_events
from logagg.store.mongo_events import COLUMN_ROWS_MIN
from tests.property.test_engines import LAYOUTS, ZONES, _text

PLAIN = [
    b"2026-11-20 10:00:01,250 INFO  [main] com.acme.A - begun",
    b"2026-11-20 10:00:01,251 WARN  [main] com.acme.A - caf\xc3\xa9",
    b"2026-11-20 10:00:01,252 INFO  [http-1] com.acme.B - nul \0 and tab \t",
    b"2026-11-20 10:00:01,253 INFO  [\xe6\x97\xa5] com.acme.B - ",
]
ODD = [
    b"2026-11-20 10:00:02,000 ERROR [main] com.acme.A - failed\njava.io.IOException: why\n\tat a.B.c(B.java:1)",
    b"2026-11-20 10:00:02,001 INFO  [main] com.acme.A - invalid \xff\xed\xa0\x80",
    b"2026-13-20 10:00:02,002 INFO  [main] com.acme.A - no such month",
    b"2026-11-20 10:00:02,003 INFO  [main] com.acme.A - two\nlines",
    b"no head",
]
LAYOUT = "%d %-5p [%t] %c - %m%n"
TEXTS = st.text(st.characters(codec=None), max_size=5)
FIELDS = st.dictionaries(st.sampled_from(["a", "duration_ms", "$a", "b\0"]),
                         st.one_of(st.integers(-(1 << 70), 1 << 70), st.floats(allow_nan=False), TEXTS), max_size=3)


def batch_of(text: bytes, layout: str = LAYOUT, dialect: str = "log4j2", zone: str = "UTC", encoding: str = "utf-8",
             base: int = 0) -> Batch:
    reader = LayoutReader(layout, dialect=dialect, timezone=zone, encoding=encoding)
    return reader.read(text, base, {}, final=True)


def bodies_of(batch: Batch, *, columns: bool) -> Bodies:
    with patch("logagg.grammar.batch.PLAIN_ROWS_MIN", 1 if columns else 1 << 60):
        return batch.bodies(range(len(batch)))


@settings(max_examples=400, deadline=None, print_blob=True)
@given(st.integers(0, 1 << 32), st.sampled_from(LAYOUTS), st.sampled_from(ZONES),
       st.sampled_from(["utf-8", "latin-1", "shift_jis"]))
def test_bodies_in_columns_are_those_one_by_one(seed: int, chosen: tuple[str, str], zone: str, encoding: str) -> None:
    """Whatever the bytes, the layout and the encoding: the same parts, in the same order."""
    text = _text(random.Random(seed), *chosen)
    batch = batch_of(text, *chosen, zone, encoding)
    found, expected = (bodies_of(batch, columns=columns) for columns in (True, False))
    assert [(*at, list(body.items())) for *at, body in found] == [(*at, list(body.items())) for *at, body in expected]
    assert [found[i] for i in range(len(found))] == list(found)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_which_records_are_plain(end: bytes) -> None:
    """Lines of valid UTF-8 are, whatever stands beside them; traces, broken bytes, impossible dates and rejects are
    not. (So the tests of equality here compare two ways and not one with itself.)"""
    records = [ODD[-1], *PLAIN, *ODD[:4], *PLAIN]
    found = bodies_of(batch_of(b"".join(record + end for record in records)), columns=True)
    assert [head is not None for head in found.heads] == [False, *[True] * 4, *[False] * 4, *[True] * 4]
    assert found.heads[1] is found.heads[9], "what heads share is there once"


@settings(max_examples=300, deadline=None, print_blob=True)
@given(st.lists(st.sampled_from([*PLAIN * 3, *ODD]), min_size=1, max_size=12),
       st.dictionaries(st.integers(0, 11), st.tuples(TEXTS, FIELDS), max_size=4),
       st.sampled_from([0, 500, (1 << 31) - 200, 1 << 31, 1 << 40]), st.sampled_from(["ab12", "", "s\0", "\ud800"]))
@example(PLAIN, {0: ("took", {"duration_ms": 5}), 2: ("took", {"duration_ms": 1 << 64})}, 0, "ab12")
def test_documents_in_columns_are_those_one_by_one(
        records: list[bytes], claims: dict[int, tuple[str, dict[str, int | float | str]]], base: int, stream: str,
) -> None:
    """MongoDB's documents are the same byte by byte, also around offsets of 2^31 and with values BSON cannot hold."""
    batch = batch_of(b"".join(record + b"\n" for record in records), base=base)
    claims = {i: claim for i, claim in claims.items() if i < len(batch) and i not in batch.rejects}
    events = KeptEvents(stream, bodies_of(batch, columns=True), claims)
    with patch("logagg.store.mongo_events.COLUMN_ROWS_MIN", 1):
        found = [document.raw for document in encode_events(events, 7)]
    assert found == [document_of_event(event, 7).raw for event in events]


def test_plain_records_become_documents_together() -> None:
    """Not one of them is encoded alone, where there are enough of them."""
    count = COLUMN_ROWS_MIN
    batch = batch_of(b"".join(record + b"\n" for record in PLAIN * count))
    events = KeptEvents("s", batch.bodies(range(len(batch))), {3: ("took", {"duration_ms": 5})})
    with patch("logagg.store.mongo_events.document_of_event", side_effect=AssertionError):
        assert len(encode_events(events, 7)) == len(PLAIN) * count


def test_kept_events_are_a_sequence_of_events() -> None:
    """Length, items, slices, iteration and equality are a tuple's; an event that was changed changes no other."""
    bodies = bodies_of(batch_of(b"".join(record + b"\n" for record in [*PLAIN, *ODD])), columns=True)
    kept = KeptEvents("s", bodies, {1: ("said", {"what": "x"})})
    events = tuple(kept)
    assert (len(kept), kept[1], kept[-1], kept[2:5]) == (len(events), events[1], events[-1], events[2:5])
    assert all(isinstance(event, Event) for event in events)
    assert (kept[1].event, kept[1].body["fields"], kept[0].event) == ("said", {"what": "x"}, None)
    assert kept == events
    assert events == kept
    assert kept != events[1:]
    kept[0].body["message"] = kept[-1].body["message"] = "another"
    assert tuple(kept) == events
    with pytest.raises(IndexError):
        kept[len(events)]
