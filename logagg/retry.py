"""How long to wait before trying something again that failed."""

import random


class Backoff:
    """0.1 s, doubled with each failure up to 10 s, each time somewhere between half of that and all of it, so that
    many agents do not come back to a store at the same moment."""

    def __init__(self, rng: random.Random, first_s: float = 0.1, max_s: float = 10.0) -> None:
        self._rng = rng
        self._first_s = first_s
        self._max_s = max_s
        self._failures = 0

    def next_s(self) -> float:
        delay_s = min(self._max_s, self._first_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay_s * (0.5 + self._rng.random() / 2)

    def reset(self) -> None:
        self._failures = 0
