"""At which minutes a rare thing happened: hours first, then the minutes of those hours that saw it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from logagg.interfaces import Store
from logagg.rollup.sketch import Stat

HOUR = 60
QUARTER = 15

_LENGTHS = {"hour": HOUR, "quarter": QUARTER, "minute": 1}


@dataclass(frozen=True, slots=True)
class Moment:
    """What one counter saw from minute `start` on, `length` minutes long: 1, or 15 or 60 where that is told so."""

    start: int
    length: int
    rows: Mapping[str, bytes]       #: as in a Bucket

    def labelled(self) -> Iterator[tuple[dict[str, str], int]]:
        """How many, for each set of labels."""
        for labels, data in sorted(self.rows.items()):
            yield json.loads(labels), Stat.from_bytes(data).count


def moments(store: Store, metric: str, start: int, end: int) -> list[Moment]:
    """When a counter saw anything in [start, end) minutes, rising. Hours without are not looked into."""
    hours = _seen(store, metric, "hour", start - start % HOUR, end)
    return _within(_finer(store, metric, hours, hours, "minute"), start, end)


def moments_beside_pauses(store: Store, metric: str, start: int, end: int) -> list[Moment]:
    """The same for a counter that may see something every minute: in minutes only beside a quarter of an hour that
    saw nothing, else in quarters. That tells each pause of half an hour and more to the minute, since one that long
    has such a quarter in it, and reads little of a busy month."""
    hours = _seen(store, metric, "hour", start - start % HOUR, end)
    quarters = _finer(store, metric, hours, hours, "quarter")
    beside = [quarter for quarter, one in quarters.items() if one.length == QUARTER
              and not {quarter - QUARTER, quarter + QUARTER} <= quarters.keys()]
    return _within(_finer(store, metric, quarters, beside, "minute"), start, end)


def _seen(store: Store, metric: str, step: str, start: int, end: int) -> dict[int, Moment]:
    return {key.start: Moment(key.start, _LENGTHS[step], bucket.rows)
            for key, bucket in store.buckets(step, "", start, end, metric=metric) if bucket.rows}


def _finer(store: Store, metric: str, coarse: Mapping[int, Moment], some: Iterable[int],
           step: str) -> dict[int, Moment]:
    """The moments with `some` of them told in a finer step, where that has not expired."""
    found: dict[int, Moment] = {}
    for first, last in _runs((start, start + coarse[start].length) for start in sorted(some)):
        found |= _seen(store, metric, step, first, last)
    length = next((coarse[start].length for start in some), HOUR)
    told = {start - start % length for start in found}
    return {start: one for start, one in coarse.items() if start not in told} | found


def _within(found: Mapping[int, Moment], start: int, end: int) -> list[Moment]:
    return sorted((one for one in found.values() if start <= one.start < end), key=lambda one: one.start)


def _runs(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans [start, end), given by rising start, that follow each other as one."""
    first = last = None
    for start, end in spans:
        if first is not None and last is not None and start != last:
            yield first, last
            first = start
        first, last = start if first is None else first, end
    if first is not None and last is not None:
        yield first, last
