"""One report: rollups -> numbers (data.py) -> page (page.py) -> HTML (render.py) -> files with a revision.

    OUT/NAME/daily/2026-11-20/r1/index.html, data.json, chart-traffic.json, .svg and .png …

The folder of a week or month bears the date of its first day. A chart is there as its Vega-Lite specification, and
drawn for the page and for mail; a chart whose specification is that of the last revision is not drawn again.

What is said about the period decides the revision: numbers that differ from the last revision's make the next one, and
the old one stays. Built again with the same numbers, the last revision is written again in place: only the time of
building and the ledger, which tells what had been read by then, may differ.

A new revision appears whole, by one rename of its folder. Its files are on disk before that. A program that ends in
between leaves a folder `.rN.<process>.tmp`, which nobody reads and which may be deleted.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812
from pathlib import Path
from typing import Any, Protocol

from logagg.clock import Clock
from logagg.errors import LogaggError, UsageError
from logagg.interfaces import Store
from logagg.report.chart import Chart, charts
from logagg.report.complete import incomplete_because
from logagg.report.data import report_data
from logagg.report.draw import Artist, Drawn, Draws, Picture, inline_svg
from logagg.report.drill import with_links
from logagg.report.expected import AbsentRule, expectations
from logagg.report.listing import last_revision
from logagg.report.page import SectionSpec, page
from logagg.report.period import period as period_of
from logagg.report.period import utc_text
from logagg.report.render import render
from logagg.rollup.metric import BUILT_IN, Metric

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NOT_COMPARED = ("built_at", "revision", "ledger")
_ATTEMPTS = 10


class ShownPack(Protocol):
    """What a report takes from a pack (`logagg.packs.Pack`): metrics, sections, those of its key figures, rules."""

    @property
    def metrics(self) -> Sequence[Metric]: ...

    @property
    def sections(self) -> Sequence[SectionSpec]: ...

    @property
    def figures(self) -> Sequence[str]: ...

    @property
    def rules(self) -> Sequence[AbsentRule]: ...


@dataclass(frozen=True, slots=True)
class BuiltReport:
    """Where a report is. `changed`: this building made the revision; else it was there with the same numbers.
    `charts_missing` says why there are no charts, "" where there are."""

    path_html: Path
    path_json: Path
    revision: int
    changed: bool
    complete: bool
    charts_missing: str = ""


def build_report(store: Store, *, name: str, period: str, date: Date, timezone: str, packs: Sequence[ShownPack],
                 metrics: Iterable[Metric], out: Path, base: Path, clock: Clock,
                 rules: Iterable[AbsentRule] | None = None, artist: Draws | None = None,
                 followed: bool = False) -> BuiltReport:
    """Build the report of the period that contains the local `date`, and write it below `out`.

    Shown are the packs' metrics and `metrics`, each once; what should have come is told by `rules` (None: the packs').
    Paths of logs are told relative to `base`. An `artist` may draw for several reports; without, one is made for this.
    `followed`: numbers link to the pages below them, which somebody then writes (publish.py).
    UsageError for a name that cannot be a folder's or an unknown period; LogaggError where `out` cannot be written.
    """
    if artist is None:
        with Artist() as own:
            return build_report(store, name=name, period=period, date=date, timezone=timezone, packs=packs,
                                metrics=metrics, out=out, base=base, clock=clock, rules=rules, artist=own,
                                followed=followed)
    if not _NAME.fullmatch(name):
        raise UsageError(f"report name {name!r}: it becomes a folder's name; use letters, digits and . _ - only, "
                         "beginning with a letter or digit")
    this = period_of(period, date, timezone)
    shown = _shown(packs, metrics)
    folder = out / name / period / this.first.isoformat()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not last_revision(folder):
            artist.start()
        expected = expectations(_absent_rules(packs) if rules is None else rules, shown)
        data = report_data(store, name, this, shown, base, incomplete_because(store, this),
                           [section for pack in packs for section in pack.sections], expected)
        data["built_at"] = utc_text(clock.now_us())
        return _published(folder, data, packs, {metric.name: metric.help for metric in shown}, artist, followed)
    except OSError as error:
        raise LogaggError(f"cannot write the report in {folder}: {error.strerror}; "
                          "choose another folder with --out, or let this user write there") from error


def _absent_rules(packs: Iterable[ShownPack]) -> list[AbsentRule]:
    return [rule for pack in packs for rule in pack.rules]


def _shown(packs: Sequence[ShownPack], metrics: Iterable[Metric]) -> list[Metric]:
    """The metrics of a report, packs' first; built-in ones have their own place under data quality."""
    built_in = {metric.name for metric in BUILT_IN}
    found: dict[str, Metric] = {}
    for metric in (*(metric for pack in packs for metric in pack.metrics), *metrics):
        if metric.name not in built_in:
            found.setdefault(metric.name, metric)
    return list(found.values())


