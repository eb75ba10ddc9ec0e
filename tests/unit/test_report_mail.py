"""A report as a mail: what it tells first, its images, and what is left when they are blocked."""

import base64
import re
from email.message import EmailMessage
from pathlib import Path

import pytest

from logagg.clock import StepClock
from logagg.report.build import BuiltReport, build_report
from logagg.report.chart import Chart
from logagg.report.draw import Drawn
from logagg.report.mail import built_mail
from tests.report_days import PACK, RULES, ZONE, Sketcher, day, eventful
from tests.rolled import Rolled
from tests.unit.test_render import Elements

DAY = day("2026-11-20")


class NoArtist(Sketcher):
    def draw(self, charts: list[Chart]) -> Drawn:  # type: ignore[override]
        return Drawn(missing="drawing took longer than 30 s")


def build(out: Path, rolled: Rolled | None = None, artist: Sketcher | None = None, **options: object) -> BuiltReport:
    return build_report((rolled or eventful(DAY)).store(), **{
        "name": "operations", "period": "daily", "date": DAY.first, "timezone": ZONE, "packs": [PACK], "metrics": [],
        "out": out, "base": Path("/demo"), "clock": StepClock(DAY.to_us), "rules": RULES,
        "artist": artist or Sketcher(), **options})     # type: ignore[arg-type]


def test_images_come_with_the_mail(tmp_path: Path) -> None:
    """Each image is named once in the HTML by its Content-ID, has a text instead of it, and its table behind it."""
    _, _, html, images = built_mail(build(tmp_path).path_html.parent, [PACK])
    elements = Elements(html, {"meta", "br", "img"})
    named = [attrs["src"] for attrs in elements.all("img")]
    assert named == [f"cid:{image['cid']}" for image in images] and len(set(named)) == 3
    assert all(attrs["alt"] for attrs in elements.all("img"))
    assert base64.b64decode(images[0]["data"]) == b"PNG traffic"
    tags = [tag for tag, _ in elements.found]
    for at in (i for i, tag in enumerate(tags) if tag == "img"):
        assert tags[at + 1] == "table"
    message = EmailMessage()
    for image in images:    # usable as a header, without folding or quoting
        message["Content-ID"] = f"<{image['cid']}>"
        assert "\n" not in str(message["Content-ID"])
        del message["Content-ID"]


def test_nothing_is_loaded_or_run(tmp_path: Path) -> None:
    """No script, style sheet, form or foreign address; the only link is that of the report."""
    _, _, html, _ = built_mail(build(tmp_path).path_html.parent, [PACK], "https://logs.example.com/")
    elements = Elements(html, {"meta", "br", "img"})
    assert {tag for tag, _ in elements.found}.isdisjoint({"script", "style", "link", "form", "iframe", "object", "svg"})
    link = "https://logs.example.com/reports/operations/daily/2026-11-20/r1/index.html"
    assert [attrs["href"] for attrs in elements.all("a")] == [link]
    assert set(re.findall(r"https?://[^\"<]*", html)) == {link}


def test_the_text_alone_tells_it(tmp_path: Path) -> None:
    """The plain text has what changed, incidents, key figures and every table, in lines of at most 110 characters."""
    subject, text, _, _ = built_mail(build(tmp_path).path_html.parent, [PACK], "https://logs.example.com")
    assert subject == ("operations Friday, 20 November 2026: DAS failure rate 11.1 % (was 0.69 %); "
                       "2 incidents, 1 not over at its end")
    for said in ("DAS failure rate 11.1 %", "Backend failures", "DAS failing  host app01", "Payments due",
                 "12:00  late", "Payments paused", "VIP starts and stops", "13:36  stop   vip01", "Revision 1",
                 "/r1/index.html"):
        assert said in text
    assert [line for line in text.splitlines() if len(line) > 110 and "https://" not in line] == []
    assert "{" not in text and "None" not in text


def test_equal_reports_give_equal_mails(tmp_path: Path) -> None:
    """A mail made again from the folder is the same to the byte."""
    place = build(tmp_path).path_html.parent
    assert built_mail(place, [PACK]) == built_mail(place, [PACK])


def test_without_charts(tmp_path: Path) -> None:
    """Where drawing failed, page and mail have all tables, no image, and a line that says so."""
    built = build(tmp_path, artist=NoArtist())
    assert built.charts_missing == "drawing took longer than 30 s"
    page = built.path_html.read_text()
    assert "There are no charts: drawing took longer than 30 s." in page and "<figure" not in page
    assert "95th percentile of times by hour" in page
    _, text, html, images = built_mail(built.path_html.parent, [PACK])
    assert images == [] and "<img" not in html and "There are no charts" in html
    assert "Calls and backend failures by hour" in text
    assert not list(built.path_html.parent.glob("chart-*"))


def test_hostile_text_stays_in_its_line(tmp_path: Path) -> None:
    """Text of logs adds no markup to the HTML and no line to the text or subject."""
    rolled = eventful(DAY)
    rolled.incident("bad\nBcc: x@example.com", "2026-11-20T13:00:00Z", None,
                    summary="<img src=http://evil/>\nRevision 9", labels={"host": "a\r\nb\u202e"})
    subject, text, html, _ = built_mail(build(tmp_path, rolled).path_html.parent, [PACK])
    assert "\n" not in subject and "\u202e" not in text + html
    assert "evil/>" not in html and "host a⟨U+000D⟩⟨U+000A⟩b⟨U+202E⟩" in text
    assert not any(line.startswith(("Bcc", "Revision 9")) for line in text.splitlines())


@pytest.mark.parametrize("period", ["daily", "weekly", "monthly"])
def test_nothing_happened(tmp_path: Path, period: str) -> None:
    """A period without any data gives a mail that says so."""
    subject, text, _, images = built_mail(build(tmp_path, Rolled(ZONE), period=period).path_html.parent, [PACK])
    assert subject.endswith(": nothing unusual, incomplete") and images == []
    assert "INCOMPLETE" in text and "no source has been read yet" in text and "no data" in text
