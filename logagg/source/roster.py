"""Which files are there: new ones are opened, renamed ones keep their follower, finished ones are let go.

A listing looks at names that came, went or mean another file now; what is open under its name is not asked. Closed
and compressed files are asked every ten seconds, everything once a minute.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress

from logagg.clock import Clock
from logagg.errors import SourceError
from logagg.source.discover import Discovery, FileSource, Finder
from logagg.source.files import FileKey, file_key, is_packed, is_whole, open_log
from logagg.source.follow import BLOCK_BYTES, Follower, State
from logagg.source.identity import HEAD_BYTES
from logagg.source.notice import Notices

OPEN_MAX = 256
PARKED_SHARE = 8
"""Where too many files are open, this part of what may be is closed at once."""

PACKED_QUIET_S = 5.0
SKEW_S = 60.0
"""So far a drive's clock may be ahead; a file from a later future tells nothing: this clock was set back, or another
was wrong."""

DESCRIPTORS_MAX = 16_384
LINGER_S = 60.0
LEFT_MAX = 16
PATHS_MAX = 4096
CLOSED_ASK_S = 10.0
ALL_ASK_S = 60.0
BLOCKS_PER_S = 4
"""A source with a rate limit is read in blocks of this part of a second's bytes."""

DESCRIPTORS_LEFT = 512
"""For the store, the web and all else."""

Place = tuple[FileSource, str]
"""A path of a source: one path may belong to two sources."""


