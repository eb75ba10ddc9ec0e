"""Weeks and months: the same numbers as their days, what they are compared with, and what a report costs."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from logagg.clock import StepClock
from logagg.record import Bucket, BucketKey
from logagg.report.build import build_report
from logagg.report.complete import incomplete_because
from logagg.report.data import report_data
from logagg.report.expected import expectations
from logagg.report.page import page
from logagg.report.period import Period, days, period
from logagg.report.words import heading
from logagg.store.memory import MemoryStore
from tests.report_days import PACK, RULES, ZONE, Sketcher, counter, day
from tests.rolled import Rolled

NOVEMBER = period("monthly", date(2026, 11, 1), ZONE)
WEEK = period("weekly", date(2026, 11, 20), ZONE)


def daily(rolled: Rolled, this: Period, n: int = 1) -> None:
    """`n` calls, das calls and failures at noon of each day of the period."""
    for one in days(this):
        noon = one.from_us // 60_000_000 + 720
        for metric in ("calls", "das_calls", "das_failures", "payments_ok"):
            rolled.count(metric, noon, n, host="app01")
        rolled.values("das_time", noon, [80 * one.date.day] * n, operation="get")
        rolled.count("records", noon, 10, app="xivr", host="app01", level="INFO")


def data_of(store: MemoryStore, this: Period, **options: Any) -> dict[str, Any]:
    return report_data(store, "operations", this, PACK.metrics, Path("/demo"), incomplete_because(store, this),
                       PACK.sections, **options)


def total(data: dict[str, Any], metric: str) -> dict[str, Any]:
    [row] = [row for row in data["metrics"] if row["metric"] == metric and not row["labels"]]
    return row


@pytest.mark.parametrize("this", [WEEK, NOVEMBER, period("weekly", date(2026, 11, 1), ZONE)])
def test_days_add_up(this: Period) -> None:
    """A week's and a month's numbers are those of all its local days, of 25 hours too, and nothing of their
    neighbours; each day has its line, with its own percentile."""
    rolled = Rolled(ZONE)
    daily(rolled, period("monthly", date(2026, 10, 1), ZONE))
    daily(rolled, NOVEMBER)
    data = data_of(rolled.store(), this)
    assert [line["date"] for line in data["days"]] == [one.date.isoformat() for one in days(this)]
    assert total(data, "calls")["value"] == sum(line["calls"] for line in data["days"]) == len(days(this))
    assert [line["p95_ms"]["das"] for line in data["days"]] == [80 * one.date.day for one in days(this)]
    assert sum(line["outcomes"]["payments"]["ok"] for line in data["days"]) == len(days(this))
    assert (data["hours"], data["from"], data["to"][:10]) == ([], data["days"][0]["from"], data["days"][-1]["to"][:10])
    assert "week_before" not in total(data, "calls") and "week_before" not in data["backends"][0]


def test_a_day_stands_beside_that_of_a_week_before() -> None:
    """A daily report has the day before and the same weekday a week before; labels of that day alone get no row."""
    this, rolled = day("2026-11-20"), Rolled(ZONE)
    for back, n in ((0, 30), (1, 20), (7, 10), (8, 5)):
        noon = this.from_us // 60_000_000 + 720 - back * 1440
        rolled.count("calls", noon, n, host="app01")
        rolled.count("calls", noon, 1, host=f"gone{back}")
    data = data_of(rolled.store(), this)
    row = total(data, "calls")
    assert (row["value"], row["previous"]["value"], row["week_before"]["value"]) == (31, 21, 11)
    hosts = [row["labels"].get("host") for row in data["metrics"] if row["metric"] == "calls"]
    assert hosts == ["app01", "gone0", "gone1", None]


def test_a_period_that_began_before_the_logs_is_no_measure() -> None:
    """Where clearly fewer days of the period before are known, no change is judged, and the page says so."""
    rolled = Rolled(ZONE)
    daily(rolled, WEEK, 100)
    for n in range(2):
        rolled.count("records", WEEK.from_us // 60_000_000 - 700 - 1440 * n, app="xivr", host="app01", level="INFO")
        rolled.count("das_failures", WEEK.from_us // 60_000_000 - 700 - 1440 * n, 1, host="app01")
    data = data_of(rolled.store(), WEEK) | {"revision": 1, "built_at": "2026-11-23T00:00:00Z"}
    assert data["days_seen"] == {"this": 7, "this_days": 7, "previous": 2, "previous_days": 7, "comparable": False}
    assert data["changes"] == []
    shown = page(data, PACK.sections, PACK.figures, {})
    assert shown.unlike == "Records of 2 of 7 days of the week before are known"
    tables = [table for section in shown.sections for table in section.tables if hasattr(table, "rows")]
    cells = [cell for table in tables for row in table.rows for cell in row if cell.change]
    assert cells and {cell.change.tone for cell in cells} == {""}


@pytest.mark.parametrize(("kind", "first", "said"), [
    ("daily", "2026-11-20", "Friday, 20 November 2026"),
    ("weekly", "2026-11-16", "Week 47 of 2026, 16 to 22 November"),
    ("weekly", "2026-12-28", "Week 53 of 2026, 28 December to 3 January"),
    ("monthly", "2026-11-01", "November 2026"),
])
def test_headings(kind: str, first: str, said: str) -> None:
    """A page names its period as people do; weeks by ISO 8601."""
    assert heading(kind, date.fromisoformat(first)) == said


@pytest.mark.parametrize(("kind", "folder", "words"), [
    ("weekly", "2026-11-16", ("Weekly report", "This week", "Week before", "By day")),
    ("monthly", "2026-11-01", ("Monthly report", "This month", "Month before", "By day")),
])
def test_a_page_of_its_own(tmp_path: Path, kind: str, folder: str, words: tuple[str, ...]) -> None:
    """A week's and a month's report lie below the date of their first day, and speak of weeks and months."""
    rolled = Rolled(ZONE)
    daily(rolled, NOVEMBER)
    built = build_report(rolled.store(), name="operations", period=kind, date=date(2026, 11, 20), timezone=ZONE,
                         packs=[PACK], metrics=[], out=tmp_path, base=tmp_path, clock=StepClock(0), artist=Sketcher())
    assert built.path_html == tmp_path / "operations" / kind / folder / "r1" / "index.html"
    text = built.path_html.read_text()
    assert all(word in text for word in words)
    assert "day before" not in text.lower() and "This day" not in text
    assert (built.path_html.parent / "chart-traffic.svg").is_file()


class CountedStore(MemoryStore):
    """Counts what a report reads: calls by method, and label rows of buckets."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def buckets(self, step: str, zone: str, start: int, end: int, *,
                metric: str | None = None) -> Iterator[tuple[BucketKey, Bucket]]:
        self.counted["buckets"] += 1
        for key, bucket in super().buckets(step, zone, start, end, metric=metric):
            self.counted["rows"] += len(bucket.rows)
            self.counted["bytes"] += sum(map(len, bucket.rows.values()))
            yield key, bucket

    def events(self, **options: Any) -> Any:
        raise AssertionError("a report reads no event")

    def chunks(self, **options: Any) -> Any:
        raise AssertionError("a report reads no chunk")

    def partials(self, minutes: Any) -> Any:
        raise AssertionError("a report reads no partial")


