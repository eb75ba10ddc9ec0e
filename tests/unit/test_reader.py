"""The block reader: where records begin and end, their columns and parts, rejects, carries."""

import time
import tracemalloc

import pytest

from logagg.errors import GrammarError
from logagg.grammar.body import body
from logagg.grammar.compiler import Layout
from logagg.grammar.decode import Decoder, take_apart
from logagg.grammar.heads import Levels
from logagg.grammar.reader import PARTIAL_LINE_BYTES_MAX, LayoutReader
from logagg.record import Record

PLAIN = "%d{yyyy-MM-dd HH:mm:ss,SSS} %-5p [%t] %c - %m%n"


def line(text: str, second: int = 0, level: str = "INFO ") -> bytes:
    return f"2024-03-08 01:02:{second:02},000 {level} [main] com.acme.A - {text}\n".encode()


def read_all(layout: str | None, block: bytes, base: int = 100, **options: object) -> list[Record]:
    batch = LayoutReader(layout, **options).read(block, base, {}, final=True)  # type: ignore[arg-type]
    assert batch.end == len(block)
    return [batch.record(i) for i in range(len(batch))]


def test_columns_and_record_agree() -> None:
    """Columns hold all heads decoded, `record` the whole of one record; offsets count from the stream's start."""
    block = line("one", 1) + b"  more\n" + line("two", 2, "ERROR")
    batch = LayoutReader(PLAIN).read(block, 1000, {}, final=True)
    assert (list(batch.levels), list(batch.loggers)) == (["INFO", "ERROR"], [b"com.acme.A"] * 2)
    assert list(batch.first_lines) == [b"one", b"two"]
    assert batch.record(0) == Record(
        1000, len(line("one")) + 7, ts_us=1709859721_000000, ts="2024-03-08T01:02:01.000Z", level="INFO",
        logger="com.acme.A", thread="main", message="one\n  more")
    assert batch.record(1).offset == 1000 + len(line("one")) + 7
    assert batch.carry == {"ts": 1709859722_000000}
    assert batch.ts_us[1] == batch.carry["ts"]


def test_many_short_lines_take_little_memory() -> None:
    """A record of a million empty lines takes a few times its bytes, not arrays with a number for each line."""
    block = line("one") + b"\n" * 1_000_000 + line("two")
    tracemalloc.start()
    batch = LayoutReader(PLAIN).read(block, 0, {}, final=True)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(batch), batch.end) == (2, len(block))
    assert peak_bytes < 10 * len(block)


def test_levels_that_differ_in_every_record_cost_no_search() -> None:
    """What stands in a level's place may be any word: four times as many words take about four times as long."""
    def seconds(count: int) -> float:
        raws = [b"L%d " % number for number in range(count)]
        began = time.process_time()
        levels = Levels()
        codes = levels.codes(raws)
        taken = time.process_time() - began
        assert [levels.names[code] for code in codes.tolist()] == [raw.decode().strip() for raw in raws]
        return taken

    assert min(seconds(20_000) for _ in range(3)) < 8 * min(seconds(5000) for _ in range(3))


def test_levels_are_interned() -> None:
    """Equal levels are one object, so that a batch costs no string per record."""
    batch = LayoutReader(PLAIN).read(line("a") + line("b"), 0, {}, final=True)
    assert batch.levels[0] is batch.levels[1]


def test_the_last_record_waits_for_its_end() -> None:
    """Without `final` the last record is left unread; with it, it is read."""
    block = line("one") + line("two") + b"\tat x.Y(Z.java:1)\n"
    reader = LayoutReader(PLAIN)
    open_batch = reader.read(block, 0, {}, final=False)
    assert (len(open_batch), open_batch.end) == (1, len(line("one")))
    rest = reader.read(block[open_batch.end:], open_batch.end, open_batch.carry, final=True)
    assert (len(rest), rest.record(0).message) == (1, "two\n\tat x.Y(Z.java:1)")
    assert len(reader.read(line("only"), 0, {}, final=False)) == 0


def test_lines_without_a_head_are_rejects_one_by_one() -> None:
    """Before the first head each line is a reject `no_layout`, with its first 1000 characters."""
    block = b"JVM 17\n" + b"x" * 3000 + b"\n\n" + line("one")
    records = read_all(PLAIN, block)
    assert [(record.reason, len(record.message or "")) for record in records] == [
        ("no_layout", 6), ("no_layout", 1000), ("no_layout", 0), (None, 3)]
    assert sum(record.size for record in records) == len(block)
    assert body(records[0], None, None) == {"event": "reject", "fields": {"reason": "no_layout"}, "message": "JVM 17"}


