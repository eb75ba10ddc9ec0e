"""A block's records as columns, and those records whole that are asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from logagg.bodies import Bodies, Body, Head
from logagg.columns import Ints, Spans, as_times, ints, numbers
from logagg.grammar.compiler import Layout
from logagg.grammar.decode import Decoder, decoder_of
from logagg.record import Carry, Record

REJECT_CHARS_MAX = 1000

PLAIN_ROWS_MIN = 16
"""Fewer records are taken apart one by one faster than arrays are set up."""


@dataclass
class ColumnBatch:
    """The Batch of logagg.interfaces. `loggers_of` makes the column of loggers when it is asked for."""

    base: int
    block: bytes
    end: int
    texts: Spans
    times: Ints
    level_codes: Ints
    level_names: Sequence[str | None]
    loggers_of: Callable[[], Sequence[bytes | None]]
    first_lines: Spans
    rejects: Mapping[int, str]
    carry: Carry
    skipped: int
    layout: Layout | None
    encoding: str = field(default="utf-8")

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def starts(self) -> Sequence[int]:
        return numbers(self.texts.starts)

    @cached_property
    def ts_us(self) -> Sequence[int | None]:
        return as_times(self.times)

    @cached_property
    def levels(self) -> Sequence[str | None]:
        names = self.level_names
        return [names[code] for code in self.level_codes.tolist()]

    @cached_property
    def loggers(self) -> Sequence[bytes | None]:
        return self.loggers_of()

    def record(self, i: int) -> Record:
        [(offset, ts_us, body)] = self.bodies((i,))
        size = int(self.texts.stops[i] - self.texts.starts[i])
        if reason := self._reason(i):
            return Record(offset, size, message=body["message"], reason=reason)
        return Record(offset, size, ts_us=ts_us, **body)

    def bodies(self, rows: Sequence[int] | Ints) -> Bodies:
        """The bodies of these records without an event; a reject's has one."""
        at = ints(rows)
        some, times = self.texts.take(at), self.times[at]
        decoder = decoder_of(self.layout) if self.layout is not None else None
        count, found = len(at), None
        if decoder is not None and decoder.plain is not None and count >= PLAIN_ROWS_MIN:
            first = self.first_lines
            heads_end = first.starts[at] if first.block is self.block else np.zeros(count, np.int64)
            found = decoder.plain.columns(some, heads_end, times)
        heads: Sequence[Head | None] = found.heads if found else [None] * count
        known = as_times(times)
        whole = {i: self._whole(decoder, row, known[i])
                 for i, (row, head) in enumerate(zip(at.tolist(), heads, strict=True)) if head is None}
        offsets = numbers(some.starts + self.base)
        if found is None:
            return Bodies(offsets, known, heads, whole, [""] * count, [b""] * count, [b""] * count)
        return Bodies(offsets, known, heads, whole, found.seconds, found.fractions, found.messages)

    def _whole(self, decoder: Decoder | None, row: int, ts_us: int | None) -> Body:
        if decoder is None or row in self.rejects:
            return self._rejected(row)
        return decoder.body(self.block[self.texts.starts[row]:self.texts.stops[row]], ts_us)

    def _reason(self, i: int) -> str | None:
        """Why record `i` is a reject."""
        return self.rejects.get(i, None if self.layout is not None else "no_layout")

    def _rejected(self, i: int) -> Body:
        start, stop = self.texts.starts[i], self.texts.stops[i]
        text = self.block[start : min(stop, start + REJECT_CHARS_MAX * 4)]
        message = text.decode(self.encoding, "replace").rstrip("\r\n")[:REJECT_CHARS_MAX]
        return {"message": message, "event": "reject", "fields": {"reason": self._reason(i)}}
