"""The agent: follows all files of all sources, and hands what is new to `Ingest`.

One thread, one round after the other: list the folders (when names changed), ask the files that grew for their sizes,
identify new files, read a block of each whose turn it is, commit all blocks together, write down what was observed.
Where the kernel tells of growth, rounds are made when it does. A round costs what the files cost in which something
is to be done; those that rest are gone through every few seconds only.
A file is followed by its open descriptor through renames and deletion, to its end; the file that took its place is
read after it. Nothing is queued: while the store is out of reach, positions stay where they are.
"""

import logging
import random
import threading
import time
from collections.abc import Iterable, Sequence, Set
from typing import Any, Protocol

from logagg.clock import Clock, SystemClock
from logagg.errors import SourceError, StoreUnavailable
from logagg.ingest import Outcome, Segment
from logagg.interfaces import Store
from logagg.record import Stream
from logagg.retry import Backoff
from logagg.source.discover import FileSource
from logagg.source.follow import BLOCK_BYTES, Follower, Reading, State
from logagg.source.growth import Growth
from logagg.source.notice import Notices
from logagg.source.observe import Observer
from logagg.source.recognise import Holders, recognise, remember
from logagg.source.roster import OPEN_MAX, Roster
from logagg.source.turns import LIVE_S, ROUND_S, Turns
from logagg.source.watch import NoWatcher, Watcher
from logagg.terminal import size

log = logging.getLogger(__name__)

POLL_S = 0.2
BUSY_POLL_S = 0.05
ROUND_FACTOR, ROUND_S_MAX = 4, 0.2
"""Rounds begin so many times their own processor time apart, at most so far: where many files grow, more of them share
a commit."""

LIST_S = 1.0
WATCHED_LIST_S = 10.0
LISTED_PER_S = 1000
"""Folders that cannot be watched are listed so seldom that these many are a second, every ten seconds at least."""

LISTING_REST_FACTOR = 10
JUDGE_AGAIN_S = 30.0
JUDGED_PER_ROUND_MAX = 256
DISK_WAIT_FACTOR = 4
RENAME_S = 3.0
STOP_S = 5.0
TELL_S = 10.0
TELL_FILES_MIN = 1000
TELL_BYTES_MIN = 1 << 28


class Commits(Protocol):
    """What an agent needs of `Ingest`."""

    def commit(self, segments: Sequence[Segment]) -> list[Outcome]: ...

    def give_up(self, stream: Stream, end: int, reason: str) -> Stream: ...


