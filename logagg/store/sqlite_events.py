"""A chunk's events as blocks of the SQLite store, and back.

A block is one row of `event_blocks`: up to EVENTS_PER_BLOCK events of one chunk by (time, offset), at most an hour of
them, or such without a time. Single documents would take some 300 bytes each, more than the log itself where all
records are kept; side by side, column by column and compressed they take 5 to 30.

`keys` tells where and when the events are and which names they have, so that most of a search reads no `bodies`.
Columns are JSON, so that whatever a body holds comes back equal: NUL, lone surrogates, integers of any size.
"""

import json
import threading
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, repeat
from operator import attrgetter, sub
from typing import Any, TypeVar

from logagg.grammar.dates import second_text
from logagg.record import Event

EVENTS_PER_BLOCK = 1000
BLOCK_US_MAX = 3_600_000_000
"""A search for a time looks at the blocks that begin up to so long before it."""

KEY_COLUMNS = '"offset", last, ts_from_us, ts_to_us, committed_us, size, names, keys'
COLUMNS = f"{KEY_COLUMNS}, bodies"
INSERT = f"INSERT INTO event_blocks (stream, {COLUMNS}) VALUES (?{', ?' * 9})"
DELETE = 'DELETE FROM event_blocks WHERE stream = ? AND "offset" >= ? AND "offset" < ?'
"""All blocks of a chunk: of a stream, from the chunk's start to its end."""

FEW_EVENTS = 8                      # they do not become columns, nor are few bytes compressed: an open chunk is
PLAIN_BYTES_MAX = 2048              # written again with each line, and soon closed and merged
LEVEL = 3

Row = tuple[Any, ...]
_T = TypeVar("_T")

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_own = threading.local()            # a compressor serves one thread


@dataclass(frozen=True, slots=True)
class Keys:
    """Of each event of a block the offset, the time (-1 where the block's have none) and the name, by rising (time,
    offset)."""

    offsets: Sequence[int]
    times: Sequence[int]
    names: Sequence[str | None]
    timed: bool


def event_rows(events: Iterable[Event], now_us: int) -> list[Row]:
    """The blocks of a chunk's events as values of COLUMNS; made before the transaction, which other writers await."""
    timed: list[Event] = []
    others: list[Event] = []
    for event in events:
        (others if event.ts_us is None else timed).append(event)
    timed.sort(key=attrgetter("ts_us", "offset"))
    others.sort(key=attrgetter("offset"))
    return [_row(run, times, committed_us) for of_kind, committed_us in ((timed, None), (others, now_us))
            for run, times in _runs(of_kind)]


def _runs(events: list[Event]) -> Iterator[tuple[list[Event], list[int]]]:
    """The events in blocks of bounded length and time, and their times."""
    times = [-1 if event.ts_us is None else event.ts_us for event in events]
    start = 0
    while start < len(events):
        end = min(start + EVENTS_PER_BLOCK, bisect_right(times, times[start] + BLOCK_US_MAX))
        yield events[start:end], times[start:end]
        start = end


def _row(events: list[Event], times: list[int], committed_us: int | None) -> Row:
    offsets = [event.offset for event in events]
    of, names = _numbered([event.event for event in events])
    bodies = _encoded(_columns_of(events) if len(events) > FEW_EVENTS else _list_of(events))
    return (min(offsets), max(offsets), times[0], times[-1], committed_us, len(bodies), _packed_names(names),
            _packed(_encoded([_steps(offsets), _steps(times), of])), _packed(bodies))


@lru_cache(maxsize=256)
def _packed_names(names: tuple[str | None, ...]) -> bytes:
    return _packed(_encoded(names))


def keys_of(names: bytes, keys: bytes, committed_us: int | None) -> Keys:
    """The keys of a row of KEY_COLUMNS."""
    offset_steps, time_steps, of = _unpacked(keys)
    own = names_of(names)
    return Keys(list(accumulate(offset_steps)), list(accumulate(time_steps)),
                [own[i] for i in of] if of else own * len(offset_steps), committed_us is None)


def names_of(names: bytes) -> list[str | None]:
    """The different names of a block's events."""
    found: list[str | None] = _unpacked(names)
    return found


def _steps(values: list[int]) -> list[int]:
    """The first value, then by how much each is more than the one before."""
    return [values[0], *map(sub, values[1:], values)]


def _numbered(values: list[_T]) -> tuple[list[int], tuple[_T, ...]]:
    """The number of each value among the different ones, and these; no numbers where there is one."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return [numbers[value] for value in values] if len(numbers) > 1 else [], tuple(numbers)


# ---- bodies ----------------------------------------------------------------------------------------------------------


def _list_of(events: Sequence[Event]) -> list[Any]:
    """[levels, bodies]."""
    return [[event.level for event in events], [event.body for event in events]]


def _columns_of(events: Sequence[Event]) -> list[Any]:
    """[number of the shape of each, or [] where there is one; shapes; [place, level] where the body has another].

    A shape is the events whose bodies have the same keys: [keys, keys of the fields or null, a column for each].
    """
    shapes: dict[Any, list[Event]] = {}
    of = []
    for event in events:
        body = event.body
        fields = body.get("fields")
        shape = tuple(body), tuple(fields) if type(fields) is dict else None
        of.append(shape)
        shapes.setdefault(shape, []).append(event)
    columns = []
    for (keys, fields), own in shapes.items():
        plain = keys if fields is None else tuple(key for key in keys if key != "fields")
        columns.append([plain, fields, *(_column(own, key) for key in plain),
                        *(_texts([event.body["fields"][key] for event in own]) for key in fields or ())])
    odd = [[i, event.level] for i, event in enumerate(events) if event.body.get("level") != event.level]
    return [_numbered(of)[0], columns, odd]


def _column(events: list[Event], key: str) -> Any:
    """The values of one key. Of times printed as `ts_us` tells them the digits of their fractions, one number where all
    have the same; true where all names are their events'. Other values of these two stand in lists of their own."""
    if key == "ts":
        digits = _digits(events)
        if digits[0] >= 0 and digits.count(digits[0]) == len(digits):
            return digits[0]
        return [[event.body["ts"]] if many < 0 else many for event, many in zip(events, digits, strict=True)]
    values = [event.body[key] for event in events]
    if key == "event":
        return True if None not in values and values == [event.event for event in events] else [[v] for v in values]
    return _texts(values)


