"""The conversion-pattern language: its pieces, its errors, and what its regular expressions cannot do."""

import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as sre_parse  # type: ignore[import-not-found]

import pytest

from logagg.errors import GrammarError
from logagg.grammar.compiler import FREE_BYTES_MAX, compile_layout
from logagg.grammar.pattern import Converter, Text, parse_pattern


def converters(layout: str, dialect: str = "log4j2") -> list[Converter]:
    return [piece for piece in parse_pattern(layout, dialect) if isinstance(piece, Converter)]


def test_pieces_are_converters_and_texts_in_order() -> None:
    """A layout is cut into converters with their canonical names and the texts between them."""
    assert parse_pattern("%d [%t] %-5p %c - %m%n") == (
        Converter("date", "d", 1), Text(" ["), Converter("thread", "t", 5), Text("] "),
        Converter("level", "p", 9, width_min=5, left=True), Text(" "), Converter("logger", "c", 14), Text(" - "),
        Converter("message", "m", 19), Converter("newline", "n", 21))


@pytest.mark.parametrize(("spellings", "name"), [
    ("%d %date", "date"), ("%p %level", "level"), ("%t %tn %thread %threadName", "thread"), ("%c %logger", "logger"),
    ("%X{a} %mdc{a} %MDC{a}", "mdc"), ("%x %NDC", "ndc"), ("%ex %throwable %exception %xEx %xThrowable %xException",
                                                            "throwable"),
    ("%L %line", "line"), ("%M %method", "method"), ("%F %file", "file"), ("%C %class", "class"),
    ("%pid %processId", "pid"), ("%sn %sequenceNumber", "sequenceNumber"), ("%r %relative", "relative"),
    ("%marker", "marker")])
def test_each_converter_has_its_long_name(spellings: str, name: str) -> None:
    """Short and long spellings of a converter are the same converter."""
    assert {piece.name for piece in converters(spellings)} == {name}


def test_a_name_is_cut_to_its_longest_known_prefix() -> None:
    """`%xwEx` is `%x` and the text wEx, `%mfoo` is `%m` and foo; the text comes behind the options."""
    assert parse_pattern("%xwEx") == (Converter("ndc", "x", 1), Text("wEx"))
    assert parse_pattern("%xEx") == (Converter("throwable", "xEx", 1),)
    assert parse_pattern("%Xfoo{a} b") == (Converter("mdc", "X", 1, ("a",)), Text("foo b"))


def test_widths_and_cuts() -> None:
    """-w, w, 0w, .N (cuts the start) and .-N (cuts the end) are told apart."""
    assert [(piece.width_min, piece.width_max, piece.left, piece.cut_end)
            for piece in converters("%-5p%5p%05L%.30c%20.30c%.-3p%-20.-20t")] == [
        (5, None, True, False), (5, None, False, False), (5, None, False, False), (0, 30, False, False),
        (20, 30, False, False), (0, 3, False, True), (20, 20, True, True)]


def test_options_keep_inner_braces_and_their_order() -> None:
    """Each pair of braces behind a converter is one option; a brace elsewhere is text."""
    assert converters("%d{HH:mm{x}ss}{UTC}")[0].options == ("HH:mm{x}ss", "UTC")
    assert parse_pattern('{"ts":"%d{UNIX}"}')[0] == Text('{"ts":"')
    assert parse_pattern('{"ts":"%d{UNIX}"}')[2] == Text('"}')


def test_percent_signs_and_escapes_are_text() -> None:
    """%% prints a percent sign, \\t a tabulator; a line end in the text is a newline converter."""
    assert parse_pattern("100%% \\t%m") == (Text("100% \t"), Converter("message", "m", 9))
    assert [type(piece).__name__ for piece in parse_pattern("%m\\n")] == ["Converter", "Converter"]


SUPPORTED = ("%c %C %d %endOfBatch %ex %F %fqcn %L %l %m %M %marker %markerSimpleName %n %N %p %pid %r %sn %t %T %tp "
             "%u %X %x")


@pytest.mark.parametrize(("layout", "message"), [
    ("%d %q %m", f"layout, column 4: unknown converter %q in the dialect log4j2; supported: {SUPPORTED}\n"
                 "  %d %q %m\n     ^"),
    ("%m %highlight{%p}", "layout, column 4: %highlight is not supported yet in the dialect log4j2; supported: "
                          f"{SUPPORTED}\n  %m %highlight{{%p}}\n     ^"),
    ("%d{abc %m", "layout, column 3: this brace is never closed; expected '}'\n  %d{abc %m\n    ^"),
    ("abc %", "layout, column 5: the pattern ends inside a converter; expected a converter's name such as %m, or %% "
              "for a percent sign\n  abc %\n      ^"),
    ("50% %m", "layout, column 4: found ' '; expected a converter's name such as %m, or %% for a percent sign\n"
               "  50% %m\n     ^"),
    ("%m %5000c", "layout, column 4: a width above 1000 is not supported\n  %m %5000c\n     ^"),
    ("%m %m", "layout, column 4: the message is printed twice, which is not supported\n  %m %m\n     ^"),
    ("%d{yyyy-bb} %m", "layout, column 1: the letter 'b' in the date format 'yyyy-bb' is not supported; supported: "
                       "y M d D H k h K a m s S n E G z Z X x\n  %d{yyyy-bb} %m\n  ^"),
    ("%p %d{ISO8601}{Mars/Base} %m", "layout, column 4: unknown time zone 'Mars/Base'; expected an IANA name such as "
                                     "Europe/Berlin, UTC, or an offset such as +05:30\n"
                                     "  %p %d{ISO8601}{Mars/Base} %m\n     ^"),
    ("", "layout, column 1: the pattern prints nothing; expected converters such as %d %p %c - %m%n\n  \n  ^"),
])
def test_an_unusable_layout_says_what_where_and_what_instead(layout: str, message: str) -> None:
    """Each mistake is a GrammarError with the column, what was found and what was expected."""
    with pytest.raises(GrammarError) as caught:
        compile_layout(layout)
    assert str(caught.value) == message


