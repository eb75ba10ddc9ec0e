"""data.json and the packs' sections -> the page as texts: heading, what changed, key figures, sections. Pure; knows no
HTML. Charts are named here and drawn elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from logagg.report.backends import backend_breakdowns, backend_table
from logagg.report.chart import Chart, charts
from logagg.report.course_tables import lines_of, outcome_table, time_table, traffic_table
from logagg.report.events import Clock, expected_tables, incident_table, timeline_tables
from logagg.report.numbers import Change, change, number, percent, total
from logagg.report.quality import ledger_tables, source_table
from logagg.report.tables import (
    Cell,
    Row,
    Table,
    breakdowns,
    calm,
    compared,
    knows_week_before,
    measures,
    pair,
    title,
    totals,
    unjudged,
)
from logagg.report.words import Words, heading, words_of

FIGURES_MAX = 10
REASONS_MAX = 20
BACKEND_METRICS = ("calls", "failures", "failure_rate", "time")


class SectionSpec(Protocol):
    """What a pack says of one section of a report: its title and its metrics in order."""

    @property
    def title(self) -> str: ...

    @property
    def metrics(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Figure:
    """A key figure: the value in large type, what it was in the period before, and what changed; `week_before` is the
    comparison with the same weekday a week before, where that is known."""

    title: str
    cell: Cell
    week_before: Cell | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One of the things that changed most."""

    title: str
    now: str
    before: str
    change: Change


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of the page; `anchor` is its id in the page. A chart stands before the table that says the same."""

    title: str
    anchor: str
    tables: tuple[Table | Chart, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template prints."""

    name: str
    words: Words
    heading: str
    span: str
    timezone: str
    complete: bool
    reasons: tuple[str, ...]
    revision: int
    built_at: str
    changes: tuple[Said, ...]
    unlike: str
    incidents: str
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]


def page(data: Mapping[str, Any], specs: Sequence[SectionSpec], figures: Sequence[str],
         help_of: Mapping[str, str]) -> Page:
    """The page of one report. `figures` names the metrics of the key figures (none: the first of each section);
    `help_of` explains metrics. A metric that no section names stands under "Other metrics"."""
    words = words_of(data["period"])
    comparable = data["days_seen"]["comparable"]
    shown = _figures(data, figures or [spec.metrics[0] for spec in specs if spec.metrics])
    sections = _Sections(data, specs, help_of, words).all()
    return Page(
        name=data["name"],
        words=words,
        heading=heading(data["period"], date.fromisoformat(data["date"])),
        span=_span(data),
        timezone=data["timezone"],
        complete=data["complete"],
        reasons=_reasons(data["incomplete_because"]),
        revision=data["revision"],
        built_at=data["built_at"][:16].replace("T", " ") + " UTC",
        changes=tuple(map(_said, data["changes"])),
        unlike=_unlike(data["days_seen"], words),
        incidents=_incidents(data["incidents"]),
        figures=tuple(shown if comparable else map(_calm_figure, shown)),
        sections=tuple(sections if comparable else map(_calm_section, sections)),
    )


def _calm_figure(figure: Figure) -> Figure:
    return replace(figure, cell=calm(figure.cell))


def _calm_section(section: Section) -> Section:
    return replace(section, tables=tuple(one if isinstance(one, Chart) else unjudged(one) for one in section.tables))


def _span(data: Mapping[str, Any]) -> str:
    """The interval in local time, and a day's length where it is not 24 hours."""
    start, end = (datetime.fromisoformat(data[key]) for key in ("from", "to"))
    info = ZoneInfo(data["timezone"])
    hours = (end - start).total_seconds() / 3600
    told = f"{start.astimezone(info):%Y-%m-%d %H:%M %Z} to {end.astimezone(info):%Y-%m-%d %H:%M %Z}"
    return f"{told}, {hours:g} hours" if data["period"] == "daily" and hours != 24 else told


def _reasons(told: Sequence[str]) -> tuple[str, ...]:
    more = len(told) - REASONS_MAX
    return (*told[:REASONS_MAX], f"and {more:,} more, in data.json") if more > 0 else tuple(told)


def _said(row: Row) -> Said:
    name = title(row["metric"]) + (", 95th percentile" if row["stat"] == "p95" else "")
    told = change(row["now"], row["before"], row["kind"], row["unit"])
    assert told is not None     # a change without two numbers is none
    return Said(name, number(row["now"], row["kind"], row["unit"]), number(row["before"], row["kind"], row["unit"]),
                Change(told.arrow, told.text, told.short, row["tone"]))


def _unlike(seen: Row, words: Words) -> str:
    """Why the period before is no measure, if it is none."""
    if seen["comparable"]:
        return ""
    return f"Records of {seen['previous']:,} of {seen['previous_days']:,} days of the {words.before.lower()} are known"


def _incidents(rows: Sequence[Row]) -> str:
    """One sentence."""
    if not rows:
        return "no incidents"
    still = sum(row["state"] == "firing" for row in rows)
    told = f"{len(rows):,} incident{'s' if len(rows) > 1 else ''}"
    return told + (f", {still:,} not over at its end" if still else "")


def _figures(data: Mapping[str, Any], names: Sequence[str]) -> list[Figure]:
    rows = totals(data["metrics"])
    again = knows_week_before(rows.values())
    found = []
    for name in names[:FIGURES_MAX]:
        row = rows.get(name)
        if row is not None:
            distribution = row["kind"] == "distribution"
            said = f"{title(name)}, median" if distribution else title(name)
            stat = "median" if distribution else "value"
            found.append(Figure(said, compared(row, stat), compared(row, stat, "week_before") if again else None))
    return found + _backend_figures(data["backends"], again=again)


