"""Metrics: named measures over events with labels, as `[[metric]]` tables define them.

    [[metric]]
    name = "das_time"
    event = "das_call"              # or a list of events
    field = "duration_ms"           # a distribution of this field; absent: a counter of the events
    unit = "ms"
    step = 1                        # a distribution's values are summed as whole steps of this size
    labels = ["operation"]          # fields of every event named, or app, host, level, event, reason

    [[metric]]
    name = "das_failure_rate"
    part = "das_failures"           # a ratio of counters: sum of part / sum of whole
    whole = "das_calls"
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from logagg.errors import ConfigError

Kind = Literal["counter", "distribution", "ratio"]

Rules = Mapping[str, Mapping[str, type]]
"""What grammars can make of a log: event -> field -> int, float or str."""

RECORD_LABELS = ("app", "host", "level", "event", "reason")
"""Labels that need no field. All but `reason` always mean the record's own, even where an event has such a field;
`reason` is a reject's, or the event's field of that name."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter counts its `events`; a distribution takes `field` of them, in `unit`, summed exactly in whole `step`s;
    a ratio divides the sum of the counters `part` by that of the counters `whole`.

    Beyond `label_limit` label sets a day, the smallest are merged into one when the day is folded.
    """

    name: str
    kind: Kind
    events: tuple[str, ...] = ()
    field: str | None = None
    unit: str = "1"
    step: float = 1
    labels: tuple[str, ...] = ()
    part: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    help: str = ""
    label_limit: int = 1000

    @property
    def hidden(self) -> bool:
        """Whether it is the counter of a rule (logagg/alert/rule.py), which no list, report or export shows."""
        return self.name.startswith("rule:")


RECORDS = Metric("records", "counter", labels=("app", "host", "level"), help="Records that have a time.")
REJECTS = Metric("rejects", "counter", labels=("app", "host", "reason"), help="Records that could not be read.")
BUILT_IN = (RECORDS, REJECTS)
"""Always collected. A reject without a time counts at the last time seen in its stream."""


class MetricSet:
    """The metrics of one configuration, by name and by event; the built-in ones are always among them.

    Several packs may bring the same metric; two that differ under one name are a ConfigError. Iteration is in the
    order given, built-in ones first. `ratios` holds the ratio metrics by name.
    """

    def __init__(self, metrics: Iterable[Metric] = ()) -> None:
        self._by_name: dict[str, Metric] = {}
        self._by_event: dict[str, tuple[Metric, ...]] = {}
        problems = []
        for metric in (*BUILT_IN, *metrics):
            if metric.name in self._by_name:
                if metric != self._by_name[metric.name]:
                    problems.append(f'metric "{metric.name}" is defined twice, differently; rename one of them')
                continue
            self._by_name[metric.name] = metric
            for event in metric.events:
                self._by_event[event] = (*self._by_event.get(event, ()), metric)
        self.ratios: Mapping[str, Metric] = {m.name: m for m in self if m.kind == "ratio"}
        if problems:
            raise ConfigError(problems)

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Metric:
        """The metric called `name`; KeyError where there is none."""
        return self._by_name[name]

    def get(self, name: str) -> Metric | None:
        return self._by_name.get(name)

    def by_event(self, event: str) -> Sequence[Metric]:
        """The counters and distributions that measure an event."""
        return self._by_event.get(event, ())


def parse_metrics(tables: Sequence[Mapping[str, Any]], place: str, rules: Rules | None = None) -> list[Metric]:
    """`[[metric]]` tables -> metrics. ConfigError with every mistake, each as `place: [[metric]] 3 "name": …`.

    With `rules`, events, fields and labels must exist there. Ratios may only name counters of the same tables, or
    built-in ones.
    """
    problems: list[str] = []
    metrics: list[Metric] = []
    for number, table in enumerate(tables, 1):
        label = f'[[metric]] {number} "{table["name"]}"' if isinstance(table.get("name"), str) else (
            f"[[metric]] {number}")
        found = list(_table_problems(table))
        metric = None if found else _metric(table)
        if metric is not None:
            found += _clash(metric, metrics)
            found += event_problems(metric, rules) if rules is not None else []
            metrics.append(metric)
        problems += [f"{place}: {label}: {text}" for text in found]
    if not problems:
        problems = [f"{place}: [[metric]] {number} \"{metric.name}\": {text}"
                    for number, metric in enumerate(metrics, 1) for text in _ratio_problems(metric, metrics)]
    if problems:
        raise ConfigError(problems)
    return metrics


def event_problems(metric: Metric, rules: Rules) -> list[str]:
    """What a metric asks of its events that they do not have, with the way out."""
    unknown = [event for event in metric.events if event not in rules]
    if unknown:
        return [f'no grammar has an event "{event}"' + _near(event, rules) for event in unknown]
    if not metric.events:
        return []
    fields = [rules[event] for event in metric.events]
    shared = [name for name in fields[0] if all(name in other for other in fields)]
    numbers = [name for name in shared if all(other[name] in (int, float) for other in fields)]
    said = ", ".join(metric.events)
    problems = []
    if metric.field is not None and metric.field not in numbers:
        what = "is text, not a number," if metric.field in shared else "is no field"
        problems.append(f'field "{metric.field}" {what} of {said}' + _near(metric.field, numbers))
    problems += [
        f'label "{label}" is no field of {said}' + _near(label, (*shared, *RECORD_LABELS))
        for label in metric.labels if label not in shared and label not in RECORD_LABELS
    ]
    return problems


def _clash(metric: Metric, earlier: Sequence[Metric]) -> list[str]:
    if any(metric.name == other.name for other in BUILT_IN):
        return ["this name is built in; choose another"]
    if any(metric.name == other.name for other in earlier):
        return ["an earlier [[metric]] has this name; choose another"]
    return []


def _ratio_problems(metric: Metric, metrics: Sequence[Metric]) -> list[str]:
    counters = [other.name for other in (*metrics, *BUILT_IN) if other.kind == "counter"]
    return [f'{key} "{name}" is no counter metric' + _near(name, counters)
            for key, names in (("part", metric.part), ("whole", metric.whole))
            for name in names if name not in counters]


def _near(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; expected one of {', '.join(names)}" if names else "; there is none that would do"


# What one value must be, by key of the table: each check answers "" or what was expected.

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


def _is_name(value: Any) -> str:
    wanted = "a letter, then up to 99 letters, digits and _"
    return "" if isinstance(value, str) and _NAME.fullmatch(value) else wanted


def _is_text(value: Any) -> str:
    return "" if isinstance(value, str) else "text in quotes"


def _is_texts(value: Any) -> str:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return ""
    return 'text in quotes, or a list such as ["a", "b"]'


def _is_step(value: Any) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
    return "" if good else "a number above 0"


def _is_limit(value: Any) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1_000_000
    return "" if good else "a whole number from 1 to 1000000"


def _is_kind(value: Any) -> str:
    return "" if value in ("counter", "distribution", "ratio") else '"counter", "distribution" or "ratio"'


_KEYS: dict[str, Callable[[Any], str]] = {
    "name": _is_name, "kind": _is_kind, "event": _is_texts, "field": _is_text, "unit": _is_text, "step": _is_step,
    "labels": _is_texts, "part": _is_texts, "whole": _is_texts, "help": _is_text, "label_limit": _is_limit,
}


def _table_problems(table: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with one table by itself."""
    before = len(table)
    for key, value in table.items():
        if key not in _KEYS:
            yield f'unknown key "{key}"' + _near(key, _KEYS)
        elif wanted := _KEYS[key](value):
            yield f"{key} is {value!r}; expected {wanted}"
        else:
            before -= 1
    if "name" not in table:
        yield 'name is missing; add name = "das_time"'
    if before:
        return
    ratio = "part" in table or "whole" in table
    if ratio and not (_texts(table.get("part")) and _texts(table.get("whole"))):
        yield "a ratio needs both part and whole; add the one that is missing"
    if ratio and (odd := [key for key in ("event", "field", "labels", "step") if key in table]):
        yield f"a ratio takes its counters' events and labels; remove {', '.join(odd)}"
    if not ratio and not _texts(table.get("event")):
        yield 'event is missing; add event = "das_call", or part and whole for a ratio'
    if (kind := table.get("kind")) is not None and kind != _kind(table):
        yield f'kind is "{kind}", but these keys make a {_kind(table)}; remove kind, or change ' + (
            "field" if "ratio" not in (kind, _kind(table)) else "part and whole")


def _kind(table: Mapping[str, Any]) -> Kind:
    if "part" in table or "whole" in table:
        return "ratio"
    return "distribution" if "field" in table else "counter"


def _metric(table: Mapping[str, Any]) -> Metric:
    """The metric of a table that is right by itself."""
    return Metric(
        name=table["name"], kind=_kind(table), events=_texts(table.get("event")), field=table.get("field"),
        unit=table.get("unit", "1"), step=table.get("step", 1), labels=_texts(table.get("labels")),
        part=_texts(table.get("part")), whole=_texts(table.get("whole")), help=table.get("help", ""),
        label_limit=table.get("label_limit", 1000),
    )


def _texts(value: Any) -> tuple[str, ...]:
    """One text or a list of them, each once, in order."""
    texts = [value] if isinstance(value, str) else value or ()
    return tuple(dict.fromkeys(texts))
