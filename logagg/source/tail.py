"""The agent: follows all files of all sources, and hands what is new to `Ingest`.

One thread, one round after the other: list the folders (when names changed), ask the files that grew for their sizes,
identify new files, read a block of each that has more, commit all blocks together, write down what was observed.
Where the kernel tells of growth, rounds are made when it does and all files are asked now and then only; a file that
it was silent about is asked in every round from then on.
A file is followed by its open descriptor through renames and deletion, to its end; the file that took its place is
read after it. Nothing is queued: while the store is out of reach, positions stay where they are.
"""

import random
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from logagg.clock import Clock, SystemClock
from logagg.errors import SourceError, StoreUnavailable
from logagg.ingest import Outcome, Segment
from logagg.interfaces import Store
from logagg.record import Stream
from logagg.retry import Backoff
from logagg.source.discover import FileSource, watched_folder
from logagg.source.follow import BLOCK_BYTES, Follower, Reading, State
from logagg.source.notice import Notices
from logagg.source.observe import Observer
from logagg.source.recognise import Holders, recognise, remember
from logagg.source.roster import OPEN_MAX, Roster
from logagg.source.watch import NoWatcher, Watcher

BUFFER_BYTES_MAX = 8 << 20
POLL_S = 0.2
BUSY_POLL_S = 0.05
ROUND_FACTOR, ROUND_S_MAX = 4, 0.2
"""Rounds begin so many times their own processor time apart, at most so far: where many files grow, more of them share
a commit."""

