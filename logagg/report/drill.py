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
from typing import Any

from logagg.report.numbers import worse_when
from logagg.rollup.partial import labels_json

FEW = 50
"""A counter that is no failure shows all its records too while it counts no more than this: starts, loads, reports."""

NUMBERS_MAX = 400
"""How many numbers of one report have pages: failures and few first, those over all labels first, then the greatest."""

_SLUG_CHARS_MAX = 40


@dataclass(frozen=True, slots=True)
class Number:
    """A counter of a report over all rows that have these labels; `path` is relative to the report's folder.
    `whole`: all its records are shown, not a sample."""

    metric: str
    labels: Mapping[str, str]
    count: int
    path: str
    whole: bool


def drill_path(metric: str, labels: Mapping[str, str]) -> str:
    """The page of a number. Any label value is safe in it: letters and digits of the values, then a hash of all."""
    text = "-".join(re.sub(r"[^a-z0-9]+", "-", labels[name].lower()).strip("-") for name in sorted(labels))
    digest = hashlib.sha256(labels_json(dict(labels)).encode("utf-8", "surrogatepass")).hexdigest()[:10]
    slug = re.sub(r"-+", "-", text)[:_SLUG_CHARS_MAX].strip("-") or ("other" if labels else "all")
    return f"drill/{metric}/{slug}-{digest}.html"


def drilled(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Number]:
    """(metric, canonical JSON of labels) -> the number, for all that have pages; `rows` are data.json's "metrics".

    The page of a report also adds rows up: numbers are the counter over all, by each label alone, by all labels but
    the host, and by all labels. Of a counter that is neither a failure nor small only the first.
    """
    found: list[Number] = []
    by_metric: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["kind"] == "counter" and row["count"]:
            by_metric.setdefault(row["metric"], []).append(row)
    for metric, mine in by_metric.items():
        total = sum(row["count"] for row in mine if not row["labels"])
        whole = worse_when(metric) > 0 or total <= FEW
        labelled = [row for row in mine if row["labels"]]
        counts: dict[str, tuple[dict[str, str], int]] = {"{}": ({}, total)}
        for row in labelled if whole else ():
            for labels in _sums_over(row["labels"]):
                key = labels_json(labels)
                counts[key] = (labels, counts.get(key, (labels, 0))[1] + row["count"])
        found += [Number(metric, labels, count, drill_path(metric, labels), whole)
                  for labels, count in counts.values() if count]
    found.sort(key=lambda one: (not one.whole, bool(one.labels), -one.count, one.metric, labels_json(dict(one.labels))))
    return {(one.metric, labels_json(dict(one.labels))): one for one in found[:NUMBERS_MAX]}


def _sums_over(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """The label sets, from narrow to wide, of which a row of the report with these labels may be a part."""
    names = sorted(labels)
    chosen = {tuple(names), tuple(name for name in names if name != "host"), *((name,) for name in names)} - {()}
    return [{name: labels[name] for name in one} for one in sorted(chosen)]     # names in each rise


def with_links(data: Mapping[str, Any]) -> dict[str, Any]:
    """A data.json for its page: rows know the page of their number as "drill", and those of the sums that they are a
    part of as "drill_sums", by the names of their labels; backends that of their failures."""
    numbers = drilled(data["metrics"])

    def path(metric: str, labels: Mapping[str, str]) -> str:
        found = numbers.get((metric, labels_json(dict(labels))))
        return found.path if found else ""

    rows = []
    for row in data["metrics"]:
        sums = {tuple(labels): path(row["metric"], labels) for labels in _sums_over(row["labels"])}
        rows.append({**row, "drill": path(row["metric"], row["labels"]),
                     "drill_sums": {names: found for names, found in sums.items() if found}})
    backends = [{**backend, "drill": path(f"{backend['name']}_failures", {})} for backend in data["backends"]]
    return {**data, "metrics": rows, "backends": backends}
