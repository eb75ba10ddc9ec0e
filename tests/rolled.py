"""A store with rollups written straight into it: what the report reads, without logs, grammars or folding."""

from collections import defaultdict
from collections.abc import Iterable

from logagg.record import Bucket, BucketKey, Chunk, Counts, Stream
from logagg.rollup.partial import labels_json
from logagg.rollup.sketch import Stat
from logagg.rollup.window import start_of
from logagg.store.memory import MemoryStore


class Rolled:
    """Collects what metrics saw at which minute; `store` folds it into quarters, hours and the zone's days."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._stats: dict[BucketKey, dict[str, list[Stat]]] = defaultdict(lambda: defaultdict(list))
        self._streams: list[Stream] = []
        self._read: dict[str, int] = {}

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

    def _add(self, metric: str, minute: int, labels: dict[str, str], stat: Stat) -> None:
        for step, zone in (("quarter", ""), ("hour", ""), ("day", self._zone)):
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
        return store
