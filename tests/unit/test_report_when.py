"""What happened when: changes beyond chance, starts and stops, what was expected, incidents."""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import pytest

from logagg.alert.rule import Rule
from logagg.report.changes import changes
from logagg.report.expected import Expectation, expectations, expected
from logagg.report.incidents import incidents
from logagg.report.minutes import moments
from logagg.report.period import Period, days, period, utc_text
from logagg.report.timeline import timeline
from logagg.rollup.metric import Metric
from logagg.store.memory import MemoryStore
from tests.report_days import PACK, ZONE, counter, day
from tests.rolled import Rolled

DAY = day("2026-11-20")
FIRST = DAY.from_us // 60_000_000


def row(metric: str, now: int, before: int, kind: str = "counter", **numbers: Any) -> dict[str, Any]:
    return {"metric": metric, "kind": kind, "unit": "1", "labels": {}, "count": now, "sum": now, "value": now,
            "previous": {"count": before, "sum": before, "value": before}, **numbers}


def ratio(metric: str, now: tuple[int, int], before: tuple[int, int]) -> dict[str, Any]:
    of = [{"count": whole, "sum": part, "value": round(part / whole, 6)} for part, whole in (now, before)]
    return {"metric": metric, "kind": "ratio", "unit": "1", "labels": {}, **of[0], "previous": of[1]}


def times(metric: str, now: tuple[int, int, int], before: tuple[int, int, int]) -> dict[str, Any]:
    of = [{"count": n, "sum": n, "value": None, "median": median, "p95": p95} for n, median, p95 in (now, before)]
    return {"metric": metric, "kind": "distribution", "unit": "ms", "labels": {}, **of[0], "previous": of[1]}


def names(rows: Iterable[dict[str, Any]]) -> list[str]:
    return [found["metric"] for found in changes(PACK.metrics, list(rows), ["das"], PACK.sections)]


def test_only_what_is_beyond_chance_changed() -> None:
    """Chance, small changes and what has no data before are no news."""
    assert names([row("vip_starts", 2, 1), row("calls", 10_500, 10_000), row("mpp_asr_failures", 9, 3),
                  ratio("payment_failure_rate", (5, 105), (4, 104)), times("das_time", (30, 100, 200), (30, 95, 190)),
                  {**row("calls", 5, 0), "previous": {"count": 0, "sum": 0, "value": None}}]) == []
    assert names([row("mpp_asr_failures", 30, 3)]) == ["mpp_asr_failures"]
    assert names([times("das_time", (3000, 100, 300), (3000, 100, 200))]) == ["das_time"]


def test_what_comes_each_week_is_no_news() -> None:
    """A change counts only if it is one from the same weekday a week before too, and in the same direction."""
    def told(now: int, before: int, week_before: int | None) -> list[str]:
        numbers = {"count": week_before or 0, "sum": week_before or 0, "value": week_before}
        one = row("calls", now, before, week_before=numbers)
        return [found["metric"] for found in changes(PACK.metrics, [one], ["das"], PACK.sections, weekly=True)]

    assert told(3000, 7000, 3050) == [] == told(3000, 7000, 2000)
    assert told(3000, 7000, 4000) == told(3000, 7000, None) == ["calls"]
    assert names([row("calls", 3000, 7000, week_before={"value": 3050})]) == ["calls"]


def test_one_change_for_each_subject() -> None:
    """What got worse comes first; a backend, a section and all traffic are told once; counts inside rates are not."""
    found = names([row("calls", 900, 300), row("vip_starts", 99, 9), row("das_failures", 400, 2),
                   ratio("das_failure_rate", (400, 1000), (2, 1000)),
                   times("das_time", (600, 100, 5000), (998, 100, 200)),
                   row("payments_failed", 90, 1), ratio("payment_failure_rate", (90, 190), (1, 101)),
                   row("mpp_asr_failures", 500, 1)])
    assert found == ["mpp_asr_failures", "das_failure_rate", "payment_failure_rate"]
    assert names([row("calls", 900, 300), row("vip_starts", 99, 9)]) == ["calls"]


