"""Blocks of bytes -> batches of records, by one layout.

    logagg/grammar/compiler.py   a layout -> its regular expressions
    logagg/grammar/heads.py      where records begin, by the regular expression; reads every layout
    logagg/grammar/vector.py     the same with arrays, for all lines at once; reads most layouts, several times faster
    logagg/grammar/batch.py      the records as columns

A record goes from its head to the next head. Lines before the first head are rejects of their own (`no_layout`), a
record or line above `record_bytes_max` is one (`too_long`). What a block's end leaves open is not read: the caller
gives these bytes again with what follows them.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from logagg.columns import NO_TIME, Ints, Spans, ints, times_of
from logagg.grammar.batch import ColumnBatch
from logagg.grammar.compiler import BOM, COLUMNS, Layout, compile_layout
from logagg.grammar.decode import take_apart
from logagg.grammar.detect import NO_LAYOUT, detect
from logagg.grammar.heads import LEVELS_MAX, NO_HEADS, Heads, Levels, find_heads
from logagg.grammar.vector import VectorLayout, line_ends
from logagg.interfaces import Batch
from logagg.record import Carry

PARTIAL_LINE_BYTES_MAX = 65_536
"""A head is shorter than this: a longer line without a head so far will not become one."""

VECTOR_BYTES_MIN = 16_384
"""On smaller blocks the regular expression is faster than arrays are set up."""

VECTOR_LINE_BYTES_MIN = 16
"""Where lines are shorter than this on average, nearly none is a head: arrays would take a hundred times the block's
memory, and the regular expression passes over them faster."""

VECTORS_MAX = 100


class LayoutReader:
    """Reads records of one layout; with layout None each stream's own is detected and kept in its carry.

    A pure function of its arguments but for caches. GrammarError for a layout, zone or encoding that cannot be used.
    """

    def __init__(self, layout: str | None, *, dialect: str = "log4j2", timezone: str = "UTC",
                 encoding: str = "utf-8", record_bytes_max: int = 1 << 20,
                 vector_bytes_min: int = VECTOR_BYTES_MIN) -> None:
        self._text, self._dialect, self._timezone, self._encoding = layout, dialect, timezone, encoding
        self._bytes_max, self._vector_bytes_min = record_bytes_max, vector_bytes_min
        self._levels = Levels()
        self._vectors: dict[str, VectorLayout | None] = {}
        compile_layout(layout if layout is not None else "%d %p %m%n", dialect, timezone, encoding)

    def decided(self, carry: Carry) -> bool:
        return self._text is not None or "layout" in carry

    def read(self, block: bytes, base: int, carry: Carry, *, final: bool) -> Batch:
        text, kept = self._layout(block, carry)
        layout = None if text == NO_LAYOUT else self._compiled(text)
        if len(self._levels) > LEVELS_MAX:
            self._levels = Levels()
        levels = self._levels
        found = NO_HEADS if layout is None else self._find(text, layout, block, levels, mid=bool(carry.get("mid")),
                                                           mark=BOM if not base and block.startswith(BOM) else b"")
        span = self._span(found.starts, block, carry, layout, final=final)
        columns = _columns(layout, found, span, block, carry, levels)
        after: Carry = dict(kept)
        last_us = _last(columns["times"], carry.get("ts"))
        after |= {"ts": last_us} if last_us is not None else {}
        return ColumnBatch(base=base, block=block, end=span.end, texts=Spans(block, span.starts, span.stops),
                           rejects=span.rejects, carry=after | span.carry, skipped=span.skipped, layout=layout,
                           encoding=self._encoding, level_names=levels.names, **columns)

    def _layout(self, block: bytes, carry: Carry) -> tuple[str, Carry]:
        """The layout to use, and what of it the carry keeps: only a settled, detected one."""
        if self._text is not None:
            return self._text, {}
        if "layout" in carry:
            return str(carry["layout"]), {"layout": carry["layout"]}
        text, decided = detect(block, self._encoding)
        return text, {"layout": text} if decided else {}

    def _compiled(self, text: str) -> Layout:
        dialect = self._dialect if self._text is not None else "log4j2"
        return compile_layout(text, dialect, self._timezone, self._encoding)

    def _find(self, text: str, layout: Layout, block: bytes, levels: Levels, *, mid: bool, mark: bytes) -> Heads:
        """The heads of a block: with arrays if the layout has such an engine and the block is one for it."""
        vector = self._vector(text, layout) if len(block) >= self._vector_bytes_min else None
        ends = line_ends(block, len(block) // VECTOR_LINE_BYTES_MIN) if vector else None
        if vector is None or ends is None:
            return find_heads(layout, block, levels, mid=mid, mark=mark)
        return vector.find(block, ends, levels, mid=mid, mark=mark)

    def _vector(self, text: str, layout: Layout) -> VectorLayout | None:
        if text not in self._vectors:
            if len(self._vectors) >= VECTORS_MAX:
                self._vectors.clear()
            self._vectors[text] = VectorLayout.of(layout)
        return self._vectors.get(text)

    def _span(self, heads: Ints, block: bytes, carry: Carry, layout: Layout | None, *, final: bool) -> "_Span":
        """Which bytes are which record. What may still change is left out, unless it is too long already."""
        safe = len(block) if final else self._safe_end(block, layout)
        first = int(heads[0]) if len(heads) else len(block)
        skipped, inside = _skip(block, carry, first, safe)
        lines = [] if inside else _line_starts(block, skipped, first)
        starts = np.concatenate((ints(lines), heads)) if lines else heads
        if not len(starts):
            return _Span(starts, starts, skipped, {}, skipped, 0, inside)
        stops, end, count, last = np.concatenate((starts[1:], [len(block)])), len(block), len(starts), int(starts[-1])
        if not final and safe - last > self._bytes_max:
            stops[-1] = end = safe
        elif not final:
            kept = int(np.searchsorted(starts, min(safe, last)))
            end = int(starts[kept])
            starts, stops = starts[:kept], stops[:kept]
        rejects = dict.fromkeys(range(min(len(lines), len(starts))), "no_layout")
        if len(block) > self._bytes_max:
            rejects |= dict.fromkeys(np.flatnonzero(stops - starts > self._bytes_max).tolist(), "too_long")
        goes_on = len(starts) == count and rejects.get(count - 1) == "too_long"
        after = _long(block, end, line=len(lines) == count) if goes_on else {}
        return _Span(starts, stops, end, rejects, skipped, min(len(lines), len(starts)), after)

    def _safe_end(self, block: bytes, layout: Layout | None) -> int:
        """Up to where no head can begin that is not seen yet."""
        end = block.rfind(b"\n") + 1
        if len(block) - end > min(PARTIAL_LINE_BYTES_MAX, self._bytes_max):
            return len(block)
        for _ in range(layout.head_lines if layout else 0):
            end = block.rfind(b"\n", 0, max(end - 1, 0)) + 1
        return end


@dataclass(frozen=True, slots=True)
class _Span:
    starts: Ints
    stops: Ints
    end: int
    rejects: dict[int, str]
    skipped: int
    lines: int      #: how many of the first items are lines without a head
    carry: Carry    #: what of a reject goes on behind `end`


def _columns(layout: Layout | None, found: Heads, span: _Span, block: bytes, carry: Carry,
             levels: Levels) -> dict[str, Any]:
    """The batch's columns; lines without a head and rejects have nothing in them."""
    if layout is not None and (layout.late or layout.suffixed):
        found = _late(layout, found, block, span, levels)
    lines, count = span.lines, len(span.starts)
    rows = count - lines
    rejected = [number for number in span.rejects if number >= lines]

    def column(values: Ints | None, nothing: int) -> Ints:
        if values is not None and not span.rejects:     # then there are no lines either
            return values[:rows]
        whole = np.full(count, nothing)
        if values is not None:
            whole[lines:] = values[:rows]
            whole[rejected] = nothing
        return whole

    times = None
    if layout and (found.times is not None or found.dates is not None):
        times = _times(layout, found, rows, [number - lines for number in rejected], carry.get("ts"))
    messages = found.messages
    first = (Spans(block, column(None, 0), column(None, 0)) if messages is None
             else Spans(messages.block, column(messages.starts, 0), column(messages.stops, 0)))

    def loggers() -> list[bytes | None]:
        names: list[bytes | None] = [None] * rows if found.loggers is None else [*found.loggers[:rows]]
        for number in rejected:
            names[number - lines] = None
        return [None] * lines + names

    return {"times": column(times, NO_TIME), "level_codes": column(found.levels, 0), "loggers_of": loggers,
            "first_lines": first}


