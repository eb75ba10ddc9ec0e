"""The incidents of a period, from the documents that the alert engine keeps."""

from datetime import UTC, datetime
from typing import Any

from logagg.interfaces import Store
from logagg.report.period import Period, utc_text

LOOK_BACK_DAYS = 92
"""How long before the period an incident may have begun to be found; a longer one is told by the periods before."""

INCIDENTS_MAX = 1000
_KEPT = ("id", "rule", "labels", "severity", "type", "unit", "fired_at", "threshold", "late", "reason", "summary")


def incidents(store: Store, this: Period) -> list[dict[str, Any]]:
    """Those that fired before the period's end and were not resolved before its start, in order of `fired_at`.

    One that was withdrawn, since it does not follow from what is known now, is left out. What is said is how it stood
    at the period's end: one that was resolved later is "firing", its `resolved_at` and `value` null. So what happens
    afterwards changes nothing in a report.
    """
    start, end = _utc(utc_text(this.from_us)), _utc(utc_text(this.to_us))
    keys = {"start": _key(this.from_us - LOOK_BACK_DAYS * 86_400_000_000), "end": _key(this.to_us)}
    found: list[dict[str, Any]] = []
    for value in store.documents("incident", **keys).values():
        fired: str | None = value.get("fired_at")
        resolved: str | None = value.get("resolved_at")
        if not fired or value.get("withdrawn") or _utc(fired) >= end:
            continue
        if resolved is not None and _utc(resolved) <= start:
            continue
        over = resolved is not None and _utc(resolved) < end
        found.append({key: value.get(key) for key in _KEPT} | {
            "state": "resolved" if over else "firing",
            "resolved_at": resolved if over else None,
            "value": value.get("value") if over else None,
        })
    found.sort(key=lambda row: (_utc(row["fired_at"]), str(row["id"])))
    return found[:INCIDENTS_MAX]


def _key(at_us: int) -> str:
    """As the keys of incidents begin: 20261120T131530Z."""
    return datetime.fromtimestamp(max(0, at_us) // 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")


def _utc(text: str) -> str:
    """RFC 3339 with any precision and offset -> a text that sorts by time."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
