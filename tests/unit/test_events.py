"""Event grammars: what a claim says, what a grammar may be made of, and what its mistakes are answered with."""

import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from logagg.errors import GrammarError
from logagg.grammar.events import Classifiers, EventGrammar
from logagg.packs import load_packs

COMMON = "\n%import common (INT, SIGNED_INT, NUMBER, SIGNED_NUMBER, WORD, ESCAPED_STRING)\n"


def grammar(text: str) -> EventGrammar:
    return EventGrammar.load(text + COMMON, name="test", path="test.lark")


def read(text: str | EventGrammar, line: str | bytes) -> tuple[str, dict[str, Any]] | None:
    one = grammar(text) if isinstance(text, str) else text
    claims = one.claim([line if isinstance(line, bytes) else line.encode()])
    return (claims.names[0], dict(claims.fields[0])) if claims.rows else None


def fields(text: str | EventGrammar, line: str | bytes) -> dict[str, Any] | None:
    found = read(text, line)
    return found[1] if found else None


def test_the_example_of_the_design() -> None:
    """The rule is the event, the rules in it are its fields, the terminal gives the type."""
    one = grammar('start: das_failure\ndas_failure: "DAS " operation " failed after " duration_ms " ms: " code\n'
                  "operation: WORD\nduration_ms: INT\ncode: /[A-Z_]+/")
    assert read(one, "DAS GetAccount failed after 5012 ms: TIMEOUT") == (
        "das_failure", {"operation": "GetAccount", "duration_ms": 5012, "code": "TIMEOUT"})
    assert one.rules == {"das_failure": {"operation": str, "duration_ms": int, "code": str}}


@pytest.mark.parametrize("line", ["DAS x failed after 1 ms: T more", " DAS x failed after 1 ms: T", "DAS x failed",
                                  "DAS x failed after 1 ms: T\n", "das x failed after 1 ms: T", ""])
def test_the_whole_line_has_to_match(line: str) -> None:
    """Text before or behind, a line end, another case or a missing part: no claim."""
    assert read('start: e\ne: "DAS " f " failed after " n " ms: " c\nf: WORD\nn: INT\nc: /[A-Z]+/', line) is None


@pytest.mark.parametrize(("terminal", "text", "value"), [
    ("INT", "007", 7), ("SIGNED_INT", "-12", -12), ("SIGNED_INT", "+12", 12), ("NUMBER", "12", 12.0),
    ("NUMBER", "1.5e3", 1500.0), ("SIGNED_NUMBER", "-.5", -0.5), ("WORD", "abc", "abc"), ("/[0-9]+/", "12", "12"),
    ("INT | SIGNED_INT", "12", 12), ("INT | NUMBER", "12", 12.0), ("INT | WORD", "12", "12"),
    ("INT INT", "12", "12"), ("ESCAPED_STRING", r'"a\"b"', r'"a\"b"'),
    ("INT", str(2**63 - 1), 2**63 - 1), ("INT", str(2**63), 9.223372036854775808e18),
    ("SIGNED_INT", str(-(2**63)), -(2**63)), ("SIGNED_INT", str(-(2**63) - 1), -9.223372036854775808e18),
    ("INT", "0" * 50 + "7", 7), ("INT", "1" + "0" * 300, 1e300),
])
def test_the_terminal_decides_the_type(terminal: str, text: str, value: int | float | str) -> None:
    """INT and SIGNED_INT are integers, floats beyond 64 bits; NUMBER and its kin are floats; all else is text."""
    found = fields(f'start: e\ne: "v=" v\nv: {terminal}', "v=" + text)
    assert found == {"v": value}
    assert type(found["v"]) is type(value)


@pytest.mark.parametrize(("terminal", "text"), [("INT", "9" * 400), ("INT", "9" * 5000), ("NUMBER", "1e999")])
def test_what_is_no_finite_number_is_left_out(terminal: str, text: str) -> None:
    """A number beyond all floats leaves the event without that field, since JSON could not hold it."""
    assert fields(f'start: e\ne: "v=" v ["!" w]\nv: {terminal}\nw: WORD', f"v={text}!a") == {"w": "a"}


def test_optional_parts() -> None:
    """[x] and x? may be absent; the field is then absent too."""
    one = grammar('start: e\ne: "a=" a [" b=" b] (" c=" c)?\na: INT\nb: INT\nc: INT')
    assert fields(one, "a=1 b=2 c=3") == {"a": 1, "b": 2, "c": 3}
    assert fields(one, "a=1 c=3") == {"a": 1, "c": 3}
    assert fields(one, "a=1") == {"a": 1}


def test_a_field_that_occurs_twice_has_its_first_value() -> None:
    """Of several values of one field in a line the first from the left counts."""
    assert fields('start: e\ne: "at " n ", then " n\nn: INT', "at 1, then 2") == {"n": 1}


