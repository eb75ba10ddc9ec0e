"""Whose turn it is to be read: files that are written now first, then those that are behind, some of each.

A round takes about a quarter of a second, by the speed that the last ones had, so that a line of a live file waits
for one round of somebody else's backlog at most.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest

from logagg.source.discover import FileSource
from logagg.source.follow import Follower, Reading, State

BUFFER_BYTES_MAX = 8 << 20
BUFFER_BYTES_MIN = 2 << 20
ROUND_S = 0.25
SEGMENT_BYTES = 8 << 10
"""What a segment costs beside its bytes."""

LEARN_BYTES = 1 << 19
"""Rounds with less tell nothing of the speed."""

LIVE_S = 60.0
LIVE_BYTES_MAX = 8 << 20


class Bucket:
    """A rate limit: bytes may be read while there is something in it. More than that puts it into debt, so that the
    rate is kept whatever a block's size is."""

    def __init__(self, rate: int, now_s: float) -> None:
        self._rate, self._left, self._filled_s = rate, float(rate), now_s

    def wait_s(self, now_s: float) -> float:
        """In how many seconds something may be read."""
        self._left = min(self._rate, self._left + (now_s - self._filled_s) * self._rate)
        self._filled_s = now_s
        return 0.0 if self._left > 0 else (1 - self._left) / self._rate

    def take(self, n_bytes: int) -> None:
        self._left -= n_bytes


class Turns:
    """Chooses what a round reads, `budget` bytes in all."""

    def __init__(self) -> None:
        self.budget = BUFFER_BYTES_MAX
        self._speed: float | None = None
        self._buckets: dict[FileSource, Bucket] = {}
        self._left_out: Follower | None = None

    def wait_s(self, source: FileSource, now_s: float) -> float:
        """In how many seconds the source's rate limit lets something be read."""
        if not source.rate_limit:
            return 0.0
        if source not in self._buckets:
            self._buckets[source] = Bucket(source.rate_limit, now_s)
        return self._buckets[source].wait_s(now_s)

    def read(self, followers: Iterable[Follower], now_s: float,
             read: Callable[[Follower], Reading | None]) -> list[tuple[Follower, Reading]]:
        """Read a block of each whose turn it is. `read` answers None where nothing is due.

        Live files take turns among themselves: who was left out comes first the next time. They have at least half of
        the budget, and those that are behind the rest.
        """
        followers = [one for one in followers if one.state is State.READING]
        behind = [one for one in followers if not _is_live(one, now_s)]
        aside = set(behind)
        live = [one for one in followers if one not in aside] if aside else followers
        first = live.index(self._left_out) if self._left_out in live else 0
        self._left_out = None
        readings: list[tuple[Follower, Reading]] = []
        share = self.budget // 2 if behind else self.budget
        spent, self._left_out = self._take((*live[first:], *live[:first]), share, now_s, read, readings)
        self._take(_in_order(behind), self.budget - spent, now_s, read, readings)
        return readings

    def _take(self, followers: Iterable[Follower], share: int, now_s: float,
              read: Callable[[Follower], Reading | None],
              readings: list[tuple[Follower, Reading]]) -> tuple[int, Follower | None]:
        """Read until `share` is spent; answers what was, and who is the first that was left out: for that, or else for
        its source's limit."""
        spent, limited = 0, None
        for follower in followers:
            if spent >= share:
                return spent, follower
            if self.wait_s(follower.source, now_s):
                limited = limited or (follower if follower.due_s(now_s) == 0 else None)
                continue
            if (reading := read(follower)) is None:
                continue
            readings.append((follower, reading))
            spent += len(reading.segment.data) + SEGMENT_BYTES
            if follower.source.rate_limit:
                self._buckets[follower.source].take(max(0, reading.reached - reading.segment.stream.end))
        return spent, limited

    def took(self, readings: Sequence[tuple[Follower, Reading]], seconds: float) -> None:
        """Learn from how long it took to commit a round's readings."""
        cost = sum(len(reading.segment.data) + SEGMENT_BYTES for _, reading in readings)
        if cost < LEARN_BYTES or seconds <= 0:
            return
        speed = cost / seconds
        self._speed = speed if self._speed is None else (self._speed + speed) / 2
        self.budget = int(min(BUFFER_BYTES_MAX, max(BUFFER_BYTES_MIN, self._speed * ROUND_S)))


def _is_live(follower: Follower, now_s: float) -> bool:
    """Whether a file is read as it is written: it grew a moment ago, and little of it is unread."""
    return now_s - follower.grew_s < LIVE_S and follower.size - follower.examined <= LIVE_BYTES_MAX


def _in_order(followers: Iterable[Follower]) -> Iterator[Follower]:
    """Files that are behind, each source's by the time of their last change, the sources in turn."""
    by_source: dict[FileSource, list[Follower]] = {}
    for follower in followers:
        by_source.setdefault(follower.source, []).append(follower)
    for source, files in by_source.items():
        files.sort(key=lambda follower: follower.grew_s, reverse=source.order == "newest")
    for several in zip_longest(*by_source.values()):
        yield from (follower for follower in several if follower is not None)
