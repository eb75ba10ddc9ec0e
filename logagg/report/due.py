"""Which reports must be built now? A pure decision over what the store knows; schedule.py asks and acts.

A period is built once, when it has ended and
  - every source has been read past its end and all of that is folded ("ended"), or
  - GRACE_S have passed since its end and its numbers stand still ("incomplete").
It is built again, which makes a revision only if its numbers differ, when
  - it was incomplete and the sources have been read past its end since ("completed"), or
  - a day that it tells about has changed and stands still ("late data"), or
  - building it was begun and came to no end, or failed ("interrupted").

"Stands still" keeps revisions few: nothing has changed for SETTLE_S, doubled with each revision up to a day. Where
something always trickles in, twelve times that is waited and no longer.

Due are all periods since the service first looked at this store, and before that those with data or at most
QUIET_DAYS behind a day with data: a single record dated 1970 does not make reports of fifty empty years. A change is
looked for in periods that ended within WATCHED_DAYS; for older ones there is `logagg report build`.

Mailed is the newest ended period of each report and kind, once: never one that was caught up, never a revision.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal, Protocol

from logagg.report.period import KINDS, Period, period, previous, week_before
from logagg.rollup.window import local, start_of

GRACE_S = 15 * 60.0
SETTLE_S = 5 * 60.0
SETTLE_MAX_S = 24 * 3600.0
SETTLE_PATIENCE = 12
QUIET_DAYS = 31
WATCHED_DAYS = 400

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000

Reason = Literal["ended", "incomplete", "completed", "late data", "interrupted"]


class ScheduledReport(Protocol):
    """What the schedule takes from a `[[report]]` (`logagg.config.ReportConfig`)."""

    @property
    def name(self) -> str: ...

    @property
    def periods(self) -> Sequence[str]: ...

    @property
    def timezone(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Days:
    """A zone's local days, rising: `starts` in minutes, the `revisions` of what is rolled up, which rise with every
    change, and `seen`: the starts of days with records."""

    starts: Sequence[int] = ()
    revisions: Sequence[int] = ()
    seen: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A period that waits until its numbers stand still: since when they are what they are, and since when it waits."""

    digest: str
    changed_us: int
    since_us: int


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known at `now_us`.

    `ledger` is the documents "period" by key; `days` the folded zones; `read_us`: every source has been read, and all
    is folded, up to then; `since_us`: when the service first looked at this store.
    """

    now_us: int
    ledger: Mapping[str, Mapping[str, Any]]
    days: Mapping[str, Days]
    read_us: int
    since_us: int


@dataclass(frozen=True, slots=True)
class Due:
    """A period to build now. `digest` tells what its days were when this was decided, `known` its ledger entry."""

    report: ScheduledReport
    period: Period
    reason: Reason
    mail: bool
    digest: str
    known: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is due, the earliest period first, and what to remember as `waiting` for the next decision."""

    due: Sequence[Due]
    waiting: Mapping[str, Waiting]


def key_of(report: str, this: Period) -> str:
    """A period's key in the ledger, and its folder in the archive."""
    return f"{report}/{this.kind}/{this.first.isoformat()}"


def due(reports: Sequence[ScheduledReport], now: Situation, waiting: Mapping[str, Waiting]) -> Decision:
    """All periods of `reports` that must be built at `now.now_us`. `waiting` is what the last decision said of it."""
    found: list[Due] = []
    kept: dict[str, Waiting] = {}
    for report in reports:
        days = now.days.get(report.timezone)
        if days is None:
            continue            # its days are not folded yet: nothing can be said
        for this in (this for kind in report.periods for this in periods(kind, report.timezone, days, now)):
            key = key_of(report.name, this)
            known = now.ledger.get(key, {})
            old = this.to_us < now.now_us - WATCHED_DAYS * DAY_US
            if old and known.get("state") == "built":
                continue
            digest = digest_of(this, days)
            wait = _wait(waiting.get(key), digest, now.now_us)
            reason = why(this, known, digest, wait, now)
            if reason == "wait":
                kept[key] = wait
            elif reason != "no":
                found.append(Due(report, this, reason, mailed_if_built(this, known, now.now_us), digest, known))
    found.sort(key=lambda one: (one.period.to_us, KINDS.index(one.period.kind), one.report.name))
    return Decision(found, kept)


