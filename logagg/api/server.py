"""The web role's process side: an address, a socket, and Uvicorn until it is told to stop."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from logagg.clock import Clock
from logagg.config import Config, WebConfig
from logagg.config.web import is_loopback
from logagg.errors import ConfigError, LogaggError
from logagg.interfaces import Store
from logagg.rollup.metric import MetricSet

CONNECTIONS_MAX = 500
HEADERS_BYTES_MAX = 16 << 10
STOP_S = 0.1
CLOSING_S = 3


def check_web(web: WebConfig) -> None:
    """ConfigError for an address that others can reach with nobody asking who they are."""
    if not is_loopback(web.host) and web.token_file is None and not web.insecure:
        raise ConfigError([f"[web] listen {web.host}:{web.port} can be reached from other machines, and logs are not "
                           "for everybody: set token_file = \"tokens\" (who may read), or insecure = true where a "
                           "proxy in front asks for that, or listen on 127.0.0.1"])


def serve(config: Config, store: Store, metrics: MetricSet, stop: threading.Event, *, clock: Clock | None = None,
          started: Callable[[str], None] | None = None) -> None:
    """Answer requests until `stop` is set; open connections then have CLOSING_S to end.

    To be called from any thread; it touches no signal. `started` is told the address once it answers, with the real
    port where [web] listen says 0. ConfigError for an address that must not be open or a wrong token file;
    LogaggError where the address cannot be had.
    """
    import uvicorn

    from logagg.api.app import create_app

    check_web(config.web)
    app = create_app(config, store, metrics, clock=clock)
    settings = uvicorn.Config(
        app, http="h11", ws="none", lifespan="on", log_config=None, log_level="warning", access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=CONNECTIONS_MAX, timeout_keep_alive=10,
        timeout_graceful_shutdown=CLOSING_S, h11_max_incomplete_event_size=HEADERS_BYTES_MAX)

    class Server(uvicorn.Server):
        """Leaves signals to the program around it."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    with _bound(config.web.host, config.web.port) as bound:
        asyncio.run(_until(Server(settings), app.state.hub.close, bound, stop, started))


async def _until(server: "object", close: Callable[[], None], bound: socket.socket, stop: threading.Event,
                 started: Callable[[str], None] | None) -> None:
    """Serve; once it answers, say so; when `stop` is set, let the live pages go and end."""
    from uvicorn import Server

    assert isinstance(server, Server)
    serving = asyncio.ensure_future(server.serve(sockets=[bound]))
    told = started is None
    while not serving.done():
        if server.started and not told and started is not None:
            started(address(bound))
            told = True
        if stop.is_set():
            close()
            server.should_exit = True
        await asyncio.wait((serving,), timeout=STOP_S)
    await serving


def address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _bound(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = found[0]
        return socket.create_server(place[:2], family=family, backlog=128)
    except OSError as error:
        raise LogaggError(f"[web] listen {host}:{port} cannot be had: {error.strerror or error}; stop what uses it, "
                          "or listen on another address or port") from None
