"""The archive's parts: health marks, names of pages, calendars, the index of the search, files that mend themselves."""

import json
import re
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logagg.grammar.reader import LayoutReader
from logagg.raw import compress
from logagg.record import Chunk, Event, Stream
from logagg.report.archive import refresh, search_script
from logagg.report.calendar import SIGNS, Shelf
from logagg.report.drill import NUMBERS_MAX, drill_path, drilled, with_links
from logagg.report.entries import Entry, entries, searchable
from logagg.report.files import write_whole
from logagg.report.health import health
from logagg.report.lines import CONTEXT_LINES, LINES_MAX, RawLines
from logagg.rollup.partial import labels_json

GOOD: dict[str, Any] = {"complete": True, "sources": [{"app": "xivr", "host": "a", "records": 1000, "rejects": 0}]}


def rate(value: float | None, count: int, before: float | None) -> dict[str, Any]:
    return {"metric": "payment_failure_rate", "kind": "ratio", "labels": {}, "value": value, "count": count,
            "previous": {"value": before}}


@pytest.mark.parametrize(("data", "mark", "why"), [
    ({}, "ok", ""),
    ({"complete": False}, "incomplete", "numbers may still change"),
    ({"sources": []}, "none", "no source wrote a record"),
    ({"incidents": [{"severity": "critical", "summary": "DAS fails on app01"}]}, "error", "DAS fails on app01"),
    ({"incidents": [{"severity": "warning", "rule": "low_memory"}], "complete": False}, "warn", "low_memory"),
    ({"metrics": [rate(0.11, 100, 0.11)]}, "error", "Payment failure rate 11.0 %"),
    ({"metrics": [rate(0.05, 100, 0.02)]}, "warn", "Payment failure rate 5.00 %, before 2.00 %"),
    ({"metrics": [rate(0.05, 100, 0.04)]}, "ok", ""),                   # as it always is
    ({"metrics": [rate(0.05, 100, None)]}, "ok", ""),                   # nothing to compare with
    ({"metrics": [rate(0.50, 19, 0.01)]}, "ok", ""),                    # too few to judge
    ({"metrics": [rate(None, 0, None)]}, "ok", ""),
    ({"backends": [{"name": "das", "calls": 100, "failure_rate": 0.3, "previous": {"failure_rate": 0.3}}]}, "error",
     "DAS failure rate 30.0 %"),
    ({"expected": [{"name": "ftp_load", "days": [{"state": "missing"}, {"state": "missing"}]}]}, "error",
     "FTP load: did not come on 2 days"),
    ({"expected": [{"name": "ftp_load", "days": [{"state": "late"}, {"state": "ok"}]}]}, "warn", "FTP load: came late"),
    ({"expected": [{"name": "ftp_load", "days": [{"state": "unknown"}]}]}, "ok", ""),
    ({"sources": [{"app": "x", "host": "a", "records": 980, "rejects": 20}]}, "warn", "2.00 % of the entries"),
])
def test_health(data: dict[str, Any], mark: str, why: str) -> None:
    """Each mark and what it rests on; worst first, and incomplete only where nothing worse is known."""
    found = health(GOOD | data)
    assert found.mark == mark and (found.why[0] if found.why else "").startswith(why)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.text(max_size=300), max_size=4))
def test_any_label_gives_a_safe_path(labels: dict[str, str]) -> None:
    """Whatever a log put into a label: two folders down, no dots, separators or reserved characters."""
    path = drill_path("das_failures", labels)
    assert re.fullmatch(r"drill/das_failures/[a-z0-9][a-z0-9-]{0,60}\.html", path)


@given(st.text(max_size=20), st.text(max_size=20))
def test_different_labels_have_different_paths(one: str, other: str) -> None:
    """Values that look alike after cleaning are told apart by the hash, also where names ignore case."""
    paths = {drill_path("m", {"code": value}).lower() for value in (one, other)}
    assert len(paths) == len({one, other})


def counter(metric: str, count: int, **labels: str) -> dict[str, Any]:
    return {"metric": metric, "kind": "counter", "count": count, "labels": labels, "previous": {"value": 0}}


