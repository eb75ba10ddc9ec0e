"""The tables of backend services: those with metrics `<name>_calls`, `<name>_failures` and `<name>_time`."""

from collections.abc import Sequence

from logagg.report.numbers import NO_DATA
from logagg.report.tables import (
    ROWS_MAX,
    Cell,
    Column,
    Row,
    Table,
    cut,
    linked,
    pair,
    said,
    spread,
    spread_columns,
    title,
)
from logagg.report.words import Words


def backend_table(backends: Sequence[Row]) -> Table:
    """Calls, failures, failure rate, median and p95 of each backend, each with the period before."""
    columns = (Column("Backend", False), Column("Calls"), Column("Failures"), Column("Failure rate"),
               Column("Median time"), Column("95th percentile"))
    return Table("Calls, failures and times", columns, tuple((Cell(title(b["name"])), *_backend(b)) for b in backends))


def _backend(now: Row) -> tuple[Cell, ...]:
    before = now["previous"]
    return (
        pair(now["calls"], before["calls"]),
        linked(pair(now["failures"], before["failures"], worse=1), now.get("drill", "")),
        pair(now["failure_rate"], before["failure_rate"], "ratio", worse=1,
             wholes=(now["calls"], before["calls"])),
        pair(now["median_ms"], before["median_ms"], "distribution", "ms", worse=1),
        pair(now["p95_ms"], before["p95_ms"], "distribution", "ms", worse=1),
    )


def backend_breakdowns(rows: Sequence[Row], backends: Sequence[Row], words: Words) -> list[Table]:
    """Per operation, per host, and the failures per code, summed over the other labels."""
    names = [backend["name"] for backend in backends]
    found = [_by(rows, names, label) for label in ("operation", "host")]
    codes = _sums(rows, names, "failures", ("operation", "code"))
    links = _links(rows, "failures", ("operation", "code"))
    lines = [(Cell(title(key[0])), *map(Cell, key[1:]), *spread(linked(pair(*both, worse=1), links.get(key, ""))))
             for key, both in sorted(codes.items(), key=lambda item: (-item[1][0], item[0]))]
    columns = (Column("Backend", False), Column("Operation", False), Column("Code", False), *spread_columns(words))
    found.append(cut("Failures by operation and code", columns, lines))
    return [table for table in found if table.rows]


def _by(rows: Sequence[Row], names: Sequence[str], label: str) -> Table:
    """Calls, failures and rate per backend and value of one label, with times where they bear that label alone."""
    calls, failures = _sums(rows, names, "calls", (label,)), _sums(rows, names, "failures", (label,))
    links = _links(rows, "failures", (label,))
    times = {(row["metric"].removesuffix("_time"), row["labels"][label]): row for row in rows
             if row["metric"].endswith("_time") and list(row["labels"]) == [label]}
    lines = []
    for key, (now, before) in sorted(calls.items(), key=lambda item: (names.index(item[0][0]), -item[1][0], item[0])):
        failed = failures.get(key, (0, 0))
        cells = [Cell(title(key[0])), Cell(key[1]), pair(now, before),
                 linked(pair(*failed, worse=1), links.get(key, "")),
                 pair(failed[0] / now if now else None, failed[1] / before if before else None, "ratio", worse=1,
                      wholes=(now, before))]
        if times:
            cells += _times(times.get((key[0], key[1])))
        lines.append(tuple(cells))
    columns = [Column("Backend", False), Column(title(label), False), Column("Calls"), Column("Failures"),
               Column("Failure rate")]
    if times:
        columns += [Column("Median time"), Column("95th percentile")]
    most = 4 * ROWS_MAX
    return Table(f"By {said(label)}", tuple(columns), tuple(lines[:most]), more=max(0, len(lines) - most), folded=True)


def _times(row: Row | None) -> list[Cell]:
    if row is None:
        return [Cell(NO_DATA), Cell(NO_DATA)]
    return [pair(row[stat], row["previous"][stat], row["kind"], row["unit"], worse=1) for stat in ("median", "p95")]


def _sums(rows: Sequence[Row], names: Sequence[str], what: str,
          labels: tuple[str, ...]) -> dict[tuple[str, ...], tuple[int, int]]:
    """(backend, label values…) -> the counters `<backend>_<what>` of now and before, summed over other labels."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for row in rows:
        name = row["metric"].removesuffix("_" + what)
        if row["metric"] != f"{name}_{what}" or name not in names or not row["labels"].keys() >= set(labels):
            continue
        key = (name, *(str(row["labels"][label]) for label in labels))
        now, before = found.get(key, (0, 0))
        found[key] = (now + row["count"], before + row["previous"]["count"])
    return found


def _links(rows: Sequence[Row], what: str, labels: tuple[str, ...]) -> dict[tuple[str, ...], str]:
    """As `_sums`, to the pages on which the sums are followed to their records."""
    return {(row["metric"].removesuffix("_" + what), *(str(row["labels"][label]) for label in labels)): path
            for row in rows if row["metric"].endswith("_" + what)
            if (path := row.get("drill_sums", {}).get(tuple(sorted(labels))))}
