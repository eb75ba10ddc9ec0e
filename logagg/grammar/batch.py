"""A block's records as columns, and those records whole that are asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from logagg.columns import NO_TIME, Ints, Spans, as_times, ints, numbers
from logagg.grammar.compiler import Layout
from logagg.grammar.decode import Body, decoder_of
from logagg.record import Carry, Record

REJECT_CHARS_MAX = 1000


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

    def bodies(self, rows: Sequence[int] | Ints) -> Iterator[tuple[int, int | None, Body]]:
        """Of each of these records its stream offset, its time, and its body without an event; a reject's has one."""
        if not len(rows):
            return
        some, times = self.texts.take(ints(rows)), self.times[ints(rows)].tolist()
        decode = decoder_of(self.layout).body if self.layout is not None else None
        base, block, rejects = self.base, self.block, self.rejects
        for i, start, stop, time in zip(rows, some.starts.tolist(), some.stops.tolist(), times, strict=True):
            if decode is None or i in rejects:
                yield base + start, None, self._rejected(i)
            else:
                ts_us = None if time == NO_TIME else time
                yield base + start, ts_us, decode(block[start:stop], ts_us)

    def _reason(self, i: int) -> str | None:
        """Why record `i` is a reject."""
        return self.rejects.get(i, None if self.layout is not None else "no_layout")

    def _rejected(self, i: int) -> Body:
        start, stop = self.texts.starts[i], self.texts.stops[i]
        text = self.block[start : min(stop, start + REJECT_CHARS_MAX * 4)]
        message = text.decode(self.encoding, "replace").rstrip("\r\n")[:REJECT_CHARS_MAX]
        return {"message": message, "event": "reject", "fields": {"reason": self._reason(i)}}
