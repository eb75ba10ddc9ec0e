"""Some space that is kept free beside a SQLite store, for what must still be written when the disk is full.

The file `<store>-reserve` holds it. When a write finds the disk full the file is emptied: then documents (alerts, mail,
leases) can still be written, and whatever takes much space (chunks, folds) is refused, by every process on the store,
until there is space for the reserve again, or within the store's own file.
"""

import errno
import os
import shutil
from pathlib import Path

FILL_BYTES = 1 << 20
ENOUGH_BYTES = 48 << 20             # what a reserve of the usual size asks for


class Reserve:
    """The reserve of the store at `path`, of `size_bytes`; 0: this process makes none, and heeds that of others."""

    def __init__(self, path: str, size_bytes: int) -> None:
        self.path = Path(path + "-reserve")
        self.size_bytes = size_bytes

    def released(self) -> bool:
        """Whether the space has been given away."""
        try:
            return self.path.stat().st_size == 0
        except OSError:
            return False

    def keep(self) -> bool:
        """Take the space (again) if there is one and a half times as much; whether it is held now."""
        if not self.size_bytes:
            return False
        try:
            if self.path.exists() and self.path.stat().st_size >= self.size_bytes:
                return True
            if shutil.disk_usage(self.path.parent).free < self.size_bytes * 3 // 2:
                return False
        except OSError:
            return False
        known = self.path.exists()
        try:
            with self.path.open("ab") as file:
                _allocate(file.fileno(), self.size_bytes)
        except OSError:
            if known:
                self._empty()
            else:
                self.path.unlink(missing_ok=True)       # an empty one would say that it has been given away
            return False
        return True

    def enough(self) -> bool:
        """Whether a process that makes no reserve may go on without it: perhaps none that makes one runs any more."""
        try:
            return not self.size_bytes and shutil.disk_usage(self.path.parent).free >= ENOUGH_BYTES
        except OSError:
            return False

    def release(self) -> None:
        """Give the space to the store."""
        if self.path.exists():
            self._empty()

    def _empty(self) -> None:
        try:
            os.truncate(self.path, 0)
        except OSError:
            return


def _allocate(descriptor: int, size: int) -> None:
    """Make a file that size, with its blocks: random bytes where the system cannot allocate, since file systems that
    compress keep nothing for zeros."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
            return
        except OSError as problem:
            if problem.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
    left = size - os.fstat(descriptor).st_size
    while left > 0:
        left -= os.write(descriptor, os.urandom(min(left, FILL_BYTES)))
