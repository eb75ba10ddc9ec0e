"""What every request passes before a view sees it, and what every answer carries.

In this order: the Host header (on loopback a name that is not ours means that a foreign page has bound its name to
this address: DNS rebinding), the method (nothing here changes anything: GET and HEAD; POST only to log in), then the
token or cookie. The headers forbid a browser to load, run or frame anything that is not ours.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logagg.api.auth import COOKIE, TOKEN_BYTES_MAX, Token, Tokens
from logagg.api.problem import Problem
from logagg.config import WebConfig
from logagg.config.web import is_loopback

URL_CHARS_MAX = 8000
LOGIN, LOGOUT = "/login", "/logout"
_OPEN = frozenset({"/healthz", "/readyz", LOGIN})
_OPEN_FOLDER = "/static/"

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
          "form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
ARCHIVE_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
                  "font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
                  "frame-ancestors 'none'")
"""A report brings its style sheet in itself, so that it works from a file; its own policy allows that one by hash."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

Refuse = Callable[[Request, Problem], Response]
"""How a refusal is told: as a page or as problem+json."""


def allowed_hosts(web: WebConfig) -> frozenset[str] | None:
    """The names under which requests may come; None: any (the address is not loopback, tokens guard it)."""
    if not is_loopback(web.host):
        return None
    names = {"localhost", "127.0.0.1", "::1", web.host.casefold()}
    if web.public_url and (name := urlsplit(web.public_url).hostname):
        names.add(name.casefold())
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Guard:
    """ASGI middleware around the whole application."""

    app: ASGIApp
    hosts: Collection[str] | None
    tokens: Tokens | None
    refuse: Refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return      # no websockets here
        guarded = _with_headers(scope, send)
        request = Request(scope, receive)
        try:
            self._check(request)
        except Problem as problem:
            await self.refuse(request, problem)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)

    def _check(self, request: Request) -> None:
        path = request.url.path
        if self.hosts is not None and _hostname(request.headers) not in self.hosts:
            raise Problem(421, "This address answers to localhost only; for another name set [web] public_url.")
        if len(path) + len(request.url.query) > URL_CHARS_MAX:
            raise Problem(414, f"The address is longer than {URL_CHARS_MAX} characters.")
        if request.method not in ("GET", "HEAD") and not (request.method == "POST" and path in (LOGIN, LOGOUT)):
            raise Problem(405, "Nothing can be changed here; expected GET.", headers={"Allow": "GET, HEAD"})
        if self.tokens is None or path in _OPEN or path.startswith(_OPEN_FOLDER):
            return
        token = who(self.tokens, request)
        request.scope["token"] = token
        if not token.may("read"):
            raise Problem(403, f"The token {token.name} lacks the scope read.",
                          headers={"WWW-Authenticate": 'Bearer realm="logagg", error="insufficient_scope"'})


def who(tokens: Tokens, request: Request) -> Token:
    """The token of a request (RFC 6750: Authorization: Bearer …), or of its cookie. Problem 401 without one."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer":
        token = tokens.of_token(given.strip()) if len(given) <= TOKEN_BYTES_MAX else None
        if token is None:
            raise Problem(401, "This token is not known.",
                          headers={"WWW-Authenticate": 'Bearer realm="logagg", error="invalid_token"'})
        return token
    token = tokens.of_session(request.cookies.get(COOKIE, ""))
    if token is None:
        raise Problem(401, "A token is needed: send Authorization: Bearer TOKEN, or log in.",
                      headers={"WWW-Authenticate": 'Bearer realm="logagg"'})
    return token


def _hostname(headers: Headers) -> str:
    try:
        return (urlsplit("//" + headers.get("host", "")).hostname or "").casefold()
    except ValueError:
        return ""


def _with_headers(scope: Scope, send: Send) -> Send:
    archive = scope["path"].startswith("/reports/")

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers["Content-Security-Policy"] = ARCHIVE_POLICY if archive else POLICY
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return guarded
