"""The applications: what they wrote, into which files, and what of it can still be read.

A log's life is a row of generations, each the content of one file from its creation (or emptying) to its end. The
model keeps each generation's text, and the paths under which all or the beginning of it can be found.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from logagg.clock import StepClock

Key = tuple[int, int]

LAYOUT = "%d{ISO8601} %-5p [%t] %c - %m%n"
RECORD_S = 20
"""So much later is each record by its own time: chunks of several minutes are closed."""

LEVELS = ("INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR")
NOTES = ("ok", "Grüße", "naïve €uro", "日本語", "𝄞 clef", "x" * 90)


class Clock(StepClock):
    """Steps; and its wall time can be put back, which its monotonic time does not notice."""

    def __init__(self, now_us: int) -> None:
        super().__init__(now_us)
        self.behind_us = 0

    def now_us(self) -> int:
        return super().now_us() - self.behind_us


@dataclass(eq=False)
class Generation:
    """`paths` maps where it can be found to how much of it is there (None: all there is and will be). `key` is the
    file that it was written to, until that was emptied. `unique` is where its first own line ends: before that it may
    be like others. `floor`: so much must be stored, because it was, or could be read, when the rest was destroyed;
    None: all. `lost_us`: when that was, and how much could be read then (`left`)."""

    log: "Log"
    text: bytearray = field(default_factory=bytearray)
    unique: int = 1 << 60
    paths: dict[Path, int | None] = field(default_factory=dict)
    key: Key | None = None
    floor: int | None = None
    lost_us: int = 0
    left: int = 0

    @property
    def readable(self) -> int:
        """How much of it can be found under some path."""
        return max((len(self.text) if size is None else size for size in self.paths.values()), default=0)


class Log:
    """One log of an application, which holds its file open as loggers do."""

    def __init__(self, app: str, path: Path, banner: bytes, *, linked: bool) -> None:
        self.app, self.path, self.banner, self.linked = app, path, banner, linked
        self.rest = b""             #: of a line whose beginning was flushed
        self.number = 0             #: of the next rotated file, copy or link
        self.current: Generation
        self.descriptor = -1

    def file(self) -> Path:
        """The file that it writes to, by a path that is no symbolic link."""
        return self.path if not self.linked else min(path for path, size in self.current.paths.items() if size is None)

    def next_path(self, infix: str) -> Path:
        self.number += 1
        return self.path.with_name(f"{self.path.name}{infix}{self.number:03}")


class Written:
    """All logs, and which path and file is which generation's."""

    def __init__(self, folder: Path, clock: Clock, rng: random.Random) -> None:
        self.folder, self.clock = folder, clock
        self.generations: list[Generation] = []
        self.at: dict[Path, Generation] = {}
        self.by_key: dict[Key, Generation] = {}
        self.calls = 0
        self.logs = []
        for app, path, linked in (("zero", "zero/a.log", False), ("zero", "zero/b.log", False),
                                  ("one", "one/c.log", False), ("one", "one/d.log", True)):
            (folder / path).parent.mkdir(exist_ok=True)
            banner = b"=== banner ===\n" * rng.choice([0, 0, 1, 5, 100])
            self.logs.append(Log(app, folder / path, banner, linked=linked))
        (folder / "one" / "old").mkdir()
        (folder / "away").mkdir()
        for log in self.logs:
            self.create(log)
            self.write(log, log.banner + self.record(log, rng))

    def close(self) -> None:
        for log in self.logs:
            os.close(log.descriptor)

    # --- writing ----------------------------------------------------------------------------------------------------

    def record(self, log: Log, dice: random.Random, *, note: str = "") -> bytes:
        """A record, perhaps of several lines, that nobody has written before."""
        self.calls += 1
        moment = datetime.fromtimestamp(self.clock.now_us() / 1e6 + self.calls * RECORD_S, UTC)
        said = f"took {dice.randrange(2000)} ms" if dice.random() < 0.8 else f"failed: {dice.choice('XYZ')}"
        line = (f"{moment:%Y-%m-%dT%H:%M:%S},{moment.microsecond // 1000:03} {dice.choice(LEVELS):5} [worker-"
                f"{dice.randrange(3)}] com.acme.{log.path.stem} - call {self.calls} of {dice.choice('ab')} {said},"
                f" {note or dice.choice(NOTES)}\n")
        return (line + "\tat com.acme.Some.method(Some.java:17)\n" * dice.choice([0, 0, 0, 2])).encode()

    def write(self, log: Log, data: bytes) -> None:
        """The logger flushes `data`."""
        if not data:
            return
        written = os.write(log.descriptor, data)
        assert written == len(data)
        now_us = self.clock.now_us()
        os.utime(log.descriptor, ns=(now_us * 1000, now_us * 1000))
        generation = log.current
        generation.text += data
        own = len(log.banner) + (data if len(generation.text) == len(data) else bytes(generation.text))[
            len(log.banner):].find(b"\n") + 1
        if generation.unique > len(generation.text) and own > len(log.banner):
            generation.unique = own

    def finish_line(self, log: Log) -> None:
        """The logger flushes the rest of the line whose beginning it has flushed."""
        rest, log.rest = log.rest, b""
        self.write(log, rest)

    def create(self, log: Log) -> None:
        """The logger begins a new file, at the log's path or behind its symbolic link."""
        if log.descriptor >= 0:
            os.close(log.descriptor)
        path = log.next_path("-") if log.linked else log.path
        log.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL, 0o644)
        self._begin(log, {path: None})
        if log.linked:
            new = self.folder / "away" / "link"
            new.symlink_to(path)
            new.rename(log.path)

    def begin_in(self, log: Log, path: Path) -> None:
        """The logger begins a generation in a file that was another one: an inode is used again."""
        os.close(log.descriptor)
        path.chmod(0o644)
        log.descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_TRUNC)
        path.rename(log.path)
        self._begin(log, {log.path: None})

    def empty(self, log: Log) -> Generation:
        """Somebody empties the file under the logger: a new generation, in the same file. The old one is returned."""
        os.ftruncate(log.descriptor, 0)
        old = log.current
        paths = {path: size for path, size in old.paths.items() if size is None}
        for path in paths:
            del old.paths[path]
        old.key = None
        self._begin(log, paths)
        return old

    def _begin(self, log: Log, paths: dict[Path, int | None]) -> None:
        status = os.fstat(log.descriptor)
        log.current = Generation(log, paths=paths, key=(status.st_dev, status.st_ino))
        if (before := self.by_key.get((status.st_dev, status.st_ino))) is not None:
            before.key = None
        self.by_key[status.st_dev, status.st_ino] = log.current
        self.at |= dict.fromkeys(paths, log.current)
        self.generations.append(log.current)

    # --- files ------------------------------------------------------------------------------------------------------

    def rename(self, path: Path, new: Path) -> None:
        """Rename a file, to a path that is free."""
        assert not new.exists()
        path.rename(new)
        generation = self.at.pop(path)
        self.at[new] = generation
        generation.paths[new] = generation.paths.pop(path)

    def unlink(self, path: Path, *, unlink: bool = True) -> Generation:
        """Delete a path (or only forget it), and say whose it was."""
        if unlink:
            path.unlink()
        generation = self.at.pop(path)
        del generation.paths[path]
        return generation

    def add(self, path: Path, generation: Generation, size: int | None) -> None:
        """A path has come at which `size` bytes of a generation can be found (None: all)."""
        self.at[path] = generation
        generation.paths[path] = size

    def put(self, path: Path, data: bytes) -> None:
        """Write a file, with the world's time."""
        path.write_bytes(data)
        status = path.stat()
        if (before := self.by_key.pop((status.st_dev, status.st_ino), None)) is not None:
            before.key = None       # that inode was free
        now_us = self.clock.now_us()
        os.utime(path, ns=(now_us * 1000, now_us * 1000))

    def rotated(self, log: Log) -> list[Path]:
        """The plain files of the log's earlier generations, as they were written, by name."""
        return sorted(path for path, generation in self.at.items()
                      if generation.log is log and generation is not log.current and generation.paths[path] is None)

    def numbered(self, log: Log) -> Iterator[tuple[int, Path]]:
        """The files log.1, log.2, log.2.gz … beside the log, the highest number first."""
        found = []
        for path in self.at:
            number = path.name.removeprefix(log.path.name + ".").split(".")[0]
            if path.parent == log.path.parent and path.name.startswith(log.path.name + ".") and number.isdigit():
                found.append((int(number), path))
        yield from sorted(found, reverse=True)