class Agent:
    """Follows files. `step` does one bounded round; `run` steps until it is told to stop."""

    def __init__(
        self,
        sources: Sequence[FileSource],
        store: Store,
        ingest: Commits,
        *,
        clock: Clock | None = None,
        watcher: Watcher | None = None,
        rng: random.Random | None = None,
        block_bytes: int = BLOCK_BYTES,
        open_max: int = OPEN_MAX,
    ) -> None:
        self._store = store
        self._ingest = ingest
        self._clock = clock or SystemClock()
        self._watcher = watcher or NoWatcher()
        self._backoff = Backoff(rng or random.Random())
        self._notices = Notices()
        self._roster = Roster(sources, self._clock, self._notices, block_bytes=block_bytes, open_max=open_max)
        self._observers = {(s.app, s.host): Observer(s.app, s.host) for s in self._roster.sources}
        self._growth = Growth(self._roster)
        self._turns = Turns()
        self._retry_s = 0.0
        self._listed_s: float | None = None
        self._listing_s = 0.0           # how long the last listing took
        self._changed = False           # whether names changed since
        self._told_s: float | None = None       # when it was said last how far catching up is
        self._behind = False
        self._stepped_s = float("-inf")
        self._apart_s = BUSY_POLL_S     # how far the next round is to begin from the last
        self._renamed_s = 0.0
        self._restless: dict[Follower, None] = {}   # those of which not all is read and committed, as streams
        self._awake: dict[Follower, None] = {}      # those of them in which something may be to be done now
        self._shaken = True             # whether that may be any
        self._renames_due = False
        self._all: dict[tuple[str, str], list[Follower]] = {}   # all followers by app and host
        self._ignored: dict[str, dict[str, Any]] = {}   # what is written down of files that are too old
        self._watched: Set[str] = frozenset()
        self._recalled = False

    # --- the loop ---------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set; then commit what is there, last records included, for at most 5 s."""
        try:
            wait_s = 0.0
            while not self._wait(stop, wait_s):
                start_s = time.thread_time()
                wait_s = self.step()
                self._apart_s = min(max(BUSY_POLL_S, ROUND_FACTOR * (time.thread_time() - start_s)), ROUND_S_MAX)
            self.stop()
        finally:
            self.close()

    def _wait(self, stop: threading.Event, wait_s: float) -> bool:
        """Wait for the next round, at most `wait_s` where the kernel tells of growth; tell whether to stop.

        Rounds are a little apart, so that the lines of a moment are committed together.
        """
        if not self._growth.tells or wait_s <= 0:
            return self._clock.wait(stop, wait_s)
        self._watcher.wait(stop, wait_s)
        return self._clock.wait(stop, max(0.0, self._stepped_s + self._apart_s - self._clock.monotonic_s()))

    def step(self, *, final: bool = False) -> float:
        """One round; returns in how many seconds the next one is due. `final`: commit unfinished records too."""
        now_s, now_us = self._clock.monotonic_s(), self._clock.now_us()
        self._stepped_s = now_s
        if self._look(now_s, final=final):
            self._begin_observations(now_us)
        if now_s < self._retry_s:
            return min(POLL_S, self._retry_s - now_s)
        awake = list(self._awake)
        try:
            self._recall(now_us, now_s)
            self._identify(awake, now_s, final=final)
            if any(follower.unseen for follower in awake):      # before what took its place is committed: else a kill
                self._observe(now_s, final=False, lost=True)    # in between would leave no trace of it
            self._commit(awake, now_s, final=final)
            self._observe(now_s, final=final)
        except StoreUnavailable as error:
            self._shaken = True
            self._retry_s = now_s + self._backoff.next_s()
            self._notices.begin("store", f"{error}; trying again until it is back, nothing is lost")
            return min(POLL_S, self._retry_s - now_s)
        self._backoff.reset()
        self._notices.end("store", "the store is back")
        self._tell(now_s)
        return self._wait_s(awake, now_s)

    def _recall(self, now_us: int, now_s: float) -> None:
        """Once, before anything is read: what those who read here before have left."""
        for (app, host), observer in self._observers.items() if not self._recalled else ():
            observer.recall(self._store, now_us, now_s)
            if any(one.ignore_older_s for one in self._roster.sources if (one.app, one.host) == (app, host)):
                self._roster.finish(app, host, observer.unfinished(self._store))
        self._recalled = True

    def stop(self) -> None:
        """Commit all that is there, as far as the store and 5 s allow; the rest is read at the next start."""
        end_s = self._clock.monotonic_s() + STOP_S
        self._retry_s = 0.0
        self._listed_s = None
        while True:
            self.step(final=True)
            unread = any(follower.behind and not self._turns.wait_s(follower.source, self._clock.monotonic_s())
                         for follower in self._roster.followers)
            if self._retry_s or not unread or self._clock.monotonic_s() >= end_s:
                return

    def close(self) -> None:
        """Let go of all files and folders."""
        self._roster.close()
        self._watcher.close()

    def _wait_s(self, awake: Sequence[Follower], now_s: float) -> float:
        """How long nothing is to be done, if no file grows: at most until sizes are asked for again."""
        wait_s = min(self._growth.due_s(), self._list_due_s(now_s)) - now_s
        if self._growth.asked_in_rounds or not self._growth.tells:
            wait_s = min(wait_s, BUSY_POLL_S if now_s - self._growth.grew_s < 1.0 else POLL_S)
        for follower in awake:
            if follower.state is State.UNKNOWN and follower.size:
                wait_s = min(wait_s, POLL_S)
            due = 0.0 if follower.scanning else follower.due_s(now_s)
            if due is not None and due < wait_s and self._is_first(follower):
                wait_s = min(wait_s, max(due, self._turns.wait_s(follower.source, now_s)))
        return max(0.0, wait_s)

    # --- a round ----------------------------------------------------------------------------------------------------

    def _look(self, now_s: float, *, final: bool) -> bool:
        """List the folders and ask files for their sizes, as far as that is due; tell whether all files were asked."""
        self._changed |= self._watcher.take_changed()
        named = self._watcher.take_grown()
        before = self._roster.told(named or ())
        if final or now_s >= self._list_due_s(now_s):
            self._list(now_s)
        away = now_s < self._retry_s        # nothing is read, so a look is all that tells what a file is
        everything = final or now_s >= self._growth.due_s()
        grown = self._growth.look(now_s, named, before, all_of_them=everything, check=away)
        if self._shaken or self._roster.moved:
            self._all = self._by_source(self._roster.followers)
            self._restless = {f: None for f in self._roster.followers if _is_restless(f)}
            self._renames_due = True
            self._shaken = False
            self._roster.moved.clear()
            self._awake = dict(self._restless)
        elif everything:
            self._restless.update(dict.fromkeys(grown))
            self._restless = {f: None for f in self._restless if not f.dropped and _is_restless(f)}
            self._awake = dict(self._restless)
        else:
            self._restless.update(dict.fromkeys(grown))
            self._awake = {follower: None for follower in self._awake if not _sleeps(follower)}
            self._awake.update(dict.fromkeys(grown))
        if self._listed_s == now_s:
            for key, followers in self._all.items():
                self._observers[key].listed(now_s, followers)
        return everything

    def _list_due_s(self, now_s: float) -> float:
        """When the folders are to be listed again."""
        if self._listed_s is None:
            return now_s
        every_s = WATCHED_LIST_S
        if self._roster.crowded:
            every_s = POLL_S
        elif self._roster.failing:
            every_s = LIST_S
        elif unwatched := len(self._growth.unwatched):
            every_s = min(WATCHED_LIST_S, max(LIST_S, unwatched / LISTED_PER_S))
        if self._changed:
            every_s = min(every_s, LISTING_REST_FACTOR * self._listing_s)
        return self._listed_s + every_s

    def _list(self, now_s: float) -> None:
        """Compare what is there with what is followed."""
        while True:
            self._roster.find()
            before = self._watched
            self._growth.watched(self._watcher.watch(self._roster.folders))
            self._watched = self._roster.folders.keys() - self._growth.unwatched
            if self._watched <= before:
                break           # else what came before a folder was watched is found by looking once more
        self._roster.list()
        self._listed_s, self._changed = now_s, False
        self._listing_s = self._clock.monotonic_s() - now_s

    def _is_first(self, follower: Follower) -> bool:
        """Whether what was at the file's path before has been read to its end."""
        before = follower.after
        if before is None:
            return True
        unread = before.behind or (before.state is State.UNKNOWN and before.size > 0)
        if unread and not before.dropped:
            return False
        follower.left |= before.past()
        follower.after = None
        return True

    def _identify(self, awake: Sequence[Follower], now_s: float, *, final: bool) -> None:
        """Identify new files, and those that may have become something else: a grown copy, a short file."""
        candidates = [follower for follower in awake if follower.state is not State.READING]
        if not candidates:
            return
        # A file that is written now need not wait for all others: compressed ones may take long.
        candidates.sort(key=lambda follower: now_s - follower.grew_s > LIVE_S)
        holders = Holders(self._roster.followers)
        judged, end_s = 0, self._clock.monotonic_s() + ROUND_S
        for follower in candidates:
            try:
                if not _is_to_be_judged(follower, holders, now_s) or not self._is_first(follower):
                    continue
                recognise(follower, self._store, now_s, holders, final=final)
                if follower.state is not State.UNKNOWN:
                    self._notices.end((follower.source, follower.path), f"{follower.path}: can be read now")
            except SourceError as error:
                self._roster.fail(follower, error)
            self._shaken = True         # another file may have been found not to be what it was taken for
            judged += 1
            if judged == JUDGED_PER_ROUND_MAX or self._clock.monotonic_s() > end_s:
                break

    def _commit(self, awake: Sequence[Follower], now_s: float, *, final: bool) -> None:
        """Read a block of each file whose turn it is, and commit them together."""
        readings = self._turns.read(awake, now_s, lambda follower: self._read_one(follower, now_s, final=final))
        if readings:
            start_s, work_s = self._clock.monotonic_s(), time.thread_time()
            outcomes = self._ingest.commit([reading.segment for _, reading in readings])
            for (follower, reading), outcome in zip(readings, outcomes, strict=True):
                try:
                    follower.committed(reading, outcome)
                except SourceError as error:
                    self._roster.fail(follower, error)
            took_s, work_s = self._clock.monotonic_s() - start_s, time.thread_time() - work_s
            # Waiting for a local disk is no matter of bytes: reading less would make it little shorter.
            self._turns.took(readings, took_s if self._store.remote else max(work_s, took_s / DISK_WAIT_FACTOR))
        if self._renames_due and (now_s - self._renamed_s >= RENAME_S or final):
            self._commit_renames()
            self._renamed_s, self._renames_due = now_s, False

    def _read_one(self, follower: Follower, now_s: float, *, final: bool) -> Reading | None:
        if follower.dropped or not self._is_first(follower):
            return None
        try:
            reading = follower.read(now_s, final=final)
        except SourceError as error:
            self._roster.fail(follower, error)
            self._shaken = True
            return None
        if follower.file is not None and (damage := follower.file.damage()):
            self._notices.begin((follower.source, follower.path), damage)
        return reading

    def _commit_renames(self) -> None:
        renamed = [(f, segment) for f in self._roster.followers if f.away_s is None and (segment := f.renamed())]
        if renamed:
            outcomes = self._ingest.commit([segment for _, segment in renamed])
            for (follower, _), outcome in zip(renamed, outcomes, strict=True):
                follower.stream = outcome.stream

    # --- what was observed ------------------------------------------------------------------------------------------

    def _by_source(self, followers: Iterable[Follower]) -> dict[tuple[str, str], list[Follower]]:
        found: dict[tuple[str, str], list[Follower]] = {key: [] for key in self._observers}
        for follower in followers:
            found[follower.source.app, follower.source.host].append(follower)
        return found

    def _failing(self) -> set[tuple[str, str]]:
        return {(source.app, source.host) for source in self._roster.failing}

    def _begin_observations(self, now_us: int) -> None:
        failing = self._failing()
        for key, followers in self._by_source(self._restless).items():
            if key not in failing:
                self._observers[key].begin(now_us, followers, len(self._all[key]))

    def _observe(self, now_s: float, *, final: bool, lost: bool = False) -> None:
        """Write down what is due; at once where something was lost."""
        failing = self._failing()
        restless = None
        for key, observer in self._observers.items():
            if key in failing:
                observer.spoil()
            observer.check()
            if final or lost or observer.due(now_s):
                restless = restless or self._by_source(f for f in self._restless if not f.dropped)
                observer.write(self._store, self._ingest, self._clock.now_us(), now_s, self._all[key], restless[key],
                               all_there=key not in failing, final=final)
                for follower in restless[key]:
                    remember(follower, self._store)
                    if follower.remembered and follower.file is not None:
                        follower.park()
                self._note_ignored(*key)

    def _note_ignored(self, app: str, host: str) -> None:
        """Write down how many files are too old to be read, and how large they are: document "ignored"/<app>@<host>."""
        sizes = [n for (source, _), n in self._roster.ignored.items() if (source.app, source.host) == (app, host)]
        value = {"app": app, "host": host, "files": len(sizes), "bytes": sum(sizes)}
        key = f"{app}@{host}"
        if key not in self._ignored:
            _, self._ignored[key] = self._store.document("ignored", key) or (0, {**value, "files": 0, "bytes": 0})
        if self._ignored[key] != value:
            self._store.put_document("ignored", key, None, value)
            self._ignored[key] = value

    def _tell(self, now_s: float) -> None:
        """Say now and then how far catching up is, where that is much, and once when it is done."""
        if self._told_s is not None and now_s - self._told_s < TELL_S:
            return
        self._told_s = now_s
        unknown = sum(follower.state is State.UNKNOWN and not _sleeps(follower) for follower in self._awake)
        unread = sum(follower.size - follower.examined for follower in self._awake if follower.behind)
        if unknown >= TELL_FILES_MIN or unread >= TELL_BYTES_MIN:
            self._behind = True
            log.info("catching up: of %s files %s are still to be looked into, and %s to be read",
                     f"{len(self._roster.followers):,}", f"{unknown:,}", size(unread))
        elif self._behind and not unknown:
            self._behind = False
            log.info("caught up with all %s files", f"{len(self._roster.followers):,}")


def _is_restless(follower: Follower) -> bool:
    """Whether something may be to be done about a file, or to be written down."""
    return not follower.rests or follower.has_losses


def _sleeps(follower: Follower) -> bool:
    """Whether nothing is to be done until the file grows, or all files are gone through again."""
    if follower.rests or follower.dropped:
        return True
    if follower.state is State.UNKNOWN:
        return not (follower.size or follower.packed)
    return follower.state is not State.READING or (follower.packed and follower.settled)


def _is_to_be_judged(follower: Follower, holders: Holders, now_s: float) -> bool:
    """Whether it is to be found out (again) what a file is."""
    if follower.state is State.READING or follower.dropped or (follower.file is None and not follower.remembered):
        return False
    if follower.file is not None and follower.size == 0 and follower.file.size() == 0:
        return False
    if follower.state is State.UNKNOWN or follower.judged is None:
        return True
    changed = follower.judged != (follower.size, follower.copy_of in holders.by_id)
    return changed or (follower.state is State.WAITING and now_s - follower.judged_s >= JUDGE_AGAIN_S)
