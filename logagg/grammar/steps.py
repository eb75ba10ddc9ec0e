"""The steps by which a layout's head is read in many lines at once: literal texts, dates, levels, and other fields."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from logagg.columns import NO_TIME, Ints, Known, ints
from logagg.grammar.compiler import (
    FREE,
    NAMES,
    NUMBERS,
    Layout,
    bracketed,
    free_bounds,
    level_regex,
    name_bytes_max,
    outside_name,
)
from logagg.grammar.cursor import Cursor, Ends
from logagg.grammar.dates import DateFormat
from logagg.grammar.pattern import Converter, Piece, Text

LITERAL_RUN = {"line": (0, 10), "pid": (1, 64)} | dict.fromkeys(NUMBERS, (1, 20))
"""Fields with an alphabet of their own: how few and how many bytes of it they have."""

SEEN_MAX = 256
"""So many different eight bytes at levels are kept for the next block."""

_BALANCED_BYTES_MAX = 1024
BLANKS_MAX = 64


class Step(Protocol):
    def run(self, cursor: Cursor) -> bool:
        """Move the places of all lines behind what is read; False where no line is left."""
        ...


class Literal:
    """A text that stands at every place."""

    def __init__(self, text: bytes) -> None:
        self._size = len(text)
        self._parts = [_Part(text, at) for at in range(0, len(text), 8)]

    def run(self, cursor: Cursor) -> bool:
        if not all(cursor.keep(part.fits(cursor)) for part in self._parts):
            return False
        cursor.at = cursor.at + self._size
        return True


class _Part:
    """At most eight bytes of a text, compared as one number."""

    def __init__(self, text: bytes, at: int) -> None:
        text = text[at:at + 8]
        size = next(size for size in (1, 2, 4, 8) if size >= len(text))
        self._at, self._kind, self._whole = at, f"<u{size}", size == len(text)
        self._mask, self._value = (number.astype(self._kind) for number in _template(text))

    def fits(self, cursor: Cursor) -> NDArray[np.bool_]:
        words = cursor.words(self._at, self._kind)
        fits: NDArray[np.bool_] = (words if self._whole else words & self._mask) == self._value
        return fits


class Blanks:
    """As many blanks as there are, and at least so many."""

    def __init__(self, least: int) -> None:
        self._least = least

    def run(self, cursor: Cursor) -> bool:
        count = _blanks(cursor, cursor.at, BLANKS_MAX)
        cursor.sure &= bool((count < BLANKS_MAX).all())
        cursor.at = cursor.at + count
        return cursor.keep((count >= self._least) & (count < BLANKS_MAX))


class Date:
    """A date of fixed width, all digits and literals. What runs of lines have in common, all but seconds and fraction,
    is checked and decoded once for each run."""

    def __init__(self, date: DateFormat, text: bytes) -> None:
        self._date, self._size = date, len(text)
        second, fraction, digits = date.places
        self._second = second
        worth = dict.fromkeys(range(fraction, fraction + digits), 0) | {second: 10_000_000, second + 1: 1_000_000}
        worth |= zip(range(fraction, fraction + digits), (100_000, 10_000, 1000, 100, 10, 1), strict=False)
        self._parts = [_DatePart(text, at, worth) for at in range(0, len(text), 8)]

    def run(self, cursor: Cursor) -> bool:
        words: list[NDArray[np.uint64]] = [cursor.windows(part.at) for part in self._parts]
        fits = _nibble(words, self._second) <= 6
        for window, part in zip(words, self._parts, strict=True):
            if part.moves:
                fits &= part.fits(window)
        if not cursor.keep(fits):
            return False
        if not fits.all():
            words = [window[fits] for window in words]
        times, fits = self._times(cursor, words)
        cursor.columns |= {"date": cursor.at, "time": times}
        cursor.at = cursor.at + self._size
        return cursor.keep(fits)

    def _times(self, cursor: Cursor, words: list[NDArray[np.uint64]]) -> tuple[Ints, NDArray[np.bool_]]:
        """The times, and which dates are such."""
        changed = np.zeros(len(cursor.at), bool)
        changed[0] = True
        for window, part in zip(words, self._parts, strict=True):
            same = window & part.still
            changed[1:] |= same[1:] != same[:-1]
        runs = np.flatnonzero(changed)
        prefixes = [self._date.prefix(cursor.block[start:start + self._size]) for start in cursor.at[runs].tolist()]
        counts = np.diff(runs, append=len(changed))
        fits = np.repeat([fits for fits, _ in prefixes], counts)
        if not self._date.full:
            return np.full(len(changed), NO_TIME), fits
        us = sum((part.us(window) for window, part in zip(words, self._parts, strict=True) if part.moves),
                 np.zeros(len(changed), np.int64))
        cursor.odd_dates |= any(fit and base is None for fit, base in prefixes) or bool((us >= 61_000_000).any())
        return np.repeat(ints([base or 0 for _, base in prefixes]), counts) + us, fits


class _DatePart:
    """Eight bytes of a date, `at` so many behind its start. `worth`: how many microseconds the digits count that differ
    from line to line, by their place. `still`: a mask of the other bytes; `moves`: there are any that differ."""

    def __init__(self, text: bytes, at: int, worth: Mapping[int, int]) -> None:
        self.at, text = at, text[at:at + 8]
        self._literals, self._text = _template(text)
        self._digits = np.uint64(sum(0xFF << 8 * i for i, byte in enumerate(text) if not byte))
        self.still = np.uint64(sum(0xFF << 8 * i for i in range(len(text)) if at + i not in worth))
        self.moves = any(at + i in worth for i in range(len(text)))
        self._worth = np.array([worth.get(at + i, 0) for i in range(8)], np.float64)

    def fits(self, window: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Where the literals are, and the digits are some."""
        digits = self._digits
        fits: NDArray[np.bool_] = (window & (self._literals | _HIGH & digits)) == (self._text | _ZEROS & digits)
        fits &= (window & _LOW & digits) + (_SIX & digits) & _HIGH == 0
        return fits

    def us(self, window: NDArray[np.uint64]) -> Ints:
        """The microseconds that the digits count; floats are exact up to there, and multiplied faster."""
        digits = (window & _LOW).view(np.uint8).reshape(-1, 8).astype(np.float64)
        return (digits @ self._worth).astype(np.int64)