class Roster:
    """The followers of all files. `failing` names the sources of which something could not be read last time.

    `folders` are those in which names matter, for the watcher. `ignored`: the sizes of files that are too old to be
    read. `crowded`: more files are there than may be open, and none can be closed yet. `moved`: the followers that are
    new, were opened again, or whose name is another or gone; whoever asks for them empties it.
    """

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
        self.folders: dict[str, tuple[int, int] | None] = {}
        self.ignored: dict[Place, int] = {}
        self.crowded = False
        self.moved: set[Follower] = set()
        self._clock = clock
        self._notices = notices
        self._block_bytes = block_bytes
        self._open_max = open_max
        self._open_count = 0
        self._keyless = False
        self._away: set[Follower] = set()
        self._finders = {source: Finder(source.paths, source.exclude) for source in self.sources}
        self._found: dict[FileSource, Discovery] = {}
        self._at: dict[Place, Follower] = {}
        self._by_path: dict[str, list[Follower]] = {}
        self._links: dict[str, tuple[str, ...]] = {}
        self._unfollowed: dict[FileSource, set[str]] = {source: set() for source in self.sources}
        self._second_names: dict[FileSource, set[str]] = {source: set() for source in self.sources}
        self._left: OrderedDict[Place, tuple[str, ...]] = OrderedDict()
        self._by_key: dict[tuple[FileSource, FileKey], Follower] = {}
        self._unfinished: dict[tuple[str, str], tuple[bytes, ...]] = {}     # the heads of streams, by app and host
        self._closed_asked_s = self._all_asked_s = float("-inf")

    def find(self) -> None:
        """Look into the folders: what `list` goes by, and `folders`."""
        afresh = self._clock.monotonic_s() - self._all_asked_s >= ALL_ASK_S
        self.folders = {}
        for source, finder in self._finders.items():
            found, before = finder.find(afresh=afresh), self._found.get(source)
            if before is not None:      # of which `list` has not made use yet
                found = found.after(before)
            self._found[source] = found
            self.folders |= found.folders

    def list(self) -> None:
        """Compare the names that were found with the files that are followed."""
        if len(self._found) < len(self._finders):
            self.find()
        now_s = self._clock.monotonic_s()
        self.failing.clear()
        self.crowded = False
        if (count := len(self.followers)) > self._open_max // 2:
            count = sum(follower.file is not None for follower in self.followers)
        self._open_count = count
        to_ask = self._to_ask(now_s)
        self._links = {}
        for source, found in self._found.items():
            self._report(source, found.problems)
            for real, paths in found.links.items():
                self._links[real] = (*self._links.get(real, ()), *paths)
            changed = found.changed | self._unfollowed[source] | self._second_names[source] | to_ask.get(source, set())
            for path in sorted(changed - found.gone):
                self._ask((source, path), now_s)
            for path in found.gone:
                self._gone((source, path), now_s)
        self._found = {}
        self._drop_finished(now_s)

    def _to_ask(self, now_s: float) -> dict[FileSource, set[str]]:
        """The paths that are asked because it is time to, by source."""
        if now_s - self._all_asked_s >= ALL_ASK_S:
            self._all_asked_s = self._closed_asked_s = now_s
            return {source: set(found.paths) for source, found in self._found.items()}
        closed = now_s - self._closed_asked_s >= CLOSED_ASK_S
        if closed:
            self._closed_asked_s = now_s
        to_ask: dict[FileSource, set[str]] = {}
        for follower in self.followers if closed or self._keyless else ():
            ask = follower.key is None or (closed and (follower.file is None or follower.packed))
            if ask and self._at.get((follower.source, follower.path)) is follower:
                to_ask.setdefault(follower.source, set()).add(follower.path)
        if closed:
            for source, path in self.ignored:
                to_ask.setdefault(source, set()).add(path)
        return to_ask

    def told(self, paths: Iterable[str]) -> dict[Follower, None]:
        """The followers of the files at these paths, as the kernel tells that they were written to: what was closed
        because it was idle is opened again, what was too old to be read is followed from now on."""
        followers: dict[Follower, None] = {}
        now_s = self._clock.monotonic_s()
        for path in paths:
            for name in (path, *self._links.get(path, ())):
                closed = [f.source for f in self._by_path.get(name, ()) if f.file is None and not f.packed]
                ignored = [one for one in self.sources if (one, name) in self.ignored] if self.ignored else []
                for source in (*closed, *ignored):
                    self._ask((source, name), now_s)
                followers.update(dict.fromkeys(self._by_path.get(name, ())))
        return followers

    def finish(self, app: str, host: str, heads: Sequence[bytes]) -> None:
        """Files that begin so are read to their ends, however old they are: an agent ended before it had done that."""
        self._unfinished[app, host] = tuple(heads)
        now_s = self._clock.monotonic_s()
        for place in [one for one in self.ignored if heads and (one[0].app, one[0].host) == (app, host)]:
            del self.ignored[place]
            self._ask(place, now_s)

    def fail(self, follower: Follower, error: SourceError) -> None:
        """A file cannot be read any more: let it go, to be opened anew when the folders are listed again."""
        self.failing.add(follower.source)
        self._notices.begin((follower.source, follower.path), f"{error}; trying again every second")
        was = follower.stream.id if follower.stream is not None else follower.copy_of
        follower.demote()  # What is at its path when it is opened next may be the same file: no stream has left.
        follower.copy_of = was          # by which that is known for the same log, not one that came after it
        if self._at.get((follower.source, follower.path)) is follower:
            self._unfollowed[follower.source].add(follower.path)
        if follower.has_losses:     # it stays, as a file that is away, until they are written down
            self._let_go(follower)
            follower.size = 0
            return
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

    def _ask(self, place: Place, now_s: float) -> None:
        """Find out what is at a path now."""
        source, path = place
        here = self._at.get(place)
        met = self._meet(place, now_s)
        if met is not None:
            met.away_s = None
            self._away.discard(met)
            self.ignored.pop(place, None)
            self._unfollowed[source].discard(path)
            if met.path != path:
                self._second_names[source].add(path)
            else:
                self._second_names[source].discard(path)
        elif place not in self.ignored:
            self._unfollowed[source].add(path)
        if here is not None and here is not met and self._at.get(place) is here:
            self._is_away(here, now_s)

    def _gone(self, place: Place, now_s: float) -> None:
        """Nothing is at a path any more."""
        source, path = place
        self._unfollowed[source].discard(path)
        self._second_names[source].discard(path)
        self.ignored.pop(place, None)
        self._notices.forget(place)
        if (here := self._at.get(place)) is not None:
            self._is_away(here, now_s)

    def _is_away(self, follower: Follower, now_s: float) -> None:
        """No path leads to a file any more."""
        if follower.away_s is None:
            follower.away_s = now_s
            self.moved.add(follower)
            self._away.add(follower)

    def _meet(self, place: Place, now_s: float) -> Follower | None:
        """The follower of the file that is at a path now; a new one where it is not followed yet."""
        source, path = place
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            return None  # It went after it was listed.
        key = file_key(status)
        here = self._at.get(place)
        if here is not None and self._is_still(here, key, status):
            return here
        followed = self._by_key.get((source, key)) if key else None
        if followed is not None and followed is not here and _is_of(followed, status):
            if not _is_at_its_path(followed):
                self._move(followed, place)
            return followed  # Else it is a second name of the same file: a link.
        age_s = self._age_s(status)
        if is_packed(path) and -SKEW_S <= age_s < PACKED_QUIET_S and not is_whole(path):
            self.failing.add(source)  # Perhaps it is being written still: nothing is said of it until it is quiet.
            return None
        if here is None and self._is_ignored(place, age_s):
            self.ignored[place] = status.st_size
            return None
        return self._follow(place, status, here, now_s)

    def _is_ignored(self, place: Place, age_s: float) -> bool:
        """Whether a file is too old to be read, and none of which the rest is to be read."""
        source, path = place
        if not source.ignore_older_s or age_s <= source.ignore_older_s:
            return False
        heads = self._unfinished.get((source.app, source.host), ())
        return place in self.ignored or not (path in self._unfollowed[source] or _begins_with_any(path, heads))

    def _is_still(self, follower: Follower, key: FileKey | None, status: os.stat_result) -> bool:
        """Whether the file at a follower's path is still the one that it follows; a closed one is opened if it has
        changed."""
        if follower.key != key:
            return False
        unchanged = follower.signature == (status.st_size, status.st_mtime_ns)
        if follower.file is None:
            if unchanged and (follower.state is not State.UNKNOWN or not status.st_size):
                return True
            if follower.packed:
                return False
            if not self._make_room():
                self.failing.add(follower.source)
                self._closed_asked_s = float("-inf")    # it is asked again by the next listing
                return True
            self.moved.add(follower)
            return follower.reopen()
        if follower.packed:
            return unchanged
        return key is not None or follower.is_at_its_path()

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
        block_bytes = self._block_bytes
        if source.rate_limit:
            block_bytes = min(block_bytes, max(1, source.rate_limit // BLOCKS_PER_S))
        try:
            follower = Follower(
                source, path, file, now_s=now_s, age_s=self._age_s(status), left=left, after=here,
                block_bytes=block_bytes,
            )
        except SourceError as error:
            file.close()
            self.failing.add(source)
            self._notices.begin(place, f"{error}; trying again every second")
            return None
        follower.signature = (status.st_size, status.st_mtime_ns)
        self.followers.append(follower)
        self.moved.add(follower)
        self._put(place, follower)
        if follower.key:
            self._by_key[source, follower.key] = follower
        else:
            self._keyless = True
        return follower

    def _make_room(self) -> bool:
        """Whether another file may be opened; it is counted. The longest idle ones give their descriptors back."""
        if self._open_count >= self._open_max and not self.crowded:
            idle = [f for f in self.followers if f.file is not None and f.away_s is None and _may_be_closed(f)]
            idle.sort(key=lambda follower: follower.grew_s)
            self._open_count -= sum(f.park() for f in idle[: max(1, self._open_max // PARKED_SHARE)])
            self.crowded = self._open_count >= self._open_max
        if self._open_count >= self._open_max:
            return False
        self._open_count += 1
        return True

    def _put(self, place: Place, follower: Follower) -> None:
        self._at[place] = follower
        self._by_path.setdefault(place[1], []).append(follower)

    def _take(self, place: Place) -> None:
        follower = self._at.pop(place)
        others = self._by_path[place[1]]
        others.remove(follower)
        if not others:
            del self._by_path[place[1]]

    def _leave(self, follower: Follower) -> None:
        """A follower's file is not at its path any more; what comes there is younger."""
        place = (follower.source, follower.path)
        if self._at.get(place) is not follower:
            return
        self._take(place)
        self._is_away(follower, self._clock.monotonic_s())
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
        self.moved.add(follower)
        self._put(place, follower)

    def _drop_finished(self, now_s: float) -> None:
        """Let go of files that no path leads to, once they are read and quiet."""
        finished = [follower for follower in self._away if _is_finished(follower, now_s)]
        for follower in finished:
            self._drop(follower)
        if finished:
            self.followers = [follower for follower in self.followers if not follower.dropped]

    def _let_go(self, follower: Follower) -> None:
        self._leave(follower)
        if follower.key and self._by_key.get((follower.source, follower.key)) is follower:
            del self._by_key[follower.source, follower.key]
        follower.close()

    def _drop(self, follower: Follower) -> None:
        self._let_go(follower)
        follower.dropped = True
        self.moved.add(follower)
        self._away.discard(follower)


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


def _may_be_closed(follower: Follower) -> bool:
    """Whether nothing is to be read of a file until it changes; of an empty one it is not even known what it is."""
    return follower.settled and (follower.state is not State.UNKNOWN or not (follower.size or follower.packed))


def _begins_with_any(path: str, heads: Sequence[bytes]) -> bool:
    if not heads:
        return False
    try:
        file = open_log(path)
    except (OSError, SourceError):
        return False
    try:
        return file.read_at(0, HEAD_BYTES).startswith(tuple(heads))
    except SourceError:
        return False
    finally:
        file.close()


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
    if follower.away_s is None or follower.has_losses:
        return False            # what it has lost is to be written down first: the store may be away
    return follower.file is None or (
        follower.settled and now_s - max(follower.grew_s, follower.away_s) >= LINGER_S
    )