def rolled(*moments_of: tuple[str, int]) -> Rolled:
    found = Rolled(ZONE)
    for metric, minute in moments_of:
        found.count(metric, FIRST + minute, host="vip01")
    return found


def test_starts_and_stops_to_the_minute() -> None:
    """Each start and stop has its minute, host and count; a stop comes before the start of the same minute; nothing
    outside of the day is told."""
    store = rolled(("vip_starts", 816), ("vip_stops", 816), ("vip_stops", 815), ("vip_stops", 815),
                   ("vip_stops", -1), ("vip_starts", 1440), ("vip_starts", 0)).store()
    told = [(one["from"][11:16], one["what"], one["count"], one["labels"])
            for one in timeline(store, DAY, PACK.metrics)]
    host = {"host": "vip01"}
    assert told == [("05:00", "start", 1, host), ("18:35", "stop", 2, host), ("18:36", "stop", 1, host),
                    ("18:36", "start", 1, host)]


def test_starts_whose_minutes_have_expired() -> None:
    """Where minutes are no longer kept, the hour is told as what it is."""
    store = rolled(("vip_starts", 816), ("vip_starts", 30)).store()
    store.expire(buckets_before={"minute": FIRST + 800})
    found = timeline(store, DAY, PACK.metrics)
    assert [(one["from"][11:16], one["to"][11:16]) for one in found] == [("05:00", "06:00"), ("18:36", "18:37")]
    assert [(m.start - FIRST, m.length) for m in moments(store, "vip_starts", FIRST, FIRST + 1440)] == [
        (0, 60), (816, 1)]


