"""`logagg grep` and the raw context of a record: finds text in the kept raw bytes, and answers with whole records.

Chunks in the range of time are decompressed one by one; only those that hold the text are split into records, by the
reader and the carry with which they were read the first time. Memory: one chunk and the context.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from logagg.config import Config, SourceConfig
from logagg.errors import UsageError
from logagg.grammar.events import Classifiers
from logagg.grammar.reader import LayoutReader
from logagg.interfaces import Batch, Classifier, Reader, Store
from logagg.raw import decompress
from logagg.record import Chunk, Record, Stream


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. `context`: how many records before and after a hit are told too."""

    text: str
    regex: bool = False
    ignore_case: bool = False
    context: int = 0
    from_us: int | None = None
    to_us: int | None = None

    def pattern(self) -> re.Pattern[str]:
        """UsageError with the place where `text` is no regular expression."""
        if not self.text:
            raise UsageError("the text to look for is empty; give at least one character")
        flags = re.MULTILINE | (re.IGNORECASE if self.ignore_case else 0)
        try:
            return re.compile(self.text if self.regex else re.escape(self.text), flags)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(f"{self.text!r} is no regular expression: {error}; leave out --regex to find it "
                             "as it stands") from None


Whole = Callable[[], tuple[Record, bytes] | None]
"""The record decoded and the first line of its message; None where it began in an earlier chunk or cannot be read."""


@dataclass(frozen=True, slots=True)
class Found:
    """One record: its text without the last line end; `hit` False for context. `gap`: others were left out before."""

    stream: Stream
    offset: int
    ts_us: int | None
    text: str
    hit: bool
    gap: bool
    whole: Whole


@dataclass(frozen=True, slots=True)
class _Piece:
    """A record's place in its chunk."""

    offset: int
    ts_us: int | None
    text: str
    whole: Whole


