"""The health mark of a report: how its period went, in one word. Pure.

    error       an incident of severity critical; or more than 10 % of a service's calls, or of what a ratio measures,
                failed; or something expected did not come
    warn        any other incident; more than 2 % failed, and half as much again as in the period before; something
                expected came late or paused; more than 1 % of the entries could not be read
    incomplete  nothing of that so far, but the numbers may still change
    none        no source wrote a record
    ok          none of that, and nothing can change

A rate counts from 20 calls on. Some share of failures is normal for many services: a warning asks for a change. The
worst applies; an incomplete period that is in error already is in error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from logagg.report.numbers import percent, worse_when
from logagg.report.tables import title

Mark = Literal["ok", "warn", "error", "incomplete", "none"]

FAILED_ERROR = 0.10
FAILED_WARN = 0.02
FAILED_RISE = 1.5
REJECTED_WARN = 0.01
COUNT_MIN = 20
REASONS_MAX = 8


@dataclass(frozen=True, slots=True)
class Health:
    """`why` says what the mark rests on, the worst first."""

    mark: Mark
    why: tuple[str, ...] = ()


def health(data: Mapping[str, Any]) -> Health:
    """The mark of a data.json of any revision, also of one that an older program wrote."""
    found = [*_incidents(data), *_rates(data), *_expected(data), *_rejects(data)]
    found.sort(key=lambda one: one[0] != "error")
    marks: list[Mark] = [mark for mark, _ in found]
    why = tuple(dict.fromkeys(text for _, text in found))[:REASONS_MAX]
    incomplete = not data.get("complete", False)
    if marks:
        return Health(marks[0], (*why, "numbers may still change") if incomplete else why)
    if not any(source.get("records") or source.get("rejects") for source in data.get("sources", ())):
        return Health("none", ("no source wrote a record",))
    return Health("incomplete", ("numbers may still change",)) if incomplete else Health("ok")


def _incidents(data: Mapping[str, Any]) -> Iterator[tuple[Mark, str]]:
    for incident in data.get("incidents", ()):
        critical = incident.get("severity") == "critical"
        yield ("error" if critical else "warn"), str(incident.get("summary") or incident.get("rule"))


def _rates(data: Mapping[str, Any]) -> Iterator[tuple[Mark, str]]:
    """Failure rates: of backends, and of ratio metrics that are named as failures."""
    told = [(f"{one['name']}_failure_rate", one.get("failure_rate"), one.get("calls"),
             one.get("previous", {}).get("failure_rate")) for one in data.get("backends", ())]
    told += [(row["metric"], row["value"], row["count"], row["previous"]["value"]) for row in data.get("metrics", ())
             if row["kind"] == "ratio" and not row["labels"] and worse_when(row["metric"]) > 0]
    for name, rate, count, before in told:
        if rate is None or (count or 0) < COUNT_MIN:
            continue
        if rate > FAILED_ERROR:
            yield "error", f"{title(name)} {percent(rate)}"
        elif rate > FAILED_WARN and before is not None and rate > FAILED_RISE * before:
            yield "warn", f"{title(name)} {percent(rate)}, before {percent(before)}"


def _expected(data: Mapping[str, Any]) -> Iterator[tuple[Mark, str]]:
    """What should have come by a time of the day: missing, or late; and longer pauses than allowed."""
    for row in data.get("expected", ()):
        for state, mark, said in _UNEXPECTED:
            n = sum(day.get("state") == state for day in row.get("days", ()))
            if n:
                yield mark, f"{title(row['name'])}: {said}" + (f" on {n} days" if n > 1 else "")


_UNEXPECTED: tuple[tuple[str, Mark, str], ...] = (
    ("missing", "error", "did not come"), ("late", "warn", "came late"), ("pauses", "warn", "paused too long"))


def _rejects(data: Mapping[str, Any]) -> Iterator[tuple[Mark, str]]:
    rejects, records = (sum(source.get(key, 0) for source in data.get("sources", ())) for key in ("rejects", "records"))
    if rejects and rejects > REJECTED_WARN * (rejects + records):
        yield "warn", f"{percent(rejects / (rejects + records))} of the entries could not be read"
