"""The engine over a store, its clock stepped: what fires when, what people are told, and what it cannot tell."""

from collections.abc import Mapping
from typing import Any

import pytest

from logagg.alert.engine import Engine
from logagg.alert.incident import Incidents
from logagg.errors import ConfigError
from logagg.rollup.export import INCIDENT_COLUMNS, export_incidents, export_rollups
from logagg.rollup.metric import MetricSet
from logagg.store.memory import MemoryStore
from tests.alerts import World, events, rule, utc

VIP = rule(name="vip_stopped", type="event", event="vip_stop", by=["host"], window="5m")
MEMORY = rule(name="memory_low", type="count", event="low_memory", by=["host"], above=2, window="10m")
DAS = rule(name="das_failing", type="ratio", part="das_failure", whole=["das_failure", "das_call"], above=0.1,
           window="5m", min_count=20)
DUE = rule(name="ftp_missing", type="absent", event="ftp_done", due="06:30")
SILENT = rule(name="no_calls", type="absent", event="call", within="30m", between="08:00-20:00")


def test_an_event_fires_at_once_and_resolves_when_quiet() -> None:
    """It fires with the event's own time before the source is observed, and resolves only over observed minutes."""
    world = World([VIP], now="2026-11-20T12:00:40")
    world.write(events("vip_stop", "2026-11-20T12:00:30.250", pid=7))
    [fired] = world.evaluate()
    assert (fired["id"][:16], fired["state"], fired["fired_at"]) == (
        "20261120T120000Z", "firing", "2026-11-20T12:00:30.250Z")
    assert fired["labels"] == {"host": "h1"} and fired["first"]["fields"] == {"pid": 7}
    assert world.told.said == [(fired["id"], "firing")]
    world.at("2026-11-20T12:30:00")
    assert world.evaluate() == []               # not observed: it cannot be told whether it is over
    world.read_to("2026-11-20T12:05:59")
    world.evaluate()
    assert world.one()["state"] == "firing"
    world.read_to("2026-11-20T12:06:00")
    [resolved] = world.evaluate()
    assert (resolved["state"], resolved["resolved_at"]) == ("resolved", "2026-11-20T12:06:00Z")
    assert world.told.said[1:] == [(fired["id"], "resolved")]
    assert world.evaluate() == []


def test_events_within_the_window_are_one_incident() -> None:
    """More of the same goes on with the incident; its last record is the last one."""
    world = World([VIP], now="2026-11-20T12:10:00")
    world.write(events("vip_stop", "2026-11-20T12:00:30", "2026-11-20T12:04:10", pid=1))
    world.read_to("2026-11-20T12:10:00")
    world.evaluate()
    assert world.one()["resolved_at"] == "2026-11-20T12:10:00Z"
    assert world.one()["event_to"] == "2026-11-20T12:04:10Z"
    assert world.told.said == [(world.one()["id"], "firing"), (world.one()["id"], "resolved")]


def test_a_count_fires_with_the_event_that_is_too_many() -> None:
    """The third of more than two within ten minutes, however far apart; another host is watched by itself."""
    world = World([MEMORY], sources=[("m", "h1"), ("m", "h2")], now="2026-11-20T12:09:50")
    world.write(events("low_memory", "2026-11-20T12:00:05", "2026-11-20T12:07:00"), app="m")
    world.write(events("low_memory", "2026-11-20T12:05:00", "2026-11-20T12:08:00"), app="m", host="h2")
    assert world.evaluate() == []
    world.write(events("low_memory", "2026-11-20T12:09:40", "2026-11-20T12:09:45"), app="m")
    [fired] = world.evaluate()
    assert (fired["fired_at"], fired["labels"]) == ("2026-11-20T12:09:40Z", {"host": "h1"})
    assert (fired["value"], fired["threshold"], fired["event_from"]) == (4, 2, "2026-11-20T12:00:05Z")


