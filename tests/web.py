"""The web role over a store in memory that real logs were read into, at a clock that only steps."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from logagg.api.app import create_app
from logagg.app import App
from logagg.clock import StepClock
from logagg.config import loads
from logagg.config.model import Config, WebConfig
from logagg.store.memory import MemoryStore
from logagg.times import instant_us

NOW = "2026-11-20T13:30:00Z"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \x1b[31mred \u202egnp.exe"

_CONFIG = """
[store]
url = "sqlite:///never-opened.db"
[archive]
path = "reports"
[[source]]
app = "xivr"
host = "ivr01"
paths = ["xivr.log"]
layout = "%d{ISO8601} %-5p [%t] %c{1} - %m%n"
timezone = "UTC"
packs = ["callcenter"]
[[source]]
app = "mpp"
host = "mpp01"
paths = ["mpp.log"]
layout = "%d{ISO8601} %-5p [%t] %c{1} - %m%n"
timezone = "UTC"
packs = ["callcenter"]
"""


def line(at: str, level: str, message: str) -> str:
    return f"2026-11-20T{at},000 {level:<5} [main] A - {message}\n"


LINES = (
    "junk before the first record\n"
    + "".join(line(f"12:{minute:02d}:00", "INFO", f"Callflow begin: callId=c-{minute} ani=1 dnis=2 app=billing")
              for minute in range(60))
    + line("13:00:01", "ERROR", "DAS call getAccount failed in 5000 ms rc=504 reason=TIMEOUT: no answer")
    + "java.net.SocketTimeoutException: Read timed out\n\tat com.acme.Das.call(Das.java:1)\n"
    + line("13:00:02", "WARN", HOSTILE)
    + line("13:10:00", "INFO", "DAS call getAccount completed in 20 ms rc=0 callId=c-77")
    + line("13:20:00", "INFO", "Callflow begin: callId=c-77 ani=1 dnis=2 app=billing")
)


@cache
def _config() -> Config:
    """Read once: grammars take their time."""
    return replace(loads(_CONFIG, Path("logagg.toml")), timezone="UTC")


class Web:
    """A folder with logs, the application, and a client to it. `web` is what [web] says."""

    def __init__(self, folder: Path, **web: Any) -> None:
        self.folder = folder
        self.clock = StepClock(instant_us(NOW, "UTC"))
        sources = tuple(replace(one, paths=tuple(str(folder / Path(path).name) for path in one.paths))
                        for one in _config().sources)
        self.config: Config = replace(_config(), folder=folder, archive_path=folder / "reports", sources=sources,
                                      web=WebConfig(**web))
        self.store = MemoryStore(self.clock)
        self.app = App(self.config, clock=self.clock)
        self.app._store = self.store
        self.metrics = self.app.metrics

    def write(self, text: str, name: str = "xivr.log") -> None:
        """Append to a log and read it."""
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(text)
        self.app.ingest_sources()

    def client(self, **options: Any) -> TestClient:
        app = create_app(self.config, self.store, self.metrics, clock=self.clock)
        return TestClient(app, base_url="http://localhost:8470", raise_server_exceptions=False,
                          **{"follow_redirects": False, **options})

    def incident(self, at: str, state: str = "firing", rule: str = "das_failing", **more: Any) -> str:
        """Put an incident into the store, as the alert engine would; its id."""
        key = f"{at.replace('-', '').replace(':', '')}:{rule}:0a1b2c3d"
        self.store.put_document("incident", key, None, {
            "id": key, "rule": rule, "labels": {"host": "ivr01"}, "severity": "critical", "state": state,
            "pending_at": at, "fired_at": at, "resolved_at": at if state == "resolved" else None, "value": 0.4,
            "threshold": 0.1, "late": False, "reason": "too many", "summary": "DAS calls are failing", "type": "ratio",
            "unit": "1", "event_from": at, "event_to": at, "first": None, "last": None, "send": ["ops"], **more})
        return key


@contextlib.contextmanager
def filled(folder: Path, **web: Any) -> Iterator[Web]:
    """A Web that has read LINES."""
    made = Web(folder, **web)
    made.write(LINES)
    made.write(line("13:05:00", "WARN", "MPP mpp1: call failed, error=E1"), "mpp.log")
    yield made


def follow(client: TestClient, url: str, key: str) -> tuple[list[Any], Sequence[int]]:
    """All rows of all pages, by the Link header, and how many each page had."""
    rows: list[Any] = []
    sizes = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        rows += answer.json()[key]
        sizes.append(len(answer.json()[key]))
        link = answer.headers.get("link", "")
        assert ("rel=\"next\"" in link) == (answer.json()["next"] is not None)
        url = link[1 : link.index(">")] if link else ""
        assert len(sizes) < 500, "the pages never end"
    return rows, sizes
