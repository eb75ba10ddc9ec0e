"""The demo's eight days: what goes wrong there is found, nothing else is, and live reading finds the same as replay."""

import json
import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from logagg.alert.engine import Engine
from logagg.app import App
from logagg.clock import StepClock
from logagg.config import load
from logagg.demo.logs import write_logs
from logagg.demo.settings import settings
from logagg.interfaces import Store
from logagg.record import Chunk, Event, Partial, Stream
from logagg.rollup.fold import Folder
from logagg.store import open_store
from tests.alerts import Told, essence, utc

FOUND_BY = {"das_failure_burst": {"das_failing"}, "payments_stopped": {"payments_stopped"},
            "vip_restart": {"vip_stopped"}, "low_memory": {"memory_low"},
            "ftp_outage": {"ftp_load_missing", "ftp_load_failing"}}
MINUTE_US = 60_000_000


@dataclass
class Demo:
    """The demo as read and folded, its truth, and the incidents of one evaluation at its end."""

    app: App
    truth: dict[str, Any]
    incidents: list[dict[str, Any]]
    told: Told


def engine(demo: App, store: Store, clock: StepClock, told: Told, age_max_s: int = 3600) -> Engine:
    sources = [(source.app, source.host) for source in demo.config.sources]
    return Engine(store, demo.config.rules, demo.metrics, sources, notifier=told, clock=clock, age_max_s=age_max_s)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    truth = write_logs(folder, days=8, seed=1, until=date(2026, 11, 22))
    (folder / "logagg.toml").write_text(settings(), encoding="utf-8")
    clock = StepClock(utc(truth["to"].rstrip("Z")))
    with App(load(folder / "logagg.toml"), clock=clock) as app:
        app.ingest_sources()
        told = Told()
        once = engine(app, app.store, clock, told)
        while once.evaluate():
            pass
        yield Demo(app, truth, list(app.store.documents("incident").values()), told)


def us(text: str) -> int:
    return utc(text.rstrip("Z"))


def inside(incident: dict[str, Any], true: dict[str, Any]) -> bool:
    """Whether an incident of the right rule fired within the window of a true one."""
    return incident["rule"] in FOUND_BY[true["kind"]] and us(true["from"]) <= us(incident["fired_at"]) <= us(true["to"])


def test_each_incident_is_found_within_its_window(demo: Demo) -> None:
    """Every incident of truth.json fires a rule of its kind, and is over at most an hour after its end."""
    for true in demo.truth["incidents"]:
        found = [one for one in demo.incidents if inside(one, true)]
        assert found, true
        assert all(us(one["resolved_at"]) <= us(true["to"]) + 60 * MINUTE_US for one in found)


def test_nothing_else_is_found(demo: Demo) -> None:
    """A quiet day has no incident: all that fire belong to a true one."""
    stray = [one["summary"] for one in demo.incidents
             if not any(inside(one, true) for true in demo.truth["incidents"])]
    assert stray == []


def test_the_ftp_outage_is_found_on_its_first_morning(demo: Demo) -> None:
    """Nobody has to wait for five days: at 06:30 of the first day it is known, and stays one incident until it ends."""
    [outage] = [true for true in demo.truth["incidents"] if true["kind"] == "ftp_outage"]
    [missing] = [one for one in demo.incidents if one["rule"] == "ftp_load_missing"]
    assert us(missing["fired_at"]) == us(outage["from"]) + 25 * MINUTE_US
    assert us(missing["resolved_at"]) >= us(outage["to"])


def test_numbers_agree_with_the_truth(demo: Demo) -> None:
    """The first and last record of the low memory incident are those of the truth's window, as many as it has."""
    [true] = [true for true in demo.truth["incidents"] if true["kind"] == "low_memory"]
    [found] = [one for one in demo.incidents if one["rule"] == "memory_low"]
    assert found["first"]["event"] == found["last"]["event"] == "low_memory"
    assert us(true["from"]) <= us(found["first"]["ts"]) < us(found["last"]["ts"]) < us(true["to"])
    between = list(demo.app.store.events(from_us=us(found["event_from"]), to_us=us(found["event_to"]) + 1,
                                         names=["low_memory"]))
    assert len(between) == true["events"]["low_memory"]


