"""The world of one schedule: applications, agents, a store and a clock that is stepped. An action is a method."""

import bz2
import gzip
import lzma
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import zstandard

from logagg.grammar.events import Classifiers, EventGrammar
from logagg.grammar.reader import LayoutReader
from logagg.ingest import Ingest, Pipeline
from logagg.merge import Merger
from logagg.record import Stream
from logagg.rollup.fold import Folder
from logagg.rollup.metric import Metric, MetricSet
from logagg.source.discover import FileSource
from logagg.source.identity import HEAD_BYTES, WINDOW_BYTES, window_hash
from logagg.source.tail import Agent
from logagg.source.watch import NoWatcher, Watcher, open_watcher
from tests.chaos import deeds
from tests.chaos.schedule import Action, Params, Schedule
from tests.chaos.stores import Faulty, Killed, Place
from tests.chaos.victim import run_victim
from tests.chaos.written import LAYOUT, Clock, Generation, Key, Log, Written

NOW_US = 4_000_000_000_000_000
"""Later than any file's time on this machine."""

HOST = "host"
GRAMMAR = """\
start: op_call | op_failure
op_call: "call " call " of " operation " took " duration_ms " ms, " note
op_failure: "call " call " of " operation " failed: " code ", " note
call: INT
operation: WORD
duration_ms: INT
code: /[A-Z]+/
note: /.+/
%import common (INT, WORD)
"""
METRICS = MetricSet([
    Metric("op_calls", "counter", ("op_call", "op_failure"), labels=("app", "operation")),
    Metric("op_failures", "counter", ("op_failure",), labels=("operation", "code")),
    Metric("op_time", "distribution", ("op_call",), field="duration_ms", unit="ms", labels=("operation",)),
])
CLASSIFIER = Classifiers([EventGrammar.load(GRAMMAR, name="chaos")])
KNOWN, DETECTED = LayoutReader(LAYOUT), LayoutReader(None)
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}
FIRST_S, SETTLED_S = 6.0, 80.0


def pipelines(options: Params) -> Callable[[Stream], Pipeline]:
    """How the streams are read: by a layout, or those of application "one" by what is detected."""
    known, one = (Pipeline(reader, CLASSIFIER, METRICS, options["keep"])
                  for reader in (KNOWN, DETECTED if options["detected"] else KNOWN))
    return lambda stream: one if stream.app == "one" else known


