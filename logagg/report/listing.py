"""Which reports there are in a folder of reports, as `build.py` writes them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from logagg.report.period import KINDS

_REVISION = re.compile(r"r([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class Listed:
    """The last revision of one report. `complete` is None where its data.json cannot be read."""

    name: str
    period: str
    date: date
    revision: int
    complete: bool | None
    path_html: Path


def listed(out: Path, name: str | None = None, period: str | None = None) -> list[Listed]:
    """Reports by (name, period, date); of all names and periods, or of one. An absent folder holds none."""
    return [one for folder in _folders(out) if name in (None, folder.name)
            for kind in KINDS if period in (None, kind)
            for one in _of(folder.name, kind, folder / kind)]


def _of(name: str, kind: str, folder: Path) -> Iterator[Listed]:
    for one in _folders(folder):
        try:
            first = date.fromisoformat(one.name)
        except ValueError:
            continue
        revision = last_revision(one)
        if revision:
            place = one / f"r{revision}"
            yield Listed(name, kind, first, revision, _complete(place), place / "index.html")


def last_revision(folder: Path) -> int:
    """The number of the newest revision in a report's folder; 0: none."""
    found = (_REVISION.fullmatch(path.name) for path in folder.iterdir())
    return max((int(match[1]) for match in found if match), default=0)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _complete(place: Path) -> bool | None:
    try:
        data = json.loads((place / "data.json").read_bytes())
    except (OSError, ValueError):
        return None
    complete = data.get("complete") if isinstance(data, dict) else None
    return complete if isinstance(complete, bool) else None