def test_reading_history_tells_nobody_but_of_what_is_new(demo: Demo) -> None:
    """Eight days read at once store their incidents as late."""
    assert all(one["late"] for one in demo.incidents)
    assert demo.told.said == []


def test_live_finds_the_same_as_replay(demo: Demo, tmp_path: Path) -> None:
    """The same records and observations, step by step with some streams behind, end in the same incidents; people
    are told of each in time, when it fires and when it is over."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng, store, told = random.Random(seed), open_store(f"sqlite:///{tmp_path}/live.db"), Told()
    start, end = us(demo.truth["from"]), us(demo.truth["to"])
    clock = StepClock(start)
    # Nothing is seen later than this: the longest step, the longest lag, and some for a rule's own window.
    live, folder = engine(demo.app, store, clock, told, age_max_s=3 * 3600), Folder(store, demo.app.metrics)
    streams = [_Replayed(stream, demo.app.store) for stream in demo.app.store.streams()]
    now = start
    while now < end:
        now = min(end, now + rng.randrange(30, 110) * MINUTE_US)
        clock.step((now - clock.now_us()) / 1e6)
        read_to: dict[str, int] = {}
        for one in streams:
            until = now if now == end or rng.random() < 0.8 else max(one.at, now - rng.randrange(20 * MINUTE_US))
            one.write(store, until)
            source = f"{one.stream.app}@{one.stream.host}"
            read_to[source] = min(read_to.get(source, until), until)
        for source, at in read_to.items():
            store.put_document("observation", source, None, {"at_us": at, "paths": 1})
        folder.fold_all()
        live.evaluate()
    while live.evaluate():
        pass
    found = [one for one in store.documents("incident").values() if one["state"] != "merged"]
    assert essence(found) == essence(demo.incidents)
    assert [one["id"] for one in found if one["late"]] == []
    assert sorted(told.said) == sorted((one["id"], state) for one in found for state in ("firing", "resolved"))


class _Replayed:
    """A stream's records, committed anew up to a moment: its partials by the minute, its events by their time."""

    def __init__(self, stream: Stream, store: Store) -> None:
        self.stream = stream
        self.at = 0
        self._end = self._revision = 0
        self._partials: dict[int, list[Partial]] = defaultdict(list)
        self._events: list[Event] = []
        for chunk in store.chunks(stream=stream.id, with_parts=True):
            for partial in chunk.partials:
                self._partials[partial.minute].append(partial)
            self._events += [event for event in chunk.events if event.ts_us is not None]
        self._events.sort(key=lambda event: (event.ts_us or 0, event.offset))

    def write(self, store: Store, until: int) -> None:
        """Commit what has a time before `until`, in whole minutes."""
        until -= until % MINUTE_US
        minutes = [minute for minute in sorted(self._partials) if minute * MINUTE_US < until]
        count = bisect_left(self._events, until, key=lambda event: event.ts_us or 0)
        events, self._events = self._events[:count], self._events[count:]
        # Chunks of a stream merge into one minute where one ends within it: each gets a chunk of its own.
        layers: list[list[Partial]] = []
        for minute in minutes:
            for i, partial in enumerate(self._partials.pop(minute)):
                layers += [[]] * (len(layers) == i)
                layers[i] = [*layers[i], partial]
        first = max(self._end, max((event.offset for event in events), default=0)) + 1
        chunks = [Chunk(self.stream.id, first + i - 1 if i else self._end, first + i, b"x", partials=tuple(layer),
                        events=tuple(events) if i == 0 else ()) for i, layer in enumerate(layers)]
        if chunks:
            end = chunks[-1].end
            state = Stream(self.stream.id, self.stream.host, self.stream.app, self.stream.path,
                           self.stream.first_line, revision=self._revision, end=end, resume=end)
            assert store.commit([(state, chunks)]) == ["committed"]
            self._end, self._revision = end, self._revision + 1
        self.at = until


def test_truth_has_all_kinds(demo: Demo) -> None:
    """The tests above look for each kind of trouble that the demo can have."""
    assert {true["kind"] for true in demo.truth["incidents"]} == set(FOUND_BY)
    assert Path(demo.app.config.folder, "truth.json").read_text(encoding="utf-8") == (
        json.dumps(demo.truth, indent=1, ensure_ascii=False) + "\n")
