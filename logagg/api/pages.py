"""The pages for people: what a view needs from the store, given to its template. All views are read by GET alone."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from logagg.api.events import known_events
from logagg.api.files import archive_file
from logagg.api.incidents import STATES, incident
from logagg.api.live import PROBLEM_LEVELS, Live
from logagg.api.params import Parameter, read
from logagg.api.problem import Problem
from logagg.api.render import page
from logagg.api.rest import FILTERS, OPERATIONS, events_answer
from logagg.api.sources import sources
from logagg.api.web import Web
from logagg.record import Stream
from logagg.rollup.window import zone_of
from logagg.search import around
from logagg.times import instant_us, rfc3339

PAGE_ROWS = 50
CONTEXT = 20
STREAMS_MAX = 500
_SPLIT = ("app", "host", "level", "event")
_INCIDENT_PARAMETERS = next(one for one in OPERATIONS if one.name == "listIncidents").parameters


def frame(web: Web, request: Request, here: str) -> dict[str, Any]:
    """What every page's frame needs: where we are, the zone, who has logged in, whether there is an archive."""
    return {"here": here, "zone": web.zone, "token": request.scope.get("token"),
            "archive": web.config.archive_path.is_dir(), "now": rfc3339(web.clock.now_us() // 1_000_000 * 1_000_000)}


def live_page(web: Web, live: Live, request: Request) -> Response:
    return HTMLResponse(page("live", parts=live.parts(), **frame(web, request, "live")))


def events_page(web: Web, request: Request) -> Response:
    """A wrong filter is said above the form, which keeps what was given."""
    given = list(_listed(request.query_params.multi_items()))
    asked: dict[str, Any] | None = None
    errors: tuple[Mapping[str, str], ...] = ()
    found, cursor = {"events": [], "partial": False}, None
    try:
        asked = read(FILTERS, given, web.zone) | {"order": "newest", "limit": PAGE_ROWS}
        found, cursor = events_answer(web, asked)
    except Problem as problem:
        if problem.status != 400:
            raise
        errors = problem.errors or ({"parameter": "", "detail": problem.detail},)
    kept = [(name, value) for name, value in given if name != "cursor" and value.strip()]
    streams = web.store.streams()
    values = {
        "rows": found["events"], "partial": found["partial"], "cursor": cursor, "kept": kept, "errors": errors,
        "form": _form(given, asked, web.zone), "first_page": asked is not None and asked["cursor"] is None,
        "known": {"event": known_events(list(web.config.packs.values())), "level": list(PROBLEM_LEVELS),
                  "app": sorted({one.app for one in streams}), "host": sorted({one.host for one in streams})},
    }
    return HTMLResponse(page("events", **values, **frame(web, request, "events")), 400 if errors else 200)


def _listed(given: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """A form has one field for each filter; several values stand in it with commas between."""
    for name, value in given:
        for one in value.split(",") if name in _SPLIT else [value]:
            yield name, one


def _form(given: Iterable[tuple[str, str]], asked: dict[str, Any] | None, zone: str) -> dict[str, str]:
    """What the form's fields show: what was given, times as local time of the page's zone."""
    shown: dict[str, str] = {}
    for name, value in given:
        shown[name] = f"{shown[name]}, {value.strip()}" if shown.get(name) else value.strip()
    for name in ("from", "to"):
        if asked is not None and asked[name] is not None:
            moment = datetime.fromisoformat(rfc3339(asked[name])).astimezone(zone_of(zone))
            shown[name] = moment.replace(tzinfo=None).isoformat(timespec="seconds")
    return {name: shown.get(name, "") for name in ("app", "host", "level", "event", "from", "to", "text")}


def incidents_page(web: Web, request: Request) -> Response:
    asked = read(_INCIDENT_PARAMETERS, request.query_params.multi_items(), web.zone)
    operation = next(one for one in OPERATIONS if one.name == "listIncidents")
    found, cursor = operation.answer(web, asked | {"limit": PAGE_ROWS})
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return HTMLResponse(page("incidents", incidents=found["incidents"], cursor=cursor, kept=kept, states=STATES,
                             state=asked["state"][0] if len(asked["state"]) == 1 else "",
                             **frame(web, request, "incidents")))


def incident_page(web: Web, request: Request) -> Response:
    found = incident(web.store, request.path_params["id"])
    if found is None:
        raise Problem(404, "There is no such incident.")
    return HTMLResponse(page("incident", incident=found, until=_until(found.get("event_to")),
                             **frame(web, request, "incidents")))


def _until(last: str | None) -> str | None:
    """The end of a range that still holds the last event's moment."""
    return None if last is None else rfc3339(instant_us(last, "UTC") + 1)


def sources_page(web: Web, request: Request) -> Response:
    parameters = (Parameter("app", "text", "Only this application."), Parameter("host", "text", "Only this host."))
    asked = read(parameters, request.query_params.multi_items(), web.zone)
    rows = sources(web.store, web.clock.now_us(), app=asked["app"], host=asked["host"])
    streams = [stream for row in rows for stream in row["streams"]]
    return HTMLResponse(page("sources", sources=rows, streams=streams[:STREAMS_MAX],
                             more=max(0, len(streams) - STREAMS_MAX), asked=asked, **frame(web, request, "sources")))


def raw_page(web: Web, request: Request) -> Response:
    """A record as it stood in its file, between its neighbours."""
    stream = _stream(web, request.path_params["stream"])
    offset = request.path_params["offset"]
    if offset >= 1 << 62:
        raise Problem(404, "No file is that long.")
    found = around(web.store, stream, offset, CONTEXT, web.readings.reader(stream), web.readings.encoding(stream))
    times = [one.ts_us for one in found if one.ts_us is not None]
    return HTMLResponse(page(
        "raw", stream=stream, offset=offset, records=found, first=found[0].offset if found else 0,
        last=found[-1].offset if found else 0, expired=not found and offset < stream.end,
        span=(rfc3339(min(times)), rfc3339(max(times))) if times else None, **frame(web, request, "events")),
        200 if found else 404)


def _stream(web: Web, id: str) -> Stream:
    found = web.store.streams(id=id)
    if not found:
        raise Problem(404, "There is no such stream.")
    return found[0]


def archive_page(web: Web, request: Request) -> Response:
    """A file of the archive; a folder without a page of its own shows what is in it."""
    found = archive_file(web.config.archive_path, request)
    if isinstance(found, Response):
        return found
    return HTMLResponse(page("archive", names=found, folder=request.path_params["path"].strip("/"),
                             **frame(web, request, "reports")))


def error_page(web: Web, request: Request, problem: Problem) -> Response:
    return HTMLResponse(page("error", problem=problem, **frame(web, request, "")), problem.status, problem.headers)


def login_page(request: Request, *, status: int, to: str, said: str = "",
               headers: dict[str, str] | None = None) -> Response:
    """The form that asks for a token. It shows nothing of what is behind it."""
    return HTMLResponse(page("login", to=to, said=said), status, headers)
