"""A batch and its events -> the chunk's partials, one per minute; and partials -> merged Stats.

A partial's data is canonical UTF-8 JSON: {metric: {labels: Stat.to_json()}}, keys sorted, labels the canonical JSON of
an object of strings. Equal content gives equal bytes.

What has no time, or one outside 1970 to 9997, contributes nowhere: the ledger's records less the metric `records` tells
how many these were. A value that is no number, or larger than 10**18 steps, is left out of its distribution; the
metrics that count the event show how many.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from itertools import compress
from math import isfinite
from typing import TYPE_CHECKING, Any

from logagg.interfaces import Batch, ClaimGroup, Claims
from logagg.record import Partial
from logagg.rollup.metric import Metric, MetricSet
from logagg.rollup.sketch import VALUE_MAX, Stat
from logagg.rollup.window import FIRST_MINUTE, LAST_MINUTE

if TYPE_CHECKING:
    from logagg.columns import Ints

MINUTE_US = 60_000_000
FEW_MAX = 64                                #: so few records are counted faster one by one
COUNTED_AT_ONCE_MAX = 1 << 14               #: of so many possible pairs each has a counter of its own
LABEL_CHARS_MAX = 256
SMALL_BYTES_MAX = 2048

_Merged = dict[str, dict[str, Stat]]
_EXACT = Context(prec=80)
"""Quotients of two numbers of 17 digits differ from a tie in their first 40 digits, if they differ at all."""


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def labels_json(labels: dict[str, str]) -> str:
    """The canonical JSON of labels."""
    return _encode(labels)


@lru_cache(maxsize=4096)
def _level_json(app: str, host: str, level: str | None) -> str:
    return labels_json({"app": app, "host": host, "level": label_text(level)})


def label_text(value: object) -> str:
    """A label's value from a field's: at most 256 characters that UTF-8 can hold; "" where it is missing."""
    if value is None:
        return ""
    if type(value) is str and len(value) <= LABEL_CHARS_MAX and value.isascii():
        return value
    if isinstance(value, float):
        value = value + 0.0                 # -0.0 is 0.0
    return str(value)[:LABEL_CHARS_MAX].encode("utf-8", "replace").decode()


def to_steps(step: float) -> Callable[[object], int | None]:
    """A function from a value to whole steps, rounded half to even from the decimal that was written: 0.3 is three
    steps of 0.1. It answers None for what cannot be measured."""
    width = Decimal(repr(step))
    by_one = width == 1

    def steps(value: object) -> int | None:
        if isinstance(value, int):
            exact = value if by_one else _rounded(Decimal(value), width)
        elif isinstance(value, float) and isfinite(value):
            exact = _rounded(Decimal(repr(value)), width)
        else:
            return None
        return exact if -VALUE_MAX <= exact <= VALUE_MAX else None

    return steps


def _rounded(value: Decimal, width: Decimal) -> int:
    if value.adjusted() - width.adjusted() > 20:
        return VALUE_MAX + 1                # far too large, and costly to write out
    return int(_EXACT.divide(value, width).to_integral_value(rounding=ROUND_HALF_EVEN))


def partials(batch: Batch, claims: Claims, metrics: MetricSet, app: str, host: str,
             last_ts_us: int | None) -> list[Partial]:
    """The contributions of a batch to all metrics, by rising minute.

    `last_ts_us` is the last time seen in the stream before the batch: rejects without a time count there, or at the
    last time before them in the batch.
    """
    app, host = label_text(app), label_text(host)
    by_minute: dict[int, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for (minute, level), n in _records(batch).items():
        labels = _level_json(app, host, level)
        by_minute[minute]["records"][labels] = by_minute[minute]["records"].get(labels, 0) + n
    for (minute, reason), n in _rejects(batch, last_ts_us).items() if batch.rejects else ():
        by_minute[minute]["rejects"][labels_json({"app": app, "host": host, "reason": label_text(reason)})] = n
    for (minute, metric, labels), stat in _measured(batch, claims, metrics, app, host).items():
        by_minute[minute][metric][labels] = stat.to_json()
    return [Partial(minute, encoded(by_minute[minute])) for minute in sorted(by_minute)
            if FIRST_MINUTE <= minute < LAST_MINUTE]


def encoded(content: dict[str, dict[str, Any]]) -> bytes:
    """A partial's data: metric -> labels -> a count, or a Stat's JSON."""
    return _encode(content).encode()


def _records(batch: Batch) -> dict[tuple[int, str | None], int]:
    """How many records with a time there are by (minute, level); rejects are not among them."""
    from logagg.columns import NO_TIME  # here and below: only what reads logs loads numpy

    if len(batch) <= FEW_MAX:
        few: dict[tuple[int, str | None], int] = {}
        names, rejects = batch.level_names, batch.rejects
        for row, (ts_us, code) in enumerate(zip(batch.times.tolist(), batch.level_codes.tolist(), strict=True)):
            if ts_us != NO_TIME and row not in rejects:
                place = ts_us // MINUTE_US, names[code]
                few[place] = few.get(place, 0) + 1
        return few
    counted = batch.times != NO_TIME
    counted[[*batch.rejects]] = False
    times, codes = (batch.times, batch.level_codes) if counted.all() else (
        batch.times[counted], batch.level_codes[counted])
    return {(minute, batch.level_names[code]): n for minute, code, n in _pairs(times // MINUTE_US, codes)}


def _pairs(minutes: "Ints", values: "Ints") -> Iterable[tuple[int, int, int]]:
    """The distinct pairs of a minute and a value, and how often each occurs; they rise."""
    import numpy as np

    if not len(minutes):
        return ()
    first, least = int(minutes.min()), int(values.min())
    width = int(values.max()) - least + 1
    size = (int(minutes.max()) - first + 1) * width
    if size >= 1 << 62:
        return ((*pair, n) for pair, n in sorted(Counter(zip(minutes.tolist(), values.tolist(), strict=True)).items()))
    pairs = (minutes - first) * width + (values - least)
    if size <= COUNTED_AT_ONCE_MAX:
        counts = np.bincount(pairs)
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(pairs, return_counts=True)
    return zip((found // width + first).tolist(), (found % width + least).tolist(), counts.tolist(), strict=True)


def _rejects(batch: Batch, last_ts_us: int | None) -> Counter[tuple[int, str]]:
    """How many rejects there are by (minute, reason). One before the stream's first time counts nowhere."""
    counted: Counter[tuple[int, str]] = Counter()
    import numpy as np

    from logagg.columns import NO_TIME

    known = np.flatnonzero(batch.times != NO_TIME)
    rows = sorted(batch.rejects)
    for row, place in zip(rows, np.searchsorted(known, rows, side="right").tolist(), strict=True):
        last = int(batch.times[known[place - 1]]) if place else last_ts_us
        if last is not None:
            counted[last // MINUTE_US, batch.rejects[row]] += 1
    return counted


def _measured(batch: Batch, claims: Claims, metrics: MetricSet, app: str,
              host: str) -> dict[tuple[int, str, str], Stat]:
    """The Stats of claimed events by (minute, metric, labels)."""
    found: dict[tuple[int, str, str], Stat] = {}
    for group in claims.groups:
        measures = metrics.by_event(group.event)
        if not measures:
            continue
        known = {"app": app, "host": host, "event": group.event}
        rows = _Rows(batch, group)
        for metric in measures:
            for minute, labels, stat in _Measure(metric, known).stats(rows):
                place = (minute, metric.name, labels)
                found[place] = found[place].merge(stat) if place in found else stat
    return found


class _Rows:
    """The claims of a group that have a time, as columns: their minutes, fields and levels."""

    def __init__(self, batch: Batch, group: ClaimGroup) -> None:
        from logagg.columns import NO_TIME

        times = batch.times[group.rows]
        self._timed = times != NO_TIME
        self._all = bool(self._timed.all())
        self._batch, self._group = batch, group
        self.minutes = (times if self._all else times[self._timed]) // MINUTE_US

    def tuples(self, labels: tuple[str, ...], field: str | None) -> Counter[tuple[Any, ...]]:
        """How often each tuple of minute, labels and field occurs; None where a field is missing."""
        columns = [self._levels() if name == "level" else self._column(name) for name in labels]
        columns += [self._column(field)] if field is not None else []
        if columns or len(self.minutes) <= FEW_MAX:
            return Counter(zip(self.minutes.tolist(), *columns, strict=True))
        return Counter({(minute,): n for minute, _, n in _pairs(self.minutes, self.minutes * 0)})

    def whole_numbers(self, field: str) -> Iterable[tuple[int, int, int]] | None:
        """The distinct pairs of minute and field, rising, and how often each occurs; None where that is not known to be
        a whole number in each event, or the events are few."""
        values = getattr(self._group.columns.get(field), "whole", None)
        if values is None or len(self.minutes) <= FEW_MAX:
            return None
        return _pairs(self.minutes, values if self._all else values[self._timed])

    def _levels(self) -> Iterable[object]:
        """The records' own levels, even where the event has such a field."""
        names, codes = self._batch.level_names, self._batch.level_codes[self._group.rows]
        return [names[code] or "" for code in (codes if self._all else codes[self._timed]).tolist()]

    def _column(self, name: str) -> Iterable[object]:
        column = self._group.columns.get(name)
        if column is None:
            return [None] * len(self.minutes)
        return column if self._all else compress(column, self._timed.tolist())


class _Measure:
    """One metric of one event. `known` are the labels that all events of a batch share.

    The events of a group are counted by the tuple of what the metric reads from them, in C; labels are written and
    values turned into steps once per distinct tuple.
    """

    def __init__(self, metric: Metric, known: dict[str, str]) -> None:
        self._metric = metric
        self._known = known
        self._names = tuple(name for name in metric.labels if name not in known)
        self._written: dict[tuple[Any, ...], str] = {}

    def stats(self, rows: _Rows) -> Iterator[tuple[int, str, Stat]]:
        """(minute, labels, Stat) for the events of one group."""
        field = self._metric.field
        if field is None:
            for (minute, *keys), n in rows.tuples(self._names, None).items():
                yield minute, self._labels(tuple(keys)), Stat(n)
            return
        distributions: dict[tuple[Any, ...], dict[int, int]] = defaultdict(dict)
        numbers = rows.whole_numbers(field) if not self._names and self._metric.step == 1 else None
        if numbers is not None:
            for minute, value, n in numbers:
                distributions[minute,][value] = n
        else:
            self._count(rows.tuples(self._names, field), distributions)
        for (minute, *keys), counted in distributions.items():
            yield minute, self._labels(tuple(keys)), Stat.counted(counted)

    def _count(self, tuples: Counter[tuple[Any, ...]], distributions: dict[tuple[Any, ...], dict[int, int]]) -> None:
        """Add how often each value in steps occurs, by minute and labels."""
        steps_of = to_steps(self._metric.step)
        for (*keys, measured), n in tuples.items():
            steps = steps_of(measured)
            if steps is not None:
                counted = distributions[tuple(keys)]
                counted[steps] = counted.get(steps, 0) + n

    def _labels(self, values: tuple[Any, ...]) -> str:
        written = self._written.get(values)
        if written is None:
            texts = {**dict(zip(self._names, map(label_text, values), strict=True)), **self._known}
            written = labels_json({name: texts[name] for name in self._metric.labels})
            self._written[values] = written
        return written


def merge_partials(datas: Iterable[bytes]) -> _Merged:
    """metric -> labels -> Stat of all the partials, in any order."""
    merged: _Merged = {}
    for data in datas:
        add_partial(merged, data)
    return merged


def add_partial(merged: _Merged, data: bytes) -> None:
    """Merge one partial's data into `merged`."""
    for metric, labels, stat in _small(data) if len(data) <= SMALL_BYTES_MAX else _stats(data):
        add_stat(merged.setdefault(metric, {}), labels, stat)


def _stats(data: bytes) -> tuple[tuple[str, str, Stat], ...]:
    return tuple((metric, labels, Stat.from_json(content))
                 for metric, rows in json.loads(data.decode()).items() for labels, content in rows.items())


_small = lru_cache(maxsize=4096)(_stats)
"""The chunks of many quiet streams say the same, and a minute is folded again and again while it is going on."""


def add_stat(rows: dict[str, Stat], labels: str, stat: Stat) -> None:
    """Merge a Stat, which is left as it is, into the row of its labels."""
    present = rows.get(labels)
    if present is None:
        present = rows[labels] = Stat()
    present.add(stat)
