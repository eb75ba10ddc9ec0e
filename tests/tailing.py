"""A store and an ingest in memory for tests of reading: they keep each stream's bytes and refuse what must not be."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from logagg.clock import StepClock
from logagg.errors import StoreUnavailable
from logagg.ingest import Outcome, Segment
from logagg.raw import compress
from logagg.record import Chunk, Counts, Stream
from logagg.source.discover import FileSource
from logagg.source.identity import WINDOW_BYTES, advance
from logagg.source.tail import Agent

NOW_US = 4_000_000_000_000_000
"""Later than any file's time, so that a compressed file counts as quiet."""


class MemoryStore:
    """What an agent asks of a store. While `down` everything raises StoreUnavailable."""

    remote = False

    def __init__(self) -> None:
        self.by_id: dict[str, Stream] = {}
        self.content: dict[str, bytes] = {}
        self.kept: dict[tuple[str, str], dict[str, Any]] = {}
        self.down = False

    def check(self) -> None:
        if self.down:
            raise StoreUnavailable("the store is out of reach")

    def streams(self, *, id: str | None = None, host: str | None = None, app: str | None = None,
                first_line: str | None = None) -> list[Stream]:
        self.check()
        return [
            s for s in self.by_id.values()
            if id in (None, s.id) and host in (None, s.host) and app in (None, s.app)
            and first_line in (None, s.first_line)
        ]

    def chunks(self, *, stream: str, start: int, end: int) -> Iterator[Chunk]:
        self.check()
        content = self.content[stream]
        if start < len(content):
            yield Chunk(stream, 0, len(content), compress(content))

    def document(self, kind: str, key: str) -> tuple[int, dict[str, Any]] | None:
        self.check()
        return (1, self.kept[kind, key]) if (kind, key) in self.kept else None

    def documents(self, kind: str) -> dict[str, dict[str, Any]]:
        self.check()
        return {key: value for (one, key), value in self.kept.items() if one == kind}

    def put_document(self, kind: str, key: str, revision: int | None, value: dict[str, Any]) -> bool:
        self.check()
        self.kept[kind, key] = value
        return True


class MemoryIngest:
    """Commits as the real one does: trims, cuts at a line's end, leaves the last record or commits it as open.

    A record begins with a line that does not begin with a blank. `answers_lost`: commits succeed but raise.
    """

    def __init__(self, store: MemoryStore, record_bytes_max: int = 1 << 20) -> None:
        self.store = store
        self.commits = 0
        self.answers_lost = 0
        self.buffered_max = 0
        self.order: list[str] = []
        self.record_bytes_max = record_bytes_max

    def commit(self, segments: Sequence[Segment]) -> list[Outcome]:
        self.store.check()
        assert len({segment.stream.id for segment in segments}) == len(segments), "one stream twice in a group"
        self.buffered_max = max(self.buffered_max, sum(len(segment.data) for segment in segments))
        outcomes = [self._one(segment) for segment in segments]
        self.commits += 1
        if self.answers_lost:
            self.answers_lost -= 1
            raise StoreUnavailable("the answer was lost")
        return outcomes

    def _one(self, segment: Segment) -> Outcome:
        stored = self.store.by_id.get(segment.stream.id)
        state = segment.stream if stored is None or stored.revision == segment.stream.revision else stored
        assert segment.start <= state.resume, "a gap"
        data = segment.data[state.resume - segment.start :]
        cut = data.rfind(b"\n") + 1
        if not segment.whole and len(data) - cut <= self.record_bytes_max:
            data = data[:cut]
        close = last_record(data)
        if len(data) - close > self.record_bytes_max:
            close = len(data)
        end = len(data) if segment.flush else close
        if state.resume + end <= state.read_end:
            if segment.path != state.path and state.revision:
                state = self._put(replace(state, path=segment.path))
            return Outcome(state, state.resume)
        committed = self.store.content.get(state.id, b"")
        before = committed[max(0, state.resume - WINDOW_BYTES) : state.resume]
        head, windows, end_window = advance(state, before, data[:end])
        self.store.content[state.id] = committed[: state.resume] + data[:end]
        assert self.store.content[state.id].startswith(committed), "committed bytes were changed"
        self.order.append(segment.path)
        found, left = state.resume + end, 0
        if found < state.end:       # of what was given up
            close, left = end, state.end - found
        state = replace(state, path=segment.path, end=found + left, resume=state.resume + close, head=head,
                        windows=windows, end_window=end_window, open_counts=Counts(int(close < end)),
                        dropped={next(iter(state.dropped)): left} if left else {})
        return Outcome(self._put(state), state.resume)

    def give_up(self, stream: Stream, end: int, reason: str) -> Stream:
        self.store.check()
        state = self.store.by_id.get(stream.id, stream)
        if state.end >= end:
            return state
        gap = state.read_end
        return self._put(replace(state, end=end, resume=gap, open_counts=Counts(), dropped={reason: end - gap}))

    def _put(self, state: Stream) -> Stream:
        state = self.store.by_id[state.id] = replace(state, revision=state.revision + 1)
        return state


def last_record(data: bytes) -> int:
    """Where the last record of `data` begins."""
    at = len(data)
    while at > 0:
        at = data.rfind(b"\n", 0, at - 1) + 1
        if not data[at : at + 1].isspace():
            return at
    return 0


class Bench:
    """A folder, a stepped clock, a store in memory, and an agent that can be started anew."""

    def __init__(self, folder: Path, *globs: str, **options: Any) -> None:
        self.folder = folder
        self.clock = StepClock(NOW_US)
        self.store = MemoryStore()
        self.ingest = MemoryIngest(self.store)
        self.sources = [FileSource("app", "host", tuple(str(folder / g) for g in globs or ("*.log*",)))]
        self.options = options
        self.agent = self.start()

    def start(self) -> Agent:
        options = {key: value for key, value in self.options.items() if key != "open_watcher"}
        if "open_watcher" in self.options:      # a new one each time: the agent closes it
            options["watcher"] = self.options["open_watcher"]()
        self.agent = Agent(self.sources, self.store, self.ingest, clock=self.clock, **options)
        return self.agent

    def restart(self, *, kill: bool = False) -> None:
        if not kill:
            self.agent.stop()
        self.agent.close()
        self.start()

    def write(self, name: str, text: str | bytes) -> None:
        with (self.folder / name).open("ab") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        os.utime(self.folder / name, ns=(0, self.clock.now_us() * 1000))

    def settle(self, seconds: float = 1.2) -> None:
        """Let the agent work until that much time has passed."""
        end = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < end:
            self.clock.step(max(0.02, self.agent.step()))

    def contents(self) -> list[str]:
        """What is committed of each stream, in the order in which the streams began."""
        return [content.decode() for content in self.store.content.values()]

    def streams(self) -> Iterator[Stream]:
        yield from self.store.by_id.values()
