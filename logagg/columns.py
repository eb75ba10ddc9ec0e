"""Columns as arrays: parts of a block that become bytes when somebody asks, and times that may be missing."""

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


def low_bytes(sizes: Ints) -> NDArray[np.uint64]:
    """Masks that keep so many of a window's bytes, at most all eight."""
    return _LOW_BYTES[np.minimum(sizes, 8)]


_LOW_BYTES = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