def test_fields_in_any_order_by_a_loop() -> None:
    """A loop over named pairs takes them in any order, each as often as it comes; the first value counts."""
    one = grammar('start: e\ne: "set:" (_pair)+ ["."]\n_pair: " a=" a | " b=" b\na: INT\nb: /[a-z]+/')
    assert one.slow == {}
    assert fields(one, "set: b=x a=1.") == {"a": 1, "b": "x"}
    assert fields(one, "set: a=1 b=x a=2 b=y") == {"a": 1, "b": "x"}
    assert fields(one, "set: a=1 c=2") is None


def test_alternatives_are_tried_in_order() -> None:
    """The first alternative that lets the whole line match wins, even where a later one would take more."""
    assert fields('start: e\ne: "x" a "b" | "x" b\na: /[ab]+/\nb: /[ab]+/', "xaab") == {"a": "aa"}
    assert read('start: f | e\ne: "x" a\nf: "x" a\na: WORD', "xyz") == ("f", {"a": "yz"})


def test_reading_is_greedy_from_left_to_right() -> None:
    """Where a text can be divided in several ways, the first part takes as much as it can."""
    text = 'start: e\ne: "<" a "-" b ">" ["(" c ")"]\na: /.+/\nb: /.+/\nc: /.+/'
    assert fields(text, "<1-2-3>") == {"a": "1-2", "b": "3"}
    assert fields(text, "<1-2>(x)") == {"a": "1", "b": "2", "c": "x"}


def test_helpers_are_written_in_their_place() -> None:
    """Rules with an underscore or a question mark are no fields; what is in them counts where they are used."""
    one = grammar('start: _all\n_all: e | f\ne: "e" _where x\nf: "f" _where\n'
                  '_where: " at " host\n?x: " " n\nhost: WORD\nn: INT')
    assert read(one, "e at home 5") == ("e", {"host": "home", "n": 5})
    assert read(one, "f at home") == ("f", {"host": "home"})


def test_templates_are_wordings_with_arguments() -> None:
    """A template's arguments may be texts, rules and terminals."""
    one = grammar('start: das | esp\ndas: _call{"DAS"}\nesp: _call{_esp}\n_esp: "ESP" ["2"]\n'
                  '_call{name}: name " " operation " ok" | name ": " operation\noperation: WORD')
    assert read(one, "DAS get ok") == ("das", {"operation": "get"})
    assert read(one, "ESP2: get") == ("esp", {"operation": "get"})
    assert read(one, "ESP3: get") is None


def test_aliases_rename_events_and_fields() -> None:
    """`-> name` behind an event's alternative names the event, behind a field's alternative the field."""
    one = grammar('start: e\ne: "begin " x -> started | "end " x -> ended | "on " x\nx: INT -> number | WORD -> word')
    assert read(one, "begin 5") == ("started", {"number": 5})
    assert read(one, "end a") == ("ended", {"word": "a"})
    assert read(one, "on a") == ("e", {"word": "a"})
    assert set(one.rules) == {"started", "ended", "e"}


def test_a_value_is_what_lark_keeps() -> None:
    """Quoted texts and _TERMINALs at a value's ends do not belong to it, unless the rule has nothing else or a `!`."""
    one = grammar('start: e\ne: "e " a " " b " " c " " d\na: "$" NUMBER " EUR"\nb: "yes" | "no"\n!c: "#" INT\n'
                  'd: _Q INT "/" INT _Q\n_Q: "\'"')
    assert fields(grammar('start: e\ne: "e " f\nf: _g\n_g: ("<" INT)">"'), "e <5>") == {"f": 5}
    assert fields(one, "e $5 EUR yes #7 '1/2'") == {"a": 5.0, "b": "yes", "c": "#7", "d": "1/2"}


def test_fields_in_fields() -> None:
    """A field that is made of fields has its whole text, and they have theirs."""
    assert fields('start: e\ne: "to " address\naddress: host ":" port\nhost: WORD\nport: INT', "to db:5432") == {
        "address": "db:5432", "host": "db", "port": 5432}


def test_letters_of_any_case_and_of_any_script() -> None:
    """"text"i ignores case; what is not ASCII is read as characters, not as bytes."""
    one = grammar('start: e | f\ne: "Fehler"i " bei " x\nf: "Störung: " /.{2}/ "!" x\nx: /\\w+/')
    assert fields(one, "FEHLER bei Zoë") == {"x": "Zoë"}
    assert fields(one, "Störung: ☎€!é") == {"x": "é"}


def test_bytes_that_are_no_text() -> None:
    """Invalid UTF-8 becomes U+FFFD, and belongs to a class that takes any character."""
    assert fields('start: e\ne: "name=" x\nx: /.+/', b"name=M\xfcller\x00") == {"x": "M\ufffdller\x00"}
    assert fields('start: e\ne: "name=\ufffd" x\nx: /.+/', b"name=\xfcx") == {"x": "x"}


