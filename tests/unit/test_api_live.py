"""The live page's stream, the numbers behind it, and /metrics."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from logagg.api.hub import Hub
from logagg.api.incidents import OpenIncidents
from logagg.api.live import PARTS, Live
from logagg.api.metrics import Exposition, family
from logagg.api.web import Web as WebParts
from logagg.search import Readings
from tests.web import Web, filled, line


class Client:
    """A browser at the other end of the stream: what it got, and how to go."""

    def __init__(self, hub: Hub) -> None:
        self.got: list[tuple[str, Any]] = []
        self.status = 0
        self._gone = asyncio.Event()
        self._news = asyncio.Event()
        self.task = asyncio.ensure_future(hub.stream({"type": "http"}, self._receive, self._send))

    async def _receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif body := message["body"].decode():
            if body.startswith("event: "):
                event, data = body.strip().split("\n")
                self.got.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))["parts"]))
            self._news.set()

    async def wait_for(self, count: int) -> None:
        while len(self.got) < count:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 10)

    async def leave(self) -> None:
        self._gone.set()
        await asyncio.wait_for(self.task, 10)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))       # type: ignore[arg-type]


class Source:
    """What a hub gathers: parts to set, and how often it was asked."""

    def __init__(self, **parts: str) -> None:
        self.parts = parts
        self.asked = 0

    async def __call__(self) -> dict[str, str]:
        self.asked += 1
        return dict(self.parts)


def hub_of(source: Source, **options: Any) -> Hub:
    return Hub(source, lambda: "12:00:00", **{"poll_s": 0.001, **options})


def test_only_what_changed_is_sent() -> None:
    """A client gets every part once, then each part when its text has changed; a second client gets all of them as
    they are then; nobody gets anything twice."""
    async def test() -> None:
        source = Source(a="1", b="1")
        hub = hub_of(source)
        polling = asyncio.ensure_future(hub.run())
        one = Client(hub)
        await one.wait_for(1)
        while ("parts", {"a": "1", "b": "1"}) not in one.got:
            await one.wait_for(len(one.got) + 1)
        source.parts["b"] = "2"
        await one.wait_for(len(one.got) + 1)
        two = Client(hub)
        await two.wait_for(1)
        source.parts["a"] = "3"
        await two.wait_for(2)
        parts = [data for event, data in one.got if event == "parts"]
        assert parts[:3] == [{"a": "1", "b": "1"}, {"b": "2"}, {"a": "3"}]
        assert [data for _, data in two.got] == [{"a": "1", "b": "2"}, {"a": "3"}]
        polling.cancel()
        await one.leave()
        await two.leave()
        assert hub.clients == 0
    run(test)


def test_nobody_looks() -> None:
    """Without a client the store is not asked; the first one to come after a pause never sees what was then."""
    async def test() -> None:
        source = Source(a="old")
        hub = hub_of(source)
        polling = asyncio.ensure_future(hub.run())
        for _ in range(20):
            await asyncio.sleep(0)
        assert source.asked == 0
        one = Client(hub)
        while ("parts", {"a": "old"}) not in one.got:
            await one.wait_for(len(one.got) + 1)
        await one.leave()
        source.parts["a"] = "new"
        hub._wanted.clear()
        two = Client(hub)
        while not any(event == "parts" for event, _ in two.got):
            await two.wait_for(len(two.got) + 1)
        assert [data for event, data in two.got if event == "parts"] == [{"a": "new"}]
        polling.cancel()
        await two.leave()
    run(test)


def test_one_poller_whatever_the_number_of_clients() -> None:
    """Fifty clients cost one poll; the one too many is told to come later."""
    async def test() -> None:
        source = Source(a="1")
        hub = hub_of(source, poll_s=60.0, clients_max=50)
        polling = asyncio.ensure_future(hub.run())
        clients = [Client(hub) for _ in range(50)]
        for client in clients:
            while ("parts", {"a": "1"}) not in client.got:
                await client.wait_for(len(client.got) + 1)
        assert source.asked == 1
        late = Client(hub)
        await late.task
        assert late.status == 503
        await clients[0].leave()
        again = Client(hub)
        await again.wait_for(1)
        assert again.status == 200
        polling.cancel()
        hub.close()
        await asyncio.gather(*(client.task for client in [*clients[1:], again]))
        assert hub.clients == 0
    run(test)


def test_a_heartbeat_while_nothing_changes() -> None:
    """Where nothing changes a client hears that the server is there; a failing poll ends neither poller nor client."""
    async def test() -> None:
        source = Source(a="1")
        hub = hub_of(source, heartbeat_s=0.01)
        polling = asyncio.ensure_future(hub.run())
        one = Client(hub)
        while [event for event, _ in one.got].count("beat") < 3:
            await one.wait_for(len(one.got) + 1)
        source.parts = None         # type: ignore[assignment]
        asked = source.asked
        while source.asked < asked + 3:
            await asyncio.sleep(0.001)
        source.parts = {"a": "2"}
        while ("parts", {"a": "2"}) not in one.got:
            await one.wait_for(len(one.got) + 1)
        polling.cancel()
        await one.leave()
    run(test)


def parts_of(web: Web) -> tuple[Live, OpenIncidents, WebParts]:
    parts = WebParts(web.config, web.store, web.metrics, web.clock, Readings(web.config))
    open_incidents = OpenIncidents(web.store, web.clock)
    return Live(parts, open_incidents), open_incidents, parts


def test_a_new_line_changes_its_parts_alone(tmp_path: Path) -> None:
    """A committed line shows within the next look, in the parts that it concerns; without news nothing changes."""
    with filled(tmp_path) as web:
        live, _, _ = parts_of(web)
        before = live.parts()
        assert set(before) == set(PARTS)
        web.clock.step(1)
        assert live.parts() == before
        web.write(line("13:29:00", "INFO", "Callflow begin: callId=c-99 ani=1 dnis=2 app=billing"))
        web.clock.step(1)
        after = live.parts()
        changed = {name for name in PARTS if before[name] != after[name]}
        assert {"figures", "charts", "sources"} <= changed
        assert not changed & {"incidents", "failures", "problems"}
        web.write(line("13:29:01", "ERROR", "DAS call a failed in 1 ms rc=1 reason=NEW_TROUBLE: x"))
        web.clock.step(1)
        assert "NEW_TROUBLE" in live.parts()["problems"]


def test_the_hour_and_the_hour_before(tmp_path: Path) -> None:
    """The page counts the minutes of the last hour, the one under way included, and compares the sixty before."""
    with filled(tmp_path) as web:
        live, _, _ = parts_of(web)
        end = web.clock.now_us() // 60_000_000 + 1
        figures = {one.title: (one.text, one.before) for one in live._figures(live._counts(end), end)}
        # 13:30 is under way: the last hour is 12:31 to 13:30, with 29 calls and the one of 13:20
        assert figures["Calls"] == ("30", "31")
        assert figures["Backend calls"] == ("2", "0")
        assert figures["Backend failures"] == ("1", "0")
        assert figures["Errors logged"] == ("1", "0")


def test_without_a_pack(tmp_path: Path) -> None:
    """Without any pack the page shows records and errors by minute."""
    from logagg.rollup.metric import MetricSet

    with filled(tmp_path) as web:
        parts = WebParts(web.config, web.store, MetricSet(), web.clock, Readings(web.config))
        shown = Live(parts, OpenIncidents(web.store, web.clock)).parts()
        assert "Log records by minute" in shown["charts"]
        assert "Errors logged by minute" in shown["charts"]
        assert "Backend" not in shown["figures"]


def test_open_incidents_of_any_age(tmp_path: Path) -> None:
    """An incident that fired long ago stays in sight until it resolves, and its end is seen at once."""
    web = Web(tmp_path)
    old = web.incident("2026-03-01T00:00:00Z")
    web.incident("2026-11-20T13:00:00Z", "resolved")
    new = web.incident("2026-11-20T13:10:00Z", "pending")
    asked = OpenIncidents(web.store, web.clock)
    assert [one["id"] for one in asked()] == [new, old]
    web.clock.step(1)
    assert [one["id"] for one in asked()] == [new, old]
    web.incident("2026-03-01T00:00:00Z", "resolved")
    assert [one["id"] for one in asked()] == [new]
    late = web.incident("2026-06-01T00:00:00Z")
    web.clock.step(61)
    assert [one["id"] for one in asked()] == [new, late]


def test_metrics(tmp_path: Path) -> None:
    """Prometheus reads streams, bytes, rejects by reason, chunks to fold, incidents and the outbox; every line is one
    of its format; labels are escaped."""
    with filled(tmp_path) as web:
        web.write(line("13:21:00", "ERROR", "x" * (2 << 20)))
        web.incident("2026-11-20T13:00:00Z")
        for i, state in enumerate(("waiting", "sending", "sent", "failed")):
            web.store.put_document("outbox", f"20261120T131530.12345{i}Z:00", 0, {"state": state})
        _, open_incidents, parts = parts_of(web)
        text = Exposition(parts, open_incidents)()
        for sample in ('logagg_streams{app="xivr",host="ivr01"} 1', 'logagg_records_total{app="mpp",host="mpp01"} 1',
                       'logagg_rejects_total{app="xivr",host="ivr01"} 2', "logagg_unfolded_chunks 0",
                       'logagg_rejects_by_reason_total{app="xivr",host="ivr01",reason="too_long"} 1',
                       'logagg_incidents_firing{rule="das_failing",severity="critical"} 1',
                       "logagg_outbox_waiting 2"):
            assert sample + "\n" in text, (sample, text)
        for one in text.splitlines():
            assert one.startswith("# ") or one.rpartition(" ")[2].replace(".", "").isdigit(), one
        assert family("m", "gauge", "x", [({"l": 'a"\\\n\udcff'}, 1)]).endswith('m{l="a\\"\\\\\\n?"} 1\n')


def test_metrics_are_collected_once_for_many_scrapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scrapes within a few seconds are answered with one reading of the store."""
    with filled(tmp_path) as web:
        _, open_incidents, parts = parts_of(web)
        exposition = Exposition(parts, open_incidents)
        first = exposition()
        monkeypatch.setattr(web.store, "streams", None)
        assert exposition() == first
