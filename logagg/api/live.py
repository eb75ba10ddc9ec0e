"""What the live page shows: the last hour by minute, open incidents, sources, the latest problems.

The numbers come from minute rollups; what failed is every counter whose name says so (report/numbers.py). A page is
made of parts; each is HTML, and is sent again only when its text has changed.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from logagg.api.events import Wanted, event_page
from logagg.api.incidents import OpenIncidents
from logagg.api.render import part
from logagg.api.rest import public_row
from logagg.api.sources import sources
from logagg.api.web import Web
from logagg.errors import StoreError
from logagg.report.course import backend_names
from logagg.report.numbers import Change, change, number, worse_when
from logagg.rollup.metric import BUILT_IN, RECORDS, Metric
from logagg.rollup.query import series
from logagg.rollup.window import local

MINUTE_US = 60_000_000
HOUR = 60
PROBLEMS_MAX = 8
FAILURES_MAX = 10
LOOK_S = 0.3
KEEP_S = 0.5
PARTS = ("state", "figures", "charts", "incidents", "failures", "sources", "problems")
PROBLEM_LEVELS = ("WARN", "WARNING", "ERROR", "SEVERE", "FATAL", "CRITICAL", "ALERT", "EMERG", "EMERGENCY")
_ERROR_LEVELS = frozenset(PROBLEM_LEVELS) - {"WARN", "WARNING"}
MARK_MINUTES = 7        #: how far a mark's text reaches
_BOTTOM, _TOP, _WIDTH, _GAP = 84, 4, 640, 2.5


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in large type; `before` is the hour before, `change` what changed since."""

    title: str
    text: str
    before: str
    change: Change | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One minute's bar; the numbers are SVG units."""

    x: float
    y: float
    height: float
    told: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A row of sixty bars; `rows` are (local time, count), newest first, for those who read numbers."""

    title: str
    tone: str
    total: int
    most: int
    width: float
    columns: tuple[Column, ...]
    marks: tuple[tuple[float, str], ...]
    rows: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed in the last hour; `events` are the names under which /events finds it."""

    metric: str
    count: int
    before: int
    change: Change | None
    events: tuple[str, ...]
    from_us: int
    to_us: int


