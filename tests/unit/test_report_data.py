"""data.json: what the rollups of a day and of the day before say, when a day is complete, and revisions."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from logagg.clock import StepClock
from logagg.errors import LogaggError, UsageError
from logagg.interfaces import Store
from logagg.record import Chunk, Mark, Partial, Stream
from logagg.report.build import BuiltReport, build_report
from logagg.report.complete import incomplete_because
from logagg.report.data import report_data, shown_path
from logagg.report.period import Period
from logagg.rollup.fold import Folder
from logagg.rollup.metric import Metric, MetricSet
from logagg.rollup.partial import labels_json
from logagg.rollup.query import is_complete
from logagg.store.memory import MemoryStore
from tests.report_days import PACK, ZONE, Sketcher, counter, day, two_days
from tests.rolled import Rolled

DAY = day("2026-11-20")
BASE = Path("/demo")


def data_of(store: Store, this: Period = DAY, metrics: Sequence[Metric] = PACK.metrics) -> dict[str, Any]:
    return report_data(store, "operations", this, metrics, BASE, incomplete_because(store, this))


def row(data: dict[str, Any], metric: str, **labels: str) -> dict[str, Any]:
    [found] = [row for row in data["metrics"] if row["metric"] == metric and row["labels"] == labels]
    return found


def build(store: Store, out: Path, clock: StepClock | None = None, **changes: Any) -> BuiltReport:
    options = {"name": "operations", "period": "daily", "date": DAY.first, "timezone": ZONE, "packs": [PACK],
               "metrics": [], "out": out, "base": BASE, "clock": clock or StepClock(DAY.to_us),
               "artist": Sketcher(), **changes}
    return build_report(store, **options)


def test_rows_of_each_kind() -> None:
    """Counters, distributions and ratios have their numbers over all labels and per label set, and the day before's."""
    data = data_of(two_days(DAY).store())
    calls = row(data, "calls", host="app01")
    assert (calls["value"], calls["count"], calls["sum"], calls["median"]) == (120, 120, 120, None)
    assert calls["previous"]["value"] == 96
    time = row(data, "das_time")
    assert (time["count"], time["min"], time["median"], time["max"], time["value"]) == (72, 80, 95, 550, None)
    assert time["previous"]["p95"] == 440
    rate = row(data, "payment_failure_rate", host="app01")
    assert (rate["count"], rate["sum"], rate["value"]) == (105, 5, 0.047619)
    assert row(data, "das_failure_rate", host="app01", operation="getAccount")["value"] == round(40 / 360, 6)
    keys = [(one["metric"], labels_json(one["labels"])) for one in data["metrics"]]
    assert keys == sorted(set(keys))


def test_labels_of_the_day_before_only() -> None:
    """What occurred the day before and no more has a row of zero: that something ended must be seen."""
    ended = row(data_of(two_days(DAY).store()), "das_failures", host="app01", operation="getAccount", code="REFUSED")
    assert (ended["value"], ended["previous"]["value"]) == (0, 2)


def test_backends_hours_and_sources() -> None:
    """Backends are found by their metrics' names; hours and sources add up to the day."""
    data = data_of(two_days(DAY).store())
    [das] = data["backends"]
    assert das == {
        "name": "das", "calls": 360, "failures": 40, "failure_rate": 0.111111, "median_ms": 95, "p95_ms": 550,
        "previous": {"calls": 288, "failures": 2, "failure_rate": 0.006944, "median_ms": 95, "p95_ms": 440},
        "week_before": {"calls": None, "failures": None, "failure_rate": None, "median_ms": None, "p95_ms": None}}
    assert [hour["hour"] for hour in data["hours"]] == list(range(24))
    assert {hour["hour"]: hour["backend_failures"] for hour in data["hours"] if hour["backend_failures"]} == {10: 40}
    assert sum(hour["calls"] for hour in data["hours"]) == 120
    assert data["sources"] == [
        {"host": "app01", "app": "xivr", "records": 725, "rejects": 0, "levels": {"INFO": 720, "ERROR": 5}},
        {"host": "mpp01", "app": "mpp", "records": 1, "rejects": 2, "levels": {"WARN": 1}}]


