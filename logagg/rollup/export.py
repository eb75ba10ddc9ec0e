"""Events, rollups and incidents as rows for other programs, in JSON lines or CSV.

CSV is RFC 4180: CRLF, quotes where needed, a header line; what is nested (mdc, fields, labels …) is JSON text in its
cell, null is an empty cell. A text that a spreadsheet would run as a formula, which begins with = + - @, a tab or a
carriage return, gets an apostrophe before it (OWASP, "CSV Injection"): take it off to have the text back. JSON lines
are exact.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from logagg.errors import UsageError
from logagg.interfaces import Store
from logagg.record import Event, Stream
from logagg.rollup.metric import MetricSet
from logagg.rollup.partial import MINUTE_US
from logagg.rollup.query import check_step, numbers, utc_text
from logagg.rollup.read import read
from logagg.rollup.window import LAST_MINUTE, end_of, zone_of
from logagg.store.codec import encodable
from logagg.terminal import Out

FORMATS = ("jsonl", "csv")
EVENT_COLUMNS = ("id", "ts", "level", "logger", "thread", "message", "mdc", "ndc", "marker", "exception", "event",
                 "fields", "app", "host", "path", "offset", "extra")
ROLLUP_COLUMNS = ("metric", "labels", "step", "from", "to", "count", "sum", "min", "max", "mean", "median", "p95",
                  "p99")
INCIDENT_COLUMNS = ("id", "rule", "labels", "severity", "state", "pending_at", "fired_at", "resolved_at", "value",
                    "threshold", "late")
_BODY = EVENT_COLUMNS[1:12]
_EPOCH = datetime(1970, 1, 1)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Row = dict[str, Any]


def export_events(store: Store, *, names: Sequence[str] | None = None, from_us: int | None = None,
                  to_us: int | None = None) -> Iterator[Row]:
    """The stored records of [from, to) by (ts, stream, offset), as the public JSON; of all events, or of those named.

    Without a range of time, records without a time come first.
    """
    streams: dict[str, Stream] = {}
    for event in store.events(from_us=from_us, to_us=to_us, names=names):
        stream = streams.get(event.stream)
        if stream is None:
            stream = streams[event.stream] = store.streams(id=event.stream)[0]
        yield event_row(event, stream)


def event_row(event: Event, stream: Stream) -> Row:
    """A stored record as the public JSON has it: what is absent is None, `extra` is there only when present."""
    row: Row = {"id": f"{event.stream}:{event.offset}", **{key: event.body.get(key) for key in _BODY},
                "app": stream.app, "host": stream.host, "path": stream.path, "offset": event.offset}
    if event.body.get("extra"):
        row["extra"] = event.body["extra"]
    return row


def export_rollups(store: Store, metrics: MetricSet, step: str, *, zone: str = "UTC", from_us: int | None = None,
                   to_us: int | None = None) -> Iterator[Row]:
    """The rows of all stored metrics in the windows that start in [from, to), by (start, metric, labels).

    Numbers are in the metric's unit; a counter's sum is its count, and it has no values. Ratios are not stored: they
    follow from their counters. Metrics that the configuration no longer has are left out: their unit is not known.
    """
    check_step(step)
    zone_of(zone)
    start = -(-from_us // MINUTE_US) if from_us is not None else -LAST_MINUTE
    end = -(-to_us // MINUTE_US) if to_us is not None else LAST_MINUTE
    for at, found in read(store, metrics, step, zone, start, end):
        bounds = {"step": step, "from": utc_text(at), "to": utc_text(end_of(step, at, zone))}
        for name in sorted(found):
            metric = metrics.get(name)
            if metric is not None and not metric.hidden:
                for labels, stat in sorted(found[name].rows.items()):
                    yield {"metric": name, "labels": json.loads(labels), **bounds, **numbers(metric, stat)}


def export_incidents(store: Store, *, from_us: int | None = None, to_us: int | None = None) -> Iterator[Row]:
    """The incidents that began in [from, to), in order of time (the keys of their documents begin with it).

    An incident that turned out to be part of an earlier one is left out.
    """
    start = "" if from_us is None else _incident_key(from_us)
    end = None if to_us is None else _incident_key(to_us)
    for value in store.documents("incident", start=start, end=end).values():
        if value.get("state") != "merged":
            yield {column: value.get(column) for column in INCIDENT_COLUMNS}


def _incident_key(at_us: int) -> str:
    """The least key of an incident that began at this time or later."""
    return (_EPOCH + timedelta(seconds=-(-max(0, at_us) // 1_000_000))).strftime("%Y%m%dT%H%M%SZ")


def write_rows(rows: Iterable[Row], form: str, columns: Sequence[str], out: Out) -> int:
    """Write rows as "jsonl" or "csv" and tell how many; for CSV `out` must not translate line ends (newline="")."""
    if form not in FORMATS:
        raise UsageError(f"no format {form!r}: expected {' or '.join(FORMATS)}")
    if form == "csv":
        writer = csv.writer(out)
        writer.writerow(columns)
    written = 0
    for row in rows:
        if form == "csv":
            writer.writerow([_cell(row.get(column)) for column in columns])
        else:
            out.write(_line(row))
        written += 1
    return written


def _line(row: Row) -> str:
    line = json.dumps(row, ensure_ascii=False)
    # A file name may hold bytes that are no UTF-8 (lone surrogates here): JSON's own escapes carry them.
    return (line if encodable(line) else json.dumps(row)) + "\n"


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "replace").decode()
    return "'" + text if text.startswith(_FORMULA) else text
