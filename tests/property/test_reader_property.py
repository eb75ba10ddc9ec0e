"""Reading in pieces is reading at once, wherever the pieces are cut; every byte is accounted for once."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from logagg.grammar.detect import detect
from logagg.grammar.reader import LayoutReader
from logagg.interfaces import Batch
from logagg.record import Carry

LAYOUTS = {
    "plain": "%d{yyyy-MM-dd HH:mm:ss,SSS} %-5p [%t] %c - %m%n",
    "tail": "%d{yyyy-MM-dd HH:mm:ss,SSS} %p %c: %m%n%xwEx",
    "suffix": "[%d{yyyy-MM-dd HH:mm:ss,SSS}] %p %m (%c)%n",
    "two lines": "%d{yyyy-MM-dd HH:mm:ss,SSS} [%t] %p%n%c: %m%n",
}
RECORD_BYTES_MAX = 600

# New York, 3 November 2024: 01:00 to 01:59 comes twice.
_TIMES = [f"2024-11-03 {hour:02}:{minute:02}:07,{milli:03}" for hour in (0, 1, 1, 2) for minute in (0, 20, 59)
          for milli in (1, 999)]
_LEVELS = st.sampled_from(["INFO", "WARN", "ERROR", "NOTICE"])
_WORDS = st.sampled_from(["text", "a - b", "] INFO x - y", "é日本", "", "x" * 300, "Caused by: q",
                          "2024-11-03 01:00:07,001"])
_TIME = st.sampled_from(_TIMES)


def _heads(name: str) -> st.SearchStrategy[str]:
    formats = {"plain": "{0} {1:<5} [{2}] a.B - {3}\n", "tail": "{0} {1} a.B: {3}\n[{2}]wEx",
               "suffix": "[{0}] {1} {3} (a.B)\n", "two lines": "{0} [{2}] {1}\na.B: {3}\n"}
    return st.builds(formats[name].format, _TIME, _LEVELS, st.sampled_from(["main", "w [1]", "x - y"]), _WORDS)


def _logs(name: str) -> st.SearchStrategy[bytes]:
    other = st.sampled_from(["\tat a.B.c(B.java:1)\n", "java.lang.Error: x\n", "\n", "  more\r\n", "junk\n",
                             "y" * 200 + "\n", "z" * 900 + "\n", "2024-11-03 01:0"])
    parts = st.lists(st.one_of(_heads(name), _heads(name), other), max_size=25)
    return st.builds(lambda mark, texts: (mark + "".join(texts)).encode(), st.sampled_from(["", "", "\ufeff"]), parts)


@dataclass
class Result:
    """What a stream gave: one row per record, and the bytes of all rows and skips."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    covered: int = 0

    def add(self, batch: Batch) -> None:
        self.covered += batch.skipped
        for i in range(len(batch)):
            record = batch.record(i)
            long = batch.rejects.get(i) == "too_long"
            self.covered += record.size
            text = (record.message or "")[:100] if long else (record.message, record.exception, record.ndc)
            self.rows.append((record.offset, None if long else record.size, record.reason, batch.ts_us[i], record.ts,
                              batch.levels[i], batch.loggers[i], batch.first_lines[i], record.thread, text))


def at_once(reader: LayoutReader, text: bytes) -> Result:
    result = Result()
    result.add(reader.read(text, 0, {}, final=True))
    return result


def in_pieces(reader: LayoutReader, text: bytes, cuts: list[int]) -> Result:
    """As ingestion does it: what is not read yet is given again with what has come since."""
    result, carry, start = Result(), Carry(), 0
    for cut in [*sorted(cut for cut in cuts if cut < len(text)), len(text)]:
        batch = reader.read(text[start:cut], start, carry, final=cut == len(text))
        result.add(batch)
        start, carry = start + batch.end, json.loads(json.dumps(batch.carry))
    return result


@settings(max_examples=250, deadline=None, print_blob=True)
@given(st.data())
def test_reading_in_pieces_is_reading_at_once(data: st.DataObject) -> None:
    """Any cuts, also in mid-line, give the same records, times (through a repeated hour) and rejects as one block; and
    the records, rejects and skipped bytes are all bytes of the stream, each once."""
    name = data.draw(st.sampled_from(list(LAYOUTS)))
    text = data.draw(_logs(name))
    cuts = data.draw(st.lists(st.integers(0, max(len(text), 1)), max_size=6))
    reader = LayoutReader(LAYOUTS[name], timezone="America/New_York", record_bytes_max=RECORD_BYTES_MAX)
    whole, parts = at_once(reader, text), in_pieces(reader, text, cuts)
    assert parts.rows == whole.rows
    assert whole.covered == parts.covered == len(text)


@settings(max_examples=150, deadline=None, print_blob=True)
@given(st.data())
def test_an_open_end_is_replaced_by_what_reading_at_once_gives(data: st.DataObject) -> None:
    """What is closed in a growing file never changes; the open rest, read to the end at any moment, together with it is
    what reading that prefix at once gives."""
    name = data.draw(st.sampled_from(["plain", "suffix", "tail"]))
    text = data.draw(_logs(name))
    reader = LayoutReader(LAYOUTS[name], timezone="America/New_York", record_bytes_max=RECORD_BYTES_MAX)
    ends = [place + 1 for place, byte in enumerate(text) if byte == 10]
    prefix = text[:data.draw(st.sampled_from(ends))] if ends else text
    closed = reader.read(prefix, 0, {}, final=False)
    settled, grown = Result(), Result()
    settled.add(closed)
    grown.add(closed)
    grown.add(reader.read(prefix[closed.end:], closed.end, closed.carry, final=True))
    assert grown.rows == at_once(reader, prefix).rows
    assert at_once(reader, text).rows[:len(settled.rows)] == settled.rows


@settings(max_examples=60, deadline=None, print_blob=True)
@given(st.lists(st.sampled_from([
    "2026-11-20 13:15:30,123 INFO com.acme.Vip: text\n", "2026-11-20 13:15:30,123 [t] WARN  a.B - text\n", "junk\n",
    "17/06/09 20:10:40 INFO executor.Backend: text\n", "\tat a.B.c(B.java:1)\n"]), max_size=80), st.data())
def test_detection_depends_on_the_prefix_alone(lines: list[str], data: st.DataObject) -> None:
    """Once a prefix settles the layout, every longer one gives the same layout."""
    text = "".join(lines).encode()
    layout, settled = detect(text[:data.draw(st.integers(0, len(text)))])
    assert not settled or detect(text) == (layout, True)
