"""The page: whole, self-contained, safe against hostile text, and every number as people read it."""

import base64
import hashlib
import json
import re
from collections.abc import Collection
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from logagg.clock import StepClock
from logagg.packs import load_packs
from logagg.report.build import BuiltReport, build_report, stored_pictures
from logagg.report.chart import charts
from logagg.report.draw import Drawn
from logagg.report.mail import built_mail
from logagg.report.numbers import change, duration, number, percent, size, worse_when
from logagg.report.page import page
from logagg.report.render import render
from logagg.report.tables import title
from logagg.visible import visible
from tests.conftest import ROOT
from tests.report_days import PACK, RULES, ZONE, Sketcher, counter, day, eventful, two_days
from tests.rolled import Rolled

GOLDEN = ROOT / "tests" / "golden" / "report"
DAY = day("2026-11-01")     # 25 hours


def golden_report(out: Path, kind: str = "daily") -> BuiltReport:
    """The report that the golden files hold; `scripts/golden.py --write` writes them."""
    return build_report(eventful(DAY).store(), name="operations", period=kind, date=DAY.first, timezone=ZONE,
                        packs=[PACK], metrics=[], out=out, base=Path("/demo"), clock=StepClock(DAY.to_us),
                        rules=RULES, artist=Sketcher())


def golden_files(out: Path) -> dict[str, bytes]:
    """Every golden file as it is made now: a day of 25 hours, its week, and the day's mail."""
    found = {}
    for kind in ("daily", "weekly"):
        report = golden_report(out, kind)
        found |= {f"{kind}.json": report.path_json.read_bytes(), f"{kind}.html": report.path_html.read_bytes()}
        if kind == "daily":
            subject, text, html, _ = built_mail(report.path_html.parent, [PACK], "https://logs.example.com")
            found |= {"mail.txt": f"{subject}\n\n{text}".encode(), "mail.html": html.encode()}
    return found