def test_body_has_no_key_for_what_is_absent() -> None:
    """The stored body of a record holds what was printed, and event and fields where a grammar claims it."""
    (record,) = read_all("%d{HH:mm} %p %X %m%n", b"10:00 WARN {a=1, b=x=y, z} text\n")
    assert body(record, "low", {"n": 1}) == {"level": "WARN", "message": "text", "mdc": {"a": "1", "b": "x=y, z"},
                                             "event": "low", "fields": {"n": 1}}


def test_a_record_above_the_limit_is_one_reject_through_all_its_blocks() -> None:
    """A record longer than record_bytes_max is a `too_long` reject where it begins; later blocks skip the rest."""
    reader = LayoutReader(PLAIN, record_bytes_max=1000)
    long = line("start") + b"  continuation\n" * 100
    block = line("before") + long
    first = reader.read(block, 0, {}, final=False)
    assert [first.rejects.get(i) for i in range(len(first))] == [None, "too_long"]
    assert (first.end, first.carry["long"], "mid" in first.carry) == (len(block), True, False)
    more = b"  and more\n" * 5
    second = reader.read(more + line("after") + line("last"), first.end, first.carry, final=False)
    assert (second.skipped, list(second.first_lines), "long" in second.carry) == (len(more), [b"after"], False)


def test_a_line_without_an_end_is_cut_and_its_rest_holds_no_head() -> None:
    """A block within one huge line is consumed; the next begins in mid-line, where nothing is taken for a head."""
    reader = LayoutReader(PLAIN, record_bytes_max=1000)
    first = reader.read(line("huge")[:-1] + b"x" * 5000, 0, {}, final=False)
    assert (len(first), first.rejects, first.carry["mid"]) == (1, {0: "too_long"}, True)
    rest = line("not a head, though it looks so")
    second = reader.read(rest + line("after"), first.end, first.carry, final=True)
    assert (second.skipped, list(second.first_lines)) == (len(rest), [b"after"])


def test_a_huge_line_before_any_head_ends_at_its_line_end() -> None:
    """A too long line without a head is a reject of its own; the next line is another one."""
    reader = LayoutReader(PLAIN, record_bytes_max=1000)
    first = reader.read(b"y" * 5000, 0, {}, final=False)
    assert (first.rejects, first.end) == ({0: "too_long"}, 5000)
    second = reader.read(b"yy\nother\n" + line("after"), 5000, first.carry, final=True)
    assert (second.skipped, [second.record(i).reason for i in range(len(second))]) == (3, ["no_layout", None])


def test_half_a_head_is_not_skipped_with_a_long_record() -> None:
    """Inside a too long record a half-written line is left, since it may become a head."""
    reader = LayoutReader(PLAIN, record_bytes_max=1000)
    batch = reader.read(b"  more\n" + line("next")[:20], 0, {"long": True}, final=False)
    assert (batch.end, batch.skipped, batch.carry) == (7, 7, {"long": True})
    assert PARTIAL_LINE_BYTES_MAX > 1000


def test_only_a_line_feed_ends_a_line() -> None:
    """NEL, U+2028, VT, FF, FS and a lone CR stay inside the message."""
    text = "a\x85b\u2028c\x0bd\x0ce\x1cf\rg"
    assert [record.message for record in read_all(PLAIN, line(text) + line("b"))] == [text, "b"]


def test_crlf_ends_are_not_part_of_the_message() -> None:
    """In a CRLF file the line end is cut, a bare LF inside a message stays."""
    block = (line("one")[:-1] + b"\r\n") + (line("two\nthree")[:-1] + b"\r\n")
    batch = LayoutReader(PLAIN).read(block, 0, {}, final=True)
    assert list(batch.first_lines) == [b"one", b"two"]
    assert [batch.record(i).message for i in range(2)] == ["one", "two\nthree"]


TRACE = "java.net.ConnectException: refused\n\tat a.B.c(B.java:1) ~[?:?]\nCaused by: x.Y: z\n\t... 2 more\n"