def told(rule: Rule, seen: Iterable[int], this: Period = DAY, *, complete: bool = True) -> list[dict[str, Any]]:
    """The days of one rule about payments, which came at these minutes."""
    store = rolled(*(("payments_ok", minute) for minute in seen)).store()
    [found] = expected(store, this, expectations([rule], PACK.metrics),
                       seen={one.from_us // 60_000_000 for one in days(this)},
                       until_us=this.to_us if complete else this.to_us - 1)
    of_days: list[dict[str, Any]] = found["days"]
    return of_days


DUE = Rule("load", "absent", ("payments_ok",), due=390)


@pytest.mark.parametrize(("seen", "complete", "state", "at"), [
    ([389, 600], True, "ok", 389), ([390], True, "late", 390), ([-1, 1440], True, "missing", None),
    ([], False, "unknown", None), ([700], False, "late", 700), ([0], False, "ok", 0),
])
def test_what_is_due(seen: list[int], complete: bool, state: str, at: int | None) -> None:
    """What comes before its time is in time, after it late, not at all missing; while the day is not wholly read,
    what has not been seen is unknown."""
    [found] = told(DUE, seen, complete=complete)
    assert (found["state"], found["at"]) == (state, None if at is None else utc_text((FIRST + at) * 60_000_000))


PAUSE = Rule("calls_placed", "absent", ("payments_ok",), within=60, between=(600, 840))


@pytest.mark.parametrize(("seen", "pauses"), [
    (range(0, 1440, 50), []), ([599, 659, 719, 779, 839], []), ([], [(600, 840)]),
    ([600, 661, 840], [(662, 840)]), ([600, 662], [(601, 662), (663, 840)]), ([660, 720, 780], []),
])
def test_pauses_in_working_hours(seen: Iterable[int], pauses: list[tuple[int, int]]) -> None:
    """A pause is told where nothing came for longer than allowed, within the hours, their edges included."""
    [found] = told(PAUSE, seen)
    assert [(at(p["from"]), at(p["to"])) for p in found["pauses"]] == pauses
    assert found["state"] == ("pauses" if pauses else "ok")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 60 - FIRST


def test_hours_over_midnight_and_days_of_the_week() -> None:
    """Hours over midnight count with the day on which they lie; days on which nothing is expected are left out."""
    night = Rule("night", "absent", ("payments_ok",), within=60, between=(1350, 1530), days=(4,))
    week = period("weekly", date(2026, 11, 20), ZONE)
    found = told(night, [], week)
    assert [(one["date"], [p["minutes"] for p in one["pauses"]]) for one in found] == [
        ("2026-11-20", [90]), ("2026-11-21", [90])]
    assert [one["date"] for one in told(Rule("x", "absent", ("payments_ok",), due=1, days=(0, 6)), [], week)] == [
        "2026-11-16", "2026-11-22"]


def test_days_that_are_known_wholly() -> None:
    """In a week that is not over, what did not come is missing on days read wholly and unknown on the others, those
    without any record among them."""
    week = period("weekly", date(2026, 11, 20), ZONE)
    known, unseen, half, *_ = days(week)
    [found] = expected(rolled().store(), week, expectations([DUE], PACK.metrics), until_us=half.to_us - 1,
                       seen={one.from_us // 60_000_000 for one in days(week) if one != unseen})
    assert [one["state"] for one in found["days"]] == ["missing"] + 6 * ["unknown"]
    assert known.date == date(2026, 11, 16)


def test_what_counts_a_rule() -> None:
    """A rule's own counter is read where no metric counts just its events; its place is beside a metric that does."""
    rules = [DUE, Rule("some", "absent", ("payments_ok",), where=(("code", True, "A"),), due=1),
             Rule("other", "absent", ("unknown",), due=1), Rule("both", "absent", ("a", "b"), due=1),
             Rule("no", "event", ("payments_ok",))]
    metrics = [*PACK.metrics, Metric("all_of_both", "counter", ("b", "a")), counter("a")]
    assert expectations(rules, metrics) == [
        Expectation(rules[0], "payments_ok", "payments_ok"), Expectation(rules[1], "rule:some:part", "payments_ok"),
        Expectation(rules[2], "rule:other:part", ""), Expectation(rules[3], "all_of_both", "all_of_both")]


def test_incidents_of_the_period() -> None:
    """Those that overlap it, as they stood at its end; what became of them later changes nothing."""
    made = Rolled(ZONE)
    start, end = utc_text(DAY.from_us), utc_text(DAY.to_us)
    made.incident("before", "2026-11-18T00:00:00Z", start)
    made.incident("long", "2026-11-10T00:00:00Z", "2026-11-20T12:00:00Z")
    made.incident("still", "2026-11-20T06:30:00.123Z", "2026-11-25T00:00:00Z", value=99)
    made.incident("open", "2026-11-20T06:31:00Z", None)
    made.incident("after", end, None)
    store = made.store()
    store.put_document("incident", "20261120T080000Z:pending:0", 0, {"rule": "pending", "fired_at": None})
    found = incidents(store, DAY)
    assert [(one["rule"], one["state"], one["resolved_at"], one["value"]) for one in found] == [
        ("long", "resolved", "2026-11-20T12:00:00Z", 7), ("still", "firing", None, None),
        ("open", "firing", None, None)]


@pytest.mark.parametrize("run", range(20))
def test_pauses_are_told_to_the_minute_whatever_is_read(run: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading minutes only beside empty quarters of an hour tells the same pauses as reading all minutes, and reads
    hardly any where something came every minute."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    minutes: set[int] = set(range(1440)) if run == 0 else set()
    while run and len(minutes) < rng.choice([3, 60, 700]):
        first = rng.randrange(-30, 1440)
        minutes |= set(range(first, first + rng.choice([1, 1, 20, 200])))
    rule = Rule("silent", "absent", ("payments_ok",), within=rng.choice([30, 31, 44, 90]),
                between=rng.choice([(480, 1200), (487, 1193), (1320, 1800), None]))
    found = told(rule, minutes)
    read = Counter[str]()
    buckets = MemoryStore.buckets

    def counted(self: MemoryStore, step: str, *place: Any, **options: Any) -> Any:
        for one in buckets(self, step, *place, **options):
            read[step] += 1
            yield one

    monkeypatch.setattr(MemoryStore, "buckets", counted)
    assert told(rule, minutes) == found
    stretches = 2 if (rule.between or (0, 0))[1] > 1440 else 1      # hours over midnight are two in a day
    assert read["minute"] <= stretches * 2 * 15 if run == 0 else True
    monkeypatch.setattr("logagg.report.expected.PAUSE_MIN", 1 << 30)
    assert told(rule, minutes) == found
