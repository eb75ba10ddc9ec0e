"""An independent recount of the demo's logs equals every number that logagg made of them."""

import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from logagg.api.app import create_app
from logagg.app import App
from logagg.config import load
from logagg.demo.logs import write_logs
from logagg.demo.settings import settings
from logagg.report.mail import built_mail
from tests.conftest import ROOT
from tests.service import logagg

UNTIL = "2026-11-21"


@pytest.fixture(scope="module")
def recount() -> ModuleType:
    """scripts/recount.py, as a module."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module("recount")
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recount") / "demo"
    logagg("demo", "--dir", folder, "--days", 2, "--until", UNTIL, "--no-serve")
    return folder


@pytest.fixture(scope="module")
def counted(recount: ModuleType, demo: Path) -> Any:
    return recount.Recount(demo)


def test_the_script_shares_no_code_with_logagg() -> None:
    """It imports the standard library and its own other parts only."""
    lines = [line for path in (ROOT / "scripts").glob("recount*.py") for line in path.read_text().splitlines()]
    modules = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert modules - {"recount_logs", "recount_reports"} <= set(sys.stdlib_module_names)


def test_every_number_is_the_recounted_one(recount: ModuleType, demo: Path, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    """Truth, each number of each report, each row of the rollups of every step, and every incident's window."""
    monkeypatch.setattr(sys, "argv", ["recount.py", str(demo)])
    status = recount.main()
    said = capsys.readouterr()
    assert status == 0, said.out + said.err
    for kind in ("truth", "reports: metrics", "reports: ledger", "rollups: minute", "rollups: month", "incidents"):
        assert kind in said.out


def changed_value(data: dict[str, Any]) -> None:
    data["metrics"][5]["value"] = (data["metrics"][5]["value"] or 0) + 1


def missing_row(data: dict[str, Any]) -> None:
    del data["metrics"][7]


def extra_row(data: dict[str, Any]) -> None:
    data["metrics"].append({**data["metrics"][-1], "labels": {"host": "zz"}})


def changed_p95(data: dict[str, Any]) -> None:
    row = next(row for row in data["metrics"] if row["metric"] == "das_time" and not row["labels"])
    assert row["count"] > 1000
    row["p95"] *= 1.025


def changed_previous(data: dict[str, Any]) -> None:
    data["backends"][0]["previous"]["calls"] += 1


def changed_level(data: dict[str, Any]) -> None:
    data["sources"][1]["levels"]["INFO"] -= 1


def changed_hour(data: dict[str, Any]) -> None:
    data["hours"][3]["backend_failures"] += 1


def changed_ledger(data: dict[str, Any]) -> None:
    data["ledger"][0]["committed"] -= 1


def changed_week_before(data: dict[str, Any]) -> None:
    data["backends"][1]["week_before"]["calls"] = 1


def changed_course(data: dict[str, Any]) -> None:
    data["hours"][12]["p95_ms"]["das"] *= 1.025


def changed_outcome(data: dict[str, Any]) -> None:
    data["hours"][12]["outcomes"]["payments"]["ok"] += 1


def changed_change(data: dict[str, Any]) -> None:
    data["changes"][0]["before"] += 0.001


def missing_start(data: dict[str, Any]) -> None:
    del data["timeline"][1]


def changed_due(data: dict[str, Any]) -> None:
    next(rule for rule in data["expected"] if "due" in rule)["days"][0]["at"] = "2026-11-20T11:00:00Z"


@pytest.mark.parametrize("change", [changed_value, missing_row, extra_row, changed_p95, changed_previous,
                                    changed_level, changed_hour, changed_ledger, changed_week_before, changed_course,
                                    changed_outcome, changed_change, missing_start, changed_due])
def test_a_changed_report_is_detected(recount: ModuleType, counted: Any, demo: Path, tmp_path: Path,
                                      change: Callable[[dict[str, Any]], None]) -> None:
    """One number changed, one row missing or one too many anywhere in data.json is found; unchanged, nothing is."""
    [path] = (demo / "reports" / "operations" / "daily" / "2026-11-20").glob("r*/data.json")
    data = json.loads(path.read_text())
    copy = tmp_path / "daily" / "2026-11-20" / "r1" / "data.json"
    copy.parent.mkdir(parents=True)
    for changed in (False, True):
        if changed:
            change(data)
        copy.write_text(json.dumps(data))
        check = recount.Comparison()
        recount.check_report(check, counted, copy)
        assert bool(check.different) == changed, check.first


def test_weeks_and_months(recount: ModuleType, counted: Any, demo: Path, tmp_path: Path) -> None:
    """Every number of the week's and the month's report is the recounted one, and one that is changed is found."""
    for period, first in (("weekly", "2026-11-16"), ("monthly", "2026-11-01")):
        logagg("report", "build", "--period", period, "--date", "2026-11-20", "--out", tmp_path,
               config=demo / "logagg.toml")
        path = tmp_path / "operations" / period / first / "r1" / "data.json"
        complete = json.loads(path.read_text())["complete"]
        for changed in (False, True):
            if changed:
                data = json.loads(path.read_text())
                next(line for line in data["days"] if line["calls"])["calls"] += 1
                path.write_text(json.dumps(data))
            check = recount.Comparison()
            recount.check_report(check, counted, path, complete=complete)
            assert sum(check.different.values()) == changed, check.first


