"""Noticing that names appeared, moved or vanished, and that files grew, by the system's own means where it has them.

Linux tells of both (inotify.py). Elsewhere watchdog tells of names, and open files are asked for their sizes. Without
a watcher (no more inotify watches) the agent looks into the folders again and again instead.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Protocol

log = logging.getLogger(__name__)

_WITHOUT = "no watching of folders here; they are looked at every few seconds instead: %s"


class Watcher(Protocol):
    """Tells what changed in the watched folders since it was last asked."""

    def watch(self, folders: Mapping[str, tuple[int, int] | None]) -> Collection[str]:
        """Watch these folders (with device and inode, where known) and no others; the answer is those that cannot be
        watched. Each call tries these again."""
        ...

    def take_changed(self) -> bool:
        """Whether names changed."""
        ...

    def take_grown(self) -> set[str] | None:
        """The paths of files that were written to; None: it cannot tell, any may have been."""
        ...

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        """Return when something changed, `stop` is set (or little later) or the time is over."""
        ...

    def close(self) -> None: ...


class NoWatcher:
    """The agent looks into the folders again and again."""

    def watch(self, folders: Mapping[str, tuple[int, int] | None]) -> Collection[str]:
        return folders.keys()

    def take_changed(self) -> bool:
        return False

    def take_grown(self) -> set[str] | None:
        return None

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        stop.wait(timeout_s)

    def close(self) -> None:
        pass


class LaterWatcher:
    """The agent looks into the folders until the system has a watcher for it: others may have taken all there are."""

    def __init__(self, open_one: Callable[[], Watcher]) -> None:
        self._open = open_one
        self._watcher: Watcher = NoWatcher()

    def watch(self, folders: Mapping[str, tuple[int, int] | None]) -> Collection[str]:
        if isinstance(self._watcher, NoWatcher):
            with suppress(OSError):
                self._watcher = self._open()
                log.info("folders can be watched now")
        return self._watcher.watch(folders)

    def take_changed(self) -> bool:
        return self._watcher.take_changed()

    def take_grown(self) -> set[str] | None:
        return self._watcher.take_grown()

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        self._watcher.wait(stop, timeout_s)

    def close(self) -> None:
        self._watcher.close()


class FolderWatcher:
    """watchdog: FSEvents, kqueue or ReadDirectoryChangesW; it is asked for names only."""

    def __init__(self) -> None:
        from watchdog.events import (
            DirCreatedEvent,
            DirMovedEvent,
            FileCreatedEvent,
            FileDeletedEvent,
            FileMovedEvent,
            FileSystemEvent,
            FileSystemEventHandler,
        )
        from watchdog.observers import Observer
        from watchdog.observers.api import ObservedWatch

        changed = self._changed = threading.Event()

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                changed.set()

        self._handler = Handler()
        self._events: list[type[FileSystemEvent]] = [
            FileCreatedEvent, FileDeletedEvent, FileMovedEvent, DirCreatedEvent, DirMovedEvent,
        ]
        self._observer = Observer()
        self._observer.start()
        self._watches: dict[tuple[str, bool], ObservedWatch] = {}
        self._refused: set[tuple[str, bool]] = set()

    def watch(self, folders: Mapping[str, tuple[int, int] | None]) -> Collection[str]:
        tops = _tops(folders)
        for gone in self._watches.keys() - tops.items():
            self._observer.unschedule(self._watches.pop(gone))
        left = {top for top, below in tops.items() if not self._add(top, below)}
        return {folder for folder in folders if any(folder == top or _is_below(folder, top) for top in left)}

    def _add(self, folder: str, below: bool) -> bool:
        if not os.path.isdir(folder):  # noqa: PTH112
            if watch := self._watches.pop((folder, below), None):
                self._observer.unschedule(watch)
            return False
        if (folder, below) in self._refused:
            return False
        if (folder, below) not in self._watches:
            try:
                self._watches[folder, below] = self._observer.schedule(
                    self._handler, folder, recursive=below, event_filter=self._events
                )
            except (OSError, RuntimeError) as error:
                self._refused.add((folder, below))
                log.warning("%s: cannot be watched (%s); it is looked at again and again instead", folder, error)
                return False
        return True

    def take_changed(self) -> bool:
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    def take_grown(self) -> set[str] | None:
        return None

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        stop.wait(timeout_s)

    def close(self) -> None:
        self._observer.stop()
        self._observer.join(5)


def _tops(folders: Collection[str]) -> dict[str, bool]:
    """The folders that are below none of the others, and whether one of the others is below: watched as whole trees,
    since a watch may be a thread."""
    tops: dict[str, bool] = {}
    for folder in sorted(folders, key=lambda one: one.count(os.sep)):
        above = next((top for top in tops if _is_below(folder, top)), None)
        tops[above or folder] = above is not None
    return tops


def _is_below(folder: str, top: str) -> bool:
    return folder.startswith(top.rstrip(os.sep) + os.sep)


def open_watcher() -> Watcher:
    """The system's watcher; none where it has none. Where it has no more of them, it is asked again later."""
    try:
        if sys.platform != "linux":
            return FolderWatcher()
        from logagg.source.inotify import InotifyWatcher  # ctypes: not in every Python
    except (ImportError, OSError, RuntimeError) as error:
        log.warning(_WITHOUT, error)
        return NoWatcher()
    try:
        return InotifyWatcher()
    except OSError as error:
        log.warning(_WITHOUT, error)
        return LaterWatcher(InotifyWatcher)
