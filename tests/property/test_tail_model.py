"""Random lives of a log against a model: every byte that was written is committed exactly once.

The model knows the content of each generation of the log. The log is written in pieces, rotated by renaming, emptied,
copied, compressed, and deleted when read; the agent is stopped, killed and started; the store goes away and loses
answers; in every other life the system tells of changes. Deleting and emptying happen only to content that is
committed: what is destroyed before is lost, as follow.py says.
"""

import gzip
import os
import random
from pathlib import Path

import pytest

from logagg.source.watch import open_watcher
from tests.tailing import Bench

RUNS = int(os.environ.get("LOGAGG_MODEL_RUNS", "60"))
ACTIONS = 60


class Life:
    """One log: the texts of its generations so far, the last one being at `a.log`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        options = {"rng": random.Random(seed), "block_bytes": self.rng.choice([512, 3000, 1 << 16])}
        if seed % 2:
            options["open_watcher"] = open_watcher
        self.bench = Bench(folder, "*", **options)
        self.folder = folder
        self.texts: list[str] = []
        self.banner = "=== banner ===\n" * self.rng.choice([0, 0, 1, 5, 100])
        self.lines = 0
        self.done: list[str] = []
        self.begin()

    def begin(self) -> None:
        self.texts.append("")
        self.write(self.banner + self.line())

    def line(self) -> str:
        self.lines += 1
        return f"{self.lines:07} {'x' * self.rng.randrange(120)}\n" + " at y\n" * self.rng.choice([0, 0, 0, 2])

    def write(self, text: str) -> None:
        self.bench.write("a.log", text)
        self.texts[-1] += text

    def committed(self, text: str) -> bool:
        return not text or text in self.bench.contents()

    # --- actions ----------------------------------------------------------------------------------------------------

    def write_lines(self) -> None:
        self.write("".join(self.line() for _ in range(self.rng.choice([1, 3, 30, 200]))))

    def write_piece(self) -> None:
        line = self.line()
        at = self.rng.randrange(len(line))
        self.write(line[:at])
        self.settle()
        self.write(line[at:])

    def settle(self) -> None:
        self.bench.settle(self.rng.choice([0.01, 0.1, 0.3, 2, 6]))

    def rotate(self) -> None:
        for i in range(99, 0, -1):
            if (self.folder / f"a.log.{i}").exists():
                if self.rng.random() < 0.1:
                    self.settle()
                (self.folder / f"a.log.{i}").rename(self.folder / f"a.log.{i + 1}")
        if self.rng.random() < 0.1:
            self.settle()
        (self.folder / "a.log").rename(self.folder / "a.log.1")
        if self.rng.random() < 0.3:
            self.settle()
        self.begin()

    def empty(self) -> None:
        if self.committed(self.texts[-1]):
            (self.folder / "a.log").write_bytes(b"")
            self.begin()

    def copy_and_empty(self) -> None:
        """The copy may hold what is not committed yet: it is read from there."""
        if self.texts[-1].startswith(tuple(c for c in self.bench.contents() if len(c) >= 2048)):
            (self.folder / f"copied.{len(self.texts)}").write_text(self.texts[-1])
            (self.folder / "a.log").write_bytes(b"")
            self.bench.settle(3)
            self.begin()

    def copy(self) -> None:
        text = self.texts[-1]
        part = text if self.rng.random() < 0.5 else text[: self.rng.randrange(len(text))]
        (self.folder / f"bak.{len(self.done)}").write_text(part)

    def compress(self) -> None:
        names = [p for p in self.folder.glob("a.log.*") if self.committed(p.read_text())]
        if names:
            name = self.rng.choice(names)
            (self.folder / f"{len(self.texts)}.{name.suffix[1:]}.gz").write_bytes(gzip.compress(name.read_bytes()))
            name.unlink()

    def delete(self) -> None:
        names = [p for p in sorted(self.folder.glob("a.log.*")) if self.committed(p.read_text())]
        if names:
            self.rng.choice(names).unlink()

    def restart(self) -> None:
        self.bench.restart(kill=self.rng.random() < 0.5)

    def pause_agent(self) -> None:
        """Things happen while no agent runs."""
        self.bench.agent.close()
        for _ in range(self.rng.randrange(1, 4)):
            self.rng.choice([self.write_lines, self.rotate_quietly])()
        self.bench.start()

    def rotate_quietly(self) -> None:
        for i in range(99, 0, -1):
            if (self.folder / f"a.log.{i}").exists():
                (self.folder / f"a.log.{i}").rename(self.folder / f"a.log.{i + 1}")
        (self.folder / "a.log").rename(self.folder / "a.log.1")
        self.begin()

    def store_down(self) -> None:
        self.bench.store.down = True

    def store_up(self) -> None:
        self.bench.store.down = False

    def lose_answer(self) -> None:
        self.bench.ingest.answers_lost = 1

    def act(self) -> None:
        actions = {
            self.write_lines: 10, self.write_piece: 5, self.settle: 12, self.rotate: 6, self.empty: 2, self.copy: 2,
            self.copy_and_empty: 2, self.compress: 2, self.delete: 3, self.restart: 3, self.pause_agent: 2,
            self.store_down: 1, self.store_up: 3, self.lose_answer: 2,
        }
        [action] = self.rng.choices(list(actions), weights=list(actions.values()))
        self.done.append(action.__name__)
        action()


@pytest.mark.parametrize("seed", range(RUNS))
def test_every_byte_exactly_once(tmp_path: Path, seed: int) -> None:
    """After any life of the log, the committed streams are its generations, each whole and each once."""
    life = Life(tmp_path, seed)
    for _ in range(ACTIONS):
        life.act()
    life.store_up()
    life.bench.settle(80)
    life.bench.restart(kill=True)
    life.bench.settle(80)
    life.bench.agent.close()        # each has an inotify instance, of which a user has 128
    expected, committed = sorted(filter(None, life.texts)), sorted(life.bench.contents())
    detail = f"seed {seed}: {life.done}\n{shape(expected)}\n{shape(committed)}"
    assert committed == expected, detail


def shape(texts: list[str]) -> str:
    return "\n".join(f"{len(text)} bytes: {text[:20]!r} … {text[-20:]!r}" for text in texts)
