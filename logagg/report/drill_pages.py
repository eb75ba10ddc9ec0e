"""The pages below a report: from a number to its hours and minutes, to its records with their raw lines in context.

They are written once, beside the report's own page, and need nothing else: what they show stays readable when the
store has forgotten it. Of a daily report a number leads to its minutes and records; of a week or month to the same
number of each day, in that day's report.

Everything is bounded: how many numbers (drill.NUMBERS_MAX), records of a number, of a report, and lines of a record.
A page says what was left out and how much there is.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from logagg.interfaces import Store
from logagg.record import Event, Stream
from logagg.report.drill import Number, drilled
from logagg.report.lines import RawLines, Readings, Shown
from logagg.report.pages import page_html, style_sheet
from logagg.report.period import days, period
from logagg.report.tables import title
from logagg.rollup.fold import OTHER
from logagg.rollup.metric import Metric
from logagg.rollup.partial import MINUTE_US, label_text, labels_json
from logagg.rollup.sketch import Stat
from logagg.rollup.window import zone_of

SAMPLE = 10
"""Records shown of a number of which not all are."""

NUMBER_RECORDS_MAX = 3000
REPORT_RECORDS_MAX = 6000
PAGE_RECORDS_MAX = 1000
"""With more, each local hour has a page of its own."""

HOUR_RECORDS_MAX = 500
EVENTS_MAX = 20_000
"""Events looked at for one metric."""

SYNCED_AT_ONCE = 16


_Rows = Mapping[str, Mapping[str, str]]
"""Canonical JSON -> labels, of a metric's rows in the report."""


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute in which something was counted. `link`: to the records of it, "" where there are none."""

    clock: str
    count: int
    link: str


@dataclass(frozen=True, slots=True)
class Hour:
    clock: str
    count: int
    minutes: Sequence[Minute]


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a page shows it."""

    clock: str
    app: str
    host: str
    level: str
    shown: Shown


@dataclass(frozen=True, slots=True)
class Group:
    """The records of one minute; `anchor` is the minute since the epoch."""

    anchor: str
    clock: str
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class _Seen:
    """An event of a metric, with the labels under which the report counts it."""

    event: Event
    stream: Stream
    labels: Mapping[str, str]

    @property
    def place(self) -> tuple[str, int]:
        return self.event.stream, self.event.offset

    @property
    def minute(self) -> int:
        return (self.event.ts_us or 0) // MINUTE_US


@dataclass
class _Room:
    """What a report may still show; which records are on which page already; records as they were read."""

    records: int = field(default_factory=lambda: REPORT_RECORDS_MAX)
    pages: dict[tuple[tuple[str, int], ...], str] = field(default_factory=dict)
    shown: dict[tuple[str, int], Shown] = field(default_factory=dict)


def write_drill(store: Store, place: Path, data: Mapping[str, Any], metrics: Iterable[Metric],
                readings: Readings) -> int:
    """Write `place`/drill for the report whose data.json is `data`; how many numbers have pages.

    A folder that is there already stays: it may show what the store has forgotten since. The new one appears whole,
    by one rename.
    """
    numbers = drilled(data["metrics"])
    if (place / "drill").exists():
        return len(numbers)
    temporary = place / f".drill.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        (temporary / "drill").mkdir(parents=True)
        _write(temporary, "drill/style.css", style_sheet())
        drill = _Drill(store, place, temporary, data, numbers, RawLines(store, readings))
        known = {metric.name: metric for metric in metrics}
        by_metric: dict[str, list[Number]] = {}
        for number in numbers.values():
            by_metric.setdefault(number.metric, []).append(number)
        for name in sorted(by_metric, key=lambda name: not by_metric[name][0].whole):
            if name in known:
                drill.write(known[name], by_metric[name])
        _sync(temporary)
        with contextlib.suppress(OSError):      # another program was faster: its pages say the same
            (temporary / "drill").rename(place / "drill")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(numbers)


