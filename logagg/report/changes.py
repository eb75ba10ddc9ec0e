"""What changed most since the period before: a few things, each beyond chance, no two about the same subject. Pure.

Rates are judged rather than the counts that they are made of, since counts follow the traffic. A distribution is judged
by its 95th percentile. Of plain counts that are neither good nor bad news (traffic), only the largest change is told.
What is as it was on the same weekday a week before is no news either: fewer calls on each Saturday.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import log, sqrt
from typing import Any, Protocol

from logagg.report.numbers import change, worse_when
from logagg.rollup.metric import Metric

CHANGES_MAX = 3
SIGMAS_MIN = 3.0
"""Standard errors between two values to be told: dozens of metrics are looked at, and chance brings 1.6 to some."""

SHARE_MIN = 0.1
VALUES_MIN = 20
"""A percentile of fewer values says little."""

Row = Mapping[str, Any]


class Part(Protocol):
    """A section of a report."""

    @property
    def title(self) -> str: ...

    @property
    def metrics(self) -> Sequence[str]: ...


def changes(metrics: Iterable[Metric], rows: Iterable[Row], backends: Sequence[str],
            sections: Iterable[Part], *, weekly: bool = False) -> list[dict[str, Any]]:
    """At most CHANGES_MAX: {"metric", "stat", "kind", "unit", "now", "before", "sigmas", "tone"}; what became worse
    first, then the surest. `weekly`: there are numbers of the same weekday a week before."""
    ratios = [metric for metric in metrics if metric.kind == "ratio"]
    in_ratios = {name for metric in ratios for name in (*metric.part, *metric.whole)}
    subjects = _subjects(backends, sections)
    found: list[tuple[str, dict[str, Any]]] = []
    for row in rows:
        if row["labels"] or (row["metric"] in in_ratios and worse_when(row["metric"])):
            continue
        one = _judged(row)
        if one is not None and not (weekly and _usual(row, one)):
            neutral = row["kind"] == "counter" and not worse_when(row["metric"])
            subject = "" if neutral else subjects.get(row["metric"], str(row["metric"]))
            found.append((subject, one))
    found.sort(key=lambda item: (item[1]["tone"] != "worse", -item[1]["sigmas"], item[1]["metric"]))
    told: dict[str, dict[str, Any]] = {}
    for subject, one in found:
        told.setdefault(subject, one)
    return list(told.values())[:CHANGES_MAX]


def _subjects(backends: Sequence[str], sections: Iterable[Part]) -> dict[str, str]:
    """metric -> what it is about: its backend, else its section."""
    found = {metric: section.title for section in sections for metric in section.metrics}
    for name in backends:
        found |= {f"{name}_{what}": f"backend {name}" for what in ("calls", "failures", "failure_rate", "time")}
    return found


def _judged(row: Row) -> dict[str, Any] | None:
    """The change of one row over all labels, if it is large and beyond chance."""
    then, kind = row["previous"], row["kind"]
    stat = "p95" if kind == "distribution" else "value"
    now, before = row[stat], then[stat]
    if now is None or before is None or abs(now - before) < SHARE_MIN * max(abs(before), abs(now)):
        return None
    sigmas = _SIGMAS[kind](row, then)
    if sigmas < SIGMAS_MIN:
        return None
    worse = 1 if kind == "distribution" and row["unit"] in ("us", "ms", "s") else worse_when(row["metric"])
    told = change(now, before, kind, row["unit"], worse=worse, wholes=(row["count"], then["count"]))
    return {"metric": row["metric"], "stat": stat, "kind": kind, "unit": row["unit"], "now": now, "before": before,
            "sigmas": round(sigmas, 1), "tone": told.tone if told else ""}


def _usual(row: Row, one: Mapping[str, Any]) -> bool:
    """Whether a change is none, or one the other way, when compared with the same weekday a week before."""
    then, stat = row["week_before"], one["stat"]
    if then[stat] is None:
        return False
    same_way = (row[stat] > then[stat]) == (one["now"] > one["before"])
    return not same_way or _SIGMAS[row["kind"]](row, then) < SIGMAS_MIN


def _of_counts(now: Row, before: Row) -> float:
    """Independent events (Poisson)."""
    both: int = now["count"] + before["count"]
    return abs(now["count"] - before["count"]) / sqrt(both) if both else 0.0


def _of_ratios(now: Row, before: Row) -> float:
    """The two-proportion z-test; shares above 1, whose parts are not among their wholes, are capped."""
    wholes = now["count"], before["count"]
    if not all(wholes):
        return 0.0
    share = min(1.0, (now["sum"] + before["sum"]) / sum(wholes))
    error = sqrt(share * (1 - share) * (1 / wholes[0] + 1 / wholes[1]))
    return float(abs(now["value"] - before["value"]) / error) if error else 0.0


def _of_percentiles(now: Row, before: Row) -> float:
    """Two 95th percentiles, as if the values were log-normal with the spread that median and p95 show.

    The standard error of a quantile is sqrt(q(1-q)/n)/density (asymptotically normal order statistics): for q = 0.95 of
    a normal distribution 2.11 standard deviations over sqrt(n).
    """
    counts = now["count"], before["count"]
    values = (now["median"], now["p95"], before["median"], before["p95"])
    if min(counts) < VALUES_MIN or min(values) <= 0:
        return 0.0
    spread = max(log(now["p95"] / now["median"]), log(before["p95"] / before["median"]), 0.01) / 1.645
    error = 2.11 * spread * sqrt(1 / counts[0] + 1 / counts[1])
    return abs(log(now["p95"] / before["p95"])) / error


_SIGMAS = {"counter": _of_counts, "ratio": _of_ratios, "distribution": _of_percentiles}
