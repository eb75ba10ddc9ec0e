"""Entries of the archive -> months of days, lists of weeks and months, and the links between reports. Pure."""

from calendar import Calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from logagg.report.entries import Entry
from logagg.report.words import heading

SIGNS = {"ok": ("✓", "ok"), "warn": ("▲", "warning"), "error": ("✕", "error"), "incomplete": ("…", "incomplete"),
         "none": ("–", "no data")}
"""Each mark as a shape and a word: nothing is told by colour alone."""


@dataclass(frozen=True, slots=True)
class Link:
    """One report. `href` is relative to the archive's folder."""

    kind: str
    first: date
    href: str
    mark: str
    why: str
    revisions: int
    complete: bool

    @property
    def heading(self) -> str:
        return heading(self.kind, self.first)

    @property
    def sign(self) -> str:
        return SIGNS[self.mark][0]

    @property
    def word(self) -> str:
        return SIGNS[self.mark][1]


@dataclass(frozen=True, slots=True)
class Week:
    """A line of a calendar: its ISO number, its report if there is one, and seven days; None: of another month."""

    number: int
    link: Link | None
    days: Sequence[tuple[date, Link | None] | None]


@dataclass(frozen=True, slots=True)
class Month:
    name: str
    link: Link | None
    weeks: Sequence[Week]


class Shelf:
    """All reports of one name, found by kind and first day."""

    def __init__(self, name: str, found: Mapping[str, Entry]) -> None:
        self.name = name
        self.links: dict[tuple[str, date], Link] = {}
        for key, entry in found.items():
            kind, _, text = key.partition("/")
            number, _, complete = entry["revisions"][-1]
            first = date.fromisoformat(text)
            self.links[kind, first] = Link(kind, first, f"{name}/{key}/r{number}/index.html", entry["mark"],
                                           "; ".join(entry["why"]), len(entry["revisions"]), complete)
        self._order = {kind: sorted(first for one, first in self.links if one == kind) for kind, _ in self.links}
        self._places = {(kind, first): i for kind, firsts in self._order.items() for i, first in enumerate(firsts)}

    def of(self, kind: str, year: int | None = None) -> list[Link]:
        """The reports of one kind (that begin in one year), the newest first."""
        return [self.links[kind, first] for first in reversed(self._order.get(kind, ()))
                if year in (None, first.year)]

    def beside(self, kind: str, first: date, step: int) -> Link | None:
        """The report of the same kind before (-1) or after (1)."""
        at = self._places[kind, first] + step
        firsts = self._order[kind]
        return self.links[kind, firsts[at]] if 0 <= at < len(firsts) else None

    def around(self, kind: str, first: date) -> list[Link]:
        """The week and month that a day lies in, the month that a week begins in; those that there are."""
        wider = [("weekly", first - timedelta(days=first.weekday()))] if kind == "daily" else []
        wider += [("monthly", first.replace(day=1))] if kind != "monthly" else []
        return [self.links[one] for one in wider if one in self.links]

    def years(self) -> list[int]:
        """The years in which a report begins, the newest first."""
        return sorted({first.year for _, first in self.links}, reverse=True)

    def months(self, year: int | None = None) -> list[Month]:
        """The calendar of each month with a daily report (in one year), the newest first."""
        found = dict.fromkeys(link.first.replace(day=1) for link in self.of("daily", year))
        return [self._month(first) for first in found]

    def _month(self, first: date) -> Month:
        weeks = []
        for days in Calendar().monthdatescalendar(first.year, first.month):
            shown = [(day, self.links.get(("daily", day))) if day.month == first.month else None for day in days]
            weeks.append(Week(days[0].isocalendar().week, self.links.get(("weekly", days[0])), shown))
        return Month(heading("monthly", first), self.links.get(("monthly", first)), weeks)
