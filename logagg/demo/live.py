"""The demo's live part: the applications go on writing, today and now."""

import threading
from collections import deque
from datetime import datetime
from operator import itemgetter
from pathlib import Path

from logagg.clock import Clock
from logagg.demo.days import ZONE, Day
from logagg.demo.files import WRITERS, Writer, text_of
from logagg.demo.incidents import Entry, Plan
from logagg.demo.logs import entries_of

WRITE_S = 0.5


class LiveLogs:
    """Appends today's lines to the demo's logs: at once all since midnight, then each at its time."""

    def __init__(self, folder: Path, seed: int, clock: Clock) -> None:
        self._folder, self._seed, self._clock = folder, seed, clock
        self._day: Day | None = None
        self._due: dict[tuple[str, str], deque[Entry]] = {}

    def run(self, stop: threading.Event) -> None:
        """Write until `stop` is set."""
        while True:
            self.write()
            if self._clock.wait(stop, WRITE_S):
                return

    def write(self) -> int:
        """Write the lines that are due; how many there were."""
        now_ms = self._clock.now_us() // 1000
        today = Day(datetime.fromtimestamp(now_ms / 1000, ZONE).date())
        written = 0
        if self._day != today:
            written = self._write_until(now_ms)
            self._day = today
            self._due = {source: deque(sorted(entries, key=itemgetter(0)))
                         for source, entries in entries_of(self._seed, today, Plan([], []), last=False).items()}
        return written + self._write_until(now_ms)

    def _write_until(self, now_ms: int) -> int:
        return sum(self._append(writer, now_ms) for writer in WRITERS)

    def _append(self, writer: Writer, now_ms: int) -> int:
        queue, due = self._due.get((writer.host, writer.app), deque()), []
        while queue and queue[0][0] <= now_ms:
            due.append(queue.popleft())
        if due:
            with (self._folder / "logs" / writer.host / f"{writer.app}.log").open("ab") as file:
                file.write(text_of(writer, due))
        return len(due)
