"""Rules as tables: what they mean, and every mistake of a pack's rules."""

import pytest

from logagg.alert.rule import parse_rules
from logagg.alert.words import clock_minute, condition, duration_s, hours, minutes_text, weekdays, whole_minutes
from logagg.config import loads
from logagg.errors import ConfigError
from logagg.packs import load_packs

EVENTS = {"vip_stop": {"pid": int, "reason": str}, "das_call": {"operation": str}, "das_failure": {"operation": str}}


def test_words() -> None:
    """Lengths of time, clock times, hours, days and conditions."""
    assert (duration_s("0s"), duration_s("90s"), duration_s("1h"), duration_s("2d")) == (0, 90, 3600, 172_800)
    assert (duration_s("5"), duration_s("-5m"), duration_s("5 m"), duration_s("1.5h")) == (None,) * 4
    assert (whole_minutes("90s"), whole_minutes("120s"), minutes_text(120), minutes_text(90)) == (None, 2, "2h", "90m")
    assert (clock_minute("06:30"), clock_minute("24:00"), clock_minute("24:01"), clock_minute("6:30")) == (
        390, 1440, None, None)
    assert (hours("08:00-20:00"), hours("22:00-06:00"), hours("08:00-08:00"), hours("08:00")) == (
        (480, 1200), (1320, 1800), None, None)
    assert (weekdays("mon"), weekdays("Mon-Fri"), weekdays("sat-mon"), weekdays("someday")) == (
        (0,), (0, 1, 2, 3, 4), (0, 5, 6), None)
    assert (condition("a=b=c"), condition("a!="), condition("=x")) == (("a", True, "b=c"), ("a", False, ""), None)


def test_counters_have_the_labels_that_are_needed() -> None:
    """A rule's counters are split by what it watches, what it filters, and who wrote."""
    [rule] = parse_rules([{"name": "r", "type": "ratio", "part": "das_failure", "whole": ["das_failure", "das_call"],
                           "above": 0.1, "by": ["operation"], "where": ["operation!=x"]}], "p", EVENTS)
    part, whole = rule.counters()
    assert (part.name, part.events, part.labels) == ("rule:r:part", ("das_failure",), ("operation", "app", "host"))
    assert (whole.name, whole.events) == ("rule:r:whole", ("das_failure", "das_call"))
    assert part.hidden


def test_a_packs_mistakes_are_told_at_once() -> None:
    """Each mistake has its place, in one error."""
    tables = [
        {"name": "a", "type": "event", "event": "vip_stopp"},
        {"name": "b", "type": "sometimes", "event": "vip_stop"},
        {"name": "c", "type": "count", "event": "vip_stop", "above": "3", "windw": "5m"},
        {"name": "d", "type": "absent", "event": "vip_stop"},
        {"name": "e", "type": "event", "event": "vip_stop"}, {"name": "e", "type": "event", "event": "vip_stop"},
        {"type": "event", "event": "vip_stop", "window": "30s", "due": 630},
    ]
    with pytest.raises(ConfigError) as caught:
        parse_rules(tables, "pack.toml", EVENTS)
    assert caught.value.problems == [
        'pack.toml: [[rule]] 1 "a": no grammar has an event "vip_stopp"; did you mean "vip_stop"?',
        'pack.toml: [[rule]] 2 "b": type is \'sometimes\'; expected one of "event", "count", "ratio", "absent"',
        'pack.toml: [[rule]] 3 "c": above is \'3\'; expected a number',
        'pack.toml: [[rule]] 3 "c": unknown key "windw"; did you mean "window"?',
        'pack.toml: [[rule]] 4 "d": an absent rule needs either due = "06:30" or within = "30m"',
        'pack.toml: [[rule]] 6 "e": an earlier [[rule]] has this name; choose another',
        'pack.toml: [[rule]] 7: window is \'30s\'; expected whole minutes, from "1m" to "24h"',
        'pack.toml: [[rule]] 7: due is 630; expected a time of day such as "06:30"',
        "pack.toml: [[rule]] 7: name is missing",
    ]


def test_the_call_centre_is_watched_for_all_that_went_wrong_there() -> None:
    """The pack has a rule for each kind of trouble, and says what to do."""
    [pack] = load_packs(["callcenter"])
    rules = {rule.name: rule for rule in pack.rules}
    assert {"das_failing", "esp_failing", "mti_failing", "appointment_failing", "outage_failing", "payments_failing",
            "payments_stopped", "identification_failing", "calls_stopped", "vip_stopped", "mpp_call_failing",
            "mpp_asr_failing", "mpp_tts_failing", "mpp_appserver_failing", "mpp_promptserver_failing", "memory_low",
            "ftp_load_missing", "ftp_load_failing", "outbound_calls_stopped", "outbound_report_missing"} == set(rules)
    assert all(rule.help for rule in pack.rules)


SOURCE = 'timezone = "Asia/Kolkata"\n[[source]]\napp = "a"\npaths = "a.log"\npacks = ["callcenter"]\n'


def test_own_rules_take_the_place_of_a_packs() -> None:
    """A rule with a pack rule's name replaces or removes it; zones and channels are filled in."""
    config = loads(SOURCE + """
        [smtp]
        host = "mail.example.com"
        security = "tls"
        user = "u"
        password_file = "secret"
        [[channel]]
        name = "ops"
        to = "ops@example.com"
        [[channel]]
        name = "boss"
        to = ["boss@example.com", "ceo@example.com"]
        [notify]
        age_max = "2h"
        send = ["ops"]
        [[rule]]
        name = "das_failing"
        type = "count"
        event = "das_failure"
        above = 10
        for = "5m"
        send = ["boss"]
        [[rule]]
        name = "vip_stopped"
        enabled = false
        [[rule]]
        name = "silent"
        type = "absent"
        event = "vip_start"
        within = "2h"
        send = []
        [web]
        listen = "[::1]:80"
        public_url = "https://logs.example.com/x/"
        [[report]]
        name = "operations"
        periods = ["daily", "weekly", "monthly"]
        send = ["boss"]
        """, "/etc/logagg/logagg.toml")
    rules = {rule.name: rule for rule in config.rules}
    assert "vip_stopped" not in rules
    das, silent, pack = rules["das_failing"], rules["silent"], rules["ftp_load_missing"]
    assert (das.type, das.above, das.hold, das.send) == ("count", 10, 5, ("boss",))
    assert (silent.within, silent.send, silent.timezone) == (120, (), "Asia/Kolkata")
    assert (pack.send, pack.timezone, pack.due) == (("ops",), "Asia/Kolkata", 390)
    assert config.smtp is not None
    assert (config.smtp.port, str(config.smtp.password_file)) == (465, "/etc/logagg/secret")
    assert config.smtp.sender.startswith("logagg@")
    assert config.notify.age_max_s == 7200
    assert [one.to for one in config.channels] == [("ops@example.com",), ("boss@example.com", "ceo@example.com")]
    assert (config.web.host, config.web.port, config.web.public_url) == ("::1", 80, "https://logs.example.com/x")
    assert config.reports[0].send == ("boss",)