def test_a_ratio_waits_for_complete_minutes() -> None:
    """A failure that arrives before the calls of the same minute does not fire: only complete minutes count."""
    world = World([DAS], now="2026-11-20T12:01:30")
    world.write(events("das_failure", *[f"2026-11-20T12:00:{s:02d}" for s in range(20)]))
    assert world.evaluate() == []
    world.write(events("das_call", *[f"2026-11-20T12:00:{s % 60:02d}" for s in range(180)]))
    world.read_to("2026-11-20T12:01:00")
    assert world.evaluate() == []               # 20 of 200 are not more than 10 %
    world.write(events("das_failure", *["2026-11-20T12:01:10"] * 5))
    world.read_to("2026-11-20T12:02:00")
    world.at("2026-11-20T12:02:01")
    [fired] = world.evaluate()
    assert (fired["fired_at"], fired["value"]) == ("2026-11-20T12:02:00Z", round(25 / 205, 6))
    assert fired["first"]["ts"] == str(utc("2026-11-20T12:00:00"))


def test_a_held_condition() -> None:
    """With `for` it is pending first, nobody is told; it fires when it has held, or ends without firing."""
    held = rule(name="memory_low", type="count", event="low_memory", above=0, window="3m", for_="5m")
    world = World([held], now="2026-11-20T12:01:00")
    world.write(events("low_memory", "2026-11-20T12:00:30"))
    world.read_to("2026-11-20T12:01:00")
    [pending] = world.evaluate()
    assert (pending["state"], pending["pending_at"], pending["fired_at"]) == ("pending", "2026-11-20T12:01:00Z", None)
    world.read_to("2026-11-20T12:10:00")
    [ended] = world.evaluate()
    assert (ended["state"], ended["fired_at"], world.told.said) == ("resolved", None, [])
    world.write(events("low_memory", *[f"2026-11-20T12:{m}:30" for m in range(20, 30)]))
    world.read_to("2026-11-20T12:40:00")
    world.at("2026-11-20T12:40:00")
    [fired] = world.evaluate()
    assert (fired["pending_at"], fired["fired_at"]) == ("2026-11-20T12:21:00Z", "2026-11-20T12:26:00Z")


def test_what_is_due_and_does_not_come() -> None:
    """It fires at the due time, is one incident over the days, and resolves with what came at last."""
    world = World([DUE], sources=[("dialer", "d1")], now="2026-11-19T10:00:00")
    world.write(events("ftp_done", "2026-11-18T11:00:00", "2026-11-19T11:00:00"), app="dialer", host="d1")
    world.read_to("2026-11-20T11:29:59", app="dialer", host="d1")
    assert world.evaluate() == []
    world.at("2026-11-20T11:30:00")
    world.read_to("2026-11-20T11:30:00", app="dialer", host="d1")
    [fired] = world.evaluate()
    assert (fired["fired_at"], fired["reason"]) == ("2026-11-20T11:30:00Z", "no ftp_done by 06:30 (America/New_York)")
    world.read_to("2026-11-22T12:00:00", app="dialer", host="d1")
    assert world.evaluate() == []
    world.at("2026-11-22T12:04:31")
    world.write(events("ftp_done", "2026-11-22T12:04:30"), app="dialer", host="d1")
    [resolved] = world.evaluate()
    assert resolved["resolved_at"] == "2026-11-22T12:04:30Z"
    assert resolved["last"]["ts"] == str(utc("2026-11-22T12:04:30"))
    assert len(world.incidents()) == 1


