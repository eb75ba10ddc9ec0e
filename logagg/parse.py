"""`logagg parse`: logs -> public JSON, without a store. The same reader and grammars as everywhere, nothing kept."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logagg.adhoc import app_of, why_none
from logagg.errors import SourceError, UsageError
from logagg.grammar.events import Classifiers, EventGrammar
from logagg.grammar.reader import LayoutReader
from logagg.interfaces import Batch, Classifier
from logagg.record import Carry, Event, Stream
from logagg.rollup.export import event_row
from logagg.source.discover import discover
from logagg.source.files import open_log
from logagg.source.identity import first_line, new_stream

BLOCK_BYTES = 1 << 20
STDIN = "-"

Read = Callable[[int], bytes]
"""Some more bytes, at most so many; none at the end."""


@dataclass(frozen=True, slots=True)
class Parsing:
    """How logs are read. `app` None: each file's own name."""

    layout: str | None
    dialect: str
    timezone: str
    encoding: str
    classifier: Classifier
    host: str
    app: str | None = None
    record_bytes_max: int = 1 << 20


def grammars(names: Sequence[str], encoding: str = "utf-8") -> Classifiers:
    """Grammars from .lark files, from packs' folders and from packs by name, in this order of trying."""
    found = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            found.append(_pack(path.resolve().name, [path.resolve().parent]))
        elif path.suffix == ".lark":
            found.append(_file(path))
        else:
            found.append(_pack(name, []))
    return Classifiers(found, encoding)


def _file(path: Path) -> EventGrammar:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--grammar: {path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UsageError(f"--grammar: {path}: not UTF-8; save the file in UTF-8") from None
    return EventGrammar.load(text, name=path.stem, path=str(path))


def _pack(name: str, folders: Sequence[Path]) -> EventGrammar:
    from logagg.packs import load_packs

    (pack,) = load_packs([name], folders)
    return pack.grammar


def parse(paths: Sequence[str], parsing: Parsing, problems: list[str]) -> Iterator[Iterator[dict[str, Any]]]:
    """Every record of every file as its public JSON, file by file, in groups that became known at once.

    What cannot be read is added to `problems`. Each group must be used up before the next.
    """
    for path in _expanded(paths, problems):
        if path == STDIN:
            yield from _records(path, sys.stdin.buffer.read1, parsing)  # type: ignore[union-attr]
            continue
        try:
            with closing(open_log(path)) as file:
                yield from _records(path, _forward(file.read_at), parsing)
                if damage := file.damage():
                    problems.append(damage)
        except SourceError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{path}: {(error.strerror or str(error)).lower()}")


def _expanded(paths: Sequence[str], problems: list[str]) -> Iterator[str]:
    for path in paths:
        if path == STDIN:
            yield path
            continue
        found = discover([path])
        problems += found.problems
        if not found.paths and not found.problems:
            problems.append(why_none(path))
        yield from found.paths


def _forward(read_at: Callable[[int, int], bytes]) -> Read:
    at = 0

    def read(size: int) -> bytes:
        nonlocal at
        data = read_at(at, size)
        at += len(data)
        return data

    return read


def _records(path: str, read: Read, parsing: Parsing) -> Iterator[Iterator[dict[str, Any]]]:
    """A file's records. Until the layout is decided the bytes from the start on are kept together, at most a block."""
    reader = LayoutReader(parsing.layout, dialect=parsing.dialect, timezone=parsing.timezone,
                          encoding=parsing.encoding, record_bytes_max=parsing.record_bytes_max)
    app = parsing.app or ("stdin" if path == STDIN else app_of(path))
    stream: Stream | None = None
    carry: Carry = {}
    rest, base, tried = b"", 0, 0
    while True:
        more = read(BLOCK_BYTES)
        rest += more
        if stream is None and (not more or first_line(rest) is not None):
            stream = new_stream(app, parsing.host, path, first_line(rest) or rest, 0)
        block = rest if not more else _whole_lines(rest, parsing.record_bytes_max)
        if stream is not None and (len(block) > tried or not more):
            tried = len(block)
            batch = reader.read(block, base, carry, final=not more)
            if not more or reader.decided(batch.carry) or len(rest) >= BLOCK_BYTES:
                yield _rows(batch, parsing.classifier, stream)
                rest, base, carry, tried = rest[batch.end :], base + batch.end, batch.carry, len(block) - batch.end
        if not more:
            return


def _whole_lines(data: bytes, record_bytes_max: int) -> bytes:
    """Up to the last line end; with an unfinished line that is longer than a record may be."""
    cut = data.rfind(b"\n") + 1
    return data if len(data) - cut > record_bytes_max else data[:cut]


def _rows(batch: Batch, classifier: Classifier, stream: Stream) -> Iterator[dict[str, Any]]:
    claims = classifier.claim(batch.first_lines)
    claimed = dict(zip(claims.rows, zip(claims.names, claims.fields, strict=True), strict=True))
    rows = range(len(batch))
    for i, (offset, ts_us, body) in zip(rows, batch.bodies(rows), strict=True):
        if i in claimed and i not in batch.rejects:
            body["event"], body["fields"] = claimed[i]
        yield event_row(Event(stream.id, offset, ts_us, body.get("level"), body.get("event"), body), stream)
