"""A wording's plan, which reads many lines at once with arrays, claims what its pattern claims line by line."""

import random
from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logagg.columns import Known, Spans, lowest, packed
from logagg.grammar.events import EventGrammar
from logagg.grammar.vector import line_ends
from tests.conftest import ROOT

GRAMMAR = EventGrammar.load(r"""
start: retry | load | paid | call | range | coded | quoted | signal | last
retry: "Retry of " server ". Already tried " tries " time(s); policy " policy
load: "load=" share " of " most "% at " offset ["."]
paid: "Paid " amount [" in " currency] " by " ("card" | "cheque " cheque | "cash") [" on " day [" at " hour ["h"]]]
call: "Call " call_id (" ended" | " failed: " why) [" after " ms [" "] "ms"]
range: "Range " low "-" high "!"
coded: "Code " code "/" short
quoted: "Say " said "..."
signal: "Signal " address " x" [":" more]
last: "z" what
server: /[^ ]+/
tries: INT
policy: /.+/
share: SIGNED_NUMBER
most: NUMBER
offset: SIGNED_INT
amount: NUMBER
currency: /[A-Z]{3}/
cheque: INT
day: WORD
hour: INT
call_id: /[^\s,;:()]+/
why: /[a-z]+/
ms: INT
low: INT
high: SIGNED_INT
code: /[A-F0-9]{2,4}/
short: /[a-c]{2}/
said: /.+/
address: host ":" port
host: /[a-z0-9.]+/
port: INT
more: /[xy]+/
what: /[^a]+/
%import common (INT, NUMBER, SIGNED_INT, SIGNED_NUMBER, WORD)
""", name="plans")
PIECES = [
    "Retry of ", "a.b", "c", ". Already tried ", " time(s); policy ", "load=", "-", "+", "0.5", ".5", "7.", "1e5", "-3",
    "123456789012345", "1234567890123456", "12345678901234567890", "0.1234567890123456", " of ", "%", "% at ", "12",
    "Paid ", " in ", "EUR", "EURO", " by ", "card", "cheque ", "cash", " on ", "Monday", " at ", "Call ", "x-1",
    " ended", " failed: ", "no. reply", " after ", "5", "05", " ", "ms", "Range ", "!", "Code ", "AF0", "/", "ab",
    "Say ", "...", "..", "wait", "Signal ", "db.1", ":", " x", "xyxy", "z", "y" * 70, "0" * 130, "c" * 1100,
    "\t", "é", "\0"]
USUAL = [
    "Retry of a.b.c. Already tried 3 time(s); policy once", "load=-0.5 of 100% at +7", "load=1e3 of .5% at -0.",
    "Paid 5.25 in EUR by cheque 77 on Monday", "Paid 7 by cash", "Paid 7 by card on Friday at 12h",
    "Call x-1 ended after 15 ms", "Call x-1 failed: no",
    "Call x-1 ended after 15ms", "Range 5--7!", "Code AF0/ab", "Say wait......", "Signal db.1:5432 x:yx", "z", "zzz"]
BEFORE, BEHIND = b"-" * 20, b"-" * 70       # so that the lines between them are read with arrays


def together(grammar: EventGrammar, lines: Sequence[bytes]) -> list[tuple[int, str, dict[str, Any]]]:
    """The claims of lines that are read at once, by plans where there are some, however few they are."""
    at_once = copy(grammar)
    at_once.together_min = at_once.lines_a_step = 0
    claims = at_once.claim(Spans.of([BEFORE, *lines, BEHIND]))
    found = zip(claims.rows, claims.names, claims.fields, strict=True)
    return [(row - 1, name, fields) for row, name, fields in found if 0 < row <= len(lines)]


def one_by_one(grammar: EventGrammar, lines: Sequence[bytes]) -> list[tuple[int, str, dict[str, Any]]]:
    """The same by patterns alone."""
    found = []
    for row, line in enumerate(lines):
        for wording in grammar.wordings:
            claim = wording.read(line.decode("utf-8", "replace")) if len(line) <= wording.line_bytes_max else None
            if claim is not None:
                found.append((row, *claim))
                break
    return found


def _lines(rng: random.Random) -> list[bytes]:
    """Usual lines, more or less spoilt, and pieces put together at random."""
    lines = []
    for _ in range(rng.randrange(1, 60)):
        if rng.random() < 0.7:
            raw = bytearray(rng.choice(USUAL).encode())
            while raw and rng.random() < 0.3:
                place = rng.randrange(len(raw) + 1)
                raw[place:place + rng.randrange(3)] = rng.choice([*PIECES, "", "\n", "\r"]).encode()
        else:
            raw = bytearray("".join(rng.choices(PIECES, k=rng.randrange(1, 9))).encode())
        if raw and rng.random() < 0.1:
            raw[rng.randrange(len(raw))] = rng.choice(b" \n\r\xff\x80\0-.")
        lines.append(bytes(raw))
    return lines


