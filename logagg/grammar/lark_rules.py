"""The rules of an event grammar, as Lark loads them -> trees of wordings.

`start` lists the events; the rules that an event's rule refers to are its fields. A rule whose name begins with an
underscore, or that is marked with `?`, is a helper: what is in it counts as written in its place. A field's value is
what its rule matches, without quoted texts (and terminals whose names begin with an underscore) at its two ends, which
Lark filters out; a rule of quoted texts only, or one marked with `!`, keeps them. `rule: … -> name` renames.
"""

import re
from collections.abc import Iterator, Sequence
from math import inf
from typing import Any, NamedTuple

from lark import Tree
from lark.exceptions import LarkError
from lark.grammar import NonTerminal, Terminal
from lark.lexer import PatternStr
from lark.load_grammar import PrepareLiterals, load_grammar

from logagg.grammar.ahead import END, steps
from logagg.grammar.grammar_text import GrammarText, short
from logagg.grammar.regular import (
    EMPTY,
    Alt,
    Event,
    Field,
    Hole,
    Lazy,
    Loop,
    Node,
    Text,
    alt,
    nullable,
    parse,
    seq,
    wider,
)

INTEGERS = frozenset({"INT", "SIGNED_INT"})
FLOATS = frozenset({"NUMBER", "FLOAT", "DECIMAL", "SIGNED_NUMBER", "SIGNED_FLOAT"})
"""The terminals, by name, that make a field a number."""

WAYS_MAX = 64
"""A field whose choices come to more sequences than these is not taken apart: its value may then hold a quoted text at
an end."""


class _Part(NamedTuple):
    """A piece of a rule. `kept`: Lark keeps a token of it. `kind`: the type of its value, were it a field. `parts`: the
    pieces of a sequence; `branches`: those of a choice."""

    node: Node
    kept: bool
    kind: type
    parts: "tuple[_Part, ...]" = ()
    branches: "tuple[_Part, ...]" = ()

    def uneven(self) -> bool:
        """Whether it depends on the branch taken what Lark keeps."""
        pieces = (part for one in self.branches for part in one.parts or (one,))
        return self.kept and any(not piece.kept or piece.uneven() for piece in pieces)


class _Use(NamedTuple):
    """A template's argument, and the arguments that were in force where it was written."""

    value: Any
    env: "Env"


Env = dict[str, _Use]


def read_events(text: str, name: str, path: str) -> list[Event]:
    """The events of a grammar in their order. GrammarError for what is no event grammar."""
    source = GrammarText(text, path or name)
    try:
        grammar, _ = load_grammar(text, path or name, [], False)  # type: ignore[no-untyped-call]
        terminals, _, _ = grammar.compile(["start"], "*")
    except (LarkError, OSError, re.error, AssertionError, ValueError) as error:
        raise source.translated(error) from None
    if grammar.ignore:
        raise source.error("%ignore has no place in an event grammar, which reads every character; write the "
                           "text to skip into the rules", "%ignore")
    rules = {rule: (params, PrepareLiterals().transform(tree), options)
             for rule, params, tree, options in grammar.rule_defs if tree is not None}
    if "start" not in rules:
        raise source.error("the rule start is missing; add start: and the names of the events, with | between them")
    return list(_Builder(source, rules, {one.name: one.pattern.to_regexp() for one in terminals}).events())


