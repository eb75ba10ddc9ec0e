"""Random lives of a log whose content is destroyed at any time: what was seen and destroyed is counted exactly.

The model knows each generation of the log: its text, how much of it there was at the last look, and whether a copy was
left. A look is a second and a bit of the agent's work. The store goes away and comes back, answers are lost, the agent
is stopped in order and started, and the log is emptied, written over, or copied and emptied, read or not.
"""

import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from logagg.ledger import ledger
from logagg.source.gone import GONE_AFTER_S
from tests.tailing import Bench

RUNS = int(os.environ.get("LOGAGG_MODEL_RUNS", "60"))
ACTIONS = 50


@dataclass
class Generation:
    text: str = ""
    seen: int = 0
    copied: bool = False


class Life:
    """One log; the last generation is at `a.log`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.bench = Bench(folder, rng=random.Random(seed), block_bytes=self.rng.choice([512, 1 << 16]))
        self.folder = folder
        self.generations: list[Generation] = [Generation()]
        self.done: list[str] = []
        self.lines = 0
        self.write()
        self.look()

    def write(self) -> None:
        text = ""
        for _ in range(self.rng.choice([1, 3, 30, 200])):
            self.lines += 1
            text += f"{self.lines:07} {'x' * self.rng.randrange(120)}\n"
        self.bench.write("a.log", text)
        self.generations[-1].text += text

    def look(self) -> None:
        self.bench.settle(self.rng.choice([1.3, 1.3, 3, 8]))
        self.generations[-1].seen = len(self.generations[-1].text)

    def empty(self) -> None:
        (self.folder / "a.log").write_bytes(b"")
        self.generations.append(Generation())
        if self.rng.random() < 0.5:
            self.write()

    def copy_and_empty(self) -> None:
        if len(self.generations[-1].text) < 1024 or self.bench.store.down:
            return
        (self.folder / f"copy.log.{len(self.generations)}").write_text(self.generations[-1].text)
        self.generations[-1].copied, self.generations[-1].seen = True, len(self.generations[-1].text)
        self.empty()
        self.look()     # so little is not read of a copy before it is known what became of the log

    def restart(self) -> None:
        if not self.bench.store.down:
            self.bench.ingest.answers_lost = 0      # else what was seen and not written down is forgotten
            self.look()
            self.bench.restart()
            self.bench.settle(1.3)

    def store_down(self) -> None:
        self.bench.store.down = True

    def store_up(self) -> None:
        self.bench.store.down = False

    def lose_answer(self) -> None:
        self.bench.ingest.answers_lost = 1

    def act(self) -> None:
        actions = {self.write: 10, self.look: 10, self.empty: 4, self.copy_and_empty: 2, self.restart: 1,
                   self.store_down: 3, self.store_up: 3, self.lose_answer: 2}
        [action] = self.rng.choices(list(actions), weights=list(actions.values()))
        self.done.append(action.__name__)
        action()


@pytest.mark.parametrize("seed", range(RUNS))
def test_seen_is_committed_or_gone(tmp_path: Path, seed: int) -> None:
    """Each stream is a beginning of a generation, each once; the bytes seen of all are those committed and dropped."""
    life = Life(tmp_path, seed)
    for _ in range(ACTIONS):
        life.act()
    life.store_up()
    life.look()
    life.bench.settle(2 * GONE_AFTER_S + 40)
    contents = life.bench.contents()
    detail = f"seed {seed}: {life.done}"
    left = [generation for generation in life.generations if generation.text]
    for content in contents:
        [own] = [each for each in left if each.text[:8] == content[:8]]
        assert own.text.startswith(content), detail
        own.seen -= len(content)
    assert len({content[:8] for content in contents}) == len(contents), detail
    for each in left:
        assert each.seen == 0 or not (each.copied or each is life.generations[-1]), detail
    dropped = ledger(life.bench.store, 0)["totals"]["dropped"]  # type: ignore[arg-type]
    dropped.pop("copy", None)
    assert sum(dropped.values()) == sum(each.seen for each in left), detail