def test_unread_is_unknown_not_missing() -> None:
    """While the source is not read nothing is missing, and the rule says that it cannot tell, and why."""
    world = World([DUE, SILENT], sources=[("dialer", "d1")], now="2026-11-20T18:00:00")
    world.write(events("ftp_done", "2026-11-20T04:59:00"), app="dialer", host="d1")
    world.write(events("call", "2026-11-20T13:00:00"), app="dialer", host="d1")
    world.read_to("2026-11-20T11:00:00", app="dialer", host="d1")
    assert world.evaluate() == []
    document = world.store.document("rule", "ftp_missing")
    assert document is not None
    assert document[1]["unknown"] == "not read for more than 2 min: dialer@d1"
    world.read_to("2026-11-20T18:00:00", app="dialer", host="d1")
    assert [one["rule"] for one in world.evaluate()] == ["ftp_missing", "no_calls"]
    document = world.store.document("rule", "ftp_missing")
    assert document is not None and document[1]["unknown"] is None


def test_one_host_that_is_down_does_not_blind_the_others() -> None:
    """A rule by host waits for that host's reading only; one over all hosts waits for all."""
    by_host = rule(name="by_host", type="ratio", part="das_failure", whole="das_failure", above=0.5, by=["host"])
    over_all = rule(name="over_all", type="ratio", part="das_failure", whole="das_failure", above=0.5)
    world = World([by_host, over_all], sources=[("xivr", "h1"), ("xivr", "h2")], now="2026-11-20T12:10:00")
    world.write(events("das_failure", "2026-11-20T12:00:00"))
    world.write(events("das_failure", "2026-11-20T12:00:00"), host="h2")
    world.read_to("2026-11-20T12:10:00")
    world.read_to("2026-11-20T11:00:00", host="h2")
    assert [(one["rule"], one["labels"]) for one in world.evaluate()] == [("by_host", {"host": "h1"})]
    world.read_to("2026-11-20T12:10:00", host="h2")
    assert [(one["rule"], one["labels"]) for one in world.evaluate()] == [("by_host", {"host": "h2"}), ("over_all", {})]


def test_a_source_that_is_gone_for_good_holds_up_nothing() -> None:
    """One that is not configured and was not read for a week longer than the others does not count any more."""
    world = World([DAS], sources=[("xivr", "h1")], now="2026-11-20T12:10:00")
    world.read_to("2026-11-10T00:00:00", host="old")
    world.write(events("das_failure", *["2026-11-20T12:00:00"] * 20))
    world.read_to("2026-11-20T12:10:00")
    assert len(world.evaluate()) == 1


def test_history_is_late_and_nobody_is_told() -> None:
    """A first reading of a year of logs stores its incidents as late, and sends nothing."""
    world = World([VIP], now="2026-11-20T12:00:00")
    for month in range(1, 12):
        world.write(events("vip_stop", f"2026-{month:02d}-03T10:00:00"))
    world.read_to("2026-11-20T12:00:00")
    world.evaluate()
    assert len(world.incidents()) == 11
    assert all(one["late"] and one["state"] == "resolved" for one in world.incidents())
    assert world.told.said == []


def test_late_data_is_found_wherever_it_belongs() -> None:
    """An event of two months ago that arrives now becomes an incident then; others stay as they were."""
    world = World([VIP], now="2026-11-20T12:00:10")
    world.write(events("vip_stop", "2026-09-05T10:00:00", "2026-11-20T12:00:00"))
    world.read_to("2026-11-20T12:00:10")
    world.evaluate()
    before = world.incidents()
    world.write(events("vip_stop", "2026-09-20T10:00:00"))
    [late] = world.evaluate()
    assert (late["fired_at"], late["late"]) == ("2026-09-20T10:00:00Z", True)
    assert [one for one in world.incidents() if one["id"] != late["id"]] == before


def test_an_earlier_event_that_arrives_later_joins() -> None:
    """Where another host's record shows that it began in an earlier minute, the incident moves there, and people are
    not told again."""
    world = World([rule(name="vip", type="event", event="vip_stop")], sources=[("xivr", "h1"), ("xivr", "h2")],
                  now="2026-11-20T12:01:10")
    world.write(events("vip_stop", "2026-11-20T12:01:00"))
    [first] = world.evaluate()
    world.write(events("vip_stop", "2026-11-20T12:00:55"), host="h2")
    world.evaluate()
    assert world.one()["fired_at"] == "2026-11-20T12:00:55Z"
    old = world.store.document("incident", first["id"])
    assert old is not None
    assert (old[1]["state"], old[1]["merged_into"], old[1]["fired_at"]) == ("merged", world.one()["id"], None)
    assert world.told.said == [(first["id"], "firing")]
    assert [row["id"] for row in export_incidents(world.store)] == [world.one()["id"]]


