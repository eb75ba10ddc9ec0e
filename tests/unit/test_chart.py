"""Charts: their specifications, the program that draws them, and the drawings' way into a page."""

import json
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from logagg.report.chart import DASHES, LINES_MAX, PALETTE, Chart, charts
from logagg.report.data import report_data
from logagg.report.draw import Artist, inline_svg
from logagg.report.period import period
from tests.report_days import PACK, ZONE, counter, day, two_days

DAY = day("2026-11-01")     # 25 hours


def data_of(kind: str = "daily") -> dict[str, Any]:
    this = period(kind, DAY.first, ZONE)
    return report_data(two_days(DAY).store(), "operations", this, PACK.metrics, Path("/demo"), [])


def values(spec: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [value for part in spec.get("vconcat", [spec]) for value in part["data"]["values"]]
    return found


def program(folder: Path, text: str) -> Path:
    path = folder / "program.py"
    path.write_text(text)
    return path


def test_each_chart_says_what_its_table_says() -> None:
    """The values of a chart are those of the report's hours, the hour that comes twice as two."""
    data = data_of()
    traffic, times, payments = charts(data)
    assert [chart.name for chart in (traffic, times, payments)] == ["traffic", "times", "outcomes-payments"]
    calls = [value for value in values(traffic.spec) if value["what"] == "Calls"]
    assert [value["n"] for value in calls] == [hour["calls"] for hour in data["hours"]]
    assert [value["at"] for value in calls][:4] == ["00", "01", "01′", "02"]
    assert [value["n"] for value in values(times.spec)] == [hour["p95_ms"]["das"] for hour in data["hours"]]
    failed = [value["n"] for value in values(payments.spec) if value["what"] == "failed"]
    assert failed == [hour["outcomes"]["payments"]["failed"] for hour in data["hours"]]


def test_weeks_and_months_are_drawn_by_day() -> None:
    """A week has its seven days, a month all of its own, whether anything was seen on them or not."""
    week, month = charts(data_of("weekly"))[0], charts(data_of("monthly"))[0]
    axis = [part["encoding"]["x"]["scale"]["domain"] for part in week.spec["vconcat"]]
    assert axis[0] == ["Mo 26", "Tu 27", "We 28", "Th 29", "Fr 30", "Sa 31", "Su 1"]
    assert month.spec["vconcat"][0]["encoding"]["x"]["scale"]["domain"] == [str(n) for n in range(1, 31)]


def test_lines_differ_in_colour_and_dashes() -> None:
    """The most called backends are drawn, each with a colour and dashes of its own; more than that, nobody can tell."""
    many = [metric for i in range(9) for metric in (
        counter(f"b{i}_calls"), counter(f"b{i}_failures"), PACK.metrics[1].__class__(
            f"b{i}_time", "distribution", ("x",), "ms", "ms"))]
    rolled = two_days(DAY)
    for i in range(9):
        rolled.count(f"b{i}_calls", DAY.from_us // 60_000_000, 10 + i)
        rolled.values(f"b{i}_time", DAY.from_us // 60_000_000, [5])
    data = report_data(rolled.store(), "operations", DAY, many, Path("/demo"), [])
    [times] = [chart for chart in charts(data) if chart.name == "times"]
    scales = [times.spec["layer"][0]["encoding"][channel]["scale"] for channel in ("color", "strokeDash")]
    assert scales[0]["domain"] == [f"B{i}" for i in range(3, 9)]
    assert (len(set(scales[0]["range"])), len(set(map(tuple, scales[1]["range"])))) == (LINES_MAX, LINES_MAX)
    assert len(PALETTE) == len(DASHES)


def test_nothing_to_draw() -> None:
    """A day without data has no charts, and asks no program to draw."""
    empty = report_data(two_days(DAY).store(), "operations", day("2020-01-01"), PACK.metrics, Path("/demo"), [])
    assert charts(empty) == []
    with Artist(program=Path("/nowhere")) as artist:
        assert artist.draw([]).missing == ""


def test_drawn_by_one_child_for_several_reports() -> None:
    """The real program draws SVG and PNG of all charts, twice, in one process that ends with its context."""
    pytest.importorskip("vl_convert")
    with Artist() as artist:
        artist.start()
        child = artist._child
        assert child is not None
        for kind in ("daily", "weekly"):
            wanted = charts(data_of(kind))
            drawn = artist.draw(wanted)
            assert drawn.missing == ""
            assert set(drawn.pictures) == {chart.name for chart in wanted}
            for picture in drawn.pictures.values():
                assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
                assert "<title>" in inline_svg(picture.svg)
        assert artist._child is child
    assert child.poll() is not None


@pytest.mark.parametrize(("text", "missing"), [
    ("import sys; sys.stdin.readline(); sys.stdin.readline()", "drawing took longer than 0.5 s"),
    ("import time; time.sleep(60)", "drawing took longer than 0.5 s"),
    ("raise SystemExit(3)", "the drawing program gave no drawing"),
    ("input(); print('{}')", "the drawing program gave no drawing"),
    ("input(); print('{\"a\": {\"svg\": \"<b/>\", \"png\": \"\"}}')", "the drawing program gave no drawing"),
    ("input(); print('not JSON')", "the drawing program gave no drawing"),
    ("print('{\"error\": \"the package vl-convert-python is not installed\"}')",
     "the package vl-convert-python is not installed"),
])
def test_a_drawing_that_fails(tmp_path: Path, text: str, missing: str) -> None:
    """Whatever becomes of the child, within its time there is an answer that says why there are no charts."""
    start_s = time.monotonic()
    with Artist(timeout_s=0.5 if "longer" in missing else 30, program=program(tmp_path, text)) as artist:
        drawn = artist.draw([Chart("a", "A", "A", {})])
    assert (drawn.pictures, drawn.missing) == ({}, missing)
    assert time.monotonic() - start_s < 20


def test_after_a_failure_the_next_report_is_drawn(tmp_path: Path) -> None:
    """A child that was lost is replaced."""
    place = program(tmp_path, "")
    with Artist(program=place) as artist:
        assert artist.draw([Chart("a", "A", "A", {})]).missing
        answer = {"a": {"svg": "<svg/>", "png": "UE5H"}}
        place.write_text(f"input(); print({json.dumps(json.dumps(answer))})")
        drawn = artist.draw([Chart("a", "A", "A", {})])
    assert drawn.pictures["a"].png == b"PNG"


def test_a_request_larger_than_a_pipe(tmp_path: Path) -> None:
    """A large specification and a large answer do not stop each other."""
    place = program(tmp_path, "import json, sys\nn = len(sys.stdin.readline())\n"
                              "print(json.dumps({'a': {'svg': '<svg>' + ' ' * n + '</svg>', 'png': ''}}))")
    with Artist(program=place) as artist:
        drawn = artist.draw([Chart("a", "A", "A", {"x": "y" * 3_000_000})])
    assert len(drawn.pictures["a"].svg) > 3_000_000


def test_no_program_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Python to start there are no charts, and no error."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Artist() as artist:
        artist.start()
        assert artist.draw([Chart("a", "A", "A", {})]).missing.startswith("the drawing program did not start")


HOSTILE = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9"
 viewBox="0 0 9 9" onload="x()" style="color:red" id="a"><script>x()</script><style>*{}</style>
<defs><clipPath id="b"/></defs><image href="http://x/"/><a xlink:href="http://x/"><text>a</text></a>
<foreignObject><b>x</b></foreignObject><g><path d="M1.23456,2v3" fill="url(#b)" role="graphics-symbol"
 aria-label="10:00: &lt;b&gt;" onclick="x()"/></g><text x="1">&lt;script&gt;</text></svg>"""


def test_only_shapes_and_texts_come_into_a_page() -> None:
    """Scripts, styles, links, ids, handlers and references stay out; what describes a shape becomes its title."""
    assert inline_svg(HOSTILE) == (
        '<svg viewBox="0 0 9 9" aria-hidden="true"><path d="M1.2,2v3"><title>10:00: &lt;b&gt;</title></path>'
        '<text x="1">&lt;script&gt;</text></svg>')


@pytest.mark.parametrize("text", ["", "<svg", "<html/>", "<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>"])
def test_what_is_no_drawing_is_refused(text: str) -> None:
    """Text that is no SVG, or declares entities, is refused rather than printed."""
    with pytest.raises(ValueError, match=r"drawing|XML"):
        inline_svg(text)


def test_the_drawing_keeps_its_marks() -> None:
    """As many bars have a title in the page's drawing as the chart has values."""
    pytest.importorskip("vl_convert")
    [payments] = [chart for chart in charts(data_of()) if chart.name == "outcomes-payments"]
    with Artist() as artist:
        svg = inline_svg(artist.draw([payments]).pictures["outcomes-payments"].svg)
    assert len(list(ElementTree.fromstring(svg).iter("title"))) == len(values(payments.spec))
    assert json.dumps(payments.spec)    # plain data
