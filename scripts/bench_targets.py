"""What the figures are to reach, and how they are shown: as text, as Markdown, as a plot."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_figures import Figures, Spread

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """`most`: the figure is to be at most `target`, else at least."""

    what: str
    unit: str
    target: float
    measured: Callable[[Figures], Spread | None]
    most: bool = False


TARGETS = [
    Target("header", "lines/s", 900_000, lambda f: f.speed("logagg: header")),
    Target("header and six events, 62 % claimed", "lines/s", 400_000,
           lambda f: f.speed("logagg: header and six events")),
    Target("header and six events / syslog-ng's parse of the header", "times", 6,
           lambda f: f.ratio("logagg: header and six events", "syslog-ng: parse")),
    Target("header and six events / syslog-ng's parse of both", "times", 6,
           lambda f: f.ratio("logagg: header and six events", "syslog-ng: parse, and six events")),
    Target("header and six events / syslog-ng's parse of the header to a JSON file", "times", 6,
           lambda f: f.ratio("logagg: header and six events", "syslog-ng: file to JSON")),
    Target("two processes / one, parsing", "times", 1.7,
           lambda f: f.ratio("logagg: header and six events, 2 processes", "logagg: header and six events, 1 process")),
    Target("file to SQLite, 5 % claimed, repeated lines", "lines/s", 200_000,
           lambda f: f.speed("logagg: file to SQLite")),
    Target("file to SQLite, 5 % claimed, lines that do not repeat", "lines/s", 200_000,
           lambda f: f.speed("logagg: file to SQLite, no repeats")),
    Target("size of the store / raw log, SQLite, repeated lines", "%", 15,
           lambda f: f.value("SQLite / raw log in %, repeated lines"), most=True),
    Target("size of the store / raw log, SQLite, lines that do not repeat", "%", 15,
           lambda f: f.value("SQLite / raw log in %, lines that do not repeat"), most=True),
    Target("file to MongoDB, 5 % claimed / syslog-ng's mongodb()", "times", 30,
           lambda f: f.ratio("logagg: file to MongoDB", "syslog-ng: file to mongodb()")),
    Target("file to MongoDB, all records / insert_many of the same BSON", "times", 0.6,
           lambda f: f.ratio("logagg: file to MongoDB, all records", "pymongo: insert_many of the same BSON")),
    Target("memory of ingest, peak", "MB", 200,
           lambda f: f.peak(*(name for name in f.by_stage if name.startswith("logagg: file to "))), most=True),
    Target("logagg --help", "s", 0.3, lambda f: f.seconds("logagg --help, whole process"), most=True),
    Target("idle agent, 1,000 files", "% of a core", 0.5, lambda f: f.value("idle agent, 1,000 files: % of a core"),
           most=True),
    Target("idle agent, 10,000 files", "% of a core", 2, lambda f: f.value("idle agent, 10,000 files: % of a core"),
           most=True),
    Target("idle agent, 10,000 files, memory", "MB", 200, lambda f: f.value("idle agent, 10,000 files: MB"), most=True),
    Target("a line to one of 10,000 idle files, until committed, most", "ms", 1000,
           lambda f: f.value("a line to one of 10,000 idle files, until committed: most ms"), most=True),
    Target("1,000 streams, a line a second each", "% of a core", 50,
           lambda f: f.value("1,000 streams, a line a second each: % of a core"), most=True),
    Target("line written to event visible, 5,000 lines/s, median", "ms", 150,
           lambda f: f.value("5,000 lines/s, line to event: median ms"), most=True),
    Target("line written to alert mail accepted, p99", "ms", 1000, lambda f: f.value("line to alert mail: p99 ms"),
           most=True),
]


def target_rows(figures: Figures) -> Iterator[dict[str, Any]]:
    """One row for each target that was measured in this run."""
    for one in TARGETS:
        found = one.measured(figures)
        if found is not None:
            reached = found.median <= one.target if one.most else found.median >= one.target
            yield {"what": one.what, "unit": one.unit, "target": one.target, "most": one.most, "reached": reached,
                   "measured": _rounded(found.median), "least": _rounded(found.least), "greatest": _rounded(found.most)}


def _rounded(value: float) -> float:
    return round(value) if value >= 1000 else float(f"{value:.3g}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _target(row: Row) -> str:
    return f"{'at most' if row['most'] else 'at least'} {_number(row['target'])} {row['unit']}"


def _spread(row: Row) -> str:
    same = row["least"] == row["greatest"]
    return _number(row["measured"]) + ("" if same else f" ({_number(row['least'])} to {_number(row['greatest'])})")


def figures_text(rows: list[Row]) -> str:
    columns = {"lines_per_s": 11, "lines_per_s_least": 11, "lines_per_s_most": 11, "lines_per_cpu_s": 11,
               "mb_per_s": 9, "seconds": 10, "cpu_seconds": 10, "peak_mb": 8}
    heads = ["lines/s", "least", "most", "per cpu s", "MB/s", "seconds", "cpu s", "MB"]
    lines = [f"{'stage':62}" + "".join(f"{head:>{width}}" for head, width in zip(heads, columns.values(), strict=True))]
    lines += [f"{row['stage']:62}" + "".join(f"{_optional(row, name):>{width}}" for name, width in columns.items())
              for row in rows]
    return "\n".join(lines)


def targets_text(rows: list[Row]) -> str:
    return "\n".join(f"{row['what']:66}{_target(row):>28}   {_spread(row):40}{'yes' if row['reached'] else 'NO'}"
                     for row in rows)


def markdown(document: Row) -> str:
    """The tables of docs/performance.md, of what `--json` has written."""
    about = (f"{document['at'][:10]}, {document['cores']} cores, Python {document['python']}, medians of "
             f"{document['runs']} runs, load {document['load_at_start']} at the start and {document['load_at_end']} at "
             "the end (the bench's own included).")
    missing = ", ".join(document["not_installed"])
    absent = [f"\nNot installed, not measured: {missing}."] if missing else []
    targets = [f"| {row['what']} | {_target(row)} | {_spread(row)} | {'yes' if row['reached'] else '**no**'} |"
               for row in document["targets"]]
    figures = [f"| {row['stage']} | {_optional(row, 'lines_per_s')} | {_optional(row, 'lines_per_cpu_s')} | "
               f"{row.get('mb_per_s', '')} | {row['seconds']} ({row['least']} to {row['most']}) | "
               f"{row.get('peak_mb', '')} |" for row in document["figures"]]
    values = [f"| {name} | {_number(value)} |" for name, value in document["values"].items()]
    return "\n".join([
        about, *absent, "",
        "| what | target | measured | reached |", "| --- | --- | ---: | --- |", *targets, "",
        "| stage | lines/s | lines per processor second | MB/s | seconds | peak MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |", *figures, "",
        "| value | |", "| --- | ---: |", *values])


def _optional(row: Row, name: str) -> str:
    return f"{row[name]:,}" if name in row else ""


def plot(document: Row, path: Path) -> None:
    """Lines a second by stage, and each target's degree, as SVG or PNG."""
    import vl_convert

    spec = _spec(document)
    if path.suffix == ".png":
        path.write_bytes(vl_convert.vegalite_to_png(spec, scale=2))
    else:
        path.write_text(vl_convert.vegalite_to_svg(spec))