def _backend_figures(backends: Sequence[Row], *, again: bool) -> list[Figure]:
    """All backends together: calls and the share that failed."""
    if not backends:
        return []
    calls, rates = {}, {}
    for key in ("", "previous", *(("week_before",) if again else ())):
        of = [row[key] if key else row for row in backends]
        calls[key], failed = total(row["calls"] for row in of), total(row["failures"] for row in of)
        whole = calls[key]
        rates[key] = failed / whole if whole and failed is not None else None

    def against(then: str) -> tuple[Cell, Cell]:
        return (pair(calls[""], calls[then]),
                pair(rates[""], rates[then], "ratio", worse=1, wholes=(calls[""], calls[then])))

    cells, lasts = against("previous"), against("week_before") if again else (None, None)
    return [Figure(said, cell, last) for said, cell, last
            in zip(("Backend calls", "Backend failure rate"), cells, lasts, strict=True)]


class _Sections:
    """The sections of one page in order: incidents, course, the packs' own, schedule, other metrics, data quality."""

    def __init__(self, data: Mapping[str, Any], specs: Sequence[SectionSpec], help_of: Mapping[str, str],
                 words: Words) -> None:
        self._data, self._specs, self._help_of, self._words = data, specs, help_of, words
        self._rows, self._backends = data["metrics"], data["backends"]
        self._lines = lines_of(data)
        self._charts = {chart.name: chart for chart in charts(data)}
        self._clock = Clock(data["timezone"], data["period"] != "daily")
        self._timelines = timeline_tables(data["timeline"], self._clock)
        self._expected = list(data["expected"])

    def all(self) -> list[Section]:
        found = [*self._incidents(), *self._course()]
        in_backends = {f"{backend['name']}_{what}" for backend in self._backends for what in BACKEND_METRICS}
        shown: set[str] = set()
        place = next((i for i, spec in enumerate(self._specs) if not in_backends.isdisjoint(spec.metrics)), 0)
        for i, spec in enumerate(self._specs):
            if i == place:
                found += self._backend_section()
            wanted = [name for name in spec.metrics if name not in in_backends]
            found += self._section(spec.title, f"s{i}", wanted)
            shown.update(wanted)
        if not self._specs:
            found += self._backend_section()
        others = list(dict.fromkeys(r["metric"] for r in self._rows if r["metric"] not in shown | in_backends))
        found += self._section("Other metrics", "other", others)
        if self._expected:
            found.append(Section("Schedule", "schedule", tuple(expected_tables(self._expected, self._clock))))
        quality = [source_table(self._data["sources"], self._words), *ledger_tables(self._data["ledger"])]
        found.append(Section("Data quality", "quality", tuple(quality), note=_quality(self._data)))
        return found

    def _course(self) -> list[Section]:
        if not self._lines:
            return []
        tables: list[Table | Chart] = [*self._chart("traffic"), traffic_table(self._lines, self._words)]
        return [Section(f"By {self._words.line}", "course", tuple(tables))]

    def _incidents(self) -> list[Section]:
        rows = self._data["incidents"]
        return [Section("Incidents", "incidents", (incident_table(rows, self._clock, self._data["from"]),))] \
            if rows else []

    def _backend_section(self) -> list[Section]:
        if not self._backends:
            return []
        names = [backend["name"] for backend in self._backends]
        tables: list[Table | Chart] = [backend_table(self._backends)]
        if self._lines:
            tables += [*self._chart("times"), time_table(self._lines, names, self._words)]
        tables += backend_breakdowns(self._rows, self._backends, self._words)
        return [Section("Backend services", "backends", tuple(tables))]

    def _section(self, name: str, anchor: str, metrics: Sequence[str]) -> list[Section]:
        """A section of these metrics; none where the report has none of them."""
        order = {metric: i for i, metric in enumerate(metrics)}
        mine = sorted((row for row in self._rows if row["metric"] in order), key=lambda row: order[row["metric"]])
        if not mine:
            return []
        tables = [measures([row for row in mine if not row["labels"]], self._help_of, self._words)]
        return [Section(name, anchor, (*tables, *self._when(metrics), *breakdowns(mine, self._words)))]

    def _when(self, metrics: Sequence[str]) -> list[Table | Chart]:
        """What belongs to these metrics in time: outcomes by hour, starts and stops, what was expected."""
        found: list[Table | Chart] = []
        for metric in metrics:
            if self._lines and metric.removesuffix("_ok") in self._lines[0]["outcomes"]:
                name = metric.removesuffix("_ok")
                found += [*self._chart(f"outcomes-{name}"), outcome_table(self._lines, name, self._words)]
            if metric.removesuffix("_starts") in self._timelines:
                found.append(self._timelines[metric.removesuffix("_starts")])
        mine = [row for row in self._expected if row["metric"] in metrics]
        self._expected = [row for row in self._expected if row["metric"] not in metrics]
        return found + expected_tables(mine, self._clock)

    def _chart(self, name: str) -> list[Chart]:
        return [self._charts[name]] if name in self._charts else []


def _quality(data: Mapping[str, Any]) -> str:
    """One sentence on what was read of the period."""
    records = sum(source["records"] for source in data["sources"])
    rejects = sum(source["rejects"] for source in data["sources"])
    if not records and not rejects:
        return f"No source wrote a record {words_of(data['period']).during}."
    share = rejects / (records + rejects)
    return (f"{number(records)} records of {number(len(data['sources']))} sources; "
            f"{number(rejects)} entries could not be read ({percent(share)}).")
