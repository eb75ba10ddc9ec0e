"""The slow way to read an event: Lark's own parser, for what no pattern can tell, such as nested brackets."""

from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from logagg.errors import GrammarError
from logagg.grammar.grammar_text import short
from logagg.grammar.regular import Node
from logagg.grammar.wording import CONVERT, Fields, Value, literals

if TYPE_CHECKING:
    from lark import Tree
    from lark.lexer import Token

LINE_BYTES_MAX = 1024
"""Longer lines are not tried."""

LOOKS_MAX = 4000
ITEMS_MAX = 6000
"""How often the parser may look for a terminal in one line, and how many items it may hold. What it does with them
grows with their square and more where a grammar is ambiguous: within these bounds it takes seconds at worst; a
line of an unambiguous grammar needs a few of each per character."""


class LarkWording:
    """All ways to write an event that no pattern can tell. Where several readings are possible, Lark chooses."""

    def __init__(self, rule: str, node: Node, types: Mapping[str, Mapping[str, type]], grammar: str,
                 path: str) -> None:
        self.event = short(rule)
        self.prefixes, self.needle = literals(node)
        self.line_bytes_max = LINE_BYTES_MAX
        self._types = types
        self._source = (grammar, path, rule)
        self._parser: _Parser | None = _Parser(*self._source)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_parser": None}   # built again where it is needed

    def read(self, line: str) -> tuple[str, Fields] | None:
        """The event's name and fields, if Lark accepts the whole line within its bounds."""
        if self._parser is None:
            self._parser = _Parser(*self._source)
        tree = self._parser.parse(line)
        if tree is None:
            return None
        event = short(tree.data)
        event = event if event in self._types else self.event
        return event, _tree_fields(tree, line, self._types[event])


class _TooMuchWork(Exception):
    pass


class _Parser:
    """Lark with a bound on its work, the same on every machine."""

    def __init__(self, grammar: str, path: str, start: str) -> None:
        from lark import Lark
        from lark.exceptions import LarkError, ParseError, UnexpectedInput

        try:
            self._lark = Lark(grammar, source_path=path or None, start=start, parser="earley",
                              lexer="dynamic_complete", propagate_positions=True, maybe_placeholders=False)
        except LarkError as error:
            raise GrammarError(f"{path or start}: {start} can only be read by Lark's own parser, which refuses it: "
                               f"{str(error).strip().splitlines()[0]}") from None
        self._no_match = (UnexpectedInput, ParseError, _TooMuchWork)
        self._lock = Lock()
        self._looks = self._items = 0
        parser: Any = self._lark.parser.parser
        self._look, parser.term_matcher = parser.term_matcher, self._counted_look
        self._complete, parser.predict_and_complete = parser.predict_and_complete, self._counted_complete

    def parse(self, line: str) -> "Tree[Token] | None":
        with self._lock:
            self._looks = self._items = 0
            try:
                return self._lark.parse(line)
            except self._no_match:
                return None

    def _counted_look(self, *arguments: Any) -> Any:
        self._looks += 1
        if self._looks > LOOKS_MAX:
            raise _TooMuchWork
        return self._look(*arguments)

    def _counted_complete(self, i: int, to_scan: Any, columns: Any, *rest: Any) -> None:
        self._complete(i, to_scan, columns, *rest)
        self._items += len(columns[i])
        if self._items > ITEMS_MAX:
            raise _TooMuchWork


def _tree_fields(tree: "Tree[Token]", line: str, types: Mapping[str, type]) -> Fields:
    found: dict[str, Value | None] = {}
    for part in tree.iter_subtrees_topdown():  # type: ignore[no-untyped-call]
        name = short(part.data)
        if part is tree or name not in types or name in found:
            continue
        places = [one.meta if hasattr(one, "meta") else one for one in part.children] or [part.meta]
        start, end = places[0].start_pos, places[-1].end_pos
        convert = CONVERT[types[name]]
        found[name] = convert(line[start:end]) if convert else line[start:end]
    return {name: value for name, value in found.items() if value is not None}
