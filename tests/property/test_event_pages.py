"""Paging through events: whatever the times, the page's size and the store, every event once, in order."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logagg.api import events
from logagg.api.events import Key, Wanted, event_page, key_of
from logagg.clock import StepClock
from logagg.interfaces import Store
from logagg.record import Chunk, Event, Stream
from logagg.store.memory import MemoryStore
from logagg.store.sqlite import SqliteStore

NOW_US = 1_795_180_000_000_000
_TIMES = st.one_of(
    st.none(), st.integers(0, 3).map(lambda n: NOW_US + n), st.integers(NOW_US - 10**11, NOW_US),
    st.integers(0, NOW_US), st.integers(NOW_US, NOW_US + 10**15))


def filled(store: Store, times: dict[str, list[int | None]]) -> list[Event]:
    made = []
    for stream, all_of_them in times.items():
        rows = tuple(Event(stream, i, ts, "WARN" if i % 2 else "INFO", None, {"message": f"m{i % 3}"})
                     for i, ts in enumerate(all_of_them))
        state = Stream(stream, "h", "a", stream, "x", end=100, resume=100, last_ts_us=max((t or 0 for t in all_of_them),
                                                                                         default=None))
        assert store.commit([(state, [Chunk(stream, 0, 100, b"raw", events=rows)])]) == ["committed"]
        made += rows
    return made


def paged(store: Store, wanted: Wanted, newest_first: bool, limit: int, look_s: float) -> list[Event]:
    after: Key | None = None
    found: list[Event] = []
    for _ in range(2000):
        page = event_page(store, wanted, StepClock(NOW_US), newest_first=newest_first, after=after, limit=limit,
                          look_s=look_s)
        assert len(page.rows) <= limit
        found += [event for event, _ in page.rows]
        after = page.next
        if after is None:
            return found
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(times=st.dictionaries(st.sampled_from(["s1", "s2", "s3"]), st.lists(_TIMES, max_size=25), max_size=3),
       limit=st.integers(1, 9), newest_first=st.booleans(), look_s=st.sampled_from([-1.0, 1.0]),
       window=st.integers(1, 6), text=st.sampled_from(["", "M1"]), levels=st.sampled_from([(), ("warn",)]),
       bounds=st.tuples(_TIMES, _TIMES))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True)
def test_every_event_once(tmp_path_factory: pytest.TempPathFactory, kind: str, times: dict[str, list[int | None]],
                          limit: int, newest_first: bool, look_s: float, window: int, text: str,
                          levels: tuple[str, ...], bounds: tuple[Any, Any]) -> None:
    """Against a list that is sorted and filtered at once; pages that always end early give the same as those that
    never do."""
    folder: Path = tmp_path_factory.mktemp("s")
    store: Store = MemoryStore() if kind == "memory" else SqliteStore(str(folder / "a.db"))
    made = filled(store, times)
    from_us, to_us = bounds
    wanted = Wanted(levels=levels, text=text, from_us=from_us, to_us=to_us)
    expected = sorted((event for event in made if (not levels or event.level == "WARN")
                       and (not text or event.body["message"] == "m1") and _inside(event, from_us, to_us)), key=key_of)
    before = events.WINDOW_EVENTS_MAX
    events.WINDOW_EVENTS_MAX = window
    try:
        found = paged(store, wanted, newest_first, limit, look_s)
    finally:
        events.WINDOW_EVENTS_MAX = before
        store.close()
    assert [key_of(event) for event in found] == [key_of(event) for event in
                                                  (expected[::-1] if newest_first else expected)]


def _inside(event: Event, from_us: int | None, to_us: int | None) -> bool:
    if from_us is None and to_us is None:
        return True
    return event.ts_us is not None and (from_us is None or event.ts_us >= from_us) and (
        to_us is None or event.ts_us < to_us)
