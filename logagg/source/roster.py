"""Which files are there: new ones are opened, renamed ones keep their follower, finished ones are let go."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress

from logagg.clock import Clock
from logagg.errors import SourceError
from logagg.source.discover import FileSource, discover
from logagg.source.files import FileKey, file_key, is_packed, is_whole, open_log
from logagg.source.follow import BLOCK_BYTES, Follower, State
from logagg.source.notice import Notices

OPEN_MAX = 256
PACKED_QUIET_S = 5.0
DESCRIPTORS_MAX = 16_384
LINGER_S = 60.0
LEFT_MAX = 16
PATHS_MAX = 4096

DESCRIPTORS_LEFT = 512
"""For the store, the web and all else."""

Place = tuple[FileSource, str]
"""A path of a source: one path may belong to two sources."""


class Roster:
    """The followers of all files. `failing` names the sources of which something could not be read last time."""

    def __init__(
        self,
        sources: Sequence[FileSource],
        clock: Clock,
        notices: Notices,
        *,
        block_bytes: int = BLOCK_BYTES,
        open_max: int = OPEN_MAX,
    ) -> None:
        self.sources = tuple(sources)
        self.followers: list[Follower] = []
        self.failing: set[FileSource] = set()
        self._clock = clock
        self._notices = notices
        self._block_bytes = block_bytes
        self._open_max = open_max
        self._at: dict[Place, Follower] = {}
        self._left: OrderedDict[Place, tuple[str, ...]] = OrderedDict()
        self._open_by_key: dict[tuple[FileSource, FileKey], Follower] = {}

    def list(self) -> None:
        """Compare the names that are there with the open files."""
        now_s = self._clock.monotonic_s()
        self.failing.clear()
        self._open_by_key = {
            (f.source, f.key): f for f in self.followers if f.key and (f.file is not None or f.packed)
        }
        met: set[int] = set()
        places: set[object] = set()
        for source in self.sources:
            found = discover(source.paths, source.exclude)
            self._report(source, found.problems)
            for path in found.paths:
                places.add((source, path))
                met.add(id(self._meet((source, path), now_s)))
        for follower in self.followers:
            if id(follower) in met:
                follower.away_s = None
            elif follower.away_s is None:
                follower.away_s = now_s
        self._drop_finished(now_s)
        self._notices.keep(places)

    def fail(self, follower: Follower, error: SourceError) -> None:
        """A file cannot be read any more: let it go, to be opened anew when the folders are listed again."""
        self.failing.add(follower.source)
        self._notices.begin((follower.source, follower.path), f"{error}; trying again every second")
        follower.demote()  # What is at its path when it is opened next may be the same file: no stream has left.
        self._drop(follower)
        self.followers.remove(follower)

    def close(self) -> None:
        for follower in self.followers:
            follower.close()

    def _report(self, source: FileSource, problems: Sequence[str]) -> None:
        name = f"{source.app}@{source.host}"
        if problems:
            self.failing.add(source)
            self._notices.begin(source, f"{name}: {'; '.join(problems)}; looking again every second")
        else:
            self._notices.end(source, f"{name}: all folders can be read now")

    def _meet(self, place: Place, now_s: float) -> Follower | None:
        """The follower of the file that is at a path now; a new one where it is not followed yet."""
        source, path = place
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            return None  # It went after it was listed.
        key = file_key(status)
        here = self._at.get(place)
        if here is not None and _is_still(here, key, status):
            return here
        followed = self._open_by_key.get((source, key)) if key else None
        if followed is not None and followed is not here and _is_of(followed, status):
            if not _is_at_its_path(followed):
                self._move(followed, place)
            return followed  # Else it is a second name of the same file: a link.
        if is_packed(path) and self._age_s(status) < PACKED_QUIET_S and not is_whole(path):
            self.failing.add(source)  # Perhaps it is being written still: nothing is said of it until it is quiet.
            return None
        return self._follow(place, status, here, now_s)

    def _age_s(self, status: os.stat_result) -> float:
        return self._clock.now_us() / 1e6 - status.st_mtime

    def _follow(self, place: Place, status: os.stat_result, here: Follower | None, now_s: float) -> Follower | None:
        """Open a file that is not followed yet. `here` is what was at its path before."""
        source, path = place
        if not self._make_room():
            self.failing.add(source)
            return None
        try:
            file = open_log(path)
        except FileNotFoundError:
            return None
        except SourceError as error:
            self.failing.add(source)
            self._notices.begin(place, f"{error}; trying again every second")
            return None
        if file.key is not None and file.key != file_key(status):
            file.close()  # It was renamed between asking and opening: the next listing tells what is what.
            self.failing.add(source)
            return None
        if here is not None:
            self._leave(here)
        left = frozenset(self._left.get(place, ()))
        follower = Follower(
            source, path, file, now_s=now_s, age_s=self._age_s(status), left=left, after=here,
            block_bytes=self._block_bytes,
        )
        follower.signature = (status.st_size, status.st_mtime_ns)
        self.followers.append(follower)
        self._at[place] = follower
        if follower.key:
            self._open_by_key[source, follower.key] = follower
        return follower

    def _make_room(self) -> bool:
        """Whether another file may be opened: the longest idle one gives its descriptor back if need be."""
        opened = [follower for follower in self.followers if follower.file is not None]
        if len(opened) < self._open_max:
            return True
        idle = [f for f in opened if f.settled and f.state is not State.UNKNOWN and f.away_s is None]
        return any(f.park() for f in sorted(idle, key=lambda follower: follower.grew_s))

    def _leave(self, follower: Follower) -> None:
        """A follower's file is not at its path any more; what comes there is younger."""
        place = (follower.source, follower.path)
        if self._at.get(place) is not follower:
            return
        del self._at[place]
        streams = (*self._left.pop(place, ()), *follower.past())
        if streams:
            self._left[place] = tuple(dict.fromkeys(streams))[-LEFT_MAX:]
        if len(self._left) > PATHS_MAX:
            self._left.popitem(last=False)

    def _move(self, follower: Follower, place: Place) -> None:
        """A followed file has a new name."""
        self._leave(follower)
        if other := self._at.get(place):
            self._leave(other)
        follower.path = place[1]
        self._at[place] = follower

    def _drop_finished(self, now_s: float) -> None:
        """Let go of files that no path leads to, once they are read and quiet."""
        for follower in self.followers:
            if _is_finished(follower, now_s):
                self._drop(follower)
        self.followers = [follower for follower in self.followers if not follower.dropped]

    def _drop(self, follower: Follower) -> None:
        self._leave(follower)
        follower.close()
        follower.dropped = True