def test_which_numbers_are_followed() -> None:
    """Failures by every sum that a report shows, small counters too, great ones over all only; nothing that is zero."""
    rows = [
        counter("das_failures", 7), counter("das_failures", 5, host="a", operation="x", code="T"),
        counter("das_failures", 2, host="b", operation="x", code="T"), counter("das_failures", 0, host="c", code="T"),
        counter("calls", 900), counter("calls", 900, host="a"), counter("vip_starts", 2), counter("zero", 0),
    ]
    found = {(metric, labels): one.count for (metric, labels), one in drilled(rows).items()}
    assert found == {
        ("das_failures", "{}"): 7, ("calls", "{}"): 900, ("vip_starts", "{}"): 2,
        **{("das_failures", labels_json(labels)): n for labels, n in [
            ({"host": "a", "operation": "x", "code": "T"}, 5), ({"host": "b", "operation": "x", "code": "T"}, 2),
            ({"operation": "x", "code": "T"}, 7), ({"host": "a"}, 5), ({"host": "b"}, 2), ({"operation": "x"}, 7),
            ({"code": "T"}, 7)]},
    }
    linked = with_links({"metrics": rows, "backends": [{"name": "das"}]})
    assert linked["backends"][0]["drill"] == drill_path("das_failures", {})
    assert linked["metrics"][1]["drill_sums"]["code", "operation"] == drill_path(
        "das_failures", {"operation": "x", "code": "T"})
    assert "drill" not in rows[0]


def test_numbers_are_bounded() -> None:
    """With very many label sets the numbers over all and the greatest have pages."""
    rows = [counter("x_failures", 10_000), *(counter("x_failures", n, code=str(n)) for n in range(1, 2000))]
    found = drilled(rows)
    assert len(found) == NUMBERS_MAX and ("x_failures", "{}") in found and ("x_failures", '{"code":"1999"}') in found
    assert ("x_failures", '{"code":"3"}') not in found


# --- calendar and pages -----------------------------------------------------------------------------------------------

def entry(mark: str = "ok", *why: str, revisions: int = 1, text: str = "") -> Entry:
    return {"revisions": [[n, "2026-11-21T05:00:00Z", True] for n in range(1, revisions + 1)], "mark": mark,
            "why": list(why), "text": text, "nav": ""}


def test_a_calendar() -> None:
    """Weeks from Monday with their numbers, days in their columns, weeks and months linked where they are built."""
    shelf = Shelf("operations", {"daily/2026-11-01": entry("warn"), "daily/2026-11-20": entry(revisions=3),
                                 "weekly/2026-11-16": entry(), "monthly/2026-11-01": entry(),
                                 "daily/2026-12-31": entry()})
    december, november = shelf.months()
    assert (december.name, november.name) == ("December 2026", "November 2026")
    assert november.link and november.link.href == "operations/monthly/2026-11-01/r1/index.html"
    assert [week.number for week in november.weeks] == [44, 45, 46, 47, 48, 49]
    first, third = november.weeks[0], november.weeks[3]
    assert [cell is None for cell in first.days] == [True] * 6 + [False]
    sunday = first.days[6]
    assert sunday and sunday[1] and sunday[1].word == "warning"
    friday = third.days[4]
    assert third.link and friday and friday[1] and friday[1].href == "operations/daily/2026-11-20/r3/index.html"
    assert shelf.years() == [2026]


def test_neighbours_skip_what_was_never_built() -> None:
    """Previous and next are the reports that there are."""
    shelf = Shelf("o", {"daily/2026-11-01": entry(), "daily/2026-11-20": entry(), "weekly/2026-11-16": entry()})
    after = shelf.beside("daily", date(2026, 11, 1), 1)
    assert after and after.first == date(2026, 11, 20) and shelf.beside("daily", date(2026, 11, 20), 1) is None
    assert [link.kind for link in shelf.around("daily", date(2026, 11, 20))] == ["weekly"]


def test_every_mark_is_a_shape_and_a_word() -> None:
    """No two marks share a sign or a word, so nothing is told by colour alone."""
    assert len({sign for sign, _ in SIGNS.values()}) == len({word for _, word in SIGNS.values()}) == 5


def test_the_search_index_is_inert() -> None:
    """Hostile texts are ASCII escapes inside a script's texts; what a script reads is what was written."""
    text = "</script><!-- \u2028 \u202e \udcff \"' \\"
    found = {"daily/2026-11-20": entry("warn", text, text=text)}
    script = search_script({"o": Shelf("o", found)}, {"o": found})
    assert script.isascii() and "<" not in script and script.count("\n") == 1
    [row] = json.loads(script.removeprefix("window.logaggReports = ").removesuffix(";\n"))
    assert row[7:] == [text, text]


def test_what_is_searched_is_bounded() -> None:
    """A report with very many failing label sets has a text of limited length, its incidents first."""
    data = {"incidents": [{"summary": "DAS is down", "labels": {"host": "app01"}}],
            "metrics": [counter("x_failures", 1, code=f"code-{n}") for n in range(5000)]}
    text = searchable(data)
    assert text.startswith("DAS is down app01 X failures x_failures code-0") and len(text) == 2000


