"""A compiled event grammar means what Lark's Earley parser (lexer="dynamic_complete") says of the same grammar.

Lark is asked for all readings of a line (ambiguity="explicit"). The compiled form has to accept exactly the lines that
have one, and its fields have to be those of one of them. Where there are several, the greedy reading from left to right
is the definition: the first event; and where the event has one wording without optional parts, the reading whose
fields, in order, end latest.
"""

from collections.abc import Iterator, Mapping
from copy import copy
from functools import cache
from math import isinf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark
from lark import Lark, Tree
from lark.exceptions import ParseError, UnexpectedInput
from lark.visitors import CollapseAmbiguities

from logagg.errors import GrammarError
from logagg.grammar.events import EventGrammar
from tests.conftest import ROOT

PACK = (ROOT / "grammars" / "callcenter.lark").read_text()
EVENTS = sorted(EventGrammar.load(PACK, name="callcenter").rules)

Reading = tuple[str, dict[str, Any], list[tuple[int, int]]]


@cache
def lark(text: str, start: str = "start") -> Lark:
    return Lark(text, start=start, parser="earley", lexer="dynamic_complete", ambiguity="explicit",
                propagate_positions=True, maybe_placeholders=False)


@cache
def compiled(text: str) -> EventGrammar:
    return EventGrammar.load(text, name="test")


def readings(text: str, line: str, types: Mapping[str, Mapping[str, type]]) -> list[Reading]:
    """Every way in which Lark reads the line: event, fields, and where each field is."""
    try:
        forest = lark(text).parse(line)
    except (UnexpectedInput, ParseError):
        return []
    found = []
    for tree in CollapseAmbiguities().transform(forest):
        (event,) = tree.children
        places = list(field_places(event))
        fields: dict[str, Any] = {}
        for name, start, end in places:
            fields.setdefault(name, value(line[start:end], types[event.data][name]))
        fields = {name: one for name, one in fields.items() if one is not None}
        found.append((str(event.data), fields, [place[1:] for place in places]))
    return found


def value(text: str, kind: type) -> int | float | str | None:
    """A field's value: an integer beyond 64 bits is a float, and what is too large for that is left out."""
    one = kind(text)
    if kind is int and not -(2**63) <= one < 2**63:
        one = float(text)
    return None if kind is not str and isinf(one) else one


def field_places(event: Tree[Any]) -> Iterator[tuple[str, int, int]]:
    """The fields of an event's tree: what Lark keeps of each, else all of it."""
    for part in event.iter_subtrees_topdown():
        if part is not event:
            kept = [one.meta if isinstance(one, Tree) else one for one in part.children] or [part.meta]
            yield str(part.data), kept[0].start_pos, kept[-1].end_pos


def claimed(grammar: EventGrammar, line: str) -> tuple[str, dict[str, Any]] | None:
    """What is claimed of a line that is read alone, which is the same as what is claimed of it among others."""
    claims = grammar.claim([line.encode()])
    found = (claims.names[0], dict(claims.fields[0])) if claims.rows else None
    at_once = copy(grammar)
    at_once.together_min = at_once.lines_a_step = 0
    among = at_once.claim([b"-" * 20, line.encode(), b"-" * 80])
    assert found == next(((name, fields) for row, name, fields in zip(
        among.rows, among.names, among.fields, strict=True) if row == 1), None)
    return found


def same_as_lark(text: str, line: str) -> list[Reading]:
    """Assert that the compiled grammar reads the line as Lark can; the answer is all of Lark's readings."""
    grammar = compiled(text)
    found, known = claimed(grammar, line), readings(text, line, grammar.rules)
    note(f"{line!r}: compiled {found}, Lark {[reading[:2] for reading in known]}")
    if found is None:
        assert not known
        return []
    order = list(grammar.rules)
    first = min((reading[0] for reading in known), key=order.index, default=None)
    assert found[0] == first
    assert found[1] in [fields for event, fields, _ in known if event == first]
    return known


@pytest.mark.parametrize("event", EVENTS)
@settings(max_examples=15, deadline=None, print_blob=True)
@given(data=st.data())
def test_generated_lines_of_the_pack_are_read_as_lark_reads_them(event: str, data: st.DataObject) -> None:
    """Every text that an event of the call-centre grammar generates is claimed, as Lark reads it."""
    line = data.draw(from_lark(lark(PACK, event), start=event, alphabet=st.characters(codec="utf-8")))
    same_as_lark(PACK, line)
    assert claimed(compiled(PACK), line) is not None


@pytest.mark.parametrize("event", EVENTS)
@settings(max_examples=10, deadline=None, print_blob=True)
@given(data=st.data())
def test_changed_lines_of_the_pack_are_read_as_lark_reads_them(event: str, data: st.DataObject) -> None:
    """A line with a piece removed, doubled, put in or changed is claimed exactly if Lark accepts it."""
    line = data.draw(from_lark(lark(PACK, event), start=event, alphabet=st.characters(codec="ascii")))
    at = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(at, min(len(line), at + 5)))
    piece = data.draw(st.one_of(st.just(""), st.just(line[at:end] * 2), st.text(max_size=3),
                                st.sampled_from([" ", ":", ", ", "\n", "ms", "callId=", " rc=0", "\ufffd"])))
    same_as_lark(PACK, line[:at] + piece + line[end:])


