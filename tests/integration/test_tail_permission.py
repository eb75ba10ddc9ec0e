"""Files that may not be read: one message that says what to do, then reading as soon as it is allowed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tailing import Bench

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """As root: be nobody for a while, since root may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_unreadable_file(shared_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The message names owner, group, mode and a command, once; other files go on; no observation is claimed."""
    bench = Bench(shared_folder)
    bench.write("a.log", "1\n")
    bench.write("b.log", "1 b\n")
    (shared_folder / "a.log").chmod(0o200)
    with unprivileged():
        bench.settle(8)
        assert bench.contents() == ["1 b\n"]
        assert ("observation", "app@host") not in bench.store.kept
    [message] = caplog.messages
    assert f"{shared_folder}/a.log: cannot be read: it has owner " in message
    assert "mode 0200" in message and "run: sudo setfacl -m u:" in message
    (shared_folder / "a.log").chmod(0o644)
    with unprivileged():
        bench.settle(8)
    assert bench.contents() == ["1 b\n", "1\n"]
    assert ("observation", "app@host") in bench.store.kept


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_unreadable_folder(shared_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that may not be listed is named in one message."""
    (shared_folder / "logs").mkdir(mode=0o700)
    bench = Bench(shared_folder, "logs/*.log")
    bench.write("logs/a.log", "1\n")
    if os.geteuid() != 0:
        (shared_folder / "logs").chmod(0)
    with unprivileged():
        bench.settle(4)
    (shared_folder / "logs").chmod(0o755)
    assert len(caplog.messages) == 1 and f"the folder {shared_folder}/logs: permission denied" in caplog.text
    with unprivileged():
        bench.settle(4)
    assert bench.contents() == ["1\n"]
