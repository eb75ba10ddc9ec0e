"""Counts by the minute -> readings, due times and working hours, on ordinary days and on those of 23 and 25 hours."""

import random
from datetime import date

import pytest

from logagg.alert.rule import Rule
from logagg.alert.window import (
    Counts,
    absence_readings,
    due_times,
    exceeds,
    local_minute,
    merged,
    threshold_readings,
    working_hours,
)
from tests.alerts import ZONE, minute, rule

DUE = rule(name="due", type="absent", event="x", due="06:30")
SILENT = rule(name="silent", type="absent", event="x", within="30m", between="08:00-20:00")


def test_a_window_against_brute_force() -> None:
    """Readings say what counting each minute's window anew says, and nothing changes between two of them."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(200):
        window, above = rng.randrange(1, 8), rng.randrange(0, 4)
        parts = {rng.randrange(40): rng.randrange(1, 4) for _ in range(rng.randrange(10))}
        one = rule(name="r", type="count", event="x", above=above, window=f"{window}m")
        said = {reading.minute: reading.holds for reading in threshold_readings(one, Counts(parts), 0, 60, 60, 60)}
        now = False
        for m in range(60):
            now = said.get(m, now)
            assert now == (sum(n for at, n in parts.items() if m - window < at <= m) > above)


def test_minutes_that_are_not_complete_say_only_what_cannot_be_undone() -> None:
    """Before the data is complete a count may fire, not resolve; a ratio says nothing at all."""
    counts = Counts({10: 5}, {10: 5})
    count = rule(name="r", type="count", event="x", above=3, window="2m")
    ratio = rule(name="r", type="ratio", part="x", whole="x", above=0.5, window="2m")

    def said(of: Rule, complete: int) -> list[tuple[int, bool]]:
        return [(one.at, one.holds) for one in threshold_readings(of, counts, 10, 20, complete, 0)]

    assert said(count, 10) == [(10, True)]
    assert said(count, 13) == [(10, True), (13, False)]
    assert said(ratio, 10) == []
    assert said(ratio, 11) == [(11, True)]


def test_old_minutes_wait_until_they_are_complete() -> None:
    """Further back than `early_from` nothing is said early."""
    count = rule(name="r", type="event", event="x")
    assert list(threshold_readings(count, Counts({10: 1}), 5, 20, 0, 11)) == []


@pytest.mark.parametrize(("above", "part", "whole", "more"), [
    (0.29, 29, 100, False), (0.29, 30, 100, True), (0.1, 3, 30, False), (0.07, 7, 100, False), (0.1, 0, 0, False),
])
def test_more_than_a_share_is_exact(above: float, part: int, whole: int, more: bool) -> None:
    """29 of 100 are not more than 0.29, whatever floats make of it."""
    assert exceeds(rule(name="r", type="ratio", part="x", whole="y", above=above), part, whole) is more


def test_too_few_do_not_begin_but_go_on() -> None:
    """Below min_count a ratio does not fire; one that fires goes on while the share is too high."""
    one = rule(name="r", type="ratio", part="x", whole="y", above=0.1, window="1m", min_count=20)
    [first, *_] = threshold_readings(one, Counts({5: 3}, {5: 10}), 5, 6, 6, 0)
    assert (first.holds, first.says(True)) == (False, True)


@pytest.mark.parametrize(("day", "due"), [
    ("2026-10-31", "2026-10-31T10:30:00"),      # EDT
    ("2026-11-01", "2026-11-01T11:30:00"),      # 25 hours: 06:30 is EST
    ("2027-03-13", "2027-03-13T11:30:00"),      # EST
    ("2027-03-14", "2027-03-14T10:30:00"),      # 23 hours: 06:30 is EDT
])
def test_due_times_are_local(day: str, due: str) -> None:
    """06:30 is 06:30 by the clock on the wall, on days of 23 and 25 hours too."""
    midnight = local_minute(date.fromisoformat(day), 0, ZONE)
    assert list(due_times(DUE, midnight, midnight + 1300)) == [(midnight, minute(due))]


def test_a_time_that_is_skipped_or_repeated() -> None:
    """A due time in a skipped hour is as much after the change; in a repeated hour it is the first of the two."""
    assert local_minute(date(2027, 3, 14), 150, ZONE) == minute("2027-03-14T07:30:00")     # 03:30 EDT
    assert local_minute(date(2026, 11, 1), 90, ZONE) == minute("2026-11-01T05:30:00")      # 01:30 EDT


def test_working_hours_over_midnight_and_on_some_days() -> None:
    """Hours reach over midnight; days are those on which they begin; hours that touch are one."""
    night = rule(name="r", type="absent", event="x", within="30m", between="22:00-06:00", days=["fri"])
    start, end = minute("2026-11-19T00:00:00"), minute("2026-11-26T00:00:00")
    assert list(working_hours(night, start, end)) == [(minute("2026-11-21T03:00:00"), minute("2026-11-21T11:00:00"))]
    always = rule(name="r", type="absent", event="x", within="30m")
    assert len(list(working_hours(always, start, end))) == 1


def test_silence_begins_with_the_hours() -> None:
    """The night before does not count: it fires 30 minutes after opening, and only once for one silence."""
    opens = minute("2026-11-20T13:00:00")
    readings = list(absence_readings(SILENT, Counts({}), opens - 600, opens + 600, opens + 600, 0))
    assert [(one.at, one.holds, one.since) for one in readings] == [(opens + 30, True, opens)]


def test_silence_after_an_event_and_its_end() -> None:
    """It fires when 30 whole minutes have passed since the event's own, and what comes ends it."""
    opens = minute("2026-11-20T13:00:00")
    counts = Counts({opens + 10: 1, opens + 41: 1, opens + 90: 2})
    readings = list(absence_readings(SILENT, counts, opens, opens + 100, opens + 100, 0))
    assert [(one.at - opens, one.holds) for one in readings] == [
        (10, False), (41, True), (41, False), (72, True), (90, False)]


def test_nothing_is_missed_before_counting_began_nor_where_it_was_not_read() -> None:
    """A rule cannot tell what it did not see."""
    midnight = minute("2026-11-20T05:00:00")
    due = midnight + 390
    assert list(absence_readings(DUE, Counts({}), midnight, due + 10, due + 10, midnight + 1)) == []
    assert list(absence_readings(DUE, Counts({}), midnight, due + 10, due - 1, 0)) == []
    assert [one.at for one in absence_readings(DUE, Counts({}), midnight, due + 10, due, 0)] == [due]


def test_what_came_since_midnight_is_not_missing() -> None:
    """The minute of midnight counts, the one before and that of the due time do not."""
    midnight = minute("2026-11-20T05:00:00")
    due = midnight + 390
    for at, missing in ((midnight - 1, True), (midnight, False), (due - 1, False), (due, True)):
        readings = absence_readings(DUE, Counts({at: 1}), midnight, due + 1, due + 1, 0)
        assert any(one.holds for one in readings) is missing


def test_merged() -> None:
    """Ranges that touch are one, empty ones none."""
    assert merged([(5, 7), (1, 3), (3, 4), (9, 9), (6, 8)]) == [(1, 4), (5, 8)]
