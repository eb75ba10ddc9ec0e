"""Every engine reads the same: heads by arrays as by the regular expression, events of a batch as line by line."""

import json
import random
from collections import Counter
from copy import copy

from hypothesis import example, given, settings
from hypothesis import strategies as st

from logagg.columns import NO_TIME, Spans, as_times
from logagg.grammar.compiler import BOM, compile_layout
from logagg.grammar.events import Classifiers, EventGrammar
from logagg.grammar.heads import Heads, Levels, find_heads
from logagg.grammar.pattern import Converter, Text
from logagg.grammar.reader import LayoutReader
from logagg.grammar.vector import VectorLayout, line_ends
from logagg.record import Carry
from logagg.rollup.metric import Metric, MetricSet
from logagg.rollup.partial import partials
from logagg.rollup.window import LAST_MINUTE

LAYOUTS = [
    ("%d %p [%t] %c: %m%n", "log4j2"),
    ("%d{ISO8601} %-5p [%t] %c{1} - %m%n", "log4j1"),
    ("%d [%t] %-5p %c - %m%n", "log4j1"),
    ("%-4r [%t] %-5p %c - %m%n", "log4j1"),
    ("%d{yyyy-MM-dd HH:mm:ss.SSS} %5p %pid --- [%15.15t] %-40.40c : %m%n", "log4j2"),
    ("%-5p %d{dd/MM/yyyy HH:mm:ss} %c{1}:%L - %m%n", "log4j2"),
    ("[%t] %p|%d{HH:mm:ss,nnnnnn dd.MM.yyyy}|%c|%m%n", "log4j2"),
    ("%d{yyyyMMddHHmmssSSS} %X{id} %level{WARN=Warning} %t %30c> %m%n", "log4j2"),
    ("%d{HH:mm:ss} %p %C.%M(%F:%L) %m%n", "log4j2"),
    ("<%p> %t - %12p@%c@%m%n", "log4j2"),
    ("%d{yyyy-MM-dd'T'HH:mm:ssX} %m%n", "log4j2"),
    ("%d %marker %m (%t)%n", "log4j2"),
    ("%d %p %m%n%X{id}", "log4j2"),
    ("[%-20t] (%T) %d{yyyy-MM-dd HH:mm:ss,SSSSSSSSS} %-10p %m%n", "log4j2"),
    ("%-8c - %p %m%n", "log4j2"),
    ("%d{yyyy-MM-dd HH:mm:ss,SSS}%_%p%_[%t]%_%c%_{0}- %m%n", "log4j2"),
    ("%d{yyyy-MM-dd HH:mm:ss,SSS}%_%p%_%pid --- [%t] %c%_{0}: %m%n", "log4j2"),
    ("[%d{yyyy-MM-dd HH:mm:ss,SSS}][%p%_{0}][%c%_{0}] %m%n", "log4j2"),
    ("%p%_%d{yyyy-MM-dd HH:mm:ss,SSS}%_%pid%_%c%_%m%n", "log4j2"),
]
ZONES = ["UTC", "America/New_York"]
DATES = ["2024-11-03 01:20:07,001", "2024-11-03 01:59:59,999", "2024-11-03 00:59:60,000", "2024-13-41 29:61:61,000",
         "2024-03-10 02:30:00,5", "2024-11-03 01:05:69,123", "2024-11-03 01:05:75,123",
         "2024-11-03 01:05:07,123", "9999-12-31 23:59:60,000", "2026-11-22 13:00:00,123456"]
WORDS = ["main", "w [1]", "x - y", "] a: b", "a", "", "a.b.C", "::std::io: x", "INFO", "é日", "\0", "T" * 70,
         "c" * 600,
         "f" * 1100, "Foo$1", "12", "?", "-7", "a:1", "|", "@x", "Call 1 took 5 ms", "Call one [x] took 1e3 ms",
         "tab\t", "w [1] a: b", "w [1] INFO  a - b", "w [1] a - b", "e" + " " * 50,
         "done", "Door 5 opened", "Call " + "9" * 30 + " took 1 ms"]
LEVELS = ["INFO", "WARN", "ERROR", "Warning", "SEVERE", "X", "NOTICE_1", "FINEST", "verylonglevel", "info", "4"]

GRAMMAR = EventGrammar.load(r"""
start: took | door | said | ended
took: "Call " call " took " ms " ms"
    | "Call " call " [" note "] took " ms " ms"
door: "Door " door_no " opened" [" by " who]
said: who " says " what
ended: "done" | "done " /[^ ]+/
call: /[^ ]+/
ms: NUMBER
note: /[^\]]+/
door_no: INT
who: /\w+/
what: /.+/
%import common (INT, NUMBER)
""", name="engines")
TOGETHER = copy(GRAMMAR)
TOGETHER.together_min = TOGETHER.lines_a_step = 0
METRICS = MetricSet([
    Metric("calls", "counter", ("took", "door"), labels=("level", "event")),
    Metric("took", "distribution", ("took",), field="ms", labels=("host", "note")),
    Metric("doors", "distribution", ("door",), field="door_no"),
    Metric("ended", "counter", ("ended",)),
])


