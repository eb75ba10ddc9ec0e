"""One clock, injected everywhere, so that tests step time and never sleep."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time in microseconds since the epoch (UTC), monotonic seconds, and an interruptible wait."""

    def now_us(self) -> int: ...

    def monotonic_s(self) -> float: ...

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until `event` is set or `timeout_s` has passed; tell whether it is set."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s)


class StepClock:
    """A clock that moves only when told; `wait` moves it by its timeout at once."""

    def __init__(self, now_us: int = 1_700_000_000_000_000) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def monotonic_s(self) -> float:
        return self._now_us / 1e6

    def step(self, seconds: float) -> None:
        self._now_us += round(seconds * 1e6)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            self.step(timeout_s)
        return event.is_set()
