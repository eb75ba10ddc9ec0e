"""What was destroyed before it could be read: bytes that had been seen are counted, of others it is said when.

Bytes of a stream that were seen, and that its file does not have any more, are noted at once (document "found", with a
reason) and committed as gone `GONE_AFTER_S` later, if no copy of them has turned up: when all folders could be read,
every file has been identified, and no file is left in which more of the stream is to be read.

Where a file was emptied or written over, more may have been written to it since the last look. Where all files of
one log (its rotated parts included) have gone from one listing to the next, and others have come, whole files may have
come and gone in between. These intervals are kept in the document "unseen"/<app>@<host>:<path>.
"""

import os
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from logagg.interfaces import Store
from logagg.ledger import GONE
from logagg.record import TRUNCATED, Stream
from logagg.source.files import PACKED_SUFFIXES
from logagg.source.follow import Follower, State, Unseen
from logagg.source.identity import first_line, line_text

GONE_AFTER_S = 60.0
LATE_US = 10_000_000
INTERVALS_MAX = 100
KNOWN_MAX = 16
"""So many streams of a log are remembered over a restart: its newest files, rotated ones included."""

ROTATED = "rotated"
GIVEN_UP_PER_ROUND_MAX = 200

SUSPECTS_MAX = 1000
NAMES_MAX = 4096
"""So many logs without a file are remembered."""

_NUMBER = re.compile(r"[-_.]?\d+")

Value = dict[str, Any]


class GivesUp(Protocol):
    """What is needed of `Ingest`."""

    def give_up(self, stream: Stream, end: int, reason: str) -> Stream:
        """Commit what lies behind the stream's end, up to `end`, as gone; the committed state."""
        ...


@lru_cache(1 << 14)
def log_name(path: str) -> str:
    """One name for a log and all its rotated parts: app.log, app.log.1 and app-2026-11-20-3.log.gz are "app.log"."""
    name = os.path.basename(path)  # noqa: PTH119 - thousands of names
    for suffix in PACKED_SUFFIXES:
        name = name.removesuffix(suffix)
    return _NUMBER.sub("", name) or name


@dataclass(frozen=True, slots=True)
class _There:
    """The files of one log when it was last seen: the followers, the streams that they are, and when that was.

    `late`: streams that had grown so late that an agent that was killed then may have known more of them than it had
    committed.
    """

    followers: frozenset[Follower]
    streams: frozenset[str]
    at_s: float
    late: frozenset[str] = frozenset()

    def ids(self) -> frozenset[str]:
        return self.streams | (frozenset(map(_stream_of, self.followers)) - {""})


