"""Running schedules: one, with its verdict; and in folders where permissions hold, whoever runs them."""

import os
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

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


def run(folder: Path, place: Place, schedule: Schedule) -> tuple[list[str], Counter[str]]:
    """Run a schedule in a new folder below `folder`; what is wrong, and how often each fault has happened."""
    own = Path(tempfile.mkdtemp(dir=folder))
    own.chmod(0o755)
    world = World(own, place, schedule)
    try:
        world.run(schedule)
        return problems(world), world.counts
    except Exception:
        return [traceback.format_exc()], world.counts
    finally:
        world.close()
        shutil.rmtree(own)
