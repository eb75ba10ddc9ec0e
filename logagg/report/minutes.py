"""At which minutes a rare thing happened: hours first, then the minutes of those hours that saw it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from logagg.interfaces import Store
from logagg.rollup.sketch import Stat

HOUR = 60


@dataclass(frozen=True, slots=True)
class Moment:
    """What one counter saw from minute `start` on, `length` minutes long: 1, or 60 where the minutes have expired."""

    start: int
    length: int
    counts: Mapping[str, int]       #: labels as canonical JSON -> how many

    def labelled(self) -> Iterator[tuple[dict[str, str], int]]:
        for labels, count in sorted(self.counts.items()):
            yield json.loads(labels), count


def moments(store: Store, metric: str, start: int, end: int) -> list[Moment]:
    """When a counter saw anything in [start, end) minutes, rising. Hours without are not looked into."""
    hours = {key.start: _counts(bucket.rows)
             for key, bucket in store.buckets("hour", "", start - start % HOUR, end, metric=metric) if bucket.rows}
    found: dict[int, Moment] = {}
    for first, last in _runs(sorted(hours)):
        for key, bucket in store.buckets("minute", "", first, last, metric=metric):
            if bucket.rows:
                found[key.start] = Moment(key.start, 1, _counts(bucket.rows))
    seen = {minute - minute % HOUR for minute in found}
    expired = [Moment(hour, HOUR, counts) for hour, counts in hours.items() if hour not in seen]
    return sorted((one for one in (*found.values(), *expired) if start <= one.start < end), key=lambda one: one.start)


def _counts(rows: Mapping[str, bytes]) -> dict[str, int]:
    return {labels: Stat.from_bytes(data).count for labels, data in rows.items()}


def _runs(hours: list[int]) -> Iterator[tuple[int, int]]:
    """Hours that follow each other as [start, end) minutes."""
    first = last = None
    for hour in hours:
        if first is None or last is None or hour != last:
            if first is not None and last is not None:
                yield first, last
            first = hour
        last = hour + HOUR
    if first is not None and last is not None:
        yield first, last
