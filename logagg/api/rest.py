"""REST: the table of operations under /api/v1, and what each answers. openapi.py describes the same table.

An operation is a function of the web and its parameters; it answers a JSON-able object, and a cursor where there is a
next page: `next` in the object and `Link: <...>; rel="next"` (RFC 8288) both name it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from logagg.api import schemas
from logagg.api.cursor import decode, encode
from logagg.api.events import END_US, Key, Wanted, event_page
from logagg.api.incidents import STATES, incident, incident_page
from logagg.api.params import Parameter, read
from logagg.api.problem import Problem
from logagg.api.sources import sources
from logagg.api.web import Web
from logagg.errors import UsageError
from logagg.record import Event, Stream
from logagg.rollup.export import event_row
from logagg.rollup.query import Row, check_step, find_metric, numbers, query, series, utc_text
from logagg.rollup.window import LAST_MINUTE, STEPS, end_of, start_of, zone_of

MINUTE_US = 60_000_000
LIMIT_MAX = 1000
SERIES_ROWS_MAX = 5000
SLICE_WINDOWS = 120
Answer = tuple[dict[str, Any], str | None]
"""What an operation answers, and the cursor of the next page."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One path: `answer` gives the object and the next page's cursor; `schema` is the object's JSON Schema."""

    path: str
    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    answer: Callable[[Web, Mapping[str, Any]], Answer]
    schema: Mapping[str, Any]
    help: str = ""


def respond(operation: Operation, web: Web, request: Request) -> Response:
    """Read the parameters, ask, and answer. Problem where the client is wrong."""
    given = [*request.path_params.items(), *request.query_params.multi_items()]
    found, cursor = operation.answer(web, read(operation.parameters, given, _zone(web, request)))
    headers = {"Cache-Control": "no-store"}
    if cursor is not None:
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        headers["Link"] = f'<{request.url.path}?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'
    return Response(to_json(found), 200, headers, media_type="application/json")


def to_json(found: Any) -> bytes:
    """UTF-8; names of files that are no UTF-8 (lone surrogates) go as JSON's own escapes."""
    try:
        return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(found, separators=(",", ":")).encode()


def _zone(web: Web, request: Request) -> str:
    """The zone in which the request's times without an offset are meant."""
    zone = request.query_params.get("timezone") or web.zone
    try:
        zone_of(zone)
    except UsageError as error:
        raise Problem(400, str(error), errors=[{"parameter": "timezone", "detail": str(error)}]) from None
    return zone


def events_answer(web: Web, asked: Mapping[str, Any]) -> Answer:
    question = {name: value for name, value in asked.items() if name not in ("cursor", "limit")}
    after: Key | None = None
    if asked["cursor"] is not None:
        ts_us, stream, offset = decode(asked["cursor"], question, (int, str, int))
        after = (min(max(ts_us, -1), END_US), stream, min(max(offset, 0), END_US))      # it may be forged
    found = event_page(web.store, wanted(asked), web.clock, newest_first=asked["order"] == "newest", after=after,
                       limit=asked["limit"])
    cursor = None if found.next is None else encode(list(found.next), question)
    rows = [public_row(event, stream) for event, stream in found.rows]
    return {"events": rows, "next": cursor, "partial": found.cut}, cursor


def wanted(asked: Mapping[str, Any]) -> Wanted:
    """The parameters of /events and /api/v1/events as what is asked of the store."""
    return Wanted(tuple(asked["app"]), tuple(asked["host"]), tuple(asked["level"]), tuple(asked["event"]),
                  asked["from"], asked["to"], asked["text"] or "")


def public_row(event: Event, stream: Stream) -> dict[str, Any]:
    return event_row(event, stream)


def _query(web: Web, asked: Mapping[str, Any]) -> Answer:
    found = query(web.store, web.metrics, asked["metric"], asked["stat"], asked["date"], asked["hour"],
                  zone=asked["timezone"] or web.zone, labels=dict(asked["label"]))
    return found, None


