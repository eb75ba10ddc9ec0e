"""The live page in a real browser: it follows the store without being reloaded."""

import re

from tests.browser.conftest import OpenPage
from tests.browser.site import Site


def test_a_new_line_shows_without_reloading(site: Site, open_page: OpenPage) -> None:
    """A line that is committed shows within seconds in the page that is already open: its number, its text; the page
    is the same document, and what was folded open stays so."""
    page = open_page(site.url + "/")
    page.wait_for_selector("#pulse.on")
    page.evaluate("window.sameDocument = true")
    page.click("#minutes summary")
    calls = page.locator(".figures li", has_text=re.compile(r"^Calls")).locator(".value")
    before = int(calls.inner_text().replace(",", ""))
    site.write("ivr-app01", "xivr", "2026-11-20T10:40:05,000 INFO  [t] CallFlow - Callflow begin: callId=c-live-1 "
                                    "ani=1 dnis=2 app=billing")
    site.write("ivr-app01", "xivr", "2026-11-20T10:40:59,999 ERROR [t] DasClient - DAS call <b>live</b> failed in 7 ms "
                                    "rc=1 reason=LIVE: <img src=x onerror=alert(1)>")
    page.wait_for_selector("#problems >> text=DAS call <b>live</b> failed", timeout=20_000)
    page.wait_for_selector(f"#figures li:has-text('Calls') .value:text-is('{before + 1:,}')")
    assert page.evaluate("window.sameDocument")
    assert page.locator("#minutes").get_attribute("open") is not None
    assert page.locator("#problems img, #problems b").count() == 0


def test_an_incident_comes_and_goes(site: Site, open_page: OpenPage) -> None:
    """An incident that fires shows at once with its state in the page's head, and is gone when it resolves."""
    page = open_page(site.url + "/")
    page.wait_for_selector("#pulse.on")
    now = site.clock.now_us()
    site.incident("firing", now)
    page.wait_for_selector("#state >> text=1 incident firing", timeout=20_000)
    page.click("text=DAS calls are failing on ivr-app01")
    page.wait_for_selector("h1 >> text=DAS calls are failing on ivr-app01")
    assert "42 of 100 DAS calls failed" in page.inner_text("main")
    page.go_back()
    page.wait_for_selector("#pulse.on")
    site.incident("resolved", now)
    page.wait_for_selector("#state >> text=No incident", timeout=20_000)


def test_without_a_script(site: Site, open_page: OpenPage) -> None:
    """Without JavaScript the page is a snapshot that holds everything, with a link to refresh it."""
    page = open_page(site.url + "/", java_script_enabled=False)
    assert page.locator(".figures li").count() == 6
    assert page.locator(".hour figure rect").count() > 60
    assert page.locator("#sources tbody tr").count() == 6
    page.click("text=refresh")
    assert page.locator("#pulse.on").count() == 0


def test_a_phone_in_the_dark(site: Site, open_page: OpenPage) -> None:
    """On a phone's screen no page is wider than the screen, by day or night."""
    event = next(site.app.store.events(names=["das_failure"]))
    for path in ("/", "/events?event=das_failure", "/sources", "/incidents", f"/raw/{event.stream}/{event.offset}"):
        for scheme in ("light", "dark"):
            page = open_page(site.url + path, viewport={"width": 360, "height": 740}, color_scheme=scheme)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, (path, width)
            page.context.close()


def test_the_server_goes_away(browser: object, tmp_path_factory: object) -> None:
    """A page whose server has gone says so."""
    from pathlib import Path
    from typing import Any, cast

    folder: Path = cast(Any, tmp_path_factory).mktemp("gone")
    with Site(folder / "demo", "2026-11-20T10:40:10").serving() as short:
        page = cast(Any, browser).new_page()
        page.goto(short.url + "/")
        page.wait_for_selector("#pulse.on")
    page.wait_for_selector("#pulse.off >> text=Not connected", timeout=20_000)
    page.close()
