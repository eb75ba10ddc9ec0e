"""Rows of data.json -> tables of ready texts. Pure; knows no HTML and no store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from logagg.report.numbers import Change, Number, change, number, worse_when
from logagg.report.words import Words

Row = Mapping[str, Any]

ROWS_MAX = 12
"""Rows of one breakdown on the page; the others are counted there and stand in data.json."""

_CAPITALS = frozenset({"api", "asr", "das", "db", "esp", "ftp", "http", "id", "ivr", "jvm", "mpp", "mti", "sql", "tts",
                       "url", "vip"})

_APART = {"appserver": "app server", "promptserver": "prompt server"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table. `change` and `before` are what a compared value says in its second line; `bar` is the
    length of an inline bar in percent, `tone` that of the bar."""

    text: str
    before: str = ""
    change: Change | None = None
    bar: float | None = None
    tone: str = ""
    note: str = ""
    below: bool = False     #: the change stands in a second line, told shortly
    href: str = ""          #: the page on which the number is followed to its records (drill.py)


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """The first column holds the rows' headers. `more` rows were left out; `folded`: shown on demand, and in print."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: int = 0
    folded: bool = False
    total: tuple[Cell, ...] = ()
    timed: bool = False     #: tells when something happened; mails bring it


def title(metric: str) -> str:
    """A metric's name as people read it: das_failure_rate -> "DAS failure rate"."""
    words = [word.upper() if word in _CAPITALS else _APART.get(word, word) for word in metric.split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def compared(row: Row, stat: str = "value", then: str = "previous") -> Cell:
    """One statistic of a data.json row with what it was in the period before, or in `then`."""
    kind = row["kind"] if stat != "count" else "counter"
    unit = row["unit"] if stat != "count" else "1"
    cell = pair(row[stat], row[then][stat], kind, unit, worse=worse_when(row["metric"]),
                wholes=(row["count"], row[then]["count"]))
    return linked(cell, row.get("drill", "")) if kind == "counter" else cell


def linked(cell: Cell, href: str) -> Cell:
    return replace(cell, href=href) if href else cell


def pair(now: Number, before: Number, kind: str = "counter", unit: str = "1", *, worse: int = 0,
         wholes: tuple[int | None, int | None] = (0, 0)) -> Cell:
    """A value and the one of the period before; `worse` and `wholes` as `numbers.change` takes them."""
    changed = change(now, before, kind, unit, worse=worse, wholes=(wholes[0] or 0, wholes[1] or 0))
    return Cell(number(now, kind, unit), number(before, kind, unit), changed)


def totals(rows: Iterable[Row]) -> dict[str, Row]:
    """metric -> its row over all labels."""
    return {row["metric"]: row for row in rows if not row["labels"]}


def measures(rows: Sequence[Row], help_of: Mapping[str, str], words: Words) -> Table:
    """Each metric over all labels against the period before; a distribution takes a line each for median, p95, max.

    For a day the same weekday a week before stands beside them, where anything was seen on it.
    """
    again = words.again if knows_week_before(rows) else ""
    lines = []
    for row in rows:
        name, note = title(row["metric"]), help_of.get(row["metric"], "")
        if row["kind"] != "distribution":
            lines.append((Cell(name, note=note), *_against(row, "value", again)))
            continue
        for stat, said_stat in (("median", "median"), ("p95", "95th percentile"), ("max", "longest")):
            told = f"{note} {row['count']:,} values.".strip() if stat == "median" else ""
            lines.append((Cell(f"{name}, {said_stat}", note=told), *_against(row, stat, again)))
    last = (Column(again),) if again else ()
    return Table("All together", (Column("Measure", False), *spread_columns(words), *last), tuple(lines))


def knows_week_before(rows: Iterable[Row]) -> bool:
    """Whether anything was seen a week before: a counter that saw nothing there is 0, else null."""
    return any((then := row.get("week_before")) and (then["value"] is not None or then["count"]) for row in rows)


def _against(row: Row, stat: str, again: str) -> tuple[Cell, ...]:
    cells = spread(compared(row, stat))
    if not again:
        return cells
    before = compared(row, stat, "week_before")
    return *cells, Cell(before.before, change=before.change, below=True)


def unjudged(table: Table) -> Table:
    """The table without any change called worse or better."""
    return replace(table, rows=tuple(tuple(map(calm, row)) for row in table.rows))


def calm(cell: Cell) -> Cell:
    return replace(cell, change=replace(cell.change, tone="")) if cell.change else cell


def spread_columns(words: Words) -> tuple[Column, ...]:
    return Column(words.this), Column(words.before), Column("Change")


def spread(cell: Cell) -> tuple[Cell, Cell, Cell]:
    """A compared value as three cells of their own."""
    return Cell(cell.text, href=cell.href), Cell(cell.before), Cell("", change=cell.change)


def breakdowns(rows: Sequence[Row], words: Words) -> list[Table]:
    """The label rows of a section's metrics: those with the same labels share a table."""
    def key(row: Row) -> tuple[tuple[str, ...], bool]:
        return tuple(sorted(row["labels"])), row["kind"] == "distribution"

    found = []
    for (names, is_distribution), group in groupby(sorted((r for r in rows if r["labels"]), key=key), key=key):
        shared = list(group)
        metrics = list(dict.fromkeys(row["metric"] for row in shared))
        if is_distribution:
            found.append(_listed(shared, names, metrics, ("count", "median", "p95", "max"), words))
        elif len(names) == 1:
            found.append(_crossed(shared, names[0], metrics))
        else:
            found.append(_listed(shared, names, metrics, ("value",), words))
    return found


def _crossed(rows: Sequence[Row], label: str, metrics: Sequence[str]) -> Table:
    """One line per label value, one column per metric."""
    cells: dict[str, dict[str, Cell]] = {}
    for row in rows:
        cells.setdefault(str(row["labels"][label]), {})[row["metric"]] = compared(row)
    lines = [(Cell(value), *(found.get(metric, Cell("–")) for metric in metrics)) for value, found in cells.items()]
    columns = (Column(title(label), False), *(Column(title(metric)) for metric in metrics))
    return cut(f"By {said(label)}", columns, lines)


def _listed(rows: Sequence[Row], labels: Sequence[str], metrics: Sequence[str], stats: Sequence[str],
            words: Words) -> Table:
    """One line per metric and label set, the greatest first."""
    ranked = sorted(rows, key=lambda row: (-row["count"], -(row["previous"]["count"] or 0), row["metric"]))
    shows_metric = len(metrics) > 1
    lines = []
    for row in ranked:
        heads = [Cell(title(row["metric"]))] if shows_metric else []
        heads += [Cell(str(row["labels"][label])) for label in labels]
        cells = [compared(row, stat) for stat in stats]
        lines.append((*heads, *(spread(cells[0]) if len(cells) == 1 else cells)))
    first = [Column("Measure", False)] if shows_metric else []
    last = spread_columns(words) if len(stats) == 1 else tuple(Column(_STATS[stat]) for stat in stats)
    columns = (*first, *(Column(title(label), False) for label in labels), *last)
    subject = "By " if shows_metric else f"{title(metrics[0])} by "
    return cut(subject + said(*labels), columns, lines)


_STATS = {"count": "Count", "median": "Median", "p95": "95th percentile", "max": "Longest"}


def cut(caption: str, columns: tuple[Column, ...], lines: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(caption, columns, tuple(lines[:ROWS_MAX]), more=max(0, len(lines) - ROWS_MAX))


def said(*labels: str) -> str:
    names = [label.replace("_", " ") for label in labels]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
