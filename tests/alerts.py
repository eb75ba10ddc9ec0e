"""What alert tests share: a store that is written to step by step, rules, and what of an incident must be equal."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from logagg.alert.engine import Engine
from logagg.alert.rule import Rule, counters, make_rule
from logagg.clock import StepClock
from logagg.interfaces import Store
from logagg.record import Chunk, Event, Stream
from logagg.rollup.fold import Folder
from logagg.rollup.metric import MetricSet
from logagg.rollup.partial import partials
from logagg.store.memory import MemoryStore
from tests.rollups import Columns

Row = tuple[int, str, dict[str, Any]]
"""(time in microseconds, event, fields)"""

ZONE = "America/New_York"


def utc(text: str) -> int:
    """Microseconds of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


def minute(text: str) -> int:
    return utc(text) // 60_000_000


def rule(**values: Any) -> Rule:
    """A rule from the keys of its table; `for_` is `for`."""
    return make_rule({"timezone": ZONE, "send": ["ops"], **{key.rstrip("_"): value for key, value in values.items()}})


class Told:
    """A notifier that remembers: (id, state) as often as it was told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def notify(self, incident: Mapping[str, Any]) -> None:
        self.said.append((incident["id"], incident["state"]))


class World:
    """A store with its writers, folder and engine."""

    def __init__(self, rules: Sequence[Rule], *, sources: Sequence[tuple[str, str]] = (("xivr", "h1"),),
                 store: Store | None = None, now: str = "2026-11-20T12:00:00") -> None:
        self.rules = rules
        self.sources = sources
        self.metrics = MetricSet(counters(rules))
        self.store: Store = store or MemoryStore()
        self.clock = StepClock(utc(now))
        self.told = Told()
        self.engine = self.new_engine()

    def new_engine(self) -> Engine:
        """As after a restart."""
        self.engine = Engine(self.store, self.rules, self.metrics, self.sources, notifier=self.told, clock=self.clock,
                             age_max_s=3600)
        return self.engine

    def at(self, text: str) -> None:
        self.clock.step((utc(text) - self.clock.now_us()) / 1e6)

    def write(self, rows: Sequence[Row], *, app: str = "xivr", host: str = "h1", fold: bool = True) -> None:
        """Commit records, one chunk, as one stream of (app, host)."""
        name = f"{app}-{host}"
        there = self.store.streams(id=name)
        at, revision = (there[0].end, there[0].revision) if there else (0, 0)
        batch = Columns([(ts, "ERROR", event, fields) for ts, event, fields in rows])
        events = tuple(Event(name, at + i, ts, "ERROR", event,
                             {"ts": str(ts), "event": event, "fields": fields, "message": f"{event} {fields}"})
                       for i, (ts, event, fields) in enumerate(rows))
        chunk = Chunk(name, at, at + len(rows), b"raw", ts_from_us=min(row[0] for row in rows),
                      ts_to_us=max(row[0] for row in rows), events=events,
                      partials=tuple(partials(batch, batch, self.metrics, app, host, None)))
        stream = Stream(name, host, app, f"/var/log/{name}.log", "first", revision=revision, end=chunk.end,
                        resume=chunk.end)
        assert self.store.commit([(stream, [chunk])]) == ["committed"]
        if fold:
            self.fold()

    def fold(self) -> None:
        Folder(self.store, self.metrics).fold_all()

    def read_to(self, text: str | int, *, app: str = "xivr", host: str = "h1") -> None:
        """The source was read to its end at this time."""
        at_us = utc(text) if isinstance(text, str) else text
        self.store.put_document("observation", f"{app}@{host}", None, {"at_us": at_us, "paths": 1})

    def evaluate(self) -> list[dict[str, Any]]:
        return self.engine.evaluate()

    def incidents(self) -> list[dict[str, Any]]:
        """All that are not part of others, by id."""
        return [value for value in self.store.documents("incident").values() if value["state"] != "merged"]

    def one(self) -> dict[str, Any]:
        [value] = self.incidents()
        return value


def essence(incidents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What must not depend on when and how often it was evaluated."""
    return [{key: value for key, value in one.items() if key not in ("detected_at", "late", "handed")}
            for one in incidents]


def events(event: str, *times: str, **fields: Any) -> list[Row]:
    return [(utc(time), event, fields) for time in times]
