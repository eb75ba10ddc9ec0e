"""Which reports are due: a table of situations; and the ledger that keeps each from being built twice."""

import threading
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from logagg.errors import StoreUnavailable
from logagg.record import Chunk, Partial
from logagg.report.build import BuiltReport
from logagg.report.due import (
    GRACE_S,
    MINUTE_US,
    SETTLE_PATIENCE,
    SETTLE_S,
    Days,
    Decision,
    Situation,
    Waiting,
    due,
    key_of,
)
from logagg.report.period import Period
from logagg.report.schedule import CLAIM_S, RETRY_S, Scheduler, Waker, keep_building, read_to_us
from logagg.rollup.window import day_start
from tests.scheduling import ZONE, Kill, Report, World, at


def seen(*days: str, zone: str = ZONE, revision: int = 1) -> Days:
    starts = [day_start(date.fromisoformat(day), zone) for day in days]
    return Days(starts, [revision] * len(starts), starts)


def every_day(first: str, n: int, zone: str = ZONE) -> Days:
    start = date.fromisoformat(first)
    return seen(*((start + timedelta(days=i)).isoformat() for i in range(n)), zone=zone)


def situation(now: str, days: Days, *, read: str | None = None, since: str = "2000-01-01", zone: str = ZONE,
              ledger: dict[str, dict[str, Any]] | None = None) -> Situation:
    return Situation(at(now, zone), ledger or {}, {zone: days}, at(read or now, zone), at(since, zone))


def decide(now: Situation, *periods: str, zone: str = ZONE, waiting: dict[str, Waiting] | None = None) -> Decision:
    return due([Report(periods=periods or ("daily",), timezone=zone)], now, waiting or {})


def told(decision: Decision) -> list[tuple[str, str, bool]]:
    return [(one.period.kind[0] + one.period.first.isoformat(), one.reason, one.mail) for one in decision.due]


BUILT = {"state": "built", "revision": 1, "complete": True}


def built(decision: Decision, **changed: Any) -> dict[str, dict[str, Any]]:
    """The ledger after all that was due has been built."""
    return {key_of(one.report.name, one.period): BUILT | {"digest": one.digest} | changed for one in decision.due}


# --- the decision -----------------------------------------------------------------------------------------------------

def test_a_day_is_due_when_it_has_ended_and_all_is_read() -> None:
    """Not a second before local midnight; then at once, and mailed."""
    days = seen("2026-11-20")
    assert told(decide(situation("2026-11-20T23:59:59", days))) == []
    assert told(decide(situation("2026-11-21T00:00:00", days))) == [("d2026-11-20", "ended", True)]


def test_what_is_not_read_to_its_end_waits_for_the_grace_and_is_built_incomplete() -> None:
    """A source that lags holds the report up for 15 minutes, not longer."""
    days, waiting = seen("2026-11-20"), dict[str, Waiting]()
    for minutes in range(0, 15):
        now = situation(f"2026-11-21T00:{minutes:02d}:30", days, read="2026-11-20T23:58:00")
        decision = decide(now, waiting=waiting)
        waiting = dict(decision.waiting)
        assert not decision.due, minutes
    now = situation("2026-11-21T00:15:00", days, read="2026-11-20T23:58:00")
    assert told(decide(now, waiting=waiting)) == [("d2026-11-20", "incomplete", True)]


def test_an_incomplete_report_is_completed_once_without_a_second_mail() -> None:
    """When the source has been read past the end, the report is built again at once."""
    days = seen("2026-11-20")
    known = {"operations/daily/2026-11-20": BUILT | {"complete": False, "digest": "old", "mailed": {"1": True}}}
    read = situation("2026-11-21T02:00:00", days, ledger=known)
    assert told(decide(read)) == [("d2026-11-20", "completed", False)]
    assert told(decide(situation("2026-11-21T02:00:01", days, ledger=built(decide(read))))) == []


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-11-20", 24)])
def test_days_end_where_the_clocks_say(day: str, hours: int) -> None:
    """On days of 23 and 25 hours the report is due that many hours after their start, and no other."""
    days = seen(day)
    start_us = day_start(date.fromisoformat(day), ZONE) * MINUTE_US
    end_us = start_us + hours * 3_600_000_000
    for now_us, expected in ((end_us - 1, []), (end_us, [day])):
        now = Situation(now_us, {}, {ZONE: days}, now_us, start_us)
        assert [one.period.first.isoformat() for one in decide(now).due] == expected


