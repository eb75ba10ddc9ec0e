"""Which numbers of a report can be followed down to their records, and where their pages are. Pure.

    r1/drill/das_failures/all-44136fa355.html                     the number: its hours and minutes
    r1/drill/das_failures/all-44136fa355-records.html             its records, raw lines with context
    r1/drill/das_failures/timeout-2f1c….html                      the same for {"code": "TIMEOUT"}

A report's page and the pages below it are written at different times; both ask `drilled` of the same data.json, so
that no link is dead. drill_pages.py writes the pages.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from logagg.report.numbers import worse_when
from logagg.rollup.partial import labels_json

FEW = 50
"""A counter that is no failure is followed too while it counts no more than this: starts, loads, reports."""

NUMBERS_MAX = 400
"""How many numbers of one report have pages: those over all labels first, then the greatest."""

_SLUG_CHARS_MAX = 40


@dataclass(frozen=True, slots=True)
class Number:
    """A counter of a report over all rows that have these labels; `path` is relative to the report's folder."""

    metric: str
    labels: Mapping[str, str]
    count: int
    path: str


def drill_path(metric: str, labels: Mapping[str, str]) -> str:
    """The page of a number. Any label value is safe in it: letters and digits of the values, then a hash of all."""
    text = "-".join(re.sub(r"[^a-z0-9]+", "-", labels[name].lower()).strip("-") for name in sorted(labels))
    digest = hashlib.sha256(labels_json(dict(labels)).encode("utf-8", "surrogatepass")).hexdigest()[:10]
    slug = re.sub(r"-+", "-", text)[:_SLUG_CHARS_MAX].strip("-") or ("other" if labels else "all")
    return f"drill/{metric}/{slug}-{digest}.html"


def drilled(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Number]:
    """(metric, canonical JSON of labels) -> the number, for all that have pages; `rows` are data.json's "metrics".

    A page of the report also adds rows up over some labels (failures by operation and code), so every subset of the
    labels that occur is a number of its own.
    """
    found: dict[tuple[str, str], Number] = {}
    by_metric: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["kind"] == "counter" and row["count"]:
            by_metric.setdefault(row["metric"], []).append(row)
    for metric, mine in by_metric.items():
        if worse_when(metric) > 0 or sum(row["count"] for row in mine if not row["labels"]) <= FEW:
            counts: dict[str, tuple[dict[str, str], int]] = {}
            for row in mine:
                for labels in _subsets(row["labels"]) if row["labels"] or len(mine) == 1 else ():
                    key = labels_json(labels)
                    counts[key] = (labels, counts.get(key, (labels, 0))[1] + row["count"])
            for key, (labels, count) in counts.items():
                found[metric, key] = Number(metric, labels, count, drill_path(metric, labels))
    ranked = sorted(found.items(), key=lambda item: (bool(item[1].labels), -item[1].count, item[0]))
    return dict(ranked[:NUMBERS_MAX])


def _subsets(labels: Mapping[str, str]) -> list[dict[str, str]]:
    names = sorted(labels)
    return [{name: labels[name] for name in chosen} for n in range(len(names) + 1) for chosen in combinations(names, n)]
