"""The tables of sources and ledger: what the numbers rest on."""

from collections.abc import Sequence
from itertools import groupby

from logagg.report.numbers import number, size
from logagg.report.tables import ROWS_MAX, Cell, Column, Row, Table
from logagg.report.words import Words

_SEVERE = ("FATAL", "SEVERE", "CRITICAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "TRACE")


def source_table(sources: Sequence[Row], words: Words) -> Table:
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
    columns = (Column("Source", False), *map(Column, names))
    return Table(f"Records of the {words.unit} by source and level", columns, tuple(lines))


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
