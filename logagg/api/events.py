"""Stored records by filters, newest or oldest first, in pages of bounded cost.

The store gives events by rising time. Newest first walks back in windows of time: each is read whole, a window that
holds too much is halved, one that holds little makes the next larger. A filter that the store does not know (level,
text) is tried on each event; when a page has looked at enough, it ends early and its cursor goes on from there, so
that no question holds the store for long and none is given up.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from logagg.clock import Clock
from logagg.interfaces import Store
from logagg.record import Event, Stream

LOOK_S = 5.0
WINDOW_EVENTS_MAX = 4000
WINDOW_US = 60_000_000
DAY_US = 86_400_000_000
END_US = 253_402_300_800_000_000        #: the year 10000

Key = tuple[int, str, int]
"""An event's place in the order of time: (ts_us or -1, stream, offset). Without a stream: the end of a window at which
a page ended early, with the next window's width in the offset's place."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are meant; empty and None: all. `text` is looked for in message, exception, fields and MDC,
    small and capital letters alike; `levels` are compared in the same way."""

    apps: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    from_us: int | None = None
    to_us: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events with their streams in the order asked for. `next`: where the next page begins, None at the end;
    `cut`: the page ends early because enough was looked at."""

    rows: tuple[tuple[Event, Stream], ...]
    next: Key | None
    cut: bool


def event_page(store: Store, wanted: Wanted, clock: Clock, *, newest_first: bool, after: Key | None, limit: int,
               look_s: float = LOOK_S) -> EventPage:
    """At most `limit` events that follow `after` in the order asked for."""
    streams = {stream.id: stream for stream in store.streams()
               if (not wanted.apps or stream.app in wanted.apps) and (not wanted.hosts or stream.host in wanted.hosts)}
    if not streams:
        return EventPage((), None, False)
    walk = _Walk(store, wanted, streams, clock.monotonic_s() + look_s, clock)
    steps = walk.newest_first(after) if newest_first else walk.oldest_first(after)
    rows: list[tuple[Event, Stream]] = []
    at: Key | None = None
    for key, event in steps:
        if len(rows) == limit:
            return EventPage(tuple(rows), at, False)
        at = key
        if event is not None:
            rows.append((event, streams[event.stream]))
    return EventPage(tuple(rows), walk.stopped, walk.stopped is not None)


@dataclass(slots=True)
class _Walk:
    """One way through the events; `stopped` is where it ended before the end."""

    store: Store
    wanted: Wanted
    streams: dict[str, Stream]
    until_s: float
    clock: Clock
    stopped: Key | None = None
    levels: frozenset[str] = frozenset()
    text: str = ""

    def __post_init__(self) -> None:
        self.levels = frozenset(level.casefold() for level in self.wanted.levels)
        self.text = self.wanted.text.casefold()

    def oldest_first(self, after: Key | None) -> Iterator[tuple[Key, Event | None]]:
        for i, event in enumerate(self._read(self.wanted.from_us, self.wanted.to_us, after)):
            if self._fits(event):
                yield key_of(event), event
            if i % 100 == 99 and self._is_late():
                self.stopped = key_of(event)
                return

    def newest_first(self, before: Key | None) -> Iterator[tuple[Key, Event | None]]:
        if before is None or before[0] >= 0:
            yield from self._timed(before)
            if self.stopped is not None:
                return
        if self.wanted.from_us is None and self.wanted.to_us is None:
            yield from self._untimed(before if before is not None and before[0] < 0 else None)

    def _timed(self, before: Key | None) -> Iterator[tuple[Key, Event | None]]:
        low = self.wanted.from_us if self.wanted.from_us is not None else 0
        high = self.wanted.to_us if self.wanted.to_us is not None else END_US
        if before is not None:
            high = min(high, before[0] + (before[1] != ""))
        # What lies ahead of every clock is rare, and one window.
        now = max([self.clock.now_us(), *(stream.last_ts_us or 0 for stream in self.streams.values())]) + DAY_US
        width = high - now if high > now else WINDOW_US
        if before is not None and before[1] == "":
            width = max(1, before[2])
        while high > low:
            start = max(high - width, low)
            found = list(self._read(start, high, None, limit=WINDOW_EVENTS_MAX + 1))
            if len(found) > WINDOW_EVENTS_MAX and high - start > 1:
                width = max(1, (high - start) // 2)
                continue
            if len(found) > WINDOW_EVENTS_MAX:      # one microsecond that holds that many
                found = list(self._read(start, high, None))
            for event in reversed(found):
                if (before is None or key_of(event) < before) and self._fits(event):
                    yield key_of(event), event
            width = WINDOW_US if high > now else _next_width(width, len(found))
            high = start
            if high > low and self._is_late():
                self.stopped = (high, "", width)
                return

    def _untimed(self, before: Key | None) -> Iterator[tuple[Key, Event | None]]:
        """Events without a time, which come before all others: those last in (stream, offset) first."""
        last: deque[Event] = deque(maxlen=WINDOW_EVENTS_MAX)
        fitting = 0
        for event in self.store.events(names=self.wanted.events or None):
            if event.ts_us is not None or (before is not None and key_of(event) >= before):
                break
            if self._fits(event):
                last.append(event)
                fitting += 1
        for event in reversed(last):
            yield key_of(event), event
        if fitting > len(last):
            self.stopped = key_of(last[0])

    def _read(self, from_us: int | None, to_us: int | None, after: Key | None, *,
              limit: int | None = None) -> Iterator[Event]:
        one = next(iter(self.streams)) if len(self.streams) == 1 else None
        return self.store.events(from_us=from_us, to_us=to_us, names=self.wanted.events or None, stream=one,
                                 after=after, limit=limit)

    def _is_late(self) -> bool:
        return self.clock.monotonic_s() >= self.until_s

    def _fits(self, event: Event) -> bool:
        if event.stream not in self.streams:
            return False
        if self.levels and (event.level or "").casefold() not in self.levels:
            return False
        return not self.text or any(self.text in part.casefold() for part in _texts(event))


def _next_width(width: int, events: int) -> int:
    """So wide that the next window may hold half of what one holds at most; at most four times wider."""
    aim = max(1, WINDOW_EVENTS_MAX // 2)
    return width * 4 if events * 4 <= aim else max(1, width * aim // events)


def key_of(event: Event) -> Key:
    return (-1 if event.ts_us is None else event.ts_us, event.stream, event.offset)


def _texts(event: Event) -> Iterator[str]:
    """Every text of an event that people search for."""
    body = event.body
    for name in ("message", "exception"):
        if body.get(name):
            yield body[name]
    for name in ("fields", "mdc"):
        for value in (body.get(name) or {}).values():
            yield str(value)


def known_events(packs: Sequence[Any]) -> list[str]:
    """The names of events that the packs' grammars make, and of rejects, sorted."""
    return sorted({"reject", *(rule for pack in packs for rule in pack.grammar.rules)})