def _last(times: Ints, before: int | None) -> int | None:
    """The last time that is one."""
    if len(times) and times[-1] != NO_TIME:
        return int(times[-1])
    for start in range(len(times), 0, -1000):
        some = times[max(0, start - 1000):start]
        known = np.flatnonzero(some != NO_TIME)
        if len(known):
            return int(some[known[-1]])
    return before


def _skip(block: bytes, carry: Carry, first: int, safe: int) -> tuple[int, Carry]:
    """How many bytes belong to a reject that began in an earlier block, and the carry if it goes on behind them."""
    if not carry.get("long"):
        return 0, {}
    if carry.get("line"):
        end = block.find(b"\n") + 1
        return (end, {}) if end else (len(block), {"long": True, "line": True, "mid": True})
    if first < len(block):
        return first, {}
    if not safe:
        return 0, {"long": True} | ({"mid": True} if carry.get("mid") else {})
    return safe, _long(block, safe, line=False)


def _long(block: bytes, end: int, *, line: bool) -> Carry:
    """The carry behind a too long record or line that has reached `end`; empty behind a line's own end."""
    ended = block.endswith(b"\n", 0, end)
    if line:
        return {} if ended else {"long": True, "line": True, "mid": True}
    return {"long": True} if ended else {"long": True, "mid": True}


