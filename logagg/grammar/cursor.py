"""Many lines of a block read at once: each step of a layout moves a place in every line, with arrays.

Lines that a step cannot read leave the cursor: `none` of them if they are certainly no head, else they are `doubtful`
and the regular expression decides.
"""

import numpy as np
from numpy.typing import NDArray

from logagg.columns import Ints, lowest, packed, windows
from logagg.grammar.heads import Levels

WIDTH = 64      # bytes looked at in one go for the end of a field, each of which is a bit of one number

ROWS_AT_ONCE = 1 << 12
"""Of so many lines the next WIDTH bytes are copied at a time: they stay in the processor's cache."""

Mask = NDArray[np.bool_]
Bytes = NDArray[np.uint8]


class Cursor:
    """`at[i]` is the place in line `rows[i]`, which ends (before its line end) at `stops[i]`."""

    def __init__(self, block: bytes, starts: Ints, stops: Ints, levels: Levels) -> None:
        self.levels = levels
        self.block = block if len(block) >= WIDTH else block + bytes(WIDTH)
        self.at, self.stops = starts, stops
        self.rows: Ints = np.arange(len(starts))
        self.columns: dict[str, Ints] = {}
        self.doubtful: list[Ints] = []
        self.sure = True        # whether what does not fit here is no head at all
        self.odd_dates = False  # whether there is a date that arrays cannot decode

    def keep(self, fits: Mask) -> bool:
        """Go on with these lines only; the answer tells whether any is left."""
        if not fits.all():
            if not self.sure:
                self.doubtful.append(self.rows[~fits])
            self.rows, self.at, self.stops = self.rows[fits], self.at[fits], self.stops[fits]
            self.columns = {name: column[fits] for name, column in self.columns.items()}
        return len(self.rows) > 0

    def windows(self, further: int = 0) -> NDArray[np.uint64]:
        """The eight bytes so many behind each place."""
        return self.words(further, "<u8")

    def words(self, further: int, kind: str) -> NDArray[np.uint64]:
        """What stands so many bytes behind each place, as unsigned numbers of a kind of at most eight bytes."""
        at, last = self.at + further if further else self.at, len(self.block) - int(kind[-1])
        if int(at[-1]) > last:      # the places rise
            return windows(self.block, np.minimum(at, len(self.block))).astype(kind)
        every: NDArray[np.uint64] = np.ndarray((last + 1,), kind, self.block, strides=(1,))
        return every[at]

    def first(self, ends: "Ends", at: Ints, most: int) -> Ints:
        """Where the first byte is that ends a field, at most so many bytes behind `at`; -1 where there is none."""
        found = np.concatenate([at[:0], *(self._first(ends, at[begin:begin + ROWS_AT_ONCE])
                                          for begin in range(0, len(at), ROWS_AT_ONCE))])
        left = np.flatnonzero(found < 0)
        for further in range(WIDTH, most + 1, WIDTH):
            left = left[at[left] + further < self.stops[left]]
            if not len(left):
                break
            found[left] = self._first(ends, at[left] + further)
            left = left[found[left] < 0]
        found[(found > self.stops) | (found - at > most)] = -1
        return found

    def _first(self, ends: "Ends", at: Ints) -> Ints:
        """Where the first such byte is among the next WIDTH, or those that are left at the block's end."""
        begin, last = at, len(self.block) - WIDTH
        near_end = len(at) > 0 and int(at[-1]) > last
        if near_end:
            begin = np.minimum(at, last)
        hits = ends.among(self._matrix(begin))
        if near_end:
            hits &= np.arange(WIDTH) >= (at - begin)[:, None]
        column = lowest(packed(hits))
        return np.where(column < 0, -1, begin + column)

    def _matrix(self, starts: Ints) -> Bytes:
        every = np.ndarray((len(self.block) - WIDTH + 1,), f"V{WIDTH}", self.block, strides=(1,))
        return every[starts].view(np.uint8).reshape(-1, WIDTH)


class Ends:
    """A set of bytes that end a field: single ones, white space, all but digits, all but the blank. Control characters
    count as white space: where one is none, the field ends too early, and the text behind it is not there."""

    def __init__(self, single: bytes = b"", *, space: bool = False, but_digits: bool = False,
                 but_blank: bool = False) -> None:
        self._single, self._space, self._but_digits, self._but_blank = single, space, but_digits, but_blank

    def among(self, matrix: Bytes) -> Mask:
        hits = [matrix == byte for byte in self._single]
        hits += [matrix - np.uint8(48) > 9] if self._but_digits else []
        hits += [matrix != 32] if self._but_blank else []
        hits += [matrix <= 32] if self._space else []
        among: Mask = hits[0]
        for others in hits[1:]:
            among |= others
        return among
