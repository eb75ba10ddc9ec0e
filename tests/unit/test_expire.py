"""What is too old goes, and no number that stays shrinks."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from logagg.grammar.reader import LayoutReader
from logagg.ingest import Ingest, Segment
from logagg.reading import Pipeline
from logagg.rollup.expire import expire
from logagg.rollup.fold import Folder
from logagg.rollup.metric import MetricSet
from logagg.rollup.sketch import Stat
from logagg.rollup.window import FIRST_MINUTE, LAST_MINUTE
from logagg.source.identity import new_stream
from logagg.store.memory import MemoryStore
from tests.unit.test_ingest import NoClaims

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 40
NOW_US = int((FIRST + timedelta(days=DAYS)).timestamp() * 1e6)


@dataclass(frozen=True)
class Ages:
    raw_days: int | None = None
    events_days: int | None = None
    minute_days: int | None = None
    hour_days: int | None = None


def line(day: float, text: str = "x") -> bytes:
    return f"{FIRST + timedelta(days=day):%Y-%m-%dT%H:%M:%S},000 ERROR a.b - {text}\n".encode()


def filled() -> tuple[MemoryStore, Folder]:
    """Forty days with a record an hour, a chunk a day, all folded."""
    store, metrics = MemoryStore(), MetricSet()
    pipeline = Pipeline(LayoutReader("%d{ISO8601} %p %c - %m%n", timezone="UTC"), NoClaims(), metrics)
    ingest = Ingest(store, lambda stream: pipeline)
    state, position = new_stream("app", "host", "a.log", b"first", 0), 0
    for day in range(DAYS):
        data = b"".join(line(day + hour / 24) for hour in range(24))
        [outcome] = ingest.commit([Segment(state, position, line(day - 1 / 24) * (position > 0) + data, False)])
        state, position = outcome.stream, outcome.next
    folder = Folder(store, metrics, ["America/New_York"])
    folder.fold_all()
    return store, folder


def counts(store: MemoryStore, step: str, zone: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for key, bucket in store.buckets(step, zone, FIRST_MINUTE, LAST_MINUTE, metric="records"):
        found[key.start] = sum(Stat.from_bytes(row).count for row in bucket.rows.values())
    return found


def test_nothing_shrinks() -> None:
    """After expiry days, weeks and months are as before, and stay so when late lines for frozen days come."""
    store, folder = filled()
    kept = [("day", "UTC"), ("day", "America/New_York"), ("week", "UTC"), ("month", "UTC")]
    before = {place: counts(store, *place) for place in kept}
    assert sum(before["month", "UTC"].values()) > 900
    deleted = expire(store, Ages(raw_days=10, events_days=10, minute_days=10, hour_days=20), NOW_US)
    assert deleted["chunks"] >= 28
    assert deleted["events"] >= 28 * 24
    assert deleted["buckets"] > 0
    assert {place: counts(store, *place) for place in kept} == before
    [stream] = store.streams()
    late = new_stream("app", "host", "late.log", b"late", 0)
    pipeline = Pipeline(LayoutReader("%d{ISO8601} %p %c - %m%n", timezone="UTC"), NoClaims(), MetricSet())
    Ingest(store, lambda stream: pipeline).commit([Segment(late, 0, line(3) + line(3.1), True)])
    folder.fold_all()
    assert not store.unfolded(1)
    assert {place: counts(store, *place) for place in kept} == before
    assert stream.counts.records > 900, "the ledger keeps what it counted"


def test_what_is_young_stays() -> None:
    """Minutes, chunks and events within their time are all there."""
    store, _ = filled()
    before = counts(store, "minute", "")
    expire(store, Ages(raw_days=10, events_days=10, minute_days=10), NOW_US)
    limit = NOW_US // 60_000_000 - 10 * 1440
    after = counts(store, "minute", "")
    assert after == {start: n for start, n in before.items() if start >= limit}
    assert len(list(store.chunks())) in (10, 11, 12)
    assert counts(store, "hour", "") != {}


def test_for_ever() -> None:
    """Nothing goes where everything is kept for ever."""
    store, _ = filled()
    assert expire(store, Ages(), NOW_US) == {"chunks": 0, "events": 0, "buckets": 0}
    assert store.document("horizon", "freeze") is None


def test_horizon_never_falls() -> None:
    """Keeping things longer from now on does not thaw what was frozen."""
    store, _ = filled()
    expire(store, Ages(raw_days=10), NOW_US)
    frozen = store.document("horizon", "freeze")
    expire(store, Ages(raw_days=30), NOW_US)
    assert store.document("horizon", "freeze") == frozen
