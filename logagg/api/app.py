"""The routes, and how a view is called: in a thread, with a time limit, its errors turned into answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from logagg.api import login, pages
from logagg.api.auth import Tokens
from logagg.api.files import static_file
from logagg.api.guard import LOGIN, LOGOUT, Guard, allowed_hosts
from logagg.api.hub import Hub
from logagg.api.incidents import OpenIncidents
from logagg.api.live import Live
from logagg.api.metrics import MEDIA_TYPE, Exposition
from logagg.api.openapi import document
from logagg.api.problem import Problem, json_problem, problem_of
from logagg.api.rest import OPERATIONS, respond, to_json
from logagg.api.web import Web
from logagg.clock import Clock, SystemClock
from logagg.config import Config
from logagg.errors import StoreError
from logagg.interfaces import Store
from logagg.rollup.metric import MetricSet
from logagg.search import Readings

REQUEST_S = 30.0
_FOR_PROGRAMS = ("/api/", "/openapi.json", "/metrics", "/healthz", "/readyz", "/live")

View = Callable[[Request], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(config: Config, store: Store, metrics: MetricSet, *, clock: Clock | None = None,
               request_s: float = REQUEST_S) -> Starlette:
    """The whole web application over a store, which it only reads. `app.state.hub` sends to the live pages.

    Raises ConfigError where the token file is wrong.
    """
    web = Web(config, store, metrics, clock or SystemClock(), Readings(config))
    tokens = Tokens(config.web.token_file, web.clock) if config.web.token_file is not None else None
    open_incidents = OpenIncidents(store, web.clock)
    live = Live(web, open_incidents)
    hub = Hub(partial(anyio.to_thread.run_sync, live.parts), live.at)

    def refuse(request: Request, problem: Problem) -> Response:
        if not _is_for_people(request):
            return json_problem(problem)
        if problem.status == 401:
            to = login.local_path(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
            return pages.login_page(request, status=401, to=to, headers=problem.headers)
        return pages.error_page(web, request, problem)

    def threaded(view: View) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            try:
                async with asyncio.timeout(request_s):
                    return await anyio.to_thread.run_sync(view, request, abandon_on_cancel=True)
            except Exception as error:
                return await anyio.to_thread.run_sync(refuse, request, problem_of(error))
        return endpoint

    async def on_http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return refuse(request, Problem(status, "There is no such page." if status == 404 else "This cannot be done."))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        polling = asyncio.create_task(hub.run())
        try:
            yield
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling

    def guarded(app: ASGIApp) -> ASGIApp:
        return Guard(app, allowed_hosts(config.web), tokens, refuse)

    routes = [*_for_people(web, live, threaded), *_for_programs(web, open_incidents, threaded, tokens is not None),
              Route("/live", _Stream(hub)), *_sessions(web, tokens, refuse)]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: on_http_error})
    app.add_middleware(guarded)
    app.state.hub = hub
    return app


class _Stream:
    """The hub's stream as a route's application; a class, since Starlette takes a function for a view."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._hub.stream(scope, receive, send)


def _for_people(web: Web, live: Live, threaded: Callable[[View], Endpoint]) -> list[BaseRoute]:
    return [
        Route("/", threaded(partial(pages.live_page, web, live))),
        Route("/events", threaded(partial(pages.events_page, web))),
        Route("/raw/{stream}/{offset:int}", threaded(partial(pages.raw_page, web))),
        Route("/incidents", threaded(partial(pages.incidents_page, web))),
        Route("/incidents/{id}", threaded(partial(pages.incident_page, web))),
        Route("/sources", threaded(partial(pages.sources_page, web))),
        Route("/reports", threaded(lambda request: RedirectResponse("/reports/", 307))),
        Route("/reports/{path:path}", threaded(partial(pages.archive_page, web))),
        Route("/static/{name}", threaded(static_file)),
    ]


def _for_programs(web: Web, open_incidents: OpenIncidents, threaded: Callable[[View], Endpoint],
                  secured: bool) -> list[BaseRoute]:
    description = document(secured=secured, server=web.config.web.public_url)
    exposition = Exposition(web, open_incidents)
    return [
        *(Route(one.path, threaded(partial(respond, one, web)), name=one.name) for one in OPERATIONS),
        Route("/openapi.json", threaded(lambda request: Response(to_json(description),
                                                                 media_type="application/json"))),
        Route("/metrics", threaded(lambda request: Response(exposition(), media_type=MEDIA_TYPE))),
        Route("/healthz", threaded(lambda request: PlainTextResponse("ok\n"))),
        Route("/readyz", threaded(partial(_ready, web))),
    ]


def _ready(web: Web, request: Request) -> Response:
    """Whether the store answers."""
    try:
        web.store.document("lease", "aggregator")
    except StoreError:
        raise Problem(503, "The store cannot be reached.", headers={"Retry-After": "5"}) from None
    return PlainTextResponse("ready\n")


def _sessions(web: Web, tokens: Tokens | None, refuse: Callable[[Request, Problem], Response]) -> list[BaseRoute]:
    """Logging in and out; only where there are tokens."""
    if tokens is None:
        return []

    def told(answer: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            try:
                return await answer(request)
            except Exception as error:
                return refuse(request, problem_of(error))
        return endpoint

    async def show(request: Request) -> Response:
        return login.show(request)

    return [Route(LOGIN, told(show), methods=["GET"]),
            Route(LOGIN, told(partial(login.log_in, tokens, web.config.web)), methods=["POST"]),
            Route(LOGOUT, told(login.log_out), methods=["POST"])]


def _is_for_people(request: Request) -> bool:
    """Whether an error is told as a page."""
    return not request.url.path.startswith(_FOR_PROGRAMS) and "text/html" in request.headers.get("accept", "")
