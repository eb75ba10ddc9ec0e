"""The tables of what happened when: incidents, starts and stops, and what was expected."""

from collections.abc import Sequence
from datetime import date, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from logagg.report.numbers import NO_DATA, duration, number
from logagg.report.tables import ROWS_MAX, Cell, Column, Row, Table, title
from logagg.report.words import weekday_day

INCIDENT_ROWS_MAX = 50
TIMELINE_ROWS_MAX = 100


class Clock:
    """Times of a report in its zone, with the day where a report has several."""

    def __init__(self, zone: str, days: bool) -> None:
        self._zone = ZoneInfo(zone)
        self._days = days

    def __call__(self, text: str) -> str:
        """RFC 3339 -> "13:36", or "Fri 20 Nov 13:36"."""
        local = datetime.fromisoformat(text).astimezone(self._zone)
        clock = f"{local:%H:%M}"
        return f"{weekday_day(local.date())} {clock}" if self._days else clock

    def full(self, text: str, first: str) -> str:
        """As above, but with the day wherever it is not that of `first`."""
        local, start = (datetime.fromisoformat(at).astimezone(self._zone) for at in (text, first))
        same = self._days or local.date() == start.date()
        return self(text) if same else f"{weekday_day(local.date())} {local:%H:%M}"


def incident_table(rows: Sequence[Row], clock: Clock, start: str) -> Table:
    """What fired, on what, from when to when, and how bad."""
    lines = []
    for row in rows[:INCIDENT_ROWS_MAX]:
        over = row["resolved_at"]
        lines.append((
            Cell(_words(row["rule"]), note=row["summary"] or row["reason"] or ""),
            Cell(", ".join(f"{name} {value}" for name, value in sorted((row["labels"] or {}).items())) or "–"),
            Cell(row["severity"] or "–", tone="bad" if row["severity"] == "critical" else ""),
            Cell(clock.full(row["fired_at"], start)),
            Cell(clock.full(over, start) if over else "not over", tone="" if over else "bad"),
            Cell(_length(row["fired_at"], over) if over else "–"),
        ))
    columns = (Column("Rule", False), Column("Where", False), Column("Severity", False), Column("Fired"),
               Column("Resolved"), Column("Lasted"))
    return Table("Incidents", columns, tuple(lines), more=max(0, len(rows) - INCIDENT_ROWS_MAX))


def timeline_tables(rows: Sequence[Row], clock: Clock) -> dict[str, Table]:
    """Per name (VIP) its starts and stops in order of time."""
    found = {}
    for name, group in groupby(sorted(rows, key=lambda row: str(row["name"])), key=lambda row: str(row["name"])):
        mine = sorted(group, key=lambda row: (row["from"], row["what"] == "start"))
        lines = []
        for row in mine[:TIMELINE_ROWS_MAX]:
            whole_hour = _minutes(row["from"], row["to"]) > 1
            head = f"{clock(row['from'])} to {clock(row['to'])}" if whole_hour else clock(row["from"])
            times = f" ({number(row['count'])} times)" if row["count"] > 1 else ""
            where = ", ".join(str(value) for _, value in sorted(row["labels"].items())) or "–"
            lines.append((Cell(head), Cell(row["what"] + times), Cell(where)))
        columns = (Column("Time", False), Column("What", False), Column("Where", False))
        found[name] = Table(f"{title(name)} starts and stops", columns, tuple(lines),
                            more=max(0, len(mine) - TIMELINE_ROWS_MAX), timed=True)
    return found


_STATES = {"ok": "on time", "late": "late", "missing": "did not come", "unknown": "not known yet"}


def expected_tables(rows: Sequence[Row], clock: Clock) -> list[Table]:
    """Due times kept or missed, and pauses longer than allowed."""
    due = [(row, day) for row in rows if "due" in row for day in row["days"]]
    within = [(row, day) for row in rows if "due" not in row for day in row["days"]]
    found = []
    if due:
        found.append(_due_table(due, clock))
    if within:
        found.append(_pause_table(within, clock))
    return found


def _due_table(due: Sequence[tuple[Row, Row]], clock: Clock) -> Table:
    lines: list[tuple[Cell, ...]] = []
    for row, days in _by_rule(due):
        for day in days:
            came = clock(day["at"])[-5:] if day["at"] else "–"
            lines.append((Cell(_words(row["name"])), _date(day), Cell(row["due"]), Cell(came),
                          Cell(_STATES[day["state"]], tone="bad" if day["state"] in ("late", "missing") else "")))
        if rest := _kept(row, days):
            lines.append((Cell(_words(row["name"])), Cell(rest), Cell(row["due"]), Cell("–"), Cell(_STATES["ok"])))
    columns = (Column("What", False), Column("Day", False), Column("Due"), Column("Came"), Column("State", False))
    return _cut("Against the schedule", columns, lines)


def _pause_table(within: Sequence[tuple[Row, Row]], clock: Clock) -> Table:
    lines: list[tuple[Cell, ...]] = []
    for row, days in _by_rule(within):
        head, allowed = Cell(_words(row["name"])), Cell(f"{row['within_minutes']} min, {row['between']}")
        for day in days:
            told = "; ".join(f"{clock(p['from'])[-5:]} to {clock(p['to'])[-5:]}, {_span(p['minutes'])}"
                             for p in day["pauses"])
            more = day["pauses_count"] - len(day["pauses"])
            told += f"; {more:,} more" if more else ""
            said = {"ok": "none", "unknown": _STATES["unknown"]}.get(day["state"], told)
            lines.append((head, _date(day), allowed, Cell(said, tone="bad" if day["state"] == "pauses" else "")))
        if rest := _kept(row, days):
            lines.append((head, Cell(rest), allowed, Cell("none")))
    columns = (Column("What", False), Column("Day", False), Column("Allowed"), Column("Longer pauses", False))
    return _cut("Pauses", columns, lines)


def _by_rule(found: Sequence[tuple[Row, Row]]) -> list[tuple[Row, list[Row]]]:
    """Each rule with the days that are told one by one: all of a day's report, else those that were not as expected."""
    rules = {row["name"]: row for row, _ in found}
    return [(row, [day for one, day in found if one is row and (len(row["days"]) == 1 or day["state"] != "ok")])
            for row in rules.values()]


def _kept(row: Row, told: Sequence[Row]) -> str:
    """The other days, as one line."""
    rest = len(row["days"]) - len(told)
    return (f"{rest:,} day{'s' if rest > 1 else ''}" if not told else f"the other {rest:,}") if rest else ""


def _cut(caption: str, columns: tuple[Column, ...], lines: list[tuple[Cell, ...]]) -> Table:
    most = 10 * ROWS_MAX
    return Table(caption, columns, tuple(lines[:most]), more=max(0, len(lines) - most), timed=True)


def _date(day: Row) -> Cell:
    return Cell(weekday_day(date.fromisoformat(day["date"])))


def _words(name: str) -> str:
    return title(name) if name else NO_DATA


def _span(minutes: int) -> str:
    return f"{minutes} min" if minutes < 60 else duration(60 * minutes)


def _minutes(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() / 60


def _length(start: str, end: str) -> str:
    minutes = _minutes(start, end)
    return _span(int(minutes)) if minutes == int(minutes) else duration(60 * minutes)
