"""Events, search, sources and reports in a real browser."""

from tests.browser.conftest import OpenPage
from tests.browser.site import Site


def test_search_filters_and_context(site: Site, open_page: OpenPage) -> None:
    """From the live page to the events of what failed, narrowed by a call id typed into the form, to the raw lines
    around one of them with the record itself in view."""
    page = open_page(site.url + "/")
    page.click("#failures >> text=DAS failures")
    page.wait_for_selector("h1 >> text=Events")
    assert page.input_value("#f-event") == "das_failure"
    assert page.locator(".event").count() == 50
    call = next(text.split("callId=")[1].rstrip(")") for text in page.locator(".e-message").all_inner_texts()
                if "callId=" in text)
    page.fill("#f-text", call.upper())
    page.press("#f-text", "Enter")
    page.wait_for_url("**text=**")
    shown = page.locator(".e-message").all_inner_texts()
    assert shown
    assert all(call in text for text in shown)
    page.fill("#f-event", "")
    page.fill("#f-from", "")
    page.click("button >> text=Search")
    page.wait_for_url("**event=&**")
    assert page.locator(".event").count() > len(shown)
    page.locator(".e-time a").last.click()
    page.wait_for_selector("#hit")
    assert call in page.inner_text("#hit")
    assert page.locator("#hit").evaluate("e => e.getBoundingClientRect().top < innerHeight")


def test_older_and_back(site: Site, open_page: OpenPage) -> None:
    """Paging goes on where the page before ended, and back to the newest."""
    page = open_page(site.url + "/events?level=WARN")
    first = page.locator(".e-time a").evaluate_all("links => links.map(link => link.href)")
    page.click(".pager >> text=Older")
    page.wait_for_url("**cursor=**")
    second = page.locator(".e-time a").evaluate_all("links => links.map(link => link.href)")
    assert len(first) == len(second) == 50
    assert not set(first) & set(second)
    page.click(".pager >> text=Newest")
    page.wait_for_url(lambda url: "cursor=" not in url)
    assert page.locator(".e-time a").evaluate_all("links => links.map(link => link.href)") == first


def test_hostile_text_is_inert(site: Site, open_page: OpenPage) -> None:
    """Markup, control and direction characters from a log run nowhere and reorder nothing, in the list, in the
    details, in the raw lines and in the search form."""
    hostile = "<script>alert(1)</script> <img src=x onerror=alert(2)> \x1b[31m \u202etxt.exe \"'><svg onload=alert(3)>"
    site.write("ivr-app02", "xivr", f"2026-11-20T10:39:00,000 ERROR [t] A - zz-hostile {hostile}\n\tat {hostile}")
    page = open_page(site.url + "/events?text=zz-hostile")
    page.on("dialog", lambda dialog: (_ for _ in ()).throw(AssertionError(dialog.message)))
    assert "<script>alert(1)</script>" in page.inner_text(".e-message")
    assert "⟨U+202E⟩txt.exe" in page.inner_text(".e-message")
    page.click(".event summary")
    page.click(".e-time a")
    page.wait_for_selector("#hit")
    assert "⟨U+001B⟩" in page.inner_text("#hit")
    page.goto(site.url + "/events")
    page.fill("#f-text", '"><script>alert(4)</script>')
    page.press("#f-text", "Enter")
    page.wait_for_url("**text=**")
    assert page.input_value("#f-text") == '"><script>alert(4)</script>'
    assert page.locator("main script, main img, main svg").count() == 0


def test_reports_and_sources(site: Site, open_page: OpenPage) -> None:
    """The archive's report opens from the server with its own style, and a source leads to its files' last lines."""
    page = open_page(site.url + "/reports/operations/daily/2026-11-20/r1/")
    assert page.evaluate("getComputedStyle(document.querySelector('.figures')).display") == "grid"
    page.goto(site.url + "/sources")
    page.click("#main tbody a >> text=vip")
    page.wait_for_url("**app=vip**")
    page.click("text=vip.log")
    page.wait_for_selector("#hit")


def test_keyboard_and_names(site: Site, open_page: OpenPage) -> None:
    """The first Tab leads to "Skip to the content"; every field has a label, every table a head, every image a name."""
    for path in ("/", "/events", "/sources", "/incidents"):
        page = open_page(site.url + path)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        unnamed = page.evaluate("""() => [...document.querySelectorAll(
            "input:not([type=hidden]), svg[role=img], [role=region], nav")].filter((one) => !(one.labels &&
            one.labels.length) && !one.getAttribute("aria-label")).map((one) => one.outerHTML.slice(0, 80))""")
        assert unnamed == [], path
        assert page.locator("table:not(:has(thead))").count() == 0
        page.context.close()
