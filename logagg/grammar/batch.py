"""A block's records as columns, and one record decoded whole when it is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from logagg.grammar.compiler import Layout
from logagg.grammar.decode import Body, decoder_of
from logagg.record import Carry, Record

REJECT_CHARS_MAX = 1000


@dataclass(slots=True)
class ColumnBatch:
    """The Batch of logagg.interfaces: columns of equal length; `stops` is where each record ends in the block."""

    base: int
    block: bytes
    end: int
    starts: Sequence[int]
    stops: Sequence[int]
    ts_us: Sequence[int | None]
    levels: Sequence[str | None]
    loggers: Sequence[bytes | None]
    first_lines: Sequence[bytes]
    rejects: Mapping[int, str]
    carry: Carry
    skipped: int
    layout: Layout | None
    encoding: str = field(default="utf-8")

    def __len__(self) -> int:
        return len(self.starts)

    def record(self, i: int) -> Record:
        [(offset, ts_us, body)] = self.bodies((i,))
        size = self.stops[i] - self.starts[i]
        if reason := self._reason(i):
            return Record(offset, size, message=body["message"], reason=reason)
        return Record(offset, size, ts_us=ts_us, **body)

    def bodies(self, rows: Sequence[int]) -> Iterator[tuple[int, int | None, Body]]:
        """Of each of these records its stream offset, its time, and its body without an event; a reject's has one."""
        base, block, starts, stops, times = self.base, self.block, self.starts, self.stops, self.ts_us
        decode = decoder_of(self.layout).body if self.layout is not None else None
        rejects = self.rejects
        for i in rows:
            start = starts[i]
            if decode is None or i in rejects:
                yield base + start, None, self._rejected(i)
            else:
                yield base + start, times[i], decode(block[start:stops[i]], times[i])

    def _reason(self, i: int) -> str | None:
        """Why record `i` is a reject."""
        return self.rejects.get(i, None if self.layout is not None else "no_layout")

    def _rejected(self, i: int) -> Body:
        text = self.block[self.starts[i] : min(self.stops[i], self.starts[i] + REJECT_CHARS_MAX * 4)]
        message = text.decode(self.encoding, "replace").rstrip("\r\n")[:REJECT_CHARS_MAX]
        return {"message": message, "event": "reject", "fields": {"reason": self._reason(i)}}
