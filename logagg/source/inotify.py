"""Linux tells of names and of growth itself: inotify(7), read in large pieces without a thread of its own.

An application at full speed raises an event for each line, but the kernel keeps one where the same event is still
unread, and a thousand events are read at once and cost about a millisecond. What inotify does not see (network drives,
a file reached through a link in another folder, writing through mmap) the agent finds by asking for sizes.
"""

import ctypes
import errno
import logging
import os
import select
import struct
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

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

LIMITS = Path("/proc/sys/fs/inotify")
Identity = tuple[int, int]                  # a folder's device and inode


class InotifyWatcher:
    """`watch.Watcher` by inotify. Used from one thread. OSError where the system has no inotify, or no more of it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._libc, "inotify_init1"):
            raise OSError("this system has no inotify")
        self._fd = self._libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK)
        if self._fd < 0:
            problem = ctypes.get_errno()
            raise OSError(problem, _no_more("max_user_instances", 1) if problem == errno.EMFILE else
                          os.strerror(problem))
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._folders: dict[int, list[str]] = {}    # watch descriptor -> the names of its folder
        self._watched: dict[str, tuple[int, Identity | None]] = {}
        self._refused: dict[str, str] = {}          # folder -> why it cannot be watched
        self._exhausted = False
        self._paths: dict[tuple[int, bytes], tuple[str, ...]] = {}
        self._changed = False
        self._grown: set[str] | None = set()

    def watch(self, folders: Mapping[str, Identity | None]) -> Collection[str]:
        for folder in [one for one in self._watched if one not in folders]:
            self._let_go(folder)
        for folder, (_, identity) in list(self._watched.items()):
            if None not in (identity, folders[folder]) and identity != folders[folder]:
                self._let_go(folder)        # its name, or a link on its way, leads to another one now
        wanted = [(folder, identity) for folder, identity in folders.items() if folder not in self._watched]
        left = {folder: problem for folder, identity in wanted if (problem := self._add(folder, identity))}
        self._say(left, len(folders))
        return left.keys()

    def _add(self, folder: str, identity: Identity | None) -> int:
        """Watch a folder; answers 0, or the number of the error."""
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), MASK)
        if number < 0:
            return ctypes.get_errno()
        names = self._folders.setdefault(number, [])
        if folder not in names:             # else a second name of the same folder
            names.append(folder)
        self._watched[folder] = number, identity
        self._paths = {}
        return 0

    def _let_go(self, folder: str) -> None:
        number, _ = self._watched[folder]
        if self._forget(folder):
            self._libc.inotify_rm_watch(self._fd, number)

    def _forget(self, folder: str) -> bool:
        """Whether that was the last name of a watched folder."""
        number, _ = self._watched.pop(folder)
        names = self._folders.get(number, [])
        if folder in names:
            names.remove(folder)
        if not names:
            self._folders.pop(number, None)
        self._paths = {}
        return not names

    def _say(self, left: Mapping[str, int], wanted: int) -> None:
        """Tell once why folders cannot be watched: those that are too many in one message, others one by one."""
        exhausted = [folder for folder, problem in left.items() if problem == errno.ENOSPC]
        if exhausted and not self._exhausted:
            log.warning("%d of %d folders cannot be watched (the first is %s): %s", len(exhausted), wanted,
                        exhausted[0], _no_more("max_user_watches", wanted))
        if self._exhausted and not exhausted:
            log.info("all folders can be watched now")
        self._exhausted = bool(exhausted)
        refused = {folder: os.strerror(problem) for folder, problem in left.items()
                   if problem not in (errno.ENOSPC, errno.ENOENT, errno.ENOTDIR)}
        for folder, why in refused.items():
            if self._refused.get(folder) != why:
                log.warning("%s: cannot be watched (%s); it is looked at again and again instead", folder, why)
        self._refused = refused

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
                for folder in list(self._folders.get(number, ())):
                    self._forget(folder)
                    self._changed = True
                    if mask & IN_MOVE_SELF:     # it is elsewhere now: if it matters there, it is watched anew
                        self._libc.inotify_rm_watch(self._fd, number)
            elif not mask & IN_MODIFY:
                self._changed = True
            elif self._grown is not None:
                self._grown.update(self._named(number, name))

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

    def _named(self, number: int, name: bytes) -> tuple[str, ...]:
        """The paths as `discover` writes them; none for a folder that is watched no more."""
        paths = self._paths.get((number, name))
        if paths is None:
            if len(self._paths) >= PATHS_MAX:
                self._paths.clear()
            file = os.fsdecode(name.rstrip(b"\0"))
            paths = tuple(file if folder == "." else os.path.join(folder, file)  # noqa: PTH118
                          for folder in self._folders.get(number, ()))
            self._paths[number, name] = paths
        return paths


def _no_more(limit: str, wanted: int) -> str:
    """What to do where the system gives no more: the setting, and a number that is enough."""
    try:
        now = int((LIMITS / limit).read_text())
    except (OSError, ValueError):
        now = 0
    enough = 1 << (2 * max(now, wanted) - 1).bit_length()
    return (f"the system's limit fs.inotify.{limit} ({now}) is reached; until it is raised, what is not watched is "
            f"looked at every few seconds; run: sudo sysctl fs.inotify.{limit}={enough}")
