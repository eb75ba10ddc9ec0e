"""A wording: one way to write an event, as one pattern for the whole line."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from logagg.grammar.ahead import ANYTHING, END, Ahead, ahead, needle, prefixes, steps, within
from logagg.grammar.regular import Alt, Chars, Field, Hole, Loop, Node, Seq, Text, walk

if TYPE_CHECKING:
    from logagg.grammar.plan import Plan

LINE_BYTES_MAX = 1 << 16
"""Longer lines are not tried at all."""

STEPS_MAX = 1 << 26
"""Steps of the matcher for one line, a nanosecond or a few each: where a pattern could take more, it is tried on
shorter lines only."""

_USEFUL_BYTES = 256     # a pattern that could run away on shorter lines is left to Lark's parser

Value = int | float | str
Fields = dict[str, Value]
Convert = Callable[[str], Value | None]


def whole_number(text: str) -> int | float | None:
    """An integer; a float where it does not fit into 64 bits; None for what is no finite number."""
    try:
        if len(text) < 4000:    # int() refuses more digits than 4,300
            number = int(text)
            if -(1 << 63) <= number < 1 << 63:
                return number
    except ValueError:
        return None
    return decimal_number(text)


def decimal_number(text: str) -> float | None:
    """A float; None for what is no finite number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


CONVERT: Mapping[type, Convert | None] = {int: whole_number, float: decimal_number, str: None}


def convert_all(convert: Convert, texts: Sequence[str | None]) -> list[Value | None]:
    """A column of numbers: at once where all of them are short and present, as nearly always, else one by one."""
    try:
        if convert is decimal_number:
            decimals = [*map(float, texts)]         # type: ignore[arg-type]
            if all(map(isfinite, decimals)):
                return decimals                     # type: ignore[return-value]
        elif convert is whole_number and max(map(len, texts)) <= _INT64_DIGITS:     # type: ignore[arg-type]
            return [*map(int, texts)]               # type: ignore[arg-type]
    except (TypeError, ValueError):
        pass
    return [None if text is None else convert(text) for text in texts]


_INT64_DIGITS = 18      # a number with no more characters fits into 64 bits


