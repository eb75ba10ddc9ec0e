"""Finding out which stream a file is: the store's candidates, the files that hold them, and the decision."""

from collections.abc import Iterable

from logagg.interfaces import Store
from logagg.raw import content
from logagg.record import Stream
from logagg.source.follow import NO_LINE, Follower, State
from logagg.source.identity import (
    WINDOW_BYTES,
    Continue,
    Copy,
    New,
    Wait,
    first_line,
    identify,
    line_text,
    new_stream,
    window_hash,
)


class Holders:
    """The files that are known to be a stream, by its id; and the first lines of streams not committed yet."""

    def __init__(self, followers: Iterable[Follower]) -> None:
        self.by_id: dict[str, Follower] = {}
        self._unborn: set[tuple[str, str, str]] = set()
        for follower in followers:
            self.add(follower)

    def add(self, follower: Follower) -> None:
        stream = follower.stream
        if stream is not None and follower.state is State.READING:
            self.by_id[stream.id] = follower
            if not stream.revision:
                self._unborn.add((stream.app, stream.host, stream.first_line))

    def is_unpacking(self, stream: Stream) -> bool:
        """Whether a compressed file that is the stream is being read: what follows in it, nothing shows yet."""
        holder = self.by_id.get(stream.id)
        return holder is not None and holder.packed and holder.behind

    def expects(self, app: str, host: str, line: bytes) -> bool:
        """Whether a file that may begin so is about to be committed for the first time."""
        if line == NO_LINE:
            return any(key[:2] == (app, host) for key in self._unborn)
        return any((app, host, line_text(text)) in self._unborn for text in (line, NO_LINE))


def recognise(
    follower: Follower, store: Store, now_s: float, holders: Holders, *, final: bool = False, recall: bool = True
) -> None:
    """Find out which stream a file is, and leave the answer in its state. Raises StoreUnavailable, SourceError.

    A file stays UNKNOWN while its first line is not complete, while another one that begins alike has not been
    committed yet, and while a compressed one is being looked through: call again. `recall`: a compressed file of which
    is noted what it is need not be looked through.
    """
    if recall and follower.packed and not follower.scanning and _recall(follower, store, holders):
        return
    if follower.file is None and not follower.reopen():
        return
    line = follower.first_line(now_s, final=final)
    if line is None:
        return
    source, none = follower.source, line_text(NO_LINE)
    if holders.expects(source.app, source.host, line):
        return
    if line == NO_LINE:
        # Perhaps a piece of any stream's first line: all are looked at, which few files ever need.
        piece = follower.beginning()
        every = store.streams(host=source.host, app=source.app)
        candidates = [s for s in every if s.head.startswith(piece) or s.first_line == none]
    else:
        texts = (line_text(line), none)
        candidates = [s for t in texts for s in store.streams(host=source.host, app=source.app, first_line=t)]
    if follower.packed and any(holders.is_unpacking(stream) for stream in candidates):
        return
    if candidates or not follower.packed:
        _decide(follower, line, candidates, holders, store, now_s)
    else:
        follower.begin(new_stream(source.app, source.host, follower.path, line, 0))
    holders.add(follower)


def remember(follower: Follower, store: Store) -> None:
    """Note which stream a compressed file is once all of it is committed: nobody need unpack it again, whatever its
    name is then.

    Document "packed"/<app>@<host>:<fingerprint>: its content's size, and the stream's id.
    """
    stream = follower.stream.id if follower.stream is not None else follower.copy_of
    damaged = follower.file is not None and follower.file.damage()
    if not follower.packed or follower.remembered or not stream or not follower.settled or damaged:
        return
    store.put_document("packed", follower.print_key, None, {"size": follower.size, "stream": stream})
    follower.remembered = True


def _recall(follower: Follower, store: Store, holders: Holders) -> bool:
    """Whether the file is one that has been read wholly; it is the stream, unless another file holds that or it is a
    part of it only."""
    follower.remembered = False
    found = store.document("packed", follower.print_key)
    streams = store.streams(id=found[1]["stream"]) if found else []
    if found is None or not streams or streams[0].read_end < found[1]["size"]:
        return False
    stream = streams[0]
    follower.size, follower.remembered = found[1]["size"], True
    held = stream.id in holders.by_id
    if held or follower.size < stream.read_end:
        follower.state, follower.copy_of, follower.reason = State.COPY, stream.id, "copy"
    else:
        follower.begin(stream)
        holders.add(follower)
    follower.judged = (follower.size, held)
    return True


def stored_window(store: Store, stream: Stream, offset: int) -> str | None:
    """The hash of a stream's stored 4 KiB that end at `offset`; None where they are not (all) kept."""
    at = start = max(0, offset - WINDOW_BYTES)
    window = b""
    for chunk in store.chunks(stream=stream.id, start=start, end=offset):
        try:
            kept = content(chunk)
        except Exception:       # damaged, which `logagg audit` tells
            return None
        if chunk.start > at or not kept:
            return None
        window += kept[at - chunk.start : offset - chunk.start]
        at = chunk.end
    return window_hash(window) if at >= offset else None


def _begins(head: bytes, line: bytes, follower: Follower) -> bool:
    return head.startswith(follower.beginning()) if line == NO_LINE else first_line(head) == line


def _decide(
    follower: Follower, line: bytes, candidates: list[Stream], holders: Holders, store: Store, now_s: float
) -> None:
    facts = follower.facts(line, frozenset(stream.read_end for stream in candidates))
    if facts is None or not _begins(facts.head, line, follower):
        return  # It is not read through yet; or it was emptied and written anew since it was asked for its first line.
    holding = [holders.by_id[stream.id] for stream in candidates if stream.id in holders.by_id]
    held = {other.stream.id: other.holder() for other in holding
            if (other.packed or other.reopen()) and other.stream is not None}
    source = follower.source
    follower.copy_of = ""
    match identify(facts, candidates, held, lambda stream, offset: stored_window(store, stream, offset)):
        case New(n):
            follower.begin(new_stream(source.app, source.host, follower.path, line, n))
        case Continue(stream):
            if stream.id in held:
                holders.by_id[stream.id].demote()
            follower.begin(stream)
        case Copy(stream):
            follower.state, follower.copy_of, follower.reason = State.COPY, stream.id, "copy"
        case Wait(reason):
            follower.state, follower.reason = State.WAITING, reason
    follower.judged, follower.judged_s = (follower.size, follower.copy_of in held), now_s