@settings(max_examples=400, deadline=None, print_blob=True)
@given(st.integers(0, 1 << 32))
def test_plans_claim_what_patterns_claim(seed: int) -> None:
    """Events, fields and their types are the same, whatever the bytes and wherever a line ends."""
    lines = _lines(random.Random(seed))
    found, right = together(GRAMMAR, lines), one_by_one(GRAMMAR, lines)
    assert found == right
    assert [[*map(type, fields.values())] for *_, fields in found] == (
        [[*map(type, fields.values())] for *_, fields in right])


@settings(max_examples=100, deadline=None, print_blob=True)
@given(st.integers(0, 1 << 32))
def test_lines_cut_out_of_a_block_are_read_as_they_are(seed: int) -> None:
    """What stands in the block beside a line, even what would go on with it, does not belong to it; nor do places that
    do not rise."""
    rng = random.Random(seed)
    texts = _lines(rng)
    whole = Spans.of([BEFORE, *texts, BEHIND])
    starts = np.array([min(start + rng.choice([0, 0, 0, 1, 3]), stop) for start, stop in
                       zip(whole.starts.tolist(), whole.stops.tolist(), strict=True)])
    stops = np.array([max(stop - rng.choice([0, 0, 1, 2, 5]), start) for start, stop in
                      zip(starts.tolist(), whole.stops.tolist(), strict=True)])
    order = np.array(rng.sample(range(len(starts)), len(starts)))
    lines = Spans(whole.block, starts[order], stops[order])
    at_once = copy(GRAMMAR)
    at_once.together_min = at_once.lines_a_step = 0
    claims = at_once.claim(lines)
    assert [*zip(claims.rows, claims.names, claims.fields, strict=True)] == one_by_one(GRAMMAR, [*lines])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**15 - 1), st.integers(0, 15), st.sampled_from(["", "-", "+"]))
def test_decimals_are_those_of_python(digits: int, places: int, sign: str) -> None:
    """A fraction of at most fifteen digits is the float that Python reads, to the last bit."""
    text = f"{digits:0{places + 1}}"
    text = f"{sign}{text[:len(text) - places]}.{text[len(text) - places:]}"
    [(_, _, fields)] = together(GRAMMAR, [f"load={text} of 1% at 0".encode()])
    assert str(fields["share"]) == str(float(text))


def test_nearly_all_wordings_have_a_plan() -> None:
    """So that what is shown here says something: those of this grammar, and most of the call-centre pack's."""
    assert [wording.event for wording in GRAMMAR.wordings if wording.plan is None] == []
    pack = EventGrammar.load((ROOT / "grammars" / "callcenter.lark").read_text(), name="callcenter")
    planned = [wording.plan is not None for wording in pack.wordings]
    assert sum(planned) > 0.8 * len(planned)


@pytest.mark.parametrize("body", ['"a" p "b" q', '"a" (p | q) "b"', '"a" p [q]', '"a" (p)* "b"', '"a" "bc"i p'])
def test_what_is_ambiguous_is_left_to_the_pattern(body: str) -> None:
    """Where the bytes do not tell where a part ends, there is no plan, and the greedy reading stands."""
    grammar = EventGrammar.load(f"start: e\ne: {body}\np: /[ab]+/\nq: /[abc]+/", name="test")
    lines = [text.encode() for text in ("aab", "aabb", "abab", "acb", "abcb", "aBCa", "abca", "abbbb")]
    assert together(grammar, lines) == one_by_one(grammar, lines)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=700).map(lambda raw: raw.replace(b"\1", b"\n")), st.integers(0, 30))
def test_line_ends_are_all_found(block: bytes, most: int) -> None:
    """Those of a block of any length, in order; none where there are more than one wants to know."""
    places = [place for place, byte in enumerate(block) if byte == 10]
    found = line_ends(block, most)
    assert (found is None) == (len(places) > most)
    assert found is None or found.tolist() == places


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), max_size=300))
def test_the_lowest_bit_is_the_first_hit(hits: list[bool]) -> None:
    """In each number of 64 hits, the last one filled up; negative where there is none."""
    found = lowest(packed(np.array(hits, bool))).tolist()
    parts = [hits[at:at + 64] for at in range(0, len(hits), 64)]
    assert [max(place, -1) for place in found] == [part.index(True) if True in part else -1 for part in parts]


@settings(max_examples=100, deadline=None, print_blob=True)
@given(st.sampled_from([1, 2, 20, 200, 3000]), st.integers(0, 1 << 32))
def test_known_numbers_are_found_again(count: int, seed: int) -> None:
    """Each at its place, however many there are, and no other number."""
    rng = random.Random(seed)
    numbers = rng.sample(range((1 << 63) - 1), count) if rng.random() < 0.5 else rng.sample(range(2 * count), count)
    others = [*rng.sample(range((1 << 63) - 1), 50), *range(50)]
    places, found = Known(numbers).find(np.array([*numbers, *others], np.uint64))
    assert places[:count].tolist() == [*range(count)]
    assert found.tolist() == [number in {*numbers} for number in [*numbers, *others]]