@pytest.mark.parametrize(("text", "zone", "hours", "step"), [
    ("2026-11-01", "America/New_York", 25, 60),
    ("2026-03-08", "America/New_York", 23, 60),
    ("2026-11-20", "Asia/Kolkata", 24, 60),
    ("2026-04-05", "Australia/Lord_Howe", 25, 30),
])
def test_days_of_other_lengths(text: str, zone: str, hours: int, step: int) -> None:
    """A day of 23 or 25 hours, or off the hours of UTC, loses and doubles nothing: one call a quarter-hour adds up."""
    this = day(text, zone)
    rolled = Rolled(zone)
    for minute in range(this.from_us // 60_000_000 - 60, this.to_us // 60_000_000 + 60, 15):
        rolled.count("calls", minute, host="a")
    data = data_of(rolled.store(), this)
    quarters = (this.to_us - this.from_us) // 900_000_000
    assert len(data["hours"]) == hours
    assert row(data, "calls")["value"] == sum(hour["calls"] for hour in data["hours"]) == quarters
    assert min(hour["calls"] for hour in data["hours"]) == step // 15


def test_a_day_without_data() -> None:
    """Nothing seen is not zero: all values are null, counts are 0, and the day is incomplete with its reason."""
    data = data_of(Rolled(ZONE).store())
    assert {(one["value"], one["count"], one["previous"]["value"]) for one in data["metrics"]} == {(None, 0, None)}
    assert data["backends"][0]["calls"] is None
    assert {hour["calls"] for hour in data["hours"]} == {None}
    assert (data["complete"], data["incomplete_because"]) == (False, ["no source has been read yet"])


def test_no_day_before() -> None:
    """On the first day there is nothing to compare with: the day's zeros are zeros, those of the day before null."""
    rolled = Rolled(ZONE)
    rolled.count("calls", DAY.from_us // 60_000_000, 7, host="a")
    data = data_of(rolled.store())
    assert (row(data, "calls")["value"], row(data, "calls")["previous"]["value"]) == (7, None)
    assert (row(data, "vip_starts")["value"], row(data, "vip_starts")["previous"]["value"]) == (0, None)


def test_why_incomplete() -> None:
    """Each source that was not read to its end after the period is named, and so is what is not folded."""
    rolled = two_days(DAY)
    rolled.stream("dialer", "d1", "/d.log", 10)
    rolled.stream("vip", "v1", "/v.log", 10, read_us=DAY.to_us - 1_000_000)
    store = rolled.store()
    assert incomplete_because(store, DAY) == [
        "dialer on d1 was never read to the end of its files",
        "vip on v1 was last read to its end at 2026-11-21T04:59:59Z"]
    assert not is_complete(store, DAY.from_us // 60_000_000, DAY.to_us // 60_000_000)


def test_unfolded_and_unknown_zone() -> None:
    """A day is incomplete while what was read of it is not in the rollups, or its zone's days are not."""
    store = two_days(DAY).store()
    assert incomplete_because(store, DAY) == []
    store.unfolded = lambda limit: [Mark("s", 0, 1, (DAY.from_us // 60_000_000,))]     # type: ignore[method-assign]
    assert incomplete_because(store, DAY) == ["some of what was read is not in the rollups yet"]
    store.unfolded = lambda limit: [Mark("s", 0, 1, (DAY.to_us // 60_000_000,))]       # type: ignore[method-assign]
    assert incomplete_because(store, DAY) == []
    assert "days in the zone Asia/Tokyo are not in the rollups yet" in incomplete_because(store, day("2026-11-20",
                                                                                                    "Asia/Tokyo"))


def test_paths_in_the_ledger() -> None:
    """Paths below the configuration's folder are told relative to it, others whole."""
    ledger = data_of(two_days(DAY).store())["ledger"]
    assert [one["path"] for one in ledger] == ["/var/log/mpp.log", "logs/app01/xivr.log"]
    assert ledger[0] == {"host": "mpp01", "app": "mpp", "path": "/var/log/mpp.log", "committed": 99, "rejects": 2,
                         "rejected_bytes": 34, "dropped": {"rotated_away": 1200}}
    assert shown_path("/demonic/x.log", BASE) == "/demonic/x.log"


def test_built_again_it_is_the_same_revision(tmp_path: Path) -> None:
    """The same numbers keep the revision; only the time of building differs, byte for byte."""
    first = build(two_days(DAY).store(), tmp_path)
    before = first.path_json.read_bytes()
    again = build(two_days(DAY).store(), tmp_path, StepClock(DAY.to_us + 60_000_000))
    assert (first.revision, first.changed, again.revision, again.changed) == (1, True, 1, False)
    assert again.path_json == tmp_path / "operations" / "daily" / "2026-11-20" / "r1" / "data.json"
    after = again.path_json.read_bytes()
    assert before != after
    built_at = b'"built_at": "2026-11-21T05:0%d:00Z"'
    assert before.replace(built_at % 0, built_at % 1) == after


def test_late_data_makes_a_revision(tmp_path: Path) -> None:
    """Other numbers make the next revision, and the old one stays as it was."""
    first = build(two_days(DAY).store(), tmp_path)
    kept = first.path_json.read_bytes(), first.path_html.read_bytes()
    second = build(two_days(DAY, failing=41).store(), tmp_path)
    assert (second.revision, second.changed) == (2, True)
    assert json.loads(second.path_json.read_text())["revision"] == 2
    assert (first.path_json.read_bytes(), first.path_html.read_bytes()) == kept
    assert sorted(path.name for path in first.path_json.parent.parent.iterdir()) == ["r1", "r2"]


def test_a_grown_ledger_makes_no_revision(tmp_path: Path) -> None:
    """Reading on the day after lengthens the ledger; it says nothing new of the day, so the revision stays."""
    build(two_days(DAY).store(), tmp_path)
    rolled = two_days(DAY)
    rolled.stream("xivr", "app01", "/demo/logs/app01/xivr.log.1", 5)
    again = build(rolled.store(), tmp_path)
    assert again.revision == 1
    assert len(json.loads(again.path_json.read_text())["ledger"]) == 3


def test_a_broken_revision_is_kept(tmp_path: Path) -> None:
    """A revision whose data cannot be read is left alone and the next one is written."""
    first = build(two_days(DAY).store(), tmp_path)
    first.path_json.write_bytes(b"{\"half\": ")
    assert build(two_days(DAY).store(), tmp_path).revision == 2
    assert first.path_json.read_bytes() == b"{\"half\": "


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a\\b", "/abs", "x\n", "a" * 101, "\u202ex", "-x"])
def test_hostile_names_are_refused(tmp_path: Path, name: str) -> None:
    """A report's name cannot lead out of the folder of reports, whoever calls."""
    with pytest.raises(UsageError, match="it becomes a folder's name"):
        build(two_days(DAY).store(), tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A file where the folder should be is told with the way out, not as a stack trace."""
    (tmp_path / "out").write_text("")
    with pytest.raises(LogaggError, match=r"cannot write the report in .*; choose another folder with --out"):
        build(two_days(DAY).store(), tmp_path / "out")


def test_unknown_periods_are_refused(tmp_path: Path) -> None:
    """A kind of period that there is not is refused with those that there are."""
    with pytest.raises(UsageError, match="no period 'hourly': expected one of daily, weekly, monthly"):
        build(two_days(DAY).store(), tmp_path, period="hourly", date=date(2026, 11, 20))


def test_metrics_of_packs_and_of_the_user(tmp_path: Path) -> None:
    """The user's own metrics are shown beside the packs', each once, and the built-in ones stay under data quality."""
    built = build(two_days(DAY).store(), tmp_path, metrics=[counter("own", "host"), counter("calls", "host"),
                                                            counter("records", "host")])
    names = [one["metric"] for one in json.loads(built.path_json.read_text())["metrics"] if not one["labels"]]
    assert sorted([*(metric.name for metric in PACK.metrics), "own"]) == names


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC"])
def test_from_what_the_fold_writes(zone: str) -> None:
    """Chunks that the real fold rolls up give the day's numbers, hour by hour, in the report's zone and no other's."""
    this = day("2026-11-01", zone)
    minutes = range(this.from_us // 60_000_000 - 60, this.to_us // 60_000_000 + 60, 30)
    data = json.dumps({"calls": {labels_json({"host": "a"}): 1}}, separators=(",", ":")).encode()
    chunk = Chunk("s", 0, 9, b"raw", partials=tuple(Partial(minute, data) for minute in minutes))
    store = MemoryStore()
    store.commit([(Stream("s", "a", "xivr", "/x.log", "first", end=9, resume=9), [chunk])])
    Folder(store, MetricSet(PACK.metrics), [zone]).fold_all()
    store.put_document("observation", "xivr@a", 0, {"at_us": this.to_us, "paths": 1})
    found = data_of(store, this)
    halves = (this.to_us - this.from_us) // 1_800_000_000
    assert found["complete"]
    assert row(found, "calls")["value"] == sum(hour["calls"] for hour in found["hours"]) == halves
    assert row(found, "calls")["previous"]["value"] == 2