_NOTHING = _There(frozenset(), frozenset(), 0.0)


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A log all of whose files seem to have gone between two listings."""

    before: _There
    to_s: float
    path: str


class Rotations:
    """Whether files of a log may have come and gone between two listings.

    Rotation deletes the oldest first: as long as one file that was there is there still, none that came after it is
    missing. Which file that is, its content tells, so a suspicion waits until all files of the log are identified.
    """

    def __init__(self) -> None:
        self._there: dict[str, _There] = {}
        self._suspects: list[_Suspect] = []
        self._changed = True

    def known_before(self, name: str, streams: Iterable[str], late: Iterable[str], at_s: float) -> None:
        """Soon after the start, perhaps after the first listing: the streams of a log that were known at `at_s`."""
        before = _There(frozenset(), frozenset(streams), at_s, frozenset(late))
        now = self._there.setdefault(name, _NOTHING)
        if now.followers:
            self._suspect(before, now.followers, now.at_s)
        else:
            self._there[name] = before

    def listed(self, followers: Iterable[Follower], now_s: float) -> None:
        """To be called after each listing with all followers of one application on one host."""
        by_log = _by_log(followers)
        for name, files in by_log.items():
            before, now, ids = self._there.pop(name, None), frozenset(files), frozenset[str]()
            if before is not None and not before.followers & now:
                self._suspect(before, now, now_s)
                ids = before.ids()      # a file that fails again and again is opened anew each time
            self._changed = self._changed or before is None or before.followers != now
            self._there[name] = _There(now, ids, now_s)
        for name in [*self._there][: max(0, len(self._there) - len(by_log) - NAMES_MAX)]:
            del self._there[name]

    def _suspect(self, before: _There, files: Iterable[Follower], now_s: float) -> None:
        self._suspects.append(_Suspect(before, now_s, min((len(f.path), f.path) for f in files)[1]))

    def streams(self) -> dict[str, list[str]]:
        """The streams of each log whose files are all identified, where something has changed."""
        if not self._changed:
            return {}
        self._changed = any(_is_unknown(follower) for there in self._there.values() for follower in there.followers)
        found = {}
        for name, there in self._there.items():
            if there.followers and not any(_is_unknown(follower) for follower in there.followers):
                newest = sorted(there.followers, key=lambda follower: -follower.grew_s)[:KNOWN_MAX]
                found[name] = sorted(id for id in map(_stream_of, newest) if id)
        return found

    def decided(self, followers: Sequence[Follower]) -> list[Unseen]:
        """The intervals in which something may have gone unseen, of logs whose files are all identified now."""
        by_log = _by_log(followers) if self._suspects else {}
        found: list[Unseen] = []
        waiting: list[_Suspect] = []
        for suspect in self._suspects:
            files = by_log.get(log_name(suspect.path), [])
            ids, held = suspect.before.ids(), set(map(_stream_of, files))
            if ids & held and suspect.before.late <= held:
                continue
            if any(_is_unknown(f) for f in (*files, *suspect.before.followers)) and len(waiting) < SUSPECTS_MAX:
                waiting.append(suspect)
            else:
                found.append(Unseen(suspect.path, suspect.before.at_s, suspect.to_s, ROTATED))
        self._suspects = waiting
        return found


def _by_log(followers: Iterable[Follower]) -> dict[str, list[Follower]]:
    found: dict[str, list[Follower]] = {}
    for follower in followers:
        if follower.away_s is None:
            found.setdefault(log_name(follower.path), []).append(follower)
    return found


def _is_unknown(follower: Follower) -> bool:
    return follower.state is State.UNKNOWN and follower.size > 0 and not follower.dropped


def _stream_of(follower: Follower) -> str:
    return follower.stream.id if follower.stream is not None else follower.copy_of


class Losses:
    """What the files of one application on one host have lost, on its way into the store."""

    def __init__(self, app: str, host: str) -> None:
        self._app, self._host = app, host
        self.rotations = Rotations()
        self._known: dict[str, list[str]] | None = None     #: the streams of each log, as written down
        self._heads: dict[str, Value] = {}                  #: undecided documents "lost"

    def noted(self, followers: Iterable[Follower], known: Mapping[str, Value], now_us: int) -> dict[str, Value]:
        """The documents "found" of streams with bytes that nobody has any more, those of `known` included."""
        found = {key: value for key, value in known.items() if value["reason"] in GONE}
        for follower in followers:
            for key, lost in follower.lost.items():
                value = {"size": lost.size, "path": lost.stream.path, "app": self._app, "host": self._host,
                         "reason": lost.reason, "since_us": now_us}
                if key not in found or found[key]["size"] < lost.size:
                    found[key] = value
        return found

    def write(self, store: Store, now_us: int, now_s: float, followers: Sequence[Follower],
              restless: Sequence[Follower], *, all_there: bool) -> None:
        """Write down what was lost without being known as a stream's, and when something may have gone unseen."""
        self._write_heads(store, now_us, restless)
        unseen = [(follower, one) for follower in restless for one in follower.unseen]
        rotated = [(None, one) for one in self.rotations.decided(followers)] if all_there else []
        for follower, one in (*unseen, *rotated):
            from_us, to_us = (now_us - round((now_s - at_s) * 1e6) for at_s in (one.from_s, one.to_s))
            write_unseen(store, self._app, self._host, one.path, (from_us, to_us, one.reason))
            if follower is not None:
                follower.unseen.remove(one)
        self._write_known(store)

    def _write_heads(self, store: Store, now_us: int, followers: Iterable[Follower]) -> None:
        """Document "lost"/<place>#<id>: {"app", "host", "path", "size", "reason", "head", "since_us", "decided"}."""
        for follower in followers:
            for lost in list(follower.lost_heads):
                key = f"{follower.place}#{lost.id}"
                value = {"app": self._app, "host": self._host, "path": follower.path, "reason": TRUNCATED,
                         "size": lost.size, "head": lost.head.hex(), "since_us": now_us, "decided": False}
                store.put_document("lost", key, None, value)
                self._heads[key] = value
                follower.lost_heads.remove(lost)

    def decide_heads(self, store: Store, commits: GivesUp, now_us: int, followers: Sequence[Follower]) -> None:
        """Count what was lost long enough ago for the stream that has its beginning, else for the path alone."""
        due = {key: value for key, value in self._heads.items() if _is_due(value, now_us)}
        if not due or any(map(_is_unknown, followers)):
            return
        for key, value in due.items():
            here = {f.stream.id for f in followers if f.stream is not None and f.path == value["path"]}
            stream = _that_begins_so(store, bytes.fromhex(value["head"]), self._app, self._host, here)
            size = value["size"]
            if stream is not None:
                if any(f.stream is not None and f.stream.id == stream.id and not f.settled for f in followers):
                    continue
                _commit_gone(commits, stream, size, value["reason"], followers)
                size = 0
            store.put_document("lost", key, None, value | {"size": size, "decided": True})
            del self._heads[key]

    def recall(self, store: Store, now_us: int, now_s: float) -> None:
        """Before anything is committed: which streams each log had, and when its source was last read to its end.

        An agent that was killed may not have written down the latest of that. So the store's streams count, too; and
        where no observation was written, what is missing came later than the last record of the oldest of these.
        """
        if self._known is not None:
            return
        prefix = f"{self._app}@{self._host}:"
        self._heads = {key: value for key, value in store.documents("lost").items()
                       if key.startswith(prefix) and not value["decided"]}
        known = {key.removeprefix(prefix): value["streams"]
                 for key, value in store.documents("log").items() if key.startswith(prefix)}
        observed = store.document("observation", f"{self._app}@{self._host}")
        if observed is not None and observed[1]["at_us"] > now_us:
            observed = None         # the clock was put back: that time says nothing by this one
        for name, streams in _newest(store.streams(app=self._app, host=self._host)).items():
            at_us = observed[1]["at_us"] if observed is not None else min(now_us, streams[-1].last_ts_us or 0)
            late = [stream.id for stream in streams if (stream.last_ts_us or 0) >= at_us - LATE_US]
            ids = {stream.id for stream in streams}.union(known.get(name, ()))
            self.rotations.known_before(name, ids, late if at_us else (), now_s - (now_us - at_us) / 1e6)
        self._known = known

    def _write_known(self, store: Store) -> None:
        """Document "log"/<app>@<host>:<name>: {"streams"}, the newest of each log."""
        assert self._known is not None
        for name, streams in self.rotations.streams().items():
            if self._known.get(name) != streams:
                store.put_document("log", f"{self._app}@{self._host}:{name}", None, {"streams": streams})
                self._known[name] = streams