class Level:
    """A level, told by the next eight bytes; it must end before the last of them. What these bytes may be is learnt, as
    long as they are few: `_seen` has those known, the number of the level in each, and the levels by number."""

    def __init__(self, piece: Converter, column: str) -> None:
        self._column = column
        self._match = re.compile(level_regex(piece, "level")).match
        self._look = lru_cache(maxsize=4096)(self._read)
        self._seen = _Seen((0,), Known((0,)), ints([0]), (self._look(0),))

    def run(self, cursor: Cursor) -> bool:
        cursor.sure = False
        windows, seen = cursor.windows(), self._seen
        places, found = seen.known.find(windows)
        levels, which = (seen.levels, seen.numbers.take(places)) if found.all() else self._new(windows)
        if self._column:
            codes = ints([cursor.levels.code(raw) if raw else 0 for raw in levels])
            cursor.columns[self._column] = codes.take(which)
        sizes = ints([*map(len, levels)]).take(which)
        cursor.at = cursor.at + sizes
        return cursor.keep(sizes > 0)

    def _new(self, windows: NDArray[np.uint64]) -> tuple[Sequence[bytes], Ints]:
        """The levels, and which of them each line has."""
        values, which = np.unique(windows, return_inverse=True)
        texts = [self._look(value) for value in values.tolist()]
        every = {*values.tolist(), *self._seen.windows}
        if len(every) <= SEEN_MAX:
            levels = tuple(sorted({*map(self._look, every)}))
            numbers = ints([levels.index(self._look(window)) for window in every])
            self._seen = _Seen(tuple(every), Known(tuple(every)), numbers, levels)
        return texts, which

    def _read(self, window: int) -> bytes:
        match = self._match(window.to_bytes(8, "little"))
        return match[0] if match and match.end() < 8 else b""


class _Seen(NamedTuple):
    windows: tuple[int, ...]
    known: Known
    numbers: Ints
    levels: tuple[bytes, ...]


class Until:
    """A field that ends where a byte of a set stands.

    The set is looked for behind `skip` bytes; the field has `least` to `most` bytes. `before` and `after` tell how many
    blanks may fill it up on either side, of which the last `behind` are left to the text behind it.
    """

    def __init__(self, ends: Ends, most: int, *, least: int = 0, skip: int = 0, column: str = "", before: int = 0,
                 after: int = 0, behind: int = 0) -> None:
        self._ends, self._least, self._most, self._skip, self._column = ends, least, most, skip, column
        self._before, self._after, self._behind = before, after, behind

    def run(self, cursor: Cursor) -> bool:
        cursor.sure = False
        starts = cursor.at + _blanks(cursor, cursor.at, self._before) if self._before else cursor.at
        cursor.at = cursor.first(self._ends, starts + self._skip, self._most - self._skip)
        if self._column:
            cursor.columns |= {self._column: starts, self._column + "_stop": cursor.at}
        if not cursor.keep(cursor.at >= starts + self._least):
            return False
        if self._after:
            blanks = _blanks(cursor, cursor.at, self._after + self._behind)
            cursor.at = cursor.at + np.maximum(blanks - self._behind, 0)
        return True


