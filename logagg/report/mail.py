"""A report as a mail: what changed, incidents and key figures, then each chart with its table; readable without images.

Tables are narrow: a mail is read on a telephone. Everything else is a link away, or in the page that the mail tells of.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from markupsafe import Markup

from logagg.report.build import stored_pictures
from logagg.report.chart import Chart, charts
from logagg.report.draw import Drawn
from logagg.report.page import Figure, Page, SectionSpec, page
from logagg.report.render import template
from logagg.report.tables import Cell, Column, Table
from logagg.visible import visible

ROWS_MAX = 31
CELL_CHARS_MAX = 60
_ANCHORS = ("course", "incidents")
"""Of these sections all is in the mail; of the others what has to do with time: charts, their tables, schedules."""

Mail = tuple[str, str, str, list[dict[str, str]]]
"""(subject, text, HTML, images), an image being {"cid", "data"}: a PNG in base64."""


class Shown(Protocol):
    """What a mail takes from a pack."""

    @property
    def sections(self) -> Sequence[SectionSpec]: ...

    @property
    def figures(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class _Part:
    """A titled table, perhaps under its chart; `cid` names the chart's image, "" where there is none."""

    table: Table
    chart: Chart | None = None
    cid: str = ""
    text: str = ""      #: the table as aligned lines, made visible


def report_mail(data: Mapping[str, Any], sections: Sequence[SectionSpec], figures: Sequence[str], drawn: Drawn,
                public_url: str | None = None) -> Mail:
    """The mail of one report, from its data.json, its packs' sections and figures, and its drawn charts.

    `public_url` is where the archive is served (`…/reports/` below it); without, there is no link. Equal reports give
    equal mails.
    """
    shown = page(data, sections, figures, {})
    parts = list(_parts(shown, data, drawn))
    subject = _subject(shown)
    values = {"page": shown, "parts": parts, "link": _link(data, public_url), "charts_missing": drawn.missing,
              "subject": subject}
    images = [{"cid": part.cid, "data": base64.b64encode(drawn.pictures[part.chart.name].png).decode()}
              for part in parts if part.cid and part.chart is not None]
    text = template("mail_report.txt", escape=False).render(**values, figures=_aligned(_figures(shown, wide=True)))
    return subject, text, template("mail_report.html").render(**values, figures=_figures(shown, wide=False)), images


def built_mail(place: Path, packs: Iterable[Shown], public_url: str | None = None) -> Mail:
    """The mail of a revision that was built before, from its folder alone. OSError, ValueError: it cannot be read."""
    data = json.loads((place / "data.json").read_bytes())
    wanted = charts(data)
    pictures = stored_pictures(place, wanted)
    missing = "" if len(pictures) == len(wanted) else "they could not be drawn when the report was built"
    packs = list(packs)
    return report_mail(data, [section for pack in packs for section in pack.sections],
                       [figure for pack in packs for figure in pack.figures], Drawn(pictures, missing), public_url)


def _subject(shown: Page) -> str:
    """The news first: telephones show some forty characters."""
    news = [f"{one.title} {one.now} (was {one.before})" for one in shown.changes[:1]]
    if shown.incidents != "no incidents":
        news.append(shown.incidents)
    state = "" if shown.complete else ", incomplete"
    revised = f", revision {shown.revision}" if shown.revision > 1 else ""
    return visible(f"{shown.name} {shown.heading}: {'; '.join(news) or 'nothing unusual'}{state}{revised}", 200)


def _link(data: Mapping[str, Any], public_url: str | None) -> str:
    if not public_url:
        return ""
    path = f"{data['name']}/{data['period']}/{data['date']}/r{data['revision']}/index.html"
    return f"{public_url.rstrip('/')}/reports/{quote(path)}"


def _figures(shown: Page, *, wide: bool) -> Table:
    """The key figures as a table; `wide` gives the changes a column of their own."""
    columns = (Column("", False), Column(shown.words.this), Column(shown.words.before))
    return Table("Key figures", (*columns, Column("Change")) if wide else columns,
                 tuple(_figure(figure, wide=wide) for figure in shown.figures))


def _figure(figure: Figure, *, wide: bool) -> tuple[Cell, ...]:
    change = figure.cell.change
    now = Cell(figure.cell.text, tone="bad" if change and change.tone == "worse" else "")
    if wide:
        return Cell(figure.title), now, Cell(figure.cell.before), Cell("", change=change)
    return Cell(figure.title), now, Cell(figure.cell.before, change=change, below=True)


def _parts(shown: Page, data: Mapping[str, Any], drawn: Drawn) -> Iterable[_Part]:
    """The tables in the order of the page; a chart goes with the table behind it."""
    for section in shown.sections:
        chart: Chart | None = None
        for item in section.tables:
            if isinstance(item, Chart):
                chart = item
                continue
            if chart is not None or section.anchor in _ANCHORS or item.timed:
                table = replace(item, rows=item.rows[:ROWS_MAX], more=item.more + max(0, len(item.rows) - ROWS_MAX))
                yield _Part(table, chart, _cid(chart, data) if chart and chart.name in drawn.pictures else "",
                            _aligned(table))
            chart = None


def _cid(chart: Chart, data: Mapping[str, Any]) -> str:
    """A Content-ID (RFC 2392): it needs to be unique within the mail, and looks like an address."""
    return f"{chart.name}.r{data['revision']}@{data['date']}.{data['period']}.report"


def _aligned(table: Table) -> Markup:
    """A table for plain text: columns of their widest cell, numbers to the right.

    Its cells are made visible here, one by one, so that the template takes the whole as it is (Markup).
    """
    heads = tuple(Cell(column.title) for column in table.columns)
    rows = [[visible(cell.text or (cell.change.text if cell.change else ""), CELL_CHARS_MAX) for cell in row]
            for row in (heads, *table.rows, *((table.total,) if table.total else ()))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.rjust(width) if column.numeric else text.ljust(width)
                       for text, width, column in zip(row, widths, table.columns, strict=True)).rstrip()
             for row in rows]
    if table.more:
        lines.append(f"and {table.more:,} more in the report")
    return Markup("\n".join(lines))
