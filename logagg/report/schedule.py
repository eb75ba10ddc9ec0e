"""The ledger of periods: what due.py says is due is claimed, built, mailed and noted, each period once.

A period is a document "period" under `<report>/<kind>/<first day>`:

    {"state": "building" | "built" | "due", "revision", "complete", "built_at", "path", "mailed": {"1": true},
     "digest", "reason", "claimed_by", "claimed_until_us"; "error" and "attempts" where building failed ("due")}

The way of one period, with what a `kill -9` after each step leaves behind:

    claim   by compare-and-set, for CLAIM_S        building: built by the next run once the claim has ended
    build   files, by one rename                   the same; the same numbers are the same revision
    mail    into the outbox, under a fixed name    the same; the outbox has it already
    note    "built", by compare-and-set            done

Who decided on an entry that has changed since leaves it alone. Two who build one period because a claim ran out write
the same files and the same mail.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from logagg.clock import Clock
from logagg.errors import StoreUnavailable
from logagg.interfaces import Store
from logagg.report.build import BuiltReport
from logagg.report.due import MINUTE_US, Days, Due, ScheduledReport, Situation, Waiting, due, key_of
from logagg.report.period import Period, utc_text
from logagg.rollup.metric import RECORDS
from logagg.rollup.query import UNFOLDED_MAX
from logagg.rollup.window import FIRST_MINUTE, LAST_MINUTE

log = logging.getLogger(__name__)

CLAIM_S = 30.0
RETRY_S = 60.0
RETRY_MAX_S = 3600.0


@dataclass(frozen=True, slots=True)
class Built:
    """What was done for one period. `why` is the reason of the decision, `mailed`: something was put to be sent."""

    key: str
    why: str
    report: BuiltReport
    mailed: bool


@dataclass
class Scheduler:
    """Builds the reports that are due whenever `run_due` is called; nothing happens between the calls.

    `build` makes a report, named by its configuration, whole: the archive's pages included. `mail` puts it into the
    outbox and tells whether there was anyone to send it to; called again for the same revision it must put nothing
    more. Both may raise StoreUnavailable, which ends `run_due`; after any other error the period is tried again
    later, the others now.
    """

    store: Store
    reports: Sequence[ScheduledReport]
    build: Callable[[str, Period], BuiltReport]
    mail: Callable[[str, Period, BuiltReport], bool]
    clock: Clock
    _waiting: Mapping[str, Waiting] = field(default_factory=dict)
    _holder: str = field(default_factory=lambda: secrets.token_hex(8))

    def run_due(self, go_on: Callable[[], bool] = lambda: True) -> list[Built]:
        """Build all that is due now, the earliest first, as long as `go_on` says so."""
        decision = due(self.reports, self.situation(), self._waiting)
        self._waiting = decision.waiting
        done = []
        for one in decision.due:
            if not go_on():
                break
            built = self._take(one)
            if built is not None:
                done.append(built)
        return done

    def situation(self) -> Situation:
        """What the store knows now. It reads one small bucket per day and zone, and no event."""
        days = {zone: found for zone in {report.timezone for report in self.reports}
                if (found := folded_days(self.store, zone)) is not None}
        return Situation(self.clock.now_us(), self.store.documents("period"), days, read_to_us(self.store),
                         self._since_us())

    def _since_us(self) -> int:
        found = self.store.document("schedule", "since")
        if found is None:
            self.store.put_document("schedule", "since", 0, {"at_us": self.clock.now_us()})
            found = self.store.document("schedule", "since")
        return int(found[1]["at_us"]) if found else self.clock.now_us()

    def _take(self, one: Due) -> Built | None:
        """Claim, build, mail and note one period; None where another was faster or it failed."""
        key = key_of(one.report.name, one.period)
        revision, value = self.store.document("period", key) or (0, {})
        if value != one.known:
            return None
        claimed = value | {"state": "building", "claimed_by": self._holder, "reason": one.reason,
                           "claimed_until_us": self.clock.now_us() + round(CLAIM_S * 1e6)}
        if not self.store.put_document("period", key, revision, claimed):
            return None
        try:
            built = self.build(one.report.name, one.period)
            mailed = one.mail and self.mail(one.report.name, one.period, built)
        except StoreUnavailable:
            raise
        except Exception as error:  # whatever it is: one report must not hold up the others, nor the service
            log.error("the report %s cannot be built: %s; it will be tried again", key, error,
                      exc_info=log.isEnabledFor(logging.DEBUG))
            self._note(key, revision + 1, self._failed(claimed, error))
            return None
        self._note(key, revision + 1, self._done(one, claimed, built, mailed))
        return Built(key, one.reason, built, mailed)

    def _note(self, key: str, revision: int, value: dict[str, Any]) -> None:
        """Write the outcome; who has taken over an expired claim meanwhile writes its own."""
        if not self.store.put_document("period", key, revision, value):
            log.warning("the report %s took longer than %.0f s and was taken over", key, CLAIM_S)

    def _done(self, one: Due, claimed: Mapping[str, Any], built: BuiltReport, mailed: bool) -> dict[str, Any]:
        return {
            "state": "built", "revision": built.revision, "complete": built.complete, "digest": one.digest,
            "reason": one.reason, "built_at": utc_text(self.clock.now_us()),
            "path": f"{key_of(one.report.name, one.period)}/r{built.revision}/index.html",
            "mailed": {**claimed.get("mailed", {}), **({str(built.revision): True} if mailed else {})},
        }

    def _failed(self, claimed: Mapping[str, Any], error: Exception) -> dict[str, Any]:
        attempts = int(claimed.get("attempts", 0)) + 1
        wait_s = min(RETRY_MAX_S, RETRY_S * 2.0 ** min(attempts - 1, 20))
        return {**claimed, "state": "due", "error": f"{type(error).__name__}: {error}"[:1000], "attempts": attempts,
                "claimed_until_us": self.clock.now_us() + round(wait_s * 1e6)}


def folded_days(store: Store, zone: str) -> Days | None:
    """The days of a zone; None while they are not folded.

    Every fold of a day writes its `records` bucket, changed or not (rollup/fold.py): its revision stands for all.
    """
    ready = store.document("zone", zone or "UTC")
    if not (ready and ready[1].get("ready")):
        return None
    found = [(key.start, bucket.revision, bool(bucket.rows)) for key, bucket in
             store.buckets("day", zone or "UTC", FIRST_MINUTE, LAST_MINUTE, metric=RECORDS.name)]
    return Days([start for start, _, _ in found], [revision for _, revision, _ in found],
                [start for start, _, rows in found if rows])


def read_to_us(store: Store) -> int:
    """Up to when everything is known: every source seen was read to its end then, and all of that is folded."""
    observed = store.documents("observation")
    sources = {f"{stream.app}@{stream.host}" for stream in store.streams()} | observed.keys()
    read_us = min((int(observed.get(source, {}).get("at_us", 0)) for source in sources), default=0)
    marks = store.unfolded(UNFOLDED_MAX)
    if len(marks) == UNFOLDED_MAX:
        return 0
    return min([read_us, *(minute * MINUTE_US for mark in marks for minute in mark.dirty)])


class Waker:
    """Calls `wake` every minute, and at each midnight of the zones. A context manager.

    Nothing depends on a call: what one misses the next one finds due.
    """

    def __init__(self, zones: Sequence[str], wake: Callable[[], object]) -> None:
        self._zones = zones
        self._wake = wake

    def __enter__(self) -> "Waker":
        from apscheduler.schedulers.background import BackgroundScheduler
        from apscheduler.triggers.cron import CronTrigger
        from apscheduler.triggers.interval import IntervalTrigger

        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._scheduler = BackgroundScheduler(timezone="UTC", daemon=True)
        midnights = [CronTrigger(hour=0, minute=0, second=1, timezone=zone or "UTC") for zone in set(self._zones)]
        for trigger in (IntervalTrigger(minutes=1), *midnights):
            self._scheduler.add_job(self._wake, trigger, coalesce=True, misfire_grace_time=None)
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._scheduler.shutdown(wait=False)


def keep_building(scheduler: Scheduler, wake: threading.Event, stop: threading.Event, leads: Callable[[], bool],
                  clock: Clock) -> None:
    """Build what is due at once and whenever `wake` is set, until `stop` is; only while this process leads."""
    wait_s = 0.0
    while not clock.wait(stop, wait_s):
        wait_s = 0.0
        wake.clear()
        try:
            if leads():
                scheduler.run_due(lambda: not stop.is_set() and leads())
        except StoreUnavailable as error:
            log.warning("building reports: %s; trying again", error)
            wait_s = RETRY_S
            continue
        while not stop.is_set() and not clock.wait(wake, 1.0):
            pass