def test_imported_rules_bear_their_own_names(tmp_path: Path) -> None:
    """A grammar may import from a neighbouring file; its fields are named without the file's name."""
    (tmp_path / "parts.lark").write_text('call: "call=" id\nid: /[a-z]+/\n')
    text = 'start: e\ne: "e " _x\n_x: call\n%import .parts.call\n'
    one = EventGrammar.load(text, name="own", path=str(tmp_path / "own.lark"))
    assert fields(one, "e call=ab") == {"call": "ab", "id": "ab"}


RECURSIVE = 'start: e | f\ne: "query " x " done"\nx: "(" [x ("," x)*] ")" | name\nname: /[a-z]+/\nf: "query " name'


def test_what_is_recursive_is_read_by_lark() -> None:
    """Nested brackets are no regular language: Lark's own parser reads them, and the fields are the same kind."""
    one = grammar(RECURSIVE)
    assert one.slow == {"e": "rule x refers to itself"}
    assert read(one, "query (a,(b,c)) done") == ("e", {"x": "a,(b,c)", "name": "a"})
    assert read(one, "query (a,(b,c) done") is None
    assert read(one, "query abc") == ("f", {"name": "abc"})


@pytest.mark.parametrize(("part", "reason"), [
    ("/a(?=b)/ /b/", "it looks ahead or behind"), (r"/a\b/", "it uses an anchor (^, $, \\b)"),
    (r"/(a)\1/", "it refers back to a group"), ('(x "-")* x "-"', "a repeated part can be divided in too many ways"),
])
def test_what_no_pattern_can_tell_is_read_by_lark(part: str, reason: str) -> None:
    """Each event that is left to Lark's parser has its reason noted."""
    assert grammar(f'start: e\ne: "event " {part}\nx: /[a-z-]+/').slow == {"e": reason}


def test_a_grammar_survives_pickling() -> None:
    """Other processes get the grammar compiled; Lark's parser, where one is needed, is built there."""
    one: EventGrammar = pickle.loads(pickle.dumps(grammar(RECURSIVE)))
    assert read(one, "query ((a)) done") == ("e", {"x": "(a)", "name": "a"})
    assert read(one, "query abc") == ("f", {"name": "abc"})


HOSTILE = {
    "free texts": ('"<" a " x " b " y " c ">"', "<" + " x y" * 16_000),
    "classes that overlap": ('a b a b "!"', "ab" * 30_000),
    "spaces": ('a " " b " " c " !"', " " * 65_000),
    "a loop over pairs": ('"set:" (" " a "=" b)* ";"', "set:" + " a=b" * 16_000),
    "a loop that can be divided": ('"set: " (a "-")* ";"', "set: " + "a-" * 400),
    "optional parts": ('["a"] ["a"] ["a"] ["a"] a ["a"] ["a"] ["a"] "!"', "a" * 65_000),
    "nested brackets": ('"q" n', "q" + "(" * 1000),
    "ambiguous brackets": ('"q" m', "q" + "()" * 500),
    "digits": ('"n=" d d d d "!"', "n=" + "1" * 65_000),
}


@pytest.mark.parametrize(("wording", "line"), HOSTILE.values(), ids=HOSTILE)
def test_no_line_keeps_the_reader_busy(wording: str, line: str) -> None:
    """The worst lines for a wording take a bounded time, by construction: seconds would be minutes without bounds."""
    one = grammar(f'start: e\ne: {wording}\na: /[^"]+/\nb: /.+/\nc: /.+/\nd: INT\nn: "(" n ")" | "a"\n'
                  'm: "(" m ")" | m m | "(" ")"')
    start = time.process_time()
    assert read(one, line) is None
    assert time.process_time() - start < 10


def test_lines_above_64_kib_are_not_tried() -> None:
    """A line of exactly 64 KiB is claimed, a longer one is not."""
    one = grammar('start: e\ne: "x" a\na: /.+/')
    assert read(one, "x" * 65_536) is not None
    assert read(one, "x" * 65_537) is None


def test_a_batch_is_read_line_by_line() -> None:
    """A claim on a batch equals the claims on its lines alone; rows rise, each at most once."""
    (pack,) = load_packs(["callcenter"])
    log = (Path(__file__).parent.parent / "golden" / "callcenter" / "sample.log").read_bytes()
    lines = [line for line in log.split(b"\n") for _ in range(2)] * 3
    claims = pack.grammar.claim(lines)
    alone = [(row, found[0], found[1]) for row, line in enumerate(lines) if (found := read(pack.grammar, line))]
    assert list(zip(claims.rows, claims.names, claims.fields, strict=True)) == alone
    assert claims.rows == sorted(set(claims.rows))
    assert pack.grammar.claim([]).rows == []


