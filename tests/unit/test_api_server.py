"""The server: a real socket, any free port, and an end in order."""

import http.client
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from logagg.api.server import serve
from logagg.errors import ConfigError, LogaggError
from logagg.store import open_store
from tests.waiting import until
from tests.web import Web


@contextmanager
def serving(web: Web) -> Iterator[tuple[str, threading.Event, threading.Thread]]:
    stop, told = threading.Event(), list[str]()
    thread = threading.Thread(target=serve, args=(web.config, web.store, web.metrics, stop),
                              kwargs={"clock": web.clock, "started": told.append})
    thread.start()
    try:
        until(lambda: told, "the server says its address")
        yield told[0], stop, thread
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def connection(address: str) -> http.client.HTTPConnection:
    parts = urlsplit(address)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)


def test_any_port_and_an_end_while_somebody_looks(tmp_path: Path) -> None:
    """Port 0 takes a free one and tells it once requests are answered; when told to stop, the server lets an open live
    page go and ends within seconds."""
    with serving(Web(tmp_path, port=0)) as (address, stop, thread):
        one = connection(address)
        one.request("GET", "/healthz")
        assert one.getresponse().read() == b"ok\n"
        live = connection(address)
        live.request("GET", "/live")
        answer = live.getresponse()
        assert answer.getheader("content-type") == "text/event-stream; charset=utf-8"
        assert answer.readline().startswith(b"event: ")
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        answer.read()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6(tmp_path: Path) -> None:
    """A loopback address of IPv6 works, and is told with its brackets."""
    with serving(Web(tmp_path, host="::1", port=0)) as (address, _, _):
        assert address.startswith("http://[::1]:")
        one = connection(address)
        one.request("GET", "/readyz")
        assert one.getresponse().status == 200


def test_a_port_in_use(tmp_path: Path) -> None:
    """An address that is taken is an error that names it and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        web = Web(tmp_path, port=port)
        with pytest.raises(LogaggError, match=rf"127\.0\.0\.1:{port} cannot be had.*listen on another"):
            serve(web.config, web.store, web.metrics, threading.Event())


def test_refused_before_anything_opens(tmp_path: Path) -> None:
    """An open address without a decision, and a token file that is missing, stop the start."""
    for web in (Web(tmp_path, host="0.0.0.0", port=0), Web(tmp_path, port=0, token_file=tmp_path / "none")):
        with pytest.raises(ConfigError):
            serve(web.config, web.store, web.metrics, threading.Event())


def test_headers_without_end(tmp_path: Path) -> None:
    """A request whose headers grow without end is cut off."""
    with serving(Web(tmp_path, port=0)) as (address, _, _):
        parts = urlsplit(address)
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000)
            assert b"400" in client.recv(1000)


def test_the_command(tmp_path: Path) -> None:
    """`logagg serve` prints its address, reads a store that another process writes, and ends with 0 on SIGTERM; a
    wrong --listen, or one that others reach, is exit status 2."""
    config = tmp_path / "logagg.toml"
    config.write_text('[store]\nurl = "sqlite:///logagg.db"\n')
    open_store(f"sqlite:///{tmp_path}/logagg.db").close()
    command = [sys.executable, "-m", "logagg", "-c", str(config), "serve", "--listen"]
    for listen in ("nowhere", "0.0.0.0:0"):
        assert subprocess.run([*command, listen], capture_output=True, timeout=60).returncode == 2
    with subprocess.Popen([*command, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        one = connection(process.stdout.readline().strip())
        one.request("GET", "/readyz")
        assert one.getresponse().read() == b"ready\n"
        process.terminate()
        assert process.wait(30) == (0 if sys.platform != "win32" else 1)
