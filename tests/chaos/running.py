"""Running schedules: one, with its verdict; and in folders where permissions hold, whoever runs them."""

import os
import re
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from logagg import ingest
from logagg.ingest import Segment
from logagg.record import Stream
from logagg.source import files
from tests.chaos.schedule import Schedule
from tests.chaos.stores import Place
from tests.chaos.verdict import problems
from tests.chaos.world import World

NOBODY = 65534
MEMORY = Path("/dev/shm")


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a moment: root may read what is forbidden."""
    privileged = hasattr(os, "geteuid") and os.geteuid() == 0
    if privileged:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if privileged:
            os.seteuid(0)


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder for schedules, in memory where there is such a place, since no power fails here. Meanwhile logs are
    opened as nobody."""

    def open_shared(path: str) -> int:
        with unprivileged():
            return opened(path)

    opened = files._open_shared
    folder = Path(tempfile.mkdtemp(prefix="logagg-chaos-", dir=MEMORY if MEMORY.is_dir() else None))
    folder.chmod(0o755)
    try:
        with patch.object(files, "_open_shared", open_shared):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def trimming_disabled(disabled: bool = True) -> Iterator[None]:
    """Commit what an agent offers without looking at what is there already: exactly once is gone."""

    def untrimmed(state: Stream, segment: Segment, record_bytes_max: int) -> bytes:
        data = segment.data[max(0, segment.stream.resume - segment.start):]
        return data if segment.whole else data[: data.rfind(b"\n") + 1]

    with patch.object(ingest, "_trim", untrimmed) if disabled else nullcontext():
        yield


@dataclass(frozen=True)
class Verdict:
    """What came of a schedule: what is wrong, how often each fault has happened, and bytes and logs in numbers."""

    seed: int
    problems: list[str]
    counts: Counter[str]
    tally: Counter[str]

    @property
    def kind(self) -> str:
        """The first problem without its numbers and names."""
        return re.sub(r"\[.*?\]|[^\s:]*\d[^\s:]*|\S+\.log", "", self.problems[0])[-120:] if self.problems else ""


def run(folder: Path, place: Place, schedule: Schedule) -> Verdict:
    """Run a schedule in a new folder below `folder`."""
    own = Path(tempfile.mkdtemp(dir=folder))
    own.chmod(0o755)
    world = World(own, place, schedule)
    try:
        world.run(schedule)
        wrong = problems(world)
    except Exception:
        wrong = [traceback.format_exc()]
    finally:
        world.close()
        shutil.rmtree(own)
    return Verdict(schedule.seed, wrong, world.counts, world.tally)
