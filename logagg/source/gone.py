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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from logagg.interfaces import Store
from logagg.ledger import GONE
from logagg.record import TRUNCATED, Stream
from logagg.source.files import PACKED_SUFFIXES
from logagg.source.follow import Follower, State, Unseen
from logagg.source.recognise import name_lost

GONE_AFTER_S = 60.0
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
    """The files of one log when it was last seen: the followers, the streams that they are, and when that was."""

    followers: frozenset[Follower]
    streams: frozenset[str]
    at_s: float


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

    def known_before(self, streams: Mapping[str, Iterable[str]], at_s: float) -> None:
        """Soon after the start, perhaps after the first listing: the streams of each log that were known at `at_s`."""
        for name, ids in streams.items():
            before, now = _There(frozenset(), frozenset(ids), at_s), self._there.setdefault(name, _NOTHING)
            if now.followers:
                self._suspect(before, now.followers, now.at_s)
            else:
                self._there[name] = before

    def listed(self, followers: Iterable[Follower], now_s: float) -> None:
        """To be called after each listing with all followers of one application on one host."""
        by_log = _by_log(followers)
        for name, files in by_log.items():
            before, now = self._there.pop(name, None), frozenset(files)
            if before is not None and not before.followers & now:
                self._suspect(before, now, now_s)
            self._changed = self._changed or before is None or before.followers != now
            self._there[name] = _There(now, frozenset(), now_s)
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
        by_log = _by_log(followers)
        found: list[Unseen] = []
        waiting: list[_Suspect] = []
        for suspect in self._suspects:
            files = by_log.get(log_name(suspect.path), [])
            ids = suspect.before.streams | set(map(_stream_of, suspect.before.followers)) - {""}
            if any(_stream_of(follower) in ids for follower in files):
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

    def noted(self, followers: Iterable[Follower], known: Mapping[str, Value], store: Store,
              now_us: int) -> dict[str, Value]:
        """The documents "found" of streams with bytes that nobody has any more, those of `known` included."""
        found = {key: value for key, value in known.items() if value["reason"] in GONE}
        for follower in followers:
            name_lost(follower, store)
            for key, lost in follower.lost.items():
                value = {"size": lost.size, "path": lost.stream.path, "app": self._app, "host": self._host,
                         "reason": lost.reason, "since_us": now_us}
                if key not in found or found[key]["size"] < lost.size:
                    found[key] = value
        return found

    def write(self, store: Store, now_us: int, now_s: float, followers: Sequence[Follower], *, all_there: bool) -> None:
        """Write down what was lost without belonging to a stream, and when something may have gone unseen."""
        self._write_unnamed(store, followers)
        if self._known is None:
            self._recall(store, now_us, now_s)
        unseen = [(follower, one) for follower in followers for one in follower.unseen]
        rotated = [(None, one) for one in self.rotations.decided(followers)] if all_there else []
        for follower, one in (*unseen, *rotated):
            from_us, to_us = (now_us - round((now_s - at_s) * 1e6) for at_s in (one.from_s, one.to_s))
            write_unseen(store, self._app, self._host, one.path, (from_us, to_us, one.reason))
            if follower is not None:
                follower.unseen.remove(one)
        self._write_known(store)

    def _write_unnamed(self, store: Store, followers: Iterable[Follower]) -> None:
        for follower in followers:
            if follower.lost_unnamed:
                _, value = store.document("gone", follower.place) or (0, {"size": 0})
                store.put_document("gone", follower.place, None, {
                    "app": self._app, "host": self._host, "path": follower.path, "reason": TRUNCATED,
                    "size": value["size"] + follower.lost_unnamed})
                follower.lost_unnamed = 0

    def _recall(self, store: Store, now_us: int, now_s: float) -> None:
        """At the start: which streams each log had, and when its source was last read to its end."""
        prefix = f"{self._app}@{self._host}:"
        self._known = {key.removeprefix(prefix): value["streams"]
                       for key, value in store.documents("log").items() if key.startswith(prefix)}
        observed = store.document("observation", f"{self._app}@{self._host}")
        if observed is not None:
            self.rotations.known_before(self._known, now_s - (now_us - observed[1]["at_us"]) / 1e6)

    def _write_known(self, store: Store) -> None:
        """Document "log"/<app>@<host>:<name>: {"streams"}, the newest of each log."""
        assert self._known is not None
        for name, streams in self.rotations.streams().items():
            if self._known.get(name) != streams:
                store.put_document("log", f"{self._app}@{self._host}:{name}", None, {"streams": streams})
                self._known[name] = streams


def give_up(commits: GivesUp, known: Mapping[str, Value], now_us: int, followers: Sequence[Follower]) -> list[str]:
    """Commit as gone what has been lost for long enough; the streams that are settled so.

    Nothing is decided while a file is not identified, and for a stream of which a file has more to be read.
    """
    # Noted in the future: the clock was put back meanwhile.
    due = [key for key, value in known.items()
           if value["reason"] in GONE and not 0 <= now_us - value["since_us"] < GONE_AFTER_S * 1e6]
    if not due or any(map(_is_unknown, followers)):
        return []
    unread = {f.stream.id for f in followers if f.stream is not None and not f.settled}
    done = [key for key in due if key not in unread][:GIVEN_UP_PER_ROUND_MAX]
    for key in done:
        value = known[key]
        stream = commits.give_up(Stream(key, value["host"], value["app"], value["path"], ""), value["size"],
                                 value["reason"])
        for follower in followers:
            follower.lost.pop(key, None)
            if follower.stream is not None and follower.stream.id == key:
                follower.stream = stream
    return done


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
