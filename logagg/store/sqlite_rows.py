"""Events as schemas 1 and 2 kept them, a row each, and how they become blocks.

Schema 1 kept a body as JSON in `body`. Schema 2 has columns for its usual parts; `ts_digits` is how many digits the
fraction of the printed time has, -1 where `ts_us` cannot tell that time again, and `body` is JSON of what is left over,
mostly nothing: "". Where `ts_digits` is NULL the whole body is in `body`. NULL in any other column is an absent part.
"""

import logging
import sqlite3
from itertools import groupby, islice
from typing import Any

from logagg.record import Event
from logagg.store.codec import from_column, from_json
from logagg.store.sqlite_events import INSERT, event_rows, printed

log = logging.getLogger(__name__)

EVENTS_PER_STEP = 10_000            # held in memory at once

#: the rows of each chunk side by side, and those of chunks that are gone; a block must not go beyond its chunk
ROWS = """
SELECT stream, (SELECT CASE WHEN "end" > "offset" THEN start END FROM chunks WHERE chunks.stream = event_rows.stream
    AND start <= "offset" ORDER BY start DESC LIMIT 1) AS chunk, "offset", ts_us, level, event, body, committed_us,
    ts_digits, logger, thread, message, exception, fields
FROM event_rows ORDER BY stream, "offset"
"""

Row = tuple[Any, ...]


def pack_rows(db: sqlite3.Connection) -> None:
    """Make blocks of all rows of `event_rows`, which goes. Some ten microseconds an event, once."""
    many, = db.execute("SELECT count(*) FROM event_rows").fetchone()
    if many:
        log.warning("the store is brought to a newer form: %d events are packed, once; it must not be interrupted, or"
                    " begins anew", many)
    for (stream, _), rows in groupby(db.execute(ROWS), key=lambda row: row[:2]):
        while group := list(islice(rows, EVENTS_PER_STEP)):
            committed_us = max((row[7] for row in group if row[7] is not None), default=0)
            blocks = event_rows([_event_of(row[2:]) for row in group], committed_us)
            db.executemany(INSERT, ((stream, *block) for block in blocks))
    db.execute("DROP TABLE event_rows")


def _event_of(row: Row) -> Event:
    offset, ts_us, level, name, rest, committed_us, digits, logger, thread, message, exception, fields = row
    level, name = from_column(level), from_column(name)
    body: dict[str, Any] = from_json(rest) if rest else {}
    if digits is not None:
        parts = (("ts", printed(ts_us, digits) if digits >= 0 else None), ("level", level), ("event", name),
                 ("logger", from_column(logger)), ("thread", from_column(thread)), ("message", from_column(message)),
                 ("exception", from_column(exception)), ("fields", None if fields is None else from_json(fields)))
        body.update((key, part) for key, part in parts if part is not None)
    return Event("", offset, None if committed_us is not None else ts_us, level, name, body)
