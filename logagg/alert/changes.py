"""Which minutes were rolled up anew since the engine looked last, and how far each source has been read.

Every fold writes the `records` bucket of each window that it touches, changed or not, so that bucket's revision tells
of anything in the window. Months are compared first, then the days, hours and minutes of those that changed; finer
revisions are remembered for the recent past only: what changes further back is taken as changed as a whole.

What is remembered is written down now and then, with how far each rule was evaluated (document "rule"/":seen"). To
have it older than the truth is harmless: what is evaluated again ends the same.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from logagg.alert.window import merged
from logagg.interfaces import Store
from logagg.rollup.metric import RECORDS
from logagg.rollup.partial import MINUTE_US
from logagg.rollup.window import FIRST_MINUTE, LAST_MINUTE, end_of

KIND, KEY = "rule", ":seen"
FINER = {"month": "day", "day": "hour", "hour": "minute"}
_KEPT_BEFORE = {"day": 72 * 1440, "hour": 4 * 1440, "minute": 300}
_KEPT_AFTER = {"day": 32 * 1440, "hour": 1560, "minute": 62}
UNFOLDED_MAX = 1000

Range = tuple[int, int]
Source = tuple[str, str]
"""(app, host)"""


@dataclass
class Progress:
    """`changed` are ranges of minutes with new content, rising. `read_to` tells for each source before which minute
    all of it has been read; a source that was never wholly read is not in it. `fresh`: nothing was remembered."""

    changed: list[Range]
    read_to: dict[Source, int]
    unfolded: Sequence[int] | None = ()     #: minutes that are not folded yet, rising; None: too many to tell
    fresh: bool = False
    seen: dict[str, dict[int, int]] = field(default_factory=dict)

    def folded(self, start: int, until: int) -> int:
        """How far [start, until) is folded. What is not folded further back holds up nothing: it is told as a change
        when it is."""
        if self.unfolded is None:
            return start
        at = bisect_left(self.unfolded, start)
        return min(until, self.unfolded[at]) if at < len(self.unfolded) else until


class Changes:
    """What the engine has seen. Call `read`, evaluate, then `done`: in between nothing is forgotten."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, dict[int, int]] = {}
        self._evaluated: dict[str, dict[str, int]] = {}
        self._loaded = False

    def read(self, now: int) -> Progress:
        """What is new at the minute `now`."""
        fresh = not self._load()
        # In this order: what the sources say was read is committed, so it is either not folded, or seen below.
        read_to = dict(self._observations())
        unfolded = self._unfolded()
        seen: dict[str, dict[int, int]] = {step: {} for step in ("month", *FINER.values())}
        changed = merged(list(self._changed("month", FIRST_MINUTE, LAST_MINUTE, now, seen)))
        return Progress(changed, read_to, unfolded, fresh, seen)

    def done(self, progress: Progress, now: int) -> None:
        """What `read` told is dealt with."""
        for step, revisions in progress.seen.items():
            kept = self._seen.setdefault(step, {}) | revisions
            if step != "month":
                kept = {start: revision for start, revision in kept.items() if _is_kept(step, start, start, now)}
            self._seen[step] = kept

    def evaluated(self, rule: str) -> dict[str, int]:
        """How far each group of a rule's label sets had been evaluated when that was written down."""
        self._load()
        return self._evaluated.get(rule, {})

    def save(self, evaluated: Mapping[str, Mapping[str, int]]) -> None:
        """Write down what was seen, and how far each rule was evaluated."""
        value: dict[str, Any] = {step: {str(start): revision for start, revision in revisions.items()}
                 for step, revisions in self._seen.items()}
        self._store.put_document(KIND, KEY, None, {"seen": value, "evaluated": evaluated})

    def _load(self) -> bool:
        """Whether anything was seen before."""
        if not self._loaded:
            document = self._store.document(KIND, KEY)
            if document:
                self._seen, self._evaluated = _loaded(document[1]["seen"]), document[1]["evaluated"]
            self._loaded = True
        return bool(self._seen)

    def _observations(self) -> Iterator[tuple[Source, int]]:
        for key, value in self._store.documents("observation").items():
            app, _, host = key.partition("@")
            yield (app, host), int(value["at_us"]) // MINUTE_US

    def _unfolded(self) -> list[int] | None:
        marks = self._store.unfolded(UNFOLDED_MAX)
        return None if len(marks) >= UNFOLDED_MAX else sorted({minute for mark in marks for minute in mark.dirty})

    def _changed(self, step: str, start: int, end: int, now: int, seen: dict[str, dict[int, int]]) -> Iterator[Range]:
        zone = "UTC" if step in ("month", "day") else ""
        known = self._seen.get(step, {})
        for key, bucket in self._store.buckets(step, zone, start, end, metric=RECORDS.name):
            if known.get(key.start) == bucket.revision:
                continue
            seen[step][key.start] = bucket.revision
            until = end_of(step, key.start, zone)
            finer = FINER.get(step)
            if finer and _is_kept(finer, key.start, until, now):
                yield from self._changed(finer, key.start, until, now, seen)
            else:
                yield key.start, until


def _is_kept(step: str, start: int, end: int, now: int) -> bool:
    return start >= now - _KEPT_BEFORE[step] and end <= now + _KEPT_AFTER[step]


def _loaded(value: Mapping[str, Any]) -> dict[str, dict[int, int]]:
    return {step: {int(start): revision for start, revision in revisions.items()}
            for step, revisions in value.items()}


def first_minute(store: Store, metrics: Sequence[str], apps: Sequence[str] | None = None) -> int | None:
    """The first minute that any of these metrics has, of these apps only; None where there is none."""
    firsts = (_first(store, metric, set(apps) if apps is not None else None) for metric in metrics)
    return min((first for first in firsts if first is not None), default=None)


def _first(store: Store, metric: str, apps: set[str] | None) -> int | None:
    start, end = FIRST_MINUTE, LAST_MINUTE
    for step in ("month", *FINER.values()):
        zone = "UTC" if step in ("month", "day") else ""
        found = next((key.start for key, bucket in store.buckets(step, zone, start, end, metric=metric)
                      if any(apps is None or _app(labels) in apps for labels in bucket.rows)), None)
        if found is None:
            # Minutes and hours may have expired: then the finest step that is there tells.
            return None if step == "month" else start
        start, end = found, end_of(step, found, zone)
    return start


def last_minute(store: Store, before: int) -> int:
    """The end of the last minute with records that begins before `before`; 0 where there is none."""
    start, end = FIRST_MINUTE, before
    for step in ("month", *FINER.values()):
        zone = "UTC" if step in ("month", "day") else ""
        found = [key.start for key, _ in store.buckets(step, zone, start, end, metric=RECORDS.name)]
        if not found:
            return FIRST_MINUTE if step == "month" else end
        start, end = found[-1], min(before, end_of(step, found[-1], zone))
    return end


def _app(labels: str) -> str:
    return str(json.loads(labels).get("app", ""))