IDLE_AFTER_S = 600.0
IDLE_POLL_S = 1.0
LIST_S = 1.0
WATCHED_LIST_S = 10.0
WATCHED_LOOK_S = 5.0
NAMES_WATCHED_LIST_S = 2.0
JUDGE_AGAIN_S = 30.0
JUDGED_PER_ROUND_MAX = 64
RENAME_S = 3.0
STOP_S = 5.0


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
        self._retry_s = 0.0
        self._listed_s: float | None = None
        self._looked_s = float("-inf")
        self._stepped_s = float("-inf")
        self._apart_s = BUSY_POLL_S     # how far the next round is to begin from the last
        self._renamed_s = 0.0
        self._watched = False
        self._told = False      # whether the kernel tells of growth
        self._unexplained: list[Follower] = []      # grew, and the kernel has not told of it (yet)
        self._left_out: Follower | None = None

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
        if not self._told or wait_s <= 0:
            return self._clock.wait(stop, wait_s)
        self._watcher.wait(stop, wait_s)
        return self._clock.wait(stop, max(0.0, self._stepped_s + self._apart_s - self._clock.monotonic_s()))

    def step(self, *, final: bool = False) -> float:
        """One round; returns in how many seconds the next one is due. `final`: commit unfinished records too."""
        now_s, now_us = self._clock.monotonic_s(), self._clock.now_us()
        self._stepped_s = now_s
        self._list_if_due(now_s, final=final)
        if self._look(now_s, final=final):
            self._begin_observations(now_us)
        if now_s < self._retry_s:
            return min(POLL_S, self._retry_s - now_s)
        active = [follower for follower in self._roster.followers if not follower.rests]
        try:
            for observer in self._observers.values():
                observer.recall(self._store, now_us, now_s)
            self._identify(active, now_s, final=final)
            if any(follower.unseen for follower in active):     # before what took its place is committed: else a kill
                self._observe(now_s, final=False, lost=True)    # in between would leave no trace of it
            self._commit(active, now_s, final=final)
            self._observe(now_s, final=final)
        except StoreUnavailable as error:
            self._retry_s = now_s + self._backoff.next_s()
            self._notices.begin("store", f"{error}; trying again until it is back, nothing is lost")
            return min(POLL_S, self._retry_s - now_s)
        self._backoff.reset()
        self._notices.end("store", "the store is back")
        return self._wait_s(active, now_s)

    def stop(self) -> None:
        """Commit all that is there, as far as the store and 5 s allow; the rest is read at the next start."""
        end_s = self._clock.monotonic_s() + STOP_S
        self._retry_s = 0.0
        self._listed_s = None
        while True:
            self.step(final=True)
            unread = any(follower.behind for follower in self._roster.followers)
            if self._retry_s or not unread or self._clock.monotonic_s() >= end_s:
                return

    def close(self) -> None:
        """Let go of all files and folders."""
        self._roster.close()
        self._watcher.close()

    def _wait_s(self, active: Sequence[Follower], now_s: float) -> float:
        """How long nothing is to be done, if no file grows: at most until sizes are asked for again."""
        wait_s = POLL_S
        followers = self._roster.followers
        if self._told and all(follower.told for follower in followers):
            unknown = any(follower.state is State.UNKNOWN and follower.size for follower in active)
            if not unknown and self._listed_s is not None:
                wait_s = LIST_S if self._roster.failing else self._looked_s + WATCHED_LOOK_S - now_s
        elif any(now_s - follower.grew_s < 1.0 for follower in followers):
            wait_s = BUSY_POLL_S
        for follower in active:
            due = 0.0 if follower.scanning else follower.due_s(now_s)
            if due is not None and self._is_first(follower):
                wait_s = min(wait_s, due)
        return wait_s

    # --- a round ----------------------------------------------------------------------------------------------------

    def _list_if_due(self, now_s: float, *, final: bool) -> None:
        changed = self._watcher.take_changed()
        every_s = LIST_S
        if self._watched and not self._roster.failing:
            every_s = WATCHED_LIST_S if self._told else NAMES_WATCHED_LIST_S
        if not (final or changed or self._listed_s is None or now_s - self._listed_s >= every_s):
            return
        folders: dict[str, bool] = {}
        for source in self._roster.sources:
            for folder, below in map(watched_folder, source.paths):
                folders[folder] = folders.get(folder, False) or below
        self._watched = self._watcher.watch(folders)  # Before listing: names that come meanwhile are noticed.
        self._roster.list()
        self._listed_s = now_s

    def _look(self, now_s: float, *, final: bool) -> bool:
        """Ask the files for their sizes that may have grown; tell whether all were asked."""
        named = self._watcher.take_grown()
        self._told = self._watched and named is not None
        grown = (named or set()) if self._told else set()
        listed = self._listed_s == now_s
        if self._told and not listed:       # else events were lost, or may have been of another name
            for follower in self._unexplained:
                follower.told = follower.told and follower.path in grown
        self._unexplained = []
        every = final or listed or (self._told and now_s - self._looked_s >= WATCHED_LOOK_S)
        if every:
            self._looked_s = now_s
        for follower in self._roster.followers:
            told = follower.path in grown
            if told and follower.file is None:
                self._listed_s = None       # It was idle and given back: the next listing opens it again.
                continue
            due = every or told or not ((self._told and follower.told) or _is_idle(follower, now_s))
            away = now_s < self._retry_s        # nothing is read, so a look is all that tells what a file is
            if due and follower.look(now_s, check=away) and self._told and not (told or listed):
                self._unexplained.append(follower)
        return every

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

    def _identify(self, active: Sequence[Follower], now_s: float, *, final: bool) -> None:
        """Identify new files, and those that may have become something else: a grown copy, a short file."""
        candidates = [follower for follower in active if follower.state is not State.READING]
        if not candidates:
            return
        holders = Holders(self._roster.followers)
        judged = 0
        for follower in candidates:
            if not _is_to_be_judged(follower, holders, now_s) or not self._is_first(follower):
                continue
            try:
                recognise(follower, self._store, now_s, holders, final=final)
                if follower.state is not State.UNKNOWN:
                    self._notices.end((follower.source, follower.path), f"{follower.path}: can be read now")
            except SourceError as error:
                self._roster.fail(follower, error)
            judged += 1
            if judged == JUDGED_PER_ROUND_MAX:
                break

    def _commit(self, active: Sequence[Follower], now_s: float, *, final: bool) -> None:
        """Read a block of each file that has more, some 8 MiB in all, and commit them together."""
        readings = self._read(active, now_s, final=final)
        if readings:
            outcomes = self._ingest.commit([reading.segment for _, reading in readings])
            for (follower, reading), outcome in zip(readings, outcomes, strict=True):
                follower.committed(reading, outcome)
        if now_s - self._renamed_s >= RENAME_S or final:
            self._commit_renames()
            self._renamed_s = now_s

    def _read(self, active: Sequence[Follower], now_s: float, *, final: bool) -> list[tuple[Follower, Reading]]:
        """Blocks of files in turn: who was left out in one round comes first in the next."""
        first = active.index(self._left_out) if self._left_out in active else 0
        self._left_out = None
        readings: list[tuple[Follower, Reading]] = []
        buffered = 0
        for follower in (*active[first:], *active[:first]):
            if buffered >= BUFFER_BYTES_MAX:
                self._left_out = follower
                break
            reading = self._read_one(follower, now_s, final=final)
            if reading is not None:
                readings.append((follower, reading))
                buffered += len(reading.segment.data)
        return readings

    def _read_one(self, follower: Follower, now_s: float, *, final: bool) -> Reading | None:
        if follower.dropped or not self._is_first(follower):
            return None
        try:
            reading = follower.read(now_s, final=final)
        except SourceError as error:
            self._roster.fail(follower, error)
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

    def _by_source(self) -> dict[tuple[str, str], list[Follower]]:
        found: dict[tuple[str, str], list[Follower]] = {key: [] for key in self._observers}
        for follower in self._roster.followers:
            found[follower.source.app, follower.source.host].append(follower)
        return found

    def _failing(self) -> set[tuple[str, str]]:
        return {(source.app, source.host) for source in self._roster.failing}

    def _begin_observations(self, now_us: int) -> None:
        failing, now_s = self._failing(), self._clock.monotonic_s()
        for key, followers in self._by_source().items():
            if self._listed_s == self._stepped_s:
                self._observers[key].listed(now_s, followers)
            if key not in failing:
                self._observers[key].begin(now_us, followers)

    def _observe(self, now_s: float, *, final: bool, lost: bool = False) -> None:
        """Write down what is due; at once where something was lost."""
        failing = self._failing()
        followers = None
        for key, observer in self._observers.items():
            if key in failing:
                observer.spoil()
            observer.check()
            if final or lost or observer.due(now_s):
                followers = followers or self._by_source()
                observer.write(self._store, self._ingest, self._clock.now_us(), now_s, followers[key],
                               all_there=key not in failing, final=final)
                for follower in followers[key]:
                    remember(follower, self._store)
                    if follower.remembered and follower.file is not None:
                        follower.park()


def _is_idle(follower: Follower, now_s: float) -> bool:
    return now_s - follower.grew_s > IDLE_AFTER_S and now_s - follower.looked_s < IDLE_POLL_S


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