class LossyWatcher:
    """The kernel's events, of which some are lost, or too many for its queue."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.lose = self.overflow = False
        self.watch, self.wait, self.close = watcher.watch, watcher.wait, watcher.close

    def take_changed(self) -> bool:
        changed = self._watcher.take_changed()
        return (changed or self.overflow) and not self.lose

    def take_grown(self) -> set[str] | None:
        grown = self._watcher.take_grown()
        lose, overflow, self.lose, self.overflow = self.lose, self.overflow, False, False
        return None if overflow else set() if lose and grown else grown


class World:
    """One schedule's world, in an empty `folder`. `counts` tells how often each fault has happened."""

    def __init__(self, folder: Path, place: Place, schedule: Schedule) -> None:
        self.options = schedule.options
        self.counts: Counter[str] = Counter()
        self.tally: Counter[str] = Counter()        #: bytes, as the verdict has counted them
        self.clock = Clock(NOW_US)
        self.place = place
        place.clear()
        self.store = Faulty(place.open(self.clock), self.clock.step, self.counts)
        self.rng = random.Random(schedule.seed)
        self.folder = folder
        self.written = Written(folder, self.clock, self.rng)
        self.sources = [FileSource("zero", HOST, (f"{folder}/zero/*",)), FileSource("one", HOST, (f"{folder}/one/**",))]
        self.seen: Counter[Generation] = Counter()      #: how much of each any agent has seen
        self.sure: Counter[Generation] = Counter()      #: how much of each is known still, now that who saw it is gone
        self.sights: dict[Agent, Counter[Generation]] = {}
        self.agents: list[Agent] = []
        self.watchers: list[LossyWatcher] = []
        self.start_agent()

    def close(self) -> None:
        for agent in self.agents:
            agent.close()
        self.written.close()
        self.store.store.close()

    def run(self, schedule: Schedule) -> None:
        """Do all actions, then mend everything and let the agents read what there is."""
        self.settle(FIRST_S)
        for action in schedule.actions:
            self.act(action)
        self.mend()

    def act(self, action: Action) -> None:
        deed = getattr(deeds, action.name, None)
        if deed is not None:
            deed(self, **action.params)
        else:
            getattr(self, action.name)(**action.params)

    def mend(self) -> None:
        """No fault any more; afterwards all that can be read has been."""
        self.store.armed.clear()
        self.store_up()
        self.free_disk()
        deeds.permit(self)
        for log in self.written.logs:
            self.written.finish_line(log)
        self.start_agent()
        while len(self.agents) > 1:
            self.end_first_agent(killed=False)
        self.settle(SETTLED_S)
        self._end(self.agents[0], killed=True)
        self.start_agent()
        self.settle(SETTLED_S)
        self._end(self.agents[0], killed=False)

    def log(self, number: int) -> Log:
        return self.written.logs[number % len(self.written.logs)]

    def pack(self, suffix: str, data: bytes) -> bytes:
        return PACK[suffix](data)

    def pause(self, seconds: float, dice: int) -> None:
        """Now and then the agents get to work between two steps of somebody else."""
        if seconds and random.Random(dice).random() < 0.4:
            self.settle(seconds)

    # --- what is stored, and what has been destroyed ----------------------------------------------------------------

    def streams_of(self, generation: Generation) -> list[Stream]:
        """The stream in which a generation is stored; none as long as it may be the beginning of another one."""
        text, found = generation.text, []
        for stream in self.store.store.streams(app=generation.log.app):
            end = stream.read_end
            window = window_hash(bytes(text[max(0, end - WINDOW_BYTES) : end]))
            if generation.unique <= end <= len(text) and text.startswith(stream.head) and window == stream.end_window:
                found.append(stream)
        return found

    def stored(self, generation: Generation) -> int:
        """How much of a generation is certainly stored."""
        return max((stream.read_end for stream in self.streams_of(generation)), default=0)

    def is_stored(self, generation: Generation) -> bool:
        return self.stored(generation) == len(generation.text)

    def destroy(self, path: Path, *, unlink: bool = True) -> None:
        """Delete a path, or forget it as one that nobody looks at."""
        self.lost(self.written.unlink(path, unlink=unlink))

    def lost(self, generation: Generation) -> None:
        """Something of a generation may be gone: then as much of it must be stored as is, or can still be read.

        An agent that has the file open reads it to its end. A part of less than 1 KiB, or that other generations begin
        with too, need not be recognised.
        """
        readable = generation.readable
        if readable >= len(generation.text) or (generation.key and self._is_open(generation.key)):
            return
        if not generation.lost_us or readable < generation.left:
            generation.lost_us, generation.left = self.clock.now_us(), readable
        told = readable >= max(HEAD_BYTES, generation.unique)
        generation.floor = max(self.stored(generation), readable if told else 0)

    def _is_open(self, key: Key) -> bool:
        return any(follower.key == key and follower.file is not None
                   for agent in self.agents for follower in agent._roster.followers)

    # --- agents -----------------------------------------------------------------------------------------------------

    def new_agent(self, store: Faulty) -> tuple[Agent, LossyWatcher]:
        watcher = LossyWatcher(open_watcher() if self.options["watched"] else NoWatcher())
        agent = Agent(self.sources, store, Ingest(store, pipelines(self.options)), clock=self.clock,
                      watcher=watcher, rng=random.Random(1), block_bytes=self.options["block_bytes"])
        return agent, watcher

    def settle(self, seconds: float) -> None:
        """Let the agents work until that much time has passed."""
        end_s = self.clock.monotonic_s() + seconds
        while True:
            waits = [self._step(agent) for agent in list(self.agents)]
            left_s = end_s - self.clock.monotonic_s()
            if left_s <= 0:
                return
            self.clock.step(max(0.001, min(left_s, max(0.02, seconds / 200, min(waits, default=left_s)))))

    def _step(self, agent: Agent) -> float:
        try:
            wait_s = agent.step()
        except Killed:
            self._end(agent, killed=True)
            self.start_agent()
            return 0.0
        for follower in agent._roster.followers:
            generation = self.written.by_key.get(follower.key) if follower.key else None
            if generation is not None:
                sight = Counter({generation: follower.size})
                self.seen |= sight
                self.sights[agent] |= sight
        return wait_s

    def _end(self, agent: Agent, *, killed: bool) -> None:
        try:
            if not killed:
                agent.stop()
        except Killed:
            killed = True
        at = self.agents.index(agent)
        del self.agents[at], self.watchers[at]
        agent.close()
        sight = self.sights.pop(agent)
        self.sure |= self._noted() if killed or self.store.down or self.store.full else sight
        for generation in self.written.generations:
            self.lost(generation)

    def _noted(self) -> Counter[Generation]:
        """What an agent that was killed has written down of what it had seen."""
        noted = self.store.store.documents("found")
        found: Counter[Generation] = Counter()
        for generation in self.written.generations:
            for stream in self.streams_of(generation):
                found[generation] = max(stream.end, noted.get(stream.id, {}).get("size", 0))
        return found

    def restart(self) -> None:
        self.counts["restart"] += 1
        if self.agents:
            self._end(self.agents[0], killed=False)
        self.start_agent()

    def kill(self) -> None:
        self.counts["kill"] += 1
        if self.agents:
            self._end(self.agents[0], killed=True)
        self.start_agent()

    def stop_agent(self, killed: bool) -> None:
        """What follows happens while no agent runs."""
        self.counts["stop_agent"] += 1
        while self.agents:
            self._end(self.agents[0], killed=killed)

    def start_agent(self) -> None:
        if not self.agents:
            self._begin()

    def second_agent(self, log: int, dice: int, records: int) -> None:
        """Fail-over: the next one begins before the first has ended."""
        if len(self.agents) == 1:
            self.counts["second_agent"] += 1
            self._begin()
            self._busy(log, dice, records)

    def _busy(self, log: int, dice: int, records: int) -> None:
        """Something is written and read, so that there are commits."""
        for part in range(2):
            deeds.write(self, log, dice + part, records)
            self.settle(0.6)

    def _begin(self) -> None:
        agent, watcher = self.new_agent(self.store)
        self.agents.append(agent)
        self.watchers.append(watcher)
        self.sights[agent] = Counter()

    def end_first_agent(self, killed: bool) -> None:
        if len(self.agents) == 2:
            self._end(self.agents[0], killed=killed)

    def sigkill(self, log: int, dice: int, records: int, where: str, nth: int, rounds: int) -> None:
        """An agent in a process of its own goes on in place of this one, until SIGKILL."""
        while self.agents:
            self._end(self.agents[0], killed=True)
        deeds.write(self, log, dice, records)
        if not (self.store.down or self.store.full):
            self.counts["sigkill"] += 1
            self.store.store.close()
            run_victim(self, where, nth, rounds)
            self.place.end_sessions()
            for generation in self.written.generations:
                if generation.paths:
                    self.seen[generation] = len(generation.text)    # perhaps, and written down
            self.store.store = self.place.open(self.clock)
        self.start_agent()

    # --- the store --------------------------------------------------------------------------------------------------

    def kill_before_commit(self, log: int, dice: int, records: int, nth: int) -> None:
        self.store.armed["kill_before_commit"] = nth
        self._busy(log, dice, records)

    def kill_after_commit(self, log: int, dice: int, records: int, nth: int) -> None:
        self.store.armed["kill_after_commit"] = nth
        self._busy(log, dice, records)

    def kill_at_note(self, nth: int, after: bool) -> None:
        self.store.armed["kill_at_note"], self.store.kill_note_after = nth, after

    def lose_answer(self, log: int, dice: int, records: int, nth: int) -> None:
        self.store.armed["lose_answer"] = nth
        self._busy(log, dice, records)

    def store_down(self) -> None:
        self.store.down = True

    def store_up(self) -> None:
        self.store.down = False

    def slow_store(self, log: int, dice: int, records: int, seconds: float, commits: int) -> None:
        self.store.slow_s, self.store.slow_commits = seconds, commits
        self._busy(log, dice, records)

    def fill_disk(self, pages: int) -> None:
        self.store.full = True
        self.place.fill_disk(self.store.store, pages)

    def free_disk(self) -> None:
        self.store.full = False
        self.place.free_disk(self.store.store)

    def clock_back(self, seconds: float) -> None:
        self.counts["clock_back"] += 1
        self.clock.behind_us += round(seconds * 1e6)

    def events_lost(self) -> None:
        for watcher in self.watchers[: self.options["watched"]]:
            self.counts["events_lost"] += 1
            watcher.lose = True

    def events_overflow(self) -> None:
        for watcher in self.watchers[: self.options["watched"]]:
            self.counts["events_overflow"] += 1
            watcher.overflow = True

    def merge(self) -> None:
        if not self.store.full:
            Merger(self.store.store).merge(self.clock.now_us())

    def fold(self) -> None:
        if not self.store.full:
            Folder(self.store.store, METRICS).fold_all()
