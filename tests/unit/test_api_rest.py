"""REST: the same answers as the command line's, pages that neither lose nor repeat a row, and exact errors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

from logagg.api.openapi import document
from logagg.api.rest import OPERATIONS
from logagg.errors import StoreUnavailable
from logagg.rollup.export import export_events, export_rollups
from logagg.rollup.query import query
from tests.web import Web, filled, follow, line


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with filled(tmp_path_factory.mktemp("web")) as web:
        for hour in range(9):
            web.incident(f"2026-11-20T0{hour}:00:00Z", "resolved" if hour else "firing")
        web.incident("2025-01-01T00:00:00Z", "resolved", rule="vip_stop")
        yield web


@pytest.fixture(scope="module")
def client(web: Web) -> Iterator[TestClient]:
    with web.client() as client:
        yield client


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_all_events_page_by_page(web: Web, client: TestClient, order: str, limit: int) -> None:
    """Whatever the size of a page, following the links gives every stored record once, in order, as export prints it;
    records without a time are the oldest."""
    expected = list(export_events(web.store))
    assert len(expected) > 60
    assert expected[0]["ts"] is None
    rows, sizes = follow(client, f"/api/v1/events?order={order}&limit={limit}", "events")
    assert rows == (expected if order == "oldest" else expected[::-1])
    assert max(sizes) <= limit


def test_an_open_range_and_an_early_end(web: Web, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that has looked at enough ends early and says so; its cursor goes on, and nothing is lost or repeated."""
    expected = list(export_events(web.store))
    monkeypatch.setattr("logagg.api.events._Walk._is_late", lambda self: True)
    monkeypatch.setattr("logagg.api.events.WINDOW_EVENTS_MAX", 5)
    answer = client.get("/api/v1/events?limit=50").json()
    assert answer["partial"]
    rows, _ = follow(client, "/api/v1/events?limit=50", "events")
    assert rows == expected[::-1]


@pytest.mark.parametrize(("filters", "keeps"), [
    ("event=das_failure", lambda row: row["event"] == "das_failure"),
    ("event=das_failure&event=reject", lambda row: row["event"] in ("das_failure", "reject")),
    ("level=warn", lambda row: row["level"] == "WARN"),
    ("app=mpp", lambda row: row["app"] == "mpp"),
    ("host=ivr01&level=ERROR", lambda row: (row["host"], row["level"]) == ("ivr01", "ERROR")),
    ("text=C-77", lambda row: "c-77" in (row["message"] or "")),
    ("text=sockettimeout", lambda row: "SocketTimeout" in (row["exception"] or "")),
    ("text=5000", lambda row: (row["fields"] or {}).get("duration_ms") == 5000 or "5000" in (row["message"] or "")),
    ("from=2026-11-20T12:30:00Z&to=2026-11-20T12:40", lambda row: "12:30" <= (row["ts"] or "")[11:16] < "12:40"),
    ("from=2026-11-20T08:00&timezone=America/New_York", lambda row: (row["ts"] or "")[11:13] >= "13"),
    ("app=nobody", lambda row: False),
])
def test_filters(web: Web, client: TestClient, filters: str, keeps: Any) -> None:
    """Each filter keeps exactly the records that it names, in both orders."""
    expected = [row for row in export_events(web.store) if keeps(row)]
    assert follow(client, f"/api/v1/events?{filters}&limit=3", "events")[0] == expected[::-1]
    assert follow(client, f"/api/v1/events?{filters}&limit=3&order=oldest", "events")[0] == expected


def test_query_is_the_command_line_s(web: Web, client: TestClient) -> None:
    """The same question gives the same object as `logagg query --json`; without data the value is null."""
    for stat, hour, labels in (("count", None, {}), ("count", 12, {"host": "ivr01"}), ("count", 3, {})):
        asked = [("metric", "calls"), ("stat", stat), ("date", "2026-11-20"),
                 *([("hour", str(hour))] if hour is not None else []),
                 *(("label", f"{name}={value}") for name, value in labels.items())]
        answer = client.get("/api/v1/query", params=asked).json()
        assert answer == query(web.store, web.metrics, "calls", stat, "2026-11-20", hour, zone="UTC", labels=labels)
    assert client.get("/api/v1/query?metric=calls&stat=count&date=2026-11-20").json()["value"] == 61
    assert client.get("/api/v1/query?metric=calls&stat=count&date=2026-11-19").json()["value"] is None


