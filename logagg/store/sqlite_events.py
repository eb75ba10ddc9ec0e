"""An event as a row of the SQLite store, and back.

The usual parts of a body have columns of their own: short, quick to write, and at hand for SQL. `ts_digits` is how
many digits the fraction of the printed time has, -1 where `ts_us` cannot tell that time again. `body` is JSON of what
is left over, mostly nothing: "". Where `ts_digits` is NULL the whole body is in `body`: rows of schema 1, and bodies
that disagree with their row. NULL in any other column is an absent part.
"""

from collections.abc import Iterable
from typing import Any

from logagg.grammar.dates import second_text
from logagg.record import Event
from logagg.store.codec import from_column, from_json, to_column, to_json

COLUMNS = '"offset", ts_us, level, event, body, committed_us, ts_digits, logger, thread, message, exception, fields'
INSERT = f"INSERT INTO events (stream, {COLUMNS}) VALUES (?{', ?' * 12})"
DIGITS_MAX = 6

_TEXTS = ("logger", "thread", "message", "exception")

Row = tuple[Any, ...]


def event_rows(events: Iterable[Event], now_us: int) -> list[Row]:
    """The values of COLUMNS; made before the transaction, which other writers await."""
    return [_row(event, now_us) for event in events]


def _row(event: Event, now_us: int) -> Row:
    ts_us, level, name, body = event.ts_us, event.level, event.event, event.body
    head = (event.offset, -1 if ts_us is None else ts_us, to_column(level), to_column(name))
    committed_us = now_us if ts_us is None else None
    texts = [body.get(key) for key in _TEXTS]
    fields = body.get("fields")
    digits = _digits(body.get("ts"), ts_us)
    rest = ""
    there = (digits >= 0) + (level is not None) + (name is not None) + (fields is not None) + 4 - texts.count(None)
    if there != len(body):
        own = {"level", "event", "fields", *_TEXTS} | ({"ts"} if digits >= 0 else set())
        more = {key: value for key, value in body.items() if key not in own}
        there += len(more)
        rest = to_json(more)
    if (there == len(body) and body.get("level") == level and body.get("event") == name
            and (fields is None or type(fields) is dict) and all(text is None or type(text) is str for text in texts)):
        return (*head, rest, committed_us, digits, *map(to_column, texts), None if fields is None else to_json(fields))
    return (*head, to_json(body), committed_us, None, None, None, None, None, None)


def _digits(ts: Any, ts_us: int | None) -> int:
    """The digits of the fraction with which `ts_us` gives the printed time again; -1: none do."""
    if type(ts) is not str or ts_us is None:
        return -1
    digits = max(0, len(ts) - len("2026-11-20T13:15:30.Z"))
    return digits if digits <= DIGITS_MAX and _printed(ts_us, digits) == ts else -1


def _printed(ts_us: int, digits: int) -> str:
    try:
        text = f"{second_text(ts_us // 1_000_000)}.{ts_us % 1_000_000:06}"
    except OverflowError:
        return ""
    return text[: digits - DIGITS_MAX or None] + "Z" if digits else text[: -DIGITS_MAX - 1] + "Z"


def event_of(stream: str, row: Row) -> Event:
    """The event that a row of COLUMNS holds."""
    offset, ts_us, level, name, rest, committed_us, digits, logger, thread, message, exception, fields = row
    level, name = from_column(level), from_column(name)
    body: dict[str, Any] = from_json(rest) if rest else {}
    if digits is not None:
        parts = (("ts", _printed(ts_us, digits) if digits >= 0 else None), ("level", level), ("event", name),
                 ("logger", from_column(logger)), ("thread", from_column(thread)), ("message", from_column(message)),
                 ("exception", from_column(exception)), ("fields", None if fields is None else from_json(fields)))
        body.update((key, part) for key, part in parts if part is not None)
    return Event(stream, offset, None if committed_us is not None else ts_us, level, name, body)
