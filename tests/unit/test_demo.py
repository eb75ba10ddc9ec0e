"""The demo's logs: deterministic, known down to the last event, and safe about what it replaces."""

import hashlib
import json
import random
import re
import subprocess
import sys
import tomllib
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from logagg.clock import StepClock
from logagg.demo import folder as demo_folder
from logagg.demo.alone import alone
from logagg.demo.calls import CallDay
from logagg.demo.days import ZONE, Day, demo_days
from logagg.demo.files import WRITERS
from logagg.demo.incidents import plan
from logagg.demo.live import LiveLogs
from logagg.demo.logs import write_logs
from logagg.demo.settings import settings
from logagg.errors import UsageError

UNTIL = date(2026, 11, 22)


def fingerprints(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def one_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one-day")
    write_logs(folder, days=1, seed=7, until=UNTIL)
    return folder


@pytest.fixture(scope="module")
def truth(one_day: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((one_day / "truth.json").read_text())
    return loaded


def test_same_seed_writes_the_same_bytes(one_day: Path, tmp_path: Path) -> None:
    """Logs and truth depend on the seed, the days and the date alone; another seed gives others."""
    write_logs(tmp_path / "again", days=1, seed=7, until=UNTIL)
    write_logs(tmp_path / "other", days=1, seed=8, until=UNTIL)
    assert fingerprints(tmp_path / "again") == fingerprints(one_day)
    assert fingerprints(tmp_path / "other") != fingerprints(one_day)


@pytest.mark.parametrize("host", ["ivr-app01", "ivr-app02"])
def test_a_day_is_the_same_in_a_longer_demo(host: str) -> None:
    """A day's calls do not depend on how many days come before it, as long as the same things go wrong in it."""
    last = Day(date(2026, 11, 21))
    three, nine = (CallDay(7, last, host, plan(demo_days(UNTIL, days)), last=True) for days in (3, 9))
    assert three.xivr == nine.xivr
    assert three.mpp == nine.mpp


def test_truth_counts_the_lines(one_day: Path, truth: dict[str, Any]) -> None:
    """The truth's totals are what plain text search finds in the files."""
    text = "".join(path.read_text("utf-8", "replace") for path in (one_day / "logs").rglob("*.log*"))
    lines = Counter()
    for event, pattern in {
        "call_begin": r" - Callflow begin: ", "call_end": r" - Callflow end: ",
        "payment_ok": r" - Payment accepted for ",
        "das_call": r" - DAS call \w+ completed in \d+ ms rc=0(?: callId=\S+)?$", "das_failure": r" - DAS .*failed ",
        "vip_stop": r"VIP server stopping", "low_memory": r"Virtual memory low", "ftp_load_start": r"FTP load started",
    }.items():
        lines[event] = len(re.findall(pattern, text, re.MULTILINE))
        assert lines[event] == truth["totals"][event], event
    assert truth["by_day"] == {"2026-11-21": truth["totals"]}


def test_some_lines_are_no_records(one_day: Path, truth: dict[str, Any]) -> None:
    """Banners before the first record and a record above 1 MiB become rejects, which the truth counts apart."""
    assert {source: n for source, n in truth["rejects"].items() if n} == {
        "machine@mon01": 1, "vip@vip01": 3, "xivr@ivr-app01": 1, "xivr@ivr-app02": 3}
    assert (one_day / "logs" / "vip01" / "vip.log").read_bytes().startswith(b"Picked up JAVA_TOOL_OPTIONS")


def test_every_file_begins_with_another_line(one_day: Path) -> None:
    """A stream's identity rests on its first line: no two files of an app on a host share theirs."""
    first = Counter((path.parent, path.read_bytes().split(b"\n", 1)[0]) for path in (one_day / "logs").rglob("*.log*"))
    assert max(first.values()) == 1


def test_times_rise_in_every_file(one_day: Path) -> None:
    """Records are in order of time, so that the hour that comes twice can be told apart."""
    for path in (one_day / "logs").rglob("*.log*"):
        times = re.findall(rb"^\d[^,.]*\d[,.]\d{3} ", path.read_bytes(), re.MULTILINE)
        assert len(times) > 100
        assert times == sorted(times), path


def test_hostile_texts_are_in_the_logs(one_day: Path) -> None:
    """Markup, escapes, bidirectional controls, formulas, look-ups and stray bytes are there to cope with."""
    raw = b"".join(path.read_bytes() for path in (one_day / "logs").rglob("xivr.log*"))
    for text in ("<script>", "\x1b[2J", "\u202e", "=HYPERLINK(", "${jndi:", "\u2028", "\x85", "\U0001f4de"):
        assert text.encode() in raw, repr(text)
    assert b"M\xfcller" in raw


@pytest.mark.parametrize(("days", "outage_days"), [(1, 1), (2, 1), (3, 1), (6, 4), (7, 5), (8, 5), (30, 5)])
def test_outage_has_five_days_when_there_are_enough(days: int, outage_days: int) -> None:
    """The FTP outage lasts five days from seven days on, and ends before the last day where there are two."""
    planned = plan(demo_days(UNTIL, days))
    assert len(planned.outage_days) == outage_days
    [outage] = planned.active("ftp_outage", "dialer01")
    if days > 1:
        assert outage.to_ms == Day(date(2026, 11, 21)).at("06:05")


def test_incidents_show_in_the_truth(truth: dict[str, Any]) -> None:
    """Each incident's own counts show it: DAS fails above 10 %, payments stop while calls go on, and so on."""
    seen = {kind: Counter() for kind in {incident["kind"] for incident in truth["incidents"]}}
    for incident in truth["incidents"]:
        seen[incident["kind"]].update(incident["events"])
    das = seen["das_failure_burst"]
    assert 0.25 < das["das_failure"] / (das["das_call"] + das["das_failure"]) < 0.55
    assert seen["payments_stopped"]["call_begin"] > 100
    assert seen["payments_stopped"]["payment_ok"] == seen["payments_stopped"]["payment_failed"] == 0
    assert seen["vip_restart"] == {"vip_stop": 1, "vip_start": 1}
    assert seen["low_memory"]["low_memory"] >= 40
    assert seen["ftp_outage"]["ftp_load_failure"] == 3
    assert seen["ftp_outage"]["ftp_load_done"] == 0


def test_days_follow_the_local_clock() -> None:
    """The days on which clocks change have 23 and 25 hours, and calls are spread over exactly them."""
    for day, hours in ((date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 11, 2), 24)):
        found = Day(day)
        assert found.end_ms - found.start_ms == hours * 3_600_000
        times = found.arrivals(random.Random(1), 500)
        assert times == sorted(times)
        assert found.start_ms <= times[0] and times[-1] < found.end_ms


def test_settings_name_every_source() -> None:
    """The configuration has one source per app and host, each with its layout, zone and pack, and the daily report."""
    loaded = tomllib.loads(settings())
    assert [(s["host"], s["app"], s["layout"]) for s in loaded["source"]] == [
        (writer.host, writer.app, writer.layout) for writer in WRITERS
    ]
    assert {tuple(source["packs"]) for source in loaded["source"]} == {("callcenter",)}
    assert loaded["report"][0]["timezone"] == "America/New_York"


def test_a_folder_without_the_marker_is_left_alone(tmp_path: Path) -> None:
    """The demo refuses a folder that holds anything else, and says what to do."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine.log").write_text("mine")
    with pytest.raises(UsageError, match=r"not made by `logagg demo`.*--dir"):
        demo_folder.clear(tmp_path)
    assert (tmp_path / "logs" / "mine.log").read_text() == "mine"
    with pytest.raises(UsageError, match="--dir"):
        demo_folder.clear(tmp_path / "logs" / "mine.log")


def test_one_demo_at_a_time(tmp_path: Path) -> None:
    """While a demo works in its folder another process is refused; when it has ended, it may."""
    folder = tmp_path / "demo"
    argv = [sys.executable, "-m", "logagg", "demo", "--days", "1", "--no-serve", "--dir", str(folder)]
    with alone(folder):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "another demo is at work there; end it with Ctrl-C" in done.stderr
    assert [path.name for path in folder.iterdir()] == [demo_folder.MARKER]
    with alone(folder):
        pass


def test_only_what_a_demo_wrote_is_replaced(tmp_path: Path) -> None:
    """In a folder with the marker, the demo's own files go, a user's stay, and links are not followed."""
    folder, elsewhere = tmp_path / "demo", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("precious")
    demo_folder.clear(folder)
    (folder / "logs").mkdir()
    (folder / "logs" / "old.log").write_text("old")
    (folder / "reports").symlink_to(elsewhere, target_is_directory=True)
    (folder / "notes.txt").write_text("mine")
    demo_folder.clear(folder)
    assert sorted(path.name for path in folder.iterdir()) == [demo_folder.MARKER, "notes.txt"]
    assert (elsewhere / "precious").read_text() == "precious"


@pytest.mark.parametrize("days", [0, -1, 401])
def test_days_are_bounded(tmp_path: Path, days: int) -> None:
    """A number of days that makes no sense is refused before anything is touched."""
    with pytest.raises(UsageError, match="--days"):
        demo_folder.run_demo(tmp_path / "demo", days=days)
    assert not (tmp_path / "demo").exists()


def test_live_lines_come_at_their_time(tmp_path: Path) -> None:
    """At once all lines of today up to now, then each when its time has come, none twice."""
    noon = int(datetime(2026, 11, 20, 12, 0, tzinfo=ZONE).timestamp() * 1e6)
    clock = StepClock(noon)
    for writer in WRITERS:
        (tmp_path / "logs" / writer.host).mkdir(parents=True, exist_ok=True)
    logs = LiveLogs(tmp_path, 1, clock)
    assert logs.write() > 1000
    assert logs.write() == 0
    clock.step(600)
    assert logs.write() > 10
    text = (tmp_path / "logs" / "ivr-app01" / "xivr.log").read_text(errors="replace")
    times = [line[:23] for line in text.splitlines() if line.startswith("2026-11-20T")]
    assert "2026-11-20T12:00" <= times[-1] <= "2026-11-20T12:10"
    assert times == sorted(times)
