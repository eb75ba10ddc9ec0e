"""What the archive knows of each report without opening it: `NAME/entries.json`, beside the reports it tells about.

    {"daily/2026-11-20": {"revisions": [[1, "2026-11-21T05:00:03Z", true]], "mark": "warn", "why": [text], "text": text,
                          "nav": hash of the links that its pages bear}}

It is a copy: the folders are the truth. Whatever is missing in it, or damaged, is read again from the data.json of the
report; so two programs that write it at once, or one that dies, leave nothing wrong for longer than the next refresh.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from logagg.report.files import write_whole
from logagg.report.health import health
from logagg.report.numbers import worse_when
from logagg.report.period import KINDS
from logagg.report.tables import title
from logagg.visible import visible

FILE = "entries.json"
TEXT_CHARS_MAX = 2000

Entry = dict[str, Any]

_REVISION = re.compile(r"r([1-9][0-9]{0,8})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def names(archive: Path) -> list[str]:
    """The reports in an archive."""
    found = (path for path in archive.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path.name for path in found if any((path / kind).is_dir() for kind in KINDS))


def entries(place: Path, changed: Collection[str] = ()) -> dict[str, Entry]:
    """All reports of one name by "kind/date", in order of kind and date; those of `changed` are read anew."""
    known = _stored(place / FILE)
    found: dict[str, Entry] = {}
    for key, revisions in _on_disk(place):
        entry = known.get(key)
        if entry is None or key in changed or [one[0] for one in entry["revisions"]] != revisions:
            entry = _read(place / key, revisions) | {"nav": ""}
        found[key] = entry
    return found


def write_entries(place: Path, found: Mapping[str, Entry]) -> None:
    write_whole(place / FILE, json.dumps(found, ensure_ascii=True, separators=(",", ":")))


def _stored(path: Path) -> dict[str, Entry]:
    try:
        found = json.loads(path.read_bytes())
        return {key: entry for key, entry in found.items() if {"revisions", "mark", "why", "text", "nav"} <= {*entry}}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _on_disk(place: Path) -> Iterator[tuple[str, list[int]]]:
    """The folders that hold reports, with the numbers of their revisions, rising."""
    for kind in KINDS:
        folders = sorted((place / kind).iterdir()) if (place / kind).is_dir() else []
        for folder in folders:
            if _is_date(folder.name):
                matches = (_REVISION.fullmatch(path.name) for path in folder.iterdir())
                numbers = sorted(int(match[1]) for match in matches if match)
                if numbers:
                    yield f"{kind}/{folder.name}", numbers


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _read(folder: Path, revisions: list[int]) -> Entry:
    """What is told of a period: its health and text from the newest revision."""
    told = [_data(folder / f"r{number}") for number in revisions]
    newest = told[-1]
    try:
        seen, text = health(newest), searchable(newest)
    except (KeyError, TypeError, ValueError, AttributeError):
        seen, text = health({"complete": False}), ""
    return {
        "revisions": [[number, str(data.get("built_at", "")), bool(data.get("complete"))]
                      for number, data in zip(revisions, told, strict=True)],
        "mark": seen.mark, "why": [visible(why, 200) for why in seen.why], "text": text,
    }


def _data(place: Path) -> Mapping[str, Any]:
    try:
        data = json.loads((place / "data.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def searchable(data: Mapping[str, Any]) -> str:
    """The words by which a report is found: its incidents, what failed and where, its sources. Each word once."""
    texts: list[str] = []
    for incident in data.get("incidents", ()):
        texts += [str(incident.get("summary") or ""), str(incident.get("rule") or ""),
                  *map(str, (incident.get("labels") or {}).values())]
    for row in data.get("metrics", ()):
        if row["kind"] == "counter" and row["count"] and worse_when(row["metric"]) > 0:
            texts += [title(row["metric"]), row["metric"], *map(str, row["labels"].values())]
    for source in data.get("sources", ()):
        if source.get("records"):
            texts += [str(source["app"]), str(source["host"])]
    words = dict.fromkeys(word for text in texts for word in text.split())
    return visible(" ".join(words), TEXT_CHARS_MAX)
