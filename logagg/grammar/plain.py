"""Which records of a block are plain, and what they print, as columns; all others are taken apart one by one.

A plain record is one line that begins with a date of fixed width, and prints nothing but level, logger, thread and
message. What its head prints behind the date repeats: it is taken apart once for all records that print the same.
"""

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from logagg.bodies import Head
from logagg.columns import NO_TIME, Ints, Spans, ints, numbers
from logagg.grammar.compiler import BOM, Layout
from logagg.grammar.cursor import Mask
from logagg.grammar.dates import second_text
from logagg.grammar.pattern import Converter, Text

HEADS_MAX = 8192
HEAD_BYTES_MAX = 512

_LIKE_ASCII = frozenset(("utf-8", "ascii", "iso8859-1", "cp1252"))
"""Codecs whose bytes below 128 are ASCII's, whatever stands around them."""


@dataclass(frozen=True, slots=True)
class PlainColumns:
    """Columns of `bodies.Bodies`, for records with a time. `heads[i]` None: the record is not plain."""

    heads: Sequence[Head | None]
    seconds: Sequence[str]
    fractions: Sequence[bytes]
    messages: Spans


class PlainLayout:
    """A layout whose records can be plain; `PlainLayout.of` answers None for all others. The cache is bounded."""

    def __init__(self, layout: Layout, before: int, texts_of: Callable[[re.Match[bytes]], dict[str, str]]) -> None:
        assert layout.date is not None and layout.date.digits is not None
        self._cut = before + len(layout.date.digits)
        _, fraction, digits = layout.date.places
        self._fraction = before + fraction, before + fraction + digits
        self._encoding = codecs.lookup(layout.encoding).name
        self._heads = _Heads(layout.head, texts_of)

    @classmethod
    def of(cls, layout: Layout, texts_of: Callable[[re.Match[bytes]], dict[str, str]]) -> "PlainLayout | None":
        """`texts_of` takes the match of a head apart, all but its date."""
        if codecs.lookup(layout.encoding).name not in _LIKE_ASCII:
            return None
        before = 0
        for piece in layout.pieces:
            if isinstance(piece, Text):
                before += len(piece.text.encode(layout.encoding, "replace"))
                continue
            first = isinstance(piece, Converter) and piece.name == "date" and not piece.width_min
            if not first or layout.date is None or layout.date.digits is None:
                return None
            is_column = [*layout.head.groupindex][:1] == [layout.date_group]
            return cls(layout, before, texts_of) if is_column else None
        return None

    def columns(self, records: Spans, heads_end: Ints, times: Ints) -> PlainColumns:
        """Of records of a block: where each begins and ends, where its message begins (0: nobody knows), its time."""
        block, starts = records.block, records.starts
        stops = _without_line_ends(block, records.stops, heads_end)
        plain = _are_lines(block, starts, records.stops) & (times != NO_TIME)
        plain &= (heads_end >= starts + self._cut) & (stops >= heads_end)
        if block.startswith(BOM):
            plain &= starts > 0
        messages = Spans(block, np.where(plain, heads_end, 0), np.where(plain, stops, 0))
        if not block.isascii():
            plain &= self._are_utf8(messages)
        found: list[Head | None] = [None] * len(starts)
        rows = np.flatnonzero(plain)
        if len(rows):
            first = int(starts[rows[0]])
            self._heads.date = block[first:first + self._cut]
            behind = Spans(block, starts[rows] + self._cut, heads_end[rows])
            for row, head in zip(rows.tolist(), map(self._heads.__getitem__, behind), strict=True):
                found[row] = head
        begin, end = self._fraction
        seconds = numbers(np.where(plain, times, 0) // 1_000_000)
        return PlainColumns(found, [*map(second_text, seconds)], Spans(block, starts + begin, starts + end), messages)

    def _are_utf8(self, messages: Spans) -> Mask:
        """Which messages' bytes are the UTF-8 of their texts."""
        if self._encoding == "utf-8":
            return np.fromiter(map(_is_utf8, messages), bool, len(messages))
        return np.fromiter(map(bytes.isascii, messages), bool, len(messages))


class _Heads(dict[bytes, Head | None]):
    """What heads print behind their dates -> its texts; None where that is not the whole of a head."""

    def __init__(self, pattern: re.Pattern[bytes], texts_of: Callable[[re.Match[bytes]], dict[str, str]]) -> None:
        self._pattern, self._texts_of = pattern, texts_of
        self.date = b""         #: any that is printed

    def __missing__(self, behind: bytes) -> Head | None:
        match = self._pattern.match(self.date + behind)
        whole = match is not None and match.end() == len(self.date) + len(behind)
        head = Head(self._texts_of(match)) if match is not None and whole else None
        if len(behind) <= HEAD_BYTES_MAX:
            if len(self) >= HEADS_MAX:
                self.clear()
            self[behind] = head
        return head


def _are_lines(block: bytes, starts: Ints, stops: Ints) -> Mask:
    """Which records have no line end but perhaps their last byte."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10)
    lines: Mask = np.searchsorted(ends, starts) == np.searchsorted(ends, stops - 1)
    return lines


def _without_line_ends(block: bytes, stops: Ints, least: Ints) -> Ints:
    r"""Where texts end before their \n or \r\n, of which nothing before `least` is cut off."""
    every = np.frombuffer(block, np.uint8)
    ended = (every[stops - 1] == 10) & (stops > least)
    stops = stops - ended.astype(np.int64)
    returned = ended & (every[stops - 1] == 13) & (stops > least)
    return ints(stops - returned.astype(np.int64))


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
