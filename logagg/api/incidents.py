"""Incidents from the store's documents: those that are open, and all of them newest first, page by page.

An incident's key begins with its time (20261120T131530Z:rule:labels), so a range of keys is a range of time.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from logagg.clock import Clock
from logagg.interfaces import Store

KIND = "incident"
OPEN_STATES = ("pending", "firing")
STATES = (*OPEN_STATES, "resolved")
RECENT = timedelta(days=2)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
OPEN_FOR_MAX = timedelta(days=400)
LOOK_AGAIN_S = 60.0

Incident = dict[str, Any]


class OpenIncidents:
    """The incidents that are pending or firing. Asked every second: it reads the last two days and those that it knows
    to be open; everything that can still be open is read once a minute. May be used from several threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._looked_s: float | None = None

    def __call__(self) -> list[Incident]:
        """Newest first."""
        with self._lock:
            now, now_s = _moment(self._clock), self._clock.monotonic_s()
            all_of_them = self._looked_s is None or now_s - self._looked_s >= LOOK_AGAIN_S
            start = _key(now - (OPEN_FOR_MAX if all_of_them else RECENT))
            found = self._store.documents(KIND, start=start)
            for key in self._known - found.keys():
                document = self._store.document(KIND, key)
                if document is not None:
                    found[key] = document[1]
            if all_of_them:
                self._looked_s = now_s
            still = {key: value for key, value in found.items() if value.get("state") in OPEN_STATES}
            self._known = set(still)
            return [still[key] for key in sorted(still, reverse=True)]


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """Incidents, newest first; `next` is the key behind which the next page begins, None at the end."""

    rows: tuple[Incident, ...]
    next: str | None


def incident_page(store: Store, clock: Clock, *, states: tuple[str, ...] = (), rules: tuple[str, ...] = (),
                  from_us: int | None = None, to_us: int | None = None, before: str | None = None,
                  limit: int) -> IncidentPage:
    """At most `limit` incidents that began in [from, to).

    Without `states` those that turned out to be part of an earlier one ("merged") are left out.
    """
    rows: list[Incident] = []
    last = ""
    for key, value in _newest_first(store, clock, from_us, to_us, before):
        state = value.get("state")
        if (state in states if states else state != "merged") and (not rules or value.get("rule") in rules):
            if len(rows) == limit:
                return IncidentPage(tuple(rows), last)
            rows.append(value)
            last = key
    return IncidentPage(tuple(rows), None)


def incident(store: Store, key: str) -> Incident | None:
    document = store.document(KIND, key)
    return None if document is None else document[1]


def _newest_first(store: Store, clock: Clock, from_us: int | None, to_us: int | None,
                  before: str | None) -> Iterator[tuple[str, Incident]]:
    """All incidents, window of time by window of time, each larger than the one before."""
    low = EARLIEST if from_us is None else _from_us(from_us)
    start, end = _moment(clock), None if to_us is None else _key(_from_us(to_us))
    if end is not None:
        start = min(start, _from_us(to_us or 0))
    if before is not None:
        end = before if end is None else min(end, before)
        start = min(start, _time_of(before) or start)
    width = timedelta(days=1)
    while end is None or end > _key(low):
        start = max(start - width, low)
        first = _key(start) if start > EARLIEST else ""
        found = store.documents(KIND, start=first, end=end)
        yield from ((key, found[key]) for key in sorted(found, reverse=True))
        if start <= low:
            return
        end, width = first, width * 2


def _moment(clock: Clock) -> datetime:
    return _from_us(clock.now_us())


def _from_us(ts_us: int) -> datetime:
    try:
        return max(EARLIEST, EARLIEST + timedelta(microseconds=ts_us))
    except OverflowError:
        return datetime(9999, 1, 1, tzinfo=UTC)


def _key(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"


def _time_of(key: str) -> datetime | None:
    try:
        return datetime.strptime(key[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