@pytest.mark.parametrize(("layout", "text", "message", "exception"), [
    ("%d{HH:mm} %m%n", f"text\n{TRACE}", "text", TRACE[:-1]),
    ("%d{HH:mm} %m%n%ex", f"a\n\nb\n{TRACE}", "a\n\nb", TRACE[:-1]),
    ("%d{HH:mm} %m%ex%n", f"text {TRACE}\n", "text", TRACE[:-1]),
    ("%d{HH:mm} %m %ex%n", "text \n", "text", None),
    ("%d{HH:mm} %m%n", "text\njava.lang.NullPointerException\n", "text", "java.lang.NullPointerException"),
    ("%d{HH:mm} %m%n", "### odd ###\n", "### odd ###", None),
    ("%d{HH:mm} %m%n", "text\n### odd ###\n\tat a.B.c(B.java:1)\n", "text", "### odd ###\n\tat a.B.c(B.java:1)"),
    ("%d{HH:mm} %m%n", 'dump:\n"main" #1\n   java.lang.Thread.State: RUNNABLE\n\tat a.B(C)\n\t- locked <0x1> (a.B)\n',
     'dump:\n"main" #1\n   java.lang.Thread.State: RUNNABLE\n\tat a.B(C)\n\t- locked <0x1> (a.B)', None),
    ("%d{HH:mm} %m%n", "x.FooError: 1\n\tat a.B.c(B.java:1)\n", "x.FooError: 1\n\tat a.B.c(B.java:1)", None),
    ("%d{HH:mm} %m%n%ex{none}", "text\n", "text", None),
    ("%d{HH:mm} %m %ex{separator(|)}%n", "text a.BException: x|\tat a.B.c(B.java:1)|\n", "text",
     "a.BException: x|\tat a.B.c(B.java:1)"),
])
def test_message_and_exception_are_told_apart(layout: str, text: str, message: str, exception: str | None) -> None:
    """The printed throwable at a record's end is the exception; what only looks like one stays in the message."""
    (record,) = read_all(layout, f"10:00 {text}".encode())
    assert (record.message, record.exception) == (message, exception)


def test_a_layout_may_print_behind_the_line_end() -> None:
    """With `%m%n%xwEx` a record begins in mid-line, behind the tail of the one before, which belongs to that one."""
    block = b"10:00 one\n[call 7]wEx10:01 two\n[]wEx java.lang.Error: x\n\tat a.B.c(B.java:1)\n10:02 three\n[a, b]wEx"
    records = read_all("%d{HH:mm} %m%n%xwEx", block)
    assert [(record.message, record.ndc, record.exception) for record in records] == [
        ("one", ["call 7"], None), ("two", [], "java.lang.Error: x\n\tat a.B.c(B.java:1)"), ("three", ["a", "b"], None)]
    assert sum(record.size for record in records) == len(block)


def test_a_shortened_trace_may_end_in_the_next_records_line() -> None:
    """%ex{2} prints no last line end: the next head follows the frame in its line."""
    block = b"10:00 one\njava.lang.Error: x\n\tat a.B.c(B.java:1)10:01 two\n10:02 three\n"
    records = read_all("%d{HH:mm} %m%n%ex{2}", block)
    assert [(record.message, record.exception) for record in records] == [
        ("one", "java.lang.Error: x\n\tat a.B.c(B.java:1)"), ("two", None), ("three", None)]


def test_fields_behind_the_message_fill_the_columns_too() -> None:
    """With `%m (%c)` the logger is found behind the message, which does not hold it."""
    block = b"[10:00] INFO started (kafka.Server)\n[10:01] WARN two\nlines (a.B)\n"
    batch = LayoutReader("[%d{HH:mm}] %p %m (%c)%n").read(block, 0, {}, final=True)
    assert list(batch.loggers) == [b"kafka.Server", b"a.B"]
    assert list(batch.first_lines) == [b"started", b"two"]
    assert [batch.record(i).message for i in range(2)] == ["started", "two\nlines"]


def test_other_converters_come_as_extra() -> None:
    """Line, method, file, class, pid and the like are kept under their long names, as text."""
    (record,) = read_all("%d{HH:mm} %pid %sn %r %C.%M(%F:%L) %marker - %m%n",
                         b"10:00 77 5 1234 a.B$C.<init>(B.java:12) AUDIT[ SEC ] - text\n")
    assert record.extra == {"pid": "77", "sequenceNumber": "5", "relative": "1234", "class": "a.B$C",
                            "method": "<init>", "file": "B.java", "line": "12"}
    assert (record.marker, record.message) == ("AUDIT[ SEC ]", "text")


@pytest.mark.parametrize(("thread", "level"), [
    ("a] b [c]", "INFO "), ("[ACTIVE] ExecuteThread: '4' for queue: 'x (y)'", "INFO "),
    ("RequestProcessor:0] WARN fake - x [", "INFO "), ("Thread 1: waiting - idle", "ERROR"), ("", "WARN ")])
def test_threads_may_hold_what_the_layout_prints(thread: str, level: str) -> None:
    """Brackets, dashes and level words in a thread's name do not shift the fields behind it."""
    (record,) = read_all(PLAIN, f"2024-03-08 01:02:03,000 {level} [{thread}] com.acme.A - text ] - x\n".encode())
    assert (record.thread, record.level, record.logger, record.message) == (thread, level.strip(), "com.acme.A",
                                                                            "text ] - x")