def cost_of_a_month(n: int) -> Counter[str]:
    """What a monthly report reads where every hour has `n` calls of each kind, whose times are all different."""
    rolled, wanted = Rolled(ZONE), expectations(RULES, PACK.metrics)
    for one in days(NOVEMBER):
        for minute in range(one.from_us // 60_000_000, one.to_us // 60_000_000, 360):
            for metric in ("calls", "das_calls", "payments_ok", "payments_failed"):
                rolled.count(metric, minute, n, host="app01")
            rolled.values("das_time", minute, [20 + (i * 7919) % 100_000 for i in range(n)], operation="get")
            rolled.count("records", minute, 3 * n, app="xivr", host="app01", level="INFO")
    plain, store = rolled.store(), CountedStore()
    store.__dict__ |= {key: value for key, value in plain.__dict__.items() if key != "counted"}
    report_data(store, "operations", NOVEMBER, PACK.metrics, Path("/demo"), [], PACK.sections, wanted)
    return store.counted


def test_a_month_costs_the_same_however_many_events_it_had() -> None:
    """A hundred times the events: the same reads and rows; the rows themselves are bounded, since sketches are."""
    few, many = cost_of_a_month(40), cost_of_a_month(4000)
    assert few["rows"] > 500
    assert (many["buckets"], many["rows"]) == (few["buckets"], few["rows"])
    assert many["bytes"] < 20 * few["bytes"]


def test_drawn_once(tmp_path: Path) -> None:
    """Built again, charts that say the same come from the last revision; one that somebody spoilt is drawn anew."""
    rolled, artist = Rolled(ZONE), Sketcher()
    daily(rolled, WEEK)
    options: dict[str, Any] = {
        "name": "operations", "period": "weekly", "date": WEEK.first, "timezone": ZONE, "packs": [PACK],
        "metrics": [counter("own")], "out": tmp_path, "base": tmp_path, "clock": StepClock(0), "artist": artist}
    place = build_report(rolled.store(), **options).path_html.parent
    page_text = (place / "index.html").read_bytes()
    assert len(artist.drew) == 3
    build_report(rolled.store(), **options)
    assert len(artist.drew) == 3 and (place / "index.html").read_bytes() == page_text
    for spoilt in ("<svg", "", '<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>x'):
        drew = len(artist.drew)
        (place / "chart-times.svg").write_text(spoilt)
        build_report(rolled.store(), **options)
        assert len(artist.drew) == drew + 3
        assert (place / "index.html").read_bytes() == page_text
    assert json.loads((place / "chart-times.json").read_bytes())["$schema"].startswith("https://vega.github.io/")