def test_a_changed_rollup_is_detected(recount: ModuleType, counted: Any, demo: Path) -> None:
    """A row that is missing, doubled or counts one more is found, and so is an incident that does not show."""
    truth = json.loads((demo / "truth.json").read_text())
    rows = list(recount.exported(demo, truth, "hour"))
    one_more = [{**row, "count": row["count"] + 1} if number == 99 else row for number, row in enumerate(rows)]
    for broken, found in ((rows, False), (rows[1:], True), ([*rows, rows[0]], True), (one_more, True)):
        check = recount.Comparison()
        recount.check_rollups(check, counted, "hour", broken)
        assert bool(check.different) == found, check.first
    check = recount.Comparison()
    seen = recount.check_rollups(check, counted, "hour", (row for row in rows if row["metric"] != "das_failures"))
    recount.check_incidents(check, truth, "hour", seen)
    assert check.different["incidents"] == 2


def test_a_changed_line_is_detected(recount: ModuleType, demo: Path, tmp_path: Path) -> None:
    """A line that is gone from the logs makes them differ from the truth."""
    shutil.copytree(demo / "logs", tmp_path / "logs")
    shutil.copy(demo / "logagg.toml", tmp_path)
    path = tmp_path / "logs" / "vip01" / "vip.log"
    path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(True) if b"server starting" not in line))
    check = recount.Comparison()
    recount.check_truth(check, recount.Recount(tmp_path), json.loads((demo / "truth.json").read_text()))
    assert check.different["truth"] > 0


def test_the_hour_that_comes_twice(recount: ModuleType, tmp_path: Path) -> None:
    """Truth and recount agree on the days around the end of daylight saving time, by local day."""
    truth = write_logs(tmp_path, days=3, seed=3, until=date(2026, 11, 3))
    (tmp_path / "logagg.toml").write_text(settings())
    check, counted = recount.Comparison(), recount.Recount(tmp_path)
    recount.check_truth(check, counted, truth)
    assert check.different == {}, check.first
    start, end = (sys.modules["recount_logs"].first_minute(date(2026, 11, day)) for day in (1, 2))
    assert end - start == 25 * 60
    minutes = {minute for rows in counted.values["records"].values() for minute in rows if start <= minute < end}
    assert len(minutes) > 24 * 60


@pytest.fixture(scope="module")
def last_day(demo: Path) -> Path:
    """The folder of the last day's report, whose data.json equals the recount (tested above)."""
    return max((demo / "reports" / "operations" / "daily").glob("*/r*/data.json")).parent


def test_rest_gives_the_same_numbers(demo: Path, last_day: Path) -> None:
    """Every metric of data.json, asked for over REST."""
    data = json.loads((last_day / "data.json").read_text())
    stats = {"counter": {"count": "count", "sum": "value"}, "ratio": {"rate": "value"},
             "distribution": {name: name for name in ("count", "sum", "min", "max", "median", "p95", "p99")}}
    compared = 0
    with App(load(demo / "logagg.toml"), read_only=True) as app:
        client = TestClient(create_app(app.config, app.store, app.metrics), base_url="http://127.0.0.1:8470")
        for row in data["metrics"]:
            asked = {"metric": row["metric"], "date": data["date"], "timezone": data["timezone"],
                     "label": [f"{name}={value}" for name, value in row["labels"].items()]}
            for stat, key in stats[row["kind"]].items():
                answer = client.get("/api/v1/query", params=asked | {"stat": stat})
                assert answer.status_code == 200, answer.text
                if row["count"]:
                    assert answer.json()["value"] == pytest.approx(row[key], abs=1e-6), (row, stat)
                    compared += 1
    assert compared > 100


def test_page_and_mail_give_the_same_numbers(demo: Path, last_day: Path) -> None:
    """Each backend's calls and failures, and the figures at the top, as data.json has them."""
    data = json.loads((last_day / "data.json").read_text())
    page = (last_day / "index.html").read_text()
    config = load(demo / "logagg.toml")
    _, text, html, _ = built_mail(last_day, [config.packs["callcenter"]])
    for backend in data["backends"]:
        row = page[page.index(f"<bdi>{backend['name'].upper()}</bdi>" if len(backend["name"]) < 4 else
                              f"<bdi>{backend['name'].capitalize()}</bdi>"):]
        found = re.findall("<td[^>]*>(.*?)</td>", row)[:2]
        cells = [re.sub("<[^>]*>", "", cell.partition("<span")[0]) for cell in found]
        assert cells == [f"{backend['calls']:,}", f"{backend['failures']:,}"], backend
    wholes = {row["metric"]: row for row in data["metrics"] if not row["labels"]}
    for metric, title in (("calls", "Calls"), ("payments_ok", "Payments ok"), ("outbound_calls", "Outbound calls")):
        number = f"{wholes[metric]['count']:,}"
        assert re.search(rf"^{title} +{re.escape(number)}\b", text, re.MULTILINE), (title, number)
        for form in (page, html):
            plain = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", form))
            assert f"{title} {number} " in plain, (title, number)
