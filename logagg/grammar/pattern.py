"""A layout's text -> its pieces: the conversion-pattern language of Log4j 2, as far as Log4j 1.2 and Logback share it.

Source: Log4j 2 manual, "Pattern Layout", and `PatternParser` of log4j-core 2.19: a name is cut to its longest known
prefix, the rest of it is text behind the options; options are braces, nested ones included; `%5.10c` sets a least and
a greatest width, `-` fills on the right, a width of `.-N` cuts the end instead of the start.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, NoReturn

from logagg.errors import GrammarError
from logagg.grammar.cache import kept

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

LAYOUT_CHARS_MAX = 8192
WIDTH_MAX = 1000

_LOG4J2 = {
    "date": "d date", "level": "p level", "thread": "t tn thread threadName", "logger": "c logger",
    "message": "m msg message", "newline": "n", "mdc": "X mdc MDC", "ndc": "x NDC",
    "throwable": "ex throwable exception xEx xThrowable xException rEx rThrowable rException",
    "line": "L line", "method": "M method", "file": "F file", "class": "C class", "location": "l location",
    "pid": "pid processId", "sequenceNumber": "sn sequenceNumber", "relative": "r relative", "marker": "marker",
    "markerSimpleName": "markerSimpleName", "threadId": "T tid threadId", "threadPriority": "tp threadPriority",
    "nano": "N nano", "endOfBatch": "endOfBatch", "fqcn": "fqcn", "uuid": "u uuid", "blanks": "_",
    "": "K map MAP enc encode highlight style notEmpty varsNotEmpty variablesNotEmpty replace maxLen maxLength equals "
        "equalsIgnoreCase repeat black blue cyan green magenta red white yellow",
}
_LOG4J1 = {
    "date": "d", "level": "p", "thread": "t", "logger": "c", "message": "m", "newline": "n", "mdc": "X", "line": "L",
    "method": "M", "file": "F", "class": "C", "location": "l", "relative": "r", "": "x",
}
_LOGBACK = {
    "date": "d date", "level": "p le level", "thread": "t thread", "logger": "c lo logger", "message": "m msg message",
    "newline": "n", "mdc": "X mdc", "throwable": "ex exception throwable xEx xException xThrowable",
    "nothrowable": "nopex nopexception", "line": "L line", "method": "M method", "file": "F file", "class": "C class",
    "relative": "r relative", "marker": "marker",
    "": "contextName cn caller rEx rootException property replace highlight black red green yellow blue magenta cyan "
        "white gray boldRed boldGreen boldYellow boldBlue boldMagenta boldCyan boldWhite kvp ms micros nanos prefix",
}
_DIALECTS = {
    dialect: {spelling: name for name, spellings in table.items() for spelling in spellings.split()}
    for dialect, table in {"log4j2": _LOG4J2, "log4j1": _LOG4J1, "logback": _LOGBACK}.items()
}
"""dialect -> spelling -> canonical long name; "" is a converter that is known but not supported yet."""

_EXPECTED = "expected a converter's name such as %m, or %% for a percent sign"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "b": "\b"}


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text without a line end."""

    text: str


@dataclass(frozen=True, slots=True)
class Converter:
    """One `%…`: its canonical long name, options without braces, widths in characters (0 and None: none)."""

    name: str
    spelling: str
    column: int
    options: tuple[str, ...] = ()
    width_min: int = 0
    width_max: int | None = None
    left: bool = False
    cut_end: bool = False


Piece = Text | Converter


def refuse(layout: str, column: int, problem: str) -> NoReturn:
    """Raise a GrammarError that points at a column (from 1) of the layout."""
    raise GrammarError(f"layout, column {column}: {problem}\n  {layout}\n  {' ' * (column - 1)}^")


@lru_cache(maxsize=256)
def parse_pattern(layout: str, dialect: str = "log4j2") -> tuple[Piece, ...]:
    """The layout's pieces in order; GrammarError with the column where it cannot be used.

    The throwable that Log4j 2 implies at the end is not added here.
    """
    if dialect not in _DIALECTS:
        raise GrammarError(f"unknown dialect {dialect!r}; known: {', '.join(_DIALECTS)}")
    if len(layout) > LAYOUT_CHARS_MAX:
        raise GrammarError(f"the layout has {len(layout)} characters; at most {LAYOUT_CHARS_MAX} are read")
    return kept(f"{_grammar()}\0{dialect}\0{layout}", lambda: _parsed(layout, dialect), (Text, Converter))


def _parsed(layout: str, dialect: str) -> tuple[Piece, ...]:
    from lark.exceptions import UnexpectedInput

    try:
        tree = _lark().parse(layout)
    except UnexpectedInput as error:
        refuse(layout, *_explain(error, layout))
    pieces: list[Piece] = []
    for node in tree.children:
        pieces += _pieces(node, layout, dialect)  # type: ignore[arg-type]
    return tuple(_merge(pieces))