def put(archive: Path, key: str, revision: int = 1, **changed: Any) -> None:
    """A report's folder, as small as can be."""
    place = archive / "o" / key / f"r{revision}"
    place.mkdir(parents=True)
    (place / "data.json").write_text(json.dumps(GOOD | {"built_at": "2026-11-21T05:00:00Z"} | changed))
    (place / "index.html").write_text("<p>before</p><!--archive--><!--/archive--><p>after</p>")


def test_what_other_programs_wrote_is_taken_up(tmp_path: Path) -> None:
    """Reports that are in the folders, and no others, are in the archive: a lost entry, a new one, one without data."""
    put(tmp_path, "daily/2026-11-19")
    refresh(tmp_path, "o", {"daily/2026-11-19"})
    put(tmp_path, "daily/2026-11-20")
    put(tmp_path, "daily/2026-11-21")
    (tmp_path / "o/daily/2026-11-21/r1/data.json").write_text("{")
    for name in (".r1.77.tmp", "notes", "2026-13-77"):
        (tmp_path / "o/daily" / name / "r1").mkdir(parents=True)
    refresh(tmp_path, "o")
    found = entries(tmp_path / "o")
    assert {key: one["mark"] for key, one in found.items()} == {
        "daily/2026-11-19": "ok", "daily/2026-11-20": "ok", "daily/2026-11-21": "none"}
    page = (tmp_path / "o/daily/2026-11-19/r1/index.html").read_text()
    assert page.startswith("<p>before</p><!--archive-->") and page.endswith("<!--/archive--><p>after</p>")
    assert "2026-11-20/r1/index.html" in page


def test_a_refresh_without_news_writes_nothing(tmp_path: Path) -> None:
    """Files that would not change are not touched, so that backups and caches stay quiet."""
    put(tmp_path, "daily/2026-11-19")
    refresh(tmp_path, "o")
    there = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    refresh(tmp_path, "o")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == there


def test_a_file_is_whole_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the old file and nothing else."""
    path = tmp_path / "index.html"
    assert write_whole(path, "old") and not write_whole(path, "old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


# --- raw lines --------------------------------------------------------------------------------------------------------

class Kept:
    """A store of one stream's chunks, cut wherever a test wants."""

    def __init__(self, text: str, cuts: list[int], gone: set[int] | None = None) -> None:
        data = text.encode()
        edges = [0, *cuts, len(data)]
        self._chunks = [Chunk("s", a, b, b"" if a in (gone or ()) else compress(data[a:b]), carry={"layout": "%d %m%n"})
                        for a, b in pairwise(edges)]

    def chunks(self, *, stream: str, start: int, end: int) -> list[Chunk]:
        return [chunk for chunk in self._chunks if chunk.end > start and chunk.start < end]


class Readers:
    def reader(self, stream: Stream) -> Any:
        return LayoutReader("%d{ISO8601} %m%n")

    def encoding(self, stream: Stream) -> str:
        return "utf-8"


LINES = [f"2026-11-20T10:00:{n:02d},000 line {n}" for n in range(20)]
STREAM = Stream("s", "h", "a", "/x.log", "first")


def shown(text: str, offset: int, cuts: list[int], gone: set[int] | None = None) -> Any:
    event = Event("s", offset, 1, "ERROR", "das_failure", {"message": "line", "exception": "as read"})
    return RawLines(Kept(text, cuts, gone), Readers()).shown(event, STREAM)     # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, 1, 3, 10, 17, 19])
@pytest.mark.parametrize("every", [0, 1, 4])
def test_context_reaches_over_chunks(number: int, every: int) -> None:
    """Lines before and after are the same however the stream was cut into chunks."""
    text = "".join(line + "\n" for line in LINES)
    starts = [len("".join(line + "\n" for line in LINES[:n])) for n in range(20)]
    cuts = starts[every::every] if every else []
    found = shown(text, starts[number], [cut for cut in cuts if cut])
    assert found.lines == [LINES[number]]
    assert found.before == LINES[max(0, number - CONTEXT_LINES):number]
    assert found.after == LINES[number + 1:number + 1 + CONTEXT_LINES]


def test_a_long_record_is_cut() -> None:
    """Of a stack trace of a thousand lines the first are shown, and how many more there are."""
    text = LINES[0] + "\n" + "\tat x\n" * 1000 + LINES[1] + "\n"
    found = shown(text, 0, [])
    assert len(found.lines) == LINES_MAX and found.more == 1001 - LINES_MAX and found.after == [LINES[1]]


def test_bytes_that_are_gone() -> None:
    """Where the raw bytes are not kept, the stored event is shown, and said to be that."""
    found = shown(LINES[0] + "\n", 0, [], {0})
    assert found.lines == ["line", "as read"] and not found.raw
