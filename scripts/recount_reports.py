"""Every number of a report's data.json against a recount of the logs, for recount.py. Shares no code with logagg."""

import json
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from recount_logs import (
    BACKENDS,
    COUNTERS,
    DISTRIBUTIONS,
    RATIOS,
    ZONE,
    Labels,
    Recount,
    Row,
    first_minute,
    local_date,
    numbers,
    utc,
)

EXACT_MAX = 1000            # above this many values, percentiles are estimates
RELATIVE_ERROR_MAX = 0.01


class Comparison:
    """Counts what was compared, by kind, and keeps the first differences."""

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()
        self.different: Counter[str] = Counter()
        self.first: list[str] = []

    def same(self, kind: str, where: str, found: Any, expected: Any, *, about: bool = False) -> None:
        """`about`: a percentile of more than EXACT_MAX values; else floats agree to 6 decimals, all other exactly."""
        self.compared[kind] += 1
        if isinstance(expected, float) and isinstance(found, int | float):
            equal = abs(found - expected) <= 1e-6
        else:
            equal = found == expected and isinstance(found, bool) == isinstance(expected, bool)
        if not equal and about and isinstance(found, int | float) and isinstance(expected, int | float):
            equal = abs(found - expected) <= abs(expected) * RELATIVE_ERROR_MAX
        if not equal:
            self.different[kind] += 1
            if len(self.first) < 20:
                self.first.append(f"{kind}: {where}: logagg says {found!r}, the logs say {expected!r}")

    def row(self, kind: str, key: str, found: Row | None, expected: Row | None) -> None:
        """Each number of an expected row, which must be there; "#" is none: it tells of how many values the row is."""
        if found is None or expected is None:
            self.same(kind, key, "no row" if found is None else "a row", "no row" if expected is None else "a row")
            return
        many = expected.get("#", expected.get("count", 0)) > EXACT_MAX
        for name, number in expected.items():
            if name != "#":
                self.same(kind, f"{key} {name}", found.get(name, "nothing"), number,
                          about=many and name.startswith(("median", "p9")))

    def rows(self, kind: str, found: dict[Any, Row], expected: dict[Any, Row]) -> None:
        """Rows by key, both ways: each expected one is there, and no other is."""
        for key in sorted(expected.keys() | found.keys(), key=str):
            self.row(kind, str(key), found.get(key), expected.get(key))


# ---- what a period has to say ---------------------------------------------------------------------------------------


class Period:
    """What data.json has to say about one local day, week or month."""

    def __init__(self, recount: Recount, first: date, after: date) -> None:
        self._recount, self.first, self.after = recount, first, after
        self.start, self.end = first_minute(first), first_minute(after)
        group = lambda minute: self.start if self.start <= minute < self.end else None  # noqa: E731
        self.rows = {metric: {labels: values for (labels, _), values in recount.grouped(metric, group).items()}
                     for metric in (*COUNTERS, *DISTRIBUTIONS)}
        self.seen = any(self.rows.values())     # else its counts are not zero, but unknown

    def minutes(self, metric: str) -> list[list[int]]:
        """The minutes of the period at which each label set of a metric was seen."""
        return [[minute for minute in minutes if self.start <= minute < self.end]
                for minutes in self._recount.values[metric].values()]

    def values(self, metric: str) -> list[int]:
        return [value for values in self.rows[metric].values() for value in values]

    def counted(self, *metrics: str, labels: dict[str, str] | None = None) -> int:
        """The count of several counters, of those label sets that agree with `labels`."""
        wanted = (labels or {}).items()
        return sum(len(values) for metric in metrics for found, values in self.rows[metric].items()
                   if wanted <= dict(found).items())

    def metric_rows(self) -> dict[tuple[str, Labels], Row]:
        found: dict[tuple[str, Labels], Row] = {}
        for metric in (*COUNTERS, *DISTRIBUTIONS):
            if metric not in ("records", "rejects"):
                for labels, values in {(): self.values(metric), **self.rows[metric]}.items():
                    found[metric, labels] = self._numbers(metric, values)
        for metric, (part, whole) in RATIOS.items():
            shared = ratio_labels(metric)
            sets = {tuple(pair for pair in labels if pair[0] in shared) for name in whole for labels in self.rows[name]}
            for labels in {(), *sets}:
                found[metric, labels] = ratio(self.counted(*part, labels=dict(labels)),
                                              self.counted(*whole, labels=dict(labels)))
        return found

    def _numbers(self, metric: str, values: list[int]) -> Row:
        value = (len(values) if self.seen else None) if metric in COUNTERS else None
        return {**numbers(metric, values), "value": value}

    def nothing(self, metric: str) -> Row:
        return ratio(0, 0) if metric in RATIOS else self._numbers(metric, [])

    def backend(self, name: str) -> Row:
        calls, failures = self.counted(f"{name}_calls"), self.counted(f"{name}_failures")
        times = numbers(f"{name}_time", self.values(f"{name}_time"))
        return {"calls": calls if self.seen else None, "failures": failures if self.seen else None,
                "failure_rate": failures / calls if calls else None,
                "median_ms": times["median"], "p95_ms": times["p95"], "#": times["count"]}


