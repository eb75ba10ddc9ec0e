"""One demo at a time in a folder: a second one would remove the logs and the store that the first one works with."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from logagg.demo.folder import MARKER, mark
from logagg.errors import UsageError


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the demo's folder; it is made where it is missing. UsageError while another process holds it.

    The lock is the system's on the marker file, so that it ends with the process, however that ends. Where the file
    system has no locks, nothing is held.
    """
    mark(folder)
    with (folder / MARKER).open("rb+") as marker:
        try:
            _lock(marker)
        except (BlockingIOError, PermissionError):
            raise UsageError(f"{folder}: another demo is at work there; end it with Ctrl-C, or name another folder "
                             "with --dir") from None
        except OSError:
            pass    # no locks there (some network file systems)
        yield


if sys.platform == "win32":

    def _lock(file: IO[bytes]) -> None:
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: IO[bytes]) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
