#!/usr/bin/env python3
"""Recounts a demo's logs and compares every number that logagg made of them. Shares no code with logagg.

    python scripts/recount.py DEMO_DIR [--against truth,reports,rollups]

It reads `logs/` line by line with regular expressions of its own, and compares, both ways (nothing missing, nothing
extra):

    truth     truth.json: totals, by day, records, rejects, incidents; each incident must be visible in the rollups
    reports   every number in every reports/*/*/*/r*/data.json: days, and weeks and months if any were built
    rollups   every row of `logagg export rollups`, for minute, hour, day, week and month

Exit status: 0 all numbers agree, 1 with the first differences. Percentiles of more than 1000 values may differ by 1 %;
all other numbers are exact (floats to 6 decimals).
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from recount_logs import (
    COUNTERS,
    DISTRIBUTIONS,
    ZONE,
    Recount,
    Row,
    local_date,
    minute_of,
    numbers,
    utc,
    window,
)
from recount_reports import Comparison, check_report, str_labels

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


def exported(demo: Path, truth: Row, step: str) -> Iterator[Row]:
    """What `logagg export rollups` prints for the demo's whole time."""
    command = [sys.executable, "-m", "logagg", "-c", demo / "logagg.toml", "export", "rollups", "--step", step,
               "--from", utc(window(step, minute_of(truth["from"]))[0]), "--to", truth["to"], "--timezone", ZONE.key]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit status {process.returncode}")


Seen = Counter[tuple[str, str, int]]
"""Counts of the rollups by metric, host (where it is a label) and beginning in minutes."""


def check_rollups(check: Comparison, recount: Recount, step: str, rows: Iterable[Row]) -> Seen:
    """Every row of one step, both ways."""
    expected: dict[tuple[str, str, str], list[int]] = {}
    for metric in (*COUNTERS, *DISTRIBUTIONS):
        for (labels, start), values in recount.grouped(metric, lambda minute: window(step, minute)[0]).items():
            expected[metric, str_labels(dict(labels)), utc(start)] = values
    seen: Seen = Counter()
    for row in rows:
        metric, start = row["metric"], minute_of(row["from"])
        key = (metric, str_labels(row["labels"]), row["from"])
        values = expected.pop(key, None)        # a row that comes twice is one too many
        wanted = values and {"step": step, "to": utc(window(step, start)[1]), **numbers(metric, values)}
        check.row(f"rollups: {step}", " ".join(key), row, wanted)
        seen[metric, row["labels"].get("host", ""), start] += row["count"]
    for key in expected:
        check.row(f"rollups: {step}", " ".join(key), None, {})
    return seen


METRIC_OF = {event: metric for metric, (events, _) in COUNTERS.items() for event in events if len(events) == 1}


def check_incidents(check: Comparison, truth: Row, step: str, seen: Seen) -> None:
    """Each incident's window shows in the rollups as what it is.

    Windows lie on whole minutes; of hours, those from the one in which it begins, without the one in which it ends.
    """
    for incident in truth["incidents"]:
        start, host = window(step, minute_of(incident["from"]))[0], incident["host"]
        end = max(window(step, minute_of(incident["to"]))[0], window(step, start)[1])
        counts: Counter[str] = Counter()
        for (metric, of, at), count in seen.items():
            if of == host and start <= at < end:
                counts[metric] += count
        where = f"{incident['kind']} on {host}, {incident['from']} to {incident['to']}"
        what, visible = VISIBLE[incident["kind"]]
        check.same("incidents", f"{where}: {what}: {dict(counts)}", visible(counts, step), True)
        if step == "minute":
            for event, count in incident["events"].items():
                if event in METRIC_OF:
                    check.same("incidents", f"{where}: {event}", counts[METRIC_OF[event]], count)


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
        for path in sorted((arguments.demo / "reports").glob("*/*ly/*/r*/data.json")):
            if path not in paths:   # a week or month may reach beyond the demo
                check_report(check, recount, path, complete=json.loads(path.read_text())["complete"])
    if "rollups" in wanted:
        for step in ("minute", "hour", "day", "week", "month"):
            seen = check_rollups(check, recount, step, exported(arguments.demo, truth, step))
            if step in ("minute", "hour"):
                check_incidents(check, truth, step, seen)
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
