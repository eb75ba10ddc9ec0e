"""Rules: conditions over events, as `[[rule]]` tables define them.

    [[rule]]
    name = "das_failing"
    type = "ratio"                  # "event" | "count" | "ratio" | "absent"
    part = ["das_failure"]
    whole = ["das_failure", "das_call"]
    above = 0.1
    window = "5m"
    min_count = 20
    by = ["host"]

event    any of `event` happened; over once none came for `window`
count    more than `above` of `event` within `window`
ratio    `part` / `whole` is more than `above` within `window`, of at least `min_count` wholes
absent   none of `event` since local midnight when it is `due`, or for `within` (inside the hours `between`)

`where` takes only events whose fields are as it says. `by` watches each value of a field (or app, host, level, event)
by itself. A rule counts through counters of its own, which are collected like any metric and shown nowhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from logagg.alert.words import (
    CLOCK_EXPECTED,
    CONDITION_EXPECTED,
    DAYS_EXPECTED,
    HOURS_EXPECTED,
    clock_minute,
    condition,
    hours,
    weekdays,
    whole_minutes,
)
from logagg.errors import ConfigError
from logagg.rollup.metric import Metric, Rules, event_problems

Type = Literal["event", "count", "ratio", "absent"]
TYPES: tuple[Type, ...] = ("event", "count", "ratio", "absent")
SEVERITIES = ("info", "warning", "critical")
WINDOW_MINUTES_MAX = 1440
SOURCE_LABELS = ("app", "host")
"""Labels that every counter of a rule has: who wrote the events, and so whose reading must have come how far."""

Condition = tuple[str, bool, str]
"""(field, whether it must be equal, value)"""


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition. Lengths of time are whole minutes; `due` and `between` are minutes of a local day of `timezone`
    ("": the configuration's); `days` are weekdays from Monday, 0. `send` None: the channels of [notify]."""

    name: str
    type: Type
    event: tuple[str, ...] = ()
    part: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()
    above: float = 0
    window: int = 5
    min_count: int = 1
    hold: int = 0                                   #: `for` in the table: how long it must hold before it fires
    by: tuple[str, ...] = ()
    due: int | None = None
    within: int | None = None
    between: tuple[int, int] | None = None
    days: tuple[int, ...] = ()                      #: empty: every day
    timezone: str = ""
    severity: str = "critical"
    send: tuple[str, ...] | None = None
    help: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """The events that the rule is about: what failed, happened, or did not come."""
        return self.part or self.event

    @property
    def events(self) -> tuple[str, ...]:
        """All events that the rule counts."""
        return tuple(dict.fromkeys((*self.parts, *self.whole)))

    def counters(self) -> tuple[Metric, ...]:
        """What has to be collected for the rule: its parts, and for a ratio its wholes."""
        filters = (field for field, _, _ in self.where)
        labels = tuple(dict.fromkeys((*self.by, *filters, *SOURCE_LABELS)))
        part = Metric(f"rule:{self.name}:part", "counter", self.parts, labels=labels)
        if self.type != "ratio":
            return (part,)
        return part, Metric(f"rule:{self.name}:whole", "counter", self.whole, labels=labels)


def counters(rules: Sequence[Rule]) -> list[Metric]:
    """The counters of all rules."""
    return [metric for rule in rules for metric in rule.counters()]


def parse_rules(tables: Sequence[Mapping[str, Any]], place: str, known: Rules) -> list[Rule]:
    """A pack's `[[rule]]` tables -> rules. ConfigError with every mistake, each as `place: [[rule]] 3 "name": …`."""
    problems: list[str] = []
    rules: list[Rule] = []
    for number, table in enumerate(tables, 1):
        name = table.get("name")
        label = f'[[rule]] {number} "{name}"' if isinstance(name, str) else f"[[rule]] {number}"
        found = list(_value_problems(table))
        if not found:
            found = [f"{key}: {text}" if key else text for key, text in form_problems(table)]
        if not found:
            rule = make_rule(table)
            found = rule_problems(rule, known)
            if any(rule.name == other.name for other in rules):
                found.append("an earlier [[rule]] has this name; choose another")
            rules.append(rule)
        problems += [f"{place}: {label}: {text}" for text in found]
    if problems:
        raise ConfigError(problems)
    return rules


def rule_problems(rule: Rule, known: Rules) -> list[str]:
    """What a rule asks of its events that they do not have, with the way out."""
    return list(dict.fromkeys(text for metric in rule.counters() for text in event_problems(metric, known)))


_EVENTS = {"event": ("event",), "count": ("event",), "ratio": ("part", "whole"), "absent": ("event",)}
_COMMON = ("name", "type", "where", "severity", "send", "help")
_TAKES = {
    "event": (*_COMMON, "event", "window", "by"),
    "count": (*_COMMON, "event", "window", "by", "above", "for"),
    "ratio": (*_COMMON, "part", "whole", "window", "by", "above", "min_count", "for"),
    "absent": (*_COMMON, "event", "due", "within", "between", "days", "timezone"),
}
_NEEDS = {"event": (), "count": ("above",), "ratio": ("above",), "absent": ()}
_EXAMPLES = {"event": 'event = "vip_stop"', "part": 'part = ["das_failure"]',
             "whole": 'whole = ["das_failure", "das_call"]'}


