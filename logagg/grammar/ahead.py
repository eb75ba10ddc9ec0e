"""What may come next, and how often a matcher can be wrong about it.

Python's `re` backtracks: it takes the first choice that fits and comes back when the rest does not. A choice that the
next characters decide costs nothing; one that they leave open multiplies the work. `steps` bounds that work for a line
of given length, so that a pattern is only tried on lines for which it cannot run away.
"""

from dataclasses import dataclass
from itertools import combinations
from math import inf

from logagg.grammar.regular import Alt, Chars, Field, Loop, Node, Seq, Text

TEXT_CHARS_MAX = 48
TEXTS_MAX = 64
_END = "\ud800"     # a lone surrogate is in no decoded text


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a text may begin with: a set of characters (as `Chars` has it) and the literal texts, one of which it
    begins with ("" if nothing is known)."""

    ascii: int
    wide: bool
    texts: frozenset[str]

    def __or__(self, other: "Ahead") -> "Ahead":
        texts = self.texts | other.texts
        return Ahead(self.ascii | other.ascii, self.wide or other.wide, texts if len(texts) <= TEXTS_MAX else _UNKNOWN)

    def apart(self, other: "Ahead") -> bool:
        """Whether no text can begin with both."""
        if not self.ascii & other.ascii and not (self.wide and other.wide):
            return True
        return not any(a.startswith(b) or b.startswith(a) for a in self.texts for b in other.texts)


_UNKNOWN = frozenset({""})
END = Ahead(0, False, frozenset({_END}))
ANYTHING = Ahead((1 << 128) - 1, True, _UNKNOWN)


def ahead(node: Node, rest: Ahead) -> Ahead:
    """What `node` and then `rest` begin with."""
    match node:
        case Text(text):
            code = ord(text[0])
            texts = frozenset((text + after)[:TEXT_CHARS_MAX] for after in rest.texts)
            return Ahead(1 << code if code < 128 else 0, code > 127, texts)
        case Chars(_, ascii, wide):
            return Ahead(ascii, wide, _UNKNOWN)
        case Seq(parts):
            for part in reversed(parts):
                rest = ahead(part, rest)
            return rest
        case Alt(branches):
            found = ahead(branches[0], rest)
            for branch in branches[1:]:
                found |= ahead(branch, rest)
            return found
        case Loop(body, low, high):
            once = ahead(body, rest if high == 1 else ANYTHING)
            return once | rest if low == 0 else once
        case Field(_, _, body):
            return ahead(body, rest)
    return ANYTHING


def prefixes(node: Node) -> frozenset[str]:
    """Literal texts, one of which each text of the language begins with; {""} where there are none."""
    return frozenset(text.partition(_END)[0] for text in ahead(node, END).texts)


def needle(node: Node) -> str:
    """The longest literal text that each text of the language contains."""
    match node:
        case Text(text):
            return text
        case Seq(parts):
            return max(map(needle, parts), key=len, default="")
        case Field(_, _, body):
            return needle(body)
        case Loop(body, low):
            return needle(body) if low else ""
    return ""


def within(loop: Loop, rest: Ahead) -> Ahead:
    """What follows the body inside of a loop: the body again, or the rest."""
    return rest if loop.high == 1 else ahead(loop.body, ANYTHING) | rest


def settled(node: Node, rest: Ahead) -> bool:
    """Whether what comes next decides every choice in `node`, so that matching never comes back."""
    match node:
        case Seq(parts):
            for part in reversed(parts):
                if not settled(part, rest):
                    return False
                rest = ahead(part, rest)
        case Alt(branches):
            return _alternatives_settled(branches, rest) and all(settled(branch, rest) for branch in branches)
        case Loop(body, low, high):
            decided = low == high or ahead(body, ANYTHING).apart(rest)
            return decided and settled(body, within(node, rest))
        case Field(_, _, body):
            return settled(body, rest)
    return True


def _alternatives_settled(branches: tuple[Node, ...], rest: Ahead) -> bool:
    return all(a.apart(b) for a, b in combinations([ahead(branch, rest) for branch in branches], 2))


def steps(node: Node, rest: Ahead, then: float, line_chars: int) -> float:
    """An upper bound of the work to match `node`, and then a rest that costs `then`, at one place of a line.

    `inf` where it grows exponentially with the line.
    """
    match node:
        case Text(text):
            return len(text) + then
        case Seq(parts):
            for part in reversed(parts):
                then, rest = steps(part, rest, then, line_chars), ahead(part, rest)
            return then
        case Alt(branches):
            each = [steps(branch, rest, then, line_chars) for branch in branches]
            return len(each) + (max(each) if _alternatives_settled(branches, rest) else sum(each))
        case Loop():
            return _loop_steps(node, rest, then, line_chars)
        case Field(_, _, body):
            return steps(body, rest, then, line_chars)
    return 1 + then


def _loop_steps(loop: Loop, rest: Ahead, then: float, line_chars: int) -> float:
    body, high = loop.body, loop.high
    decided = loop.low == high or ahead(body, ANYTHING).apart(rest)
    if high == 1:
        once = steps(body, rest, then, line_chars)
        return 1 + (max(once, then) if decided else once + then)
    if not settled(body, within(loop, rest)):
        return inf
    times = line_chars if high is None else min(line_chars, high)
    alternatives = steps(body, ANYTHING, 0, 1) if not isinstance(body, Chars) else 1
    return line_chars * alternatives + (then if decided else then * min(times, _places(rest, line_chars)))


def _places(rest: Ahead, line_chars: int) -> float:
    """At how many places of a line the rest can begin: a text cannot overlap itself at will."""
    total = 0.0
    for text in rest.texts:
        known, at_end, _ = text.partition(_END)
        total += 1 if at_end else line_chars / _period(known) + 1
    return total


def _period(text: str) -> int:
    """The least distance at which a text can overlap itself; 1 for the empty text."""
    return next((n for n in range(1, len(text)) if text.startswith(text[n:])), max(1, len(text)))