@pytest.mark.parametrize(("dialect", "layout", "part"), [
    ("log4j1", "%d %x %m%n", "%x is not supported yet"), ("log4j1", "%d %X %m%n", "without a key is not supported yet"),
    ("log4j1", "%d %pid %m%n", None), ("logback", "%d %-30(%c) %m%n", "found '('"),
    ("logback", "%d (%c) %m%n", "grouping with parentheses"), ("logback", r"%d \(%c\) %m%n%nopex", None),
    ("perl", "%m", "unknown dialect 'perl'; known: log4j2, log4j1, logback")])
def test_other_dialects_share_what_is_the_same_and_refuse_the_rest(dialect: str, layout: str, part: str | None) -> None:
    """What Log4j 1.2 and Logback print otherwise is refused with its column, never read wrongly."""
    if part is None:
        compile_layout(layout, dialect)
        return
    with pytest.raises(GrammarError, match=re.escape(part)):
        compile_layout(layout, dialect)


def test_names_of_dates_follow_the_dialect() -> None:
    """ISO8601 has a T in Log4j 2 and a blank in Log4j 1.2 and Logback; a comma in Logback's %d starts the zone."""
    regexes = [date.regex for layout, dialect in [("%d{ISO8601}", "log4j2"), ("%d{ISO8601}", "log4j1"),
                                                  ("%d{HH:mm:ss,UTC}", "logback")]
               if (date := compile_layout(layout, dialect).date)]
    assert [bool(re.fullmatch(regex, text)) for regex, text in zip(regexes, [
        b"2024-03-08T00:00:00,751", b"2024-03-08 00:00:00,751", b"00:00:00"], strict=True)] == [True] * 3


def test_a_line_end_must_be_one_byte() -> None:
    """UTF-16 and an unknown encoding are refused with what to do."""
    with pytest.raises(GrammarError, match="convert the log to UTF-8 first"):
        compile_layout("%m%n", encoding="utf-16")
    with pytest.raises(GrammarError, match="unknown encoding 'klingon'"):
        compile_layout("%m%n", encoding="klingon")


LAYOUTS = ["%d [%t] %-5p %c - %m%n", "%d{ISO8601} %p %c: %m%n", "%-5p [%t] %d %F:%L - %m%n", "%d %t %t %X{a} %x %m%n",
           "%d %5p %pid --- [%15.15t] %-40.40c{1.} : %m%n%xwEx", "%d - %-5p [%t:%C{1}@%L] - %m%n",
           "%d %-5p %c{2} (%F:%M(%L)) - %m%n", "%d %marker %X %m%n%ex{3}", "%d %20.30c [%-20.20t] %-5p %m%n"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_head_can_backtrack_without_bound(layout: str) -> None:
    """In a scan every repeat that can be given back is bounded, and only one such repeat stands in an atomic group
    before the group's own text: so the work for one line does not grow with the line, whatever it holds."""
    parsed = sre_parse.parse(compile_layout(layout).scan.pattern)
    message = parsed.data.pop()
    assert message[0] is sre.SUBPATTERN, "the message's first line is the only unbounded part"
    assert list(_unbounded(parsed)) == []
    assert max(_free_repeats(parsed), default=0) <= 1


def _children(node: object) -> list[object]:
    if isinstance(node, (tuple, list, sre_parse.SubPattern)):
        return list(node)
    return []


def _unbounded(node: object) -> list[object]:
    """Repeats that may give back and have no bound below 8 KiB."""
    found: list[object] = []
    if isinstance(node, tuple) and len(node) == 2 and node[0] in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        found += [node] if node[1][1] > 8 * FREE_BYTES_MAX else []
    for child in _children(node):
        found += _unbounded(child)
    return found


def _free_repeats(node: object) -> list[int]:
    """How many lazy repeats of anything (a free field) stand side by side in each atomic group."""
    counts: list[int] = []
    if isinstance(node, tuple) and len(node) == 2 and node[0] is sre.ATOMIC_GROUP:
        counts.append(_lazies(node[1]))
    for child in _children(node):
        counts += _free_repeats(child)
    return counts


def _lazies(node: object) -> int:
    if isinstance(node, tuple) and len(node) == 2 and node[0] is sre.ATOMIC_GROUP:
        return 0
    if isinstance(node, tuple) and len(node) == 2 and node[0] is sre.MIN_REPEAT:
        return int(list(node[1][2]) == [(sre.NOT_LITERAL, ord("\n"))])
    return sum(_lazies(child) for child in _children(node))