def test_several_classifiers_are_tried_in_order() -> None:
    """The first grammar that claims a line has it; the others see only what is left; rows stay in order."""
    one, two = grammar('start: e\ne: "a" x\nx: INT'), grammar('start: f\nf: "a" y | "b" y\ny: /[a-z0-9]+/')
    claims = Classifiers([one, two]).claim([b"bx", b"a1", b"c", b"ax"])
    assert (claims.rows, claims.names) == ([0, 1, 3], ["f", "e", "f"])
    assert claims.fields == [{"y": "x"}, {"x": 1}, {"y": "x"}]
    assert Classifiers([]).claim([b"a"]).rows == []


@pytest.mark.parametrize(("text", "message"), [
    ("start: a\na: b\n", "test.lark:2:4: b is used, but not defined; define it, or write text in quotes"),
    ('start: a\na: "x" WORT\n', "test.lark:2:8: WORT is used, but not defined; import it from common or define it"),
    ('start: a\na: "x" (\n', "test.lark:2:9: expecting a value; "
     "see https://lark-parser.readthedocs.io/en/stable/grammar.html"),
    ('start: a\na: "x" f\nf: /[/\n', "test.lark:3:4: /[/ is no regular expression: unterminated character set at "
     "position 0"),
    ('a: "x"\n', "test.lark: the rule start is missing; add start: and the names of the events, with | between them"),
    ("", "test.lark: the rule start is missing; add start: and the names of the events, with | between them"),
    ('start: a "x"\na: "y"\n', "test.lark:1:1: start lists events; expected rules' names with | between them, each "
     "event's text in a rule of its own"),
    ('start: a\na: "x" f\nf: /.*/\n', "test.lark:3:4: /.*/ may match nothing; write it so that it matches at least one "
     "character, and make it optional with [ ] where it is used"),
    ('start: a\na: "x" f\nf: /.+?/\n', "test.lark:3:4: /.+?/ is lazy, but events are read greedily; write a class of "
     "characters that ends by itself, such as /[^ ]+/"),
    ('start: a\na: "x" f\nf: /([a-z]+ ?)*!/\n', "test.lark:3:4: /([a-z]+ ?)*!/ repeats what is repeated in it, and "
     "could take for ever on a long line; write it so that each character can belong to one place only"),
    ('start: a\na: ["x"]\n', "test.lark:2:1: event a would match the empty line; add a text that it always has"),
    ('start: reject\nreject: "x"\n', 'test.lark:2:1: "reject" is the name of records that could not be read; choose '
     "another"),
    ('start: a\na: "x" WS\nWS: / /\n%ignore WS\n', "test.lark:4:1: %ignore has no place in an event grammar, which "
     "reads every character; write the text to skip into the rules"),
    ('start: a\na: "x"\n%import comon.INT\n', "test.lark:3:1: there is no grammar 'comon' to import from; expected "
     "common, or a .lark file beside this one, written %import .file.RULE"),
    ('start: a\na: "x" F\n%declare F\n', "test.lark:3:1: terminal F is declared, but nothing tells what it matches; "
     "define it"),
    ('start: a\na: "x" [f] | "x"\nf: /x/\n', "test.lark:2:1: two alternatives are the same once an optional part is "
     "left out; take the shorter one out"),
    ('start: _g\n_g: _g | a\na: "x"\n', "test.lark:2:1: _g lists itself; take it out"),
    ('start: a\na: ""\n', 'test.lark:2:4: "" is an empty text; take it out, or make what is beside it optional with '
     "[ ]"),
    ('start: a\na: "x"~3..1\n', "test.lark:2:7: a repetition ~ n..m needs m to be n or more; turn the numbers round"),
    ('start: a\na: "x".."yy"\n', 'test.lark:2:7: a range goes from one character to another, such as "a".."z"; write '
     "it so"),
    ('start: a\na: "\\x"\n', "test.lark:2:5: \\x is no escape that Python knows; write a backslash as \\\\"),
])
def test_mistakes_are_told_with_their_place_and_a_way_out(text: str, message: str) -> None:
    """Each mistake in a grammar is one line: file, line and column, what is wrong, and what to do."""
    with pytest.raises(GrammarError) as error:
        EventGrammar.load(text, name="test", path="test.lark")
    assert str(error.value) == message


def test_lines_in_another_encoding() -> None:
    """Grammars see text: what is not UTF-8 is decoded by the source's encoding first."""
    grammar = EventGrammar.load('start: greeted\ngreeted: "hello " name\nname: /.+/', name="g")
    claims = Classifiers([grammar], "latin-1").claim([b"hello caf\xe9", b"hello you"])
    assert [fields["name"] for fields in claims.fields] == ["café", "you"]
