"""Questions to the rollups, and exports."""

import csv
import io
import json
from typing import Any

import pytest

from logagg.errors import UsageError
from logagg.record import Chunk, Event, Stream
from logagg.rollup.export import EVENT_COLUMNS, ROLLUP_COLUMNS, export_events, export_rollups, write_rows
from logagg.rollup.fold import Folder
from logagg.rollup.query import in_unit, query, series
from logagg.store.memory import MemoryStore
from tests.rollups import METRICS, Columns, commit, utc

NEW_YORK = "America/New_York"
HOUR = 3_600_000_000


def call(ts: int, ms: int = 10, operation: str = "a") -> tuple[Any, ...]:
    return (ts, "INFO", "das_call", {"operation": operation, "duration_ms": ms})


def failure(ts: int, operation: str = "a") -> tuple[Any, ...]:
    return (ts, "ERROR", "das_failure", {"operation": operation, "code": "X"})


def store_of(*rows: tuple[Any, ...], zones: tuple[str, ...] = (NEW_YORK,)) -> MemoryStore:
    store = MemoryStore()
    commit(store, "s", [Columns(rows)])
    Folder(store, METRICS, zones).fold_all()
    return store


def asked(store: MemoryStore, *question: Any, **options: Any) -> Any:
    return query(store, METRICS, *question, zone=NEW_YORK, **options)


def test_the_answer_has_the_promised_keys() -> None:
    """A day's mean: value in the metric's unit, count, UTC bounds of the local day, revision and completeness."""
    store = store_of(call(utc("2026-11-20T13:00"), 10), call(utc("2026-11-21T04:59"), 25))
    assert asked(store, "das_time", "average", "2026-11-20", labels={"operation": "a"}) == {
        "metric": "das_time", "labels": {"operation": "a"}, "stat": "average", "unit": "ms",
        "from": "2026-11-20T05:00:00Z", "to": "2026-11-21T05:00:00Z", "value": 17.5, "count": 2, "complete": False,
        "revision": 1}


@pytest.mark.parametrize(("stat", "value", "unit"), [
    ("count", 100, "1"), ("sum", 5050, "ms"), ("min", 1, "ms"), ("max", 100, "ms"), ("mean", 50.5, "ms"),
    ("average", 50.5, "ms"), ("median", 50, "ms"), ("p90", 90, "ms"), ("p95", 95, "ms"), ("p99", 99, "ms"),
    ("rate", round(100 / 86400, 6), "1/s"),
])
def test_every_stat_of_a_distribution(stat: str, value: float, unit: str) -> None:
    """The stats of 1 … 100 ms in one day."""
    store = store_of(*[call(utc("2026-11-20T13:00") + i, i) for i in range(1, 101)])
    answer = asked(store, "das_time", stat, "2026-11-20")
    assert (answer["value"], answer["unit"], answer["count"]) == (value, unit, 100)


def test_no_data_is_null_and_no_error() -> None:
    """A day without data has value None, count 0 and revision 0, for every kind of metric."""
    for name, stat in (("das_calls", "count"), ("das_time", "p95"), ("das_failure_rate", "rate")):
        answer = asked(MemoryStore(), name, stat, "2026-11-20")
        assert (answer["value"], answer["count"], answer["revision"], answer["complete"]) == (None, 0, 0, False)


def test_an_hour_is_local_and_both_runs_of_a_repeated_one() -> None:
    """01:00 to 02:00 on the day the clocks go back has two hours; 02:00 on the other day has nothing."""
    autumn, spring = utc("2026-11-01T05:00"), utc("2026-03-08T06:00")
    store = store_of(call(autumn - 1), call(autumn), call(autumn + 2 * HOUR - 1), call(autumn + 2 * HOUR),
                     call(spring), call(spring + HOUR))
    answer = asked(store, "das_calls", "count", "2026-11-01", 1)
    assert (answer["value"], answer["from"], answer["to"]) == (2, "2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z")
    skipped = asked(store, "das_calls", "count", "2026-03-08", 2)
    assert (skipped["value"], skipped["from"], skipped["to"]) == (None, "2026-03-08T07:00:00Z", "2026-03-08T07:00:00Z")
    assert asked(store, "das_calls", "rate", "2026-03-08", 2)["value"] is None
    assert [asked(store, "das_calls", "count", "2026-03-08", hour)["count"] for hour in (1, 3)] == [1, 1]


def test_hours_of_half_hour_zones_are_read_from_quarters() -> None:
    """An hour of Kolkata begins at half past in UTC, whether or not the zone was folded."""
    for zones in ((), ("Asia/Kolkata",)):
        store = store_of(call(utc("2026-11-19T18:29")), call(utc("2026-11-19T18:30")), call(utc("2026-11-19T19:29")),
                         zones=zones)
        for hour, count in ((0, 2), (None, 2)):
            answer = query(store, METRICS, "das_calls", "count", "2026-11-20", hour, zone="Asia/Kolkata")
            assert answer["value"] == count and answer["revision"] > 0
        assert answer["from"] == "2026-11-19T18:30:00Z"


