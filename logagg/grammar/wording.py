"""A wording: one way to write an event, as a pattern for the whole line; and the slow way, through Lark's parser."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from logagg.grammar.ahead import ANYTHING, END, Ahead, ahead, needle, prefixes, steps, within
from logagg.grammar.regular import Alt, Chars, Field, Loop, Node, Seq, Text, walk

if TYPE_CHECKING:
    from lark import Lark, Tree

LINE_BYTES_MAX = 1 << 16
"""Longer lines are not tried at all."""

LARK_LINE_BYTES_MAX = 1 << 9
"""Lark's Earley parser takes time that grows with the square of a line's length, and more."""

STEPS_MAX = 1 << 26
"""Steps of the matcher for one line, some tens of nanoseconds each at worst: where a pattern could take more, it is
tried on shorter lines only."""

_SHORTEST = 256     # a pattern that runs away on such short lines is left to Lark's parser

Value = int | float | str
Fields = dict[str, Value]
Read = tuple[str, Fields]
Convert = Callable[[str], Value | None]


def whole_number(text: str) -> int | float | None:
    """An integer; a float where it does not fit into 64 bits; None for what is no finite number."""
    try:
        if len(text) < 19:
            return int(text)
        number = float(text)
        exact = abs(number) < 2e19 and int(text.strip()[:1].replace("+", "") + text.strip()[1:].lstrip("0").rjust(1, "0"))
    except ValueError:
        return None
    if exact is not False and -(1 << 63) <= exact < 1 << 63:
        return exact
    return number if isfinite(number) else None


def decimal_number(text: str) -> float | None:
    """A float; None for what is no finite number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


CONVERT: Mapping[type, Convert | None] = {int: whole_number, float: decimal_number, str: None}


class Slot(NamedTuple):
    """What one group of a pattern is: a field's value, or all rounds of a loop whose body has fields."""

    name: str
    convert: Convert | None
    loop: "Shape | None" = None


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern and the meaning of its groups. `plain`: each group is a field of its own and always takes part."""

    pattern: re.Pattern[str]
    slots: tuple[Slot, ...]
    plain: bool

    def fields(self, match: re.Match[str]) -> Fields:
        """The values of a match. Where a field occurs twice the first counts; what is no finite number is left out."""
        if self.plain:
            fields: dict[str, Any] = dict(zip(self.names, match.groups(), strict=True))
            for name, convert in self.numbers:
                value = convert(fields[name])
                if value is None:
                    del fields[name]
                else:
                    fields[name] = value
            return fields
        fields = {}
        self._collect(match, fields)
        return {name: value for name, value in fields.items() if value is not None}

    def _collect(self, match: re.Match[str], fields: dict[str, Value | None]) -> None:
        for number, (slot, text) in enumerate(zip(self.slots, match.groups(), strict=True), 1):
            if text is None:
                continue
            if slot.loop is not None:
                slot.loop._collect_rounds(match.string, match.start(number), match.end(number), fields)
            elif slot.name not in fields:
                fields[slot.name] = slot.convert(text) if slot.convert else text

    def _collect_rounds(self, text: str, at: int, end: int, fields: dict[str, Value | None]) -> None:
        while at < end and (match := self.pattern.match(text, at, end)) and match.end() > at:
            self._collect(match, fields)
            at = match.end()