def _series(web: Web, asked: Mapping[str, Any]) -> Answer:
    """The rows of whole windows, as many as fit; the cursor is the next window's start."""
    zone, step = asked["timezone"] or web.zone, asked["step"]
    check_step(step)
    metric = find_metric(web.metrics, asked["metric"])
    question = {name: value for name, value in asked.items() if name != "cursor"}
    start, end = -(-asked["from"] // MINUTE_US), min(-(-asked["to"] // MINUTE_US), LAST_MINUTE)
    if asked["cursor"] is not None:
        start = min(max(start, decode(asked["cursor"], question, (int,))[0]), end)      # it may be forged
    rows: list[dict[str, Any]] = []
    for low, high in _slices(step, zone, max(start, 0), end):
        if len(rows) >= SERIES_ROWS_MAX:
            cursor = encode([low], question)
            break
        rows += [{"labels": dict(row.labels), "from": utc_text(row.start), "to": utc_text(row.end),
                  **_numbers(metric.kind, numbers(metric, row.stat), row)}
                 for row in series(web.store, web.metrics, metric.name, step, zone, low * MINUTE_US, high * MINUTE_US,
                                   labels=dict(asked["label"]))]
    else:
        cursor = None
    return {"metric": metric.name, "kind": metric.kind, "unit": metric.unit, "step": step, "timezone": zone,
            "rows": rows, "next": cursor}, cursor


def _slices(step: str, zone: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """[start, end) in pieces of so many windows that one fits into memory, cut between windows."""
    first = start_of(step, start, zone)
    length = end_of(step, first, zone) - first
    while start < end:
        until = min(end, start + SLICE_WINDOWS * length)
        if until < end:
            until = max(start_of(step, until, zone), start + 1)
        yield start, until
        start = until


def _numbers(kind: str, found: dict[str, Any], row: Row) -> dict[str, Any]:
    """A counter's value is its count, a ratio's part over whole, a distribution's mean."""
    if kind == "ratio":
        value = round(row.part.count / row.stat.count, 6) if row.stat.count else None
        return {**dict.fromkeys(found), "count": row.stat.count, "sum": row.part.count, "value": value}
    return {**found, "value": found["count"] if kind == "counter" else found["mean"]}


def _incidents(web: Web, asked: Mapping[str, Any]) -> Answer:
    question = {name: value for name, value in asked.items() if name not in ("cursor", "limit")}
    before = decode(asked["cursor"], question, (str,))[0] if asked["cursor"] is not None else None
    found = incident_page(web.store, web.clock, states=tuple(asked["state"]), rules=tuple(asked["rule"]),
                          from_us=asked["from"], to_us=asked["to"], before=before, limit=asked["limit"])
    cursor = None if found.next is None else encode([found.next], question)
    return {"incidents": list(found.rows), "next": cursor}, cursor


def _incident(web: Web, asked: Mapping[str, Any]) -> Answer:
    found = incident(web.store, asked["id"])
    if found is None:
        raise Problem(404, f"no incident {asked['id']!r}; /api/v1/incidents lists them")
    return found, None


def _sources(web: Web, asked: Mapping[str, Any]) -> Answer:
    rows = sources(web.store, web.clock.now_us(), app=asked["app"], host=asked["host"])
    return {"sources": rows}, None


_FROM = Parameter("from", "time", "First time: RFC 3339, or a local date or time of `timezone`.",
                  example="2026-11-20T13:00:00Z")
_TO = Parameter("to", "time", "Where the range ends; that time itself is left out.", example="2026-11-20T14:00:00Z")
_ZONE = Parameter("timezone", "text", "IANA zone of days and of times without an offset (default: the "
                  "configuration's).", example="America/New_York")
_CURSOR = Parameter("cursor", "cursor", "Where this page begins: `next` of the page before, with the same parameters.")
_LIMIT = Parameter("limit", "integer", "Rows of one page.", default=100, least=1, most=LIMIT_MAX)
_LABEL = Parameter("label", "label", "Only this label, as name=value; may be repeated.", repeated=True,
                   example="host=ivr-app01")
_METRIC = Parameter("metric", "text", "The metric's name.", required=True, example="calls")

FILTERS = (
    Parameter("app", "text", "Only this application; may be repeated.", repeated=True, example="xivr"),
    Parameter("host", "text", "Only this host; may be repeated.", repeated=True, example="ivr-app01"),
    Parameter("level", "text", "Only this level as logged, in any case; may be repeated.", repeated=True,
              example="ERROR"),
    Parameter("event", "text", "Only this event; may be repeated.", repeated=True, example="das_failure"),
    _FROM, _TO,
    Parameter("text", "text", "Text or call id looked for in message, exception, fields and MDC, in any case.",
              example="c-17"),
    _ZONE, _CURSOR,
)

OPERATIONS = (
    Operation("/api/v1/events", "listEvents", "Stored records, by filters",
              (*FILTERS, Parameter("order", "choice", "By time, then stream and offset.", default="newest",
                                   choices=("newest", "oldest")), _LIMIT),
              events_answer, schemas.EVENTS,
              "What is kept for the time set: records that a grammar claims, of level WARN and above, and rejects; "
              "every record where the source says keep = \"all\". A page may hold fewer rows than `limit`, even "
              "none, when much had to be looked at (`partial`); follow `next` until there is none."),
    Operation("/api/v1/query", "queryMetric", "One number of a metric, for a day or an hour",
              (_METRIC, Parameter("stat", "text", "count, sum, rate; of a distribution also min, max, mean, median, "
                                  "p90, p95, p99.", required=True, example="count"),
               Parameter("date", "date", "A local day.", required=True, example="2026-11-20"),
               Parameter("hour", "integer", "One of its hours, 0 to 23; left out: the whole day.", least=0, most=23),
               _LABEL, _ZONE),
              _query, schemas.QUERY),
    Operation("/api/v1/series", "metricSeries", "A metric's rows over time",
              (_METRIC,
               Parameter("from", "time", _FROM.help, required=True, example=_FROM.example),
               Parameter("to", "time", _TO.help, required=True, example=_TO.example),
               Parameter("step", "choice", "The length of a window.", default="hour", choices=STEPS),
               _LABEL, _ZONE, _CURSOR),
              _series, schemas.SERIES,
              "A row for each set of labels in each window that starts in [from, to) and holds data."),
    Operation("/api/v1/incidents", "listIncidents", "Incidents, newest first",
              (Parameter("state", "choice", "Only this state; may be repeated.", repeated=True, choices=STATES),
               Parameter("rule", "text", "Only this rule; may be repeated.", repeated=True, example="das_failing"),
               _FROM, _TO, _ZONE, _CURSOR, _LIMIT),
              _incidents, schemas.INCIDENTS),
    Operation("/api/v1/incidents/{id}", "getIncident", "One incident",
              (Parameter("id", "text", "The incident's id.", required=True, in_path=True,
                         example="20261120T131530Z:das_failing:0a1b2c3d"),),
              _incident, schemas.INCIDENT),
    Operation("/api/v1/sources", "listSources", "What is read of each application on each host",
              (Parameter("app", "text", "Only this application.", example="xivr"),
               Parameter("host", "text", "Only this host.", example="ivr-app01")),
              _sources, schemas.SOURCES),
)
