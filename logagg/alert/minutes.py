"""The rules' counters by the minute, read from the store once and kept while they are needed."""

import json
from collections.abc import Collection, Sequence
from typing import Any

from logagg.alert.changes import Range, Source
from logagg.alert.rule import Rule
from logagg.alert.window import Counts, merged
from logagg.interfaces import Store
from logagg.rollup.partial import labels_json
from logagg.rollup.sketch import Stat

LABELS_MAX = 20_000

Rows = dict[str, int]
"""labels (canonical JSON) -> how many"""


class Minutes:
    """Counters of a store: metric -> minute -> rows."""

    def __init__(self, store: Store, metrics: Collection[str]) -> None:
        self._store = store
        self._rows: dict[str, dict[int, Rows]] = {metric: {} for metric in metrics}
        self._loaded: list[Range] = []

    def rows(self, metric: str, start: int, end: int) -> list[tuple[int, Rows]]:
        """What the minutes [start, end) have of a metric, by rising minute."""
        self._load(start, end)
        there = self._rows[metric]
        if end - start < len(there):
            return [(minute, there[minute]) for minute in range(start, end) if minute in there]
        return sorted((minute, rows) for minute, rows in there.items() if start <= minute < end)

    def forget(self, ranges: Sequence[Range]) -> None:
        """What was loaded of these ranges is to be read again."""
        for start, end in ranges:
            lost = [piece for one in self._loaded if (piece := (max(start, one[0]), min(end, one[1])))[0] < piece[1]]
            self._loaded = without(self._loaded, start, end)
            for first, last in lost:
                for there in self._rows.values():
                    for minute in [one for one in there if first <= one < last]:
                        del there[minute]

    def _load(self, start: int, end: int) -> None:
        missing = [(start, end)]
        for first, last in self._loaded:
            missing = without(missing, first, last)
        for first, last in missing:
            for key, bucket in self._store.buckets("minute", "", first, last):
                if bucket.rows and key.metric in self._rows:
                    self._rows[key.metric][key.start] = {
                        labels: Stat.from_bytes(stat).count for labels, stat in bucket.rows.items()}
        self._loaded = merged([*self._loaded, *missing])


def without(ranges: Sequence[Range], start: int, end: int) -> list[Range]:
    """The ranges less [start, end)."""
    pieces = [piece for one in ranges for piece in ((one[0], min(one[1], start)), (max(one[0], end), one[1]))]
    return merged(pieces)


class Counting:
    """One rule's view of the counters: by the label sets that it watches, without what its `where` excludes."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._metrics = [metric.name for metric in rule.counters()]
        self._labels: dict[str, tuple[str | None, Source]] = {}

    def counts(self, minutes: Minutes, start: int, end: int) -> tuple[dict[str, Counts], set[Source]]:
        """Each label set's counts in [start, end), and the sources that they come from."""
        found: dict[str, list[dict[int, int]]] = {}
        sources: set[Source] = set()
        for i, metric in enumerate(self._metrics):
            for minute, rows in minutes.rows(metric, start, end):
                for labels, n in rows.items():
                    watched, source = self._watched(labels)
                    sources.add(source)
                    if watched is not None:
                        counted = found.setdefault(watched, [{}, {}])[i]
                        counted[minute] = counted.get(minute, 0) + n
        return {labels: Counts(*counted) for labels, counted in found.items()}, sources

    def _watched(self, labels: str) -> tuple[str | None, Source]:
        """The label set, as canonical JSON, that a counter's row belongs to, None for none; and the row's source."""
        known = self._labels.get(labels)
        if known is None:
            if len(self._labels) >= LABELS_MAX:
                self._labels.clear()
            fields = json.loads(labels)
            source = (fields.get("app", ""), fields.get("host", ""))
            known = self._labels[labels] = (self._label_set(fields), source)
        return known

    def _label_set(self, fields: dict[str, Any]) -> str | None:
        if any((fields.get(name, "") == value) != equal for name, equal, value in self._rule.where):
            return None
        return labels_json({name: fields.get(name, "") for name in self._rule.by})