def test_ratios_divide_sums_and_labels_filter() -> None:
    """A ratio is parts by wholes over all label sets that agree; its count is the wholes."""
    t = utc("2026-11-20T13:00")
    store = store_of(call(t), call(t), call(t, operation="b"), failure(t), failure(t, "b"), failure(t, "b"))
    answers = [asked(store, "das_failure_rate", "rate", "2026-11-20", labels=labels)
               for labels in (None, {"operation": "a"}, {"operation": "b", "host": "h1"}, {"operation": "c"})]
    assert [(answer["value"], answer["count"]) for answer in answers] == [
        (0.5, 6), (0.333333, 3), (0.666667, 3), (None, 0)]
    rows = series(store, METRICS, "das_failure_rate", "day", NEW_YORK, 0, t + 48 * HOUR)
    assert [(row.labels, row.part.count, row.stat.count) for row in rows] == [
        ({"host": "h1", "operation": "a"}, 1, 3), ({"host": "h1", "operation": "b"}, 2, 3)]


@pytest.mark.parametrize(("question", "options", "message"), [
    (("das_cals", "count", "2026-11-20"), {}, "no metric 'das_cals'; did you mean das_calls"),
    (("zzz", "count", "2026-11-20"), {}, "expected one of: records, rejects, das_calls"),
    (("das_time", "p59", "2026-11-20"), {}, "das_time is a distribution and has no stat 'p59'; did you mean p99"),
    (("das_calls", "median", "2026-11-20"), {}, "das_calls is a counter and has no stat 'median'; expected one of: "),
    (("das_time", "p95", "2026-11-31"), {}, "'2026-11-31' is no date"),
    (("das_time", "p95", "9999-12-31"), {}, "is no date"),
    (("das_time", "p95", "2026-11-20", 24), {}, "hour 24: expected 0 to 23"),
    (("das_time", "p95", "2026-11-20"), {"labels": {"opertion": "a"}}, "no label 'opertion'; did you mean operation"),
])
def test_a_wrong_question_names_what_may_be_meant(question: Any, options: Any, message: str) -> None:
    """A misspelt metric, stat or label, or a date or hour that does not exist, is refused with a way out."""
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        asked(MemoryStore(), *question, **options)


def test_completeness_is_observed() -> None:
    """A day is complete when all sources were read to their ends at or after its end, and all of that is folded."""
    store = store_of(call(utc("2026-11-20T13:00")))
    end = utc("2026-11-21T05:00")
    seen = []
    for at in (end - 1, end):
        store.put_document("observation", "xivr@h1", None, {"at_us": at, "paths": 1})
        seen.append(asked(store, "das_calls", "count", "2026-11-20")["complete"])
    commit(store, "t", [Columns([call(utc("2026-11-19T13:00"))])], app="vip")
    seen.append(asked(store, "das_calls", "count", "2026-11-20")["complete"])
    store.put_document("observation", "vip@h1", None, {"at_us": end, "paths": 1})
    seen.append(asked(store, "das_calls", "count", "2026-11-20")["complete"])
    seen.append(asked(store, "das_calls", "count", "2026-11-19")["complete"])
    assert seen == [False, True, False, True, False]        # the last: a chunk of the 19th is not folded


def test_the_revision_rises_with_the_data() -> None:
    """A late record raises the revision of the answer that it changes, and not of another day's."""
    store = store_of(call(utc("2026-11-20T13:00")), call(utc("2026-11-19T13:00")))
    before = [asked(store, "das_time", "max", day)["revision"] for day in ("2026-11-19", "2026-11-20")]
    commit(store, "s", [Columns([call(utc("2026-11-20T14:00"), 99)])])
    Folder(store, METRICS).fold_all()
    after = [asked(store, "das_time", "max", day)["revision"] for day in ("2026-11-19", "2026-11-20")]
    assert after[0] == before[0] and after[1] > before[1]


def test_a_zone_that_is_not_folded_gives_the_same_rows() -> None:
    """Days, weeks and months put together from quarters equal those that were folded."""
    rows = [call(utc("2026-10-25T00:00") + i * 5 * HOUR, i) for i in range(60)]
    folded, plain = store_of(*rows), store_of(*rows, zones=())
    for step in ("day", "week", "month"):
        options = {"zone": NEW_YORK, "from_us": utc("2026-10-27T00:00"), "to_us": utc("2026-11-30T00:00")}
        there = list(export_rollups(folded, METRICS, step, **options))
        assert there and list(export_rollups(plain, METRICS, step, **options)) == there


