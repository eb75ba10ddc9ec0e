"""The demo's local days, with the hours a clock change takes or gives, and when calls arrive in them."""

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONE_NAME = "America/New_York"
ZONE = ZoneInfo(ZONE_NAME)

_SLOT_MS = 15 * 60_000


def local_ms(day: date, clock: str) -> int:
    """Milliseconds since the epoch of a local wall clock time "HH:MM" (the first, where there are two)."""
    return int(datetime.combine(day, time.fromisoformat(clock), ZONE).timestamp()) * 1000


@dataclass(frozen=True)
class Day:
    """One local day [start_ms, end_ms): 23, 24 or 25 hours."""

    date: date

    @property
    def start_ms(self) -> int:
        return local_ms(self.date, "00:00")

    @property
    def end_ms(self) -> int:
        return local_ms(self.date + timedelta(days=1), "00:00")

    @property
    def weekend(self) -> bool:
        return self.date.weekday() >= 5

    def at(self, clock: str) -> int:
        return local_ms(self.date, clock)

    def arrivals(self, rng: random.Random, count: int, clocks: tuple[str, str] = ("00:00", "24:00")) -> list[int]:
        """`count` times in ascending order, spread over the day (or its part between two clocks) by the load curve."""
        start = self.at(clocks[0])
        end = self.end_ms if clocks[1] == "24:00" else self.at(clocks[1])
        slots = range(start, end, _SLOT_MS)
        drawn = rng.choices(slots, cum_weights=_cumulated(slots), k=count)
        return sorted(slot + int(rng.random() * _SLOT_MS) for slot in drawn)


def demo_days(until: date, days: int) -> list[Day]:
    """The `days` full local days before `until`, oldest first."""
    return [Day(until - timedelta(days=back)) for back in range(days, 0, -1)]


def load(hour: float) -> float:
    """How busy a local hour of the day is: quiet nights, a peak in the morning and a broader one in the afternoon."""
    morning = math.exp(-(((hour - 10.5) / 2.1) ** 2))
    afternoon = 0.9 * math.exp(-(((hour - 15.6) / 2.6) ** 2))
    return 0.035 + morning + afternoon


def _cumulated(slots: Sequence[int]) -> list[float]:
    hours = (datetime.fromtimestamp(slot / 1000, ZONE) for slot in slots)
    return list(itertools.accumulate(load(at.hour + at.minute / 60) for at in hours))
