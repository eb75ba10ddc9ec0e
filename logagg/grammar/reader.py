"""Blocks of bytes -> batches of records, by one layout: one regular expression over the block finds all heads.

A record goes from its head to the next head. Lines before the first head are rejects of their own (`no_layout`), a
record or line above `record_bytes_max` is one (`too_long`). What a block's end leaves open is not read: the caller
gives these bytes again with what follows them.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from logagg.grammar.batch import ColumnBatch
from logagg.grammar.compiler import BOM, COLUMNS, Layout, compile_layout
from logagg.grammar.decode import take_apart
from logagg.grammar.detect import NO_LAYOUT, detect
from logagg.interfaces import Batch
from logagg.record import Carry

PARTIAL_LINE_BYTES_MAX = 65_536
"""A head is shorter than this: a longer line without a head so far will not become one."""

LEVELS_MAX = 10_000


class LayoutReader:
    """Reads records of one layout; with layout None each stream's own is detected and kept in its carry.

    A pure function of its arguments but for caches. GrammarError for a layout, zone or encoding that cannot be used.
    """

    def __init__(self, layout: str | None, *, dialect: str = "log4j2", timezone: str = "UTC",
                 encoding: str = "utf-8", record_bytes_max: int = 1 << 20) -> None:
        self._text, self._dialect, self._timezone, self._encoding = layout, dialect, timezone, encoding
        self._bytes_max = record_bytes_max
        self._levels = _Levels()
        compile_layout(layout if layout is not None else "%d %p %m%n", dialect, timezone, encoding)

    def decided(self, carry: Carry) -> bool:
        return self._text is not None or "layout" in carry

    def read(self, block: bytes, base: int, carry: Carry, *, final: bool) -> Batch:
        text, kept = self._layout(block, carry)
        layout = None if text == NO_LAYOUT else self._compiled(text)
        found = _find(layout, block, bool(carry.get("mid")), BOM if not base and block.startswith(BOM) else b"")
        span = self._span(found.starts, block, carry, layout, final=final)
        columns = self._columns(layout, found, span, block, carry)
        after: Carry = dict(kept)
        last_us = next((ts for ts in reversed(columns["ts_us"]) if ts is not None), carry.get("ts"))
        after |= {"ts": last_us} if last_us is not None else {}
        return ColumnBatch(base=base, block=block, end=span.end, starts=span.starts, stops=span.stops,
                           rejects=span.rejects, carry=after | span.carry, skipped=span.skipped, layout=layout,
                           encoding=self._encoding, **columns)

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

    def _span(self, heads: Sequence[int], block: bytes, carry: Carry, layout: Layout | None, *, final: bool) -> "_Span":
        """Which bytes are which record. What may still change is left out, unless it is too long already."""
        safe = len(block) if final else self._safe_end(block, layout)
        first = heads[0] if heads else len(block)
        skipped, inside = _skip(block, carry, first, safe)
        lines = [] if inside else _line_starts(block, skipped, first)
        starts = [*lines, *heads]
        if not starts:
            return _Span([], [], skipped, {}, skipped, 0, inside)
        stops, end, count = [*starts[1:], len(block)], len(block), len(starts)
        if not final and safe - starts[-1] > self._bytes_max:
            stops[-1] = end = safe
        elif not final:
            kept = bisect_left(starts, min(safe, starts[-1]))
            end = starts[kept]
            del starts[kept:], stops[kept:]
        rejects = dict.fromkeys(range(min(len(lines), len(starts))), "no_layout")
        rejects |= {number: "too_long" for number, (start, stop) in enumerate(zip(starts, stops, strict=True))
                    if stop - start > self._bytes_max}
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

    def _columns(self, layout: Layout | None, found: "_Found", span: "_Span", block: bytes,
                 carry: Carry) -> dict[str, Any]:
        """The batch's columns; lines without a head and rejects have nothing in them."""
        lines, rows = span.lines, len(span.starts) - span.lines
        rejected = [number - lines for number in span.rejects if number >= lines]
        values: dict[str, list[Any]] = {name: list(column[:rows]) for name, column in found.columns.items()}
        if layout is not None and (layout.late or layout.suffixed):
            values |= _late(layout, block, span.starts[lines:], span.stops[lines:])
        dates = values.get("date")
        levels = self._levels
        columns: dict[str, list[Any]] = {
            "ts_us": _times(layout, dates, rejected, carry.get("ts")) if layout and dates else [None] * rows,
            "levels": [levels[raw] for raw in values["level"]] if "level" in values else [None] * rows,
            "loggers": values.get("logger") or [None] * rows,
            "first_lines": _first_lines(values.get("message"), block) or [b""] * rows,
        }
        for name, nothing in (("ts_us", None), ("levels", None), ("loggers", None), ("first_lines", b"")):
            for number in rejected:
                columns[name][number] = nothing
            columns[name] = [nothing] * lines + columns[name]
        return columns