def built(tmp_path: Path, rolled: Rolled, metrics: Any = ()) -> str:
    report = build_report(rolled.store(), name="operations", period="daily", date=DAY.first, timezone=ZONE,
                          packs=[PACK], metrics=metrics, out=tmp_path, base=Path("/demo"),
                          clock=StepClock(DAY.to_us), artist=Sketcher())
    return report.path_html.read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Every element with its attributes, and whether what was opened is closed in order."""

    def __init__(self, text: str, void: Collection[str] = ("meta", "br")) -> None:
        super().__init__()
        self._void = void
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self._void:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


@pytest.mark.parametrize("name", ["daily.json", "daily.html", "weekly.json", "weekly.html", "mail.txt", "mail.html"])
def test_golden(tmp_path: Path, name: str) -> None:
    """These rollups give these bytes: numbers, pages and mail (scripts/golden.py --write after a wanted change)."""
    assert golden_files(tmp_path)[name].decode() == (GOLDEN / name).read_text("utf-8")


def test_self_contained(tmp_path: Path) -> None:
    """The page runs no script, loads nothing, links only within itself and to data.json, and its policy says so."""
    text = built(tmp_path, two_days(DAY))
    elements = Elements(text)
    assert {tag for tag, _ in elements.found}.isdisjoint({"script", "link", "img", "iframe", "object", "form", "base"})
    hrefs = {attrs["href"] for attrs in elements.all("a")}
    assert all(href == "data.json" or (href or "").startswith("#") for href in hrefs)
    ids = [attrs["id"] for _, attrs in elements.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {(href or "")[1:] for href in hrefs if href != "data.json"} <= set(ids)
    assert not any(name == "style" or name.startswith("on") for _, attrs in elements.found for name in attrs)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    [policy] = [attrs["content"] for attrs in elements.all("meta") if "http-equiv" in attrs]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in style[1] and "@import" not in style[1]


def test_accessible_tables(tmp_path: Path) -> None:
    """Each table has a caption, each column a header with its scope, and each row one of its own."""
    elements = Elements(built(tmp_path, two_days(DAY)))
    assert len(elements.all("table")) == len(elements.all("caption")) >= 10
    assert {attrs.get("scope") for attrs in elements.all("th")} == {"col", "row"}
    assert elements.all("html") == [{"lang": "en"}]


def test_hostile_text(tmp_path: Path) -> None:
    """Markup in a label stays text, and what would reorder or hide text is shown as a mark."""
    rolled = two_days(DAY)
    rolled.stream("x\u202ey", "<img src=x onerror=alert(1)>", "/demo/a\nb\".log", 10)
    text = built(tmp_path, rolled)
    Elements(text)
    assert "&lt;/script&gt;&lt;b&gt;⟨U+202E⟩gnp.exe⟨U+0007⟩⟨U+200B⟩ &amp; &#34;quoted&#34;" in text
    assert "x⟨U+202E⟩y on &lt;img src=x onerror=alert(1)&gt; was never read" in text
    assert "a⟨U+000A⟩b&#34;.log" in text
    assert not re.search("[\u202e\u0007\u200b]", text)


def test_every_metric_is_on_the_page(tmp_path: Path) -> None:
    """A metric that no section names stands under "Other metrics", the user's own too; a section without any is left
    out."""
    text = built(tmp_path, two_days(DAY), [counter("own_thing", help="Of one's own.")])
    named = {"das_calls", "das_failures", "das_failure_rate", "das_time"}
    for metric in (*PACK.metrics, counter("own_thing")):
        assert metric.name in named or title(metric.name) in text
    other = text[text.index('id="other"'):text.index('id="quality"')]
    assert "VIP starts" in other and "Own thing" in other and "Of one&#39;s own." in other
    assert "Of another installation" not in text
    assert "Backend services" in text


def test_a_page_without_data(tmp_path: Path) -> None:
    """A day without any record says "no data", never zero, and says why it is incomplete."""
    text = built(tmp_path, Rolled(ZONE))
    Elements(text)
    assert "Incomplete" in text and "no source has been read yet" in text
    assert '<div class="value">no data</div>' in text
    assert "No source wrote a record on this day." in text


def test_the_first_day(tmp_path: Path) -> None:
    """Without a day before nothing is compared."""
    rolled = Rolled(ZONE)
    rolled.count("calls", DAY.from_us // 60_000_000, 7, host="a")
    text = built(tmp_path, rolled)
    assert '<div class="value">7</div><div class="then">day before no data</div></li>' in text
    assert "▲" not in text.split("<footer>")[0]


def test_page_is_a_function_of_data(tmp_path: Path) -> None:
    """The page can be made again from data.json and the charts' files alone, to the byte."""
    report = golden_report(tmp_path)
    data = json.loads(report.path_json.read_text())
    helps = {metric.name: metric.help for metric in PACK.metrics}
    drawn = Drawn(stored_pictures(report.path_html.parent, charts(data)))
    assert len(drawn.pictures) == 3
    assert render(page(data, PACK.sections, PACK.figures, helps), drawn) == report.path_html.read_text()


@pytest.mark.parametrize(("shown", "expected"), [
    (number(1234567), "1,234,567"), (number(None), "no data"), (number(0), "0"), (number(0.5), "0.5"),
    (number(0.0342, "ratio"), "3.42 %"), (number(12, unit="kB"), "12 kB"), (number(1234.5, unit="ms"), "1.23 s"),
    (percent(0), "0.0 %"), (percent(1), "100.0 %"), (percent(0.09994), "9.99 %"), (percent(0.00001), "below 0.01 %"),
    (duration(0), "0 ms"), (duration(0.0835), "83.5 ms"), (duration(0.9999), "1.00 s"), (duration(29), "29.0 s"),
    (duration(59.99), "1 min 00 s"),
    (duration(184), "3 min 04 s"), (duration(3600), "1 h 00 min"), (duration(36_000_000), "10,000 h 00 min"),
    (size(999), "999 B"), (size(999_600), "1.00 MB"), (size(12_345), "12.3 kB"),
])
def test_numbers(shown: str, expected: str) -> None:
    """Numbers have thousands separators and units that suit their size."""
    assert shown == expected


