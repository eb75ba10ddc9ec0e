"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): one poller, many browsers.

Whatever the number of clients, the store is asked once a round, and not at all while nobody looks. A client gets all
parts when it comes and after that only those that have changed; where nothing changes it gets a heartbeat. There is no
queue: a client that reads slowly skips to the newest state.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from starlette.types import Receive, Scope, Send

from logagg.api.problem import Problem, json_problem

log = logging.getLogger(__name__)

POLL_S = 1.0
REST_FACTOR = 4             #: the poller rests this many times as long as a round took
HEARTBEAT_S = 15.0
CLIENT_S = 1800.0           #: then the browser comes again; a session that has ended is noticed by that
CLIENTS_MAX = 100

Parts = dict[str, str]


class Hub:
    """The newest parts, and who waits for the next ones. Belongs to one event loop."""

    def __init__(self, gather: Callable[[], Awaitable[Parts]], at: Callable[[], str], *, poll_s: float = POLL_S,
                 heartbeat_s: float = HEARTBEAT_S, clients_max: int = CLIENTS_MAX) -> None:
        self._gather = gather
        self._at = at                                   # the time of day, as the page shows it
        self._poll_s = poll_s
        self._heartbeat_s = heartbeat_s
        self._clients_max = clients_max
        self._parts: dict[str, tuple[int, str]] = {}    # each with the number of the round that made it
        self._round = 0
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()                  # somebody looks
        self.closed = False
        self.clients = 0

    async def run(self) -> None:
        """Poll for ever while there are clients; to be run as one task, and cancelled at the end."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            begun_s = loop.time()
            try:
                self.publish(await self._gather())
            except Exception:
                log.exception("the live page cannot be brought up to date")
            await asyncio.sleep(max(self._poll_s, REST_FACTOR * (loop.time() - begun_s)))

    def publish(self, parts: Parts) -> None:
        """Take over what has changed and wake the clients, if anything has."""
        changed = {name: html for name, html in parts.items() if self._parts.get(name, (0, None))[1] != html}
        if changed:
            self._round += 1
            self._parts |= {name: (self._round, html) for name, html in changed.items()}
            self._wake()

    def close(self) -> None:
        """Let every client go, and take no more."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One client, as an ASGI application: until it goes, the hub closes, or its time is over."""
        if self.closed or self.clients >= self._clients_max:
            full = Problem(503, "Too many live pages are open; reload later.", headers={"Retry-After": "30"})
            await json_problem(full)(scope, receive, send)
            return
        if not self.clients:
            self._parts.clear()                         # nobody has looked for some time: they may be old
        self.clients += 1
        self._wanted.set()
        sending = asyncio.ensure_future(self._send(send))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((sending, gone), timeout=CLIENT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.clients -= 1
            if not self.clients:
                self._wanted.clear()
            for task in (sending, gone):
                task.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await task

    async def _send(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"),
                   (b"x-accel-buffering", b"no")]       # nginx would hold events back
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        seen = -1
        while not self.closed:
            changed = self._changed
            new = {name: html for name, (number, html) in self._parts.items() if number > seen}
            seen = self._round
            await _body(send, message("parts" if new else "beat", {"at": self._at(), "parts": new}))
            if self._changed is changed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), self._heartbeat_s)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def message(event: str, data: Any) -> bytes:
    """One event; JSON keeps its data on one line."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()


async def _body(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
