"""Many lines of a block read side by side, with arrays: the steps of a wording's plan (logagg/grammar/plan.py), each of
which moves a place in every line."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from logagg.columns import Ints, lowest, packed

BEFORE_BYTES = 16       #: what must stand before each line in the block, since numbers are looked at from their end
MARGIN_BYTES = 64       #: what must follow each line, since so many bytes are looked at in one go, as bits of a number
DIGITS_MAX = 15         #: a float holds so many digits exactly
DIGITS = 0x3FF << 48    #: as a set of characters

Mask = NDArray[np.bool_]
Arrays = dict[tuple[str, str], NDArray[Any]]


class Lines:
    """Lines of a block: `rows[i]` is read up to `at[i]` and ends at `stops[i]`. They are ASCII, at least
    BEFORE_BYTES stand before each and MARGIN_BYTES behind it.

    `columns` holds by field and part what was read: "start" and "stop" of a text, a number's "value"; "there" tells
    where a field is, if it may be absent.
    """

    def __init__(self, block: bytes, rows: Ints, at: Ints, stops: Ints) -> None:
        self.block, self.rows, self.at, self.stops = block, rows, at, stops
        self.columns: Arrays = {}
        self.doubtful: list[Ints] = []

    def keep(self, fits: Mask, doubtful: Mask | None = None) -> bool:
        """Go on with these lines only; the answer tells whether any is left. The pattern decides on doubtful ones."""
        if doubtful is not None and doubtful.any():
            self.doubtful.append(self.rows[doubtful])
            fits = fits & ~doubtful
        if not fits.all():
            self.rows, self.at, self.stops = self.rows[fits], self.at[fits], self.stops[fits]
            self.columns = {name: column[fits] for name, column in self.columns.items()}
        return len(self.rows) > 0

    def begin_with(self, text: bytes) -> Mask:
        """Which lines go on with a text, which has no NUL."""
        fits: Mask = self.at + len(text) <= self.stops
        if len(text) <= MARGIN_BYTES or fits.all():
            fits &= self.pieces(self.at, f"S{len(text)}") == text
        elif fits.any():
            fits[fits] = self.pieces(self.at[fits], f"S{len(text)}") == text
        return fits

    def pieces(self, at: Ints, kind: str) -> NDArray[Any]:
        """What stands at these places, as items of a numpy type."""
        last = len(self.block) - np.dtype(kind).itemsize
        every: NDArray[Any] = np.ndarray((last + 1,), kind, self.block, strides=(1,))
        return every[at]

    def run_ends(self, chars: "Charset", at: Ints) -> Ints:
        """Where the first byte stands that is not of this set, or the line's end."""
        sizes = self._run_sizes(chars, at)
        ends = at + sizes
        far = np.flatnonzero((sizes == MARGIN_BYTES) & (ends < self.stops))
        while len(far):
            sizes = self._run_sizes(chars, ends[far])
            ends[far] += sizes
            far = far[(sizes == MARGIN_BYTES) & (ends[far] < self.stops[far])]
        found: Ints = np.minimum(ends, self.stops)
        return found

    def _run_sizes(self, chars: "Charset", at: Ints) -> Ints:
        """The same as a distance, at most MARGIN_BYTES."""
        others = chars.others(self.pieces(at, f"V{MARGIN_BYTES}").view(np.uint8).reshape(-1, MARGIN_BYTES))
        sizes = lowest(packed(others))
        sizes[sizes < 0] = MARGIN_BYTES
        return sizes


class Charset:
    """A set of ASCII characters; bit i of `ascii` tells whether chr(i) is in it."""

    def __init__(self, ascii: int) -> None:
        self._others = bytes(code for code in range(128) if not ascii >> code & 1)
        self._digits = ascii == DIGITS
        self._table = np.array([code > 127 or not ascii >> code & 1 for code in range(256)])

    def others(self, bytes_: NDArray[np.uint8]) -> Mask:
        """Which bytes are not in the set."""
        if self._digits:
            return bytes_ - np.uint8(48) > 9
        if len(self._others) > 6:
            found: Mask = self._table.take(bytes_)
            return found
        hits = np.zeros(bytes_.shape, bool) if not self._others else bytes_ == self._others[0]
        for other in self._others[1:]:
            hits |= bytes_ == other
        return hits


class Step(Protocol):
    def run(self, lines: Lines) -> bool:
        """Move the places of all lines behind what is read; False where no line is left."""
        ...


@dataclass(frozen=True, slots=True)
class Literal:
    """A text."""

    text: bytes

    def run(self, lines: Lines) -> bool:
        fits = lines.begin_with(self.text)
        lines.at = lines.at + len(self.text)
        return lines.keep(fits)


