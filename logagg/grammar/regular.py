"""Regular languages as trees: what a wording of an event is made of, and what Python's regexps turn into.

A terminal stands for its regular language: each text that its regexp matches wholly. Lookaround, anchors and
references are no part of such a language; they become a `Hole`, and who holds a tree with a hole asks Lark's parser.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from re import _constants as op
from re import _parser as sre
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """Exactly this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set. Bit i of `ascii` tells whether chr(i) is in it; `wide`: others than ASCII may be."""

    regexp: str
    ascii: int
    wide: bool


@dataclass(frozen=True, slots=True)
class Seq:
    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Alt:
    """One of the branches; the first that lets the whole line match."""

    branches: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Loop:
    """`low` to `high` times the body, as often as lets the whole line match; high None: without end."""

    body: "Node"
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Field:
    """What the body matches is the value of this field."""

    name: str
    kind: type
    body: "Node"


@dataclass(frozen=True, slots=True)
class Hole:
    """What cannot be told by a regular language, and why."""

    reason: str


Node = Text | Chars | Seq | Alt | Loop | Field | Hole

EMPTY = Seq(())


@dataclass(frozen=True, slots=True)
class Event:
    """One way to word an event; `rule` is the rule of `start` that it comes from, `name` what the event is called."""

    rule: str
    name: str
    node: Node


TREE = (Event, Text, Chars, Seq, Alt, Loop, Field, Hole)
"""All that an event's tree is made of."""


def wider(kinds: Iterator[type]) -> type:
    """The type that can hold values of all these types."""
    found = set(kinds)
    return found.pop() if len(found) == 1 else float if found == {int, float} else str


class Lazy(Exception):
    """The regexp has a lazy quantifier, which has no meaning where reading is greedy."""


def seq(parts: Iterable[Node]) -> Node:
    """The parts one after the other, flat, with neighbouring texts joined."""
    flat: list[Node] = []
    for part in parts:
        for one in part.parts if isinstance(part, Seq) else (part,):
            if isinstance(one, Text) and flat and isinstance(flat[-1], Text):
                flat[-1] = Text(flat[-1].text + one.text)
            else:
                flat.append(one)
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))


def alt(branches: Iterable[Node]) -> Node:
    """One of the branches, each once, flat."""
    flat = [one for branch in branches for one in (branch.branches if isinstance(branch, Alt) else (branch,))]
    unique = tuple(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else Alt(unique)


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Seq(parts):
            return parts
        case Alt(branches):
            return branches
        case Loop(body) | Field(_, _, body):
            return (body,)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in reading order."""
    yield node
    for child in children(node):
        yield from walk(child)


def nullable(node: Node) -> bool:
    """Whether the empty text belongs to the language; a hole may be anything."""
    match node:
        case Text(text):
            return not text
        case Chars():
            return False
        case Seq(parts):
            return all(map(nullable, parts))
        case Alt(branches):
            return any(map(nullable, branches))
        case Loop(body, low):
            return low == 0 or nullable(body)
        case Field(_, _, body):
            return nullable(body)
    return False


_EXP = r"(?:e|E)(?:(?:\+|\-))?(?:[0-9])+"
_FLOAT = rf"(?:(?:[0-9])+{_EXP}|(?:(?:[0-9])+\.(?:(?:[0-9])+)?|\.(?:[0-9])+)(?:{_EXP})?)"
NUMBER = rf"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:{_EXP})?)"
_KNOWN = (
    (rf"(?:{_FLOAT}|(?:[0-9])+)", NUMBER),
    (_FLOAT, rf"(?:[0-9]+(?:{_EXP}|\.[0-9]*(?:{_EXP})?)|\.[0-9]+(?:{_EXP})?)"),
    (r'".*?(?<!\\)(\\\\)*?"', r'"(?:[^"\\\n]|\\[^\n])*"'),
)
"""How Lark writes NUMBER, FLOAT and ESCAPED_STRING of its common grammar, and the same language without branches that
begin alike, laziness and a look behind. Where a Lark writes them in another way, NUMBER and FLOAT are only slower."""


@lru_cache(maxsize=1000)
def parse(regexp: str) -> Node:
    """A terminal's regexp as a tree. Raises Lazy, or re.error where it is no regexp of Python's."""
    for written, settled in _KNOWN:
        regexp = regexp.replace(written, settled)
    parsed = sre.parse(regexp)
    return _sequence(parsed, parsed.state.flags & _FLAGS)


_FLAGS = re.IGNORECASE | re.DOTALL | re.ASCII
_LETTERS = {re.IGNORECASE: "i", re.DOTALL: "s", re.ASCII: "a"}
_CATEGORIES = {
    op.CATEGORY_DIGIT: r"\d", op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S", op.CATEGORY_WORD: r"\w", op.CATEGORY_NOT_WORD: r"\W",
}


def _sequence(items: Any, flags: int) -> Node:
    return seq(_item(name, value, flags) for name, value in items)


def _item(name: Any, value: Any, flags: int) -> Node:
    if name is op.LITERAL:
        text = chr(value)
        return _chars(re.escape(text), flags, value > 127) if flags & re.IGNORECASE and (
            text.lower() != text or text.upper() != text) else Text(text)
    if name is op.NOT_LITERAL:
        return _chars(f"[^{re.escape(chr(value))}]", flags, True)
    if name is op.ANY:
        return _chars(".", flags, True)
    if name is op.IN:
        return _class(value, flags)
    if name is op.BRANCH:
        return alt(_sequence(branch, flags) for branch in value[1])
    if name is op.SUBPATTERN:
        _, added, removed, body = value
        return _sequence(body, (flags | added) & ~removed & _FLAGS)
    if name is op.MAX_REPEAT:
        low, high, body = value
        return Loop(_sequence(body, flags), low, None if high is op.MAXREPEAT else high)
    if name is op.MIN_REPEAT:
        raise Lazy
    return Hole(_NOT_REGULAR.get(name, "it uses a construct beyond regular expressions"))


_NOT_REGULAR = {
    op.AT: r"it uses an anchor (^, $, \b)",
    op.ASSERT: "it looks ahead or behind",
    op.ASSERT_NOT: "it looks ahead or behind",
    op.GROUPREF: "it refers back to a group",
    op.GROUPREF_EXISTS: "it depends on a group",
    op.ATOMIC_GROUP: "it uses an atomic group",
    op.POSSESSIVE_REPEAT: "it uses a possessive quantifier",
}


def _class(items: Any, flags: int) -> Node:
    """A character class: [a-z\\d] and the like."""
    written, wide = "", False
    for name, value in items:
        if name is op.NEGATE:
            written, wide = "^", True
        elif name is op.LITERAL:
            written, wide = written + re.escape(chr(value)), wide or value > 127
        elif name is op.RANGE:
            low, high = value
            written, wide = f"{written}{re.escape(chr(low))}-{re.escape(chr(high))}", wide or high > 127
        else:
            written, wide = written + _CATEGORIES[value], wide or not flags & re.ASCII
    return _chars(f"[{written}]", flags, wide)


def _chars(regexp: str, flags: int, wide: bool) -> Chars:
    letters = "".join(letter for flag, letter in _LETTERS.items() if flags & flag)
    regexp = f"(?{letters}:{regexp})" if letters else regexp
    matches = re.compile(regexp).fullmatch
    # Some letters outside ASCII (the Kelvin sign, the long s) are equal to ASCII ones when case is ignored.
    return Chars(regexp, sum(1 << i for i in range(128) if matches(chr(i))), wide or bool(flags & re.IGNORECASE))