def _line_starts(block: bytes, start: int, stop: int) -> list[int]:
    starts = []
    while start < stop:
        starts.append(start)
        start = block.find(b"\n", start, stop) + 1 or stop
    return starts


def _times(layout: Layout, found: Heads, rows: int, rejected: list[int], last_us: int | None) -> Ints:
    """The times of the first `rows` records; rejects have none and do not count as the record before."""
    if found.times is not None:
        return found.times[:rows]
    assert layout.date is not None and found.dates is not None
    if not rejected:
        return times_of(layout.date.decode(found.dates[:rows], last_us))
    out = set(rejected)
    kept = [number for number in range(rows) if number not in out]
    times = np.full(rows, NO_TIME)
    times[kept] = times_of(layout.date.decode([found.dates[number] for number in kept], last_us))
    return times


def _late(layout: Layout, found: Heads, block: bytes, span: _Span, levels: Levels) -> Heads:
    """With the columns that only the whole record tells, since something is printed behind the message."""
    groups = {name: next((group for group, each in layout.fields.items() if each.converter.name == name), "")
              for name in COLUMNS} | {"date": layout.date_group}
    columns: dict[str, list[bytes]] = {name: [] for name in layout.late}
    messages: list[bytes] = []
    for text in Spans(block, span.starts[span.lines:], span.stops[span.lines:]):
        parts = take_apart(layout, text)
        messages.append((parts.message or b"").partition(b"\n")[0].removesuffix(b"\r"))
        for name, column in columns.items():
            column.append(parts.values.get(groups[name], b""))
    return replace(
        found, dates=columns.get("date", found.dates), loggers=columns.get("logger", found.loggers),
        levels=levels.codes(columns["level"]) if "level" in columns else found.levels,
        messages=Spans.of(messages) if layout.suffixed else found.messages)