class _Levels(dict[bytes, str]):
    """A level as printed -> its interned text without padding."""

    def __missing__(self, raw: bytes) -> str:
        if len(self) >= LEVELS_MAX:
            self.clear()
        self[raw] = level = raw.strip(b" ").decode("utf-8", "replace")
        return level


@dataclass(frozen=True, slots=True)
class _Found:
    starts: Sequence[int]
    columns: dict[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class _Span:
    starts: list[int]
    stops: list[int]
    end: int
    rejects: dict[int, str]
    skipped: int
    lines: int      #: how many of the first items are lines without a head
    carry: Carry    #: what of a reject goes on behind `end`


def _find(layout: Layout | None, block: bytes, mid: bool, mark: bytes) -> _Found:
    """All heads of a block, which begins a line unless `mid`; a byte order mark belongs to the head behind it."""
    if layout is None:
        return _Found((), {})
    text, shift = (block, 0) if mid else (b"\n" + block[len(mark):], 1 - len(mark))
    rows: list[tuple[Any, ...]] = [(match.start(1) - shift, *match.groups()) for match in layout.scan.finditer(text)]
    while rows and rows[-1][0] >= len(block):  # a layout that matches the empty line behind the end
        rows.pop()
    if not rows:
        return _Found((), {})
    names = ("", *layout.columns, *(("message",) if layout.has_message else ()))
    starts, *columns = zip(*rows, strict=True)
    if starts[0] == len(mark):
        starts = (0, *starts[1:])
    return _Found(starts, dict(zip(names, columns, strict=True)))


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


def _times(layout: Layout, dates: list[bytes], rejected: list[int], last_us: int | None) -> list[int | None]:
    """The times of all records; rejects have none and do not count as the record before."""
    assert layout.date is not None
    if not rejected:
        return layout.date.decode(dates, last_us)
    out = set(rejected)
    kept = [number for number in range(len(dates)) if number not in out]
    times: list[int | None] = [None] * len(dates)
    for number, ts_us in zip(kept, layout.date.decode([dates[number] for number in kept], last_us), strict=True):
        times[number] = ts_us
    return times


def _late(layout: Layout, block: bytes, starts: Sequence[int], stops: Sequence[int]) -> dict[str, list[Any]]:
    """Columns that only the whole record tells, since something is printed behind the message."""
    groups = {name: next((group for group, each in layout.fields.items() if each.converter.name == name), "")
              for name in COLUMNS} | {"date": layout.date_group}
    columns: dict[str, list[Any]] = {name: [] for name in layout.late}
    messages: list[bytes] = []
    for start, stop in zip(starts, stops, strict=True):
        parts = take_apart(layout, block[start:stop])
        messages.append((parts.message or b"").partition(b"\n")[0])
        for name, column in columns.items():
            column.append(parts.values.get(groups[name], b""))
    return columns | ({"message": messages} if layout.suffixed else {})


def _first_lines(lines: list[bytes] | None, block: bytes) -> list[bytes] | None:
    """The messages' first lines without a line end."""
    if lines and b"\r\n" in block:
        return [line.removesuffix(b"\r") for line in lines]
    return lines
