"""The aggregator role: folds what agents commit, watches the rules, sends the mail, builds the reports that are due,
merges small chunks.

One process of all on a store leads at a time (lease.py); the others stand by. The mail is sent by every aggregator:
each message is claimed by compare-and-set.
"""

import logging
import random
import threading
import time
from contextlib import suppress
from itertools import count

from logagg.alert.engine import Engine
from logagg.clock import Clock
from logagg.config import Config
from logagg.config.machine import machine_host
from logagg.errors import StoreUnavailable
from logagg.interfaces import Store
from logagg.lease import Lease
from logagg.merge import Merger
from logagg.notify.email import EmailChannel
from logagg.notify.incident import IncidentMailer
from logagg.notify.outbox import Outbox
from logagg.notify.sender import Sender
from logagg.notify.space import SpaceWatch
from logagg.publisher import Publisher
from logagg.report.schedule import Scheduler, Waker, keep_building
from logagg.retry import Backoff
from logagg.rollup.expire import expire
from logagg.rollup.fold import MARKS_MAX, Folder
from logagg.rollup.metric import MetricSet
from logagg.together import Work, run_together

log = logging.getLogger(__name__)

FOLD_S, FOLD_IDLE_S = 0.25, 1.0
"""How often to ask for what agents of other processes commit: while they do, and else."""

FOLD_REST_FACTOR, FOLD_REST_S = 4, 0.15
"""A fold rests so many times as long as it took, and up to so long even twice as many times: where much is going on,
that is soon enough."""

EVALUATE_S = 1.0
"""How often to evaluate where nothing is folded: how far sources were read is written down every few seconds."""

WAITING_MAX = MARKS_MAX
"""Nothing is merged while more waits to be folded than one fold takes."""

LOOK_EVERY = 20
MERGE_S = 60.0
EXPIRE_FIRST_S = 60.0
EXPIRE_S = 3600.0
SPACE_S = 2.0


