"""A store with rollups written straight into it: what the report reads, without logs, grammars or folding."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from logagg.record import Bucket, BucketKey, Chunk, Counts, Stream
from logagg.rollup.partial import labels_json
from logagg.rollup.sketch import Stat
from logagg.rollup.window import start_of
from logagg.store.memory import MemoryStore


class Rolled:
    """Collects what metrics saw at which minute; `store` folds it into every step, in one zone."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._stats: dict[BucketKey, dict[str, list[Stat]]] = defaultdict(lambda: defaultdict(list))
        self._streams: list[Stream] = []
        self._read: dict[str, int] = {}
        self._incidents: list[dict[str, Any]] = []

    def count(self, metric: str, minute: int, n: int = 1, **labels: str) -> None:
        """A counter saw `n` events."""
        self._add(metric, minute, labels, Stat(n))

    def values(self, metric: str, minute: int, values: Iterable[int], **labels: str) -> None:
        """A distribution saw these values, in steps."""
        self._add(metric, minute, labels, Stat.of(values))

    def stream(self, app: str, host: str, path: str, size: int, *, counts: Counts | None = None,
               dropped: dict[str, int] | None = None, read_us: int | None = None) -> None:
        """A file of `size` bytes, read to its end at `read_us` (None: not observed)."""
        self._streams.append(Stream(f"{app}@{host}:{path}", host, app, path, "first", end=size, resume=size,
                                    counts=counts or Counts(), dropped=dropped or {}))
        if read_us is not None:
            self._read[f"{app}@{host}"] = read_us

    def incident(self, rule: str, fired_at: str, resolved_at: str | None, **values: Any) -> None:
        """An incident as the alert engine keeps it; times in RFC 3339, UTC."""
        key = f"{fired_at.replace('-', '').replace(':', '')}:{rule}:00000000"
        self._incidents.append({
            "id": key, "rule": rule, "labels": {}, "severity": "critical", "type": "count", "unit": "1",
            "state": "resolved" if resolved_at else "firing", "fired_at": fired_at, "resolved_at": resolved_at,
            "value": 7, "threshold": 3, "late": False, "reason": "", "summary": f"{rule} fired", **values})

    def _add(self, metric: str, minute: int, labels: dict[str, str], stat: Stat) -> None:
        zoned = ((step, self._zone) for step in ("day", "week", "month"))
        for step, zone in (("minute", ""), ("quarter", ""), ("hour", ""), *zoned):
            key = BucketKey(metric, step, zone, start_of(step, minute, zone))
            self._stats[key][labels_json(labels)].append(stat)

    def store(self) -> MemoryStore:
        store = MemoryStore()
        for stream in self._streams:
            store.commit([(stream, [Chunk(stream.id, 0, stream.end, b"raw")])])
        store.fold({
            key: Bucket(0, {labels: Stat.merged(stats).to_bytes() for labels, stats in rows.items()})
            for key, rows in self._stats.items()
        }, store.unfolded(1000))
        store.put_document("zone", self._zone, 0, {"ready": True})
        for source, at_us in self._read.items():
            store.put_document("observation", source, 0, {"at_us": at_us, "paths": 1})
        for incident in self._incidents:
            store.put_document("incident", incident["id"], 0, incident)
        return store