def open_max() -> int:
    """How many files may be open at once: as many as the system allows this process, less what else it needs."""
    try:
        import resource
    except ImportError:         # Windows
        return OPEN_MAX
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return max(OPEN_MAX, min(soft, DESCRIPTORS_MAX) - DESCRIPTORS_LEFT)


def _is_still(follower: Follower, key: FileKey | None, status: os.stat_result) -> bool:
    """Whether the file at a follower's path is still the one that it follows."""
    if follower.key != key:
        return False
    unchanged = follower.signature == (status.st_size, status.st_mtime_ns)
    if follower.file is None:
        return (unchanged and follower.state is not State.UNKNOWN) or (not follower.packed and follower.reopen())
    if follower.packed:
        return unchanged
    return key is not None or follower.is_at_its_path()


def _is_of(follower: Follower, status: os.stat_result) -> bool:
    """Whether a file with a follower's key is its file still: a closed one's may have been deleted, its key reused."""
    if follower.packed:
        return follower.signature == (status.st_size, status.st_mtime_ns)
    return follower.file is not None


def _is_at_its_path(follower: Follower) -> bool:
    try:
        return file_key(os.stat(follower.path)) == follower.key  # noqa: PTH116
    except OSError:
        return False


def _is_finished(follower: Follower, now_s: float) -> bool:
    if follower.away_s is None:
        return False
    return follower.file is None or (
        follower.settled and now_s - max(follower.grew_s, follower.away_s) >= LINGER_S
    )
