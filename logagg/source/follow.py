"""One file that is being read: what is due to be read of it next, and what it turned out to be.

A line is safe when its commit has returned. Until then the file is the only copy, so bytes are lost where a log is
emptied, or is deleted while this program is not running (or has not opened it yet), before they were committed:
what was seen of them is counted exactly, and when more may have gone unseen is noted (gone.py).
"""

import logging
import os
import secrets
from dataclasses import dataclass
from enum import Enum

from logagg.errors import SourceError
from logagg.ingest import Outcome, Segment
from logagg.record import TRUNCATED, Stream
from logagg.source.discover import FileSource
from logagg.source.files import LogFile, PackedFile, file_key, open_log
from logagg.source.identity import (
    HEAD_BYTES,
    WINDOW_BYTES,
    Facts,
    Holder,
    Prints,
    first_line,
    line_text,
    window_hash,
)

log = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20
BLOCK_BYTES_MAX = 1 << 26
GROWN_BYTES = 1 << 16
SCAN_BYTES = 1 << 23
PARTIAL_S = 5.0
TICK_S = 0.001

NO_LINE = b""
"""Stands for the first line of a stream that was committed before its first line was complete."""


class State(Enum):
    UNKNOWN = "unknown"         #: to be identified
    READING = "reading"         #: it is `stream`
    COPY = "copy"               #: it repeats what stream `copy_of` has
    WAITING = "waiting"         #: too little of it is there to be told


