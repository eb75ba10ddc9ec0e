"""Waiting for a condition with a bound: the only way in which a test lets time pass."""

import threading
import time
from collections.abc import Callable


def until(condition: Callable[[], object], what: str, timeout_s: float = 60) -> None:
    """Return as soon as `condition` holds; fail with `what` after `timeout_s`."""
    end = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
        pause.wait(0.05)
