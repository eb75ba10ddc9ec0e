"""An agent in a process of its own, killed by SIGKILL: before a commit, within its transaction, or after it."""

import mmap
import os
import signal
import struct
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from logagg.interfaces import Committed, Store
from logagg.record import Chunk, Stream
from logagg.store.sqlite import SqliteStore
from tests.chaos.stores import Faulty

if TYPE_CHECKING:
    from tests.chaos.world import World

STEP_S = 0.1


class Doom:
    """Kills this process at the `nth` time (from 0) that it comes to `where`: "before", "within" or "after"."""

    def __init__(self, where: str, nth: int) -> None:
        self._where, self._left = where, nth

    def reach(self, where: str) -> None:
        if where == self._where:
            self._left -= 1
            if self._left < 0:
                die()

    def watch_transactions(self) -> None:
        """Have MongoDB's driver tell, once it is asked to commit, of all that was written."""
        from pymongo import monitoring

        doom = self

        class Listener(monitoring.CommandListener):
            def started(self, event: monitoring.CommandStartedEvent) -> None:
                if event.command_name == "commitTransaction":
                    doom.reach("within")

            def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

            def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

        monitoring.register(Listener())

    def watch(self, store: Store) -> None:
        """Have SQLite tell of each statement that it begins."""
        if isinstance(store, SqliteStore):
            writer = store._file._writer
            writer.set_trace_callback(lambda statement: self.reach("within") if statement == "COMMIT" else None)


class Doomed(Faulty):
    """The victim's store, which has no other faults."""

    doom: Doom

    def commit(self, commits: Sequence[tuple[Stream, Sequence[Chunk]]]) -> list[Committed]:
        self.doom.reach("before")
        answers = self.store.commit(commits)
        self.doom.reach("after")
        return answers


def run_victim(world: "World", where: str, nth: int, rounds: int) -> None:
    """Fork the world, whose own agents and store must be closed. After so many rounds it is killed in any case.

    The world's clock then shows what the victim's did.
    """
    passed = mmap.mmap(-1, 8)       # shared
    child = os.fork()
    if child == 0:
        try:
            _live(world, Doom(where, nth), rounds, passed)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"it ended by itself: {status}"
    world.clock.step(struct.unpack("d", passed[:])[0])


def _live(world: "World", doom: Doom, rounds: int, passed: mmap.mmap) -> None:
    doom.watch_transactions()
    store = world.place.open(world.clock)
    doom.watch(store)
    doomed = Doomed(store, world.clock.step, world.counts)
    doomed.doom = doom
    agent, _ = world.new_agent(doomed)
    for i in range(rounds):
        passed[:] = struct.pack("d", i * STEP_S)
        agent.step()
        world.clock.step(STEP_S)
    die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