def _head(rng: random.Random, layout: str, dialect: str) -> str:
    """A line as a program might print it, or nearly so."""
    text = ""
    for piece in compile_layout(layout, dialect).pieces:
        if isinstance(piece, Text):
            text += piece.text
        else:
            value = _value(rng, piece)
            text += (value.ljust if piece.left else value.rjust)(piece.width_min)
    return text + rng.choice(["", " ", *WORDS, *(f"{rng.choice(WORDS)} says {rng.choice(WORDS)}",) * 2])


def _value(rng: random.Random, piece: Converter) -> str:
    if piece.name == "date":
        date = rng.choice(DATES)
        pattern = (piece.options or ("DEFAULT",))[0]
        shown = {"DEFAULT": date, "ISO8601": date, "yyyy-MM-dd HH:mm:ss.SSS": date.replace(",", "."),
                 "dd/MM/yyyy HH:mm:ss": f"{date[8:10]}/{date[5:7]}/{date[:4]} {date[11:19]}",
                 "yyyy-MM-dd HH:mm:ss,SSS": date, "HH:mm:ss": date[11:19],
                 "yyyyMMddHHmmssSSS": "".join(filter(str.isdigit, date)),
                 "HH:mm:ss,nnnnnn dd.MM.yyyy": f"{date[11:]}000 {date[8:10]}.{date[5:7]}.{date[:4]}",
                 "yyyy-MM-dd'T'HH:mm:ssX": date[:19].replace(" ", "T") + rng.choice(["Z", "+01"])}
        return shown.get(pattern, date + "000000")
    if piece.name == "blanks":
        return " " * rng.choice([0, 1, 1, 1, 2, 5, 70])
    if piece.name == "level":
        return rng.choice(LEVELS)
    return rng.choice(WORDS)


def _text(rng: random.Random, layout: str, dialect: str) -> bytes:
    lines: list[bytes] = []
    for _ in range(rng.randrange(30)):
        line = _head(rng, layout, dialect) if rng.random() < 0.8 else rng.choice(["\tat a.B.c(B.java:1)", "", *WORDS])
        raw = bytearray(line.encode())
        while raw and rng.random() < 0.2:
            raw[rng.randrange(len(raw))] = rng.choice(b" :]-[a0\n\r\xff\0")
        lines += [bytes(raw)] * rng.choice([1, 1, 1, 3])
    end = rng.choice([b"\n", b"\n", b"\n", b"\r\n"])
    text = rng.choice([b"", b"", b"", BOM]) + end.join(lines) + rng.choice([b"", end, b"\r", b"\n"])
    return text[:len(text) - rng.choice([0, 0, 0, rng.randrange(40)])]


def _shown(heads: Heads, levels: Levels) -> tuple[object, ...]:
    return (heads.starts.tolist(), heads.levels is not None and [levels.names[code] for code in heads.levels],
            heads.loggers is not None and [*heads.loggers], heads.messages is not None and [*heads.messages],
            heads.dates is not None and [*heads.dates])


@settings(max_examples=400, deadline=None, print_blob=True)
@given(st.integers(0, 1 << 32), st.sampled_from(LAYOUTS), st.sampled_from(ZONES), st.booleans())
@example(0, LAYOUTS[0], "UTC", False)
def test_arrays_find_the_heads_that_the_regular_expression_finds(
        seed: int, chosen: tuple[str, str], zone: str, mid: bool) -> None:
    """Starts, levels, loggers, messages, dates, times are the same, whatever the bytes and wherever a block begins."""
    text = _text(random.Random(seed), *chosen)
    layout = compile_layout(*chosen, zone)
    vector = VectorLayout.of(layout)
    if vector is None:
        return
    mark = BOM if text.startswith(BOM) and not mid else b""
    levels, others = Levels(), Levels()
    ends = line_ends(text, len(text))
    assert ends is not None
    found = vector.find(text, ends, levels, mid=mid, mark=mark)
    right = find_heads(layout, text, others, mid=mid, mark=mark)
    assert len(found) == len(right)
    if len(found):
        assert _shown(found, levels) == _shown(right, others)
        if found.times is not None and layout.date is not None:
            assert as_times(found.times) == layout.date.decode([*(right.dates or ())], None)


def test_the_usual_layouts_are_read_with_arrays() -> None:
    """So that the property above says something; three need the regular expression."""
    taken = [VectorLayout.of(compile_layout(*chosen)) is not None for chosen in LAYOUTS]
    assert taken == [True] * 10 + [False] * 3 + [True] * 6


