"""A batch and its events -> the chunk's partials, one per minute; and partials -> merged Stats.

A partial's data is canonical UTF-8 JSON: {metric: {labels: Stat.to_json()}}, keys sorted, labels the canonical JSON of
an object of strings. Equal content gives equal bytes.

What has no time, or one outside 1970 to 9997, contributes nowhere: the ledger's records less the metric `records` tells
how many these were. A value that is no number, or larger than 10**18 steps, is left out of its distribution; the
metrics that count the event show how many.
"""

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from math import isfinite
from operator import itemgetter
from typing import Any

from logagg.interfaces import Batch, Claims
from logagg.record import Partial
from logagg.rollup.metric import Metric, MetricSet
from logagg.rollup.sketch import VALUE_MAX, Stat
from logagg.rollup.window import FIRST_MINUTE, LAST_MINUTE

MINUTE_US = 60_000_000
LABEL_CHARS_MAX = 256
SMALL_BYTES_MAX = 2048

_Fields = dict[str, int | float | str]
_Merged = dict[str, dict[str, Stat]]
_EXACT = Context(prec=80)
"""Quotients of two numbers of 17 digits differ from a tie in their first 40 digits, if they differ at all."""


def labels_json(labels: dict[str, str]) -> str:
    """The canonical JSON of labels."""
    return json.dumps(labels, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def label_text(value: object) -> str:
    """A label's value from a field's: at most 256 characters that UTF-8 can hold; "" where it is missing."""
    if value is None:
        return ""
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
        by_minute[minute]["records"][labels_json({"app": app, "host": host, "level": label_text(level)})] = n
    for (minute, reason), n in _rejects(batch, last_ts_us).items():
        by_minute[minute]["rejects"][labels_json({"app": app, "host": host, "reason": label_text(reason)})] = n
    for (minute, metric, labels), stat in _measured(batch, claims, metrics, app, host).items():
        by_minute[minute][metric][labels] = stat.to_json()
    return [Partial(minute, _encoded(by_minute[minute])) for minute in sorted(by_minute)
            if FIRST_MINUTE <= minute < LAST_MINUTE]


def _encoded(content: dict[str, dict[str, Any]]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _records(batch: Batch) -> Counter[tuple[int, str | None]]:
    """How many records with a time there are by (minute, level); rejects are not among them."""
    counted = _by_minute(batch.ts_us, batch.levels)
    for i in batch.rejects:
        ts_us = batch.ts_us[i]
        if ts_us is not None:
            counted[ts_us // MINUTE_US, batch.levels[i]] -= 1
    return +counted


def _by_minute(ts_us: Sequence[int | None], levels: Sequence[str | None]) -> Counter[tuple[int, str | None]]:
    """Count pairs of minute and level, a run of one minute at a time, since logs are nearly sorted."""
    times = [ts for ts in ts_us if ts is not None]
    if len(times) < len(ts_us):
        levels = [level for ts, level in zip(ts_us, levels, strict=True) if ts is not None]
    counted: Counter[tuple[int, str | None]] = Counter()
    start = 0
    while start < len(times):
        minute = times[start] // MINUTE_US
        end = bisect_left(times, (minute + 1) * MINUTE_US, start)
        run = times[start:end]
        if run and min(run) // MINUTE_US == max(run) // MINUTE_US:
            for level, n in Counter(levels[start:end]).items():
                counted[minute, level] += n
        else:                               # not sorted here
            end = max(end, start + 1)
            counted.update((ts // MINUTE_US, level)
                           for ts, level in zip(times[start:end], levels[start:end], strict=True))
        start = end
    return counted


def _rejects(batch: Batch, last_ts_us: int | None) -> Counter[tuple[int, str]]:
    """How many rejects there are by (minute, reason). One before the stream's first time counts nowhere."""
    counted: Counter[tuple[int, str]] = Counter()
    seen, last = 0, last_ts_us
    for i in sorted(batch.rejects):
        last = next((ts for ts in reversed(batch.ts_us[seen:i + 1]) if ts is not None), last)
        seen = i + 1
        if last is not None:
            counted[last // MINUTE_US, batch.rejects[i]] += 1
    return counted


def _measured(batch: Batch, claims: Claims, metrics: MetricSet, app: str,
              host: str) -> dict[tuple[int, str, str], Stat]:
    """The Stats of claimed events by (minute, metric, labels)."""
    measures: dict[str, list[_Measure]] = {}
    found: dict[tuple[int, str, str], Stat] = {}
    for (minute, event), group in _groups(batch, claims, metrics).items():
        if event not in measures:
            known = {"app": app, "host": host, "event": event}
            measures[event] = [_Measure(metric, known) for metric in metrics.by_event(event)]
        for measure in measures[event]:
            for labels, stat in measure.stats(group):
                place = (minute, measure.metric.name, labels)
                found[place] = found[place].merge(stat) if place in found else stat
    return found


def _groups(batch: Batch, claims: Claims, metrics: MetricSet) -> dict[tuple[int, str], list[_Fields]]:
    """The fields, and the level where it is a label, of all claimed events that have a time, by (minute, event)."""
    ts_us = batch.ts_us
    levelled = {event for event in set(claims.names)
                if any("level" in metric.labels for metric in metrics.by_event(event))}
    groups: dict[tuple[int, str], list[_Fields]] = defaultdict(list)
    for row, event, fields in zip(claims.rows, claims.names, claims.fields, strict=True):
        ts = ts_us[row]
        if ts is not None:
            if event in levelled:
                fields = {**fields, "level": batch.levels[row] or ""}
            groups[ts // MINUTE_US, event].append(fields)
    return groups


class _Measure:
    """One metric of one event. `known` are the labels that all events of a batch share.

    The events of a group are counted by the tuple of what the metric reads from them, in C; labels are written and
    values turned into steps once per distinct tuple.
    """

    def __init__(self, metric: Metric, known: dict[str, str]) -> None:
        self.metric = metric
        self._known = known
        self._names = tuple(name for name in metric.labels if name not in known)
        self._steps = to_steps(metric.step)
        self._written: dict[tuple[Any, ...], str] = {}

    def stats(self, group: list[_Fields]) -> Iterator[tuple[str, Stat]]:
        """(labels, Stat) for the events of one group."""
        if self.metric.field is None:
            for values, n in _tuples(group, self._names).items():
                yield self._labels(values), Stat(n)
            return
        distributions: dict[tuple[Any, ...], dict[int, int]] = defaultdict(dict)
        for (*keys, measured), n in _tuples(group, (*self._names, self.metric.field)).items():
            steps = self._steps(measured)
            if steps is not None:
                counted = distributions[tuple(keys)]
                counted[steps] = counted.get(steps, 0) + n
        for labels, counted in distributions.items():
            yield self._labels(labels), Stat.counted(counted)

    def _labels(self, values: tuple[Any, ...]) -> str:
        written = self._written.get(values)
        if written is None:
            texts = {**dict(zip(self._names, map(label_text, values), strict=True)), **self._known}
            written = labels_json({name: texts[name] for name in self.metric.labels})
            self._written[values] = written
        return written


def _tuples(group: list[_Fields], names: tuple[str, ...]) -> Mapping[tuple[Any, ...], int]:
    """How often each tuple of the named fields occurs; None where a field is missing."""
    if not names:
        return {(): len(group)}
    try:
        if len(names) == 1:
            return Counter(zip(map(itemgetter(*names), group)))
        return Counter(map(itemgetter(*names), group))
    except KeyError:
        return Counter(tuple(map(fields.get, names)) for fields in group)


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
