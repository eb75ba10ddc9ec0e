"""A batch -> partials."""

import json
from typing import Any

import numpy as np
import pytest

from logagg.grammar.claims import EventClaims, EventGroup, Numbers
from logagg.record import Partial
from logagg.rollup import partial
from logagg.rollup.metric import Metric, MetricSet
from logagg.rollup.partial import merge_partials, partials, to_steps
from logagg.rollup.sketch import Stat
from tests.rollups import METRICS, Columns, text, utc

T = utc("2026-11-20T13:15:30")
MINUTE = T // 60_000_000


def made(*rows: tuple[Any, ...], metrics: MetricSet = METRICS, last: int | None = None, host: str = "h1",
         rejects: dict[int, str] | None = None) -> list[Partial]:
    batch = Columns(rows, rejects or {})
    return partials(batch, batch, metrics, "xivr", host, last)


def content(parts: list[Partial]) -> dict[int, Any]:
    return {part.minute: json.loads(part.data) for part in parts}


def test_records_are_counted_by_minute_and_level() -> None:
    """Every record with a time counts in its own minute under its level, out of order too; a level may be missing."""
    rows = [(T, "INFO"), (T + 60_000_000, "WARN"), (T, "INFO"), (None, "INFO"), (T + 1, None), (T - 60_000_000, "INFO")]
    found = content(made(*[(ts, level, None, {}) for ts, level in rows]))
    label = {level: text(app="xivr", host="h1", level=level) for level in ("INFO", "WARN", "")}
    assert found == {MINUTE - 1: {"records": {label["INFO"]: 1}},
                     MINUTE: {"records": {label["INFO"]: 2, label[""]: 1}},
                     MINUTE + 1: {"records": {label["WARN"]: 1}}}


