"""Events read in many lines at once, with arrays: a wording's parts as steps, each of which moves a place in every line.

A wording has a plan where each part ends at one place only, which the bytes tell: a text, a run of characters of a
set that what follows cannot go on with, a usual number, and choices between parts that begin with different texts. So
the reading is the same as by the wording's pattern. Where a line is not plainly one or the other (a number with an
exponent or many digits, a choice whose branch does not fit) it is left to the pattern.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from logagg.columns import Ints, lowest, packed
from logagg.grammar.ahead import END, Ahead, ahead
from logagg.grammar.claims import Numbers, Texts
from logagg.grammar.regular import EMPTY, NUMBER, Alt, Chars, Field, Loop, Node, Seq, Text, parse, seq, walk

STEPS_MAX = 24          #: a wording of more parts is read faster by its pattern
BEFORE_BYTES = 16       #: what must stand before each line in the block, since numbers are looked at from their end
MARGIN_BYTES = 64       #: what must follow each line, since so many bytes are looked at in one go, as bits of a number
DIGITS_MAX = 15         #: a float holds so many digits exactly

Mask = NDArray[np.bool_]
Arrays = dict[tuple[str, str], NDArray[np.generic]]


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
        fits = self.at + len(text) <= self.stops
        if len(text) <= MARGIN_BYTES or fits.all():
            fits &= self.pieces(self.at, f"S{len(text)}") == text
        elif fits.any():
            fits[fits] = self.pieces(self.at[fits], f"S{len(text)}") == text
        return fits

    def pieces(self, at: Ints, kind: str) -> NDArray[np.generic]:
        """What stands at these places, as items of a numpy type."""
        every = np.ndarray((len(self.block) - np.dtype(kind).itemsize + 1,), kind, self.block, strides=(1,))
        found: NDArray[np.generic] = every[at]
        return found

    def run_ends(self, chars: "Charset", at: Ints) -> Ints:
        """Where the first byte stands that is not of this set, or the line's end."""
        sizes = self._run_sizes(chars, at)
        ends = at + sizes
        far = np.flatnonzero(sizes == MARGIN_BYTES)
        while len(far):
            sizes = self._run_sizes(chars, ends[far])
            ends[far] += sizes
            far = far[(sizes == MARGIN_BYTES) & (ends[far] < self.stops[far])]
        return np.minimum(ends, self.stops)

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
        self._digits = ascii == _DIGITS
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
class Number:
    """A field whose value is a number of at most DIGITS_MAX digits; `kind` is int or float, `fraction` tells whether
    it may have one (and then an exponent, which is left to the pattern)."""

    name: str
    kind: type
    signed: bool
    fraction: bool

    def run(self, lines: Lines) -> bool:
        start, minus = lines.at, None
        if self.signed:
            first = lines.pieces(start, "u1")
            minus = first == ord("-")
            start = start + (minus | (first == ord("+")))
        end = lines.run_ends(_DIGIT, start)
        size = end - start
        value, fits, doubtful = _whole(lines, start, end), size > 0, size > DIGITS_MAX
        if self.fraction:
            point = (lines.pieces(end, "u1") == ord(".")) & (end < lines.stops)
            stop = lines.run_ends(_DIGIT, end + point)
            places = stop - end - point
            doubtful = (size + places > DIGITS_MAX) | (size == 0) | (_GOES_ON.take(lines.pieces(stop, "u1")))
            scale = _POWERS_UP.take(np.where(doubtful, 0, places))
            value = (value * scale + _whole(lines, end + point, stop)) / scale
            fits, end = np.ones(len(fits), bool), stop
        number = value.astype(np.float64) if self.kind is float else value
        lines.columns[self.name, "value"] = number if minus is None else np.where(minus, -number, number)
        lines.at = end
        return lines.keep(fits, doubtful)


