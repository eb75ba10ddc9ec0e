"""What goes wrong in the demo, on fixed days and at fixed local times, and the truth that is counted beside it.

Windows are half-open and begin and end at whole minutes, so that minute rollups show them exactly.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from logagg.demo.days import ZONE_NAME, Day

IVR_HOSTS = ("ivr-app01", "ivr-app02")

RECORD_BYTES_MAX = 1 << 20
"""The default of a source's `record_bytes_max`."""

Entry = tuple[int, str, str, str, str, str]
"""A record to write: milliseconds since the epoch, level, thread, logger, message (with any further lines) and the
name of the event that it is, empty where no grammar may claim it."""


@dataclass
class Incident:
    """One thing that goes wrong on one host; `watched` names the events whose counts tell it."""

    kind: str
    host: str
    from_ms: int
    to_ms: int
    detail: str
    watched: tuple[str, ...]
    events: Counter[str] = field(default_factory=Counter)

    def covers(self, ts_ms: int) -> bool:
        return self.from_ms <= ts_ms < self.to_ms

    def count(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry[5] in self.watched and self.covers(entry[0]):
                self.events[entry[5]] += 1

    def truth(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "host": self.host,
            "from": rfc3339(self.from_ms),
            "to": rfc3339(self.to_ms),
            "detail": self.detail,
            "events": {name: self.events[name] for name in self.watched},
        }


@dataclass
class Plan:
    """All incidents of a demo. What writes a day's entries asks it what is broken."""

    incidents: list[Incident]
    outage_days: list[date]

    def active(self, kind: str, host: str) -> list[Incident]:
        return [incident for incident in self.incidents if (incident.kind, incident.host) == (kind, host)]

    def count(self, host: str, entries: Sequence[Entry]) -> None:
        """Count one host's entries; they are in order of time."""
        if not entries:
            return
        for incident in self.incidents:
            if incident.host == host and incident.from_ms <= entries[-1][0] and entries[0][0] < incident.to_ms:
                incident.count(entries)


def plan(days: Sequence[Day]) -> Plan:
    """The incidents of these days: as many of them at different days as there are days."""
    last, before, earlier = days[-1], days[max(0, len(days) - 2)], days[max(0, len(days) - 3)]
    outage_length = min(5, max(1, len(days) - 2))
    outage_start = max(0, len(days) - 1 - outage_length)
    outage = days[outage_start : outage_start + outage_length]
    recovered = outage_start + outage_length < len(days)
    incidents = [
        *(_window("das_failure_burst", host, last, "10:20", "10:40", "about 40 % of the DAS calls fail",
                  "das_call", "das_failure") for host in IVR_HOSTS),
        *(_window("payments_stopped", host, before, "15:10", "15:55", "calls go on, but no payment is accepted or "
                  "declined", "payment_ok", "payment_failed", "call_begin") for host in IVR_HOSTS),
        _window("vip_restart", "vip01", last, "13:36", "13:41", "the VIP server restarts outside of its nightly hour",
                "vip_stop", "vip_start"),
        _window("low_memory", "mon01", earlier, "11:00", "11:40", "a warning each minute", "low_memory"),
        Incident(
            "ftp_outage", "dialer01", outage[0].at("06:05"),
            days[outage_start + outage_length].at("06:05") if recovered else days[-1].end_ms,
            f"no load is complete on {len(outage)} days, each due at 06:30: loads fail, or do not start",
            ("ftp_load_start", "ftp_load_failure", "ftp_load_done"),
        ),
    ]
    return Plan(incidents, [day.date for day in outage])


def _window(kind: str, host: str, day: Day, start: str, end: str, detail: str, *watched: str) -> Incident:
    return Incident(kind, host, day.at(start), day.at(end), detail, watched)


class Truth:
    """Counts what is written, by event and local day."""

    def __init__(self, seed: int, days: Sequence[Day], incidents: Plan) -> None:
        self._seed, self._days, self._plan = seed, days, incidents
        self._by_day: dict[str, Counter[str]] = {day.date.isoformat(): Counter() for day in days}
        self._records: Counter[str] = Counter()
        self.rejects: Counter[str] = Counter()

    def count(self, day: Day, host: str, app: str, entries: Sequence[Entry]) -> None:
        """Count the entries that one app on one host writes in one local day."""
        self._by_day[day.date.isoformat()].update(entry[5] for entry in entries if entry[5])
        too_long = sum(len(entry[4]) > RECORD_BYTES_MAX for entry in entries)
        self._records[f"{app}@{host}"] += len(entries) - too_long
        self.rejects[f"{app}@{host}"] += too_long
        self._plan.count(host, entries)

    def document(self) -> dict[str, Any]:
        """The content of truth.json. `records` and `rejects` are by "<app>@<host>"."""
        return {
            "seed": self._seed,
            "timezone": ZONE_NAME,
            "from": rfc3339(self._days[0].start_ms),
            "to": rfc3339(self._days[-1].end_ms),
            "days": list(self._by_day),
            "totals": _sorted(sum(self._by_day.values(), Counter())),
            "by_day": {day: _sorted(counts) for day, counts in self._by_day.items()},
            "records": _sorted(self._records),
            "rejects": _sorted(self.rejects),
            "incidents": [incident.truth() for incident in self._plan.incidents],
        }


def rfc3339(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