def why(this: Period, known: Mapping[str, Any], digest: str, wait: Waiting,
        now: Situation) -> Reason | Literal["no", "wait"]:
    """Why a period that has ended is to be built now; "wait": not yet, "no": it is built, or being built."""
    state = known.get("state")
    if state in ("building", "due") and known.get("claimed_until_us", 0) > now.now_us:
        return "no"
    read = now.read_us >= this.to_us
    if state == "built":
        if read and not known.get("complete"):
            return "completed"
        if digest == known.get("digest"):
            return "no"
        return "late data" if _still(wait, known.get("revision", 1), now.now_us) else "wait"
    if state is not None:
        return "interrupted"
    if read:
        return "ended"
    late = now.now_us >= this.to_us + round(GRACE_S * 1e6)
    return "incomplete" if late and _still(wait, 1, now.now_us) else "wait"


def mailed_if_built(this: Period, known: Mapping[str, Any], now_us: int) -> bool:
    """Whether the period is the newest that has ended, and was not mailed yet."""
    return not known.get("mailed") and period(this.kind, this.first, this.zone, ahead=1).to_us > now_us


def digest_of(this: Period, days: Days) -> str:
    """What the days of a period, and of those that it is compared with, are now: changes whenever one of them is
    folded again. From revisions alone, so that looking for late data reads no number."""
    told = []
    for one in (this, previous(this), week_before(this)):
        first, last = (bisect_left(days.starts, at_us // MINUTE_US) for at_us in (one.from_us, one.to_us))
        told.append([*zip(days.starts[first:last], days.revisions[first:last], strict=True)])
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def periods(kind: str, zone: str, days: Days, now: Situation) -> Iterator[Period]:
    """The periods that have ended and are to have a report, rising."""
    end = date.min
    for first, last in _spans(zone, days, now):
        day = max(first, end)
        while day <= last:
            this = period(kind, day, zone)
            if this.to_us > now.now_us:
                break
            if this.to_us > this.from_us:       # 2011-12-30 did not happen in Samoa
                yield this
            day = end = period(kind, day, zone, ahead=1).first


def _spans(zone: str, days: Days, now: Situation) -> Iterator[tuple[date, date]]:
    """The spans of local days [first, last] that have data, or follow data closely, or are since the service began."""
    if not days.seen:
        return
    today = local(now.now_us // MINUTE_US, zone).date()
    spans = [(day, min(day + timedelta(days=QUIET_DAYS), today)) for day in
             (local(start, zone).date() for start in days.seen) if day.year >= 1970 and day <= today]
    if spans:
        began = local(start_of("day", now.since_us // MINUTE_US, zone), zone).date()
        spans.append((max(began, spans[0][0]), today))
    at: tuple[date, date] | None = None
    for first, last in sorted(spans):
        if at is not None and first <= at[1] + timedelta(days=1):
            at = (at[0], max(at[1], last))
            continue
        if at is not None:
            yield at
        at = (first, last)
    if at is not None:
        yield at


def _wait(before: Waiting | None, digest: str, now_us: int) -> Waiting:
    if before is None:
        return Waiting(digest, now_us, now_us)
    return Waiting(digest, before.changed_us if before.digest == digest else now_us, before.since_us)


def _still(wait: Waiting, revision: int, now_us: int) -> bool:
    settle_us = round(min(SETTLE_MAX_S, SETTLE_S * 2.0 ** min(revision - 1, 20)) * 1e6)
    return now_us - wait.changed_us >= settle_us or now_us - wait.since_us >= SETTLE_PATIENCE * settle_us
