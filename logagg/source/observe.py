"""What an agent tells the store about its reading: "read to the end at T", and what was found and is not committed.

A source is observed at T when every byte that its files had at T is committed (or repeats what is). For a file that
is written without pause there may never be a moment with nothing left to read, so T is fixed first, with the sizes
then, and written down when the committed ends have passed them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from logagg.interfaces import Store
from logagg.record import DELETED
from logagg.source.follow import Follower, State
from logagg.source.gone import GivesUp, Losses, give_up

OBSERVE_S = 5.0
FOUND_PER_ROUND_MAX = 200
MOVING_BYTES_MAX = 1 << 16
"""A stream that is being read is noted only when more than this is not committed: the rest is about to be."""


class Observer:
    """The observations of one application on one host."""

    def __init__(self, app: str, host: str) -> None:
        self._app, self._host = app, host
        self._key = f"{app}@{host}"
        self._losses = Losses(app, host)
        self.at_us: int | None = None
        self._paths = 0
        self._begun: tuple[int, int, list[tuple[Follower, int, int]]] | None = None
        self._written_s: float | None = None
        self._written_at_us: int | None = None
        self._found: dict[str, dict[str, Any]] | None = None    #: what is written down; None: not asked for yet

    def begin(self, now_us: int, followers: Sequence[Follower], paths: int) -> None:
        """Fix T, if none is fixed. To be called right after all folders were listed and all sizes asked for.
        `followers`: those of all `paths` files that are not known to be read to their ends."""
        if self._begun is None:
            self._begun = (now_us, paths, [(f, f.generation, f.size) for f in followers])

    def recall(self, store: Store, now_us: int, now_s: float) -> None:
        """To be called before anything is committed; only the first call does something."""
        self._losses.recall(store, now_us, now_s)

    def unfinished(self, store: Store) -> list[bytes]:
        """The heads of the streams of which bytes were seen that nobody has committed."""
        streams = [stream for key in self._left_behind(store) for stream in store.streams(id=key)]
        return [stream.head for stream in streams if stream.head]

    def listed(self, now_s: float, followers: Iterable[Follower]) -> None:
        """To be called whenever the folders were listed."""
        self._losses.rotations.listed(followers, now_s)

    def spoil(self) -> None:
        """Something of the source cannot be read now: nothing can be said."""
        self._begun = None

    def check(self) -> None:
        """See whether reading has passed what was there at T."""
        if self._begun is None:
            return
        at_us, paths, left = self._begun
        while left and _passed(*left[-1]):
            left.pop()
        if not left:
            self.at_us, self._paths = at_us, paths
            self._begun = None

    def due(self, now_s: float) -> bool:
        return self._written_s is None or now_s - self._written_s >= OBSERVE_S

    def write(self, store: Store, commits: GivesUp, now_us: int, now_s: float, followers: Sequence[Follower],
              restless: Sequence[Follower], *, all_there: bool = True, final: bool = False) -> None:
        """Write down what is new, and what is gone. `restless`: those of the followers that are not known to be read
        and committed to their ends, or of which something is to be written down. `all_there`: no file is left out
        because it cannot be read now; `final`: nobody will be there to read on.

        Raises StoreUnavailable: call again, nothing is forgotten.
        """
        moving_s = None if final else now_s - OBSERVE_S
        self._write_found(store, now_us, followers, restless, moving_s, all_there=all_there)
        self._losses.write(store, now_us, now_s, followers, restless, all_there=all_there)
        if all_there:
            self._give_up(store, commits, now_us, followers)
        if self.at_us is not None and self.at_us != self._written_at_us:
            store.put_document("observation", self._key, None, {"at_us": self.at_us, "paths": self._paths})
            self._written_at_us = self.at_us
        self._written_s = now_s

    def _give_up(self, store: Store, commits: GivesUp, now_us: int, followers: Sequence[Follower]) -> None:
        known = self._found or {}
        for key in give_up(commits, known, now_us, followers):
            store.put_document("found", key, None, {**known[key], "size": 0, "reason": "", "at_us": now_us})
            del known[key]
        self._losses.decide_heads(store, commits, now_us, followers)

    def _write_found(self, store: Store, now_us: int, followers: Sequence[Follower], restless: Sequence[Follower],
                     moving_s: float | None, *, all_there: bool) -> None:
        """Documents "found": for a stream with bytes not committed its size; for other files why they are not read."""
        if self._found is None:
            self._found = self._left_behind(store)
        known = self._found
        now = {key: value for follower in restless if not _moves(follower, moving_s)
               for key, value in found(follower)}
        for key, value in self._losses.noted(restless, known, now_us).items():
            if key not in now or now[key]["size"] < value["size"]:      # else a copy has all that was lost
                now[key] = value
        quiet = known.keys() - now.keys()
        held = {f.stream.id: f for f in followers if f.stream is not None} if quiet else {}
        for key in quiet:
            if key in held:
                now[key] = {**known[key], "size": 0, "reason": ""} if held[key].settled else known[key]
            elif all_there:
                now[key] = _not_found(known[key], now_us)
        written = 0
        for key, value in sorted(now.items()):
            if known.get(key) == value or written == FOUND_PER_ROUND_MAX:
                continue
            store.put_document("found", key, None, {**value, "at_us": now_us})
            written += 1
            if value["size"]:
                known[key] = value
            else:
                known.pop(key, None)

    def _left_behind(self, store: Store) -> dict[str, dict[str, Any]]:
        """What an agent that was killed could not take back: a file may have been read, or have gone, since."""
        return {key: {name: part for name, part in value.items() if name != "at_us"}
                for key, value in store.documents("found").items()
                if value["size"] and (value.get("app"), value.get("host")) == (self._app, self._host)}


def _moves(follower: Follower, since_s: float | None) -> bool:
    """Whether a file has grown since then, and little of it is not committed."""
    stream = follower.stream
    return (since_s is not None and stream is not None and stream.revision > 0 and follower.grew_s > since_s
            and follower.size - stream.read_end <= MOVING_BYTES_MAX)


def _passed(follower: Follower, generation: int, size: int) -> bool:
    """Whether the first `size` bytes of a file are committed, or gone with what they were."""
    if follower.dropped or follower.settled or follower.generation != generation:
        return True
    return follower.stream is not None and follower.stream.read_end >= size > 0


def _not_found(value: dict[str, Any], now_us: int) -> dict[str, Any]:
    """What becomes of the document of a file that needs none now. Bytes of a stream that nobody has any more stay
    noted, until they turn up in a copy or are committed as gone."""
    if "copy_of" in value:
        return {**value, "size": 0, "reason": ""}
    return {**value, "reason": DELETED, "since_us": now_us}


def found(follower: Follower) -> Iterable[tuple[str, dict[str, Any]]]:
    """The key and value of the document that a file needs now, if any."""
    value, size = _value(follower), follower.size
    if follower.stream is not None and follower.stream.revision:
        certain = size if follower.packed else follower.sure[0]     # else it may be the next content's size
        if certain > follower.stream.read_end:
            yield follower.stream.id, {**value, "size": certain, "reason": ""}
    elif size and follower.state is not State.READING:
        reason = follower.reason or "unfinished_first_line"
        yield follower.place, {**value, "reason": reason, "copy_of": follower.copy_of}


def _value(follower: Follower) -> dict[str, Any]:
    source = follower.source
    return {"size": follower.size, "path": follower.path, "app": source.app, "host": source.host}


def note_found(follower: Follower, store: Store, now_us: int) -> None:
    """The document "found" of a file that is let go of; what was noted when it could not be read is taken back."""
    now = dict(found(follower))
    noted = store.document("found", follower.place)
    if not now and noted and noted[1]["size"]:
        now[follower.place] = {**noted[1], "size": 0, "reason": ""}
    for key, value in now.items():
        store.put_document("found", key, None, {**value, "at_us": now_us})
