"""A demo of one day behind a real server, at a chosen time of that day, for a real browser."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from logagg.api.server import serve
from logagg.app import App
from logagg.clock import Clock, SystemClock
from logagg.config import load
from logagg.config.model import Config, WebConfig
from logagg.demo.folder import run_demo
from logagg.times import instant_us, rfc3339
from tests.waiting import until

DAY = date(2026, 11, 20)
ZONE = "America/New_York"


class ShiftedClock(SystemClock):
    """The machine's clock, set to another time when it is made."""

    def __init__(self, now_us: int) -> None:
        self._ahead_us = now_us - super().now_us()

    def now_us(self) -> int:
        return super().now_us() + self._ahead_us


@contextmanager
def serving(config: Config, app: App, clock: Clock) -> Iterator[str]:
    """The web server over an application's store while the context lasts; yields its address."""
    stop, failed, address = threading.Event(), list[BaseException](), list[str]()

    def work() -> None:
        try:
            serve(config, app.store, app.metrics, stop, clock=clock, started=address.append)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        until(lambda: address or failed, "the server answers")
        assert not failed, failed
        yield address[0].rstrip("/")
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


class Site:
    """The demo, its application and its address."""

    def __init__(self, folder: Path, at: str) -> None:
        run_demo(folder, days=1, until=date(2026, 11, 21))
        self.folder = folder
        self.clock = ShiftedClock(instant_us(at, ZONE))
        config = load(folder / "logagg.toml")
        self.config: Config = replace(config, timezone=ZONE, web=WebConfig(port=0))
        self.app = App(self.config, clock=self.clock)
        self.url = ""
        for key, value in self.app.store.documents("incident").items():     # they are of the machine's own time
            self.app.store.put_document("incident", key, None, value | {"state": "resolved"})

    @contextmanager
    def serving(self) -> Iterator["Site"]:
        try:
            with serving(self.config, self.app, self.clock) as self.url:
                yield self
        finally:
            self.app.close()

    def write(self, host: str, app: str, line: str) -> None:
        """Append a line to a log of the demo, then read and fold what is new, as the service would."""
        [log] = (self.folder / "logs" / host).glob(f"{app}.log")
        with log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self.app.ingest_sources()

    def incident(self, state: str, at_us: int, **more: object) -> str:
        """Put an incident into the store, as the alert engine would; its id."""
        at = rfc3339(at_us // 1_000_000 * 1_000_000)
        key = f"{at.replace('-', '').replace(':', '')}:das_failing:0a1b2c3d"
        value = {
            "id": key, "rule": "das_failing", "labels": {"host": "ivr-app01"}, "severity": "critical", "state": state,
            "pending_at": at, "fired_at": at, "resolved_at": at if state == "resolved" else None, "value": 0.42,
            "threshold": 0.1, "late": False, "reason": "42 of 100 DAS calls failed in 5 minutes", "type": "ratio",
            "unit": "1", "summary": "DAS calls are failing on ivr-app01", "event_from": at, "event_to": at,
            "first": None, "last": None, "send": ["ops"], **more,
        }
        assert self.app.store.put_document("incident", key, None, value)
        return key