class Aggregator:
    """`committed` is set whenever an agent of this process has committed something."""

    def __init__(self, config: Config, store: Store, metrics: MetricSet, clock: Clock,
                 committed: threading.Event) -> None:
        self._config, self._store, self._clock, self._committed = config, store, clock, committed
        self._folder = Folder(store, metrics, config.zones())
        self._evaluated_s = float("-inf")
        sender = config.smtp.sender if config.smtp else ""
        self._outbox = Outbox(store, config.channels, clock, from_address=sender)
        self._engine = Engine(
            store, config.rules, metrics, sorted({(source.app, source.host) for source in config.sources}),
            notifier=IncidentMailer(self._outbox, config.web.public_url, config.timezone), clock=clock,
            age_max_s=config.notify.age_max_s,
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; what was committed until then is folded and watched, and mailed if it can be."""
        works: dict[str, Work] = {"merge": self._merge, "fold": self._fold, "expire": self._expire,
                                  "space": self._watch_space}
        if self._config.reports:
            works["reports"] = self._report
        if self._config.smtp is not None:
            works["mail"] = self._send
        run_together(works, stop)

    def settle(self) -> None:
        """Fold and evaluate all that is there, as after a first reading; what is found late is stored, not mailed."""
        self._folder.fold_all()
        quiet = 0
        while quiet < 2:    # an application that is new to a rule is looked at again by the next call
            quiet = 0 if self._engine.evaluate() else quiet + 1

    def _fold(self, stop: threading.Event) -> None:
        """Fold and evaluate as soon as something is committed.

        That takes at most a fifth of a core, so that reading is not held up.
        """
        lease, backoff = Lease(self._store, self._clock), Backoff(random.Random())
        rest_s, wait_s = 0.0, FOLD_S
        while not self._clock.wait(stop, rest_s):
            self._clock.wait(self._committed, wait_s)
            self._committed.clear()
            start_s = time.thread_time()    # not what it waited for the disk, or for others on a busy machine
            try:
                folded = self._step(lease)
                backoff.reset()
                rest_s = FOLD_REST_FACTOR * (time.thread_time() - start_s) if folded else 0.0
                rest_s = max(rest_s, min(2 * rest_s, FOLD_REST_S))
                wait_s = FOLD_S if folded else min(2 * wait_s, FOLD_IDLE_S)
            except StoreUnavailable as error:
                rest_s = backoff.next_s()
                log.warning("folding: %s; trying again", error)
        with suppress(StoreUnavailable):
            self._evaluated_s = float("-inf")
            self._step(lease)
            lease.release()

    def _step(self, lease: Lease) -> bool:
        """Fold and evaluate once, if this process leads; tell whether anything was folded."""
        if not lease.hold():
            return False
        folded = self._folder.fold()
        now_s = self._clock.monotonic_s()
        if folded.chunks or now_s - self._evaluated_s >= EVALUATE_S:
            self._engine.evaluate()
            self._evaluated_s = now_s
        return folded.chunks > 0

    def _merge(self, stop: threading.Event) -> None:
        """Merge small chunks once a minute, or as soon as what was merged is folded."""
        lease, merger = Lease(self._store, self._clock, "merge"), Merger(self._store)
        wait_s, asked = MERGE_S, count()

        def may_go_on() -> bool:
            return not stop.is_set() and lease.hold() and (next(asked) % LOOK_EVERY > 0 or self._is_folded())

        while not self._clock.wait(stop, wait_s):
            try:
                if lease.hold() and self._is_folded():
                    before, after = merger.merge(self._clock.now_us(), may_go_on)
                    if before:
                        self._committed.set()
                        log.info("merged %d chunks into %d", before, after)
                wait_s = MERGE_S if self._is_folded() else FOLD_IDLE_S
            except StoreUnavailable as error:
                log.warning("merging: %s; trying again in a minute", error)
                wait_s = MERGE_S

    def _is_folded(self) -> bool:
        """Whether little waits to be folded: what is merged is folded again, and must not hold up what is new."""
        return len(self._store.unfolded(WAITING_MAX)) < WAITING_MAX

    def _expire(self, stop: threading.Event) -> None:
        """Delete what is too old, soon after the start and then once an hour."""
        lease, wait_s = Lease(self._store, self._clock, "expire"), EXPIRE_FIRST_S
        while not self._clock.wait(stop, wait_s):
            wait_s = EXPIRE_S
            try:
                if lease.hold():
                    deleted = expire(self._store, self._config.retention, self._clock.now_us(),
                                     lambda: not stop.is_set() and lease.hold())
                    if any(deleted.values()):
                        log.info("expired: %(chunks)d chunks, %(events)d events, %(buckets)d buckets", deleted)
            except StoreUnavailable as error:
                log.warning("expiring: %s; trying again in an hour", error)

    def _watch_space(self, stop: threading.Event) -> None:
        """Tell people when the store has no space left, and when it has again."""
        channels = self._config.notify.send or tuple(channel.name for channel in self._config.channels)
        mailer = IncidentMailer(self._outbox, None, self._config.timezone)
        watch = SpaceWatch(self._store, mailer, channels, self._clock, machine_host())
        while not self._clock.wait(stop, SPACE_S):
            try:
                watch.look()
            except StoreUnavailable as error:
                log.warning("looking for space: %s; trying again", error)

    def _send(self, stop: threading.Event) -> None:
        assert self._config.smtp is not None
        Sender(self._store, EmailChannel(self._config.smtp), self._clock).run(stop, self._outbox.wake)

    def _report(self, stop: threading.Event) -> None:
        """Build what is due, at once and at every period's end."""
        lease, wake = Lease(self._store, self._clock, "reports"), threading.Event()
        with Publisher(self._config, self._store, self._clock, self._outbox) as publisher:
            scheduler = Scheduler(self._store, self._config.reports, publisher.build, publisher.mail, self._clock)
            with Waker([report.timezone for report in self._config.reports], wake.set):
                keep_building(scheduler, wake, stop, lease.hold, self._clock)
        with suppress(StoreUnavailable):
            lease.release()