def test_where_takes_only_what_it_says() -> None:
    """A nightly restart is no incident; a stop for another reason is."""
    one = rule(name="vip", type="event", event="vip_stop", where=["reason!=nightly_restart"], by=["host"])
    world = World([one], now="2026-11-20T12:00:40")
    world.write(events("vip_stop", "2026-11-20T12:00:00", reason="nightly_restart"))
    assert world.evaluate() == []
    world.write(events("vip_stop", "2026-11-20T12:00:30", reason="heap_exhausted"))
    [fired] = world.evaluate()
    assert fired["first"]["fields"] == {"reason": "heap_exhausted"} and fired["labels"] == {"host": "h1"}


HOSTILE = ["", "a:b", "../../x", "\u202egnp.exe", "\x1b[31mred", "<script>alert(1)</script>", "=1+1|'x'!A0", "x" * 300,
           "line\r\nBcc: all@example.com", "{\"a\":1}", "\u0000", "\udc80"]


def test_hostile_label_values() -> None:
    """Labels may hold anything: each is an incident of its own, under a key of plain characters, in one line."""
    world = World([rule(name="vip", type="event", event="vip_stop", by=["code"])], now="2026-11-20T12:00:40")
    world.write([(utc("2026-11-20T12:00:30"), "vip_stop", {"code": code}) for code in HOSTILE])
    world.read_to("2026-11-20T12:20:00")
    world.evaluate()
    found = world.incidents()
    assert len(found) == len(HOSTILE)
    assert all(one["id"].isascii() and one["id"].isprintable() and "/" not in one["id"] for one in found)
    assert all(one["summary"].isprintable() for one in found)
    assert all(one["first"] is not None and one["state"] == "resolved" for one in found)
    assert world.evaluate() == []