class _Drill:
    """The pages of one report."""

    def __init__(self, store: Store, place: Path, folder: Path, data: Mapping[str, Any],
                 numbers: Mapping[tuple[str, str], Number], raw: RawLines) -> None:
        self._store, self._place, self._folder, self._data, self._raw = store, place, folder, data, raw
        self._numbers = numbers
        first = datetime.fromisoformat(data["date"]).date()
        self._period = period(data["period"], first, data["timezone"])
        self._zone = zone_of(data["timezone"])
        self._streams: dict[str, Stream] = {}
        self._room = _Room()

    def write(self, metric: Metric, numbers: Sequence[Number]) -> None:
        """All pages of one metric."""
        rows = {labels_json(row["labels"]): row["labels"] for row in self._data["metrics"]
                if row["metric"] == metric.name and row["count"] and row["labels"]}
        if self._period.kind != "daily":
            self._write_days(metric, numbers, rows)
            return
        counts = self._counts(metric, rows)
        seen = self._seen(metric, rows, EVENTS_MAX if numbers[0].whole else 20 * SAMPLE)
        for number in numbers:
            minutes: dict[int, int] = {}
            for labels, by_minute in counts:
                if _agrees(labels, number.labels):
                    for minute, n in by_minute.items():
                        minutes[minute] = minutes.get(minute, 0) + n
            self._write_number(number, minutes, [one for one in seen if _agrees(one.labels, number.labels)], rows)

    # --- what there is ----------------------------------------------------------------------------------------------

    def _counts(self, metric: Metric, rows: _Rows) -> list[tuple[Mapping[str, str], dict[int, int]]]:
        """Each label set with its counts by minute; by quarter where the store has forgotten the minutes."""
        span = self._period.from_us // MINUTE_US, self._period.to_us // MINUTE_US
        found: dict[str, tuple[Mapping[str, str], dict[int, int]]] = {}
        for step in ("minute", "quarter"):
            for key, bucket in self._store.buckets(step, "", *span, metric=metric.name):
                for text, stored in bucket.rows.items():
                    labels = _counted_as(text, rows)
                    _, minutes = found.setdefault(text, (labels, {}))
                    minutes[key.start] = minutes.get(key.start, 0) + Stat.from_bytes(stored).count
            if found:
                break
        return list(found.values())

    def _seen(self, metric: Metric, rows: _Rows, limit: int) -> list[_Seen]:
        """The stored events of a metric in order of time, at most `limit`."""
        found = self._store.events(from_us=self._period.from_us, to_us=self._period.to_us, names=metric.events,
                                   limit=limit)
        return [_Seen(event, stream, _counted_as(labels_json(_labels_of(metric, event, stream)), rows))
                for event in found if (stream := self._stream(event.stream)) is not None]

    def _stream(self, id: str) -> Stream | None:
        if id not in self._streams:
            self._streams |= {stream.id: stream for stream in self._store.streams(id=id)}
        return self._streams.get(id)

    # --- pages ------------------------------------------------------------------------------------------------------

    def _write_number(self, number: Number, minutes: Mapping[int, int], seen: Sequence[_Seen],
                      rows: _Rows) -> None:
        links, kept = self._write_records(number, seen[: NUMBER_RECORDS_MAX if number.whole else SAMPLE])
        hours = []
        for (clock, _), group in groupby(sorted(minutes), key=self._hour):
            mine = [Minute(self._clock(minute), minutes[minute], links.get(minute, "")) for minute in group]
            hours.append(Hour(clock, sum(minute.count for minute in mine), mine))
        pages = list(dict.fromkeys(link.partition("#")[0] for link in links.values()))
        self._page("drill_number.html", number, hours=hours, kept=kept, pages=pages, days=(),
                   parts=self._parts(number, rows), counted=sum(minutes.values()))

    def _write_records(self, number: Number, seen: Sequence[_Seen]) -> tuple[dict[int, str], int]:
        """The pages of a number's records: minute -> link to its records, and how many records they show."""
        links: dict[int, str] = {}
        kept = 0
        parts = [("", seen)] if len(seen) <= PAGE_RECORDS_MAX else [
            (f"-{clock[:2]}{'-again' if again else ''}", list(group)[:HOUR_RECORDS_MAX])
            for (clock, again), group in groupby(seen, key=lambda one: self._hour(one.minute))]
        for suffix, part in parts:
            shown, name = self._write_part(number, suffix, part)
            links |= {one.minute: f"{name}#m{one.minute}" for one in shown}
            kept += len(shown)
        return links, kept

    def _write_part(self, number: Number, suffix: str, part: Sequence[_Seen]) -> tuple[Sequence[_Seen], str]:
        """A page of these records, or of as many as there is room for: those, and its name. The page of another number
        that shows just these serves both."""
        for shown in (part, part[: self._room.records]):
            name = self._room.pages.get(tuple(one.place for one in shown))
            if name is not None or not shown:
                return shown, name or ""
            if len(shown) <= self._room.records:
                break
        name = f"{Path(number.path).name.removesuffix('.html')}-records{suffix}.html"
        self._room.pages[tuple(one.place for one in shown)] = name
        self._room.records -= len(shown)
        self._page("drill_records.html", number, name, groups=self._groups(shown), shown=len(shown))
        return shown, name

    def _groups(self, seen: Sequence[_Seen]) -> list[Group]:
        """Records by minute. The raw bytes are read stream by stream, since that decompresses each chunk once."""
        shown = self._room.shown
        for one in sorted(seen, key=lambda one: one.place):
            if one.place not in shown:
                shown[one.place] = self._raw.shown(one.event, one.stream)
        found = []
        for minute, group in groupby(seen, key=lambda one: one.minute):
            records = [Record(self._time(one.event), one.stream.app, one.stream.host, one.event.level or "",
                              shown[one.place]) for one in group]
            found.append(Group(str(minute), self._clock(minute), records))
        return found

    def _write_days(self, metric: Metric, numbers: Sequence[Number], rows: _Rows) -> None:
        """A week or month: each number with its days, and the way to the same number in each day's report."""
        span = self._period.from_us // MINUTE_US, self._period.to_us // MINUTE_US
        counts: dict[int, list[tuple[Mapping[str, str], int]]] = {}
        for key, bucket in self._store.buckets("day", self._period.zone or "UTC", *span, metric=metric.name):
            counts[key.start] = [(_counted_as(text, rows), Stat.from_bytes(stored).count)
                                 for text, stored in bucket.rows.items()]
        for number in numbers:
            told = []
            for day in days(self._period):
                n = sum(n for labels, n in counts.get(day.from_us // MINUTE_US, ()) if _agrees(labels, number.labels))
                if n:
                    told.append(Minute(f"{day.date:%Y-%m-%d}", n, self._day_link(day.date.isoformat(), number)))
            self._page("drill_number.html", number, hours=(), kept=0, pages=(), days=told,
                       parts=self._parts(number, rows), counted=sum(day.count for day in told))

    def _day_link(self, date: str, number: Number) -> str:
        """To the number in the newest revision of a day's report; "" where there is none."""
        folder = self._place.parents[2] / "daily" / date
        found = sorted((int(path.parents[2].name[1:]) for path in folder.glob(f"r*/{number.path}")), reverse=True)
        return f"../../../../../daily/{date}/r{found[0]}/{number.path}" if found else ""

    def _parts(self, number: Number, rows: _Rows) -> list[Number]:
        """The numbers with all labels that make up a wider one."""
        full = [key for key, labels in rows.items() if _agrees(labels, number.labels)]
        found = [self._numbers[number.metric, key] for key in full if (number.metric, key) in self._numbers]
        return sorted(found, key=lambda one: -one.count) if len(full) > 1 else []

    def _page(self, template: str, number: Number, name: str = "", **told: Any) -> None:
        path = number.path if not name else f"{Path(number.path).parent.as_posix()}/{name}"
        html = page_html(template, number=number, metric=title(number.metric), labels=_said(number.labels),
                         report=self._data["name"], date=self._data["date"], kind=self._data["period"],
                         timezone=self._data["timezone"], up=Path(number.path).name, **told)
        _write(self._folder, path, html)

    # --- local times ------------------------------------------------------------------------------------------------

    def _hour(self, minute: int) -> tuple[str, bool]:
        """The local hour of a minute, and whether it is the second of that name on its day."""
        at = datetime.fromtimestamp(minute * 60, self._zone)
        return f"{at:%H}:00", bool(at.fold)

    def _clock(self, minute: int) -> str:
        return f"{datetime.fromtimestamp(minute * 60, self._zone):%H:%M}"

    def _time(self, event: Event) -> str:
        at = datetime.fromtimestamp((event.ts_us or 0) // 1_000_000, self._zone)
        return f"{at:%H:%M:%S}.{(event.ts_us or 0) % 1_000_000 // 1000:03d}"


def _labels_of(metric: Metric, event: Event, stream: Stream) -> dict[str, str]:
    """The labels under which an event was counted (rollup/partial.py)."""
    fields = event.body.get("fields") or {}
    known = {"app": stream.app, "host": stream.host, "event": event.event, "level": event.level}
    return {name: label_text(known[name] if name in known else fields.get(name)) for name in metric.labels}


def _counted_as(labels: str, rows: _Rows) -> Mapping[str, str]:
    """The label set of the report that holds these labels: their own, or that of all others beyond the limit."""
    own = rows.get(labels)
    if own is not None:
        return own
    other = (row for row in rows.values() if all(value == OTHER for value in row.values()))
    return next(other, None) or json.loads(labels)


def _agrees(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


def _said(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), value) for name, value in sorted(labels.items())]


def _write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


def _sync(folder: Path) -> None:
    """Bring all files to disk; together, since a disk does many at once in little more time than one."""
    def sync(path: Path) -> None:
        with path.open("rb+") as file:
            os.fsync(file.fileno())

    with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
        list(pool.map(sync, (path for path in folder.rglob("*") if path.is_file())))
