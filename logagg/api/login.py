"""Logging in with a browser: a token, once, for a session cookie (HttpOnly, SameSite=Strict)."""

import logging
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from logagg.api.auth import COOKIE, SESSION_S, TOKEN_BYTES_MAX, Tokens
from logagg.api.pages import login_page
from logagg.api.problem import Problem
from logagg.config import WebConfig

log = logging.getLogger(__name__)

FORM_BYTES_MAX = 4096


def local_path(text: str) -> str:
    """Where to go after the login: a path of this service, never another site (CWE-601)."""
    parts = urlsplit(text)
    safe = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return text if safe and text.isprintable() and "\\" not in text else "/"


def show(request: Request) -> Response:
    return login_page(request, status=200, to=local_path(request.query_params.get("to", "/")))


async def log_in(tokens: Tokens, web: WebConfig, request: Request) -> Response:
    """The form, sent: a cookie for a known token, else the form again."""
    _check_origin(request)
    form = parse_qs(await _body(request), keep_blank_values=True, max_num_fields=10)
    to = local_path(form.get("to", ["/"])[0])
    given = form.get("token", [""])[0].strip()
    token = tokens.of_token(given) if 0 < len(given) <= TOKEN_BYTES_MAX else None
    if token is None or not token.may("read"):
        log.warning("a login was refused (from %s)", request.client.host if request.client else "?")
        said = "This token is not known." if token is None else "This token may not read (scope read)."
        return login_page(request, status=401 if token is None else 403, to=to, said=said)
    response = RedirectResponse(to, 303)
    response.set_cookie(COOKIE, tokens.session(token), max_age=SESSION_S, httponly=True, samesite="strict",
                        secure=_is_https(web, request))
    return response


async def log_out(request: Request) -> Response:
    _check_origin(request)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _is_https(web: WebConfig, request: Request) -> bool:
    return request.url.scheme == "https" or (web.public_url or "").startswith("https://")


def _check_origin(request: Request) -> None:
    """A form that a foreign page sends is refused; browsers say where a POST comes from."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Problem(403, "This form was sent by another site.")


async def _body(request: Request) -> str:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_BYTES_MAX:
            raise Problem(413, f"The form is larger than {FORM_BYTES_MAX} bytes.")
    return body.decode("utf-8", "replace")