class Readings:
    """How each stream is read again: as its source in the configuration says, else detected."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._readers: dict[SourceConfig, Reader] = {}

    def _source(self, stream: Stream) -> SourceConfig:
        source = self._config.source_of(stream.app, stream.host, stream.path)
        return source or SourceConfig(stream.app, stream.host, timezone=self._config.timezone,
                                      packs=tuple(self._config.packs))

    def reader(self, stream: Stream) -> Reader:
        """The reader for a stream; readers are shared, since they are functions."""
        source = self._source(stream)
        if source not in self._readers:
            self._readers[source] = LayoutReader(source.layout, dialect=source.dialect, timezone=source.timezone,
                                                 encoding=source.encoding, record_bytes_max=source.record_bytes_max)
        return self._readers[source]

    def encoding(self, stream: Stream) -> str:
        return self._source(stream).encoding

    def classifier(self, stream: Stream) -> Classifier:
        source = self._source(stream)
        return Classifiers([self._config.packs[name].grammar for name in source.packs], source.encoding)


def search(store: Store, wanted: Wanted, reader_for: Callable[[Stream], Reader], *, app: str | None = None,
           host: str | None = None, encoding_for: Callable[[Stream], str] = lambda stream: "utf-8") -> Iterator[Found]:
    """The records that hold the text, stream by stream, each stream in its order.

    A record is in the range when its own time is; one without a time when its chunk touches the range.
    """
    pattern = wanted.pattern()
    for stream in store.streams(app=app, host=host):
        encoding = encoding_for(stream)
        chunks = store.chunks(stream=stream.id, from_us=wanted.from_us, to_us=wanted.to_us)
        pieces = _pieces(chunks, wanted, pattern, reader_for(stream), encoding)
        yield from _with_context(stream, pieces, pattern, wanted.context)


AROUND_BYTES = 256 << 10


def around(store: Store, stream: Stream, offset: int, context: int, reader: Reader,
           encoding: str = "utf-8") -> list[Found]:
    """The record that holds the byte `offset` (its `hit` is True), with up to `context` records on each side.

    Empty where no raw bytes are kept there. Neighbours are looked for within AROUND_BYTES; memory: one chunk.
    """
    if not any(chunk.raw for chunk in store.chunks(stream=stream.id, start=offset, end=offset + 1)):
        return []
    before: deque[_Piece] = deque(maxlen=context + 1)
    after: list[_Piece] = []
    chunks = store.chunks(stream=stream.id, start=max(0, offset - AROUND_BYTES), end=offset + AROUND_BYTES)
    for piece in (piece for chunk in chunks if chunk.raw
                  for piece in _split(chunk, decompress(chunk.raw), reader, encoding)):
        if piece.offset <= offset:
            before.append(piece)
        elif len(after) < context:
            after.append(piece)
        else:
            break
    return [_found(stream, piece, piece is before[-1], False) for piece in (*before, *after)]


def _pieces(chunks: Iterator[Chunk], wanted: Wanted, pattern: re.Pattern[str], reader: Reader,
            encoding: str) -> Iterator[_Piece]:
    """The records of all chunks that can matter: with context all, else those of chunks that hold the text."""
    needle = None if wanted.regex or wanted.ignore_case else wanted.text.encode(encoding, "surrogateescape")
    end = 0     # before it all is told: a chunk that was merged meanwhile may hold some of it again
    for chunk in chunks:
        data = decompress(chunk.raw)
        if data and (wanted.context or _holds(data, needle, pattern, encoding)):
            for piece in _split(chunk, data, reader, encoding):
                if piece.offset >= end and (piece.ts_us is None or _within(piece.ts_us, wanted)):
                    yield piece
        end = chunk.end


def _holds(data: bytes, needle: bytes | None, pattern: re.Pattern[str], encoding: str) -> bool:
    if needle is not None:
        return needle in data
    return pattern.search(data.decode(encoding, "replace")) is not None


def _within(ts_us: int, wanted: Wanted) -> bool:
    return (wanted.from_us is None or ts_us >= wanted.from_us) and (wanted.to_us is None or ts_us < wanted.to_us)


def _split(chunk: Chunk, data: bytes, reader: Reader, encoding: str) -> Iterator[_Piece]:
    """The chunk's records; what belongs to a reject begun earlier, and what cannot be read, is a piece of its own."""
    try:
        batch = reader.read(data, chunk.start, chunk.carry, final=True)
    except Exception:   # the bytes are kept as the reject "parser_failed": shown as they are
        yield _Piece(chunk.start, None, _text(data, encoding), lambda: None)
        return
    first = batch.starts[0] if len(batch) else len(data)
    if first:
        yield _Piece(chunk.start, None, _text(data[:first], encoding), lambda: None)
    for i, start in enumerate(batch.starts):
        end = batch.starts[i + 1] if i + 1 < len(batch) else batch.end
        text = _text(data[start:end], encoding)
        yield _Piece(chunk.start + start, batch.ts_us[i], text, _whole(batch, i))


def _whole(batch: Batch, i: int) -> Whole:
    return lambda: (batch.record(i), batch.first_lines[i])


def _text(data: bytes, encoding: str) -> str:
    return data.decode(encoding, "backslashreplace").removesuffix("\n").removesuffix("\r")


def _with_context(stream: Stream, pieces: Iterator[_Piece], pattern: re.Pattern[str], context: int) -> Iterator[Found]:
    """Hits with up to `context` records around each, none twice."""
    before: deque[_Piece] = deque(maxlen=context)
    after = 0
    gap = False     # whether something was left out since the last record that was told
    told = False
    for piece in pieces:
        hit = pattern.search(piece.text) is not None
        if not hit and not after:
            gap = gap or len(before) == context
            before.append(piece)
            continue
        for earlier in before if hit else ():
            yield _found(stream, earlier, False, gap and told)
            gap, told = False, True
        before.clear()
        yield _found(stream, piece, hit, gap and told)
        gap, told = False, True
        after = context if hit else after - 1


def _found(stream: Stream, piece: _Piece, hit: bool, gap: bool) -> Found:
    return Found(stream, piece.offset, piece.ts_us, piece.text, hit, gap, piece.whole)
