"""The JSON Schemas of what REST answers (JSON Schema 2020-12, as OpenAPI 3.1 uses it)."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NULL_TEXT: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}
NULL_NUMBER: Schema = {"type": ["number", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
NULL_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
LABELS: Schema = {"type": "object", "additionalProperties": TEXT}
COUNTS: Schema = {"type": "object", "additionalProperties": COUNT}
NEXT: Schema = {"type": ["string", "null"], "description": "The next page's cursor; null on the last page."}


def _object(optional: Mapping[str, Schema] | None = None, /, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": {**properties, **(optional or {})}}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


EVENT = _object(
    {"extra": {"type": "object", "description": "Other converters of the layout."}},
    id=TEXT, ts=NULL_TIME, level=NULL_TEXT, logger=NULL_TEXT, thread=NULL_TEXT, message=NULL_TEXT,
    mdc={"type": ["object", "null"], "additionalProperties": TEXT}, ndc={"type": ["array", "null"], "items": TEXT},
    marker=NULL_TEXT, exception=NULL_TEXT, event=NULL_TEXT, fields={"type": ["object", "null"]}, app=TEXT, host=TEXT,
    path=TEXT, offset=COUNT)

EVENTS = _object(
    events=_list(EVENT), next=NEXT,
    partial={"type": "boolean", "description": "The page ends early because enough was looked at; `next` goes on."})

QUERY = _object(
    metric=TEXT, labels=LABELS, stat=TEXT, unit=TEXT, **{"from": TIME, "to": TIME}, value=NULL_NUMBER, count=COUNT,
    complete={"type": "boolean", "description": "Nothing but late data can change the number."}, revision=COUNT)

SERIES = _object(
    metric=TEXT, kind={"enum": ["counter", "distribution", "ratio"]}, unit=TEXT, step=TEXT, timezone=TEXT,
    rows=_list(_object(
        labels=LABELS, **{"from": TIME, "to": TIME}, count=COUNT, sum=NULL_NUMBER, min=NULL_NUMBER, max=NULL_NUMBER,
        mean=NULL_NUMBER, median=NULL_NUMBER, p95=NULL_NUMBER, p99=NULL_NUMBER,
        value={**NULL_NUMBER, "description": "A counter's count, a ratio's part over whole, a distribution's mean."})),
    next=NEXT)

INCIDENT = _object(
    {"first": {"type": ["object", "null"], "description": "The first event, as /events has it."},
     "last": {"type": ["object", "null"], "description": "The last event."},
     "reason": TEXT, "because": TEXT, "help": TEXT, "summary": TEXT, "detected_at": NULL_TIME,
     "type": TEXT, "unit": TEXT, "event_from": NULL_TIME, "event_to": NULL_TIME},
    id=TEXT, rule=TEXT, labels=LABELS, severity=TEXT, state={"enum": ["pending", "firing", "resolved"]},
    pending_at=NULL_TIME, fired_at=NULL_TIME, resolved_at=NULL_TIME, value=NULL_NUMBER, threshold=NULL_NUMBER,
    late={"type": "boolean", "description": "Found long after its event time: stored, not sent."})

INCIDENTS = _object(incidents=_list(INCIDENT), next=NEXT)

STREAM = _object(
    {"reason": TEXT},
    stream=NULL_TEXT, host=TEXT, app=TEXT, path=TEXT, found=COUNT, committed=COUNT, pending=COUNT, rejected=COUNT,
    dropped=COUNTS, lag_bytes=COUNT, lag_s=NULL_NUMBER, last_ts=NULL_TIME, records=COUNT, events=COUNT, rejects=COUNT)

SOURCES = _object(sources=_list(_object(
    app=TEXT, host=TEXT, state={"enum": ["current", "behind", "not_read"]}, observed_at=NULL_TIME, files=COUNT,
    committed=COUNT, pending=COUNT, rejected=COUNT, rejects=COUNT, records=COUNT, dropped=COUNTS, lag_s=NULL_NUMBER,
    last_ts=NULL_TIME, streams=_list(STREAM))))

PROBLEM = _object(
    {"errors": _list(_object(parameter=TEXT, detail=TEXT))},
    type=TEXT, title=TEXT, status=COUNT, detail=TEXT)
