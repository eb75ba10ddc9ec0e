"""data.json and the packs' sections -> the page as texts: heading, key figures and sections. Pure; knows no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from logagg.report.backends import backend_breakdowns, backend_table
from logagg.report.numbers import number, percent, total
from logagg.report.quality import Chart, hour_charts, hour_table, ledger_tables, source_table
from logagg.report.tables import Cell, Row, Table, breakdowns, compared, measures, pair, title, totals

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
    """A key figure: the value in large type, what it was the day before, and what changed."""

    title: str
    cell: Cell


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of the page; `anchor` is its id in the page."""

    title: str
    anchor: str
    tables: tuple[Table, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template prints."""

    name: str
    day: str
    span: str
    timezone: str
    complete: bool
    reasons: tuple[str, ...]
    revision: int
    built_at: str
    figures: tuple[Figure, ...]
    charts: tuple[Chart, ...]
    sections: tuple[Section, ...]


def page(data: Mapping[str, Any], specs: Sequence[SectionSpec], figures: Sequence[str],
         help_of: Mapping[str, str]) -> Page:
    """The page of one report. `figures` names the metrics of the key figures (none: the first of each section);
    `help_of` explains metrics. A metric that no section names stands under "Other metrics"."""
    return Page(
        name=data["name"],
        day=_day(data["date"]),
        span=_span(data),
        timezone=data["timezone"],
        complete=data["complete"],
        reasons=_reasons(data["incomplete_because"]),
        revision=data["revision"],
        built_at=data["built_at"][:16].replace("T", " ") + " UTC",
        figures=tuple(_figures(data, figures or [spec.metrics[0] for spec in specs if spec.metrics])),
        charts=tuple(hour_charts(data["hours"])),
        sections=tuple(_sections(data, specs, help_of)),
    )


def _day(text: str) -> str:
    """Friday, 20 November 2026; spelled here because strftime follows the machine's locale."""
    day = date.fromisoformat(text)
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    months = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
              "November", "December")
    return f"{names[day.weekday()]}, {day.day} {months[day.month - 1]} {day.year}"


def _span(data: Mapping[str, Any]) -> str:
    """The interval in local time, and the day's length where it is not 24 hours."""
    start, end = (datetime.fromisoformat(data[key]) for key in ("from", "to"))
    info = ZoneInfo(data["timezone"])
    hours = (end - start).total_seconds() / 3600
    told = f"{start.astimezone(info):%Y-%m-%d %H:%M %Z} to {end.astimezone(info):%Y-%m-%d %H:%M %Z}"
    return told if hours == 24 else f"{told}, {hours:g} hours"


def _reasons(told: Sequence[str]) -> tuple[str, ...]:
    more = len(told) - REASONS_MAX
    return (*told[:REASONS_MAX], f"and {more:,} more, in data.json") if more > 0 else tuple(told)


def _figures(data: Mapping[str, Any], names: Sequence[str]) -> list[Figure]:
    rows = totals(data["metrics"])
    found = []
    for name in names[:FIGURES_MAX]:
        row = rows.get(name)
        if row is not None:
            distribution = row["kind"] == "distribution"
            said = f"{title(name)}, median" if distribution else title(name)
            found.append(Figure(said, compared(row, "median" if distribution else "value")))
    return found + _backend_figures(data["backends"])


def _backend_figures(backends: Sequence[Row]) -> list[Figure]:
    """All backends together: calls and the share that failed."""
    if not backends:
        return []
    calls, failed = _both(backends, "calls"), _both(backends, "failures")
    rates = [part / whole if whole and part is not None else None for part, whole in zip(failed, calls, strict=True)]
    return [
        Figure("Backend calls", pair(*calls)),
        Figure("Backend failure rate", pair(rates[0], rates[1], "ratio", worse=1, wholes=calls)),
    ]


def _both(backends: Sequence[Row], key: str) -> tuple[int | None, int | None]:
    """The sum over all backends, and that of the day before."""
    return total(row[key] for row in backends), total(row["previous"][key] for row in backends)


def _sections(data: Mapping[str, Any], specs: Sequence[SectionSpec], help_of: Mapping[str, str]) -> list[Section]:
    rows, backends = data["metrics"], data["backends"]
    in_backends = {f"{backend['name']}_{what}" for backend in backends for what in BACKEND_METRICS}
    shown: set[str] = set()
    found: list[Section] = []
    place = next((i for i, spec in enumerate(specs) if not in_backends.isdisjoint(spec.metrics)), 0)
    for i, spec in enumerate(specs):
        if i == place:
            found += _backend_section(rows, backends)
        wanted = [name for name in spec.metrics if name not in in_backends]
        found += _section(spec.title, f"s{i}", rows, wanted, help_of)
        shown.update(wanted)
    if not specs:
        found += _backend_section(rows, backends)
    if data["hours"]:
        found.append(Section("By hour", "hours", (hour_table(data["hours"]),)))
    others = list(dict.fromkeys(r["metric"] for r in rows if r["metric"] not in shown | in_backends))
    found += _section("Other metrics", "other", rows, others, help_of)
    quality = [source_table(data["sources"]), *ledger_tables(data["ledger"])]
    found.append(Section("Data quality", "quality", tuple(quality), note=_quality(data)))
    return found


def _backend_section(rows: Sequence[Row], backends: Sequence[Row]) -> list[Section]:
    if not backends:
        return []
    tables = [backend_table(backends), *backend_breakdowns(rows, backends)]
    return [Section("Backend services", "backends", tuple(tables))]


def _section(name: str, anchor: str, rows: Sequence[Row], metrics: Sequence[str],
             help_of: Mapping[str, str]) -> list[Section]:
    """A section of these metrics; none where the report has none of them."""
    order = {metric: i for i, metric in enumerate(metrics)}
    mine = sorted((row for row in rows if row["metric"] in order), key=lambda row: order[row["metric"]])
    if not mine:
        return []
    tables = [measures([row for row in mine if not row["labels"]], help_of), *breakdowns(mine)]
    return [Section(name, anchor, tuple(tables))]


def _quality(data: Mapping[str, Any]) -> str:
    """One sentence on what was read on the day."""
    records = sum(source["records"] for source in data["sources"])
    rejects = sum(source["rejects"] for source in data["sources"])
    if not records and not rejects:
        return "No source wrote a record on this day."
    share = rejects / (records + rejects)
    return (f"{number(records)} records of {number(len(data['sources']))} sources; "
            f"{number(rejects)} entries could not be read ({percent(share)}).")