class _Builder:
    def __init__(self, source: GrammarText, rules: dict[str, Any], terminals: dict[str, str]) -> None:
        self._source = source
        self._rules = rules
        self._terminals = terminals
        self._open: list[str] = []      # the rules under way: one that is met again is recursive

    def events(self) -> Iterator[Event]:
        for rule in dict.fromkeys(self._event_rules("start")):
            _, tree, options = self._rules[rule]
            self._open = [rule]
            for items, alias in _alternatives(tree):
                part = self._sequence(items, {}, options.keep_all_tokens, rule)
                name = short(alias or rule)
                if name == "reject":
                    raise self._source.error('"reject" is the name of records that could not be read; choose another',
                                             rule)
                if nullable(part.node):
                    raise self._source.error(f"event {name} would match the empty line; add a text that it always has",
                                             rule)
                for node in part.node.branches if isinstance(part.node, Alt) else (part.node,):
                    yield Event(str(rule), name, node)

    def _event_rules(self, rule: str) -> Iterator[str]:
        """The rules of events, through helper rules that list some."""
        if rule in self._open:
            raise self._source.error(f"{rule} lists itself; take it out", rule)
        self._open.append(rule)
        for items, alias in self._listed(self._rules[rule][1]):
            event = items[0].children[0] if len(items) == 1 and items[0].data == "value" else None
            if not isinstance(event, NonTerminal) or alias:
                raise self._source.error(f"{rule} lists events; expected rules' names with | between them, each "
                                         "event's text in a rule of its own", rule)
            params, _, options = self._rules[event.name]
            assert not params   # Lark has refused a template without its arguments
            if event.name.startswith("_") or options.expand1:
                yield from self._event_rules(event.name)
            else:
                yield event.name
        self._open.pop()

    def _listed(self, tree: Any) -> Iterator[tuple[list[Any], str | None]]:
        for items, alias in _alternatives(tree):
            if len(items) == 1 and items[0].data == "expansions" and not alias:
                yield from self._listed(items[0])
            else:
                yield items, alias

    def _sequence(self, items: Sequence[Any], env: Env, keep_all: bool, rule: str) -> _Part:
        return _joined([self._item(item, env, keep_all, rule) for item in items])

    def _item(self, item: Any, env: Env, keep_all: bool, rule: str) -> _Part:
        if item.data == "expansions":
            return _either([self._sequence(items, env, keep_all, rule) for items, _ in _alternatives(item)])
        if item.data == "maybe":
            return _looped(self._item(item.children[0], env, keep_all, rule), 0, 1)
        if item.data == "expr":
            body, sign, *numbers = item.children
            low, high = _TIMES.get(str(sign)) or (int(numbers[0]), int(numbers[-1]))
            return _looped(self._item(body, env, keep_all, rule), low, high)
        return self._value(item.children[0], env, keep_all, rule)

    def _value(self, value: Any, env: Env, keep_all: bool, rule: str) -> _Part:
        if isinstance(value, Terminal):
            name = short(value.name)
            node = self._terminal(self._terminals.get(value.name), value.name, rule)
            kind = int if name in INTEGERS else float if name in FLOATS else str
            return _Part(node, not value.name.startswith("_"), kind)
        if isinstance(value, NonTerminal):
            if value.name in env:
                use = env[value.name]
                return self._value(use.value, use.env, keep_all, rule)
            return self._rule(value.name, (), env)
        if value.data == "template_usage":
            template, *arguments = value.children
            return self._rule(template.name, arguments, env)
        if value.data == "value":
            return self._value(value.children[0], env, keep_all, rule)
        (pattern,) = value.children
        if isinstance(pattern, PatternStr) and not pattern.flags:
            return _Part(Text(pattern.value), keep_all, str)
        node = self._terminal(pattern.to_regexp(), pattern.raw or pattern.value, rule)
        return _Part(node, keep_all or not isinstance(pattern, PatternStr), str)

    def _rule(self, name: str, arguments: Sequence[Any], env: Env) -> _Part:
        """What a rule means where another refers to it: a field, or a helper's content."""
        if name in self._open:
            return _Part(Hole(f"rule {short(name)} refers to itself"), True, str)
        params, tree, options = self._rules[name]
        inner = {param: _Use(argument, env) for param, argument in zip(params, arguments, strict=True)}
        helper = name.startswith("_") or options.expand1
        self._open.append(name)
        branches = []
        for items, alias in _alternatives(tree):
            parts = [self._item(item, inner, options.keep_all_tokens, name) for item in items]
            branches.append(_joined(parts) if helper and not alias else _field(short(alias or name), parts))
        self._open.pop()
        part = _either(branches)
        return part if helper else part._replace(parts=(), branches=())

    def _terminal(self, regexp: str | None, shown: str, rule: str) -> Node:
        if regexp is None:
            raise self._source.error(f"terminal {shown} is declared, but nothing tells what it matches; define it",
                                     "%declare")
        try:
            node = parse(regexp)
        except Lazy:
            raise self._source.error(f"{shown} is lazy, but events are read greedily; write a class of characters that "
                                     "ends by itself, such as /[^ ]+/", rule, shown) from None
        except re.error as error:
            raise self._source.error(f"{shown} is no regular expression: {error}", rule, shown) from None
        if nullable(node):
            raise self._source.error(f"{shown} may match nothing; write it so that it matches at least one character, "
                                     "and make it optional with [ ] where it is used", rule, shown)
        if steps(node, END, 0, 1) == inf:
            raise self._source.error(f"{shown} repeats what is repeated in it, and could take for ever on a long line; "
                                     "write it so that each character can belong to one place only", rule, shown)
        return node


_TIMES: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}


def _alternatives(tree: Any) -> Iterator[tuple[list[Any], str | None]]:
    """The alternatives of a rule or group: their items, and the name behind `->`."""
    for one in tree.children:
        if one.data == "alias":
            expansion, alias = one.children
            for items, _ in _alternatives(Tree("expansions", [expansion])):
                yield items, alias.name
        elif one.data == "expansions":      # %extend puts a list into the list
            yield from _alternatives(one)
        else:
            yield one.children, None


def _joined(parts: Sequence[_Part]) -> _Part:
    kind = parts[0].kind if len(parts) == 1 else str
    flat = tuple(one for part in parts for one in part.parts or (part,))
    return _Part(seq(part.node for part in parts), any(part.kept for part in parts), kind, flat)


def _either(parts: Sequence[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    kind = wider(part.kind for part in parts)
    return _Part(alt(part.node for part in parts), any(part.kept for part in parts), kind, branches=tuple(parts))


def _looped(part: _Part, low: int, high: int | None) -> _Part:
    if high == 0:
        return _Part(EMPTY, False, str)
    branches = (part, _Part(EMPTY, False, str)) if (low, high) == (0, 1) else ()
    kind = part.kind if high == 1 else str
    return _Part(Loop(part.node, low, high), part.kept, kind, branches=branches)


def _field(name: str, parts: Sequence[_Part]) -> _Part:
    """A field around what Lark keeps of its rule."""
    ways = _ways(parts)
    return _either([_field_of(name, way) for way in (ways if len(ways) <= WAYS_MAX else [parts])])


def _field_of(name: str, parts: Sequence[_Part]) -> _Part:
    kept = [number for number, part in enumerate(parts) if part.kept]
    first, last = (kept[0], kept[-1] + 1) if kept else (0, len(parts))
    value = _joined(parts[first:last])
    nodes = [part.node for part in parts]
    return _Part(seq([*nodes[:first], Field(name, value.kind, value.node), *nodes[last:]]), True, str)


def _ways(parts: Sequence[_Part]) -> list[list[_Part]]:
    """The sequences that a sequence stands for, in order of trying: choices are taken apart where Lark keeps tokens of
    some branches only."""
    ways: list[list[_Part]] = [[]]
    for part in _joined(parts).parts:
        choices = [way for one in part.branches for way in _ways([one])] if part.uneven() else [[part]]
        ways = [way + choice for way in ways[: WAYS_MAX + 1] for choice in choices]
    return ways