@pytest.mark.parametrize("layout", [PLAIN, None, "%d %p [%t] %m (%c)%n"])
def test_a_byte_order_mark_is_part_of_the_first_record(layout: str | None) -> None:
    """A file that begins with a byte order mark has the same records as without it, from offset 0 on."""
    text = line("x") if layout is None or layout == PLAIN else b"2024-03-08 01:02:03,000 INFO [t] x (a.B)\n"
    bare, marked = read_all(layout, text * 2), read_all(layout, b"\xef\xbb\xbf" + text * 2, 0)
    assert [(one.ts, one.level, one.logger, one.thread, one.message, one.reason) for one in marked] == [
        (one.ts, one.level, one.logger, one.thread, one.message, one.reason) for one in bare]
    assert [(one.offset, one.size) for one in marked] == [(0, len(text) + 3), (len(text) + 3, len(text))]
    assert not any(one.reason for one in marked)


def test_invalid_bytes_are_replaced_not_fatal() -> None:
    """Bytes that are not of the encoding become replacement characters; the record is kept."""
    (record,) = read_all(PLAIN, line("x").replace(b"x", b"\xff\xfe"))
    assert record.message == "\ufffd\ufffd"
    (record,) = read_all(PLAIN, line("x").replace(b"x", b"\xe9"), encoding="latin-1")
    assert record.message == "é"


@pytest.mark.parametrize("fill", [b"[", b"] ", b" ", b"[] - ", b"a:", b"a.", b"{a=", b"(", b"a-a.", b"\x00", b"[[]"])
@pytest.mark.parametrize("layout", [PLAIN, "%d [%t] %X{a} %X %x %marker - %m%n", "%d %c{1}:%L (%F:%M) %m%n%ex{3}",
                                    "%d %m [%t] %X{a}%n"])
def test_hostile_lines_are_read_in_bounded_time(layout: str, fill: bytes) -> None:
    """A megabyte of brackets or blanks, in one line or in many, is read and accounted for (the bound is generous)."""
    for head in (b"", b"2024-03-08 01:02:03,000 INFO  [", b"2024-03-08 01:02:03,000 "):
        for size, count in ((1_000_000, 1), (3000, 100)):
            block = (head + fill * (size // len(fill)) + b"\n") * count
            began_s = time.process_time()
            records = read_all(layout, block)
            assert time.process_time() - began_s < 20
            assert sum(record.size for record in records) == len(block)


def test_an_empty_block_has_no_records() -> None:
    """Nothing in, nothing out, and the carry stays."""
    batch = LayoutReader(PLAIN).read(b"", 5, {"ts": 7}, final=True)
    assert (len(batch), batch.end, batch.carry) == (0, 0, {"ts": 7})


def test_a_bad_layout_is_refused_when_the_reader_is_made() -> None:
    """A mistake in layout, zone or encoding shows at once, not with the first block."""
    for options in ({"layout": "%q"}, {"layout": "%m", "encoding": "utf-16"}, {"layout": None, "timezone": "Mars"}):
        with pytest.raises(GrammarError):
            LayoutReader(**options)  # type: ignore[arg-type]
    with pytest.raises(GrammarError, match=r"^unknown time zone 'Mars/Base'; expected an IANA name"):
        LayoutReader("%m%n", timezone="Mars/Base")


def test_one_line_records_take_the_short_way_to_the_same_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a record of one line holds does not depend on whether it was taken apart with care or at once."""
    block = b"\xef\xbb\xbf" + line("one") + line("two", 1, "WARN ")[:-1] + b"\r\n" + line("java.lang.Error: x", 2)
    block += line("a") + b"java.io.IOException: y\n\tat a.B.c(B.java:1)\n" + line("") + line("café…\x00")[:-1]
    short = read_all(PLAIN, block, 0)
    assert [record.level for record in short] == ["INFO", "WARN", "INFO", "INFO", "INFO", "INFO"]
    taken: list[bytes] = []
    monkeypatch.setattr("logagg.grammar.decode.take_apart",
                        lambda layout, text: taken.append(text) or take_apart(layout, text))
    assert read_all(PLAIN, block, 0) == short and len(taken) == 2      # behind the mark, and with a stack trace
    monkeypatch.setattr("logagg.grammar.batch.decoder_of", careful)
    assert read_all(PLAIN, block, 0) == short and len(taken) == 8


def careful(layout: Layout) -> Decoder:
    decoder = Decoder(layout)
    decoder._is_plain = False
    return decoder