def test_skipped_and_moved_midnights() -> None:
    """A date that did not happen has no report; a day whose midnight was skipped has one."""
    apia = every_day("2011-12-28", 2, "Pacific/Apia")
    apia = Days([*apia.starts, day_start(date(2011, 12, 31), "Pacific/Apia")], [1, 1, 1], apia.seen)
    found = decide(situation("2012-01-01T00:00:00", apia, zone="Pacific/Apia"), zone="Pacific/Apia")
    assert [one.period.first.day for one in found.due] == [28, 29, 31]
    beirut = every_day("2026-03-27", 4, "Asia/Beirut")
    found = decide(situation("2026-03-30T00:00:00", beirut, zone="Asia/Beirut"), zone="Asia/Beirut")
    assert [one.period.first.day for one in found.due] == [27, 28, 29]


@pytest.mark.parametrize(("now", "expected"), [
    ("2027-01-01T00:00:00", ["d2026-12-31", "m2026-12-01"]),                    # Friday: the week goes on
    ("2027-01-04T00:00:00", ["d2027-01-03", "w2026-12-28"]),                    # a week over the turn of the year
    ("2027-02-01T00:00:00", ["d2027-01-31", "w2027-01-25", "m2027-01-01"]),     # a Monday, and a month's end
    ("2027-03-01T00:00:00", ["d2027-02-28", "w2027-02-22", "m2027-02-01"]),     # 28 days
])
def test_ends_of_weeks_and_months(now: str, expected: list[str]) -> None:
    """Days come before the weeks and months that end with them, and each newest one is mailed."""
    days = every_day("2026-12-01", 100)
    day_before = (at_date(now) - timedelta(days=1)).isoformat()
    before = built(decide(situation(day_before, days), "daily", "weekly", "monthly"))
    before = {key: value | {"digest": "", "claimed_until_us": 1 << 62, "state": "building"}
              for key, value in before.items()}
    found = told(decide(situation(now, days, ledger=before), "daily", "weekly", "monthly"))
    assert found == [(name, "ended", True) for name in expected]


def at_date(text: str) -> date:
    return datetime.fromisoformat(text).date()


def test_missed_periods_are_caught_up_and_only_the_newest_is_mailed() -> None:
    """After ten days off, ten days, the week and the month are built, earliest first; one of each kind is mailed."""
    found = told(decide(situation("2026-12-01T08:00:00", every_day("2026-11-21", 10)), "daily", "weekly", "monthly"))
    assert [name for name, _, _ in found] == sorted((name for name, _, _ in found), key=lambda name: (
        {"d": 1, "w": 7, "m": 30}[name[0]] + date.fromisoformat(name[1:]).toordinal(), "dwm".index(name[0])))
    assert [name for name, _, mail in found if mail] == ["w2026-11-23", "d2026-11-30", "m2026-11-01"]
    assert sum(name[0] == "d" for name, _, _ in found) == 10


def test_a_stray_record_of_1970_makes_no_reports_of_empty_years() -> None:
    """Only periods close behind data, and those since the service began, are due."""
    found = decide(situation("2026-11-21T00:00:00", seen("1970-01-01", "2026-11-19"), since="2026-11-20"))
    firsts = [one.period.first for one in found.due]
    assert firsts[0] == date(1970, 1, 1) and firsts[31] == date(1970, 2, 1)
    assert firsts[32:] == [date(2026, 11, 19), date(2026, 11, 20)]


def test_silence_is_reported_while_the_service_runs() -> None:
    """A quiet year has a report for each of its days, since the service was there to see it."""
    found = decide(situation("2027-11-21T00:00:00", seen("2026-11-19"), since="2026-11-20"))
    assert len(found.due) == 367


def test_times_in_the_future_are_not_due() -> None:
    """A record dated next year makes no report before that."""
    assert told(decide(situation("2026-11-20T12:00:00", seen("2026-11-20", "2027-05-05")))) == []


