"""An event -> its raw lines with those around it, read from the kept bytes of its stream.

Only as much is read as one record needs: the bytes from the record's start are given to the stream's own reader, which
tells where the next record starts. Chunks are decompressed once as long as events come in order.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from logagg.interfaces import Reader, Store
from logagg.raw import decompress
from logagg.record import Chunk, Event, Stream

CONTEXT_LINES = 3
LINES_MAX = 50
LINE_CHARS_MAX = 1000

_CHUNKS_HELD = 12
_CHUNKS_BESIDE = 4
_RECORD_BYTES = (1 << 14, 1 << 17)
_AROUND_BYTES = 1 << 13
_OF_A_CHUNK = frozenset({"long", "line", "mid"})


class Readings(Protocol):
    """How a stream is read again (`logagg.search.Readings`)."""

    def reader(self, stream: Stream) -> Reader: ...

    def encoding(self, stream: Stream) -> str: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """A record's lines and at most CONTEXT_LINES before and after. `more`: lines left out of it. `raw` False: the bytes
    are not kept any more, and the lines are the message and exception of the stored event."""

    before: Sequence[str]
    lines: Sequence[str]
    after: Sequence[str]
    more: int = 0
    raw: bool = True


class RawLines:
    """Reads records of one store; not for several threads."""

    def __init__(self, store: Store, readings: Readings) -> None:
        self._store = store
        self._readings = readings
        self._held: OrderedDict[tuple[str, int], tuple[Chunk, bytes]] = OrderedDict()

    def shown(self, event: Event, stream: Stream) -> Shown:
        """The record of an event as it stands in its log."""
        found = self._chunk(event.stream, event.offset)
        if found is None:
            return _stored(event)
        chunk, data = found
        at = event.offset - chunk.start
        size = self._record_bytes(stream, chunk, data, at)
        encoding = self._readings.encoding(stream)
        lines = _lines(data[at : at + min(size, _RECORD_BYTES[-1])], encoding)
        before = self._before(chunk, data[max(0, at - _AROUND_BYTES) : at])
        after = data[at + size : at + size + _AROUND_BYTES]
        if at + size + len(after) == len(data):
            after = self._after(chunk, after)
        return Shown(_lines(before, encoding)[-CONTEXT_LINES:], lines[:LINES_MAX],
                     _lines(after, encoding)[:CONTEXT_LINES], max(0, len(lines) - LINES_MAX))

    def _record_bytes(self, stream: Stream, chunk: Chunk, data: bytes, at: int) -> int:
        """How long the record at `at` is, as the stream's reader sees it; a line where it sees nothing."""
        reader = self._readings.reader(stream)
        carry = {key: value for key, value in chunk.carry.items() if key not in _OF_A_CHUNK}
        line = _line_bytes(data, at)
        from_at = at if reader.decided(carry) else 0    # a layout is detected from a stream's start
        for most in (*_RECORD_BYTES, len(data)):
            end = min(len(data), at + max(most, line))
            try:
                starts = reader.read(data[from_at:end], chunk.start + from_at, carry, final=True).starts
            except Exception:                           # the bytes are a reject "parser_failed"
                return line
            following = next((from_at + start for start in starts if from_at + start > at), None)
            if following is not None:
                return following - at
            if end == len(data):
                break
        return len(data) - at

    def _before(self, chunk: Chunk, found: bytes) -> bytes:
        """What stands before a record: `found` in its own chunk, and more of those before, which may be single lines
        where a log is followed as it grows."""
        for _ in range(_CHUNKS_BESIDE):
            if found.count(b"\n") >= CONTEXT_LINES or len(found) >= _AROUND_BYTES or not chunk.start:
                break
            beside = self._chunk(chunk.stream, chunk.start - 1)
            if beside is None:
                break
            chunk, data = beside
            found = data[-_AROUND_BYTES:] + found
        return found

    def _after(self, chunk: Chunk, found: bytes) -> bytes:
        """What stands behind a record, likewise."""
        for _ in range(_CHUNKS_BESIDE):
            if found.count(b"\n") >= CONTEXT_LINES:
                break
            beside = self._chunk(chunk.stream, chunk.end)
            if beside is None:
                break
            chunk, data = beside
            found += data[:_AROUND_BYTES]
        return found

    def _chunk(self, stream: str, offset: int) -> tuple[Chunk, bytes] | None:
        """The chunk that holds an offset, with its bytes; None where they are not kept."""
        for place, (chunk, data) in self._held.items():
            if place[0] == stream and chunk.start <= offset < chunk.end:
                self._held.move_to_end(place)
                return chunk, data
        for chunk in self._store.chunks(stream=stream, start=offset, end=offset + 1):
            if chunk.raw:
                self._held[stream, chunk.start] = chunk, decompress(chunk.raw)
                if len(self._held) > _CHUNKS_HELD:
                    self._held.popitem(last=False)
                return self._held[stream, chunk.start]
        return None


def _line_bytes(data: bytes, at: int) -> int:
    end = data.find(b"\n", at) + 1
    return (end or len(data)) - at


def _lines(data: bytes, encoding: str) -> list[str]:
    """Whole lines as text, tabs as spaces; a long one is cut."""
    text = data.decode(encoding, "backslashreplace")
    return [_cut(line.removesuffix("\r")) for line in text.removesuffix("\n").split("\n")] if text else []


def _cut(line: str) -> str:
    short = line if len(line) <= LINE_CHARS_MAX else line[: LINE_CHARS_MAX - 1] + "…"
    return short.replace("\t", "    ")


def _stored(event: Event) -> Shown:
    text = "\n".join(str(part) for key in ("message", "exception") if (part := event.body.get(key)))
    lines = [_cut(line) for line in text.split("\n")]
    return Shown((), lines[:LINES_MAX], (), max(0, len(lines) - LINES_MAX), raw=False)
