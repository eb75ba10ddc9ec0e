"""The archive in a real Chromium, from files and from the server: calendar, search, from a number to its records."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from logagg.clock import SystemClock
from logagg.config.model import WebConfig
from tests.archiving import make
from tests.browser.site import serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="module", params=["file", "server"])
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the archive's folder."""
    made = make(tmp_path_factory.mktemp("archive") / "site")
    made.publish_all()
    try:
        if request.param == "file":
            yield made.out.as_uri()
        else:
            with serving(replace(made.config, web=WebConfig(port=0)), made.app, SystemClock()) as url:
                yield url + "/reports"
    finally:
        made.app.close()


def test_from_the_calendar_to_a_record(archive: str, open_page: OpenPage) -> None:
    """Calendar, day, failing number, its records: the last page shows as many as the number says."""
    page = open_page(archive + "/index.html", viewport={"width": 1200, "height": 900})
    cell = page.locator("a.cell", has_text="20")
    assert cell.locator(".said").inner_text() == "error"
    assert page.locator("a.cell").count() == 3
    cell.click()
    assert page.locator("h1").inner_text() == "Friday, 20 November 2026"
    number = page.locator("a[href^='drill/das_failures/all']").first
    wanted = int(number.inner_text())
    number.click()
    assert page.locator("#number").inner_text() == str(wanted) == "40"
    page.locator("#records").click()
    assert page.locator("article").count() == wanted
    assert page.evaluate("window.harmed") is None
    assert page.evaluate("getComputedStyle(document.querySelector('.records pre')).unicodeBidi") == "plaintext"


def test_previous_and_next(archive: str, open_page: OpenPage) -> None:
    """From day to day and back, by the links at the top."""
    page = open_page(archive + "/operations/daily/2026-11-19/r1/index.html")
    page.locator("nav.archive a[rel=next]").click()
    assert page.locator("h1").inner_text() == "Friday, 20 November 2026"
    page.locator("nav.archive a[rel=prev]").click()
    page.locator("nav.archive a[rel=prev]").click()
    assert page.locator("h1").inner_text() == "Wednesday, 18 November 2026"


@pytest.mark.parametrize(("text", "first", "last", "found"), [
    ("refused", "", "", 4),             # two days, the week and the month
    ("REFUSED 2026-11-20", "", "", 1),
    ("friday", "", "", 1),
    ("", "2026-11-19", "2026-11-20", 2),
    ("weekly", "", "", 1),
    ("no such thing", "", "", 0),
    ("<img src=x onerror=alert(1)>", "", "", 0),
])
def test_search(archive: str, open_page: OpenPage, text: str, first: str, last: str, found: int) -> None:
    """By text and by date, in the page; Clear shows nothing again."""
    page = open_page(archive + "/index.html")
    page.fill("#text", text)
    page.fill("#from", first)
    page.fill("#to", last)
    assert page.locator("#results li").count() == found
    assert page.locator("#found").inner_text() == f"{found} report{'' if found == 1 else 's'} found"
    if found:
        page.locator("#results a").first.click()
        assert page.locator("h1").count() == 1
    else:
        page.locator("button").click()
        page.wait_for_function("document.getElementById('found').hidden")


def test_without_scripts(archive: str, open_page: OpenPage) -> None:
    """The calendar is there and leads on; the search, which would do nothing, is not."""
    page = open_page(archive + "/index.html", java_script_enabled=False)
    assert not page.locator("#find").is_visible() and page.locator("a.cell").first.is_visible()
    page.locator("a.cell").first.click()
    assert re.match(".*November 2026", page.locator("h1").inner_text())


@pytest.mark.parametrize("path", ["index.html", "operations/2026.html", "operations/daily/2026-11-20/index.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_and_dark(archive: str, open_page: OpenPage, path: str, scheme: str) -> None:
    """On a telephone nothing is wider than the screen, in light and dark."""
    page = open_page(f"{archive}/{path}", viewport={"width": 375, "height": 700}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