@pytest.mark.parametrize("most", [1, 10, 100_000])
def test_series_is_the_export_s(web: Web, client: TestClient, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """A metric's rows over time are those that `logagg export rollups` prints, page by page."""
    monkeypatch.setattr("logagg.api.rest.SERIES_ROWS_MAX", most)
    monkeypatch.setattr("logagg.api.rest.SLICE_WINDOWS", 7)
    for step in ("minute", "hour", "day", "month"):
        rows, _ = follow(client, f"/api/v1/series?metric=calls&step={step}&from=2026-11-01&to=2026-11-21", "rows")
        exported = [row for row in export_rollups(web.store, web.metrics, step) if row["metric"] == "calls"]
        assert [row | {"metric": "calls", "step": step} for row in rows] == [
            row | {"value": row["count"]} for row in exported]
    ratio = client.get("/api/v1/series?metric=das_failure_rate&from=2026-11-20&to=2026-11-21").json()["rows"]
    assert [row["value"] for row in ratio] == [0.5]


def test_incidents_page_by_page(web: Web, client: TestClient) -> None:
    """Incidents come newest first, each once, however old and however far apart; states, rules and times narrow."""
    keys = sorted(web.store.documents("incident"), reverse=True)
    for limit in (1, 4, 100):
        assert [row["id"] for row in follow(client, f"/api/v1/incidents?limit={limit}", "incidents")[0]] == keys
    assert [row["id"] for row in follow(client, "/api/v1/incidents?state=firing", "incidents")[0]] == [keys[-2]]
    assert [row["id"] for row in follow(client, "/api/v1/incidents?rule=vip_stop", "incidents")[0]] == [keys[-1]]
    found = follow(client, "/api/v1/incidents?from=2026-11-20T02:00Z&to=2026-11-20T04:00Z", "incidents")[0]
    assert [row["fired_at"][11:13] for row in found] == ["03", "02"]
    assert client.get(f"/api/v1/incidents/{keys[0]}").json()["id"] == keys[0]
    assert client.get("/api/v1/incidents/none").status_code == 404


@pytest.mark.parametrize(("url", "named", "said"), [
    ("/api/v1/events?limit=0", ["limit"], "whole number from 1 to 1,000"),
    ("/api/v1/events?evnt=x", ["evnt"], "did you mean event?"),
    ("/api/v1/events?from=yesterday", ["from"], "is no time; expected a date"),
    ("/api/v1/events?from=2026-11-21&to=2026-11-20", ["to"], "to is not after from"),
    ("/api/v1/events?limit=x&order=up", ["order", "limit"], "expected one of newest, oldest"),
    ("/api/v1/events?cursor=AAAA", ["cursor"], "leave it out to begin at the first page"),
    ("/api/v1/events?timezone=Mars", ["timezone"], "unknown time zone"),
    ("/api/v1/events?order=newest&order=oldest", ["order"], "given 2 times"),
    ("/api/v1/events?text=" + "x" * 301, ["text"], "expected at most 300"),
    ("/api/v1/query?metric=callz&stat=count&date=2026-11-20", [], "did you mean"),
    ("/api/v1/query?metric=calls&stat=median&date=2026-11-20", [], "has no stat"),
    ("/api/v1/query?stat=count", ["metric", "date"], "metric is missing"),
    ("/api/v1/query?metric=calls&stat=count&date=2026-13-01", ["date"], "is no date"),
    ("/api/v1/query?metric=calls&stat=count&date=2026-11-20&label=host", ["label"], "expected name=value"),
    ("/api/v1/series?metric=calls&from=2026-11-20&to=2026-11-21&step=fortnight", ["step"], "expected one of"),
    ("/api/v1/incidents?state=fireing", ["state"], "did you mean firing?"),
])
def test_a_client_s_mistakes(client: TestClient, url: str, named: list[str], said: str) -> None:
    """A wrong request is a 400 problem (RFC 9457) that names every wrong parameter and tells the way out."""
    answer = client.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    problem = answer.json()
    assert problem["status"] == 400
    assert said in problem["detail"]
    assert [error["parameter"] for error in problem.get("errors", [])] == named


def test_a_cursor_belongs_to_its_question(client: TestClient) -> None:
    """A cursor is refused with other filters than those that it was made for, and with forged parts."""
    cursor = client.get("/api/v1/events?limit=2").json()["next"]
    assert client.get(f"/api/v1/events?limit=5&cursor={cursor}").status_code == 200
    assert "belongs to other parameters" in client.get(f"/api/v1/events?level=WARN&cursor={cursor}").json()["detail"]
    for forged in ("e30", "W10", "WyJhIiwxLDJd", "%FF", "A" * 1001):
        assert client.get(f"/api/v1/events?cursor={forged}").status_code == 400


def test_openapi_says_what_is_served(web: Web, client: TestClient) -> None:
    """Each described path answers with what its schema says, each described parameter is known, and the description
    itself names only what it holds."""
    described = client.get("/openapi.json").json()
    assert described == json.loads(json.dumps(document(secured=False)))
    assert set(described["paths"]) == {one.path for one in OPERATIONS}
    incident = next(iter(web.store.documents("incident")))
    for path, item in described["paths"].items():
        given = {one["name"]: one.get("example", one["schema"].get("default")) for one in item["get"]["parameters"]}
        given |= {"id": incident} if "{id}" in path else {}
        needed = {one["name"] for one in item["get"]["parameters"] if one["required"]}
        answer = client.get(path.replace("{id}", incident),
                            params={name: given[name] for name in needed - {"id"}})
        assert answer.status_code == 200, (path, answer.text)
        reference = item["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        schema = described["components"]["schemas"][reference.rpartition("/")[2]]
        jsonschema.Draft202012Validator(schema).validate(answer.json())
    problem = client.get("/api/v1/events?limit=x").json()
    jsonschema.Draft202012Validator(described["components"]["schemas"]["Problem"]).validate(problem)
    assert document(secured=True)["security"] == [{"token": []}]


def test_a_store_out_of_reach(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store cannot be reached the process is alive, not ready, and answers 503 without its insides."""
    def fail(*args: object, **options: object) -> None:
        raise StoreUnavailable("mongodb://user:secret@db1 is away")

    client = web.client()
    assert client.get("/readyz").text == "ready\n"
    monkeypatch.setattr(web.store, "streams", fail)
    monkeypatch.setattr(web.store, "document", fail)
    assert client.get("/healthz").text == "ok\n"
    for path in ("/readyz", "/api/v1/events", "/api/v1/sources", "/metrics"):
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert answer.headers["retry-after"]
        assert "secret" not in answer.text
    page = client.get("/", headers={"accept": "text/html"})
    assert "The store cannot be reached" in page.text


def test_an_unexpected_error_tells_nothing(web: Web, monkeypatch: pytest.MonkeyPatch,
                                           caplog: pytest.LogCaptureFixture) -> None:
    """A defect is a 500 without its message or trace, which stand in the log."""
    def fail(*args: object, **options: object) -> None:
        raise ZeroDivisionError("the inside")

    monkeypatch.setattr(web.store, "streams", fail)
    answer = web.client().get("/api/v1/sources")
    assert answer.status_code == 500
    assert "inside" not in answer.text
    assert "Traceback" not in answer.text
    assert "the inside" in caplog.text


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    """A path with a lone surrogate (a file name that is no UTF-8) is told by JSON's escape, and breaks no page."""
    from dataclasses import replace

    with filled(tmp_path) as web:
        [stream] = web.store.streams(app="mpp")
        assert web.store.commit([(replace(stream, path="/logs/\udcff.log"), [])]) == ["committed"]
        client = web.client()
        assert client.get("/api/v1/events?app=mpp").json()["events"][0]["path"] == "/logs/\udcff.log"
        for path in ("/sources", "/events?app=mpp", f"/raw/{stream.id}/0", "/metrics", "/"):
            assert client.get(path).status_code == 200, path


def test_new_rows_do_not_disturb_the_pages(tmp_path: Path) -> None:
    """Records that come while somebody pages neither repeat nor push out a row of the older pages."""
    with filled(tmp_path) as web:
        client = web.client()
        before = follow(client, "/api/v1/events?limit=1000", "events")[0]
        first = client.get("/api/v1/events?limit=5").json()
        web.write(line("13:25:00", "ERROR", "late news"))
        rest = follow(client, f"/api/v1/events?limit=1000&cursor={first['next']}", "events")[0]
        assert first["events"] + rest == before
