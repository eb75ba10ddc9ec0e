"""Linux tells of names and of growth itself: inotify(7), read in large pieces without a thread of its own.

An application at full speed raises an event for each line, but the kernel keeps one where the same event is still
unread, and a thousand events are read at once and cost about a millisecond. What inotify does not see (network drives,
a file reached through a link in another folder, writing through mmap) the agent finds by asking for sizes.
"""

import ctypes
import logging
import os
import select
import struct
import threading
from collections.abc import Iterator, Mapping

log = logging.getLogger(__name__)

IN_MODIFY, IN_ATTRIB, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x2, 0x4, 0x40, 0x80, 0x100, 0x200
IN_DELETE_SELF, IN_MOVE_SELF, IN_Q_OVERFLOW, IN_IGNORED, IN_ONLYDIR = 0x400, 0x800, 0x4000, 0x8000, 0x1000000
MASK = (IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF
        | IN_ONLYDIR)
IN_CLOEXEC, IN_NONBLOCK = 0o2000000, 0o4000

_HEAD = struct.Struct("iIII")               # watch descriptor, mask, cookie, length of the name
READ_BYTES = 1 << 16
READS_MAX = 32                              # at once: more than the kernel keeps, and an end where events never end
PATHS_MAX = 10_000                          # names that are remembered, of files that come and go too
STOP_LOOK_S = 0.25                          # how often a wait looks whether it is to end


class InotifyWatcher:
    """`watch.Watcher` by inotify. Used from one thread. OSError where the system has no inotify, or no more of it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._libc, "inotify_init1"):
            raise OSError("this system has no inotify")
        self._fd = self._libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), f"inotify: {os.strerror(ctypes.get_errno())}")
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._folders: dict[int, str] = {}  # watch descriptor -> folder
        self._watched: dict[str, int] = {}
        self._refused: set[str] = set()
        self._paths: dict[tuple[int, bytes], str] = {}
        self._changed = False
        self._grown: set[str] | None = set()

    def watch(self, folders: Mapping[str, bool]) -> bool:
        wanted = {folder for top, below in folders.items() for folder in (_all_below(top) if below else (top,))}
        for gone in self._watched.keys() - wanted:
            self._libc.inotify_rm_watch(self._fd, self._forget(gone))
        watched = [self._add(folder) for folder in sorted(wanted)]
        return all(watched)

    def _add(self, folder: str) -> bool:
        if folder in self._watched:
            return True
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), MASK)
        if number >= 0:
            if (other := self._folders.get(number)) is not None:    # a second name of the same folder
                self._watched.pop(other, None)
            self._folders[number], self._watched[folder] = folder, number
            self._paths = {}
            return True
        problem = ctypes.get_errno()
        if os.path.isdir(folder) and folder not in self._refused:  # noqa: PTH112
            self._refused.add(folder)
            log.warning("%s: cannot be watched (%s); it is looked at again and again instead", folder,
                        os.strerror(problem))
        return False

    def _forget(self, folder: str) -> int:
        number = self._watched.pop(folder)
        self._folders.pop(number, None)
        self._paths = {}
        return number

    def take_changed(self) -> bool:
        self._read()
        changed, self._changed = self._changed, False
        return changed

    def take_grown(self) -> set[str] | None:
        self._read()
        grown, self._grown = self._grown, set()
        return grown

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        while timeout_s > 0 and not stop.is_set():
            if self._poll.poll(min(timeout_s, STOP_LOOK_S) * 1000):
                return
            timeout_s -= STOP_LOOK_S

    def close(self) -> None:
        os.close(self._fd)

    def _read(self) -> None:
        for number, mask, name in self._events():
            if mask & IN_Q_OVERFLOW:
                self._changed, self._grown = True, None
            elif mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED):
                if (folder := self._folders.get(number)) is not None:
                    self._forget(folder)
                    self._changed = True
                    if mask & IN_MOVE_SELF:     # it is elsewhere now: if it matters there, it is watched anew
                        self._libc.inotify_rm_watch(self._fd, number)
            elif not mask & IN_MODIFY:
                self._changed = True
            elif self._grown is not None and (path := self._path(number, name)):
                self._grown.add(path)

    def _events(self) -> Iterator[tuple[int, int, bytes]]:
        for _ in range(READS_MAX):
            try:
                data = os.read(self._fd, READ_BYTES)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                number, mask, _, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size + length
                yield number, mask, data[at - length:at]

    def _path(self, number: int, name: bytes) -> str:
        """The path as `discover` writes it; "" for a folder that is watched no more."""
        path = self._paths.get((number, name))
        if path is None:
            folder = self._folders.get(number)
            if len(self._paths) >= PATHS_MAX:
                self._paths.clear()
            path = "" if folder is None else os.path.normpath(os.path.join(folder, os.fsdecode(name.rstrip(b"\0"))))  # noqa: PTH118
            self._paths[number, name] = path
        return path


def _all_below(top: str) -> Iterator[str]:
    yield top                               # also where it is not there (yet)
    for parent, folders, _ in os.walk(top):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, name) for name in folders)  # noqa: PTH118