@settings(max_examples=250, deadline=None, print_blob=True)
@given(st.integers(0, 1 << 32), st.sampled_from(LAYOUTS))
def test_batches_claims_and_partials_are_the_same(seed: int, chosen: tuple[str, str]) -> None:
    """A stream cut at random places gives the same records, carries, events and partials by either engine."""
    rng = random.Random(seed)
    text = _text(rng, *chosen)
    cuts = sorted(rng.randrange(len(text) + 1) for _ in range(rng.randrange(3)))
    options = {"dialect": chosen[1], "timezone": rng.choice(ZONES), "encoding": rng.choice(["utf-8", "latin-1"]),
               "record_bytes_max": rng.choice([300, 100_000])}
    fast = LayoutReader(chosen[0], vector_bytes_min=0, **options)           # type: ignore[arg-type]
    slow = LayoutReader(chosen[0], vector_bytes_min=1 << 40, **options)     # type: ignore[arg-type]
    carry, start = Carry(), 0
    for cut in [*cuts, len(text)]:
        block, final = text[start:cut], cut == len(text)
        a, b = (reader.read(block, start, carry, final=final) for reader in (fast, slow))
        assert (a.end, a.carry, a.skipped, dict(a.rejects)) == (b.end, b.carry, b.skipped, dict(b.rejects))
        assert [*a.starts] == [*b.starts]
        assert (a.ts_us, a.levels, a.loggers) == (b.ts_us, b.levels, b.loggers)
        assert [*a.first_lines] == [*b.first_lines]
        assert [a.record(i) for i in range(len(a))] == [b.record(i) for i in range(len(b))]
        claims, others = TOGETHER.claim(a.first_lines), GRAMMAR.claim([*b.first_lines])
        assert (claims.rows, claims.names, claims.fields) == (others.rows, others.names, others.fields)
        assert partials(a, claims, METRICS, "x", "h", carry.get("ts")) == (
            partials(b, others, METRICS, "x", "h", carry.get("ts")))
        json.dumps(a.carry)
        start, carry = start + a.end, a.carry


def _one_by_one(lines: list[bytes]) -> list[tuple[int, str, dict[str, int | float | str]]]:
    """The first wording in order that reads a line, without any dispatch."""
    found = []
    for row, line in enumerate(lines):
        for wording in GRAMMAR.wordings:
            event = wording.read(line.decode("utf-8", "replace")) if len(line) <= wording.line_bytes_max else None
            if event is not None:
                found.append((row, *event))
                break
    return found


@settings(max_examples=200, deadline=None, print_blob=True)
@given(st.integers(0, 1 << 32), st.sampled_from([0, 1 << 40]), st.sampled_from([0, 1, 1 << 40]))
def test_claims_are_those_of_each_line_alone(seed: int, together_min: int, lines_a_step: int) -> None:
    """Dispatch, columns and conversion at once change nothing, nor does a second classifier behind the first."""
    rng = random.Random(seed)
    lines = []
    for _ in range(rng.randrange(40)):
        line = rng.choice([*WORDS, "done", f"Call {rng.choice(WORDS)} took {rng.choice(['5', '5.5', '1e999'])} ms",
                           f"Call a [{rng.choice(WORDS)}] took {rng.randrange(9)} ms", "é says ü", "done x",
                           f"Door {rng.choice(['1', '9' * 25])} opened{rng.choice(['', ' by é', ' by you', 'x'])}"])
        raw = bytearray(line.encode())
        while raw and rng.random() < 0.1:
            raw[rng.randrange(len(raw))] = rng.choice(b" \n\xff\x80C")
        lines.append(bytes(raw))
    right = _one_by_one(lines)
    grammar = copy(GRAMMAR)
    grammar.together_min, grammar.lines_a_step = together_min, lines_a_step
    for claims in (grammar.claim(lines), grammar.claim(Spans.of(lines)), Classifiers([grammar, grammar]).claim(lines)):
        assert [*zip(claims.rows, claims.names, claims.fields, strict=True)] == right
        assert len(claims) == len(right)


@settings(max_examples=100, deadline=None, print_blob=True)
@given(st.integers(0, 1 << 32), st.sampled_from(LAYOUTS[:4]))
def test_records_and_counters_are_what_counting_one_by_one_gives(seed: int, chosen: tuple[str, str]) -> None:
    """Partials, counted from columns, against a count record by record."""
    text = _text(random.Random(seed), *chosen)
    batch = LayoutReader(chosen[0], dialect=chosen[1], vector_bytes_min=0).read(text, 0, {}, final=True)
    claims = GRAMMAR.claim(batch.first_lines)
    records = Counter((ts // 60_000_000, level or "") for i, (ts, level) in
                      enumerate(zip(batch.ts_us, batch.levels, strict=True))
                      if ts is not None and i not in batch.rejects and ts < LAST_MINUTE * 60_000_000)
    calls = Counter((ts // 60_000_000, batch.levels[row] or "", name)
                    for row, name in zip(claims.rows, claims.names, strict=True)
                    if (ts := batch.ts_us[row]) is not None and ts < LAST_MINUTE * 60_000_000
                    and name in ("took", "door"))
    found_records, found_calls = Counter[tuple[object, ...]](), Counter[tuple[object, ...]]()
    for part in partials(batch, claims, METRICS, "x", "h", None):
        content = json.loads(part.data)
        found_records |= {(part.minute, json.loads(labels)["level"]): n
                          for labels, n in content.get("records", {}).items()}
        found_calls |= {(part.minute, json.loads(labels)["level"], json.loads(labels)["event"]): n
                        for labels, n in content.get("calls", {}).items()}
    assert (found_records, found_calls) == (records, calls)
    assert all(time == NO_TIME for time in batch.times[[*batch.rejects]].tolist())