def _blanks(cursor: Cursor, at: Ints, most: int) -> Ints:
    """How many blanks there are, at most so many."""
    ends = cursor.first(_BUT_BLANK, at, most)
    return np.where(ends < 0, most, ends - at)


_BUT_BLANK = Ends(but_blank=True)
_HIGH, _LOW = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x0F0F0F0F0F0F0F0F)
_ZEROS, _SIX = np.uint64(0x3030303030303030), np.uint64(0x0606060606060606)


def _template(text: bytes) -> tuple[np.uint64, np.uint64]:
    """A window's mask and value for a text of at most eight bytes, in which zero bytes stand for any."""
    mask = sum(0xFF << 8 * i for i, byte in enumerate(text) if byte)
    return np.uint64(mask), np.uint64(int.from_bytes(text, "little"))


def _nibble(found: Sequence[NDArray[np.uint64]], place: int) -> Ints:
    """The digit at a place behind the first window's start."""
    window = found[place // 8] >> np.uint64(8 * (place % 8))
    return (window & np.uint64(15)).astype(np.int64)


def steps_of(layout: Layout) -> list[Step] | None:
    """The steps for a layout's head; None where a piece has none."""
    steps: list[Step] = []
    columns = set(layout.columns)
    number = 0
    for place, piece in enumerate(layout.pieces):
        left = layout.pieces[place - 1] if place else None
        right = _behind(piece, layout.pieces[place + 1:])
        group, number = f"f{number}", number + (isinstance(piece, Converter) and piece.name != "blanks")
        step = _step(layout, piece, group, left, right, columns)
        if step is None:
            return None
        steps.append(step)
    return steps


def _behind(piece: Piece, right: Sequence[Piece]) -> Piece | None:
    """What ends a piece. Blanks behind a field without padding end it as their text would; where there may be none,
    so does what follows them: the first of either is the first place that the field's pattern tries."""
    behind = right[0] if right else None
    if not _is_blanks(behind) or not isinstance(piece, Converter) or piece.width_min or piece.name in FREE:
        return behind
    return right[1] if "0" in behind.options and len(right) > 1 else Text(" ")


def _is_blanks(piece: Piece | None) -> TypeGuard[Converter]:
    return isinstance(piece, Converter) and piece.name == "blanks"


def _step(layout: Layout, piece: Piece, group: str, left: Piece | None, right: Piece | None,
          columns: set[str]) -> Step | None:
    if isinstance(piece, Text):
        text = piece.text.encode(layout.encoding, "replace")
        return None if b"\n" in text or b"\0" in text else Literal(text)
    if _is_blanks(piece):
        return Blanks(0 if "0" in piece.options else 1)
    behind = right.text.encode(layout.encoding, "replace") if isinstance(right, Text) else b""
    if piece.name == "date":
        return _date(layout, piece, group)
    column = piece.name if piece.name in columns else ""    # the first one of its name
    columns.discard(column)
    if piece.name == "level":
        return Level(piece, column)
    if not behind:
        return None
    if piece.name in FREE and not piece.name.startswith("marker"):
        return _free(piece, behind, is_bracketed=bracketed(left, right))
    return _strict(piece, behind, outside_name(piece, left), column)


def _date(layout: Layout, piece: Converter, group: str) -> Date | None:
    date = layout.date
    if group != layout.date_group or date is None or date.digits is None or piece.width_min:
        return None
    return Date(date, date.digits)


def _free(piece: Converter, behind: bytes, *, is_bracketed: bool) -> Until | None:
    least, most = free_bounds(piece)
    if piece.name == "ndc" or (piece.name == "mdc" and (not piece.options or "," in piece.options[0])):
        return None
    if is_bracketed and not least:
        return Until(Ends(b"[]"), _BALANCED_BYTES_MAX)
    return Until(Ends(behind[:1]), most, skip=least)


def _strict(piece: Converter, behind: bytes, outside: bytes, column: str) -> Until | None:
    """A field without white space; it may be filled up with blanks."""
    before = 0 if piece.left else piece.width_min
    after = piece.width_min if piece.left else 0
    blanks = len(behind) - len(behind.lstrip(b" "))
    if piece.name in NAMES:
        ends = Ends(bytes({*behind[:1], *outside}), space=True)
        return Until(ends, name_bytes_max(piece), column=column, before=before, after=after, behind=blanks)
    if piece.name in LITERAL_RUN:
        least, most = LITERAL_RUN[piece.name]
        ends = Ends(behind[:1], space=True) if piece.name == "pid" else Ends(but_digits=True)
        return Until(ends, most, least=least, before=before, after=after, behind=blanks)
    return None
