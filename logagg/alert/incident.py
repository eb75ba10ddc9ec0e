"""Incidents as they are stored: small documents of kind "incident", whose keys begin with their time.

{"id", "rule", "type", "labels", "severity", "help",
"state": "pending" | "firing" | "resolved", "pending_at", "fired_at",
"resolved_at" (RFC 3339 in UTC, or null), "detected_at" (when the engine found it), "value", "threshold", "unit",
"late": bool, "reason" (of its state), "because" (why it fires), "summary", "event_from", "event_to", "first", "last"
(public rows of the first and the last record behind it, or null), "send": [channels],
"handed": [what the notifier was told: "firing", "resolved"]}

Data that arrives out of order can show that an incident began in an earlier minute, and so has another id. The one
with the old id then has the state "merged", "merged_into" with the new id, and no fired_at: it counts nowhere. One
that does not follow from the data any more at all is resolved and has "withdrawn": true.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from logagg.alert.rule import Rule
from logagg.alert.window import Reading
from logagg.alert.words import clock_text, minutes_text
from logagg.errors import StoreError
from logagg.interfaces import Store
from logagg.rollup.partial import MINUTE_US
from logagg.times import rfc3339
from logagg.visible import visible

KIND = "incident"
OPEN_KEY = ":open"
RECENT_MINUTES = 2 * 1440

Incident = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moved(StoreError):
    """Somebody else has written this incident: what is known of the incidents is to be read again."""


def us_of(text: str) -> int:
    """The microseconds of a time as `rfc3339` writes it."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def key_time(minute: int) -> str:
    """What the keys of a minute's incidents begin with; they are in order of time."""
    return f"{_EPOCH + timedelta(minutes=max(0, minute)):%Y%m%dT%H%M%SZ}"


def incident_id(rule: str, labels: str, minute: int) -> str:
    """The key of the incident of a rule and label set whose condition began to hold in a minute."""
    return f"{key_time(minute)}:{rule}:{hashlib.sha256(labels.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def began(incident: Incident) -> int:
    """The minute in which the incident's condition began to hold."""
    text = str(incident["id"]).partition(":")[0]
    return (datetime.strptime(text, "%Y%m%dT%H%M%S%z") - _EPOCH) // timedelta(minutes=1)


def is_open(incident: Incident) -> bool:
    return incident["state"] in ("pending", "firing")


def is_void(incident: Incident) -> bool:
    """Whether it does not follow from what is known now: it was merged into another, or withdrawn."""
    return incident["state"] == "merged" or bool(incident.get("withdrawn"))


def threshold(rule: Rule) -> tuple[float, str]:
    """What the value is held against, and the unit of both."""
    if rule.type == "absent":
        return rule.within or 0, "min"
    above = int(rule.above) if rule.above == int(rule.above) and rule.type != "ratio" else rule.above
    return above, "1" if rule.type == "ratio" else "events"


def value_of(rule: Rule, reading: Reading) -> float:
    if rule.type == "ratio":
        return round(reading.part / reading.whole, 6) if reading.whole else 0.0
    return rule.within or 0 if rule.type == "absent" else reading.part


def reason_of(rule: Rule, reading: Reading) -> str:
    """Why it fires, for people."""
    events, window = " or ".join(rule.parts), minutes_text(rule.window)
    if rule.type == "ratio":
        share = f"{100 * value_of(rule, reading):.3g} %"
        return (f"{reading.part} of {reading.whole} ({share}) were {events} within {window}, "
                f"more than {100 * rule.above:.3g} % is too many")
    if rule.type == "count":
        return f"{reading.part} {events} within {window}, more than {threshold(rule)[0]} are too many"
    if rule.type == "event":
        return f"{events} happened"
    if rule.due is not None:
        return f"no {events} by {clock_text(rule.due)} ({rule.timezone or 'UTC'})"
    return f"no {events} for {minutes_text(rule.within or 0)}"


def summary_of(rule: Rule, labels: dict[str, str], reason: str) -> str:
    """One line: the rule, its labels' values, why. What cannot be seen is marked."""
    values = ", ".join(visible(labels[name], 100) for name in rule.by if labels.get(name))
    return f"{rule.name} ({values}): {reason}" if values else f"{rule.name}: {reason}"