def test_few_and_many_are_counted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many records come at once, those without a time and rejects are not among them."""
    rows = [(T + i * 20_000_000 if i % 5 else None, ("INFO", "WARN", None)[i % 3], None, {}) for i in range(40)]
    few = content(made(*rows, rejects={3: "too_long", 5: "no_layout"}))
    monkeypatch.setattr(partial, "FEW_MAX", 0)
    assert content(made(*rows, rejects={3: "too_long", 5: "no_layout"})) == few


@pytest.mark.parametrize("spread", [5, 100, 10**15, 10**17])
def test_whole_numbers_are_counted_as_an_array_as_one_by_one(spread: int) -> None:
    """A distribution of numbers that a reader has as an array, near or far from each other, in any order."""
    metrics = MetricSet([Metric("v", "distribution", ("e",), field="x")])
    values = [(i * 7919 % 13 - 3) * spread for i in range(200)]
    batch = Columns([(T + i * 7919 % 1000 * 1_000_000 if i % 6 else None, "INFO", "e", {"x": value})
                     for i, value in enumerate(values)], {})
    groups = EventClaims([EventGroup("e", batch.groups[0].rows, {"x": Numbers(np.array(values))})])
    assert partials(batch, groups, metrics, "xivr", "h1", None) == partials(batch, batch, metrics, "xivr", "h1", None)


def test_levels_that_are_told_alike_are_counted_together() -> None:
    """Levels that only differ in bytes that no encoding has are one label, with the sum of both."""
    found = content(made((T, "\udcff", None, {}), (T, "\udcfe", None, {})))
    assert [*found[MINUTE]["records"].values()] == [2]


def test_a_reject_counts_at_the_last_time_seen() -> None:
    """A reject without a time counts in the minute of the last time before it, and before any time not at all; it is
    no record, even with a time."""
    rows = [(None, None, None, {}), (T, "INFO", None, {}), (None, None, None, {}), (T + 60_000_000, None, None, {})]
    rejects = {0: "no_layout", 2: "no_layout", 3: "too_long"}
    label = {reason: text(app="xivr", host="h1", reason=reason) for reason in ("no_layout", "too_long")}
    found = content(made(*rows, rejects=rejects))
    assert found[MINUTE]["rejects"] == {label["no_layout"]: 1}
    assert found[MINUTE + 1] == {"rejects": {label["too_long"]: 1}}
    assert content(made(*rows, rejects=rejects, last=T))[MINUTE]["rejects"] == {label["no_layout"]: 2}


def test_events_feed_their_metrics() -> None:
    """A counter counts each of its events, a distribution takes its field; labels are fields and the host."""
    rows = [(T, "INFO", "das_call", {"operation": "a", "duration_ms": 12}),
            (T, "INFO", "das_call", {"operation": "a", "duration_ms": 30}),
            (T, "INFO", "das_call", {"operation": "b", "duration_ms": 12}),
            (T, "ERROR", "das_failure", {"operation": "a", "code": "X"}),
            (None, "ERROR", "das_failure", {"operation": "a", "code": "X"}),
            (T, "INFO", "unmeasured", {"operation": "a"})]
    merged = merge_partials(part.data for part in made(*rows))
    assert merged["das_calls"] == {text(host="h1", operation="a"): Stat(3), text(host="h1", operation="b"): Stat(1)}
    assert merged["das_failures"] == {text(host="h1", operation="a", code="X"): Stat(1)}
    assert merged["das_time"] == {text(operation="a"): Stat.of([12, 30]), text(operation="b"): Stat.of([12])}


def test_labels_are_the_records_own_and_bounded() -> None:
    """app, host, level and event label without a field; a missing field is "", a long one is cut at 256 characters,
    and what UTF-8 cannot hold is replaced."""
    metrics = MetricSet([Metric("m", "counter", ("e",), labels=("app", "event", "level", "code", "reason"))])
    rows = [(T, "WARN", "e", {"code": "é" * 300, "reason": "\udcff"}), (T, None, "e", {"level": "mine", "code": 7})]
    labels = sorted(merge_partials(part.data for part in made(*rows, metrics=metrics))["m"])
    assert [json.loads(text) for text in labels] == [
        {"app": "xivr", "code": "7", "event": "e", "level": "", "reason": ""},
        {"app": "xivr", "code": "é" * 256, "event": "e", "level": "WARN", "reason": "?"},
    ]
    assert made((T, "INFO", None, {}), host="bad\udc80")[0].data.decode()


def test_what_cannot_be_measured_is_left_out_of_the_distribution_only() -> None:
    """A missing, textual, infinite or absurdly large value gives no value, while counters count the event."""
    metrics = MetricSet([Metric("n", "counter", ("e",)), Metric("v", "distribution", ("e",), field="x")])
    values = [5, 10**18, 10**18 + 1, 10**4000, float("inf"), float("nan"), 1e300, "12", -3]
    rows = [*[(T, None, "e", {"x": value}) for value in values], (T, None, "e", {})]
    merged = merge_partials(part.data for part in made(*rows, metrics=metrics))
    assert merged["n"] == {"{}": Stat(10)}
    assert merged["v"] == {"{}": Stat.of([5, 10**18, -3])}


@pytest.mark.parametrize(("step", "value", "steps"), [
    (1, 2.5, 2), (1, 3.5, 4), (1, -2.5, -2), (0.1, 0.3, 3), (0.01, 1.005, 100), (0.01, 1.015, 102), (0.01, 19.99, 1999),
    (0.001, 8.0085, 8008), (0.25, 0.375, 2), (3, 10, 3), (1000, 1500, 2), (1, 0.49999999999999994, 0), (1, -0.0, 0),
    (0.1, 0.1 + 0.2, 3), (1e-9, 5e-10, 0), (1, 2**53 + 1, 2**53 + 1), (5e-324, 1e300, None),
])
def test_values_become_steps_by_exact_decimals(step: float, value: float, steps: int | None) -> None:
    """A value is divided by its step as written in decimals and rounded half to even."""
    assert to_steps(step)(value) == steps


def test_times_that_no_clock_shows_contribute_nowhere() -> None:
    """Years before 1970 and after 9997 make no bucket."""
    rows = [(utc("1969-12-31T23:59:59"), "INFO", None, {}), (utc("9998-01-01T00:00:00"), "INFO", None, {}),
            (0, "INFO", None, {})]
    assert [part.minute for part in made(*rows)] == [0]


def test_equal_content_gives_equal_bytes() -> None:
    """The bytes do not depend on the order of records within the minute."""
    rows = [(T + i, level, "das_call", {"operation": op, "duration_ms": i % 7})
            for i, (level, op) in enumerate([("INFO", "a"), ("WARN", "b"), ("INFO", "c")] * 5)]
    assert made(*rows) == made(*reversed(rows))