def form_problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) of a table whose values are right each by itself: do its keys make a rule?

    Keys without a value (None, or no text) count as absent.
    """
    kind = values.get("type")
    if kind not in TYPES:
        return
    given = {key for key, value in values.items() if value not in (None, (), [], "")}
    for key in sorted(given - set(_TAKES[kind]) - {"enabled"}):
        yield key, f'is not for a rule of type "{kind}"; remove it'
    for key in (*_EVENTS[kind], *_NEEDS[kind]):
        if key not in given:
            example = f"above = {'0.1' if kind == 'ratio' else '3'}" if key == "above" else _EXAMPLES[key]
            yield "", f'{key} is missing, which type "{kind}" needs; add {example}'
    if kind == "absent":
        yield from _absent_problems(given)
    if kind in ("count", "ratio") and "above" in given:
        yield from _above_problems(kind, values["above"])


def _absent_problems(given: set[str]) -> Iterator[tuple[str, str]]:
    if ("due" in given) == ("within" in given):
        yield "", 'an absent rule needs either due = "06:30" or within = "30m"'
    if "due" in given and "between" in given:
        yield "between", "is for within; a due time needs no hours: remove it"


def _above_problems(kind: str, above: float) -> Iterator[tuple[str, str]]:
    if above < 0:
        yield "above", f"{above} is below 0, so the rule would always fire"
    elif kind == "ratio" and above >= 1:
        yield "above", f"{above} can never be passed: a ratio is at most 1; 10 % are 0.1"


def make_rule(values: Mapping[str, Any]) -> Rule:
    """The rule of a table without problems."""
    def texts(key: str) -> tuple[str, ...]:
        value = values.get(key)
        return tuple(dict.fromkeys([value] if isinstance(value, str) else value or ()))

    def given(key: str, parse: Any, default: Any = None) -> Any:
        return default if values.get(key) is None else parse(values[key])

    kind: Type = values["type"]
    return Rule(
        name=values["name"], type=kind, event=texts("event"), part=texts("part"), whole=texts("whole"),
        where=tuple(found for text in texts("where") if (found := condition(text))),
        above=given("above", float, 0.0),
        window=given("window", whole_minutes, 5), min_count=given("min_count", int, 1),
        hold=given("for", whole_minutes, 0), by=texts("by"), due=given("due", clock_minute),
        within=given("within", whole_minutes), between=given("between", hours),
        days=tuple(sorted({day for text in texts("days") for day in weekdays(text) or ()})),
        timezone=values.get("timezone") or "", severity=values.get("severity") or "critical",
        send=None if values.get("send") is None else texts("send"), help=values.get("help") or "",
    )


# What one value must be. The configuration checks its own tables (config/fields.py); these are for packs.

def window_problem(text: str) -> str | None:
    """Whether a text is a window of the counters, which count by the minute."""
    minutes = whole_minutes(text)
    if minutes and minutes <= WINDOW_MINUTES_MAX:
        return None
    return 'expected whole minutes, from "1m" to "24h"'


def hold_problem(text: str) -> str | None:
    minutes = whole_minutes(text)
    if minutes is not None and minutes <= WINDOW_MINUTES_MAX:
        return None
    return 'expected whole minutes, from "0s" to "24h"'


def _texts_problem(check: Any, expected: str) -> Any:
    def problem(value: Any) -> str | None:
        texts = [value] if isinstance(value, str) else value
        good = isinstance(texts, list) and all(isinstance(text, str) and check(text) is not None for text in texts)
        return None if good else f"expected {expected}"
    return problem


def _text_problem(check: Any, expected: str) -> Any:
    return lambda value: None if isinstance(value, str) and check(value) is not None else f"expected {expected}"


def _number_problem(value: Any) -> str | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    return None if good else "expected a number"


def _count_problem(value: Any) -> str | None:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return None if good else "expected a whole number from 1"


def _one_of(choices: Sequence[str]) -> Any:
    return lambda value: None if value in choices else "expected one of " + ", ".join(f'"{one}"' for one in choices)


_NAME_EXPECTED = "a letter, then up to 99 letters, digits and _"
_CHECKS: dict[str, Any] = {
    "name": _text_problem(lambda text: text if text.isascii() and text.isidentifier() and len(text) <= 100
                          and text[0] != "_" else None, _NAME_EXPECTED),
    "type": _one_of(TYPES), "severity": _one_of(SEVERITIES),
    **dict.fromkeys(("event", "part", "whole", "by", "send"), _texts_problem(str, "text, or a list of texts")),
    "where": _texts_problem(condition, CONDITION_EXPECTED),
    "days": _texts_problem(weekdays, DAYS_EXPECTED),
    "above": _number_problem, "min_count": _count_problem,
    **dict.fromkeys(("window", "within"), lambda value: window_problem(value) if isinstance(value, str) else
                    'expected text such as "5m"'),
    "for": lambda value: hold_problem(value) if isinstance(value, str) else 'expected text such as "5m"',
    "due": _text_problem(clock_minute, CLOCK_EXPECTED),
    "between": _text_problem(hours, HOURS_EXPECTED),
    **dict.fromkeys(("timezone", "help"), _text_problem(str, "text in quotes")),
}


def _value_problems(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if key not in _CHECKS:
            close = get_close_matches(key, _CHECKS, n=1)
            yield f'unknown key "{key}"' + (f'; did you mean "{close[0]}"?' if close else
                                            f"; expected one of {', '.join(_CHECKS)}")
        elif problem := _CHECKS[key](value):
            yield f"{key} is {value!r}; {problem}"
    for key in ("name", "type"):
        if key not in table:
            yield f"{key} is missing"