def begun(rule: Rule, labels: str, minute: int, reading: Reading, now_us: int) -> Incident:
    """A new incident, pending, whose condition began to hold in a minute."""
    fields = json.loads(labels)
    reason = reason_of(rule, reading)
    limit, unit = threshold(rule)
    return {
        "id": incident_id(rule.name, labels, minute), "rule": rule.name, "type": rule.type, "labels": fields,
        "severity": rule.severity, "help": rule.help, "state": "pending",
        "pending_at": rfc3339(minute * MINUTE_US), "fired_at": None, "resolved_at": None,
        "detected_at": rfc3339(now_us), "value": value_of(rule, reading), "threshold": limit,
        "unit": unit, "late": False, "reason": reason, "because": reason, "summary": summary_of(rule, fields, reason),
        "event_from": None, "event_to": None, "first": None, "last": None, "send": list(rule.send or ()), "handed": [],
    }


class Incidents:
    """The store's incidents, kept in memory as far back as they were asked for. One process writes them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._values: dict[str, Incident] = {}
        self._revisions: dict[str, int] = {}
        self._from: int | None = None
        self._open: tuple[int, list[str]] | None = None

    def reset(self) -> None:
        """Forget all; it is read again."""
        self._values, self._revisions, self._from, self._open = {}, {}, None, None

    def of(self, rule: str, minute: int) -> list[Incident]:
        """The rule's incidents that began at `minute` or later, and the open ones, by id."""
        self._load(minute)
        return [value for _, value in sorted(self._values.items()) if value["rule"] == rule]

    def unfinished(self, now: int) -> list[Incident]:
        """All incidents that are open, or of whose last change the notifier may not have been told."""
        self._load(now - RECENT_MINUTES)
        ids = set(self._index()[1])
        return [value for key, value in sorted(self._values.items()) if key in ids]

    def known(self, key: str) -> Incident | None:
        return self._values.get(key)

    def expect(self, keys: list[str]) -> None:
        """Write down the ids of incidents that are about to be written or told, so that a crash does not lose them."""
        revision, ids = self._index()
        if not set(keys) <= set(ids):
            unfinished = [key for key in ids if not self._is_finished(key)]
            self._write_index(revision, list(dict.fromkeys([*unfinished, *keys])))

    def put(self, value: Incident) -> None:
        """Write an incident; Moved where it is not as it was read."""
        key = value["id"]
        revision = self._revisions.get(key)
        if revision is None:
            revision, stored = self._store.document(KIND, key) or (0, {})
            if stored != self._values.get(key, {}):
                raise Moved(f"incident {key} was written by another aggregator")
        if not self._store.put_document(KIND, key, revision, value):
            raise Moved(f"incident {key} was written by another aggregator")
        self._values[key], self._revisions[key] = value, revision + 1

    def _is_finished(self, key: str) -> bool:
        value = self._values.get(key)
        return value is None or (not is_open(value) and not to_tell(value))

    def _load(self, minute: int) -> None:
        if self._from is None:
            self._from = minute
            self._values = self._store.documents(KIND, start=key_time(minute))
            for key in self._index()[1]:
                document = None if key in self._values else self._store.document(KIND, key)
                if document is not None:
                    self._revisions[key], self._values[key] = document
        elif minute < self._from:
            # Late data, rarely: a long incident may reach into what is evaluated again.
            self._values = self._store.documents(KIND, start=key_time(minute), end=key_time(self._from)) | self._values
            self._from = minute

    def _index(self) -> tuple[int, list[str]]:
        if self._open is None:
            revision, value = self._store.document("rule", OPEN_KEY) or (0, {"ids": []})
            self._open = (revision, value["ids"])
        return self._open

    def _write_index(self, revision: int, ids: list[str]) -> None:
        if not self._store.put_document("rule", OPEN_KEY, revision, {"ids": ids}):
            raise Moved("the list of open incidents was written by another aggregator")
        self._open = (revision + 1, ids)


def to_tell(incident: Incident) -> list[str]:
    """What the notifier has to be told of an incident and was not: "firing", then "resolved"."""
    if incident["late"] or not incident["fired_at"]:
        return []
    said = incident["handed"]
    what = ["firing", "resolved"] if incident["state"] == "resolved" else ["firing"]
    return [one for one in what if one not in said]


