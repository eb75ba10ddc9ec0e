"""One report: rollups -> numbers (data.py) -> page (page.py) -> HTML (render.py) -> files with a revision.

    OUT/NAME/daily/2026-11-20/r1/index.html, data.json

What is said about the period decides the revision: numbers that differ from the last revision's make the next one, and
the old one stays. Built again with the same numbers, the last revision is written again in place: only the time of
building and the ledger, which tells what had been read by then, may differ.

A new revision appears whole, by one rename of its folder. Its files are on disk before that. A program that ends in
between leaves a folder `.rN.<process>.tmp`, which nobody reads and which may be deleted.
"""

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
from logagg.report.complete import incomplete_because
from logagg.report.data import report_data
from logagg.report.page import SectionSpec, page
from logagg.report.period import period as period_of
from logagg.report.period import utc_text
from logagg.report.render import render
from logagg.rollup.metric import BUILT_IN, Metric

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_REVISION = re.compile(r"r([1-9][0-9]{0,8})")
_NOT_COMPARED = ("built_at", "revision", "ledger")
_ATTEMPTS = 10


class ShownPack(Protocol):
    """What a report takes from a pack (`logagg.packs.Pack`): metrics, sections, and the metrics of its key figures."""

    @property
    def metrics(self) -> Sequence[Metric]: ...

    @property
    def sections(self) -> Sequence[SectionSpec]: ...

    @property
    def figures(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class BuiltReport:
    """Where a report is. `changed`: this building made the revision; else it was there with the same numbers."""

    path_html: Path
    path_json: Path
    revision: int
    changed: bool
    complete: bool


def build_report(store: Store, *, name: str, period: str, date: Date, timezone: str, packs: Sequence[ShownPack],
                 metrics: Iterable[Metric], out: Path, base: Path, clock: Clock) -> BuiltReport:
    """Build the report of the period that contains the local `date`, and write it below `out`.

    Shown are the packs' metrics and `metrics`, each once. Paths of logs are told relative to `base`. UsageError for a
    name that cannot be a folder's or a period that cannot be built; LogaggError where `out` cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"report name {name!r}: it becomes a folder's name; use letters, digits and . _ - only, "
                         "beginning with a letter or digit")
    this = period_of(period, date, timezone)
    shown = _shown(packs, metrics)
    data = report_data(store, name, this, shown, base, incomplete_because(store, this))
    data["built_at"] = utc_text(clock.now_us())
    folder = out / name / period / this.first.isoformat()
    try:
        return _published(folder, data, packs, {metric.name: metric.help for metric in shown})
    except OSError as error:
        raise LogaggError(f"cannot write the report in {folder}: {error.strerror}; "
                          "choose another folder with --out, or let this user write there") from error


def _shown(packs: Sequence[ShownPack], metrics: Iterable[Metric]) -> list[Metric]:
    """The metrics of a report, packs' first; built-in ones have their own place under data quality."""
    built_in = {metric.name for metric in BUILT_IN}
    found: dict[str, Metric] = {}
    for metric in (*(metric for pack in packs for metric in pack.metrics), *metrics):
        if metric.name not in built_in:
            found.setdefault(metric.name, metric)
    return list(found.values())


def _published(folder: Path, data: dict[str, Any], packs: Sequence[ShownPack],
               help_of: Mapping[str, str]) -> BuiltReport:
    """Write the data as the last revision, or as a new one if it says something else."""
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS):
        last = _last_revision(folder)
        same = last > 0 and _said(_stored(folder / f"r{last}")) == _said(data)
        data["revision"] = last if same else last + 1
        place = folder / f"r{data['revision']}"
        if _write(place, _files(data, packs, help_of), new=not same):
            return BuiltReport(place / "index.html", place / "data.json", data["revision"], not same,
                               data["complete"])
    raise LogaggError(f"cannot write the report in {folder}: other programs wrote {_ATTEMPTS} revisions meanwhile; "
                      "build it again when they have ended")


def _files(data: Mapping[str, Any], packs: Sequence[ShownPack], help_of: Mapping[str, str]) -> dict[str, bytes]:
    sections = [section for pack in packs for section in pack.sections]
    figures = [figure for pack in packs for figure in pack.figures]
    shown = page(data, sections, figures, help_of)
    return {"data.json": json_bytes(data), "index.html": render(shown).encode("utf-8", "backslashreplace")}


def json_bytes(data: Mapping[str, Any]) -> bytes:
    """Canonical: equal data gives equal bytes. A lone surrogate, which UTF-8 cannot hold, is written as its escape."""
    text = json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _last_revision(folder: Path) -> int:
    found = (_REVISION.fullmatch(path.name) for path in folder.iterdir())
    return max((int(match[1]) for match in found if match), default=0)


def _stored(place: Path) -> dict[str, Any]:
    """A revision's data; what cannot be read compares as different, so that it is kept and the next one written."""
    try:
        stored = json.loads((place / "data.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _said(data: Mapping[str, Any]) -> bytes:
    """What a revision says about its period."""
    return json_bytes({key: value for key, value in data.items() if key not in _NOT_COMPARED})


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
