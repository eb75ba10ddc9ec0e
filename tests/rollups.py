"""What rollup tests share: batches, chunks with partials, and a brute-force recomputation that shares no code."""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from logagg.columns import Spans, ints, times_of
from logagg.grammar.claims import EventGroup
from logagg.interfaces import Store
from logagg.record import Chunk, Record, Stream
from logagg.rollup.metric import Metric, MetricSet
from logagg.rollup.partial import partials
from logagg.rollup.sketch import Stat

STEPS = ("minute", "quarter", "hour", "day", "week", "month")

METRICS = MetricSet([
    Metric("das_calls", "counter", ("das_call", "das_failure"), labels=("host", "operation")),
    Metric("das_failures", "counter", ("das_failure",), labels=("host", "operation", "code")),
    Metric("das_time", "distribution", ("das_call",), field="duration_ms", unit="ms", labels=("operation",)),
    Metric("amounts", "distribution", ("payment_ok",), field="amount", unit="EUR", step=0.01),
    Metric("das_failure_rate", "ratio", part=("das_failures",), whole=("das_calls",)),
])


@dataclass
class Columns:
    """A Batch and Claims at once, from rows (ts_us, level, event or None, fields)."""

    rows_given: Sequence[tuple[int | None, str | None, str | None, dict[str, Any]]]
    rejects: dict[int, str] = field(default_factory=dict)
    base: int = 0
    block: bytes = b""
    end: int = 0
    skipped: int = 0

    def __post_init__(self) -> None:
        self.ts_us = [row[0] for row in self.rows_given]
        self.levels = [row[1] for row in self.rows_given]
        self.starts = list(range(len(self)))
        self.loggers: list[bytes | None] = [None] * len(self)
        self.texts = self.first_lines = Spans.of([b""] * len(self))
        self.times = times_of(self.ts_us)
        self.level_names = [None, *dict.fromkeys(level for level in self.levels if level is not None)]
        self.level_codes = ints([self.level_names.index(level) for level in self.levels])
        self.carry: dict[str, Any] = {}
        self.rows = [i for i, row in enumerate(self.rows_given) if row[2] is not None]
        self.names = [str(self.rows_given[i][2]) for i in self.rows]
        self.fields = [self.rows_given[i][3] for i in self.rows]
        self.groups = [self._group(event) for event in dict.fromkeys(self.names)]

    def _group(self, event: str) -> EventGroup:
        rows = [i for i in self.rows if self.rows_given[i][2] == event]
        names = dict.fromkeys(name for i in rows for name in self.rows_given[i][3])
        return EventGroup(event, ints(rows), {name: [self.rows_given[i][3].get(name) for i in rows] for name in names})

    def __len__(self) -> int:
        return len(self.rows_given)

    def record(self, i: int) -> Record:
        return Record(i, 1)


def utc(text: str) -> int:
    """Microseconds of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def commit(store: Store, stream: str, batches: Iterable[Columns], *, host: str = "h1", app: str = "xivr",
           metrics: MetricSet = METRICS) -> None:
    """Commit one closed chunk per batch behind what the stream has."""
    for batch in batches:
        there = store.streams(id=stream)
        at, revision = (there[0].end, there[0].revision) if there else (0, 0)
        made = tuple(partials(batch, batch, metrics, app, host, None))
        times = [ts for ts in batch.ts_us if ts is not None]
        chunk = Chunk(stream, at, at + 10, b"raw", ts_from_us=min(times, default=None),
                      ts_to_us=max(times, default=None), partials=made)
        state = Stream(stream, host, app, f"/var/log/{stream}.log", "first", revision=revision, end=at + 10,
                       resume=at + 10)
        assert store.commit([(state, [chunk])]) == ["committed"]


def random_rows(rng: random.Random, from_us: int, to_us: int, n: int) -> list[tuple[Any, ...]]:
    """Rows of DAS calls and failures, payments and plain records at random times."""
    rows: list[tuple[Any, ...]] = []
    for _ in range(n):
        ts = rng.randrange(from_us, to_us)
        kind = rng.random()
        if kind < 0.5:
            fields = {"operation": rng.choice("ab"), "duration_ms": int(rng.lognormvariate(5, 2)) - 5}
            rows.append((ts, "INFO", "das_call", fields))
        elif kind < 0.6:
            rows.append((ts, "ERROR", "das_failure", {"operation": rng.choice("ab"), "code": rng.choice("XYZ")}))
        elif kind < 0.7:
            rows.append((ts, "INFO", "payment_ok", {"amount": rng.randrange(100_000) / 100}))
        else:
            rows.append((rng.choice([ts, ts, ts, None]), rng.choice(["INFO", "WARN", None]), None, {}))
    return rows


def expected(rows_by_host: dict[str, list[tuple[Any, ...]]], step: str, zone: str) -> dict[tuple[Any, ...], Stat]:
    """(metric, start in minutes, labels) -> Stat, from all rows at once and with datetime alone."""
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    values: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for host, rows in rows_by_host.items():
        for ts, level, event, fields in rows:
            if ts is None:
                continue
            start = bucket_start(ts, step, zone)
            counts["records", start, text(app="xivr", host=host, level=level or "")] += 1
            if event in ("das_call", "das_failure"):
                counts["das_calls", start, text(host=host, operation=fields["operation"])] += 1
            if event == "das_failure":
                labels = text(host=host, operation=fields["operation"], code=fields["code"])
                counts["das_failures", start, labels] += 1
            if event == "das_call":
                values["das_time", start, text(operation=fields["operation"])].append(fields["duration_ms"])
            if event == "payment_ok":
                values["amounts", start, text()].append(round(fields["amount"] * 100))
    return ({key: Stat(n) for key, n in counts.items()} | {key: Stat.of(found) for key, found in values.items()})


def text(**labels: str) -> str:
    return json.dumps(labels, sort_keys=True, separators=(",", ":"))


def bucket_start(ts_us: int, step: str, zone: str) -> int:
    """The start of a bucket in minutes, by local wall clock (for zones whose midnights exist once)."""
    moment = datetime.fromtimestamp(ts_us // 1_000_000, UTC)
    if step in ("minute", "quarter", "hour"):
        length = {"minute": 60, "quarter": 900, "hour": 3600}[step]
        return int(moment.timestamp()) // length * length // 60
    day = moment.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if step == "week":
        day -= timedelta(days=day.weekday())
    if step == "month":
        day = day.replace(day=1)
    return int(day.timestamp()) // 60


def stored(store: Store, step: str, zone: str) -> dict[tuple[Any, ...], bytes]:
    """(metric, start, labels) -> bytes, of all rows that a store has for one step."""
    return {(key.metric, key.start, labels): data
            for key, bucket in store.buckets(step, zone, -10**9, 10**10) for labels, data in bucket.rows.items()}


def snapshot(store: Store, zones: Sequence[str]) -> dict[tuple[Any, ...], dict[tuple[Any, ...], bytes]]:
    """All rollups of a store by (step, zone)."""
    places = [(step, "") for step in STEPS[:3]] + [(step, zone) for step in STEPS[3:] for zone in zones]
    return {place: stored(store, *place) for place in places}
