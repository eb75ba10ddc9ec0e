"""Stat: what one metric saw, small and mergeable in any order.

A Stat holds count, exact integer sum, min and max, and, for distributions, the values: exactly while there are at most
`EXACT_MAX` of them, else counted in bins of fixed bounds (the idea of DDSketch, Masson, Rim and Lee, VLDB 2019). The
form is decided by the number of values in the merged Stat alone, and a value's bin by the value alone: so merging is
associative and commutative, and equal multisets of values give equal bytes, however they came together.

Values are integers (unit steps). Bins have integer bounds made with integer arithmetic, never with logarithms, so
every machine puts a value into the same bin. A quantile read from bins is within 1 % of the true one; below 51 steps
a bin holds a single integer and is exact. There are at most 2 x 1,924 bins and one for zero.
"""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import ceil
from operator import mul
from typing import Any

EXACT_MAX = 1000
VALUE_MAX = 10**18  #: steps; partial.py leaves out what is larger
_encode = json.JSONEncoder(separators=(",", ":")).encode


def _bin_bounds() -> tuple[list[int], list[int]]:
    """The lowest and highest value of each bin: high <= low * (1 + a) / (1 - a) with a = 0.99 %."""
    lows, highs, low = [], [], 1
    while low <= VALUE_MAX:
        high = low * 10099 // 9901
        lows.append(low)
        highs.append(high)
        low = high + 1
    return lows, highs


_LOWS, _HIGHS = _bin_bounds()


def bin_of(value: int) -> int:
    """The number of a value's bin: 0 for zero, negative for negative values; |value| <= VALUE_MAX."""
    if value > 0:
        return bisect_left(_HIGHS, value) + 1
    return -(bisect_left(_HIGHS, -value) + 1) if value else 0


def bin_value(number: int) -> float:
    """What stands for a bin: the harmonic mean of its bounds, whose relative error is the same at both ends."""
    if not number:
        return 0
    low, high = _LOWS[abs(number) - 1], _HIGHS[abs(number) - 1]
    value = 2 * low * high / (low + high) if low < high else low
    return value if number > 0 else -value


class Stat:
    """Count, sum, min and max of integer steps; `values` (value -> how many) or `bins` (bin -> how many).

    A counter has no values: sum is its count, min and max are None. `size` is the number of values. Treat a Stat as
    immutable once it is shared: only `add` changes it.
    """

    __slots__ = ("bins", "count", "max", "min", "size", "sum", "values")

    def __init__(self, count: int = 0) -> None:
        """An empty Stat, or a counter's."""
        self.count = count
        self.sum = count
        self.min: int | None = None
        self.max: int | None = None
        self.size = 0
        self.values: dict[int, int] = {}
        self.bins: dict[int, int] = {}

    @classmethod
    def of(cls, values: Iterable[int]) -> "Stat":
        """A distribution of values in steps."""
        return cls.counted(Counter(values))

    @classmethod
    def counted(cls, values: Mapping[int, int]) -> "Stat":
        """A distribution of values in steps, given as value -> how many."""
        stat = cls()
        if values:
            stat.count = stat.size = sum(values.values())
            stat.sum = sum(map(mul, values, values.values()))
            stat.min, stat.max = min(values), max(values)
            stat.values = dict(values)
            stat._settle()
        return stat

    @classmethod
    def merged(cls, stats: Iterable["Stat"]) -> "Stat":
        """A new Stat of all."""
        total = cls()
        for stat in stats:
            total.add(stat)
        return total

    def merge(self, *others: "Stat") -> "Stat":
        """A new Stat of this and the others."""
        return Stat.merged((self, *others))

    def add(self, other: "Stat") -> None:
        """Merge `other` into this one."""
        self.count += other.count
        self.sum += other.sum
        if not other.size:
            return
        assert other.min is not None and other.max is not None
        if self.min is None or other.min < self.min:
            self.min = other.min
        if self.max is None or other.max > self.max:
            self.max = other.max
        if not self.size:
            self.values, self.bins = dict(other.values), dict(other.bins)
        else:
            _count_in(self.values, other.values)
            _count_in(self.bins, other.bins)
        self.size += other.size
        self._settle()

    def _settle(self) -> None:
        """Values become bins when there are too many of them."""
        if self.size > EXACT_MAX and self.values:
            bins = self.bins
            for value, n in self.values.items():
                number = bisect_left(_HIGHS, value) + 1 if value > 0 else bin_of(value)
                bins[number] = bins.get(number, 0) + n
            self.values = {}

    @property
    def exact(self) -> bool:
        return self.size <= EXACT_MAX

    @property
    def mean(self) -> float | None:
        """The mean of the values, correctly rounded; None for counters and where nothing was seen."""
        return self.sum / self.count if self.size and self.count else None

    def quantile(self, q: float) -> float | None:
        """The value of nearest rank ceil(q * size), 0 <= q <= 1; None without values."""
        return self.quantiles((q,))[0]

    def quantiles(self, qs: Sequence[float]) -> list[float | None]:
        """Several quantiles, in rising order of q, in one pass."""
        if self.min is None or self.max is None:
            return [None] * len(qs)
        ranks = [_rank(q, self.size) for q in qs]
        found: list[float | None] = []
        seen = 0
        for key, n in sorted((self.values or self.bins).items()):
            seen += n
            while len(found) < len(ranks) and ranks[len(found)] <= seen:
                value = key if self.values else bin_value(key)
                if ranks[len(found)] == self.size:
                    value = self.max
                elif ranks[len(found)] == 1:
                    value = self.min
                found.append(min(max(value, self.min), self.max))
        return found

    def to_json(self) -> Any:
        """A counter is its count; else [count, sum, min, max, 1 if exact, [keys rising], [how many of each]]."""
        if not self.size and self.sum == self.count:
            return self.count
        content = sorted((self.values or self.bins).items())
        keys, ns = [key for key, _ in content], [n for _, n in content]
        return [self.count, self.sum, self.min, self.max, int(self.exact), keys, ns]

    @classmethod
    def from_json(cls, content: Any) -> "Stat":
        if isinstance(content, int):
            return cls(content)
        stat = cls()
        stat.count, stat.sum, stat.min, stat.max, exact, keys, ns = content
        stat.size = sum(ns)
        if exact:
            stat.values = dict(zip(keys, ns, strict=True))
        else:
            stat.bins = dict(zip(keys, ns, strict=True))
        return stat

    def to_bytes(self) -> bytes:
        """Canonical: equal content gives equal bytes."""
        if not self.size and self.sum == self.count:
            return b"%d" % self.count
        return _encode(self.to_json()).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Stat":
        return cls(int(data)) if data[:1] != b"[" else cls.from_json(json.loads(data.decode()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stat) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Stat({self.to_bytes().decode()})"


def _count_in(into: dict[int, int], counted: dict[int, int]) -> None:
    for key, n in counted.items():
        into[key] = into.get(key, 0) + n


def _rank(q: float, size: int) -> int:
    """Nearest rank from the q that was written: 0.07 of 100 is rank 7, though 0.07 * 100 is a little above 7."""
    return min(max(ceil(Decimal(repr(q)) * size), 1), size)
