"""data.json -> charts as Vega-Lite specifications (https://vega.github.io/vega-lite/docs/). Pure; draws nothing.

Colours are from Okabe and Ito's palette, which people with any common colour blindness tell apart
(https://jfly.uni-koeln.de/color/); lines differ in their dashes too. Each chart says the same as a table of the page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from logagg.report.course_tables import TRAFFIC, lines_of
from logagg.report.numbers import number
from logagg.report.tables import Row, title
from logagg.report.words import words_of

BLUE, WARM = "#0072b2", "#d55e00"
PALETTE = (BLUE, WARM, "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2), (4, 4), (1, 3))
SOFT, LINE = "#5a6577", "#dfe3ea"
WIDTH = 660

LINES_MAX = len(PALETTE)
"""Backends in one chart, those with the most calls; the table has all."""


@dataclass(frozen=True, slots=True)
class Chart:
    """`name` is its file's name, `alt` what stands for it where pictures are not shown."""

    name: str
    title: str
    alt: str
    spec: dict[str, Any]


def charts(data: Row) -> list[Chart]:
    """traffic, times, and one per outcome (payments), of those that have any data, in this order."""
    return [*_traffic(data), *_times(data), *_outcomes(data)]


def _traffic(data: Row) -> Iterator[Chart]:
    lines, words = lines_of(data), words_of(data["period"])
    shown = [one for one in TRAFFIC if one[0] != "backend_calls" and any(line[one[0]] for line in lines)]
    if shown:
        parts = [_bars(lines, told, [(told, WARM if tone else BLUE, [line[stat] for line in lines])],
                       height=80 if tone else 130) for stat, told, tone in shown]
        told = " and ".join(one[1] for one in shown).capitalize()
        yield _chart("traffic", f"{told} by {words.line}", {
            "vconcat": parts, "spacing": 18, "resolve": {"scale": {"color": "independent"}}})


def _outcomes(data: Row) -> Iterator[Chart]:
    lines, words = lines_of(data), words_of(data["period"])
    for name in lines[0]["outcomes"] if lines else ():
        stacks = [(how, colour, [line["outcomes"][name][how] for line in lines])
                  for how, colour in (("ok", BLUE), ("failed", WARM))]
        if any(n for _, _, counts in stacks for n in counts):
            yield _chart(f"outcomes-{name}", f"{title(name)} ok and failed by {words.line}",
                         _bars(lines, title(name), stacks, height=150))


def _times(data: Row) -> Iterator[Chart]:
    lines, words = lines_of(data), words_of(data["period"])
    ranked = sorted(data["backends"], key=lambda one: -(one["calls"] or 0))[:LINES_MAX]
    names = [one["name"] for one in data["backends"] if one in ranked]
    values = [{"at": label, "order": i, "who": title(name), "n": line["p95_ms"][name],
               "told": f"{title(name)}, {label}: {number(line['p95_ms'][name], 'distribution', 'ms')}"}
              for name in names for i, (label, line) in enumerate(zip(_labels(lines), lines, strict=True))
              if line["p95_ms"][name] is not None]
    if not values:
        return
    who = [title(name) for name in names]
    n = {"field": "n", "type": "quantitative", "axis": {"title": None, "labelExpr": _MS}}
    colour = {"field": "who", "type": "nominal", "sort": who, "scale": {"domain": who, "range": PALETTE[:len(who)]},
              "legend": {"title": None, "orient": "top", "symbolType": "stroke", "symbolSize": 300}}
    dash = {**colour, "scale": {"domain": who, "range": DASHES[:len(who)]}}
    shared = {"x": _x(lines), "y": n, "color": colour, "description": {"field": "told"}}
    spec = {"height": 170, "width": WIDTH, "data": {"values": values},
            "layer": [{"mark": {"type": "line", "strokeWidth": 2}, "encoding": {**shared, "strokeDash": dash}},
                      {"mark": {"type": "circle", "size": 22, "opacity": 1}, "encoding": shared}]}
    yield _chart("times", f"95th percentile of backend times by {words.line}", spec)


_MS = "datum.value >= 1000 ? datum.value / 1000 + ' s' : datum.value + ' ms'"


def _bars(lines: Sequence[Row], said: str, stacks: Sequence[tuple[str, str, list[int | None]]], *,
          height: int) -> dict[str, Any]:
    """Columns per hour or day, stacked in the order of `stacks`: (what, colour, counts)."""
    values = [{"at": label, "order": i, "what": what, "n": counts[i] or 0,
               "told": f"{said}{f' {what}' if len(stacks) > 1 else ''}, {label}: {number(counts[i])}"}
              for what, _, counts in stacks for i, label in enumerate(_labels(lines))]
    names = [what for what, _, _ in stacks]
    colour = {"field": "what", "type": "nominal",
              "scale": {"domain": names, "range": [colour for _, colour, _ in stacks]},
              "legend": {"title": None, "orient": "top"} if len(stacks) > 1 else None}
    n = {"field": "n", "type": "quantitative", "axis": {"title": None, "tickMinStep": 1, "tickCount": height // 35}}
    head = {} if len(stacks) > 1 else {"title": {"text": said, "anchor": "start", "fontSize": 12}}
    return {**head, "width": WIDTH, "height": height,
            "data": {"values": values}, "mark": {"type": "bar"},
            "encoding": {"x": _x(lines), "y": n, "color": colour, "order": {"field": "what", "sort": "descending"},
                         "description": {"field": "told"}}}


def _x(lines: Sequence[Row]) -> dict[str, Any]:
    axis = {"title": None, "labelAngle": 0, "labelOverlap": True, "ticks": False, "labelPadding": 5}
    return {"field": "at", "type": "ordinal", "axis": axis,
            "scale": {"domain": _labels(lines), "padding": 0.2}}


def _labels(lines: Sequence[Row]) -> list[str]:
    """00 … 23, the second of an hour that comes twice with a prime; or days, those of a week with their names."""
    if lines and "date" in lines[0]:
        days = [date.fromisoformat(line["date"]) for line in lines]
        if len(days) > 7:
            return [str(day.day) for day in days]
        short = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
        return [f"{short[day.weekday()]} {day.day}" for day in days]
    found: list[str] = []
    for line in lines:
        label = f"{line['hour']:02d}"
        found.append(label + "′" if label in found else label)
    return found


def _chart(name: str, told: str, spec: dict[str, Any]) -> Chart:
    axis = {"labelColor": SOFT, "gridColor": LINE, "domainColor": LINE, "tickColor": LINE, "labelFontSize": 11}
    config = {"axis": axis, "title": {"color": SOFT}, "legend": {"labelColor": SOFT, "labelFontSize": 12},
              "view": {"stroke": None}, "font": "sans-serif"}
    whole = {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "background": None, "padding": 4,
             "config": config, **spec}
    return Chart(name, told, f"{told}; the table below has the numbers", whole)