def _newest(streams: Iterable[Stream]) -> dict[str, list[Stream]]:
    """Each log's newest streams, the newest first."""
    found: dict[str, list[Stream]] = {}
    for stream in sorted(streams, key=lambda stream: -(stream.last_ts_us or 0)):
        of_log = found.setdefault(log_name(stream.path), [])
        if len(of_log) < KNOWN_MAX:
            of_log.append(stream)
    return found


def give_up(commits: GivesUp, known: Mapping[str, Value], now_us: int, followers: Sequence[Follower]) -> list[str]:
    """Commit as gone what has been lost for long enough; the streams that are settled so.

    Nothing is decided while a file is not identified, and for a stream of which a file has more to be read.
    """
    due = [key for key, value in known.items() if value["reason"] in GONE and _is_due(value, now_us)]
    if not due or any(map(_is_unknown, followers)):
        return []
    unread = {f.stream.id for f in followers if f.stream is not None and not f.settled}
    done = [key for key in due if key not in unread][:GIVEN_UP_PER_ROUND_MAX]
    for key in done:
        value = known[key]
        stream = Stream(key, value["host"], value["app"], value["path"], "")
        _commit_gone(commits, stream, value["size"], value["reason"], followers)
    return done


def _is_due(value: Value, now_us: int) -> bool:
    """Whether it was noted long enough ago, or in the future: then the clock was put back."""
    return not 0 <= now_us - value["since_us"] < GONE_AFTER_S * 1e6


def _commit_gone(commits: GivesUp, stream: Stream, end: int, reason: str, followers: Iterable[Follower]) -> None:
    after = commits.give_up(stream, end, reason)
    for follower in followers:
        follower.lost.pop(stream.id, None)
        if follower.stream is not None and follower.stream.id == stream.id:
            follower.stream = after


def _that_begins_so(store: Store, head: bytes, app: str, host: str, without: Container[str]) -> Stream | None:
    """The newest stream with this beginning, so far as both are known; `without` are those that came later."""
    line = first_line(head)
    if line is None:
        return None
    found = [stream for stream in store.streams(app=app, host=host, first_line=line_text(line))
             if stream.id not in without and stream.head[: len(head)] == head[: len(stream.head)]]
    return max(found, key=lambda stream: stream.n, default=None)


def write_unseen(store: Store, app: str, host: str, path: str, found: tuple[int, int, str]) -> None:
    """Add an interval (from and to in microseconds, the reason) to those of a path. Once again, it changes nothing."""
    key = f"{app}@{host}:{path}"
    _, value = store.document("unseen", key) or (0, {})
    intervals = sorted({(start, end, reason) for start, end, reason in value.get("intervals", ())} | {found})
    while len(intervals) > INTERVALS_MAX:      # the oldest become one: wider, so that nothing is left out of it
        (start, end, reason), (_, other_end, _) = intervals[:2]
        intervals[:2] = [(start, max(end, other_end), reason)]
    value = {"app": app, "host": host, "path": path, "intervals": [list(each) for each in intervals]}
    store.put_document("unseen", key, None, value)
