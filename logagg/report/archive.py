"""The archive's own pages, static files that are right after every report that is built.

    index.html               every report's newest months as calendars, its weeks and months, and a search
    NAME/2026.html           a year of it
    NAME/daily/DATE/         index.html: the revisions of one period
    NAME/daily/DATE/r1/      the report; between <!--archive--> and <!--/archive--> in its page stand the links to its
                             neighbours, its week and month, and its other revisions
    search.js archive.js archive.css

They are written anew whenever `refresh` is called, each by one rename and only where it differs; so a program that
ends in between leaves old pages, never half ones, and the next refresh mends them. Reports that are found in the
folders but not in entries.json are taken up, whoever put them there.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path

from logagg.report.calendar import SIGNS, Link, Shelf
from logagg.report.entries import Entry, entries, names, write_entries
from logagg.report.files import write_whole
from logagg.report.pages import page_html, style_sheet, template_text
from logagg.report.words import words_of

MONTHS_SHOWN = 6
WEEKS_SHOWN = 10
LISTED_MONTHS_SHOWN = 12

_BEGIN, _END = b"<!--archive-->", b"<!--/archive-->"


def refresh(archive: Path, name: str, changed: Collection[str] = ()) -> None:
    """Bring the archive's pages up to date after reports of `name` were built; `changed` are their "kind/date".

    OSError where the folder cannot be written.
    """
    found = entries(archive / name, changed)
    shelf = Shelf(name, found)
    for key, entry in found.items():
        _write_links(archive / name, shelf, key, entry)
    write_entries(archive / name, found)
    for year in shelf.years():
        write_whole(archive / name / f"{year}.html", _year_page(shelf, year))
    all_found = {one: found if one == name else entries(archive / one) for one in names(archive)}
    shelves = {one: Shelf(one, found_there) for one, found_there in all_found.items()}
    write_whole(archive / "archive.css", style_sheet())
    write_whole(archive / "archive.js", template_text("archive.js"))
    write_whole(archive / "search.js", search_script(shelves, all_found))
    write_whole(archive / "index.html", _index_page(list(shelves.values())))


def _write_links(place: Path, shelf: Shelf, key: str, entry: Entry) -> None:
    """Write a period's links into its pages, and the list of its revisions, where they are not there yet."""
    kind, _, text = key.partition("/")
    first = date.fromisoformat(text)
    link = shelf.links[kind, first]
    told = {"link": link, "before": shelf.beside(kind, first, -1), "after": shelf.beside(kind, first, 1),
            "around": shelf.around(kind, first), "revisions": entry["revisions"], "report": shelf.name,
            "words": words_of(kind)}
    digest = hashlib.sha256(repr(sorted(told.items())).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    if digest == entry["nav"]:
        return
    for number, _, _ in entry["revisions"]:
        page = place / key / f"r{number}" / "index.html"
        with suppress(FileNotFoundError):
            write_whole(page, _with_links(page.read_bytes(), page_html("archive_nav.html", number=number, **told)))
    write_whole(place / key / "index.html", page_html("archive_period.html", up="../../../", **told))
    entry["nav"] = digest


def _with_links(page: bytes, links: str) -> bytes:
    """The page with these links at their place; unchanged where it has none."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return before + begin + links.encode("utf-8", "backslashreplace") + end + after if end else page


def _index_page(shelves: list[Shelf]) -> str:
    return page_html("archive_index.html", up="", signs=SIGNS, shelves=[
        {"name": shelf.name, "months": shelf.months()[:MONTHS_SHOWN], "weekly": shelf.of("weekly")[:WEEKS_SHOWN],
         "monthly": shelf.of("monthly")[:LISTED_MONTHS_SHOWN], "years": shelf.years(), "latest": _latest(shelf)}
        for shelf in shelves])


def _latest(shelf: Shelf) -> Link | None:
    found = shelf.of("daily") or shelf.of("weekly") or shelf.of("monthly")
    return found[0] if found else None


def _year_page(shelf: Shelf, year: int) -> str:
    years = shelf.years()
    at = years.index(year)
    return page_html("archive_year.html", up="../", signs=SIGNS, year=year, report=shelf.name,
                     months=shelf.months(year)[::-1], weekly=shelf.of("weekly", year),
                     monthly=shelf.of("monthly", year), before=years[at + 1] if at + 1 < len(years) else None,
                     after=years[at - 1] if at else None)


def search_script(shelves: Mapping[str, Shelf], found: Mapping[str, Mapping[str, Entry]]) -> str:
    """The search index as a script, since a page from a file may load no data: ASCII, and no markup in any text.

    One row per report, the newest first: [href, name, kind, first day, heading, mark, word, why, text].
    """
    rows = [[link.href, name, link.kind, link.first.isoformat(), link.heading, link.mark, link.word, link.why,
             found[name][f"{link.kind}/{link.first.isoformat()}"]["text"]]
            for name, shelf in shelves.items() for link in shelf.links.values()]
    rows.sort(key=lambda row: (row[3], row[2], row[1]), reverse=True)
    text = json.dumps(rows, ensure_ascii=True, separators=(",", ":"))
    return "window.logaggReports = " + text.replace("<", "\\u003c").replace(">", "\\u003e") + ";\n"