AMBIGUOUS = {
    "two free texts": 'start: e\ne: "<" x "a" y ">"\nx: /.+/\ny: /.+/',
    "three free texts": 'start: e\ne: x "a" y "a" z\nx: /[ab]+/\ny: /[ab]+/\nz: /[ab]+/',
    "side by side": "start: e\ne: x y z\nx: /[ab]+/\ny: /a+/\nz: /[ab<]+/",
    "terminals of terminals": 'start: e\ne: x y\nx: A\ny: A\nA: ("a" | "b")+',
    "two events": 'start: e | f\ne: x "a"\nf: x "b"\nx: /[ab]+/',
}


@pytest.mark.parametrize("text", AMBIGUOUS.values(), ids=AMBIGUOUS)
@settings(max_examples=40, deadline=None, print_blob=True)
@given(line=st.text("ab<>", min_size=1, max_size=8))
def test_of_several_readings_the_greedy_one_counts(text: str, line: str) -> None:
    """Among all readings that Lark finds, the one whose fields end latest, from left to right, is taken."""
    known = same_as_lark(text, line)
    if known:
        first, fields = claimed(compiled(text), line) or ("", {})
        assert fields == max((r for r in known if r[0] == first), key=lambda reading: reading[2])[1]


FIELDS = ["/[ab]+/", "/a+/", "/b/", "INT", "/[^a]+/", "/(ab|b)+/", '"a"', '"ab" | "b"', '"a" INT "b"', "/A/i", "_h",
          '"a" _h "b"', '"a" (_h | INT)', '["a"] INT _h']
HELPERS = ['"a" | "b"', '"a" INT | /b+/', '["a"] /[ab1]/ "1"', "INT"]
"""What a field's rule, and the helper that both events and fields use, may be."""


@st.composite
def grammars(draw: st.DrawFn) -> str:
    """Small grammars: one or two events of literals, fields, groups, options and loops over an alphabet of a few."""
    names = ["p", "q", "r"]

    def item(depth: int) -> str:
        kind = draw(st.sampled_from(["text", "field", "field"] if depth == 0 else
                                    ["text", "field", "option", "loop", "either", "helper"]))
        if kind == "text":
            return '"' + draw(st.sampled_from(["a", "b", "ab", "1", "aa", " "])) + '"'
        if kind == "field":
            return draw(st.sampled_from(names))
        if kind == "helper":
            return "_h"
        inside = " ".join(item(depth - 1) for _ in range(draw(st.integers(1, 2))))
        if kind == "option":
            return f"[{inside}]"
        if kind == "loop":
            return f"({inside}){draw(st.sampled_from(['*', '+', '~2', '~1..2']))}"
        return f"({inside} | {item(depth - 1)})"

    def wording() -> str:
        return " ".join(item(2) for _ in range(draw(st.integers(1, 3))))

    lines = ["start: e | f", f"e: {wording()} | {wording()}", f"f: {wording()}"]
    lines += [f"_h: {draw(st.sampled_from(HELPERS))}"]
    lines += [f"{name}: {draw(st.sampled_from(FIELDS))}" for name in names]
    return "\n".join([*lines, "%import common.INT"])


@settings(max_examples=150, deadline=None, print_blob=True)
@given(text=grammars(), data=st.data())
def test_any_small_grammar_is_read_as_lark_reads_it(text: str, data: st.DataObject) -> None:
    """Compiled or left to Lark's parser, a grammar accepts what Lark accepts and has fields of one of its readings."""
    note(text)
    try:
        grammar = EventGrammar.load(text, name="test")
    except GrammarError as error:
        note(str(error))
        assert "empty line" in str(error) or "are the same" in str(error)
        assume(False)
    for _ in range(3):
        generated = from_lark(lark(text), start="start", alphabet=st.sampled_from("aAbB12 "))
        line = data.draw(generated if data.draw(st.booleans()) else st.text("ab1 ", min_size=1, max_size=8))
        if len(line) > 12:
            continue    # Lark's list of all readings may explode
        found = claimed(grammar, line)
        known = readings(text, line, grammar.rules)
        note(f"{line!r}: compiled {found}, Lark {[reading[:2] for reading in known]}, slow {grammar.slow}")
        assert (found is None) == (not known)
        if found is not None:
            assert found in [(event, fields) for event, fields, _ in known]


def test_quoted_texts_of_a_choice_behind_a_quoted_text() -> None:
    """Lark drops the helper's quoted text as well as the field's own."""
    text = 'start: e\ne: p\np: "a" (_h | INT)\n_h: "a" INT | /b+/\n%import common.INT'
    assert claimed(compiled(text), "aa1") == ("e", {"p": "1"})
    assert claimed(compiled(text), "aa1") in [one[:2] for one in readings(text, "aa1", compiled(text).rules)]


def test_the_pack_needs_no_slow_reading() -> None:
    """No event of the call-centre grammar is left to Lark's own parser."""
    assert compiled(PACK).slow == {}


def test_the_pack_is_where_the_package_finds_it() -> None:
    """The tests read the same grammar that the package loads."""
    from logagg.packs import load_packs

    (pack,) = load_packs(["callcenter"])
    assert Path(pack.grammar.path).read_text() == PACK
