"""One rule at work: which minutes it has to look at, and the incidents that follow from them.

The incidents of a range of minutes are a function of the counters there, of how far the sources were read, and of
what was open before. So a range can be evaluated again at any time (more data, a crash, a replay) and ends the same.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from logagg.alert.changes import Progress, Range, Source
from logagg.alert.evidence import Evidence
from logagg.alert.incident import Incident, began, begun, is_open, is_void, summary_of, threshold, us_of, value_of
from logagg.alert.incident import reason_of as reason_of_reading
from logagg.alert.minutes import Counting, Minutes
from logagg.alert.rule import Rule
from logagg.alert.state import IDLE, Change, Phase, State, life
from logagg.alert.window import Counts, absence_readings, lookback, merged, threshold_readings
from logagg.rollup.partial import MINUTE_US, labels_json
from logagg.rollup.window import LAST_MINUTE
from logagg.times import rfc3339

GONE_MINUTES = 7 * 1440
"""A source that is configured nowhere here, and was not read for so much longer than others, holds up nothing."""

SOURCES_MAX = 1000
UNKNOWN_MINUTES = 2


@dataclass
class Lives:
    """Label set -> its state and its incident under way, while a range is evaluated."""

    states: dict[str, State] = field(default_factory=dict)
    open: dict[str, Incident] = field(default_factory=dict)

    def idle(self) -> bool:
        return not self.open


class Watch:
    """A rule with what it remembers (document "rule"/<name>): since when it counts, the sources that its events come
    from, and why it cannot tell now, if so. `complete`: how far each group of label sets was evaluated over complete
    minutes."""

    def __init__(self, rule: Rule, remembered: Mapping[str, Any], complete: Mapping[str, int],
                 configured: Collection[Source]) -> None:
        self.rule = rule
        self.since: int = remembered["since"]
        self.sources: set[Source] = {(app, host) for app, host in remembered.get("sources", ())}
        self.complete: dict[str, int] = dict(complete)
        self.unknown: str | None = remembered.get("unknown")
        self.known_from: int | None = None
        self._configured = set(configured)
        self._counting = Counting(rule)
        self._grouped = tuple(name for name in ("app", "host") if name in rule.by)
        self._now_complete: dict[str, int] = {}
        self._apps: set[str] = set()

    def remembered(self) -> dict[str, Any]:
        return {"since": self.since, "sources": sorted(map(list, self.sources)), "unknown": self.unknown}

    def is_new(self) -> bool:
        """Whether nothing was evaluated yet over minutes that are complete."""
        return not self.complete

    def spans(self, incident: Incident, at: int) -> bool:
        """Whether an incident reaches from before a minute to behind it."""
        resolved = incident["resolved_at"]
        return not is_void(incident) and began(incident) < at and (resolved is None or us_of(resolved) > at * MINUTE_US)

    def apps(self) -> set[str]:
        """The applications that ever wrote the rule's events."""
        return {app for app, _ in self.sources}

    # --- which minutes ----------------------------------------------------------------------------------------------

    def ranges(self, progress: Progress, first: Callable[[], int | None], floor: int) -> list[Range]:
        """What has to be evaluated: what has changed, and what has become complete; for a group of label sets that
        never was, from `first` on, where counting began."""
        self._now_complete = dict(self._completeness(progress))
        grown = []
        for group, until in self._now_complete.items():
            before = self.complete.get(group)
            if before is None:
                before = first()
            if before is not None and until > before:
                grown.append((before, until))
        self._apps = self.apps()
        start = max(self.since, floor)
        return merged([(max(a, start), b) for a, b in (*progress.changed, *grown)])

    def done(self) -> bool:
        """The ranges are evaluated, and their incidents stored. Whether that was all: where another application is
        found to write the rule's events, it is to be looked at again."""
        if self.apps() != self._apps:
            if self.rule.type == "absent":
                self.complete = {}      # what is known, and from when, has changed
            return False
        self.complete = {group: max(until, self.complete.get(group, 0))
                         for group, until in self._now_complete.items() if until > 0}
        return True

    def end(self) -> int:
        """The minute up to which anything is complete."""
        return max(self._now_complete.values(), default=0)

    def _completeness(self, progress: Progress) -> Iterator[tuple[str, int]]:
        """Each group of label sets, and the minute up to which all of its sources have been read and folded."""
        relevant = self._relevant(progress)
        newest = max((progress.read_to.get(source, -1) for source in relevant), default=-1)
        here = [source for source in relevant
                if source in self._configured or newest - progress.read_to[source] <= GONE_MINUTES]
        groups: dict[str, list[int]] = {} if self._grouped else {"": []}
        for source in relevant:
            groups.setdefault(self._group(dict(zip(("app", "host"), source, strict=True))), [])
        for source in here:
            group = self._group(dict(zip(("app", "host"), source, strict=True)))
            groups[group].append(progress.read_to.get(source, -1))
        for group, read_to in groups.items():
            before = self.complete.get(group, 0)
            until = progress.folded(before, min(read_to, default=newest))
            yield group, max(before, until)

    def _relevant(self, progress: Progress) -> list[Source]:
        """The sources that may write the rule's events: those of the applications that ever did, else all."""
        apps = self.apps()
        known = sorted(self._configured | progress.read_to.keys())
        return [source for source in known if source[0] in apps] or known

    def _group(self, labels: Mapping[str, str]) -> str:
        return labels_json({name: labels.get(name, "") for name in self._grouped}) if self._grouped else ""

    def complete_of(self, labels: str) -> int:
        return self._now_complete.get(self._group(json.loads(labels)) if self._grouped else "", 0)

    def look(self, progress: Progress, now: int) -> None:
        """See whether the rule can tell what is now."""
        behind = sorted(f"{app}@{host}" for app, host in self._relevant(progress)
                        if now - progress.read_to.get((app, host), -GONE_MINUTES) > UNKNOWN_MINUTES
                        and ((app, host) in self._configured
                             or now - progress.read_to[app, host] <= GONE_MINUTES))
        self.unknown = f"not read for more than {UNKNOWN_MINUTES} min: {', '.join(behind[:5])}" if behind else None

    # --- what follows from them -------------------------------------------------------------------------------------

    def carried(self, stored: Collection[Incident], start: int) -> Lives:
        """What was open when the range begins at `start`."""
        lives = Lives()
        for value in stored:
            if is_void(value) or began(value) >= self.first_of(start):
                continue
            resolved = value["resolved_at"]
            if resolved is None or us_of(resolved) > start * MINUTE_US:
                labels = labels_json(value["labels"])
                lives.open[labels] = self._opened(value, start)
                phase: Phase = "firing" if lives.open[labels]["fired_at"] else "pending"
                lives.states[labels] = State(phase, began(value))
        return lives

    def _opened(self, value: Incident, at: int) -> Incident:
        """The incident as it was at a moment before it was resolved."""
        opened = {**value, "resolved_at": None, "state": "firing", "reason": value["because"]}
        if not value["fired_at"] or (us_of(value["fired_at"]) > at * MINUTE_US and self.rule.hold):
            opened |= {"state": "pending", "fired_at": None, "first": None, "last": None, "event_from": None,
                       "event_to": None}
        if self.rule.type == "absent":
            opened |= {"last": None, "event_to": value["fired_at"], "value": threshold(self.rule)[0]}
        return opened

    def first_of(self, start: int) -> int:
        """The first minute in which an incident can begin that the minutes from `start` on make."""
        return start + 1 if self.rule.type == "ratio" or self.rule.hold else start

    def advance(self, lives: Lives, minutes: Minutes, evidence: Evidence, start: int, end: int, early_from: int,
                now_us: int) -> dict[str, Incident]:
        """Evaluate the minutes [start, end); the incidents as they are then, by id. `lives` moves on."""
        counts, sources = self._counting.counts(minutes, lookback(self.rule, start, end), end)
        if len(self.sources | sources) <= SOURCES_MAX:
            self.sources |= sources
        found: dict[str, Incident] = {}
        always = {"{}"} if self.rule.type == "absent" else set()
        for labels in sorted(counts.keys() | lives.states.keys() | always):
            seen = counts.get(labels) or Counts({})
            complete = self.complete_of(labels)
            for value in self._live(lives, labels, seen, start, end, complete, early_from, evidence, now_us):
                found[value["id"]] = value
        return found

    def _live(self, lives: Lives, labels: str, counts: Counts, start: int, end: int, complete: int, early_from: int,
              evidence: Evidence, now_us: int) -> Iterator[Incident]:
        """One label set's incidents of these minutes."""
        rule = self.rule
        readings = (absence_readings(rule, counts, start, end, complete,
                                     LAST_MINUTE if self.known_from is None else self.known_from)
                    if rule.type == "absent" else
                    threshold_readings(rule, counts, start, end, complete, early_from))
        before, value = lives.states.get(labels, IDLE), lives.open.get(labels)
        for state, change in life(readings, before, rule.hold, min(complete, end)):
            if change is None:
                continue
            value = self._changed(value, labels, change, counts, evidence, now_us)
            if state == IDLE:
                yield self._with_last(value, labels, counts, evidence, end)
                value = None
        if value is None:
            lives.states.pop(labels, None)
            lives.open.pop(labels, None)
            return
        value = self._with_last(value, labels, counts, evidence, min(complete, end))
        lives.states[labels], lives.open[labels] = state, value
        yield value

    def _changed(self, value: Incident | None, labels: str, change: Change, counts: Counts, evidence: Evidence,
                 now_us: int) -> Incident:
        """The incident after a change."""
        if value is None:
            value = begun(self.rule, labels, change.since, change.reading, now_us)
        if change.reason in ("fired", "held"):
            return self._fired(value, labels, change, counts, evidence)
        if change.reason == "ended_early":
            return {**value, "state": "resolved", "resolved_at": rfc3339(change.at * MINUTE_US),
                    "reason": "it did not hold for long enough to fire"}
        if change.reason == "resolved":
            return self._resolved(value, labels, change, evidence)
        return value

    def _fired(self, value: Incident, labels: str, change: Change, counts: Counts, evidence: Evidence) -> Incident:
        rule, reading = self.rule, change.reading
        fired_us = change.at * MINUTE_US
        first = None
        if rule.type == "absent":
            # The last record before the silence, where that began with one, and not with the day or the hours.
            if rule.due is None and counts.sums(reading.since - 1, reading.since)[0]:
                first = evidence.nth(rule, labels, reading.since - 1, -1)
            bounds = (reading.since * MINUTE_US, fired_us)
        else:
            minute = counts.first_event(reading.minute - rule.window + 1)
            minute = reading.minute if minute is None else minute
            first = evidence.nth(rule, labels, minute, 1)
            bounds = (first[0] if first else minute * MINUTE_US, (reading.minute + 1) * MINUTE_US)
            if rule.type in ("event", "count") and not rule.hold:
                earlier = counts.sums(reading.minute - rule.window + 1, reading.minute)[0]
                crossing = evidence.nth(rule, labels, reading.minute, max(1, int(rule.above) + 1 - earlier))
                fired_us = crossing[0] if crossing else fired_us
        reason = reason_of_reading(rule, reading)
        fired = rfc3339(fired_us)
        return {**value, "state": "firing", "fired_at": fired,
                "pending_at": value["pending_at"] if rule.hold else fired,
                "value": value_of(rule, reading), "reason": reason, "because": reason,
                "summary": summary_of(rule, value["labels"], reason),
                "event_from": rfc3339(bounds[0]), "event_to": rfc3339(bounds[1]),
                "first": first[1] if first else None, "last": None}

    def _resolved(self, value: Incident, labels: str, change: Change, evidence: Evidence) -> Incident:
        rule, at_us = self.rule, change.at * MINUTE_US
        if rule.type != "absent":
            reason = "none came" if rule.type == "event" else "it is not too many any more"
            return {**value, "state": "resolved", "resolved_at": rfc3339(at_us), "reason": reason}
        came = evidence.nth(rule, labels, change.reading.minute, 1)
        at_us = max(came[0] if came else at_us, us_of(value["fired_at"]))
        silent_from = us_of(value["event_from"] if rule.due is None else value["fired_at"])
        return {**value, "state": "resolved", "resolved_at": rfc3339(at_us), "reason": "it came",
                "value": (at_us - silent_from) // MINUTE_US, "event_to": rfc3339(at_us),
                "last": came[1] if came else None}

    def _with_last(self, value: Incident, labels: str, counts: Counts, evidence: Evidence, until: int) -> Incident:
        """The incident with its last event before `until` and before it was over."""
        if self.rule.type == "absent" or not value["fired_at"]:
            return value
        if value["resolved_at"]:
            until = us_of(value["resolved_at"]) // MINUTE_US
        seen_to = us_of(value["fired_at"]) // MINUTE_US + (self.rule.type != "ratio" and not self.rule.hold)
        minute = counts.last_event(max(until, seen_to))
        if minute is None or (value["last"] and (minute + 1) * MINUTE_US <= us_of(value["event_to"])):
            return value
        last = evidence.nth(self.rule, labels, minute, -1)
        return {**value, "last": last[1] if last else value["last"],
                "event_to": rfc3339(last[0] if last else (minute + 1) * MINUTE_US)}

    # --- what is stored and does not follow any more ----------------------------------------------------------------

    def obsolete(self, stored: Collection[Incident], computed: Mapping[str, Incident], start: int, end: int,
                 early_from: int, now_us: int) -> Iterator[Incident]:
        """Stored incidents that began in what was evaluated, and do not follow from it any more, as they are now."""
        for value in stored:
            at = began(value)
            if value["id"] in computed or value["state"] == "merged" or not self.first_of(start) <= at < end:
                continue
            labels = labels_json(value["labels"])
            if at >= self.complete_of(labels) and at < early_from:
                continue                        # cannot be told any more, nor yet
            into = next((one for one in computed.values() if one["labels"] == value["labels"]
                         and _overlap(one, value)), None)
            if into is not None:
                told = {*into["handed"], *value["handed"]}
                into["handed"] = sorted(told - {"resolved"} if is_open(into) else told)    # its end is still to come
                into["late"] = into["late"] and not value["handed"]
                into["detected_at"] = min(into["detected_at"], value["detected_at"])
                yield {**value, "state": "merged", "merged_into": into["id"], "fired_at": None,
                       "resolved_at": rfc3339(now_us), "reason": "it is part of an incident that began earlier"}
            elif is_open(value) or not value.get("withdrawn"):
                yield {**value, "state": "resolved", "withdrawn": True,
                       "resolved_at": value["resolved_at"] or rfc3339(now_us),
                       "reason": "withdrawn: it does not follow from what is known now"}


def _overlap(one: Incident, other: Incident) -> bool:
    """Whether two incidents have a moment in common; what ended is at least a minute long."""
    def bounds(value: Incident) -> tuple[int, int]:
        resolved = value["resolved_at"]
        return began(value), us_of(resolved) // MINUTE_US if resolved else LAST_MINUTE
    (a, b), (c, d) = bounds(one), bounds(other)
    return a <= max(d, c + 1) and c <= max(b, a + 1)
