"""The tables of hours, sources and ledger: how the day went, and what the numbers rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from logagg.report.numbers import number, size, total
from logagg.report.tables import ROWS_MAX, Cell, Column, Row, Table

_HOURLY = (("calls", "Calls", ""), ("backend_calls", "Backend calls", ""),
           ("backend_failures", "Backend failures", "bad"))


def hour_table(hours: Sequence[Row]) -> Table:
    """Each local hour with its calls, backend calls and backend failures, as numbers with bars."""
    shown = [stat for stat in _HOURLY if any(hour[stat[0]] is not None for hour in hours)]
    most = {stat: max((hour[stat] or 0 for hour in hours), default=0) for stat, _, _ in shown}
    lines = []
    for hour, again in zip(hours, _again(hours), strict=True):
        head = Cell(f"{hour['hour']:02d}:00", note="again, after the clocks went back" if again else "")
        lines.append((head, *(Cell(number(hour[stat]), tone=tone,
                                   bar=None if hour[stat] is None else _share(hour[stat], most[stat]))
                              for stat, _, tone in shown)))
    sums = tuple(Cell(number(total(hour[stat] for hour in hours))) for stat, _, _ in shown)
    return Table("By local hour", (Column("Hour", False), *(Column(said) for _, said, _ in shown)), tuple(lines),
                 total=(Cell("Day"), *sums))


@dataclass(frozen=True, slots=True)
class Chart:
    """One column per hour: `columns` are (x, y, height, what it says) in a drawing of WIDTH by HEIGHT; `marks` label
    some of them on the axis as (x, hour)."""

    title: str
    most: str
    tone: str
    width: float
    columns: tuple[tuple[float, float, float, str], ...]
    marks: tuple[tuple[float, str], ...]


CHART_WIDTH, CHART_HEIGHT = 320, 84


def hour_charts(hours: Sequence[Row]) -> list[Chart]:
    """The hours as small column charts, one for each number that has data."""
    return [_chart(hours, stat, said, tone) for stat, said, tone in _HOURLY
            if any(hour[stat] is not None for hour in hours)]


def _chart(hours: Sequence[Row], stat: str, said: str, tone: str) -> Chart:
    width = CHART_WIDTH / len(hours)
    most = max(hour[stat] or 0 for hour in hours)
    columns, marks = [], []
    for i, hour in enumerate(hours):
        height = round(CHART_HEIGHT * _share(hour[stat] or 0, most) / 100, 1)
        told = f"{hour['hour']:02d}:00: {number(hour[stat])}"
        columns.append((round(i * width, 1), round(CHART_HEIGHT - height, 1), height, told))
        if hour["hour"] % 6 == 0 and (not i or hours[i - 1]["hour"] != hour["hour"]):
            marks.append((round(i * width, 1), f"{hour['hour']:02d}"))
    return Chart(said, number(most), tone, round(width * 0.8, 1), tuple(columns), tuple(marks))


def _again(hours: Sequence[Row]) -> list[bool]:
    return [i > 0 and hour["hour"] == hours[i - 1]["hour"] for i, hour in enumerate(hours)]


def _share(value: int | float, most: int | float) -> float:
    """In percent of the most."""
    return round(100 * value / most, 1) if most else 0.0


_SEVERE = ("FATAL", "SEVERE", "CRITICAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "TRACE")


def source_table(sources: Sequence[Row]) -> Table:
    """Records, rejects and records per level of each application and host."""
    seen = {level for source in sources for level in source["levels"]}
    known = [level for level in _SEVERE if level in seen]
    other = bool(seen - set(known))
    lines = []
    for source in sources:
        levels = source["levels"]
        cells = [Cell(f"{source['app']} on {source['host']}"), Cell(number(source["records"])),
                 Cell(number(source["rejects"]), tone="bad" if source["rejects"] else "")]
        cells += [Cell(number(levels.get(level, 0))) for level in known]
        if other:
            cells.append(Cell(number(sum(n for level, n in levels.items() if level not in known))))
        lines.append(tuple(cells))
    names = ("Records", "Rejects", *known, *(("other levels",) if other else ()))
    return Table("Records of the day by source and level", (Column("Source", False), *map(Column, names)), tuple(lines))


def ledger_tables(ledger: Sequence[Row]) -> list[Table]:
    """Where every byte read so far is: committed, rejected or dropped; per source, and per file on demand."""
    columns = (Column("Committed"), Column("Rejects"), Column("Rejected"), Column("Dropped", False))
    key = lambda row: (row["app"], row["host"])  # noqa: E731
    sources = []
    for (app, host), group in groupby(sorted(ledger, key=key), key=key):
        rows = list(group)
        sources.append((Cell(f"{app} on {host}"), Cell(number(len(rows))), *_ledger(rows)))
    everything = (Cell("All"), Cell(number(len(ledger))), *_ledger(ledger))
    files = [(Cell(row["path"]), Cell(row["host"]), *_ledger([row])) for row in ledger]
    most = 10 * ROWS_MAX
    return [
        Table("Ledger: what became of every byte read until the report was built",
              (Column("Source", False), Column("Files"), *columns), tuple(sources), total=everything),
        Table("Ledger per file", (Column("File", False), Column("Host", False), *columns), tuple(files[:most]),
              more=max(0, len(files) - most), folded=True),
    ]


def _ledger(rows: Sequence[Row]) -> tuple[Cell, ...]:
    dropped: dict[str, int] = {}
    for row in rows:
        for reason, size_bytes in row["dropped"].items():
            dropped[reason] = dropped.get(reason, 0) + size_bytes
    told = "; ".join(f"{size(dropped[reason])} {reason.replace('_', ' ')}" for reason in sorted(dropped))
    return (
        Cell(size(sum(row["committed"] for row in rows))),
        Cell(number(sum(row["rejects"] for row in rows))),
        Cell(size(sum(row["rejected_bytes"] for row in rows))),
        Cell(told or "nothing", tone="bad" if told else ""),
    )
