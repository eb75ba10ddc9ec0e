"""Metrics: tables to metrics and all their mistakes; the set of metrics of a configuration."""

from typing import Any

import pytest

from logagg.errors import ConfigError
from logagg.rollup.metric import RECORDS, REJECTS, Metric, MetricSet, parse_metrics

RULES = {
    "das_call": {"operation": str, "duration_ms": int},
    "das_failure": {"operation": str, "duration_ms": int, "code": str},
    "payment_ok": {"amount": float, "reason": str},
}


def test_tables_become_metrics() -> None:
    """Without a field a counter, with one a distribution, of part and whole a ratio; what is left out has defaults."""
    assert parse_metrics([
        {"name": "das_calls", "event": ["das_call", "das_failure"], "labels": ["host", "operation"]},
        {"name": "das_time", "event": "das_call", "field": "duration_ms", "unit": "ms", "labels": "operation"},
        {"name": "amounts", "kind": "distribution", "event": "payment_ok", "field": "amount", "step": 0.01,
         "help": "Paid.", "label_limit": 5},
        {"name": "rate", "part": "das_calls", "whole": ["das_calls", "records"]},
    ], "pack.toml", RULES) == [
        Metric("das_calls", "counter", ("das_call", "das_failure"), labels=("host", "operation")),
        Metric("das_time", "distribution", ("das_call",), "duration_ms", "ms", labels=("operation",)),
        Metric("amounts", "distribution", ("payment_ok",), "amount", step=0.01, help="Paid.", label_limit=5),
        Metric("rate", "ratio", part=("das_calls",), whole=("das_calls", "records")),
    ]


GOOD = {"name": "das_calls", "event": "das_call"}


@pytest.mark.parametrize(("tables", "expected"), [
    ([{}], ['[[metric]] 1: name is missing; add name = "das_time"',
            '[[metric]] 1: event is missing; add event = "das_call", or part and whole for a ratio']),
    ([GOOD, {"name": "a b", "event": 5, "labls": ["x"]}], [
        "[[metric]] 2 \"a b\": name is 'a b'; expected a letter, then up to 99 letters, digits and _",
        '[[metric]] 2 "a b": event is 5; expected text in quotes, or a list such as ["a", "b"]',
        '[[metric]] 2 "a b": unknown key "labls"; did you mean "labels"?']),
    ([{**GOOD, "step": 0, "label_limit": True, "unit": 1, "kind": "gauge"}], [
        '[[metric]] 1 "das_calls": step is 0; expected a number above 0',
        '[[metric]] 1 "das_calls": label_limit is True; expected a whole number from 1 to 1000000',
        '[[metric]] 1 "das_calls": unit is 1; expected text in quotes',
        '[[metric]] 1 "das_calls": kind is \'gauge\'; expected "counter", "distribution" or "ratio"']),
    ([{**GOOD, "kind": "distribution"}], [
        '[[metric]] 1 "das_calls": kind is "distribution", but these keys make a counter; remove kind, or change '
        "field"]),
    ([{"name": "r", "part": "das_calls", "labels": ["host"]}], [
        '[[metric]] 1 "r": a ratio needs both part and whole; add the one that is missing',
        '[[metric]] 1 "r": a ratio takes its counters\' events and labels; remove labels']),
    ([GOOD, {"name": "r", "part": "das_cals", "whole": "t"}, {**GOOD, "name": "t", "field": "duration_ms"}], [
        '[[metric]] 2 "r": part "das_cals" is no counter metric; did you mean "das_calls"?',
        '[[metric]] 2 "r": whole "t" is no counter metric; expected one of das_calls, records, rejects']),
    ([GOOD, GOOD, {**GOOD, "name": "records"}], [
        '[[metric]] 2 "das_calls": an earlier [[metric]] has this name; choose another',
        '[[metric]] 3 "records": this name is built in; choose another']),
    ([{**GOOD, "event": ["das_call", "das_cal"]}], [
        '[[metric]] 1 "das_calls": no grammar has an event "das_cal"; did you mean "das_call"?']),
    ([{"name": "m", "event": ["das_call", "das_failure"], "field": "operation", "labels": ["code", "level"]}], [
        '[[metric]] 1 "m": field "operation" is text, not a number, of das_call, das_failure; did you mean '
        '"duration_ms"?',
        '[[metric]] 1 "m": label "code" is no field of das_call, das_failure; expected one of operation, duration_ms, '
        "app, host, level, event, reason"]),
    ([{"name": "m", "event": "payment_ok", "field": "amuont"}], [
        '[[metric]] 1 "m": field "amuont" is no field of payment_ok; did you mean "amount"?']),
])
def test_all_mistakes_are_told_at_once(tables: list[dict[str, Any]], expected: list[str]) -> None:
    """Each mistake is one line with file, table and way out."""
    with pytest.raises(ConfigError) as error:
        parse_metrics(tables, "pack.toml", RULES)
    assert error.value.problems == [f"pack.toml: {text}" for text in expected]


def test_without_rules_events_are_not_checked() -> None:
    """A table can be read before its grammar is known."""
    assert parse_metrics([{"name": "a", "event": "anything"}], "x") == [Metric("a", "counter", ("anything",))]


def test_a_set_knows_its_metrics_by_name_and_event() -> None:
    """Built-in metrics are always there; ratios measure no event; the order is that of definition."""
    calls = Metric("calls", "counter", ("call", "failure"))
    time = Metric("time", "distribution", ("call",), "ms")
    rate = Metric("rate", "ratio", part=("calls",), whole=("records",))
    metrics = MetricSet([calls, time, rate])
    assert list(metrics) == [RECORDS, REJECTS, calls, time, rate]
    assert len(metrics) == 5
    assert metrics["calls"] is calls
    assert "calls" in metrics
    assert "other" not in metrics
    assert metrics.get("other") is None
    assert list(metrics.by_event("call")) == [calls, time]
    assert list(metrics.by_event("failure")) == [calls]
    assert list(metrics.by_event("other")) == []
    assert dict(metrics.ratios) == {"rate": rate}


def test_a_metric_may_come_twice_but_not_differ() -> None:
    """Two packs may bring the same metric; two different ones under one name are refused, all of them at once."""
    one = Metric("calls", "counter", ("call",))
    assert len(MetricSet([one, Metric("calls", "counter", ("call",))])) == 3
    assert list(MetricSet([one, one]).by_event("call")) == [one]
    with pytest.raises(ConfigError) as error:
        MetricSet([one, Metric("calls", "counter", ("failure",)), Metric("records", "counter", ("call",))])
    assert error.value.problems == ['metric "calls" is defined twice, differently; rename one of them',
                                    'metric "records" is defined twice, differently; rename one of them']
