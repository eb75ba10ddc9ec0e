"""Rules at work: after each fold, which incidents begin, go on and end; writes them and tells the notifier.

`evaluate` is a step that may be cut off anywhere and begun again: incidents follow from the counters and from how far
the sources were read, so the same is found again, under the same ids. An incident is written before the notifier is
told, and that it was told is written after; the notifier sees the same news twice at most as the same message.

One engine at a time writes to a store (the aggregator's lease sees to that). Where two do, for a moment, one of them
finds a document moved, forgets what it knew, and begins again with the next step.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Protocol

from logagg.alert.changes import Changes, Progress, Range, first_minute, last_minute
from logagg.alert.evidence import Evidence
from logagg.alert.incident import Incident, Incidents, Moved, is_open, to_tell, us_of
from logagg.alert.minutes import Minutes
from logagg.alert.rule import Rule, counters
from logagg.alert.watch import Lives, Watch
from logagg.clock import Clock
from logagg.errors import ConfigError
from logagg.interfaces import Store
from logagg.rollup.metric import RECORDS, MetricSet
from logagg.rollup.partial import MINUTE_US
from logagg.rollup.window import FIRST_MINUTE
from logagg.times import rfc3339

log = logging.getLogger(__name__)

SLICE_MINUTES = 1440
EARLY_MINUTES = 1440
"""How far back an event fires a rule while its source is not wholly read yet; what is older waits until it is."""

SAVE_S = 30.0
KEPT_MINUTES = 180
"""How much of the counters stays in memory between two steps."""

LONGEST_MINUTES = 92 * 1440
"""An incident that was longer than this, and is over, is not found again where data of its time arrive late."""

OPEN_MAX = 1000
"""Label sets of one rule that may be firing at once; more are a mistake in the rule's `by`, and are not stored."""


class Notifier(Protocol):
    """Whoever tells people."""

    def notify(self, incident: Mapping[str, Any]) -> None:
        """Take charge of telling that `incident` is in its state, firing or resolved; durable when it returns. Being
        told the same again must change nothing. KeyError: a channel is not there (any more)."""
        ...


@dataclass
class _Run:
    """A rule's way through its ranges; `at` is the minute that is evaluated next."""

    watch: Watch
    ranges: list[Range]
    at: int = 0
    start: int = 0
    lives: Lives = field(default_factory=Lives)
    stored: list[Incident] = field(default_factory=list)
    found: dict[str, Incident] = field(default_factory=dict)


