"""The records behind an incident: exact times, and the first and last of them as the public JSON has it.

Rollups count by the minute. Each question reads the events of one minute, at most `SCAN_MAX` of them; where there are
more, or where they have expired, the answer is None and the minute itself has to do.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from logagg.alert.rule import Rule
from logagg.interfaces import Store
from logagg.record import Event, Stream
from logagg.rollup.export import event_row
from logagg.rollup.partial import MINUTE_US, label_text

SCAN_MAX = 20_000
STREAMS_MAX = 10_000
KEPT_MAX = 2000

_Place = tuple[str, int, tuple[str, ...]]
"""A rule, a minute, and the names of its labels."""

_ByLabels = dict[tuple[str, ...], list[Event]]


class Evidence:
    """Looks up records in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._streams: dict[str, Stream] = {}
        self._kept: dict[_Place, _ByLabels | None] = {}
        self._kept_events = 0

    def forget(self) -> None:
        """Read anew what was kept: to be called before each evaluation."""
        self._kept.clear()
        self._kept_events = 0

    def nth(self, rule: Rule, labels: str, minute: int, n: int) -> tuple[int, dict[str, Any]] | None:
        """Time and row of the n-th event (from 1) of the rule's parts in a minute; n = -1: of the last."""
        found = None
        for number, event in enumerate(self._of(rule, json.loads(labels), minute), 1):
            found = event
            if number == n:
                break
        else:
            if n != -1:
                return None
        if found is None or found.ts_us is None:
            return None
        return found.ts_us, event_row(found, self._stream(found.stream))

    def _of(self, rule: Rule, labels: Mapping[str, str], minute: int) -> Iterable[Event]:
        """The events of one label set. Those of all label sets are kept, where they are few: often a hundred label
        sets of the same minute are asked for, one after the other."""
        place = (rule.name, minute, tuple(sorted(labels)))
        if place not in self._kept:
            if self._kept_events > KEPT_MAX:
                self.forget()
            found = list(islice(self._matching(rule, {}, minute), KEPT_MAX))
            few = len(found) < KEPT_MAX
            self._kept[place] = self._by_labels(found, place[2]) if few else None
            self._kept_events += len(found) if few else 0
        kept = self._kept[place]
        if kept is None:
            return self._matching(rule, labels, minute)
        return kept.get(tuple(labels[name] for name in place[2]), ())

    def _by_labels(self, events: Iterable[Event], names: tuple[str, ...]) -> _ByLabels:
        found: _ByLabels = {}
        for event in events:
            found.setdefault(tuple(self._label(event, name) for name in names), []).append(event)
        return found

    def _matching(self, rule: Rule, labels: Mapping[str, str], minute: int) -> Iterator[Event]:
        for event in self._store.events(from_us=minute * MINUTE_US, to_us=(minute + 1) * MINUTE_US,
                                        names=rule.parts, limit=SCAN_MAX):
            if (all(self._label(event, name) == value for name, value in labels.items())
                    and all((self._label(event, name) == value) == equal for name, equal, value in rule.where)):
                yield event

    def _label(self, event: Event, name: str) -> str:
        """What the counters have as this label (rollup/partial.py)."""
        if name in ("app", "host"):
            return label_text(getattr(self._stream(event.stream), name))
        if name == "event":
            return event.event or ""
        if name == "level":
            return label_text(event.level)
        return label_text((event.body.get("fields") or {}).get(name))

    def _stream(self, stream: str) -> Stream:
        if stream not in self._streams:
            if len(self._streams) >= STREAMS_MAX:
                self._streams.clear()
            self._streams[stream] = self._store.streams(id=stream)[0]
        return self._streams[stream]