def test_rollup_rows_are_as_promised() -> None:
    """Rows by (start, metric, labels), in units, with UTC bounds; counters have no values."""
    t = utc("2026-11-20T13:17")
    store = store_of(call(t, 10), call(t, 40), (t, None, "payment_ok", {"amount": 0.1}),
                     (t, None, "payment_ok", {"amount": 0.2}))
    rows = list(export_rollups(store, METRICS, "hour"))
    bounds = {"step": "hour", "from": "2026-11-20T13:00:00Z", "to": "2026-11-20T14:00:00Z"}
    none = dict.fromkeys(("min", "max", "mean", "median", "p95", "p99"))
    assert rows == [
        {"metric": "amounts", "labels": {}, **bounds, "count": 2, "sum": 0.3, "min": 0.1, "max": 0.2, "mean": 0.15,
         "median": 0.1, "p95": 0.2, "p99": 0.2},
        {"metric": "das_calls", "labels": {"host": "h1", "operation": "a"}, **bounds, "count": 2, "sum": 2, **none},
        {"metric": "das_time", "labels": {"operation": "a"}, **bounds, "count": 2, "sum": 50, "min": 10, "max": 40,
         "mean": 25, "median": 10, "p95": 40, "p99": 40},
        {"metric": "records", "labels": {"app": "xivr", "host": "h1", "level": ""}, **bounds, "count": 2, "sum": 2,
         **none},
        {"metric": "records", "labels": {"app": "xivr", "host": "h1", "level": "INFO"}, **bounds, "count": 2, "sum": 2,
         **none},
    ]
    assert all(tuple(row) == ROLLUP_COLUMNS for row in rows)


def test_a_range_takes_the_windows_that_start_in_it() -> None:
    """`from` is inside, `to` is outside, in any step."""
    t = utc("2026-11-20T13:00")
    store = store_of(*[call(t + i * HOUR) for i in range(4)])
    rows = export_rollups(store, METRICS, "hour", from_us=t + 1, to_us=t + 3 * HOUR)
    assert [row["from"] for row in rows if row["metric"] == "das_calls"] == [
        "2026-11-20T14:00:00Z", "2026-11-20T15:00:00Z"]
    with pytest.raises(UsageError, match="no step 'hours'; did you mean hour"):
        list(export_rollups(store, METRICS, "hours"))


@pytest.mark.parametrize(("value", "step", "shown"), [
    (3, 0.1, 0.3), (10, 0.1, 1.0), (7, 1, 7), (7.0, 1, 7), (1 / 3, 1, 0.333333), (5, 1000, 5000), (None, 1, None),
    (10**17 + 1, 0.01, 1000000000000000.01), (2, 1.0, 2),
])
def test_steps_are_shown_in_units(value: Any, step: float, shown: Any) -> None:
    """Whole numbers of whole steps stay integers; others are exact decimals to six digits."""
    assert in_unit(value, step) == shown and type(in_unit(value, step)) is type(shown)


def event_store() -> MemoryStore:
    store = MemoryStore()
    body = {"ts": "2026-11-20T13:15:30.123Z", "level": "ERROR", "message": "=cmd()|x, \"quoted\"\nand more",
            "mdc": {"callId": "c-17"}, "event": "das_failure", "fields": {"duration_ms": -5}}
    events = (Event("s1", 0, utc("2026-11-20T13:15"), "ERROR", "das_failure", body),
              Event("s1", 5, None, None, "reject", {"message": "\udc80", "event": "reject", "extra": {"line": "7"}}))
    state = Stream("s1", "h1", "das", "/var/log/d\udc80s.log", "f", end=10, resume=10)
    store.commit([(state, [Chunk("s1", 0, 10, b"raw", events=events)])])
    return store


def test_event_rows_are_the_public_json() -> None:
    """Every key is there, None where absent; id, app, host, path and offset come from the stream; extra if present."""
    reject, row = export_events(event_store())
    assert tuple(row) == EVENT_COLUMNS[:-1] and tuple(reject) == EVENT_COLUMNS
    assert (row["id"], row["app"], row["host"], row["offset"], row["ndc"]) == ("s1:0", "das", "h1", 0, None)
    assert [row["event"] for row in export_events(event_store(), names=["das_failure"])] == ["das_failure"]
    assert list(export_events(event_store(), from_us=utc("2026-11-21T00:00"))) == []


def test_json_lines_carry_everything() -> None:
    """Each line is one JSON object that gives the row back, even with text that UTF-8 cannot hold."""
    out = io.StringIO()
    rows = list(export_events(event_store()))
    assert write_rows(rows, "jsonl", EVENT_COLUMNS, out) == 2
    lines = out.getvalue().encode().decode().splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_csv_is_rfc_4180_and_runs_no_formula() -> None:
    """CRLF, quotes, JSON for what is nested, empty for null; an apostrophe before a text that looks like a formula."""
    out = io.StringIO(newline="")
    write_rows(export_events(event_store()), "csv", EVENT_COLUMNS, out)
    lines = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert out.getvalue().encode().split(b"\r\n")[0] == ",".join(EVENT_COLUMNS).encode()
    assert lines[1]["message"] == "'=cmd()|x, \"quoted\"\nand more"
    assert (lines[1]["mdc"], lines[1]["ndc"], lines[1]["fields"]) == ('{"callId":"c-17"}', "", '{"duration_ms":-5}')
    with pytest.raises(UsageError, match="expected jsonl or csv"):
        write_rows([], "parquet", EVENT_COLUMNS, out)