def test_a_label_set_for_each_call_is_a_mistake_that_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule `by` something that never repeats does not flood the store."""
    monkeypatch.setattr("logagg.alert.engine.OPEN_MAX", 5)
    world = World([rule(name="vip", type="event", event="vip_stop", by=["call"])], now="2026-11-20T12:00:40")
    world.write([(utc("2026-11-20T12:00:30"), "vip_stop", {"call": str(i)}) for i in range(50)])
    world.evaluate()
    assert len(world.incidents()) == 5


def test_a_rule_that_is_gone_ends_its_incidents() -> None:
    """What a removed rule left firing is resolved, with that reason."""
    world = World([VIP], now="2026-11-20T12:00:40")
    world.write(events("vip_stop", "2026-11-20T12:00:30"))
    world.evaluate()
    world.rules = [MEMORY]
    world.metrics = World([VIP, MEMORY]).metrics
    world.new_engine().evaluate()
    assert (world.one()["state"], world.one()["reason"]) == (
        "resolved", "the rule was removed or watches something else now")


def test_a_new_rule_says_nothing_about_the_time_before_it() -> None:
    """What a new rule waits for was not counted before it: that it is not there does not say that it did not come."""
    world = World([VIP], sources=[("dialer", "d1")], now="2026-11-20T11:00:00")
    world.write(events("vip_stop", "2026-11-16T12:00:00"), app="dialer", host="d1")
    world.read_to("2026-11-20T11:00:00", app="dialer", host="d1")
    world.evaluate()
    world.clock.step(60)
    world.evaluate()
    world.rules = [VIP, DUE]
    world.metrics = World(world.rules).metrics
    world.new_engine()
    world.read_to("2026-11-20T12:00:00", app="dialer", host="d1")
    world.at("2026-11-20T12:00:00")
    world.evaluate()
    assert [one["rule"] for one in world.incidents()] == ["vip_stopped"]
    world.read_to("2026-11-21T12:00:00", app="dialer", host="d1")
    world.at("2026-11-21T12:00:00")
    assert [one["fired_at"] for one in world.evaluate()] == ["2026-11-21T11:30:00Z"]


def test_what_was_not_told_is_told_after_a_restart() -> None:
    """A crash between writing an incident and telling of it loses nothing, and tells nothing twice."""
    world = World([VIP], now="2026-11-20T12:00:40")
    notify = world.told.notify

    def crash(incident: Mapping[str, Any]) -> None:
        raise SystemExit

    world.told.notify = crash  # type: ignore[method-assign]
    world.write(events("vip_stop", "2026-11-20T12:00:30"))
    with pytest.raises(SystemExit):
        world.evaluate()
    world.told.notify = notify  # type: ignore[method-assign]
    world.new_engine().evaluate()
    world.new_engine().evaluate()
    assert world.told.said == [(world.one()["id"], "firing")]


def test_a_channel_that_is_gone_does_not_stop_the_engine() -> None:
    """News that cannot be sent are logged, and not tried for ever."""
    world = World([VIP], now="2026-11-20T12:00:40")

    def refuse(incident: Mapping[str, Any]) -> None:
        raise KeyError("ops")

    world.told.notify = refuse  # type: ignore[method-assign]
    world.write(events("vip_stop", "2026-11-20T12:00:30"))
    world.evaluate()
    assert world.one()["state"] == "firing"


def test_nothing_is_read_where_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call without news asks the store a handful of small questions and writes nothing."""
    world = World([VIP, DAS, SILENT], now="2026-11-20T12:00:40")
    world.write(events("vip_stop", "2026-11-20T12:00:30"))
    world.read_to("2026-11-20T12:00:40")
    world.evaluate()
    world.evaluate()
    asked: list[str] = []

    class Counted:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(world.store, name)

    monkeypatch.setattr(world.engine._changes, "_store", Counted())
    monkeypatch.setattr(world.engine, "_store", Counted())
    assert world.evaluate() == []
    assert sorted(asked) == ["buckets", "documents", "unfolded"]


def test_counters_must_be_collected() -> None:
    """An engine whose metrics lack its rules' counters would never fire: it refuses."""
    world = World([VIP])
    with pytest.raises(ConfigError, match="rule:vip_stopped:part is not collected"):
        Engine(world.store, [VIP], MetricSet(), [], notifier=world.told, clock=world.clock, age_max_s=1)


def test_rules_counters_are_not_exported() -> None:
    """Exports show metrics, not what rules count for themselves; incidents have the columns that they promise."""
    world = World([VIP], now="2026-11-20T12:00:40")
    world.write(events("vip_stop", "2026-11-20T12:00:30"))
    world.evaluate()
    assert {row["metric"] for row in export_rollups(world.store, world.metrics, "hour")} == {"records"}
    [row] = export_incidents(world.store, from_us=utc("2026-11-20T12:00:00"), to_us=utc("2026-11-20T12:01:00"))
    assert tuple(row) == INCIDENT_COLUMNS
    assert not list(export_incidents(world.store, from_us=utc("2026-11-20T12:01:00")))


def test_what_is_announced_stays_announced_through_crashes() -> None:
    """An incident whose id was written down, but not yet itself when the process ended, is still listed when another
    is announced beside it: so it is told if the process ends again behind writing it."""
    store = MemoryStore()
    Incidents(store).expect(["20261120T100000Z:a:00000000"])
    again = Incidents(store)
    again.expect(["20261120T100000Z:a:00000000", "20261120T100100Z:b:00000000"])
    again.put({"id": "20261120T100000Z:a:00000000"})
    assert [one["id"] for one in Incidents(store).unfinished(0)] == ["20261120T100000Z:a:00000000"]