def _texts(values: list[Any]) -> Any:
    """The values; as {their numbers, the different ones} where they are texts that come again."""
    if len(values) > 1 and set(map(type, values)) == {str}:
        of, different = _numbered(values)
        if 2 * len(different) <= len(values):
            return {"of": of, "values": different}
    return values


def _digits(events: list[Event]) -> list[int]:
    """The digits of the fraction with which `ts_us` gives each printed time again; -1: none do."""
    found, last, text = [], None, ""
    for event in events:
        ts, ts_us, digits = event.body["ts"], event.ts_us, -1
        if type(ts) is str and ts_us is not None:
            second, us = divmod(ts_us, 1_000_000)
            if second != last:
                last, text = second, _second_text(second)
            fraction = ts[len(text):-1]
            if (text and ts.startswith(text) and ts.endswith("Z") and len(fraction) != 1
                    and f".{us:06}".startswith(fraction)):
                digits = max(0, len(fraction) - 1)
        found.append(digits)
    return found


def printed(ts_us: int, digits: int) -> str:
    """A time with so many digits of its fraction."""
    fraction = f".{ts_us % 1_000_000:06}"[:digits + 1] if digits else ""
    return f"{_second_text(ts_us // 1_000_000)}{fraction}Z"


def _second_text(second: int) -> str:
    """Nothing for a year that has not four digits."""
    try:
        return second_text(second)
    except OverflowError:
        return ""


def events_of(stream: str, keys: Keys, bodies: bytes, wanted: Container[int] | None = None) -> dict[int, Event]:
    """The events of a block by their place in it; those at `wanted` places, or all."""
    content = _unpacked(bodies)
    offsets, own = keys.offsets, keys.names
    times: Sequence[int | None] = keys.times if keys.timed else [None] * len(offsets)
    if len(content) == 2:
        return {i: Event(stream, offsets[i], times[i], level, own[i], body)
                for i, (level, body) in enumerate(zip(*content, strict=True)) if wanted is None or i in wanted}
    of, shapes, odd = content
    places: list[list[int]] = [[] for _ in shapes]
    if of:
        for i, number in enumerate(of):
            places[number].append(i)
    else:
        places[0] += range(len(offsets))
    found: dict[int, Event] = {}
    for (names, fields, *columns), every in zip(shapes, places, strict=True):
        rows = range(len(every)) if wanted is None else [row for row, i in enumerate(every) if i in wanted]
        at = [every[row] for row in rows]
        values = [_values(column, name, rows, at, keys) for column, name in
                  zip(columns, (*names, *("" for _ in fields or ())), strict=True)]
        for i, row in zip(at, zip(*values, strict=True) if values else repeat(()), strict=False):
            body = dict(zip(names, row, strict=False))
            if fields is not None:
                body["fields"] = dict(zip(fields, row[len(names):], strict=True))
            found[i] = Event(stream, offsets[i], times[i], body.get("level"), own[i], body)
    found.update((i, replace(found[i], level=level)) for i, level in odd if i in found)
    return found


def _values(column: Any, key: str, rows: Sequence[int], at: Sequence[int], keys: Keys) -> list[Any]:
    """The values of a column in some of its rows, which are the block's events `at` these places."""
    if key == "ts":
        column = repeat(column) if type(column) is int else [column[row] for row in rows]
        return [printed(keys.times[i], ts) if type(ts) is int else ts[0] for i, ts in zip(at, column, strict=False)]
    if key == "event":
        return [keys.names[i] for i in at] if column is True else [column[row][0] for row in rows]
    if type(column) is list:
        return [column[row] for row in rows]
    of, values = column["of"], column["values"]
    return [values[of[row]] for row in rows] if of else values * len(rows)


def block_rows(names: bytes, keys: bytes, committed_us: int | None, bodies: bytes) -> str:
    """A block for SQL: JSON of a list for each event, [offset, ts_us, ts, level, event, logger, thread, message,
    exception, fields, whole body]; a lone surrogate, which SQLite's texts cannot hold, is a question mark."""
    events = events_of("", keys_of(names, keys, committed_us), bodies).values()
    text = _encode([[event.offset, event.ts_us, event.body.get("ts"), event.level, event.event,
                     *map(event.body.get, ("logger", "thread", "message", "exception", "fields")), event.body]
                    for event in events])
    return text.encode("utf-8", "replace").decode()


# ---- bytes -----------------------------------------------------------------------------------------------------------


def _encoded(value: Any) -> bytes:
    return _encode(value).encode("utf-8", "surrogatepass")


def _packed(text: bytes) -> bytes:
    """JSON as it is or as a zstd frame, which begins with no character of JSON."""
    if len(text) <= PLAIN_BYTES_MAX:
        return text
    try:
        compress: Callable[[bytes], bytes] = _own.compress
    except AttributeError:
        import zstandard

        compress = _own.compress = zstandard.ZstdCompressor(level=LEVEL).compress
    return compress(text)


def _unpacked(data: bytes) -> Any:
    if not data.startswith(b"["):
        import zstandard

        data = zstandard.ZstdDecompressor().decompress(data)
    return json.loads(data.decode("utf-8", "surrogatepass"))
