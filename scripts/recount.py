#!/usr/bin/env python3
"""Recounts a demo's logs and compares every number that logagg made of them. Shares no code with logagg.

    python scripts/recount.py DEMO_DIR [--against truth,reports,rollups] [--limit N]

It reads `logs/` line by line with regular expressions of its own, and compares, both ways (nothing missing, nothing
extra):

    truth     truth.json: totals, by day, records, rejects, incidents; each incident must be visible in the rollups
    reports   every number in every reports/*/daily/*/r*/data.json
    rollups   every row of `logagg export rollups`, for minute, hour, day, week and month

Exit status: 0 all numbers agree, 1 with the first differences. Percentiles of more than 1000 values may differ by 1 %;
all other numbers are exact (floats to 6 decimals).
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
EXACT_MAX = 1000            # above this many values, percentiles are estimates
RELATIVE_ERROR_MAX = 0.01

# ---- reading ---------------------------------------------------------------------------------------------------------

DASHED = r"(\d{4}-\d\d-\d\d.\d\d:\d\d):(\d\d)"
HEADS = {   # app: its layout in logagg.toml, and the head of its records: minute, second, ms, level, message
    "xivr": ("%d{ISO8601} %-5p [%t] %c{1} - %m%n", rf"{DASHED},(\d{{3}}) (\w+) +\[[^\]]*\] \S+ - (.*)"),
    "mpp": ("%d [%t] %-5p %c - %m%n", rf"{DASHED},(\d{{3}}) \[[^\]]*\] (\w+) +\S+ - (.*)"),
    "vip": ("%d{yyyy-MM-dd HH:mm:ss,SSS} %p %c: %m%n", rf"{DASHED},(\d{{3}}) (\w+) \S+: (.*)"),
    "dialer": ("%d{yyyy-MM-dd HH:mm:ss.SSS} %-5level %logger [%thread] %msg%n",
               rf"{DASHED}\.(\d{{3}}) (\w+) +\S+ \[[^\]]*\] (.*)"),
    "machine": ("%d{dd MMM yyyy HH:mm:ss,SSS} %-5p %c{1} - %m%n",
                r"(\d\d \w{3} \d{4} \d\d:\d\d):(\d\d),(\d{3}) (\w+) +\S+ - (.*)"),
}
BACKENDS = {"DAS": "das", "ESP": "esp", "MTI": "mti", "Appointment service": "appointment", "Outage service": "outage"}
NAMES = "|".join(BACKENDS)
MESSAGES = {    # app: event and the whole first line; {b}_… takes the backend's name
    "xivr": [
        ("call_begin", r"Callflow begin: callId=\S+ ani=\S+ dnis=\S+ app=\S+"),
        ("call_end", r"Callflow end: callId=\S+ result=\S+ durationMs=(?P<duration_ms>\d+) transfer=\S+"),
        ("identification_failed", r"Identification failed: callId=\S+ reason=\S+ attempts=\d+"),
        ("payment_ok", r"Payment accepted for callId=\S+ amount=\d+\.\d\d reference=\S+"),
        ("payment_failed", r"Payment declined for callId=\S+ (?:card=\S+ )?amount=\d+\.\d\d code=\S+"),
        ("{b}_call", rf"(?P<b>{NAMES}) call (?P<operation>\w+) completed in (?P<duration_ms>\d+) ms rc=\d+"
                     r"(?: callId=\S+)?"),
        ("{b}_failure", rf"(?P<b>{NAMES}) call (?P<operation>\w+) failed in (?P<duration_ms>\d+) ms rc=\d+ "
                        r"reason=(?P<code>\w+): .*"),
        ("{b}_failure", rf"(?P<b>{NAMES}) (?P<operation>\w+) failed after (?P<duration_ms>\d+) ms: (?P<code>\w+)"),
    ],
    "mpp": [
        ("mpp_call_failure", r"MPP \S+: call failed, error=(?P<code>\w+)(?: callId=\S+)?"),
        ("mpp_asr_failure", r"MPP \S+: ASR session failed, error=(?P<code>\w+)(?: server=\S+)?"),
        ("mpp_tts_failure", r"MPP \S+: TTS session failed, error=(?P<code>\w+)(?: server=\S+)?"),
        ("mpp_appserver_failure", r"MPP \S+: application server \S+ failed, error=(?P<code>\w+)"),
        ("mpp_promptserver_failure", r"MPP \S+: prompt server \S+ failed, error=(?P<code>\w+)"),
    ],
    "vip": [
        ("vip_start", r"VIP server starting, version=\S+, pid=\d+"),
        ("vip_stop", r"VIP server stopping, pid=\d+, reason=\w+"),
    ],
    "dialer": [
        ("ftp_load_start", r"FTP load started: file=\S+"),
        ("ftp_load_done", r"FTP load complete: file=\S+ rows=\d+ elapsed=\d+ms"),
        ("ftp_load_failure", r"FTP load failed: file=\S+ error=\S+"),
        ("outbound_call", r"Outbound call placed: callId=\S+ campaign=\S+ outcome=(?P<outcome>\w+)"),
        ("outbound_report", r"Outbound call report written: file=\S+ calls=\d+"),
    ],
    "machine": [("low_memory", r"Virtual memory low: \d+% free \(\d+ kB of \d+ kB\)")],
}


def read(path: Path, app: str) -> Iterator[tuple[int | None, str, str]]:
    """Each record as (its minute since the epoch, its level, its message's first line); a reject has minute None.

    Lines that begin no record belong to the one before them; before the first, each is a reject.
    """
    head = re.compile(HEADS[app][1], re.DOTALL)
    clock = Clock()
    seen = False
    with path.open("rb") as file:           # so that only \n ends a line
        for raw in file:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            match = head.fullmatch(line)
            if match:
                seen = True
                minute, second, ms, level, message = match.groups()
                yield clock.minute(minute, int(second) * 1000 + int(ms)), level, message
            elif not seen:
                yield None, "", line


class Clock:
    """Local times -> minutes since the epoch. In the hour that comes twice, time going back begins the second."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int, int]] = {}
        self._last = (0, 0)
        self._second = False

    def minute(self, text: str, ms: int) -> int:
        if text not in self._known:
            form = "%d %b %Y %H:%M" if text[2] == " " else f"%Y-%m-%d{text[10]}%H:%M"
            local = datetime.strptime(text, form)
            self._known[text] = (int(local.replace(tzinfo=UTC).timestamp()) // 60,
                                 *(int(local.replace(tzinfo=ZONE, fold=fold).timestamp()) // 60 for fold in (0, 1)))
        wall, first, second = self._known[text]
        if first == second:
            self._second = False
        elif (wall, ms) < self._last:
            self._second = True
        self._last = (wall, ms)
        return second if self._second else first


# ---- counting --------------------------------------------------------------------------------------------------------

PER_HOST = {
    "calls": "call_begin", "calls_ended": "call_end", "identification_failures": "identification_failed",
    "payments_ok": "payment_ok", "payments_failed": "payment_failed", "vip_starts": "vip_start",
    "vip_stops": "vip_stop", "ftp_loads_started": "ftp_load_start", "ftp_loads_done": "ftp_load_done",
    "ftp_load_failures": "ftp_load_failure", "outbound_reports": "outbound_report", "low_memory_warnings": "low_memory",
}
COUNTERS = {    # metric: its events and labels
    "records": ((), ("app", "host", "level")),
    **{metric: ((event,), ("host",)) for metric, event in PER_HOST.items()},
    **{f"{b}_calls": ((f"{b}_call", f"{b}_failure"), ("host", "operation")) for b in BACKENDS.values()},
    **{f"{b}_failures": ((f"{b}_failure",), ("host", "operation", "code")) for b in BACKENDS.values()},
    **{f"mpp_{part}_failures": ((f"mpp_{part}_failure",), ("host", "code"))
       for part in ("call", "asr", "tts", "appserver", "promptserver")},
    "outbound_calls": (("outbound_call",), ("host", "outcome")),
}
DISTRIBUTIONS = {   # metric: its event and labels; the field is duration_ms
    "call_time": ("call_end", ()),
    **{f"{b}_time": (f"{b}_call", ("operation",)) for b in BACKENDS.values()},
}
RATIOS = {  # metric: the counters whose sum is its part, and its whole
    "payment_failure_rate": (("payments_failed",), ("payments_failed", "payments_ok")),
    **{f"{b}_failure_rate": ((f"{b}_failures",), (f"{b}_calls",)) for b in BACKENDS.values()},
}

COUNTERS_OF = defaultdict(list)
DISTRIBUTIONS_OF = defaultdict(list)
for _metric, (_events, _labels) in COUNTERS.items():
    for _event in _events:
        COUNTERS_OF[_event].append((_metric, _labels))
for _metric, (_event, _labels) in DISTRIBUTIONS.items():
    DISTRIBUTIONS_OF[_event].append((_metric, _labels))

Labels = tuple[tuple[str, str], ...]
Row = dict[str, Any]


def labelled(names: Iterable[str], about: dict[str, str]) -> Labels:
    return tuple((name, about[name]) for name in sorted(names))


class Recount:
    """What the logs hold, by minute. `values[metric][labels][minute]` is a list: the field's values, or a 1 each."""

    def __init__(self, demo: Path) -> None:
        self.values: dict[str, dict[Labels, dict[int, list[int]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list)))
        self.events: Counter[tuple[str, str, int]] = Counter()      # (event, host, minute)
        self.records: Counter[str] = Counter()                      # by "<app>@<host>"
        self.files: dict[tuple[str, str, str], Counter[str]] = {}   # (host, app, path): records, rejects …
        for source in tomllib.loads((demo / "logagg.toml").read_text())["source"]:
            host, app = source["host"], source["app"]
            if (source["layout"], source["timezone"]) != (HEADS[app][0], ZONE.key):
                raise SystemExit(f"{demo}/logagg.toml: {app}@{host} layout or zone unknown to this script")
            for path in sorted(path for pattern in source["paths"] for path in demo.glob(pattern)):
                self._file(demo, path, host, app)

    def _file(self, demo: Path, path: Path, host: str, app: str) -> None:
        messages = [(event, re.compile(text)) for event, text in MESSAGES[app]]
        totals: Counter[str] = Counter(bytes=path.stat().st_size)
        for minute, level, first_line in read(path, app):
            if minute is None:
                totals["rejects"] += 1
                totals["rejected_bytes"] += len(first_line.encode()) + 1
                continue
            totals["records"] += 1
            about = {"app": app, "host": host, "level": level}
            self.values["records"][labelled(("app", "host", "level"), about)][minute].append(1)
            for event, pattern in messages:
                match = pattern.fullmatch(first_line)
                if match:
                    self._event(event, host, minute, {**about, **match.groupdict()})
                    break
        self.records[f"{app}@{host}"] += totals["records"]
        self.files[host, app, path.relative_to(demo).as_posix()] = totals

    def _event(self, event: str, host: str, minute: int, about: dict[str, str]) -> None:
        event = event.format(b=BACKENDS.get(about.get("b", ""), ""))
        self.events[event, host, minute] += 1
        for metric, labels in COUNTERS_OF[event]:
            self.values[metric][labelled(labels, about)][minute].append(1)
        for metric, labels in DISTRIBUTIONS_OF[event]:
            self.values[metric][labelled(labels, about)][minute].append(int(about["duration_ms"]))

    def grouped(self, metric: str, group: Callable[[int], int | None]) -> dict[tuple[Labels, int], list[int]]:
        """The values of (labels, group) for each group of minutes; `group` answers None for minutes left out."""
        found: dict[tuple[Labels, int], list[int]] = defaultdict(list)
        for labels, minutes in self.values[metric].items():
            for minute, values in minutes.items():
                key = group(minute)
                if key is not None:
                    found[labels, key].extend(values)
        return found


def numbers(metric: str, values: list[int]) -> Row:
    """The statistics of one group of values; a counter has none but count and sum."""
    row: Row = {"count": len(values), "sum": sum(values), "min": None, "max": None, "mean": None,
                "median": None, "p95": None, "p99": None}
    if metric in DISTRIBUTIONS and values:
        ranked = sorted(values)
        row |= {"min": ranked[0], "max": ranked[-1], "mean": sum(ranked) / len(ranked)}
        for name, percent in (("median", 50), ("p95", 95), ("p99", 99)):
            row[name] = ranked[-(-percent * len(ranked) // 100) - 1]     # nearest rank
    return row


# ---- time ------------------------------------------------------------------------------------------------------------


def first_minute(day: date) -> int:
    """The minute since the epoch at which a local day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp()) // 60


def local_date(minute: int) -> date:
    return datetime.fromtimestamp(minute * 60, ZONE).date()


def window(step: str, minute: int) -> tuple[int, int]:
    """The bucket [start, end) that a minute belongs to, in minutes since the epoch."""
    if step in ("minute", "hour"):
        length = 60 if step == "hour" else 1
        return minute // length * length, minute // length * length + length
    first = local_date(minute)
    if step == "day":
        after = first + timedelta(days=1)
    elif step == "week":
        first -= timedelta(days=first.weekday())
        after = first + timedelta(days=7)
    else:
        first = first.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    return first_minute(first), first_minute(after)


def utc(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def minute_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 60


# ---- comparing -------------------------------------------------------------------------------------------------------


class Comparison:
    """Counts what was compared, by kind, and keeps the first differences."""

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()
        self.different: Counter[str] = Counter()
        self.first: list[str] = []

    def same(self, kind: str, where: str, found: Any, expected: Any, *, about: bool = False) -> None:
        """`about`: a percentile of more than EXACT_MAX values; else floats agree to 6 decimals, all other exactly."""
        self.compared[kind] += 1
        if isinstance(expected, float) and isinstance(found, int | float):
            equal = abs(found - expected) <= 1e-6
        else:
            equal = found == expected and isinstance(found, bool) == isinstance(expected, bool)
        if not equal and about and isinstance(found, int | float) and isinstance(expected, int | float):
            equal = abs(found - expected) <= abs(expected) * RELATIVE_ERROR_MAX
        if not equal:
            self.different[kind] += 1
            if len(self.first) < 20:
                self.first.append(f"{kind}: {where}: logagg says {found!r}, the logs say {expected!r}")

    def rows(self, kind: str, found: dict[Any, Row], expected: dict[Any, Row]) -> None:
        """Rows by key, both ways: each expected one is there with each expected number, and no other is there.

        "#" is no number to compare: it tells of how many values the row is.
        """
        for key in sorted(expected.keys() | found.keys(), key=str):
            if key not in found or key not in expected:
                self.same(kind, f"{key}", "a row" if key in found else "no row",
                          "a row" if key in expected else "no row")
                continue
            many = expected[key].get("#", expected[key].get("count", 0)) > EXACT_MAX
            for name, number in expected[key].items():
                if name != "#":
                    self.same(kind, f"{key} {name}", found[key].get(name, "nothing"), number,
                              about=many and name.startswith(("median", "p9")))


# ---- reports ---------------------------------------------------------------------------------------------------------


class Daily:
    """What data.json has to say about one local day."""

    def __init__(self, recount: Recount, day: date) -> None:
        self.start, self.end = first_minute(day), first_minute(day + timedelta(days=1))
        group = lambda minute: self.start if self.start <= minute < self.end else None  # noqa: E731
        self.rows = {metric: {labels: values for (labels, _), values in recount.grouped(metric, group).items()}
                     for metric in (*COUNTERS, *DISTRIBUTIONS)}
        self.seen = any(self.rows.values())     # else its counts are not zero, but unknown

    def values(self, metric: str) -> list[int]:
        return [value for values in self.rows[metric].values() for value in values]

    def counted(self, *metrics: str, labels: dict[str, str] | None = None) -> int:
        """The count of several counters, of those label sets that agree with `labels`."""
        wanted = (labels or {}).items()
        return sum(len(values) for metric in metrics for found, values in self.rows[metric].items()
                   if wanted <= dict(found).items())

    def metric_rows(self) -> dict[tuple[str, Labels], Row]:
        found: dict[tuple[str, Labels], Row] = {}
        for metric in (*COUNTERS, *DISTRIBUTIONS):
            if metric != "records":
                for labels, values in {(): self.values(metric), **self.rows[metric]}.items():
                    found[metric, labels] = self._numbers(metric, values)
        for metric, (part, whole) in RATIOS.items():
            shared = ratio_labels(metric)
            sets = {tuple(pair for pair in labels if pair[0] in shared) for name in whole for labels in self.rows[name]}
            for labels in {(), *sets}:
                found[metric, labels] = ratio(self.counted(*part, labels=dict(labels)),
                                              self.counted(*whole, labels=dict(labels)))
        return found

    def _numbers(self, metric: str, values: list[int]) -> Row:
        value = (len(values) if self.seen else None) if metric in COUNTERS else None
        return {**numbers(metric, values), "value": value}

    def nothing(self, metric: str) -> Row:
        return ratio(0, 0) if metric in RATIOS else self._numbers(metric, [])

    def backend(self, name: str) -> Row:
        calls, failures = self.counted(f"{name}_calls"), self.counted(f"{name}_failures")
        times = numbers(f"{name}_time", self.values(f"{name}_time"))
        return {"calls": calls if self.seen else None, "failures": failures if self.seen else None,
                "failure_rate": failures / calls if calls else None,
                "median_ms": times["median"], "p95_ms": times["p95"], "#": times["count"]}


def ratio_labels(metric: str) -> set[str]:
    """A ratio's labels are those that all its counters have."""
    part, whole = RATIOS[metric]
    return set.intersection(*(set(COUNTERS[name][1]) for name in (*part, *whole)))


def ratio(part: int, whole: int) -> Row:
    return {"count": whole, "sum": part, "min": None, "max": None, "mean": None, "median": None, "p95": None,
            "p99": None, "value": part / whole if whole else None}


def check_report(check: Comparison, recount: Recount, path: Path) -> None:
    """Every number of one data.json."""
    data = json.loads(path.read_text())
    day = date.fromisoformat(data["date"])
    now, before = Daily(recount, day), Daily(recount, day - timedelta(days=1))
    head = {"period": "daily", "timezone": ZONE.key, "from": utc(now.start), "to": utc(now.end), "complete": True,
            "incomplete_because": []}
    for name, value in head.items():
        check.same("reports: head", f"{day} {name}", data[name], value)
    check_metrics(check, day, data["metrics"], now, before)
    for name in BACKENDS.values():
        [found] = [row for row in data["backends"] if row["name"] == name]
        check.rows("reports: backends", {f"{day} {name}": found, f"{day} {name} previous": found["previous"]},
                   {f"{day} {name}": now.backend(name), f"{day} {name} previous": before.backend(name)})
    check.same("reports: backends", f"{day} how many", len(data["backends"]), len(BACKENDS))
    check.rows("reports: hours", {f"{day} {row['from']}": row for row in data["hours"]}, hour_rows(recount, day, now))
    check.rows("reports: sources", {f"{day} {row['app']}@{row['host']}": row for row in data["sources"]},
               source_rows(day, now, before))
    check.rows("reports: ledger", {(row["host"], row["app"], row["path"]): row for row in data["ledger"]}, {
        key: {"committed": totals["bytes"], "rejects": totals["rejects"], "rejected_bytes": totals["rejected_bytes"],
              "dropped": {}}
        for key, totals in recount.files.items()
    })


def check_metrics(check: Comparison, day: date, found: list[Row], now: Daily, before: Daily) -> None:
    """One row over all labels and one per set of labels of this day or the day before, each with the day before."""
    these, those = now.metric_rows(), before.metric_rows()
    rows = {(row["metric"], tuple(sorted(row["labels"].items()))): row for row in found}
    check.same("reports: metrics", f"{day} rows twice", len(found) - len(rows), 0)
    check.same("reports: metrics", f"{day} order", [(row["metric"], str_labels(row["labels"])) for row in found],
               sorted((row["metric"], str_labels(row["labels"])) for row in found))
    keys = these.keys() | those.keys()
    for which, side, of in (("", these, now), (" previous", those, before)):
        check.rows("reports: metrics",
                   {f"{day} {key}{which}": row["previous"] if which else row for key, row in rows.items()},
                   {f"{day} {key}{which}": side.get(key) or of.nothing(key[0]) for key in keys})


def str_labels(labels: dict[str, str]) -> str:
    return json.dumps(labels, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hour_rows(recount: Recount, day: date, daily: Daily) -> dict[str, Row]:
    """One row for each local hour: 24, or 23 or 25 where the clocks change."""
    found: dict[str, Row] = {}
    counts = {metric: Counter(dict.fromkeys(range(daily.start, daily.end, 60), 0)) for metric in COUNTERS}
    for metric, rows in recount.values.items():
        for minutes in rows.values():
            for minute, values in minutes.items():
                if metric in COUNTERS and daily.start <= minute < daily.end:
                    counts[metric][minute // 60 * 60] += len(values)
    for start in range(daily.start, daily.end, 60):
        found[f"{day} {utc(start)}"] = {
            "hour": datetime.fromtimestamp(start * 60, ZONE).hour, "to": utc(start + 60),
            "calls": counts["calls"][start],
            "backend_calls": sum(counts[f"{name}_calls"][start] for name in BACKENDS.values()),
            "backend_failures": sum(counts[f"{name}_failures"][start] for name in BACKENDS.values()),
        }
    return found


def source_rows(day: date, now: Daily, before: Daily) -> dict[str, Row]:
    """Records by level of each source of this day or the day before. Rejects come before any time: no day has one."""
    found: dict[str, Row] = {}
    for daily in (before, now):
        for labels, values in daily.rows["records"].items():
            about = dict(labels)
            row = found.setdefault(f"{day} {about['app']}@{about['host']}", {"records": 0, "rejects": 0, "levels": {}})
            if daily is now:
                row["records"] += len(values)
                row["levels"][about["level"]] = len(values)
    return found


# ---- truth -----------------------------------------------------------------------------------------------------------


def check_truth(check: Comparison, recount: Recount, truth: Row) -> None:
    """What the generator says that it wrote is what the lines say."""
    totals: Counter[str] = Counter()
    by_day: dict[str, Counter[str]] = {day: Counter() for day in truth["days"]}
    for (event, _, minute), count in recount.events.items():
        totals[event] += count
        by_day.setdefault(local_date(minute).isoformat(), Counter())[event] += count
    rejects = Counter()
    for (host, app, _), file in recount.files.items():
        rejects[f"{app}@{host}"] += file["rejects"]
    counts = {"totals": (truth["totals"], totals), "records": (truth["records"], recount.records),
              "rejects": (truth["rejects"], rejects),
              **{day: (truth["by_day"].get(day, {}), by_day[day]) for day in by_day}}
    for what, (said, found) in counts.items():
        for name in sorted(said.keys() | found.keys()):
            check.same("truth", f"{what} {name}", said.get(name, 0), found[name])
    for incident in truth["incidents"]:
        start, end = minute_of(incident["from"]), minute_of(incident["to"])
        for event, count in incident["events"].items():
            found = sum(n for (name, host, minute), n in recount.events.items()
                        if name == event and host == incident["host"] and start <= minute < end)
            check.same("truth", f"{incident['kind']} on {incident['host']}: {event}", count, found)


# ---- rollups ---------------------------------------------------------------------------------------------------------


def exported(demo: Path, truth: Row, step: str) -> list[Row]:
    """What `logagg export rollups` prints for the demo's whole time."""
    command = [sys.executable, "-m", "logagg", "-c", demo / "logagg.toml", "export", "rollups", "--step", step,
               "--from", utc(window(step, minute_of(truth["from"]))[0]), "--to", truth["to"], "--timezone", ZONE.key]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit status {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def check_rollups(check: Comparison, recount: Recount, step: str, rows: list[Row]) -> None:
    """Every row of one step, both ways."""
    found: dict[str, Row] = {}
    for row in rows:
        key = f"{row['metric']} {str_labels(row['labels'])} {row['from']}"
        check.same(f"rollups: {step}", f"{key} twice", key in found, False)
        found[key] = row
    expected: dict[str, Row] = {}
    for metric in (*COUNTERS, *DISTRIBUTIONS):
        for (labels, start), values in recount.grouped(metric, lambda minute: window(step, minute)[0]).items():
            expected[f"{metric} {str_labels(dict(labels))} {utc(start)}"] = {
                "step": step, "to": utc(window(step, start)[1]), **numbers(metric, values)}
    check.rows(f"rollups: {step}", found, expected)


METRIC_OF = {event: metric for metric, (events, _) in COUNTERS.items() for event in events if len(events) == 1}


def check_incidents(check: Comparison, truth: Row, step: str, rows: list[Row]) -> None:
    """Each incident's window shows in the rollups as what it is.

    Windows lie on whole minutes; of hours, those from the one in which it begins, without the one in which it ends.
    """
    for incident in truth["incidents"]:
        start, host = window(step, minute_of(incident["from"]))[0], incident["host"]
        end = max(window(step, minute_of(incident["to"]))[0], window(step, start)[1])
        seen: Counter[str] = Counter()
        for row in rows:
            if row["labels"].get("host") == host and start <= minute_of(row["from"]) < end:
                seen[row["metric"]] += row["count"]
        where = f"{incident['kind']} on {host}, {incident['from']} to {incident['to']}"
        check.same("incidents", f"{where}: {VISIBLE[incident['kind']][0]}: {dict(seen)}",
                   VISIBLE[incident["kind"]][1](seen, step), True)
        if step == "minute":
            for event, count in incident["events"].items():
                if event in METRIC_OF:
                    check.same("incidents", f"{where}: {event}", seen[METRIC_OF[event]], count)


VISIBLE: dict[str, tuple[str, Callable[[Counter[str], str], bool]]] = {
    "das_failure_burst": ("more than 10 % of the DAS calls fail",
                          lambda seen, step: seen["das_failures"] > 0.1 * seen["das_calls"] > 0),
    "payments_stopped": ("no payments while there are calls",
                         lambda seen, step: seen["calls"] > 0 and (
                             step != "minute" or seen["payments_ok"] == seen["payments_failed"] == 0)),
    "vip_restart": ("VIP stops and starts", lambda seen, step: seen["vip_stops"] > 0 < seen["vip_starts"]),
    "low_memory": ("a series of warnings", lambda seen, step: seen["low_memory_warnings"] >= 30),
    "ftp_outage": ("no load is done", lambda seen, step: seen["ftp_loads_done"] == 0 < seen["ftp_load_failures"]),
}


# ---- the command -----------------------------------------------------------------------------------------------------


def main() -> int:
    options = argparse.ArgumentParser(description="Recount a demo's logs and compare every number made of them.")
    options.add_argument("demo", type=Path, help="the folder that `logagg demo` wrote")
    options.add_argument("--against", default="truth,reports,rollups", help="what to compare (default: %(default)s)")
    arguments = options.parse_args()
    wanted = arguments.against.split(",")
    truth = json.loads((arguments.demo / "truth.json").read_text())
    recount, check = Recount(arguments.demo), Comparison()
    if "truth" in wanted:
        check_truth(check, recount, truth)
    if "reports" in wanted:
        paths = sorted((arguments.demo / "reports").glob("*/daily/*/r*/data.json"))
        check.same("reports: head", "days", sorted({path.parts[-3] for path in paths}), truth["days"])
        for path in paths:
            check_report(check, recount, path)
    if "rollups" in wanted:
        for step in ("minute", "hour", "day", "week", "month"):
            rows = exported(arguments.demo, truth, step)
            check_rollups(check, recount, step, rows)
            if step in ("minute", "hour"):
                check_incidents(check, truth, step, rows)
    return told(check)


def told(check: Comparison) -> int:
    """Print what was compared, and what differs; the exit status."""
    for kind, count in check.compared.items():
        print(f"{kind:20} {count:9,} compared {check.different[kind]:7,} different")
    for line in check.first:
        print(line, file=sys.stderr)
    print(f"{'all':20} {check.compared.total():9,} compared {check.different.total():7,} different")
    return 1 if check.different else 0


if __name__ == "__main__":
    sys.exit(main())
