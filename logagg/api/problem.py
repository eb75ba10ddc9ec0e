"""Errors as answers: RFC 9457 problem details, or a page for a browser. Neither ever holds a stack trace."""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from logagg.errors import StoreUnavailable, UsageError

log = logging.getLogger(__name__)

RETRY_S = 5


class Problem(Exception):
    """An answer that is an error. `errors` names each wrong parameter: {"parameter", "detail"}."""

    def __init__(self, status: int, detail: str, *, errors: Sequence[Mapping[str, str]] = (),
                 headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase

    def document(self) -> dict[str, Any]:
        """The problem details object; type "about:blank" means that the title is the status's own phrase."""
        found: dict[str, Any] = {"type": "about:blank", "title": self.title, "status": self.status,
                                 "detail": self.detail}
        if self.errors:
            found["errors"] = [dict(error) for error in self.errors]
        return found


def problem_of(error: Exception) -> Problem:
    """What a client is told about an exception: its own mistakes exactly, ours without their insides."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, UsageError):
        return Problem(400, str(error))
    if isinstance(error, StoreUnavailable):
        log.warning("%s", error)
        return Problem(503, "The store cannot be reached now; try again.", headers={"Retry-After": str(RETRY_S)})
    if isinstance(error, TimeoutError):
        return Problem(503, "This took too long and was given up; ask for less, such as a shorter range of time.",
                       headers={"Retry-After": str(RETRY_S)})
    log.error("unexpected error in the web role", exc_info=error)
    return Problem(500, "An unexpected error; the log of this logagg process has its details.")


def json_problem(problem: Problem) -> Response:
    text = json.dumps(problem.document(), ensure_ascii=True)
    return Response(text, problem.status, {**problem.headers, "Cache-Control": "no-store"},
                    media_type="application/problem+json")
