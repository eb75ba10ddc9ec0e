"""Blocks of events: whatever was put into them comes back, all of it or a part."""

import json
import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from logagg.record import Event
from logagg.store.sqlite_events import BLOCK_US_MAX, EVENTS_PER_BLOCK, block_rows, event_rows, events_of, keys_of

TEXTS = st.text(st.characters(), max_size=8) | st.sampled_from(["", "\0", "\ud800", "\udfffx", "\ud83d\ude00", "INFO"])
NUMBERS = st.integers() | st.floats() | st.sampled_from([1 << 70, -0.0, math.nan, math.inf, True, 1, 1.0])
VALUES = st.recursive(
    st.none() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6)
TIMES_US = st.none() | st.sampled_from([-1, 0, -(1 << 63), (1 << 63) - 1, 1_700_000_000_000_000]) | st.integers(
    1_700_000_000_000_000, 1_700_000_000_000_000 + 3 * BLOCK_US_MAX)
PRINTED = st.sampled_from(["2023-11-14T22:13:20Z", "2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20.Z", "", "Z", "1969",
                           "2023-11-14T22:13:20.000000Z", "2023-11-14T22:13:20.0000000Z", "2023-11-14T22:13:20.000"])
NAMES = st.none() | st.sampled_from(["das_call", "das_failure", "\ud800"])
BODIES = st.fixed_dictionaries({}, optional={
    "ts": PRINTED | VALUES, "level": NAMES | VALUES, "event": NAMES | VALUES, "message": TEXTS | VALUES,
    "logger": st.sampled_from(["a.B", "a.C"]), "fields": st.dictionaries(TEXTS, VALUES, max_size=3) | VALUES,
    "mdc": VALUES, "": VALUES})
MANY = st.lists(st.tuples(TIMES_US, NAMES, NAMES, BODIES), max_size=30)


def events(parts: list[tuple[int | None, str | None, str | None, dict[str, Any]]]) -> list[Event]:
    return [Event("s1", 7 * i, *part) for i, part in enumerate(parts)]


def exact(found: list[Event]) -> str:
    """With 1, 1.0 and True told apart, -0.0 and 0.0 too, and NaN equal to itself."""
    return json.dumps([[e.offset, e.ts_us, e.level, e.event, e.body] for e in found], sort_keys=True)


@example([(1_700_000_000_123_456, "WARN", "x", {"ts": f"2023-11-14T22:13:20.{'123456'[:n]}Z"}) for n in range(1, 7)])
@example([(1_700_000_000_000_000, "WARN", "x", {"level": "WARN", "event": "x", "n": n}) for n in (1, True, 1.0)])
@example([(None, None, None, {"message": "again"})] * 20)
@settings(deadline=None)
@given(MANY)
def test_events_come_back(parts: list[tuple[int | None, str | None, str | None, dict[str, Any]]]) -> None:
    """Of all blocks of a chunk the events are what they were, whatever their bodies hold, agreeing with the rest or
    not; blocks are bounded, and the columns beside the bodies tell where and when their events are."""
    given_, found = events(parts), []
    for offset, last, from_us, to_us, committed_us, size, names, keys, bodies in event_rows(given_, 5):
        block = keys_of(names, keys, committed_us)
        own = list(events_of("s1", block, bodies).values())
        assert sorted(e.offset for e in own)[::len(own) - 1 or 1] == ([offset, last] if len(own) > 1 else [offset])
        assert to_us - from_us <= BLOCK_US_MAX
        assert (committed_us is None) == (own[0].ts_us is not None)
        assert [(-1 if e.ts_us is None else e.ts_us) for e in (own[0], own[-1])] == [from_us, to_us] or len(own) > 2
        assert size > 0
        found += own
    assert exact(sorted(found, key=lambda e: e.offset)) == exact(given_)


@settings(deadline=None)
@given(MANY, st.data())
def test_a_part_of_a_block(parts: list[tuple[int | None, str | None, str | None, dict[str, Any]]],
                           data: st.DataObject) -> None:
    """Some places of a block give the same events as the whole block does there."""
    for *_, committed_us, _, names, keys, bodies in event_rows(events(parts), 5):
        block = keys_of(names, keys, committed_us)
        wanted = data.draw(st.sets(st.integers(0, len(block.offsets))))
        whole = events_of("s1", block, bodies)
        some = events_of("s1", block, bodies, wanted)
        assert some.keys() == whole.keys() & wanted
        assert exact([some[i] for i in sorted(some)]) == exact([whole[i] for i in sorted(some)])


def test_no_block_is_too_long() -> None:
    """More events than a block may hold are several blocks, each with the next ones."""
    blocks = event_rows((Event("s1", i, 0, None, None, {}) for i in range(2 * EVENTS_PER_BLOCK + 1)), 5)
    assert [row[:2] for row in blocks] == [
        (0, EVENTS_PER_BLOCK - 1), (EVENTS_PER_BLOCK, 2 * EVENTS_PER_BLOCK - 1), (2 * EVENTS_PER_BLOCK,) * 2]


@settings(deadline=None)
@given(MANY)
def test_blocks_for_sql(parts: list[tuple[int | None, str | None, str | None, dict[str, Any]]]) -> None:
    """What SQL sees of a block is JSON that SQLite can take, with a list for each event."""
    found = 0
    for *_, committed_us, _, names, keys, bodies in event_rows(events(parts), 5):
        text = block_rows(names, keys, committed_us, bodies)
        text.encode()
        found += len(json.loads(text))
    assert found == len(parts)