class Engine:
    """Evaluates `rules` over a store. `sources` are those (app, host) that are configured: they count as not read
    until they are observed. `metrics` must collect the rules' counters. What is detected more than `age_max_s` after
    it happened is late: stored, not told."""

    def __init__(self, store: Store, rules: Sequence[Rule], metrics: MetricSet, sources: Sequence[tuple[str, str]], *,
                 notifier: Notifier, clock: Clock, age_max_s: float) -> None:
        self._store = store
        self._rules = {rule.name: rule for rule in rules}
        self._sources = sources
        self._notifier = notifier
        self._clock = clock
        self._age_max_us = round(age_max_s * 1e6)
        self._metrics = [metric.name for metric in counters(rules)]
        if missing := [name for name in self._metrics if name not in metrics]:
            raise ConfigError([f"counter {name} is not collected; expected the rules' counters among the metrics"
                               for name in missing])
        self._evidence = Evidence(store)
        self._incidents = Incidents(store)
        self._forget()

    def _forget(self) -> None:
        """Begin anew with what is stored."""
        self._watches: dict[str, Watch] = {}
        self._saved: dict[str, dict[str, Any]] = {}
        self._saved_s = self._clock.monotonic_s()
        self._changes = Changes(self._store)
        self._minutes = Minutes(self._store, self._metrics)
        self._incidents.reset()
        self._settled: object = None
        self._latest = FIRST_MINUTE

    def evaluate(self) -> list[Incident]:
        """Find what has changed since the last call; the incidents that were written, oldest first. Cheap where
        nothing has changed. Raises StoreUnavailable, after which the next call does the rest."""
        if not self._rules:
            return []
        try:
            return self._evaluate()
        except Moved as error:
            log.warning("%s; looking again", error)
            self._forget()
            return []
        except BaseException:
            self._forget()
            raise

    def _evaluate(self) -> list[Incident]:
        now_us = self._clock.now_us()
        now = now_us // MINUTE_US
        progress = self._changes.read(now)
        written = [] if self._watches else self._start(progress, now)
        for watch in self._watches.values():
            watch.look(progress, now)
        state = (progress.read_to, progress.unfolded)
        if progress.changed or state != self._settled:
            self._minutes.forget(progress.changed)
            written += self._run(progress, now_us)
            self._changes.done(progress, now)
            done = [watch.done() for watch in self._watches.values()]
            self._settled = state if all(done) else None
            if not all(done):
                # With a rule's new sources it is written down that it is to be looked at again.
                self._saved_s = float("-inf")
        self._save()
        return written

    # --- beginning and keeping --------------------------------------------------------------------------------------

    def _start(self, progress: Progress, now: int) -> list[Incident]:
        """Take up what was remembered; end the incidents of rules that are gone; tell what was not told."""
        remembered = self._store.documents("rule")
        self._latest = last_minute(self._store, now + EARLY_MINUTES)
        for name, rule in self._rules.items():
            blank = {"since": FIRST_MINUTE if progress.fresh else now}
            self._watches[name] = Watch(rule, remembered.get(name) or blank, self._changes.evaluated(name),
                                        self._sources)
            if name not in remembered:
                self._save_watch(name)
            else:
                self._saved[name] = remembered[name]
        ended = []
        for value in self._incidents.unfinished(now):
            if is_open(value) and not self._is_watched(value):
                ended.append({**value, "state": "resolved", "resolved_at": rfc3339(now * MINUTE_US),
                              "reason": "the rule was removed or watches something else now"})
            else:
                self._tell(value)
        return self._write(ended)

    def _is_watched(self, value: Incident) -> bool:
        rule = self._rules.get(value["rule"])
        return rule is not None and rule.type == value["type"] and set(rule.by) == value["labels"].keys()

    def _save(self) -> None:
        """Write down what is remembered: of a rule what has changed, then, now and then, how far all is evaluated: what
        counts as evaluated is not looked at again, unless the rule knows of the sources that it comes from."""
        for name in self._watches:
            self._save_watch(name)
        if self._clock.monotonic_s() - self._saved_s >= SAVE_S:
            self._changes.save({name: watch.complete for name, watch in self._watches.items()})
            self._saved_s = self._clock.monotonic_s()

    def _save_watch(self, name: str) -> None:
        value = self._watches[name].remembered()
        if value != self._saved.get(name):
            self._store.put_document("rule", name, None, value)
            self._saved[name] = value

    # --- evaluating -------------------------------------------------------------------------------------------------

    def _run(self, progress: Progress, now_us: int) -> list[Incident]:
        """Evaluate what each rule has to, a day at a time for all rules, so that each minute is read once."""
        now = now_us // MINUTE_US
        self._evidence.forget()
        early_from = now - EARLY_MINUTES
        floor = self._floor()
        self._latest = max([self._latest, *(min(end, now + EARLY_MINUTES) for _, end in progress.changed)])
        runs = []
        counted = cache(lambda: first_minute(self._store, self._metrics))
        for watch in self._watches.values():
            self._see_beginning(watch, progress, counted)
            if ranges := watch.ranges(progress, partial(self._counted_from, watch), floor):
                runs.append(_Run(watch, ranges))
        written: list[Incident] = []
        for run in runs:
            self._enter(run)
        while active := [run for run in runs if run.ranges]:
            start = min(run.at for run in active)
            for run in active:
                end = self._end(run, now)
                until = min(start + SLICE_MINUTES, end)
                if run.at < until:
                    run.found |= run.watch.advance(run.lives, self._minutes, self._evidence, run.at, until, early_from,
                                                   now_us)
                    run.at = until
                if run.at >= end or self._is_settled(run):
                    written += self._finish(run, early_from, now_us)
            self._minutes.forget([(FIRST_MINUTE, start - SLICE_MINUTES - 60)])
        self._minutes.forget([(FIRST_MINUTE, now - KEPT_MINUTES)])
        return written

    def _floor(self) -> int:
        """The freeze horizon: what is older may have expired in part, and stays as it was evaluated."""
        document = self._store.document("horizon", "freeze")
        return max(FIRST_MINUTE, int(document[1]["minute"])) if document else FIRST_MINUTE

    def _see_beginning(self, watch: Watch, progress: Progress, counted: Callable[[], int | None]) -> None:
        """Find from where on a rule can tell that something did not come: from the first record of the applications
        that write it, if rules were counted then."""
        earlier = progress.changed[0][0] if progress.changed else None
        if watch.rule.type != "absent" or not (watch.is_new() or watch.known_from is None or (
                earlier is not None and earlier < watch.known_from)):
            return
        first, recorded = counted(), first_minute(self._store, [RECORDS.name], sorted(watch.apps()) or None)
        known = first is not None and recorded is not None
        watch.known_from = max(first or 0, recorded or 0, watch.since) if known else None

    def _counted_from(self, watch: Watch) -> int | None:
        """The first minute that a rule has to look at."""
        if watch.rule.type == "absent":
            return watch.known_from
        return first_minute(self._store, [one.name for one in watch.rule.counters()])

    def _end(self, run: _Run, now: int) -> int:
        """Where the run ends: nothing is known of what comes later."""
        return min(max(run.ranges[0][1], self._latest, run.watch.end() + 1), now + EARLY_MINUTES)

    def _enter(self, run: _Run) -> None:
        """Begin with the run's first range, at least where the last one ended."""
        run.at = run.start = max(run.at, run.ranges[0][0])
        recent = run.start >= self._clock.now_us() // MINUTE_US - KEPT_MINUTES
        run.stored = self._incidents.of(run.watch.rule.name, run.start - (SLICE_MINUTES if recent else LONGEST_MINUTES))
        run.lives = run.watch.carried(run.stored, run.start)
        run.found = {}

    def _is_settled(self, run: _Run) -> bool:
        """Whether all that comes later is as it was: the range is behind, nothing is open, nor was when it was
        evaluated before."""
        rule = run.watch.rule
        margin = max(rule.window + rule.hold, (rule.within or 0) + 1, 1500 if rule.due is not None else 0)
        if run.at < run.ranges[0][1] + margin or not run.lives.idle():
            return False
        return not any(run.watch.spans(value, run.at) for value in run.stored)

    def _finish(self, run: _Run, early_from: int, now_us: int) -> list[Incident]:
        """Write what the range has made, and go on to the next one that is not behind already."""
        found = {key: self._kept(value, now_us) for key, value in run.found.items()}
        gone = list(run.watch.obsolete(run.stored, found, run.start, run.at, early_from, now_us))
        written = self._write([*found.values(), *gone])
        run.ranges = [(start, end) for start, end in run.ranges[1:] if end > run.at]
        if run.ranges:
            self._enter(run)
        return written

    # --- writing and telling ----------------------------------------------------------------------------------------

    def _kept(self, value: Incident, now_us: int) -> Incident:
        """An incident with what does not follow from the data: when it was found, and what was told of it."""
        known = self._incidents.known(value["id"])
        value = dict(value)
        if known:
            value |= {key: known[key] for key in ("handed", "detected_at")}
        if known and known["fired_at"]:
            value["late"] = known["late"]
        elif value["fired_at"]:
            value["late"] = now_us - us_of(value["fired_at"]) > self._age_max_us
            value["detected_at"] = rfc3339(now_us)
        return value

    def _write(self, values: Sequence[Incident]) -> list[Incident]:
        """Write those that differ from what is stored, and tell of them."""
        changed = [value for value in sorted(values, key=lambda value: str(value["id"]))
                   if self._incidents.known(value["id"]) != value]
        changed = self._bounded(changed)
        self._incidents.expect([value["id"] for value in changed if is_open(value) or to_tell(value)])
        for value in changed:
            self._incidents.put(value)
            self._tell(value)
        return changed

    def _bounded(self, changed: list[Incident]) -> list[Incident]:
        kept, fresh = [], 0
        for value in changed:
            if self._incidents.known(value["id"]) is None and is_open(value):
                fresh += 1
                if fresh > OPEN_MAX:
                    continue
            kept.append(value)
        if fresh > OPEN_MAX:
            log.warning("rule %s fires for %d label sets at once; %d are kept: choose other fields in its `by`",
                        changed[0]["rule"], fresh, OPEN_MAX)
        return kept

    def _tell(self, value: Incident) -> None:
        """Tell the notifier what it does not know of an incident, and write down that it does."""
        for state in to_tell(value):
            said = {**value, "state": state}
            if state == "firing":
                said |= {"resolved_at": None, "reason": value["because"]}
            try:
                self._notifier.notify(said)
            except KeyError as error:
                log.warning("incident %s cannot be sent: there is no channel %s", value["id"], error)
            value = {**value, "handed": [*value["handed"], state]}
            self._incidents.put(value)