@dataclass(frozen=True, slots=True)
class Run:
    """`low` to `high` characters of a set: as many as there are, less the `back` last of them, which are the
    beginning of the text that follows; `high` equal to `low`: so many, whatever follows."""

    chars: Charset
    low: int
    high: int | None
    back: int

    def run(self, lines: Lines) -> bool:
        ends = lines.run_ends(self.chars, lines.at)
        sizes = ends - self.back - lines.at
        fits = sizes >= self.low
        if self.low == self.high:
            ends = lines.at + self.low
        elif self.high is not None:
            fits &= sizes <= self.high
        lines.at = ends - self.back
        return lines.keep(fits)


@dataclass(frozen=True, slots=True)
class Capture:
    """A field whose value is the text that some steps read."""

    name: str
    steps: "tuple[Step, ...]"

    def run(self, lines: Lines) -> bool:
        lines.columns[self.name, "start"] = lines.at
        if not all(step.run(lines) for step in self.steps):
            return False
        lines.columns[self.name, "stop"] = lines.at
        return True


@dataclass(frozen=True, slots=True)
class Whole:
    """A field whose value is a whole number; `kind` is int or float. One of more than DIGITS_MAX digits is left to the
    pattern."""

    name: str
    kind: type
    signed: bool

    def run(self, lines: Lines) -> bool:
        start, minus = _sign(lines, self.signed)
        end = lines.run_ends(_DIGIT, start)
        number = _number(lines, start, end).astype(np.float64 if self.kind is float else np.int64)
        lines.columns[self.name, "value"] = number if minus is None else np.where(minus, -number, number)
        lines.at = end
        return lines.keep(end > start, end - start > DIGITS_MAX)


@dataclass(frozen=True, slots=True)
class Decimal:
    """A field whose value is a number with or without a fraction. An exponent, more than DIGITS_MAX digits, or none
    before the point, is left to the pattern: the quotient of two numbers that a float holds exactly is the float next
    to the decimal, as Python reads it."""

    name: str
    signed: bool

    def run(self, lines: Lines) -> bool:
        start, minus = _sign(lines, self.signed)
        point = lines.run_ends(_DIGIT, start)
        has_point = (lines.pieces(point, "u1") == ord(".")) & (point < lines.stops)
        end = lines.run_ends(_DIGIT, point + has_point)
        places = end - point - has_point
        doubtful = (point <= start) | (point - start + places > DIGITS_MAX) | _GOES_ON[lines.pieces(end, "u1")]
        scale = _POWERS_UP[np.where(doubtful, 0, places)]
        number = (_number(lines, start, point) * scale + _number(lines, point + has_point, end)) / scale
        lines.columns[self.name, "value"] = number if minus is None else np.where(minus, -number, number)
        lines.at = end
        return lines.keep(~doubtful, doubtful)


def _sign(lines: Lines, signed: bool) -> tuple[Ints, Mask | None]:
    """Where the digits begin, and which numbers are negative."""
    if not signed:
        return lines.at, None
    first = lines.pieces(lines.at, "u1")
    minus: Mask = first == ord("-")
    return lines.at + (minus | (first == ord("+"))), minus


def _number(lines: Lines, start: Ints, end: Ints) -> Ints:
    """The digits between these places as a number; of more than 16 the last ones."""
    digits = lines.pieces(end - 16, "V16").view(np.uint8).reshape(-1, 16)
    digits &= _TAILS.take(end - start, axis=0, mode="clip")
    number: Ints = digits @ _POWERS
    return number


_POWERS = 10 ** np.arange(15, -1, -1, dtype=np.int64)
_POWERS_UP = 10 ** np.arange(DIGITS_MAX + 1, dtype=np.int64)
_TAILS = np.array([[15 * (place >= 16 - size) for place in range(16)] for size in range(17)], np.uint8)
_GOES_ON = np.array([chr(code) in "0123456789.eE+-" for code in range(256)])


@dataclass(frozen=True, slots=True)
class Choice:
    """The branch whose text comes next; the last one has none where the choice may be left out."""

    branches: tuple[tuple[bytes, tuple[Step, ...]], ...]

    def run(self, lines: Lines) -> bool:
        left, at = np.ones(len(lines.at), bool), lines.at.copy()
        failed = np.zeros(len(left), bool)
        for text, steps in self.branches:
            chosen = left & lines.begin_with(text) if text else left
            left = left & ~chosen
            if not chosen.any() or not (text or steps):
                continue
            some = np.flatnonzero(chosen)
            part = Lines(lines.block, some, lines.at[some] + len(text), lines.stops[some])
            if not all(step.run(part) for step in steps):
                part.rows = part.rows[:0]
            failed |= chosen
            failed[part.rows] = False
            if len(part.rows):
                at[part.rows] = part.at
                _scatter(lines.columns, part, len(at))
        lines.at = at
        return lines.keep(~left, failed)


def _scatter(columns: Arrays, part: Lines, count: int) -> None:
    """Put the columns of some lines where they belong among all; "there" is what a choice within has said, or all."""
    some = {(name, "there"): np.ones(len(part.rows), bool) for name, _ in part.columns} | part.columns
    for place, column in some.items():
        columns.setdefault(place, np.zeros(count, column.dtype))[part.rows] = column


_DIGIT = Charset(DIGITS)