class Live:
    """Makes the parts. Called by one poller, and for each page that is opened; may be used from several threads."""

    def __init__(self, web: Web, open_incidents: OpenIncidents) -> None:
        self._web = web
        self._open_incidents = open_incidents
        counters = [metric for metric in web.metrics if metric.kind == "counter" and ":" not in metric.name]
        self._counters = {metric.name: metric for metric in counters}
        self._backends = backend_names(list(web.metrics))
        self._failures = [metric for metric in counters
                          if worse_when(metric.name) > 0 and metric.name not in {one.name for one in BUILT_IN}]
        self._lock = threading.Lock()
        self._made: tuple[float, dict[str, str]] | None = None

    def parts(self) -> dict[str, str]:
        """name -> HTML of every part; where the store is out of reach only the state, which says so.

        What was made within the last KEEP_S is given again, so that many who open the page at once ask but once.
        """
        with self._lock:
            now_s = self._web.clock.monotonic_s()
            if self._made is None or now_s - self._made[0] >= KEEP_S:
                try:
                    self._made = (now_s, self._make())
                except StoreError:
                    return {"state": part("state", reachable=False, incidents=[], behind=[])}
            return self._made[1]

    def at(self) -> str:
        """The time of day in the page's zone."""
        now_s = self._web.clock.now_us() // 1_000_000
        return f"{local(now_s // 60, self._web.zone):%H:%M}:{now_s % 60:02d}"

    def _make(self) -> dict[str, str]:
        web = self._web
        end = web.clock.now_us() // MINUTE_US + 1
        counts = self._counts(end)
        incidents = self._open_incidents()
        rows = sources(web.store, web.clock.now_us())
        return {
            "state": part("state", reachable=True, incidents=incidents,
                          behind=[row for row in rows if row["state"] != "current"]),
            "figures": part("figures", figures=self._figures(counts, end)),
            "charts": part("charts", charts=self._charts(counts, end)),
            "incidents": part("incidents", incidents=incidents, zone=web.zone),
            "failures": part("failures", failures=self._failed(counts, end)),
            "sources": part("sources", sources=rows, zone=web.zone),
            "problems": part("problems", events=self._problems(end), zone=web.zone),
        }

    def _counts(self, end: int) -> dict[str, Counter[int]]:
        """Counts by minute of the last two hours, of each counter; of records also those of error levels."""
        wanted = {RECORDS.name, "calls", *(metric.name for metric in self._failures),
                  *(f"{name}_calls" for name in self._backends), *(f"{name}_failures" for name in self._backends)}
        found: dict[str, Counter[int]] = {}
        for name in sorted(wanted & self._counters.keys()):
            by_minute: Counter[int] = Counter()
            for row in series(self._web.store, self._web.metrics, name, "minute", "UTC", (end - 2 * HOUR) * MINUTE_US,
                              end * MINUTE_US):
                by_minute[row.start] += row.stat.count
                if name == RECORDS.name and row.labels.get("level", "").upper() in _ERROR_LEVELS:
                    found.setdefault("errors", Counter())[row.start] += row.stat.count
            found[name] = by_minute
        return found

    def _figures(self, counts: dict[str, Counter[int]], end: int) -> list[Figure]:
        def both(*names: str) -> tuple[int, int]:
            return _sum(counts, names, end - HOUR, end), _sum(counts, names, end - 2 * HOUR, end - HOUR)

        found = []
        if "calls" in self._counters:
            found.append(_figure("Calls", *both("calls")))
        if self._backends:
            calls = both(*(f"{name}_calls" for name in self._backends))
            failures = both(*(f"{name}_failures" for name in self._backends))
            rate, rate_before = (n / whole if whole else None for n, whole in zip(failures, calls, strict=True))
            found += [
                _figure("Backend calls", *calls),
                _figure("Backend failures", *failures, worse=1),
                Figure("Backend failure rate", number(rate, "ratio"), number(rate_before, "ratio"),
                       change(rate, rate_before, "ratio", worse=1, wholes=calls)),
            ]
        found += [_figure("Log records", *both(RECORDS.name)), _figure("Errors logged", *both("errors"), worse=1)]
        return found

    def _charts(self, counts: dict[str, Counter[int]], end: int) -> list[Chart]:
        backend_calls = [f"{name}_calls" for name in self._backends]
        failures = [metric.name for metric in self._failures]
        shown = [("Calls", ["calls"] if "calls" in self._counters else [], ""),
                 ("Backend calls", backend_calls, ""), ("Failures", failures, "bad")]
        if not any(names for _, names, _ in shown):
            shown = [("Log records", [RECORDS.name], ""), ("Errors logged", ["errors"], "bad")]
        return [_chart(title, tone, counts, names, end, self._web.zone) for title, names, tone in shown if names]

    def _failed(self, counts: dict[str, Counter[int]], end: int) -> list[Failure]:
        found = []
        for metric in self._failures:
            now = _sum(counts, [metric.name], end - HOUR, end)
            before = _sum(counts, [metric.name], end - 2 * HOUR, end - HOUR)
            if now or before:
                found.append(_failure(metric, now, before, end))
        return sorted(found, key=lambda one: (-one.count, one.metric))[:FAILURES_MAX]

    def _problems(self, end: int) -> list[dict[str, Any]]:
        """The latest records of level WARN and above, as far as a short look finds them."""
        asked = Wanted(levels=PROBLEM_LEVELS, from_us=(end - HOUR) * MINUTE_US, to_us=end * MINUTE_US)
        page = event_page(self._web.store, asked, self._web.clock, newest_first=True, after=None, limit=PROBLEMS_MAX,
                          look_s=LOOK_S)
        return [public_row(event, stream) for event, stream in page.rows]


def _sum(counts: dict[str, Counter[int]], names: Sequence[str], start: int, end: int) -> int:
    return sum(n for name in names for minute, n in counts.get(name, {}).items() if start <= minute < end)


def _figure(title: str, now: int, before: int, *, worse: int = 0) -> Figure:
    return Figure(title, number(now), number(before), change(now, before, worse=worse))


def _failure(metric: Metric, now: int, before: int, end: int) -> Failure:
    return Failure(metric.name, now, before, change(now, before, worse=1), metric.events, (end - HOUR) * MINUTE_US,
                   end * MINUTE_US)


def _chart(title: str, tone: str, counts: dict[str, Counter[int]], names: Sequence[str], end: int,
           zone: str) -> Chart:
    minutes = range(end - HOUR, end)
    values = [sum(counts[name][minute] for name in names if name in counts) for minute in minutes]
    most, slot = max(values), _WIDTH / HOUR
    columns, marks = [], []
    for i, (minute, value) in enumerate(zip(minutes, values, strict=True)):
        at = f"{local(minute, zone):%H:%M}"
        height = round((_BOTTOM - _TOP) * value / most, 1) if most else 0
        if value:
            columns.append(Column(round(i * slot, 1), round(_BOTTOM - height, 1), height, f"{at}: {value:,}"))
        if minute % 15 == 0 and i <= HOUR - MARK_MINUTES:
            marks.append((round(i * slot, 1), at))
    rows = tuple((f"{local(minute, zone):%H:%M}", value)
                 for minute, value in zip(reversed(minutes), reversed(values), strict=True))
    return Chart(title, tone, sum(values), most, round(slot - _GAP, 1), tuple(columns), tuple(marks), rows)