def test_late_data_rebuilds_when_it_stands_still() -> None:
    """The day, and those compared with it, are due again once nothing has come for SETTLE_S."""
    days = every_day("2026-11-10", 8)
    now = situation("2026-11-18T00:00:00", days)
    ledger = built(decide(now), mailed={"1": True})
    late = Days(days.starts, [1, 1, 2, 1, 1, 1, 1, 1], days.seen)
    waiting: dict[str, Waiting] = {}
    for minute in range(int(SETTLE_S) // 60):
        decision = decide(situation(f"2026-11-18T09:0{minute}:00", late, ledger=ledger), waiting=waiting)
        assert not decision.due
        waiting = dict(decision.waiting)
    found = told(decide(situation("2026-11-18T09:05:00", late, ledger=ledger), waiting=waiting))
    assert found == [("d2026-11-12", "late data", False), ("d2026-11-13", "late data", False)]


def test_what_never_stands_still_is_built_in_the_end_and_ever_more_rarely() -> None:
    """A trickle makes a revision every hour at first, then every two, four … hours, at most one in twelve days."""
    days = seen("2026-11-20")
    ledger = built(decide(situation("2026-11-21T00:00:00", days)))
    waiting: dict[str, Waiting] = {}
    key, start = "operations/daily/2026-11-20", at("2026-11-21T01:00:00")
    when = []
    for minute in range(60 * 16):
        trickle = Days(days.starts, [2 + minute], days.seen)
        now = Situation(start + minute * MINUTE_US, ledger, {ZONE: trickle}, start + minute * MINUTE_US, start)
        decision = decide(now, waiting=waiting)
        waiting = dict(decision.waiting)
        for one in [one for one in decision.due if key_of("operations", one.period) == key]:
            when.append(minute)
            ledger[key] = BUILT | {"digest": one.digest, "revision": len(when) + 1}
    steps = [b - a for a, b in pairwise([0, *when])]
    assert steps[0] == SETTLE_PATIENCE * SETTLE_S / 60
    assert all(b > 1.9 * a for a, b in pairwise(steps)) and len(steps) == 4


def test_zones_that_are_not_folded_yet_are_left_alone() -> None:
    """Nothing is said of days that nobody has put together."""
    now = Situation(at("2026-11-21T00:00:00"), {}, {}, at("2026-11-21T00:00:00"), 0)
    assert told(decide(now)) == []


# --- the ledger -------------------------------------------------------------------------------------------------------

@pytest.fixture
def world() -> World:
    made = World()
    for day in ("2026-11-18", "2026-11-19", "2026-11-20"):
        made.day(day)
    made.read("2026-11-21T00:00:01")
    made.now("2026-11-21T00:00:02")
    return made


KEY = "operations/daily/2026-11-20"


def test_each_period_is_built_once(world: World) -> None:
    """Three days are built at the first run, nothing at the second, whoever asks; only the newest is mailed."""
    assert world.run() == [f"operations/daily/2026-11-{day}" for day in (18, 19, 20)]
    assert world.run() == []
    assert world.mails == {f"{KEY}/r1": 1}
    entry = world.entry(KEY)
    assert entry["state"] == "built" and entry["mailed"] == {"1": True} and entry["path"] == f"{KEY}/r1/index.html"


@pytest.mark.parametrize("step", ["before build", "after build"])
def test_a_killed_process_is_followed(world: World, step: str) -> None:
    """Killed at any step, the period is built by the next process once the claim has ended, and mailed once."""
    world.die = step
    with pytest.raises(Kill):
        world.run()
    world.die = ""
    first = "operations/daily/2026-11-18"
    assert first not in world.run()
    world.clock.step(CLAIM_S + 1)
    assert world.run() == [first]
    assert world.entry(first)["state"] == "built"
    assert {key: world.builds.count(key) for key in world.builds} == {
        first: 1 if step == "before build" else 2, "operations/daily/2026-11-19": 1, KEY: 1}
    assert world.mails == {f"{KEY}/r1": 1}


def test_a_killed_mailing_is_finished(world: World) -> None:
    """Killed between the outbox and the note, the newest report is mailed under the same name again: one mail."""
    world.die = "after mail"
    with pytest.raises(Kill):
        world.run()
    world.die = ""
    world.clock.step(CLAIM_S + 1)
    assert world.run() == [KEY]
    assert world.mails == {f"{KEY}/r1": 1} and world.entry(KEY)["mailed"] == {"1": True}


def test_two_schedulers_do_not_build_twice(world: World) -> None:
    """What another claims between the decision and the act is left to it."""
    other = world.scheduler()
    scheduler = world.scheduler()
    decided = due(scheduler.reports, scheduler.situation(), {})
    assert len(other.run_due()) == 3
    assert all(scheduler._take(one) is None for one in decided.due)
    assert len(world.builds) == 3


def test_a_report_that_fails_does_not_hold_up_the_others(world: World) -> None:
    """It is tried again after a minute, then after two; the others are built meanwhile."""
    first = "operations/daily/2026-11-18"
    world.fail.add(first)
    assert world.run() == ["operations/daily/2026-11-19", KEY]
    assert world.entry(first)["state"] == "due" and "no space left" in world.entry(first)["error"]
    assert world.run() == []
    world.clock.step(RETRY_S + 1)
    assert world.run() == [] and world.entry(first)["attempts"] == 2
    world.fail.clear()
    world.clock.step(RETRY_S + 1)
    assert world.run() == []
    world.clock.step(RETRY_S + 1)
    assert world.run() == [first] and "error" not in world.entry(first)


def test_late_data_is_noted_whether_or_not_it_changes_the_numbers(world: World) -> None:
    """A day that is folded again is built again, once; the second time needs no mail."""
    world.run()
    world.day("2026-11-20")
    scheduler = world.scheduler()
    assert scheduler.run_due() == []
    world.clock.step(SETTLE_S)
    assert [(one.key, one.why, one.mailed) for one in scheduler.run_due()] == [(KEY, "late data", False)]
    world.clock.step(10 * SETTLE_S)
    assert scheduler.run_due() == []


def test_a_lagging_source(world: World) -> None:
    """Built incomplete after the grace, mailed; built again when the source is there, not mailed again."""
    world.run()
    world.day("2026-11-21")
    world.read("2026-11-21T23:00:00")
    world.now("2026-11-22T00:00:00")
    scheduler = world.scheduler()
    minutes = 0
    while not (done := scheduler.run_due()):
        minutes += 1
        world.clock.step(60)
    assert minutes * 60 == GRACE_S and done[0].why == "incomplete" and done[0].mailed
    world.read("2026-11-22T00:20:00")
    world.clock.step(600)
    assert [(one.why, one.mailed) for one in scheduler.run_due()] == [("completed", False)]
    assert world.entry("operations/daily/2026-11-21")["complete"]


def test_what_is_not_folded_counts_as_not_read(world: World) -> None:
    """A chunk whose minutes are dirty holds the watermark at the first of them."""
    minute = day_start(date(2026, 11, 20), ZONE) + 5
    stream = world.store.streams(id="s")[0]
    chunk = Chunk("s", 1, 2, b"raw", partials=(Partial(minute, b"{}"),))
    world.store.commit([(replace(stream, end=2, resume=2), [chunk])])
    assert read_to_us(world.store) == minute * MINUTE_US
    assert not any(key == KEY for key in world.run())


def test_a_store_out_of_reach_ends_the_run(world: World) -> None:
    """StoreUnavailable goes to the caller, who waits; the claim is followed later."""
    def gone(name: str, this: Period) -> BuiltReport:
        raise StoreUnavailable("out of reach")

    with pytest.raises(StoreUnavailable):
        Scheduler(world.store, world.reports, gone, world._mail, world.clock).run_due()
    world.clock.step(CLAIM_S + 1)
    assert len(world.run()) == 3


def test_it_stops_between_two_reports_when_told(world: World) -> None:
    """Losing the lead in the middle of a catch-up ends it; the rest is due for whoever leads next."""
    scheduler = world.scheduler()
    assert len(scheduler.run_due(lambda: len(world.builds) < 1)) == 1
    assert len(world.run()) == 2


def test_the_loop_builds_only_while_it_leads(world: World) -> None:
    """It builds at once when it leads, nothing when it does not, and ends when told."""
    stop, wake = threading.Event(), threading.Event()
    asked: list[int] = []

    def leads() -> bool:
        asked.append(1)
        if len(asked) > 1:
            stop.set()
        return False

    wake.set()
    world.clock.wait = lambda event, timeout_s: bool(wake.set() or event.is_set())  # type: ignore[method-assign]
    keep_building(world.scheduler(), wake, stop, leads, world.clock)
    assert not world.builds and len(asked) == 2


def test_the_waker_calls_at_midnight_and_every_minute() -> None:
    """APScheduler holds one job a minute, and one for the midnight of each zone."""
    with Waker([ZONE, "Asia/Kolkata", ZONE], lambda: None) as waker:
        triggers = [str(job.trigger) for job in waker._scheduler.get_jobs()]
        zones = {str(job.trigger.timezone) for job in waker._scheduler.get_jobs() if "hour" in str(job.trigger)}
    assert len(triggers) == 3 and zones == {ZONE, "Asia/Kolkata"}