def ratio_labels(metric: str) -> set[str]:
    """A ratio's labels are those that all its counters have."""
    part, whole = RATIOS[metric]
    return set.intersection(*(set(COUNTERS[name][1]) for name in (*part, *whole)))


def ratio(part: int, whole: int) -> Row:
    return {"count": whole, "sum": part, "min": None, "max": None, "mean": None, "median": None, "p95": None,
            "p99": None, "value": part / whole if whole else None}


FIRST = {   # kind: a day, n -> the first day of the period that is n after the day's own
    "daily": lambda day, n: day + timedelta(days=n),
    "weekly": lambda day, n: day + timedelta(days=7 * n - day.weekday()),
    "monthly": lambda day, n: date(day.year + (day.month - 1 + n) // 12, (day.month - 1 + n) % 12 + 1, 1),
}


def period(recount: Recount, kind: str, day: date, n: int = 0) -> Period:
    return Period(recount, FIRST[kind](day, n), FIRST[kind](day, n + 1))


def check_report(check: Comparison, recount: Recount, path: Path, *, complete: bool = True) -> None:
    """Every number of one data.json."""
    data = json.loads(path.read_text())
    day, kind = date.fromisoformat(data["date"]), path.parts[-4]
    now, before = period(recount, kind, day), period(recount, kind, day, -1)
    head = {"date": now.first.isoformat(), "period": kind, "timezone": ZONE.key, "from": utc(now.start),
            "to": utc(now.end), "complete": complete}
    if complete:
        head["incomplete_because"] = []
    for name, value in head.items():
        check.same("reports: head", f"{day} {name}", data[name], value)
    then = {"previous": before}
    if kind == "daily":
        then["week_before"] = period(recount, kind, day, -7)
    check_metrics(check, day, data["metrics"], now, then)
    for name in BACKENDS.values():
        [found] = [row for row in data["backends"] if row["name"] == name]
        check.rows("reports: backends",
                   {f"{day} {name}": found, **{f"{day} {name} {key}": found[key] for key in then}},
                   {f"{day} {name}": now.backend(name),
                    **{f"{day} {name} {key}": of.backend(name) for key, of in then.items()}})
    check.same("reports: backends", f"{day} how many", len(data["backends"]), len(BACKENDS))
    for lines, length in (("hours", timedelta(hours=1)), ("days", timedelta(days=1))):
        expected = line_rows(recount, now, length) if (lines == "hours") == (kind == "daily") else {}
        check.rows(f"reports: {lines}", {f"{day} {row['from']}": row for row in data[lines]}, expected)
    check_changes(check, day, data, now, before)
    check_timeline(check, day, data["timeline"], now, recount)
    check_expected(check, recount, now, data["expected"])
    check.rows("reports: sources", {f"{day} {row['app']}@{row['host']}": row for row in data["sources"]},
               source_rows(day, now, before))
    check.rows("reports: ledger", {(row["host"], row["app"], row["path"]): row for row in data["ledger"]}, {
        key: {"committed": totals["bytes"], "rejects": totals["rejects"], "rejected_bytes": totals["rejected_bytes"],
              "dropped": {}}
        for key, totals in recount.files.items()
    })


def check_metrics(check: Comparison, day: date, found: list[Row], now: Period, then: dict[str, Period]) -> None:
    """One row over all labels and one per set of labels of this period or the one before, each with those of `then`."""
    these, those = now.metric_rows(), {key: of.metric_rows() for key, of in then.items()}
    rows = {(row["metric"], tuple(sorted(row["labels"].items()))): row for row in found}
    check.same("reports: metrics", f"{day} rows twice", len(found) - len(rows), 0)
    check.same("reports: metrics", f"{day} order", [(row["metric"], str_labels(row["labels"])) for row in found],
               sorted((row["metric"], str_labels(row["labels"])) for row in found))
    keys = these.keys() | those["previous"].keys()
    for which, side, of in (("", these, now), *((key, those[key], then[key]) for key in then)):
        check.rows("reports: metrics",
                   {f"{day} {key} {which}": row[which] if which else row for key, row in rows.items()},
                   {f"{day} {key} {which}": side.get(key) or of.nothing(key[0]) for key in keys})


def str_labels(labels: dict[str, str]) -> str:
    return json.dumps(labels, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def line_rows(recount: Recount, of: Period, length: timedelta) -> dict[str, Row]:
    """One row for each local hour (24, or 23 or 25 where the clocks change) or each local day."""
    if length == timedelta(hours=1):
        bounds = [(start, start + 60) for start in range(of.start, of.end, 60)]
        heads: list[Row] = [{"hour": datetime.fromtimestamp(start * 60, ZONE).hour} for start, _ in bounds]
    else:
        dates = [of.first + timedelta(days=n) for n in range((of.after - of.first).days)]
        bounds = [(first_minute(day), first_minute(day + length)) for day in dates]
        heads = [{"date": day.isoformat()} for day in dates]
    line_of = {minute: i for i, (start, end) in enumerate(bounds) for minute in range(start, end)}
    values = {metric: recount.grouped(metric, line_of.get) for metric in (*COUNTERS, *DISTRIBUTIONS)}

    def all_of(metric: str, i: int) -> list[int]:
        return [value for (_, line), found in values[metric].items() if line == i for value in found]

    return {f"{of.first} {utc(start)}": {
        **heads[i], "to": utc(end),
        "calls": len(all_of("calls", i)) if of.seen else None,
        "backend_calls": sum(len(all_of(f"{name}_calls", i)) for name in BACKENDS.values()) if of.seen else None,
        "backend_failures": sum(len(all_of(f"{name}_failures", i)) for name in BACKENDS.values()) if of.seen else None,
        "outcomes": {"payments": {how: len(all_of(f"payments_{how}", i)) if of.seen else None
                                  for how in ("ok", "failed")}},
        "p95_ms": Percentiles({name: numbers(f"{name}_time", all_of(f"{name}_time", i))["p95"]
                               for name in BACKENDS.values()}),
    } for i, (start, end) in enumerate(bounds)}


class Percentiles(dict[str, Any]):
    """Percentiles by backend; equal to others within the error that those of many values may have."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and self.keys() == other.keys() and all(
            mine == other[name] or (None not in (mine, other[name])
                                    and abs(mine - other[name]) <= abs(mine) * RELATIVE_ERROR_MAX)
            for name, mine in self.items())

    __hash__ = None  # type: ignore[assignment]


def check_changes(check: Comparison, day: date, data: Row, now: Period, before: Period) -> None:
    """What is said to have changed has these two values, and of how many days there are records."""
    these, those = now.metric_rows(), before.metric_rows()
    for change in data["changes"]:
        key = (change["metric"], ())
        check.row("reports: changes", f"{day} {change['metric']}", {"value": change["now"], "was": change["before"]},
                  {"value": these[key][change["stat"]], "was": those[key][change["stat"]], "#": 0}
                  if change["stat"] == "value" else {"#": 0})
    for key, of in (("this", now), ("previous", before)):
        days = {local_date(minute) for minutes in of.minutes("records") for minute in minutes}
        check.same("reports: changes", f"{day} days seen, {key}", data["days_seen"][key], len(days))


def check_timeline(check: Comparison, day: date, found: list[Row], now: Period, recount: Recount) -> None:
    """Each minute with starts and stops of VIP servers."""
    expected = {f"{day} {utc(minute)} {what} {host}": {"count": count, "to": utc(minute + 1)}
                for (event, host, minute), count in recount.events.items()
                for what in ("start", "stop") if event == f"vip_{what}" and now.start <= minute < now.end}
    check.rows("reports: timeline",
               {f"{day} {row['from']} {row['what']} {row['labels']['host']}": row for row in found}, expected)


def check_expected(check: Comparison, recount: Recount, of: Period, found: list[Row]) -> None:
    """Per rule and day: when the first came that was due, and each pause in the working hours."""
    for rule in found:
        seen = sorted({minute for minutes in recount.values[rule["metric"]].values() for minute in minutes})
        days = [of.first + timedelta(days=n) for n in range((of.after - of.first).days)]
        check.same("reports: expected", f"{of.first} {rule['name']} days", [day["date"] for day in rule["days"]],
                   [day.isoformat() for day in days])
        for day, row in zip(days, rule["days"], strict=True):
            where = f"{day} {rule['name']}"
            if "due" in rule:
                first = next((m for m in seen if first_minute(day) <= m < first_minute(day + timedelta(days=1))), None)
                check.same("reports: expected", where, row["at"], first and utc(first))
                late = first is not None and first >= clock_minute(day, rule["due"])
                states = ("late",) if late else ("ok",) if first else ("missing", "unknown")
            else:
                start, end = (clock_minute(day, text) for text in rule["between"].split("-"))
                edges = [start, *(edge for m in seen if start <= m < end for edge in (m, m + 1)), end]
                pauses = [{"from": utc(a), "to": utc(b), "minutes": b - a} for a, b in zip(edges[::2], edges[1::2],
                          strict=True) if b - a > rule["within_minutes"]]
                check.same("reports: expected", where, row["pauses"], pauses)
                states = ("pauses", "unknown") if pauses else ("ok",)
            check.same("reports: expected", f"{where} {row['state']}", row["state"] in states, True)


def clock_minute(day: date, text: str) -> int:
    """The minute since the epoch of a local time."""
    hour, minute = map(int, text.split(":"))
    return int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE).timestamp()) // 60


def source_rows(day: date, now: Period, before: Period) -> dict[str, Row]:
    """Records by level, and rejects, of each source of this day or the day before."""
    found: dict[str, Row] = {}
    for daily in (before, now):
        for labels, values in daily.rows["records"].items():
            about = dict(labels)
            row = found.setdefault(f"{day} {about['app']}@{about['host']}", {"records": 0, "rejects": 0, "levels": {}})
            if daily is now:
                row["records"] += len(values)
                row["levels"][about["level"]] = len(values)
        for labels, values in daily.rows["rejects"].items():
            about = dict(labels)
            found[f"{day} {about['app']}@{about['host']}"]["rejects"] += len(values) if daily is now else 0
    return found