@cache
def _lark() -> "Lark":
    from lark import Lark

    return Lark(_grammar(), parser="lalr", lexer="contextual")


@cache
def _grammar() -> str:
    return resources.files("logagg.grammars").joinpath("log4j2_pattern.lark").read_text(encoding="utf-8")


def _explain(error: Exception, layout: str) -> tuple[int, str]:
    """Column and problem of text that is no conversion pattern."""
    position = getattr(error, "pos_in_stream", None)
    ends = position is None or position >= len(layout) or getattr(getattr(error, "token", None), "type", "") == "$END"
    if ends and layout.count("{") > layout.count("}"):
        return layout.rindex("{") + 1, "this brace is never closed; expected '}'"
    if ends or position is None:
        return len(layout) or 1, f"the pattern ends inside a converter; {_EXPECTED}"
    return position + 1, f"found {layout[position]!r}; {_EXPECTED}"


def _pieces(node: "Tree[Token]", layout: str, dialect: str) -> list[Piece]:
    if node.data == "text":
        return list(_text(str(node.children[0]), layout, node.children[0].start_pos or 0, dialect))  # type: ignore[union-attr]
    if node.data == "percent":
        return [Text("%")]
    return _converter(node, layout, dialect)


def _text(text: str, layout: str, position: int, dialect: str) -> list[Piece]:
    """Text with its backslash escapes resolved; a line end in it becomes a newline converter."""
    if dialect == "logback" and (group := re.search(r"(?<!\\)[()]", text)):
        refuse(layout, position + group.start() + 1, "grouping with parentheses is not supported yet; write \\( for a "
                                                     "parenthesis that is printed")
    plain = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)
    pieces: list[Piece] = []
    for number, line in enumerate(plain.replace("\r\n", "\n").split("\n")):
        if number:
            pieces.append(Converter("newline", "n", position + 1))
        if line:
            pieces.append(Text(line))
    return pieces


def _converter(node: "Tree[Token]", layout: str, dialect: str) -> list[Piece]:
    mark, *rest = node.children
    column = (mark.start_pos or 0) + 1  # type: ignore[union-attr]
    width = str(rest.pop(0)) if getattr(rest[0], "type", "") == "FORMAT" else ""
    word = str(rest.pop(0))
    options = tuple(_inside(option) for option in rest)  # type: ignore[arg-type]
    spelling = _known(word, layout, column, dialect)
    match = re.fullmatch(r"(-?)(\d*)(?:\.(-?)(\d+))?", width)
    assert match
    width_min, width_max = int(match[2] or 0), int(match[4]) if match[4] else None
    if max(width_min, width_max or 0) > WIDTH_MAX:
        refuse(layout, column, f"a width above {WIDTH_MAX} is not supported")
    name = _DIALECTS[dialect][spelling]
    piece = Converter(name, spelling, column, options, width_min, width_max, bool(match[1]), bool(match[3]))
    return [piece, Text(word[len(spelling):])] if len(spelling) < len(word) else [piece]


def _known(word: str, layout: str, column: int, dialect: str) -> str:
    """The longest prefix of a name that is a converter of the dialect."""
    spellings = _DIALECTS[dialect]
    for size in range(len(word), 0, -1):
        if word[:size] in spellings:
            if not spellings[word[:size]]:
                refuse(layout, column, f"%{word[:size]} is not supported yet in the dialect {dialect}; "
                                       f"supported: {_supported(dialect)}")
            return word[:size]
    refuse(layout, column, f"unknown converter %{word} in the dialect {dialect}; supported: {_supported(dialect)}")


def _supported(dialect: str) -> str:
    """One spelling, the shortest, of each supported converter."""
    shortest: dict[str, str] = {}
    for spelling, name in _DIALECTS[dialect].items():
        if name not in ("", "blanks") and len(spelling) < len(shortest.get(name, spelling + " ")):
            shortest[name] = spelling
    return " ".join(f"%{spelling}" for spelling in sorted(shortest.values(), key=str.lower))


def _inside(option: "Tree[Token]") -> str:
    """The text between an option's braces, nested braces included."""
    inner = option.children[1:-1]
    return "".join(child if isinstance(child, str) else "{" + _inside(child) + "}" for child in inner)


def _merge(pieces: list[Piece]) -> list[Piece]:
    """Neighbouring texts become one, so that a field sees its whole delimiter."""
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Text) and merged and isinstance(merged[-1], Text):
            merged[-1] = Text(merged[-1].text + piece.text)
        else:
            merged.append(piece)
    return merged
