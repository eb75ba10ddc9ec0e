"""Which stream a file is, decided from its content alone: pure functions.

A stream is named by its application, its host, its first line and a number n, for files that begin alike. To tell
such files apart, a stream keeps hashes of the 4 KiB windows that end at 1, 2, 4, 8 … KiB and at its end. Inodes play
no part here: they change with copies and restored backups, are reused after a deletion, and some systems have none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b

from logagg.record import TRUNCATED, Stream

WINDOW_BYTES = 4096
HEAD_BYTES = 1024

WindowAt = Callable[[int], str | None]
"""The hash of a file's (at most) 4 KiB that end at an offset; None where the file cannot show them any more."""


def first_line(head: bytes) -> bytes | None:
    """A file's first line without its end, cut at 1 KiB; None while it is not complete."""
    line, end, _ = head[:HEAD_BYTES].partition(b"\n")
    if not end and len(head) < HEAD_BYTES:
        return None
    return line.removesuffix(b"\r")


def line_text(line: bytes) -> str:
    """A first line as it is stored and looked up; bytes that are not UTF-8 stay visible."""
    return line.decode("utf-8", "backslashreplace")


def stream_id(app: str, host: str, line: bytes, n: int) -> str:
    """32 hexadecimal digits. The parts are hashed with their lengths, so that none can pass for two."""
    digest = blake2b(digest_size=16)
    for part in (app.encode(), host.encode(), line, str(n).encode()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def new_stream(app: str, host: str, path: str, line: bytes, n: int) -> Stream:
    """The state of a stream that the store does not have yet."""
    return Stream(stream_id(app, host, line, n), host=host, app=app, path=path, first_line=line_text(line), n=n)


def window_hash(window: bytes) -> str:
    """32 hexadecimal digits for the bytes of a window."""
    return blake2b(window, digest_size=16).hexdigest()


def window_offsets(end: int) -> list[int]:
    """The offsets 1, 2, 4 … KiB up to `end` at which a stream keeps a window's hash."""
    return [HEAD_BYTES << k for k in range(max(0, (end // HEAD_BYTES).bit_length()))]


def advance(state: Stream, before: bytes, data: bytes) -> tuple[bytes, dict[int, str], str]:
    """The head, windows and end window of a stream that now ends behind `data`.

    `data` begins at `state.resume`; `before` holds the 4 KiB (or all there is) that precede it.
    """
    start, end = state.resume, state.resume + len(data)
    head = state.head if start >= HEAD_BYTES else (state.head[:start] + data[: HEAD_BYTES - start])
    windows = dict(state.windows)
    for offset in window_offsets(end):
        if offset > start:
            windows[offset] = window_hash(_window(before, data, offset - start))
    return head, windows, window_hash(_window(before, data, len(data)))


def _window(before: bytes, data: bytes, length: int) -> bytes:
    """The last 4 KiB of `before` and the first `length` bytes of `data`."""
    if length >= WINDOW_BYTES:
        return data[length - WINDOW_BYTES : length]
    return before[-(WINDOW_BYTES - length) :] + data[:length]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file shows of itself: its content's size, its first (at most) 1 KiB, any window's hash, its first line.

    `left` names the streams whose file was seen to leave this path (renamed, deleted or emptied): what is at the
    path now is a newer file. The size must be taken after the candidates were read from the store: the other way
    round, a file that another agent has read further meanwhile would look as if it had shrunk.
    """

    path: str
    size: int
    head: bytes
    window: WindowAt
    left: frozenset[str] = frozenset()
    line: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """Another open file that is known to be a stream: its size (taken after the facts' one) and its windows."""

    size: int
    window: WindowAt


@dataclass(frozen=True, slots=True)
class New:
    """No stream has this content: number `n` among those with this first line, read from 0."""

    n: int


@dataclass(frozen=True, slots=True)
class Continue:
    """The file is the stream: read on where the stream ends, perhaps at a new path."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Copy:
    """The file repeats, wholly or partly, what the stream has: nothing is to be read unless it grows past its end."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Wait:
    """It cannot be told yet. Nothing is read, so nothing is lost or repeated; it is counted as pending."""

    reason: str


Decision = New | Continue | Copy | Wait

TOO_SHORT = "too_short"


class _Match(Enum):
    DIFFERS = 0
    SHORT = 1  #: agrees as far as it goes, and ends before the stream does
    REACHES = 2  #: agrees, up to the stream's end at least


Stored = Callable[[Stream, int], str | None]
"""The window of a stream's stored bytes that ends at an offset; None where they are not kept any more."""


def identify(
    facts: Facts,
    candidates: Sequence[Stream],
    held: Mapping[str, Holder] | None = None,
    stored: Stored = lambda stream, offset: None,
) -> Decision:
    """Decide which of the streams with this first line (of the same app and host) a file is.

    A file is a stream only if every window that it reaches agrees. Where two readings are possible, nothing is read
    twice: a file that agrees with a stream that another file holds is its copy, unless it is the longer of the two
    (then it takes the stream over: the other one was a partial copy, or has been emptied after copying).
    """
    held = held or {}
    reached: list[Stream] = []
    copied: list[Stream] = []
    for stream in candidates:
        holder = _valid(held.get(stream.id), stream)
        match = _match(facts, stream, holder, stored)
        if match is _Match.REACHES and (holder is None or facts.size > holder.size):
            reached.append(stream)
        elif match is not _Match.DIFFERS:
            copied.append(stream)
    own = max(reached, key=lambda stream: (stream.read_end, stream.path == facts.path, stream.n), default=None)
    original = max(copied, key=lambda stream: stream.read_end, default=None)
    if own is not None and (original is None or own.read_end >= min(facts.size, original.read_end)):
        return Continue(own)
    if original is not None:
        # So few bytes may as well be the banner with which every generation of this log begins.
        return Copy(original) if facts.size >= HEAD_BYTES else Wait(TOO_SHORT)
    return New(max((stream.n + 1 for stream in candidates if stream.first_line == facts.line), default=0))


def _valid(holder: Holder | None, stream: Stream) -> Holder | None:
    """The holder, unless its file has been emptied since and does not have the stream's bytes any more."""
    if holder is None or holder.size < stream.read_end:
        return None
    end_window = holder.window(stream.read_end)
    return holder if end_window is None or end_window == stream.end_window or not stream.read_end else None


def _match(facts: Facts, stream: Stream, holder: Holder | None, stored: Stored) -> _Match:
    """How far a file agrees with a stream, and at its own end with the file that holds it or with what is stored."""
    reaches = facts.size >= stream.read_end
    at_home = holder is None and stream.path == facts.path
    if at_home and not reaches:
        return _Match.DIFFERS  # It shrank in place: what was there is gone, this is a new generation.
    stump = stream.read_end < min(HEAD_BYTES, stream.end) and (TRUNCATED in stream.dropped or not stream.read_end)
    if stump and (facts.size > stream.read_end or not stream.read_end):
        return _Match.DIFFERS  # The rest of it was destroyed, and so little is left of it that anything begins so.
    if stream.id in facts.left and (not reaches or stream.read_end < HEAD_BYTES):
        return _Match.DIFFERS  # The generation after the one that left; so short a beginning proves nothing.
    if not agrees(facts, stream):
        return _Match.DIFFERS
    end = facts.size if holder is None else min(facts.size, holder.size)
    known = None if holder is None else holder.window(end)
    if known is None and end < stream.end:      # also a compressed holder shows none
        known = stored(stream, end)
    if _differ(known, facts.window(end)):
        return _Match.DIFFERS  # Alike up to the last common window, but not to the end.
    return _Match.REACHES if reaches and not stump else _Match.SHORT


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def agrees(facts: Facts, stream: Stream) -> bool:
    """Whether the file has the stream's bytes, as far as the shorter of the two goes."""
    known = min(len(facts.head), len(stream.head))
    if facts.head[:known] != stream.head[:known]:
        return False
    if facts.size >= stream.read_end and stream.read_end and facts.window(stream.read_end) != stream.end_window:
        return False
    return all(
        facts.window(offset) == digest
        for offset, digest in sorted(stream.windows.items())
        if offset <= min(facts.size, stream.read_end)
    )


@dataclass(slots=True)
class Prints:
    """The head and windows of content that can only be read once from its start, like that of a compressed file.

    `wanted` are offsets other than 1, 2, 4 … KiB at which a window will be asked for: the ends of the candidates.
    """

    wanted: frozenset[int]
    size: int = 0
    head: bytes = b""
    hashes: dict[int, str] = field(default_factory=dict)
    _tail: bytes = b""

    def add(self, data: bytes) -> None:
        """Take in the bytes that follow."""
        end = self.size + len(data)
        for offset in (*window_offsets(end), *self.wanted):
            if self.size < offset <= end:
                self.hashes[offset] = window_hash(_window(self._tail, data, offset - self.size))
        self.head = (self.head + data[:HEAD_BYTES])[:HEAD_BYTES]
        self._tail = _window(self._tail, data, len(data))
        self.size = end

    def window(self, offset: int) -> str | None:
        """The hash of the 4 KiB that end at `offset`: a power of two of KiB, a wanted offset, or the content's end."""
        return window_hash(self._tail) if offset == self.size else self.hashes.get(offset)
