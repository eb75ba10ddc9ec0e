"""A wording as steps over many lines at once, where its parts allow that.

A wording has a plan where each part ends at one place only, which the bytes tell: a text, a run of characters of a
set that what follows cannot go on with, a usual number, and choices between parts that begin with different texts. So
the reading is the same as by the wording's pattern. Where a line is not plainly one or the other (a number with an
exponent or many digits, a choice whose branch does not fit), it is left to the pattern.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from logagg.columns import Ints
from logagg.grammar.ahead import END, Ahead, ahead
from logagg.grammar.claims import Numbers, Texts
from logagg.grammar.lines import DIGITS, Capture, Charset, Choice, Decimal, Lines, Literal, Run, Step, Whole
from logagg.grammar.regular import EMPTY, NUMBER, Alt, Chars, Field, Loop, Node, Seq, Text, children, parse, seq, walk

SIZE_MAX = 32
"""A wording of more parts is read faster by its pattern."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a wording, and its fields in reading order; `size`: how many parts it has."""

    steps: tuple[Step, ...]
    names: tuple[str, ...]
    size: int

    def read(self, lines: Lines) -> tuple[Ints, dict[str, Texts | Numbers]]:
        """The rows of those lines that are plainly worded so, and their fields; `lines.doubtful` is left to the
        pattern."""
        read = len(lines.rows) > 0 and all(step.run(lines) for step in self.steps)
        if not read or not lines.keep(lines.at == lines.stops):
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
    return None if steps is None or _size(node) > SIZE_MAX else Plan(steps, names, _size(node))


def _size(node: Node) -> int:
    """How many parts a wording has that are looked for one after the other."""
    if isinstance(node, Field) or not children(node):
        return 1
    return sum(map(_size, children(node)))


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
    if number == _NUMBER and not _NUMBER_CHARS & behind.ascii:
        return Decimal(name, signed)
    if number == _INT and not DIGITS & behind.ascii:
        return Whole(name, kind, signed)
    return None


_INT, _SIGN, _NUMBER = parse("[0-9]+"), parse(r"[\+\-]?"), parse(NUMBER)
_NUMBER_CHARS = DIGITS | sum(1 << ord(char) for char in ".eE+-")


def _choice(branches: Sequence[Node], behind: Ahead, types: Mapping[str, type]) -> Choice | None:
    """Branches that begin with different texts; only the last one may be empty."""
    if not all(a.apart(b) for a, b in combinations([ahead(branch, behind) for branch in branches], 2)):
        return None
    found = []
    for number, branch in enumerate(branches, 1):
        first, *others = _parts(branch) or (Text(""),)
        if not isinstance(first, Text) or (not first.text and number < len(branches)) or _literal(first.text) is None:
            return None
        steps = _steps(others, behind, types)
        if steps is None:
            return None
        found.append((first.text.encode(), steps))
    return Choice(tuple(found))