def _published(folder: Path, data: dict[str, Any], packs: Sequence[ShownPack], help_of: Mapping[str, str],
               artist: Draws, followed: bool) -> BuiltReport:
    """Write the data as the last revision, or as a new one if it says something else."""
    drawn = _drawn(folder, charts(data), artist)
    for _ in range(_ATTEMPTS):
        last = last_revision(folder)
        same = last > 0 and _said(_stored(folder / f"r{last}")) == _said(data)
        data["revision"] = last if same else last + 1
        place = folder / f"r{data['revision']}"
        if _write(place, _files(data, packs, help_of, drawn, followed), new=not same):
            return BuiltReport(place / "index.html", place / "data.json", data["revision"], not same,
                               data["complete"], drawn.missing)
    raise LogaggError(f"cannot write the report in {folder}: other programs wrote {_ATTEMPTS} revisions meanwhile; "
                      "build it again when they have ended")


def _drawn(folder: Path, wanted: Sequence[Chart], artist: Draws) -> Drawn:
    """The pictures: those of the last revision where all their specifications are the same, else drawn now."""
    last = folder / f"r{last_revision(folder)}"
    pictures = stored_pictures(last, wanted)
    return Drawn(pictures) if len(pictures) == len(wanted) else artist.draw(wanted)


def stored_pictures(place: Path, wanted: Sequence[Chart]) -> dict[str, Picture]:
    """The pictures in a revision's folder of those charts whose specification is stored there just so."""
    found = {}
    for chart in wanted:
        with contextlib.suppress(OSError, ValueError):
            if (place / f"chart-{chart.name}.json").read_bytes() == json_bytes(chart.spec):
                picture = Picture((place / f"chart-{chart.name}.svg").read_text("utf-8"),
                                  (place / f"chart-{chart.name}.png").read_bytes())
                inline_svg(picture.svg)     # ValueError: somebody has changed it
                found[chart.name] = picture
    return found


def _files(data: Mapping[str, Any], packs: Sequence[ShownPack], help_of: Mapping[str, str],
           drawn: Drawn, followed: bool) -> dict[str, bytes]:
    sections = [section for pack in packs for section in pack.sections]
    figures = [figure for pack in packs for figure in pack.figures]
    shown = page(with_links(data) if followed else data, sections, figures, help_of)
    found = {"data.json": json_bytes(data), "index.html": render(shown, drawn).encode("utf-8", "backslashreplace")}
    for chart in charts(data):
        if chart.name in drawn.pictures:
            picture = drawn.pictures[chart.name]
            found |= {f"chart-{chart.name}.json": json_bytes(chart.spec), f"chart-{chart.name}.png": picture.png,
                      f"chart-{chart.name}.svg": picture.svg.encode("utf-8")}
    return found


def json_bytes(data: Mapping[str, Any]) -> bytes:
    """Canonical: equal data gives equal bytes. A lone surrogate, which UTF-8 cannot hold, is written as its escape."""
    text = json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _stored(place: Path) -> dict[str, Any]:
    """A revision's data; what cannot be read compares as different, so that it is kept and the next one written."""
    try:
        stored = json.loads((place / "data.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _said(data: Mapping[str, Any]) -> bytes:
    """What a revision says about its period."""
    compared = {key: value for key, value in data.items() if key not in _NOT_COMPARED}
    return json.dumps(compared, sort_keys=True, allow_nan=False).encode()


def _write(place: Path, files: Mapping[str, bytes], *, new: bool) -> bool:
    """Put the files into `place`; False if a new one is there already, because another program was faster."""
    temporary = place.parent / f".{place.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        for file_name, content in files.items():
            _write_durably(temporary / file_name, content)
        if not new:
            for file_name in files:
                (temporary / file_name).replace(place / file_name)
            return True
        try:
            temporary.rename(place)
        except OSError:
            if not place.exists():
                raise
            return False
        return True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