class Slot(NamedTuple):
    """What one group of a pattern is: a field's value, or all rounds of a loop whose body has fields."""

    name: str
    convert: Convert | None
    loop: "Shape | None" = None


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern and the meaning of its groups. `names` and `numbers` serve the usual case, in which each group is a
    field of its own; in the other `names` is empty."""

    pattern: re.Pattern[str]
    slots: tuple[Slot, ...]
    names: tuple[str, ...]
    numbers: tuple[tuple[str, Convert], ...]

    def fields(self, match: re.Match[str]) -> Fields:
        """The values of a match. Where a field occurs twice the first counts; what is no finite number is left out."""
        if not self.names:
            found: dict[str, Value | None] = {}
            self._collect(match, found)
            return {name: value for name, value in found.items() if value is not None}
        texts = match.groups()
        if None in texts:
            fields: dict[str, Any] = {name: text for name, text in zip(self.names, texts, strict=True)
                                      if text is not None}
        else:
            fields = dict(zip(self.names, texts, strict=True))
        for name, convert in self.numbers:
            if name in fields:
                value = convert(fields[name])
                if value is None:
                    del fields[name]
                else:
                    fields[name] = value
        return fields

    def columns(self, matches: Sequence[re.Match[str]]) -> dict[str, Sequence[Value | None]]:
        """The values of many matches, a column per field; None for one that is absent. The same as `fields`."""
        if not self.names:
            claims = [self.fields(match) for match in matches]
            names = dict.fromkeys(name for claim in claims for name in claim)
            return {name: [claim.get(name) for claim in claims] for name in names}
        columns: dict[str, Sequence[Any]] = dict(zip(
            self.names, zip(*map(re.Match.groups, matches), strict=True), strict=False))
        for name, convert in self.numbers:
            if name in columns:
                columns[name] = convert_all(convert, columns[name])
        return columns

    def _collect(self, match: re.Match[str], found: dict[str, Value | None]) -> None:
        for number, (slot, text) in enumerate(zip(self.slots, match.groups(), strict=True), 1):
            if text is None:
                continue
            if slot.loop is not None:
                slot.loop._collect_rounds(match.string, match.start(number), match.end(number), found)
            elif slot.name not in found:
                found[slot.name] = slot.convert(text) if slot.convert else text

    def _collect_rounds(self, text: str, at: int, end: int, found: dict[str, Value | None]) -> None:
        while at < end and (match := self.pattern.match(text, at, end)) and match.end() > at:
            self._collect(match, found)
            at = match.end()


def shape(node: Node, rest: Ahead, types: Mapping[str, type]) -> Shape:
    """The pattern that reads `node` where `rest` follows."""
    slots: list[Slot] = []
    pattern = re.compile(_written(node, rest, types, slots))
    names = tuple(slot.name for slot in slots)
    usual = len(set(names)) == len(names) and not any(slot.loop for slot in slots)
    numbers = tuple((slot.name, slot.convert) for slot in slots if slot.convert)
    return Shape(pattern, tuple(slots), names if usual else (), numbers)


def _has_fields(node: Node) -> bool:
    return any(isinstance(part, Field) for part in walk(node))


def _written(node: Node, rest: Ahead, types: Mapping[str, type], slots: list[Slot] | None) -> str:
    """`node` as a regexp; fields become groups, noted in `slots`. Without `slots` nothing is captured."""
    match node:
        case Text(text):
            return re.escape(text)
        case Chars(regexp):
            return regexp
        case Seq(parts):
            after = []
            for part in reversed(parts):
                after.append(rest)
                rest = ahead(part, rest)
            return "".join(_written(part, then, types, slots)
                           for part, then in zip(parts, reversed(after), strict=True))
        case Alt(branches):
            return f"(?:{'|'.join(_written(branch, rest, types, slots) for branch in branches)})"
        case Field(name, _, body):
            if slots is None:
                return _written(body, rest, types, None)
            slots.append(Slot(name, CONVERT[types[name]]))
            return f"({_written(body, rest, types, slots)})"
        case Loop():
            return _written_loop(node, rest, types, slots)
    raise AssertionError(f"no pattern can have a {node}")


def _written_loop(loop: Loop, rest: Ahead, types: Mapping[str, type], slots: list[Slot] | None) -> str:
    body, inside = loop.body, within(loop, rest)
    times = _TIMES.get((loop.low, loop.high)) or f"{{{loop.low},{'' if loop.high is None else loop.high}}}"
    if isinstance(body, Chars):
        # Where what follows cannot be a character of the loop, giving one back never helps: none is (possessive).
        return body.regexp + times + ("+" if ahead(body, ANYTHING).apart(rest) else "")
    if slots is None or loop.high == 1 or not _has_fields(body):
        return f"(?:{_written(body, inside, types, slots)}){times}"
    slots.append(Slot("", None, shape(body, inside, types)))
    return f"((?:{_written(body, inside, types, None)}){times})"


_TIMES = {(0, 1): "?", (0, None): "*", (1, None): "+"}


@dataclass(frozen=True)
class Wording:
    """One way to write an event. Its lines begin with one of `prefixes` and contain `needle` (both UTF-8, maybe
    empty); longer ones than `line_bytes_max` are not tried."""

    event: str
    prefixes: frozenset[bytes]
    needle: bytes
    line_bytes_max: int
    shape: Shape
    node: Node = field(repr=False)
    types: Mapping[str, type] = field(repr=False, compare=False)

    @cached_property
    def plan(self) -> "Plan | None":
        """How to read many lines at once, where that can be done without the pattern."""
        from logagg.grammar.plan import plan  # loads numpy: only where lines are read

        return plan(self.node, self.types)

    def read(self, line: str) -> tuple[str, Fields] | None:
        """The event's name and fields, if the whole line is worded so."""
        match = self.shape.pattern.fullmatch(line)
        return None if match is None else (self.event, self.shape.fields(match))


def wording(event: str, node: Node, types: Mapping[str, type]) -> Wording | str:
    """The wording that reads `node`, or why Lark's parser has to."""
    hole = next((part for part in walk(node) if isinstance(part, Hole)), None)
    if hole is not None:
        return hole.reason
    line_bytes_max = LINE_BYTES_MAX
    while line_bytes_max >= _USEFUL_BYTES and steps(node, END, 0, line_bytes_max) > STEPS_MAX:
        line_bytes_max //= 2
    if line_bytes_max < _USEFUL_BYTES:
        return "a repeated part can be divided in too many ways"
    return Wording(event, *literals(node), line_bytes_max, shape(node, END, types), node, types)


def literals(node: Node) -> tuple[frozenset[bytes], bytes]:
    """Prefixes and needle as bytes. U+FFFD is left out: in the log it may be another byte that is no UTF-8."""
    starts = frozenset(text.partition("\ufffd")[0].encode() for text in prefixes(node))
    return starts, max(needle(node).split("\ufffd"), key=len).encode()
