"""Columns as arrays: parts of a block that become bytes when somebody asks, and times that may be missing."""

import random
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

NO_TIME = -(1 << 63)
"""What stands in an array of times where there is none."""


class Spans(Sequence[bytes]):
    """Parts `[starts[i], stops[i])` of a block, each cut out when it is asked for; an empty one is b""."""

    __slots__ = ("block", "starts", "stops")

    def __init__(self, block: bytes, starts: Ints, stops: Ints) -> None:
        self.block, self.starts, self.stops = block, starts, stops

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> "Spans":
        """The same texts, one behind the other in a block of their own, each followed by a line end."""
        stops = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1, dtype=np.int64) - 1
        starts = np.concatenate((stops[:0] if not len(stops) else np.zeros(1, np.int64), stops[:-1] + 1))
        return cls(b"\n".join(texts) + b"\n", starts, stops)

    def take(self, rows: Ints) -> "Spans":
        """Some of the parts, of the same block."""
        return Spans(self.block, self.starts[rows], self.stops[rows])

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> list[bytes]: ...
    def __getitem__(self, i: int | slice) -> bytes | list[bytes]:
        if isinstance(i, slice):
            return list(Spans(self.block, self.starts[i], self.stops[i]))
        return self.block[self.starts[i]:self.stops[i]]

    def __iter__(self) -> Iterator[bytes]:
        block = self.block
        return (block[start:stop] for start, stop in zip(self.starts.tolist(), self.stops.tolist(), strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        raise TypeError("spans are compared by content")


def numbers(array: Ints) -> list[int]:
    """A list of Python's own numbers, which JSON and drivers take."""
    values: list[int] = array.tolist()
    return values


def ints(values: Sequence[int] | Ints) -> Ints:
    """An array of whole numbers."""
    return np.asarray(values, np.int64)


def times_of(values: Sequence[int | None]) -> Ints:
    """Times as an array, NO_TIME where there is none."""
    if None not in values:
        return np.array(values, np.int64)
    return np.fromiter((NO_TIME if value is None else value for value in values), np.int64, len(values))


def as_times(array: Ints) -> list[int | None]:
    """Times as a list, None where there is none."""
    values: list[Any] = array.tolist()
    for i in np.flatnonzero(array == NO_TIME).tolist():
        values[i] = None
    return values


def windows(block: bytes, starts: Ints) -> NDArray[np.uint64]:
    """The eight bytes at each place of a block, the first one lowest; zeros stand for those behind the block's end."""
    if len(block) < 8:
        block += bytes(8)
    last = len(block) - 8
    every: NDArray[np.uint64] = np.ndarray((last + 1,), "<u8", block, strides=(1,))
    if len(starts) and int(starts.max()) <= last:
        return every[starts]
    beyond = np.maximum(starts - last, 0)
    found = every[starts - beyond] >> (8 * np.minimum(beyond, 7)).astype(np.uint64)
    found[beyond > 7] = 0
    return found


def packed(hits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """64 of them in each number, the first one as the lowest bit."""
    bits = np.packbits(hits.reshape(-1), bitorder="little")
    missing = -len(bits) % 8
    return (np.append(bits, np.zeros(missing, np.uint8)) if missing else bits).view("<u8")


def lowest(bits: NDArray[np.uint64]) -> Ints:
    """Which is the lowest bit that is set, negative where none is: the exponent of that bit's value as a float."""
    values: Ints = (bits & -bits).astype(np.float64).view(np.int64)
    return (values >> 52) - 1023


class Known:
    """Finds some 64-bit numbers again among many: each has a slot of its own in a table, which multiplying tells. Where
    there are so many that no such table has been found, they are searched for."""

    def __init__(self, words: Sequence[int]) -> None:
        """At least one number, each once."""
        self._words = np.array(words, np.uint64)
        self._order = np.argsort(self._words)
        self._places: Ints | None = None
        rng = random.Random(len(words))
        for bits in range(max(6, 2 * len(words).bit_length() - 2), _SLOT_BITS_MAX + 1):
            self._shift = np.uint64(64 - bits)
            for _ in range(8):
                self._factor = np.uint64(rng.getrandbits(64) | 1)
                slots = self._slots(self._words)
                if len(np.unique(slots)) == len(slots):
                    self._places = np.zeros(1 << bits, np.int64)
                    self._places[slots] = np.arange(len(slots))
                    return

    def find(self, words: NDArray[np.uint64]) -> tuple[Ints, NDArray[np.bool_]]:
        """The place of each among the known ones, and whether it is one of them; else the place means nothing."""
        if self._places is not None:
            places = self._places.take(self._slots(words))
        else:
            found = np.searchsorted(self._words, words, sorter=self._order)
            places = self._order[np.minimum(found, len(self._order) - 1)]
        return places, self._words.take(places) == words

    def _slots(self, words: NDArray[np.uint64]) -> Ints:
        slots: NDArray[np.uint64] = words * self._factor >> self._shift
        return slots.view(np.int64)


_SLOT_BITS_MAX = 18


def low_bytes(sizes: Ints) -> NDArray[np.uint64]:
    """Masks that keep so many of a window's bytes, at most all eight."""
    return _LOW_BYTES[np.minimum(sizes, 8)]


_LOW_BYTES = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
