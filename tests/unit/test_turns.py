"""Whose turn it is to be read."""

from dataclasses import dataclass, field
from typing import cast

from logagg.ingest import Segment
from logagg.record import Stream
from logagg.source.discover import FileSource
from logagg.source.follow import Follower, Reading, State
from logagg.source.turns import BUFFER_BYTES_MAX, BUFFER_BYTES_MIN, LIVE_BYTES_MAX, ROUND_S, Bucket, Turns

BLOCK = 1 << 20
NOW_S = 1000.0
SOURCE = FileSource("app", "host", ("*.log",))


@dataclass(eq=False)
class File:
    """What turns know of a follower, and a block of it each time."""

    name: str
    size: int
    grew_s: float
    source: FileSource = SOURCE
    examined: int = 0
    state: State = State.READING
    blocks: list[int] = field(default_factory=list)

    def due_s(self, now_s: float) -> float | None:
        return 0.0 if self.examined < self.size else None


def read(file: Follower, block: int = BLOCK) -> Reading | None:
    start, end = file.examined, min(file.size, file.examined + block)
    if start == end:
        return None
    file.examined = end
    stream = Stream(str(file), "host", "app", "", "", 0, end=start, resume=start)
    return Reading(Segment(stream, start, bytes(end - start), flush=True), end, end)


def names(turns: Turns, files: list[File], now_s: float = NOW_S) -> list[str]:
    """Whose turn it is in the next round."""
    readings = turns.read(cast(list[Follower], files), now_s, read)
    return [cast(File, follower).name for follower, _ in readings]


def test_live_files_come_before_a_backlog() -> None:
    """However much is behind, a file that was written a moment ago is read in the next round; the rest is for those
    that are behind."""
    old = [File(f"old{i}", 100 * BLOCK, NOW_S - 86_400 - i) for i in range(1000)]
    live = File("live", 100, NOW_S - 0.1)
    turns = Turns()
    for _ in range(5):
        got = names(turns, [*old, live])
        assert got[0] == "live" and 5 <= len(got) <= 9
        live.size += 100


def test_neither_starves_the_other() -> None:
    """Busy live files and a backlog have half of a round each."""
    files = [File(f"live{i}", LIVE_BYTES_MAX, NOW_S) for i in range(50)]
    got = names(Turns(), [*files, *(File(f"old{i}", 100 * BLOCK, 0.0) for i in range(50))])
    assert sum(name.startswith("live") for name in got) == sum(name.startswith("old") for name in got) == len(got) / 2


def test_live_files_take_turns() -> None:
    """What was left out of one round comes first in the next: all are read before any is read twice."""
    files = [File(str(i), 4 * BLOCK, NOW_S) for i in range(20)]
    turns = Turns()
    got = [*names(turns, files), *names(turns, files), *names(turns, files)]
    assert got[:20] == [str(i) for i in range(20)]


def test_oldest_or_newest_first() -> None:
    """Each source's files that are behind come in its order; the sources take turns."""
    newest = FileSource("other", "host", ("*.log",), order="newest")
    files = [File(f"{source.app}{age}", 10 * BLOCK, NOW_S - 100 * age, source)
             for source in (SOURCE, newest) for age in (2, 1, 3)]
    assert names(Turns(), files) == ["app3", "other1", "app2", "other2", "app1", "other3"]


def test_a_file_far_behind_is_no_live_one() -> None:
    """A file that grows, but of which more is unread than a live one may have, waits its turn with the others."""
    huge, live = File("huge", 1000 * BLOCK, NOW_S), File("live", 100, NOW_S)
    assert names(Turns(), [huge, live]) == ["live", "huge"]


def test_rate_limit() -> None:
    """Over a minute a source is read at its rate, and no other source is held up."""
    limited = FileSource("app", "host", ("*.log",), rate_limit=BLOCK)
    file, other = File("limited", 1000 * BLOCK, 0.0, limited), File("other", 1000 * BLOCK, 0.0)
    turns = Turns()
    for tenth in range(600):
        turns.read(cast(list[Follower], [file, other]), NOW_S + tenth / 10, read)
    assert 59 * BLOCK <= file.examined <= 62 * BLOCK
    assert other.examined == 600 * BLOCK


def test_a_bucket_in_debt() -> None:
    """A block larger than the rate is paid off before the next is read."""
    bucket = Bucket(1000, 0.0)
    assert bucket.wait_s(0.0) == 0
    bucket.take(5000)
    assert 3.9 < bucket.wait_s(0.0) < 4.1
    assert bucket.wait_s(3.0) > 0
    assert bucket.wait_s(4.1) == 0


def test_a_round_takes_a_quarter_of_a_second() -> None:
    """The budget follows the speed that the last rounds had, within bounds; small rounds tell nothing."""
    turns, file = Turns(), File("a", 100 * BLOCK, 0.0)
    readings = turns.read(cast(list[Follower], [file]), NOW_S, lambda one: read(one, 4 * BLOCK))
    for _ in range(20):
        turns.took(readings, 4 * ROUND_S / 3)
    assert abs(turns.budget - 3 * BLOCK) < BLOCK / 10
    for _ in range(20):
        turns.took(readings, 60.0)
    assert turns.budget == BUFFER_BYTES_MIN
    for _ in range(20):
        turns.took(readings, 0.001)
    assert turns.budget == BUFFER_BYTES_MAX
    turns.took([], 5.0)
    assert turns.budget == BUFFER_BYTES_MAX
