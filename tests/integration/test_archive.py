"""From a failing number of a report to its last record, along the links of the pages alone."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from logagg.report import drill_pages
from tests.archiving import DAYS, Made, log_lines, make


class Links(HTMLParser):
    """A page's links with their texts, how many records it shows, and every element with its attributes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[tuple[str, str]] = []
        self.records = 0
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._href: str | None = None
        self._text = ""
        self.text = path.read_text("utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "a":
            self._href, self._text = dict(attrs).get("href"), ""
        self.records += tag == "article"

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._href is not None:
            self.links.append((self._href, self._text.strip()))
            self._href = None

    def to(self, href: str) -> Path:
        return Path(os.path.normpath(self.path.parent / href.partition("#")[0]))

    def numbers(self) -> list[tuple[int, Path]]:
        """The numbers that lead further down."""
        return [(int(text.replace(",", "")), self.to(href)) for href, text in self.links
                if "drill/" in href and re.fullmatch(r"[0-9,]+", text)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    found = make(tmp_path_factory.mktemp("archive") / "site")
    found.publish_all()
    yield found
    found.app.close()


def report(made: Made, key: str, revision: int = 1) -> Links:
    return Links(made.out / "operations" / key / f"r{revision}" / "index.html")


def last_page(number: Path) -> Links:
    """The page with the records that a number's page leads to."""
    page = Links(number)
    [href] = {page.to(href) for href, _ in page.links if "-records" in href}
    return Links(href)


def test_every_failing_number_ends_at_as_many_records(made: Made) -> None:
    """Each number of the day's page that is followed ends on a page with exactly so many records."""
    numbers = report(made, "daily/2026-11-20").numbers()
    failing = [(n, path) for n, path in numbers if path.parent.name == "das_failures"]
    assert {n for n, _ in failing} == {40, 30, 10}          # all; timeouts and one operation; the others
    for n, path in failing:
        assert last_page(path).records == n, path


def test_a_minutes_number_is_its_section(made: Made) -> None:
    """Each minute links to a section that holds as many records as the minute says."""
    n, path = next(one for one in report(made, "daily/2026-11-20").numbers() if one[0] == 40)
    page = Links(path)
    minutes = [(href.partition("#")[2], int(text.partition("×")[2] or 1)) for href, text in page.links
               if re.match("[0-9]{2}:[0-9]{2}", text)]
    assert sum(n for _, n in minutes) == n
    shown = last_page(path).text
    for anchor, count in minutes:
        section = shown.split(f'id="{anchor}"')[1].split("</section>")[0]
        assert section.count("<article>") == count


def test_records_stand_in_their_context(made: Made) -> None:
    """A record is shown whole, stack trace included, with three lines before and after."""
    _, path = next(one for one in report(made, "daily/2026-11-20").numbers() if one[0] == 40)
    article = last_page(path).text.split("<article>")[4]
    lines = re.findall(r"<pre[^>]*>(.*)</pre>", article, re.S)[0].splitlines()
    near = [line for line in lines if line.startswith("<i>")]
    assert len(near) == 6 and "at com.acme.das.DasClient.call" in article
    assert [line.startswith("<i>") for line in lines] == [True] * 3 + [False] * 3 + [True] * 3


def test_hostile_lines_do_no_harm(made: Made) -> None:
    """Markup is text, controls and overrides are visible marks, and no page brings a script of its own."""
    for path in made.out.rglob("*.html"):
        page = Links(path)
        assert "\u202e" not in page.text and "\x1b" not in page.text and "\x07" not in page.text
        scripts = [attrs for tag, attrs in page.found if tag == "script"]
        assert [attrs["src"] for attrs in scripts] == (
            ["search.js", "archive.js"] if path == made.out / "index.html" else [])
        assert not any(name.startswith("on") for _, attrs in page.found for name in attrs)
    _, path = next(one for one in report(made, "daily/2026-11-20").numbers() if one[0] == 40)
    text = last_page(path).text
    assert "&lt;script&gt;window.harmed" in text and "⟨U+202E⟩gnp.exe" in text and "⟨U+001B⟩[31mred" in text


def test_every_link_of_the_archive_leads_somewhere(made: Made) -> None:
    """No page links to what is not there, and nothing leads out of the archive."""
    pages = [Links(path) for path in made.out.rglob("*.html")]
    assert len(pages) > 50
    for page in pages:
        for href, _ in page.links:
            assert "://" not in href
            if href.startswith("#"):
                continue
            target = page.to(href)
            assert target.is_file() and target.is_relative_to(made.out), (page.path, href)
        for tag, attrs in page.found:
            if tag in ("link", "script"):
                assert page.to(attrs.get("href") or attrs.get("src") or "").is_file()


def test_a_week_leads_to_its_days(made: Made) -> None:
    """A week's number is made of days, and each day's link ends at that day's records."""
    n, path = next(one for one in report(made, "weekly/2026-11-16").numbers() if one[0] == 44)
    assert path.parent.name == "das_failures"
    page = Links(path)
    days = {text: page.to(href) for href, text in page.links if "/daily/" in href}
    assert list(days) == ["2026-11-19", "2026-11-20"]
    assert sum(last_page(day).records for day in days.values()) == n


def test_neighbours(made: Made) -> None:
    """A day's page links to the day before and after, its week and month; the first and last have one neighbour."""
    middle = report(made, "daily/2026-11-19")
    texts = [text for href, text in middle.links if "../../../../" in href]
    assert texts == ["‹ Wednesday, 18 November 2026", "All reports", "Week 47 of 2026, 16 to 22 November",
                     "November 2026", "Friday, 20 November 2026 ›"]
    assert not any(text.startswith("‹") for _, text in report(made, "daily/2026-11-18").links)
    assert not any(text.endswith("›") for _, text in report(made, "daily/2026-11-20").links)


def test_the_archive_can_be_moved_and_outlives_the_store(made: Made, tmp_path: Path) -> None:
    """A copy of the folder shows the same, whatever the store has forgotten; building again does not touch it."""
    n, path = next(one for one in report(made, "daily/2026-11-20").numbers() if one[0] == 40)
    shutil.copytree(made.out, tmp_path / "copy")
    assert last_page(tmp_path / "copy" / path.relative_to(made.out)).records == n


def test_late_data_makes_a_revision_that_both_pages_tell_of(tmp_path: Path) -> None:
    """The new revision has the new number and its records; the old one stays, and says that there is a newer one."""
    made = make(tmp_path / "site", (0, 0, 3))
    try:
        made.publish_all()
        made.append(log_lines("2026-11-20", 5)[-8:])
        built = made.publish("daily", "2026-11-20")
        made.publish("weekly", DAYS[0])
        assert built.revision == 2
        old, new = report(made, "daily/2026-11-20"), report(made, "daily/2026-11-20", 2)
        newest = "../../../../operations/daily/2026-11-20/r2/index.html"
        assert (newest, "A newer revision of this report: 2") in old.links
        assert ("../index.html", "Earlier revisions") in new.links
        for page in (old, new):
            n, path = next(one for one in page.numbers() if one[1].parent.name == "das_failures")
            assert last_page(path).records == n
        period = Links(made.out / "operations/daily/2026-11-20/index.html")
        assert [text for href, text in period.links if href.startswith("r")] == ["Revision 2", "Revision 1"]
        before = report(made, "daily/2026-11-19")
        assert any("2026-11-20/r2/" in href for href, _ in before.links)
        week = report(made, "weekly/2026-11-16", 2)
        n, path = next(one for one in week.numbers() if one[1].parent.name == "das_failures")
        assert any("/daily/2026-11-20/r2/" in href for href, _ in Links(path).links)
    finally:
        made.app.close()


@pytest.mark.parametrize("damage", ["entries.json gone", "entries.json broken", "drill gone", "links gone"])
def test_whatever_a_killed_process_left_is_mended(tmp_path: Path, damage: str) -> None:
    """Built again with the same numbers, the archive is what it was, byte for byte but for the time of building."""
    made = make(tmp_path / "site", (0, 0, 3))
    try:
        made.publish_all()
        there = contents(made.out)
        place = made.out / "operations"
        if damage == "drill gone":
            shutil.rmtree(place / "daily/2026-11-20/r1/drill")
        elif damage == "links gone":
            page = place / "daily/2026-11-20/r1/index.html"
            page.write_bytes(re.sub(rb"<!--archive-->.*<!--/archive-->", b"<!--archive--><!--/archive-->",
                                    page.read_bytes(), flags=re.S))
        else:
            (place / "entries.json").write_text("{")
            if damage.endswith("gone"):
                (place / "entries.json").unlink()
        made.publish("daily", "2026-11-20")
        assert contents(made.out) == there
    finally:
        made.app.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_shown_is_bounded_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limits a page says how many records there are and how many it shows; narrower numbers follow."""
    monkeypatch.setattr(drill_pages, "NUMBER_RECORDS_MAX", 25)
    monkeypatch.setattr(drill_pages, "REPORT_RECORDS_MAX", 60)
    made = make(tmp_path / "site")
    try:
        built = made.publish("daily", "2026-11-20")
        data = json.loads(built.path_json.read_text())
        assert ("das_failures", 40) in [(row["metric"], row["count"]) for row in data["metrics"] if not row["labels"]]
        pages = {number: Links(path) for number, path in report(made, "daily/2026-11-20").numbers()
                 if path.parent.name == "das_failures"}
        assert "Shown are 25 of 40 records." in pages[40].text
        records = [Links(path).records for path in built.path_html.parent.rglob("*-records*.html")]
        assert sum(records) <= 60 and max(records) == 25
    finally:
        made.app.close()
