"""All days of all hosts -> logs/ and truth.json, the same for the same seed, days and date."""

import json
from collections.abc import Callable
from datetime import date
from operator import itemgetter
from pathlib import Path
from typing import Any

from logagg.demo.calls import CallDay
from logagg.demo.days import Day, demo_days
from logagg.demo.files import WRITERS, LogFiles
from logagg.demo.incidents import IVR_HOSTS, Entry, Plan, Truth, plan
from logagg.demo.machines import dialer_day, machine_day, vip_day
from logagg.demo.texts import THREAD_DUMP

Source = tuple[str, str]     # host, app


def write_logs(root: Path, *, days: int, seed: int, until: date,
               on_day: Callable[[date], None] = lambda day: None) -> dict[str, Any]:
    """Write `root`/logs and `root`/truth.json for the `days` full local days before `until`; the truth.

    `on_day` is told each day that has been written. Memory holds one day.
    """
    all_days = demo_days(until, days)
    incidents = plan(all_days)
    truth = Truth(seed, all_days, incidents)
    files = {(writer.host, writer.app): LogFiles(root, writer) for writer in WRITERS}
    over: dict[Source, list[Entry]] = {}
    for day in all_days:
        last = day is all_days[-1]
        for source, entries in entries_of(seed, day, incidents, last).items():
            if day is all_days[0] and source == (IVR_HOSTS[0], "xivr"):
                entries.append((day.at("04:10") + 417, "WARN", "watchdog", "Watchdog", THREAD_DUMP, ""))
            entries += over.pop(source, [])
            entries.sort(key=itemgetter(0))
            entries, over[source] = _split(entries, day.end_ms)
            assert not (last and over[source]), "an entry behind the last day"
            truth.count(day, *source, entries)
            files[source].write(day, entries)
        on_day(day.date)
    for (host, app), file in files.items():
        file.close()
        truth.rejects[f"{app}@{host}"] += file.rejects
    document = truth.document()
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (root / "truth.json").write_text(f"{text}\n", encoding="utf-8")
    return document


def entries_of(seed: int, day: Day, incidents: Plan, last: bool) -> dict[Source, list[Entry]]:
    """What all apps write about what begins on `day`; a call may end on the next."""
    calls = {host: CallDay(seed, day, host, incidents, last) for host in IVR_HOSTS}
    return {
        **{(host, "xivr"): called.xivr for host, called in calls.items()},
        ("mpp01", "mpp"): [entry for called in calls.values() for entry in called.mpp],
        ("vip01", "vip"): vip_day(seed, day, incidents),
        ("dialer01", "dialer"): dialer_day(seed, day, incidents),
        ("mon01", "machine"): machine_day(seed, day, incidents),
    }


def _split(entries: list[Entry], end_ms: int) -> tuple[list[Entry], list[Entry]]:
    keep = len(entries)
    while keep and entries[keep - 1][0] >= end_ms:
        keep -= 1
    return entries[:keep], entries[keep:]
