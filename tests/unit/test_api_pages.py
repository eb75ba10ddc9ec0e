"""The pages: what they show, that they work without a script, and that text from logs stays text."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from tests.web import Web, filled, line


class Checked(HTMLParser):
    """A page as a parser sees it: its tags, its links, its text; balanced, and without any inline script or style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.text = ""
        self.feed(text)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert not [name for name in given if name.startswith("on") or name == "style"], given
        assert tag != "style"
        assert tag != "script" or (given.get("src") or "").startswith("/static/")
        self.tags.append(tag)
        self.links += [given["href"] or ""] if tag == "a" and "href" in given else []
        self.ids += [given["id"] or ""] if "id" in given else []
        if tag not in ("meta", "link", "input", "img", "br", "hr"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with filled(tmp_path_factory.mktemp("web")) as web:
        first = web.client().get("/api/v1/events?event=das_failure").json()["events"][0]
        web.incident("2026-11-20T13:00:00Z", first=first, last=first)
        web.incident("2026-11-19T13:00:00Z", "resolved", rule="vip_stop", value=None, threshold=None, late=True)
        (web.folder / "reports").mkdir()
        yield web


@pytest.fixture(scope="module")
def client(web: Web) -> TestClient:
    return web.client(headers={"accept": "text/html"})


def test_every_link_leads_somewhere(client: TestClient) -> None:
    """From the live page on, every link of every page is answered, and every page is whole."""
    waiting, seen = ["/"], set[str]()
    while waiting:
        url = waiting.pop()
        path = url.partition("#")[0]
        if path in seen or len(seen) > 150:
            continue
        seen.add(path)
        answer = client.get(path, follow_redirects=True)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            page = Checked(answer.text)
            assert len(page.ids) == len(set(page.ids)), path
            assert "main" in page.ids, path
            waiting += [link for link in page.links if link.startswith("/")]
            if "#" in url and url.partition("#")[2]:
                assert url.partition("#")[2] in page.ids, url
    assert {"/", "/events", "/incidents", "/sources", "/reports/", "/metrics", "/openapi.json"} <= seen


def test_the_live_page_without_a_script(client: TestClient) -> None:
    """The page that comes holds everything: the hour's numbers beside the hour before, what failed with its events,
    the open incident, the latest problems, the sources; and a link to refresh it."""
    page = Checked(client.get("/").text)
    for said in ("1 incident firing", "DAS calls are failing", "DAS failures", "mpp on mpp01", "refresh"):
        assert said in page.text, said
    assert re.search(r"Calls\s*30\s*hour before 31", page.text)
    assert "vip_stop" not in page.text


def test_text_from_logs_stays_text(client: TestClient) -> None:
    """Markup in a message is shown as characters, and what cannot be seen or reorders text as a mark, on every page
    that shows it and in the search form that repeats it."""
    raw = next(link for link in Checked(client.get("/events?level=WARN&app=xivr").text).links if "/raw/" in link)
    for path in ("/", "/events", "/events?level=WARN&text=" + quote("<script>alert(1)</script>"), raw):
        text = client.get(path).text
        page = Checked(text)
        assert "<script>alert(1)</script>" in page.text, path
        assert "img" not in page.tags
        assert "⟨U+001B⟩[31mred ⟨U+202E⟩gnp.exe" in page.text
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_a_hostile_search(client: TestClient) -> None:
    """A search for markup finds nothing or text, and comes back in the form as it was typed."""
    text = '"><script>alert(1)</script>'
    answer = client.get("/events", params={"text": text, "event": text, "from": text})
    assert answer.status_code == 400
    page = Checked(answer.text)
    assert page.tags.count("script") == 0
    assert "is no time" in page.text


def test_searching(client: TestClient) -> None:
    """The form's fields narrow, several values stand with commas, empty fields mean nothing, a call id finds its
    records, and times mean the page's zone."""
    def found(query: str) -> int:
        return client.get(f"/events?{query}").text.count('<li class="event">')

    assert found("text=c-77&event=&level=&app=&host=&from=&to=") == 2
    assert found("event=das_failure,reject") == 2
    assert found("from=2026-11-20T13:00&to=2026-11-20T13:10") == 3
    assert found("host=mpp01") == 1
    assert found("app=nobody") == 0
    form = client.get("/events?from=2026-11-20T13:00:00Z&level=WARN, ERROR").text
    assert 'value="2026-11-20T13:00:00"' in form
    assert 'value="WARN, ERROR"' in form


def test_older_pages(client: TestClient) -> None:
    """"Older" leads through all events once, each page with the filters of the first."""
    url, seen = "/events?app=xivr", list[str]()
    while url:
        page = Checked(client.get(url).text)
        seen += [link for link in page.links if link.startswith("/raw/")]
        url = next((link for link in page.links if "cursor=" in link), "")
        assert not url or "app=xivr" in url
    assert len(seen) == len(set(seen)) == 65


def test_raw_context(web: Web, client: TestClient) -> None:
    """An event leads to its own lines between their neighbours, stack trace and all; a place that is not there says
    whether it is gone or not read yet."""
    page = client.get("/events?event=das_failure").text
    raw = next(link for link in Checked(page).links if link.startswith("/raw/"))
    text = client.get(raw).text
    hit = text[text.index('class="hit"'):]
    hit = hit[: hit.index("</li>")]
    assert "    at com.acme.Das.call(Das.java:1)" in hit
    assert "reason=TIMEOUT" in hit
    shown = Checked(text).text
    assert "callId=c-59" in shown
    assert "callId=c-77" in shown
    assert "callId=c-30 " not in shown
    stream = raw.split("/")[2]
    missing = client.get(f"/raw/{stream}/999999999")
    assert (missing.status_code, "has been read up to byte" in missing.text) == (404, True)
    for path in (f"/raw/{stream}/{10**30}", "/raw/nothing/0", f"/raw/{stream}/x", f"/raw/{stream}/-1"):
        assert client.get(path).status_code == 404, path


def test_raw_bytes_that_expired(tmp_path: Path) -> None:
    """An event outlives its raw bytes: its page says that they are no longer kept."""
    with filled(tmp_path) as web:
        client = web.client()
        raw = next(link for link in Checked(client.get("/events?app=mpp").text).links if "/raw/" in link)
        [stream] = web.store.streams(app="mpp")
        web.store._chunks = {key: chunk for key, chunk in web.store._chunks.items() if key[0] != stream.id}
        answer = client.get(raw)
        assert (answer.status_code, "no longer kept" in answer.text) == (404, True)


def test_incident_pages(web: Web, client: TestClient) -> None:
    """The list shows states and leads to each incident: its reason, value against threshold, times, evidence."""
    listed = Checked(client.get("/incidents").text)
    assert "vip_stop" in listed.text
    assert "late" in listed.text
    assert "vip_stop" not in Checked(client.get("/incidents?state=firing").text).text
    [link] = [one for one in listed.links if "das_failing" in one]
    page = Checked(client.get(link).text)
    for said in ("too many", "40.0 %", "at most 10.0 %", "2026-11-20 13:00:00", "ops", "reason=TIMEOUT", "host"):
        assert said in page.text, said
    assert client.get("/incidents/nothing").status_code == 404


def test_errors_as_pages(client: TestClient) -> None:
    """A browser gets an error as a page of the same frame."""
    answer = client.get("/no/such/page")
    assert answer.status_code == 404
    assert "There is no such page." in Checked(answer.text).text
    assert client.get("/incidents?state=x").status_code == 400


def test_a_record_as_long_as_a_record_can_be(tmp_path: Path) -> None:
    """A record of many lines and of very long ones is cut on the page, and says so; the page stays small."""
    with filled(tmp_path) as web:
        web.write(line("13:21:00", "ERROR", "huge " + "x" * 300_000) + "\tat a.b\n" * 30_000)
        client = web.client()
        page = client.get("/events?text=huge").text
        assert len(page) < 400_000
        assert "more lines" in page
        raw = next(link for link in Checked(page).links if "/raw/" in link)
        assert len(client.get(raw).text) < 400_000