@pytest.mark.parametrize(("now", "before", "kind", "worse", "expected"), [
    (120, 96, "counter", 0, ("▲", "+24 (+25.0 %)", "")),
    (431, 120, "counter", 1, ("▲", "+311 (+259 %)", "worse")),
    (0, 3, "counter", -1, ("▼", "−3 (−100 %)", "worse")),
    (3, 0, "counter", 1, ("▲", "+3", "worse")),
    (5, 4, "counter", 1, ("▲", "+1 (+25.0 %)", "")),             # chance
    (1050, 1000, "counter", 1, ("▲", "+50 (+5.0 %)", "")),       # small
    (120, 10, "counter", 1, ("▲", "+110 (×12)", "worse")),
    (0.01, 0.03, "ratio", 1, ("▼", "−2.00 points", "better")),
    (7, 7, "counter", 1, ("=", "no change", "")),
    (10_000, 9_999, "counter", 0, ("▲", "+1 (below 0.1 %)", "")),
])
def test_changes(now: float, before: float, kind: str, worse: int, expected: tuple[str, str, str]) -> None:
    """A change is told in full, and judged only where it is large and beyond chance."""
    found = change(now, before, kind, worse=worse)
    assert found is not None
    assert (found.arrow, found.text, found.tone) == expected


@pytest.mark.parametrize(("now", "before", "wholes", "tone"), [
    (0.0089, 0.0067, (1462, 1351), ""), (0.0286, 0.0129, (10972, 10458), "worse"), (0.0, 0.5, (100, 100), "better"),
    (1.0, 0.0, (1, 1), ""), (1.0, 1.0, (3, 3), ""),
])
def test_changes_of_rates(now: float, before: float, wholes: tuple[int, int], tone: str) -> None:
    """A rate of few calls is not called worse for what chance brings."""
    found = change(now, before, "ratio", worse=1, wholes=wholes)
    assert found is not None and found.tone == tone


def test_nothing_to_compare() -> None:
    """Without one of the two numbers there is no change."""
    assert change(1, None) is None and change(None, 1) is None


def test_which_change_is_worse() -> None:
    """The direction of bad news follows from the metric's name."""
    names = ["das_failures", "payments_failed", "low_memory_warnings", "payments_ok", "ftp_loads_done", "calls"]
    assert [worse_when(name) for name in names] == [1, 1, 1, -1, -1, 0]


@pytest.mark.parametrize(("text", "expected"), [
    ("plain Zoë שלום", "plain Zoë שלום"), ("a\tb", "a⟨U+0009⟩b"), ("\x1b[31m", "⟨U+001B⟩[31m"),
    ("\udc80", "⟨U+DC80⟩"), ("a\u2028b", "a⟨U+2028⟩b"), ("z" + "\u0301" * 9, "z⟨9 combining⟩"),
    ("é" * 1001, "é" * 999 + "…"),
])
def test_visible(text: str, expected: str) -> None:
    """Hidden characters become marks, stacked accents are counted, long texts are cut; other scripts stay."""
    assert visible(text) == expected


def test_the_call_centre_pack(tmp_path: Path) -> None:
    """Every metric of the call-centre pack has its place on the page, and none is left to "Other metrics"."""
    [pack] = load_packs(["callcenter"])
    report = build_report(two_days(DAY).store(), name="operations", period="daily", date=DAY.first, timezone=ZONE,
                          packs=[pack], metrics=[], out=tmp_path, base=Path("/demo"), clock=StepClock(DAY.to_us),
                          artist=Sketcher())
    text = report.path_html.read_text(encoding="utf-8")
    data = json.loads(report.path_json.read_text(encoding="utf-8"))
    assert [one["name"] for one in data["backends"]] == ["das", "esp", "mti", "appointment", "outage"]
    backend = re.compile("(?:das|esp|mti|appointment|outage)_(?:calls|failures|failure_rate|time)")
    for metric in pack.metrics:
        assert backend.fullmatch(metric.name) or f"<bdi>{title(metric.name)}" in text
    for name in ("DAS", "ESP", "MTI", "Appointment", "Outage"):
        assert f'<th scope="row"><bdi>{name}</bdi></th>' in text
    assert 'id="other"' not in text