def _spec(document: Row) -> dict[str, Any]:
    """A Vega-Lite chart: bars of the medians with the least and the greatest run; below, measured against target."""
    speeds = [{"stage": row["stage"], "median": row["lines_per_s"], "least": row["lines_per_s_least"],
               "most": row["lines_per_s_most"], "who": row["stage"].partition(":")[0]}
              for row in document["figures"] if "lines" in row and row["stage"] != "read blocks"]
    degrees = [{"what": row["what"], "reached": "reached" if row["reached"] else "not reached",
                "degree": row["target"] / row["measured"] if row["most"] else row["measured"] / row["target"]}
               for row in document["targets"] if row["measured"]]
    y = {"type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 480}}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json", "config": {"view": {"continuousWidth": 520}},
        "vconcat": [
            {"title": "lines a second (logarithmic)", "data": {"values": speeds}, "layer": [
                {"mark": "bar", "encoding": {
                    "y": {"field": "stage", **y}, "color": {"field": "who", "title": None},
                    "x": {"field": "median", "type": "quantitative", "title": None,
                          "scale": {"type": "log", "domainMin": 100}}, "x2": {"datum": 100}}},
                {"mark": "rule", "encoding": {"y": {"field": "stage", **y}, "x2": {"field": "most"},
                                              "x": {"field": "least", "type": "quantitative"}}}]},
            {"title": "degree to which targets are reached (1: just reached)", "data": {"values": degrees}, "layer": [
                {"mark": "bar", "encoding": {
                    "y": {"field": "what", **y}, "x": {"field": "degree", "type": "quantitative", "title": None},
                    "color": {"field": "reached", "title": None}}},
                {"mark": {"type": "rule", "strokeDash": [4, 3]}, "encoding": {"x": {"datum": 1}}}]},
        ], "resolve": {"scale": {"color": "independent"}}}