def _whole(lines: Lines, start: Ints, end: Ints) -> Ints:
    """The digits between these places as a number; of more than 16 the last ones."""
    digits = lines.pieces(end - 16, "V16").view(np.uint8).reshape(-1, 16)
    digits &= _TAILS.take(end - start, axis=0, mode="clip")
    value: Ints = digits @ _POWERS
    return value


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
    """Put the columns of some lines where they belong among all."""
    for (name, what), column in part.columns.items():
        whole = columns.setdefault((name, what), np.zeros(count, column.dtype))
        whole[part.rows] = column
        columns.setdefault((name, "there"), np.zeros(count, bool))[part.rows] = True


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a wording, and its fields in reading order."""

    steps: tuple[Step, ...]
    names: tuple[str, ...]

    def read(self, lines: Lines) -> tuple[Ints, dict[str, Texts | Numbers]]:
        """The rows of those lines that are plainly worded so, and their fields; `lines.doubtful` is left to the
        pattern."""
        if not all(step.run(lines) for step in self.steps) or not lines.keep(lines.at == lines.stops):
            return lines.rows[:0], {}
        return lines.rows, {name: _column(name, lines) for name in self.names
                            if (name, "value") in lines.columns or (name, "stop") in lines.columns}


def _column(name: str, lines: Lines) -> Texts | Numbers:
    get = lines.columns.get
    value, there = get((name, "value")), get((name, "there"))
    if value is not None:
        return Numbers(value, there)
    return Texts(lines.block, lines.columns[name, "start"], lines.columns[name, "stop"], there)


def plan(node: Node, types: Mapping[str, type]) -> Plan | None:
    """The plan of a wording, if its parts allow one."""
    names = tuple(part.name for part in walk(node) if isinstance(part, Field))
    if len(set(names)) < len(names):
        return None
    steps = _steps(_parts(node), END, types)
    return None if steps is None or len(steps) > STEPS_MAX else Plan(steps, names)


def _parts(node: Node) -> tuple[Node, ...]:
    return node.parts if isinstance(node, Seq) else (node,)


def _steps(parts: Sequence[Node], rest: Ahead, types: Mapping[str, type]) -> tuple[Step, ...] | None:
    """The steps for parts one after the other where `rest` follows."""
    steps: list[Step] = []
    for place, part in enumerate(parts):
        step = _step(part, ahead(seq(parts[place + 1:]), rest), types)
        if step is None:
            return None
        steps.append(step)
    return tuple(steps)


def _step(part: Node, behind: Ahead, types: Mapping[str, type]) -> Step | None:
    match part:
        case Text(text):
            return _literal(text)
        case Chars(_, ascii):
            return Run(Charset(ascii), 1, 1, 0)
        case Loop(Chars(_, ascii), low, high):
            back = 0 if low == high else _back(ascii, behind)
            return None if back is None else Run(Charset(ascii), low, high, back)
        case Loop(body, 0, 1):
            return _choice((body, EMPTY), behind, types)
        case Alt(branches):
            return _choice(branches, behind, types)
        case Field(name, _, body):
            return _field(name, types[name], body, behind, types)
    return None


def _literal(text: str) -> Literal | None:
    return Literal(text.encode()) if text.isascii() and "\0" not in text else None


def _back(ascii: int, behind: Ahead) -> int | None:
    """How many characters of what follows a run belong to the set that the run is made of; None where that is not
    always the same. So a run as long as possible ends that much too late, and nowhere else can it end."""
    if not ascii & behind.ascii:
        return 0
    backs = {next((place for place, char in enumerate(text) if ord(char) > 127 or not ascii >> ord(char) & 1), None)
             for text in behind.texts}
    return backs.pop() if len(backs) == 1 else None


def _field(name: str, kind: type, body: Node, behind: Ahead, types: Mapping[str, type]) -> Step | None:
    if kind is str:
        steps = _steps(_parts(body), behind, types)
        return None if steps is None else Capture(name, steps)
    sign, *unsigned = _parts(body)
    signed = sign == _SIGN
    number = seq(unsigned) if signed else body
    fraction = number == _NUMBER
    if not fraction and number != _INT or (_NUMBER_CHARS if fraction else _DIGITS) & behind.ascii:
        return None
    return Number(name, kind, signed, fraction)


_INT, _SIGN, _NUMBER = parse("[0-9]+"), parse(r"[\+\-]?"), parse(NUMBER)
_DIGITS = 0x3FF << 48
_NUMBER_CHARS = _DIGITS | sum(1 << ord(char) for char in ".eE+-")
_DIGIT = Charset(_DIGITS)


def _choice(branches: Sequence[Node], behind: Ahead, types: Mapping[str, type]) -> Choice | None:
    """Branches that begin with different texts; only the last one may be empty."""
    if not all(a.apart(b) for a, b in combinations([ahead(branch, behind) for branch in branches], 2)):
        return None
    found = []
    for number, branch in enumerate(branches, 1):
        first, *others = _parts(branch) or (Text(""),)
        if not isinstance(first, Text) or not first.text and number < len(branches) or _literal(first.text) is None:
            return None
        steps = _steps(others, behind, types)
        if steps is None:
            return None
        found.append((first.text.encode(), steps))
    return Choice(tuple(found))
