"""Many lines of a block read at once: each step of a layout moves a place in every line, with arrays.

Lines that a step cannot read leave the cursor: `none` of them if they are certainly no head, else they are `doubtful`
and the regular expression decides.
"""

import numpy as np
from numpy.typing import NDArray

from logagg.columns import Ints, windows
from logagg.grammar.heads import Levels

WIDTH = 64      # bytes looked at in one go for the end of a field

ROWS_AT_ONCE = 1 << 15
"""Of so many lines the next WIDTH bytes are copied at a time: two megabytes."""

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
        return windows(self.block, np.minimum(self.at + further, len(self.block)))

    def first(self, ends: "Ends", at: Ints, most: int) -> Ints:
        """Where the first byte is that ends a field, at most so many bytes behind `at`; -1 where there is none."""
        slices = [slice(begin, begin + ROWS_AT_ONCE) for begin in range(0, len(at), ROWS_AT_ONCE)]
        return np.concatenate([at[:0], *(self._first(ends, at[some], self.stops[some], most) for some in slices)])

    def _first(self, ends: "Ends", at: Ints, stops: Ints, most: int) -> Ints:
        found = np.full(len(at), -1)
        left = np.arange(len(at))
        for further in range(0, most + 1, WIDTH):
            begin = np.minimum(at[left] + further, len(self.block) - WIDTH)
            hits = ends.among(self._matrix(begin))
            skip = at[left] + further - begin       # what stands before, at the block's end
            if skip.any():
                hits &= np.arange(WIDTH) >= skip[:, None]
            column = hits.argmax(axis=1)
            hit = hits[np.arange(len(left)), column]
            found[left[hit]] = (begin + column)[hit]
            left = left[~hit & (at[left] + further + WIDTH < stops[left])]
            if not len(left):
                break
        found[(found > stops) | (found - at > most)] = -1
        return found

    def _matrix(self, starts: Ints) -> Bytes:
        every = np.ndarray((len(self.block) - WIDTH + 1,), f"V{WIDTH}", self.block, strides=(1,))
        return every[starts].view(np.uint8).reshape(-1, WIDTH)


class Ends:
    """A set of bytes that end a field: single ones, white space (as in a regular expression), all but digits, all but
    the blank."""

    def __init__(self, single: bytes = b"", *, space: bool = False, but_digits: bool = False,
                 but_blank: bool = False) -> None:
        self._single, self._space, self._but_digits, self._but_blank = single, space, but_digits, but_blank

    def among(self, matrix: Bytes) -> Mask:
        hits: Mask = matrix - np.uint8(48) > 9 if self._but_digits else np.zeros(matrix.shape, bool)
        if self._but_blank:
            hits |= matrix != 32
        if self._space:
            hits |= matrix == 32
            hits |= matrix - np.uint8(9) <= 4
        for byte in self._single:
            hits |= matrix == byte
        return hits