@dataclass(frozen=True, slots=True)
class Reading:
    """A segment to be committed, and how far the file has been looked at with it."""

    segment: Segment
    reached: int
    lines_end: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A stream of which `size` bytes had been seen in a file that does not have them any more."""

    stream: Stream
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class LostHead:
    """The same where it is not known whether any of it is committed: what it began with tells later."""

    head: bytes
    size: int
    id: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """Between these two looks (monotonic seconds) bytes may have been written and destroyed."""

    path: str
    from_s: float
    to_s: float
    reason: str


class Follower:
    """An open file. `size` is what it was when last looked at; `examined` how far it was read since it last grew.

    `after` is the file that was at this path before: it is finished first. `left`: see identity.Facts.
    """

    def __init__(
        self,
        source: FileSource,
        path: str,
        file: LogFile,
        *,
        now_s: float,
        age_s: float = 0.0,
        left: frozenset[str] = frozenset(),
        after: "Follower | None" = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self.source = source
        self.path = path
        self.file: LogFile | None = file
        self.key = file.key
        self.packed = isinstance(file, PackedFile)
        self.left = left
        self.after = after
        self.state = State.UNKNOWN
        self.reason = ""
        self.stream: Stream | None = None
        self.copy_of = ""
        self.size = file.size() or 0
        self.examined = 0
        self.lines_end = 0
        self.looked_s = now_s
        self.grew_s = now_s - max(0.0, age_s)
        self.away_s: float | None = None        #: since when no path leads to it
        self.judged: tuple[int, bool] | None = None     #: at the last look: the size, and whether `copy_of` was held
        self.judged_s = now_s
        self.dropped = False
        self.told = True                        #: whether the watcher tells of this file's growth
        self.generation = 0                     #: rises when the content turns out to be another
        self.signature: tuple[int, int] | None = None   #: size and time (ns) on disk: of compressed and idle files
        self.remembered = False                 #: see recognise.remember
        self.sure = (0, now_s)                  #: the size at the last look at which it was its stream for certain
        self.lost: dict[str, Lost] = {}         #: by the streams' ids, until the loss is committed
        self.lost_heads: list[LostHead] = []    #: the same of what had not been committed as far as is known
        self.unseen: list[Unseen] = []          #: until they are written down
        self._fingerprint = ""
        self._prints: Prints | None = None
        self._beginning: bytes | None = None
        self._head = b""                        #: of the content that was identified
        self._flushed_size = -1
        self._wholed_size = -1
        self._block_bytes = self._block_bytes_min = block_bytes

    # --- what the file is -------------------------------------------------------------------------------------------

    def look(self, now_s: float, *, check: bool = False) -> bool:
        """Ask for the size; tell whether it has changed. A file that has shrunk is a new generation, to be identified
        anew. `check`: it is not about to be read, so see now whether a grown one is still its stream."""
        looked_s, self.looked_s = self.looked_s, now_s
        if self.file is None or self.packed:
            return False
        size = self.file.size() or 0
        known = max(self.size, self.stream.read_end if self.stream else 0)
        # A size that nobody has compared with the content may be the next content's.
        seen = (self.size, looked_s) if self.stream is None or self.sure[0] == self.size else self.sure
        if size < known:
            self.forget(f"shrank from {known} to {size} bytes", *seen)
        elif check and size and (size > self.sure[0] or not self._head) and not self._is_still_the_same(size):
            self.forget("does not hold what was read of it before", *seen)
        if size == self.size:
            return False
        self.size, self.grew_s = size, now_s
        return True

    def _is_still_the_same(self, size: int) -> bool:
        """Whether a grown file still has the stream's last bytes, or begins as it did where nothing was read of it."""
        if self.stream is not None and self.stream.read_end:
            same = self.window(self.stream.read_end) == self.stream.end_window
        else:
            assert self.file is not None
            head = self.file.read_at(0, HEAD_BYTES)
            same = head.startswith(self._head)
            self._head = head if same else self._head
        if same:
            self.sure = (size, self.looked_s)
        return same

    def forget(self, why: str, seen: int, seen_s: float) -> None:
        """The file is not what it was: identify it anew. `seen` bytes of the old content were there at `seen_s`."""
        if self.stream is not None:
            lost = max(0, seen - self.stream.read_end)
            log.warning(
                "%s %s: a new file from here on; %d bytes of the old content had been seen and not committed",
                self.path, why, lost,
            )
            if self.stream.revision:        # else its name is free: another agent may give it to the next content
                self.left |= {self.stream.id}
            if lost and self.stream.revision:
                self.lost[self.stream.id] = Lost(self.stream, seen, TRUNCATED)
        if seen and self.state in (State.UNKNOWN, State.READING) and not (self.stream and self.stream.revision):
            self.lost_heads.append(LostHead(self._head, seen, secrets.token_hex(8)))
        if seen and self.copy_of == "":
            self.unseen.append(Unseen(self.path, seen_s, self.looked_s, TRUNCATED))
        self.demote()

    def hand_over(self) -> None:
        """Another file is more of its stream; so this one was a part of it, or its content has changed."""
        if self.packed or self._is_still_the_same(self.size):
            self.demote()
        else:
            self.forget("does not hold what was read of it before", *self.sure)

    def demote(self) -> None:
        """It holds no stream any more: another file is more of it, or the content has changed."""
        self.state, self.stream, self.judged, self._prints = State.UNKNOWN, None, None, None
        self.generation += 1
        self.examined = self.lines_end = 0
        self._beginning, self._head = None, b""
        self._flushed_size = self._wholed_size = -1

    @property
    def has_losses(self) -> bool:
        """Whether something of what it has lost is still to be written down."""
        return bool(self.lost or self.lost_heads or self.unseen)

    @property
    def place(self) -> str:
        """The key of the documents about the file at this path."""
        return f"{self.source.app}@{self.source.host}:{self.path}"

    @property
    def print_key(self) -> str:
        """The key of the document about a compressed file of this content."""
        if not self._fingerprint and isinstance(self.file, PackedFile):
            self._fingerprint = self.file.fingerprint()
        return f"{self.source.app}@{self.source.host}:{self._fingerprint}"

    @property
    def scanning(self) -> bool:
        """Whether a compressed file is being read through to be identified."""
        return self.state is State.UNKNOWN and self._prints is not None

    def past(self) -> frozenset[str]:
        """The streams that this file is, or was before it was emptied."""
        return self.left | {self.stream.id} if self.stream is not None else self.left

    def first_line(self, now_s: float, *, final: bool) -> bytes | None:
        """The line that names the stream; NO_LINE for an unfinished one that may not get longer; None: wait."""
        assert self.file is not None
        head = self.file.read_at(0, HEAD_BYTES)
        if not head.startswith(self._head):
            self.forget("does not begin as it did before", *self.sure)
        self._head, self.sure = head, (self.size, self.looked_s)
        line = first_line(head)
        if line is None and head and (final or self.packed or now_s - self.grew_s >= PARTIAL_S):
            return NO_LINE
        return line

    def beginning(self) -> bytes:
        """The first line with its end, as far as it is there; empty for an empty file."""
        if self._beginning is None or b"\n" not in self._beginning:
            head = self.file.read_at(0, HEAD_BYTES) if self.file is not None else b""
            line = first_line(head)
            self._beginning = head if line is None else line + b"\n"
        return self._beginning

    def facts(self, line: bytes, ends: frozenset[int]) -> Facts | None:
        """What identity needs to know; None while a compressed file has not been read through (call again).

        `ends` are the ends of the candidates. For a plain file the size is asked for here, after them.
        """
        assert self.file is not None
        text = line_text(line)
        if not self.packed:
            self.size = self.file.size() or 0
            head = self.file.read_at(0, min(HEAD_BYTES, self.size))
            return Facts(self.path, self.size, head, self.window, self.left, text)
        if self._prints is None or any(end <= self._prints.size for end in ends - self._prints.wanted):
            self._prints = Prints(ends)
        if not self._scan(self._prints):
            return None
        self.size = self._prints.size
        return Facts(self.path, self.size, self._prints.head, self._prints.window, self.left, text)

    def _scan(self, prints: Prints) -> bool:
        """Read some more of a compressed file into `prints`; tell whether that was all."""
        assert self.file is not None
        budget = SCAN_BYTES
        while budget > 0:
            data = self.file.read_at(prints.size, BLOCK_BYTES)
            prints.add(data)
            budget -= len(data)
            if len(data) < BLOCK_BYTES:
                return True
        return False

    def window(self, offset: int) -> str | None:
        """The hash of the 4 KiB that end at `offset`."""
        if self.file is None or self.packed:
            return None
        start = max(0, offset - WINDOW_BYTES)
        data = self.file.read_at(start, offset - start)
        return window_hash(data) if len(data) == offset - start else None

    def holder(self) -> Holder:
        """What identity needs to know of it as the file that holds a stream; a compressed one may be closed."""
        return Holder(self.size if self.packed or self.file is None else self.file.size() or 0, self.window)

    def begin(self, stream: Stream) -> None:
        """The file is `stream`: read on behind its end."""
        self.state, self.stream, self.reason, self.copy_of = State.READING, stream, "", ""
        if self.packed and self.file is not None:
            self.size = max(self.size, self.file.size() or 0)
        self.sure = (self.size, self.looked_s)
        self.examined = self.lines_end = min(stream.read_end, self.size)

    # --- what is to be read -----------------------------------------------------------------------------------------

    @property
    def behind(self) -> bool:
        """Whether bytes are known that were not read yet."""
        if self.state is not State.READING or self.file is None:
            return False
        return self.examined < self.size or (self.packed and not self.remembered and self.file.size() is None)

    @property
    def rests(self) -> bool:
        """Whether there is nothing to do until the file grows: what is known of it is read and committed."""
        return (self.state is State.READING and not self.packed and self.stream is not None
                and self.stream.read_end >= self.size <= self.examined)

    @property
    def settled(self) -> bool:
        """Whether all that is known of the file is committed, or repeats what is."""
        if self.state is not State.READING or self.stream is None:
            return self.size == 0 or self.state in (State.COPY, State.WAITING)
        return not self.behind and self.stream.read_end >= self.size

    def due_s(self, now_s: float) -> float | None:
        """In how many seconds something is to be read, if the file does not grow; None: nothing."""
        if self.state is not State.READING or self.stream is None:
            return None
        if self.behind:
            return 0.0
        quiet_s = now_s - self.grew_s
        if self.stream.read_end < self.lines_end and self._flushed_size != self.size:
            return max(0.0, self.source.quiet_ms / 1000 - quiet_s)
        if self.stream.read_end < self.size and self._wholed_size != self.size:
            return max(0.0, PARTIAL_S - quiet_s)
        return None

    def read(self, now_s: float, *, final: bool = False) -> Reading | None:
        """The next segment to commit. `final`: nothing more will come, or nobody will be there to read it.

        None where nothing is due, and where the file is not its stream any more (then it is UNKNOWN again).
        """
        due = self.due_s(now_s)
        if due is None or (due > TICK_S and not final):
            return None
        stream, file = self.stream, self.file
        assert stream is not None and file is not None
        if self._block_bytes > BLOCK_BYTES_MAX:
            raise SourceError(f"{self.path}: no record ends within {BLOCK_BYTES_MAX} bytes behind {stream.resume}")
        low = max(0, stream.resume - WINDOW_BYTES)
        data = self._block(file, low, stream.read_end)
        reached = low + len(data)
        if not self._still(stream, data, low):
            self.forget("does not hold what was read of it before", *self.sure)
            self.size, self.grew_s = file.size() or 0, now_s        # the next content's: it has not shrunk once more
            return None
        if reached > self.size:
            self.size, self.grew_s = reached, now_s
        self.sure = (self.size, self.looked_s)
        at_end = reached >= self.size and not (self.packed and file.size() is None)
        final = at_end and (final or self.packed)
        quiet_s = now_s - self.grew_s
        whole = final or (at_end and quiet_s >= PARTIAL_S - TICK_S)
        flush = whole or (at_end and quiet_s >= self.source.quiet_ms / 1000 - TICK_S)
        lines_end = max(stream.resume, low + data.rfind(b"\n") + 1)
        reading = Reading(Segment(stream, low, data, flush=flush, whole=whole, path=self.path), reached, lines_end)
        full = reached - stream.read_end >= self._block_bytes
        if not (flush or full) and data.count(b"\n", max(0, stream.read_end - low)) <= 1:
            # The one new line is the last record or part of it, which waits; what is before it is committed.
            self._note(reading)
            return None
        # An unfinished last line goes along: Ingest leaves it, unless it is longer than a record may be.
        if (reached if whole or full else lines_end) <= stream.read_end:
            self._note(reading)
            return None
        return reading

    def _block(self, file: LogFile, low: int, end: int) -> bytes:
        """From `low` to a block behind the stream's end; where only a line is to be read, less memory is asked for."""
        size = end - low + self._block_bytes
        few = max(end, self.size) - low + GROWN_BYTES
        if few < size and not self.packed:
            data = file.read_at(low, few)
            if len(data) < few:
                return data
        return file.read_at(low, size)

    def _still(self, stream: Stream, data: bytes, low: int) -> bool:
        """Whether `data`, read from offset `low`, has the stream's last bytes where they belong; where none is known to
        be committed, whether it begins as it did."""
        if not stream.read_end:
            return data.startswith(self._head[: len(data)]) and len(data) >= min(len(self._head), self._block_bytes)
        known = data[: stream.read_end - low][-WINDOW_BYTES:]
        return low + len(data) >= stream.read_end and window_hash(known) == stream.end_window

    def committed(self, reading: Reading, outcome: Outcome) -> None:
        """Take over what the store has now: it may also be what another agent committed meanwhile."""
        before, self.stream = self.stream, outcome.stream
        assert before is not None
        progress = outcome.stream.read_end > before.read_end or outcome.stream.resume > before.resume
        self._note(reading)
        others_too = outcome.stream.revision > before.revision + 1 or outcome.stream.read_end > reading.reached
        if others_too and not self.packed and self.window(outcome.stream.read_end) != outcome.stream.end_window:
            self.forget("is not what another agent has read as the same stream", self.size, self.looked_s)
            return
        if progress:
            self._block_bytes = self._block_bytes_min
        elif self.behind:
            # A record longer than the block: it must be seen whole, or be seen to be too long.
            self._block_bytes *= 2

    def _note(self, reading: Reading) -> None:
        """Remember how far the file has been looked at, so that it is not read again before it grows."""
        self.examined = max(reading.reached, self.stream.read_end if self.stream else 0)
        self.lines_end = reading.lines_end
        if reading.segment.flush:
            self._flushed_size = self.size
        if reading.segment.whole:
            self._wholed_size = self.size

    def renamed(self) -> Segment | None:
        """A segment without bytes that tells the store the file's new path."""
        if self.stream is None or not self.stream.revision or self.stream.path == self.path:
            return None
        return Segment(self.stream, self.stream.resume, b"", flush=False, path=self.path)

    def close(self) -> None:
        """Give the descriptor back. The follower may stay: an idle file is opened again when it changes."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def park(self) -> bool:
        """Close an idle file, unless it has changed just now; its `signature` tells later whether it has."""
        try:
            status = os.stat(self.path)  # noqa: PTH116
        except OSError:
            return False
        signature = (status.st_size, status.st_mtime_ns)
        changed = signature != self.signature if self.packed else status.st_size != self.size
        if changed or file_key(status) != self.key:
            return False
        self.signature = signature
        self.close()
        return True

    def is_at_its_path(self) -> bool:
        """Whether the file at the path has this file's content: for systems without inodes."""
        assert self.file is not None
        try:
            there = open_log(self.path)
        except (OSError, SourceError):
            return False
        try:
            start = max(0, self.size - WINDOW_BYTES)
            return (there.size() or 0) >= self.size and all(
                there.read_at(offset, size) == self.file.read_at(offset, size)
                for offset, size in ((0, min(HEAD_BYTES, self.size)), (start, self.size - start))
            )
        finally:
            there.close()

    def reopen(self) -> bool:
        """Open an idle file again; False, and it is UNKNOWN, where another file is at its path now."""
        if self.file is None:
            try:
                self.file = open_log(self.path)
                same = self.file.key == self.key and (self.packed or (self.file.size() or 0) >= self.size)
            except (OSError, SourceError):
                same = False
            if not same:
                self.demote()
                self.close()
                return False
        return True
