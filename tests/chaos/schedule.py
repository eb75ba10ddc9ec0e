"""Schedules: what happens, step by step. Everything follows from the seed; each action carries its own parameters, so
that a schedule means the same when other actions are left out of it."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

LOGS = 4
SECONDS = (0.01, 0.1, 0.3, 1, 2, 6)

Params = dict[str, Any]
Draw = Callable[[random.Random], Params]


@dataclass(frozen=True)
class Action:
    """One step: the name of a method of `world.World` and its arguments."""

    name: str
    params: Params = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.params.items())})"


@dataclass(frozen=True)
class Schedule:
    """`options` say what the world is like: how it is watched, how large blocks are, whether the layout of
    one application is to be detected."""

    seed: int
    options: Params
    actions: tuple[Action, ...]

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}, {self.options}", *(f"  {action}" for action in self.actions)])


def _of_log(**more: Sequence[Any]) -> Draw:
    """Parameters of an action on one log: which, what decides its details, and one of each of the others' values."""

    def draw(rng: random.Random) -> Params:
        own = {"log": rng.randrange(LOGS), "dice": rng.randrange(1 << 16)}
        return own | {name: rng.choice(values) for name, values in more.items()}

    return draw


def _of(**values: Sequence[Any]) -> Draw:
    return lambda rng: {name: rng.choice(some) for name, some in values.items()}


SOME = (False, True)
FEW = (1, 3, 10)
NTH = (0, 0, 1, 3)

APPLICATION: dict[str, tuple[int, Draw]] = {
    "write": (12, _of_log(records=(1, 1, 3, 20, 150))),
    "flush_in_line": (5, _of_log()),
    "flush_in_character": (4, _of_log()),
    "cut_record": (4, _of_log(seconds=SECONDS)),
    "start_anew": (3, _of_log()),
    "rotate_shift": (4, _of_log(late=(0, 0, 2), seconds=(0, 0, 0.1, 1), empty=SOME)),
    "rotate_max": (4, _of_log(late=(0, 0, 2), seconds=(0, 0, 0.1, 1), empty=SOME)),
    "rotate_date": (4, _of_log(late=(0, 0, 2), seconds=(0, 0, 0.1, 1), empty=SOME)),
    "symlink_swap": (6, _of_log(empty=SOME)),
    "compress": (7, _of_log(suffix=(".gz", ".gz", ".zst", ".bz2", ".xz"))),
    "compress_slowly": (7, _of_log(suffix=(".gz", ".gz", ".zst", ".bz2", ".xz"), seconds=(0.1, 1, 6))),
    "copytruncate": (5, _of_log(between=(0, 0, 1), seconds=(0, 0.3, 3))),
    "truncate_read": (5, _of_log()),
    "truncate_seen": (5, _of_log(records=FEW, seconds=(0, 0.1, 1, 6))),
    "truncate_unseen": (4, _of_log(records=FEW)),
    "delete_read": (7, _of_log()),
    "delete_unread": (5, _of_log(records=FEW, seconds=(0, 0.1, 3))),
    "move_within": (7, _of_log()),
    "move_away": (6, _of_log()),
    "copy_whole": (4, _of_log()),
    "copy_part": (4, _of_log()),
    "hard_link": (4, _of_log()),
    "reuse_inode": (12, _of_log()),
    "forbid": (5, _of_log(rotated=SOME, killed=SOME)),
    "permit": (4, _of()),
}

AGENT: dict[str, tuple[int, Draw]] = {
    "settle": (24, _of(seconds=SECONDS)),
    "restart": (4, _of()),
    "kill": (3, _of()),
    "stop_agent": (4, _of(killed=SOME)),
    "start_agent": (6, _of()),
    "second_agent": (5, _of_log(records=FEW)),
    "end_first_agent": (3, _of(killed=SOME)),
    "kill_before_commit": (5, _of_log(nth=NTH, records=FEW)),
    "kill_after_commit": (5, _of_log(nth=NTH, records=FEW)),
    "kill_at_note": (6, _of(nth=NTH, after=SOME)),
    "sigkill": (6, _of_log(where=("before", "within", "after"), nth=NTH, rounds=(5, 40), records=FEW)),
    "store_down": (4, _of()),
    "store_up": (6, _of()),
    "lose_answer": (5, _of_log(nth=NTH, records=FEW)),
    "slow_store": (4, _of_log(records=FEW, seconds=(0.5, 3, 12), commits=(1, 3))),
    "fill_disk": (6, _of(pages=(0, 1, 4))),
    "free_disk": (5, _of()),
    "clock_back": (5, _of(seconds=(1, 60, 3600))),
    "events_lost": (6, _of()),
    "events_overflow": (6, _of()),
    "merge": (3, _of()),
    "fold": (3, _of()),
}

FAULTS = tuple(name for name in (*APPLICATION, *AGENT)
               if name not in ("write", "settle", "permit", "start_agent", "store_up", "free_disk", "end_first_agent",
                               "merge", "fold"))
"""What is counted: the actions that are faults, or what loggers and operators do to files."""


def schedule(seed: int, length: int = 40) -> Schedule:
    """The schedule of a seed."""
    rng = random.Random(f"chaos {seed}")
    options = {
        "watched": rng.random() < 0.6,
        "block_bytes": rng.choice([512, 3000, 1 << 16, 1 << 20]),
        "keep": rng.choice(["events", "all"]),
        "detected": rng.random() < 0.3,
    }
    table = APPLICATION | AGENT
    names = rng.choices(list(table), [weight for weight, _ in table.values()], k=length)
    return Schedule(seed, options, tuple(Action(name, table[name][1](rng)) for name in names))


def shrink(failing: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """A shorter schedule that still fails, of which no action can be left out (ddmin: Zeller and Hildebrandt,
    "Simplifying and isolating failure-inducing input", 2002)."""
    actions, pieces = failing.actions, 2
    while len(actions) > 1:
        size = -(-len(actions) // pieces)
        for at in range(0, len(actions), size):
            fewer = Schedule(failing.seed, failing.options, actions[:at] + actions[at + size:])
            if fails(fewer):
                actions, pieces = fewer.actions, max(2, pieces - 1)
                break
        else:
            if size == 1:
                break
            pieces = min(len(actions), pieces * 2)
    return Schedule(failing.seed, failing.options, actions)
