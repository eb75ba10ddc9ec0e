"""Which stream a file is: tables of cases, no files."""

import pytest

from logagg.record import Stream
from logagg.source.identity import (
    TOO_SHORT,
    Continue,
    Copy,
    Facts,
    Holder,
    New,
    Prints,
    Wait,
    advance,
    first_line,
    identify,
    line_text,
    new_stream,
    stream_id,
    window_hash,
)

BANNER = b"banner\n"


def stream_of(content: bytes, *, n: int = 0, path: str = "/a.log") -> Stream:
    """The state of a stream with this content committed."""
    line = first_line(content) or b""
    stream = new_stream("app", "host", path, line, n)
    head, windows, end_window = advance(stream, b"", content)
    end = len(content)
    return Stream(stream.id, "host", "app", path, stream.first_line, n, 1, end, end, {}, head, windows, end_window)


def window_of(content: bytes):  # type: ignore[no-untyped-def]
    return lambda end: window_hash(content[max(0, end - 4096) : end]) if end <= len(content) else None


def facts_of(content: bytes, path: str = "/a.log", left: frozenset[str] = frozenset()) -> Facts:
    line = line_text(first_line(content) or b"")
    return Facts(path, len(content), content[:1024], window_of(content), left, line)


def holder_of(content: bytes) -> Holder:
    return Holder(len(content), window_of(content))


def text(name: bytes, size: int) -> bytes:
    """A banner, then lines that bear a name."""
    lines = b"".join(b"%s %d\n" % (name, i) for i in range(size // len(name)))
    return (BANNER + lines)[:size]


A, B = text(b"aaaa", 20_000), text(b"bbbb", 20_000)

CASES = {
    "no stream yet": (facts_of(A), [], {}, New(0)),
    "same path, nothing new": (facts_of(A), [stream_of(A)], {}, Continue(stream_of(A))),
    "same path, grown": (facts_of(A + b"x\n"), [stream_of(A)], {}, Continue(stream_of(A))),
    "renamed, grown": (facts_of(A + b"x\n", "/a.log.1"), [stream_of(A)], {}, Continue(stream_of(A))),
    "shrunk in place": (facts_of(A[:9000]), [stream_of(A)], {}, New(1)),
    "emptied to the banner in place": (facts_of(BANNER), [stream_of(A)], {}, New(1)),
    "other content at the same path": (facts_of(B), [stream_of(A)], {}, New(1)),
    "the second of two": (facts_of(B), [stream_of(A), stream_of(B, n=1)], {}, Continue(stream_of(B, n=1))),
    "the third of two": (facts_of(text(b"c", 9000)), [stream_of(A), stream_of(B, n=1)], {}, New(2)),
    "differs only in the last window": (facts_of(A[:-1] + b"!"), [stream_of(A)], {}, New(1)),
    "partial copy elsewhere": (facts_of(A[:9000], "/b"), [stream_of(A)], {}, Copy(stream_of(A))),
    "full copy of a file that is read": (
        facts_of(A, "/b"), [stream_of(A)], {stream_of(A).id: holder_of(A + b"x\n")}, Copy(stream_of(A)),
    ),
    "longer than the file that is read": (
        facts_of(A + b"x\n", "/b"), [stream_of(A)], {stream_of(A).id: holder_of(A)}, Continue(stream_of(A)),
    ),
    "copy of a file that was emptied": (
        facts_of(A + b"x\n", "/b"), [stream_of(A)], {stream_of(A).id: holder_of(BANNER)}, Continue(stream_of(A)),
    ),
    "copy of a file that was emptied and is longer again": (
        facts_of(A + b"x\n", "/b"), [stream_of(A)], {stream_of(A).id: holder_of(B + B)}, Continue(stream_of(A)),
    ),
    "alike up to the last common window only": (
        facts_of(A[:9000] + b"!\n", "/b"), [stream_of(A)], {stream_of(A).id: holder_of(A)}, New(1),
    ),
    "banner only, elsewhere": (facts_of(BANNER, "/b"), [stream_of(A)], {}, Wait(TOO_SHORT)),
    "banner and more, elsewhere": (facts_of(B[:60], "/b"), [stream_of(A)], {}, New(1)),
    "exact before the banner's stream": (
        facts_of(A, "/c"), [stream_of(BANNER, path="/b"), stream_of(A, n=1)], {}, Continue(stream_of(A, n=1)),
    ),
    "a copy, although a short stream would fit": (
        facts_of(A[:9000], "/c"), [stream_of(BANNER, path="/b"), stream_of(A, n=1)], {}, Copy(stream_of(A, n=1)),
    ),
    "banner at the path that the stream left": (
        facts_of(BANNER, left=frozenset([stream_of(A).id])), [stream_of(A, path="/a.log.1")], {}, New(1),
    ),
    "restored at the path that the stream left": (
        facts_of(A, left=frozenset([stream_of(A).id])), [stream_of(A, path="/a.log.1")], {}, Continue(
            stream_of(A, path="/a.log.1")),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_identify(name: str) -> None:
    """Each case is decided as its name says a person would."""
    facts, candidates, held, expected = CASES[name]
    assert identify(facts, candidates, held) == expected


def test_stored_bytes_tell_a_generation_from_a_copy() -> None:
    """Where the windows end too early to tell, the bytes in the store do."""
    stored = lambda stream, end: window_of(A)(end)  # noqa: E731
    copy, other = facts_of(A[:1500], "/b"), facts_of(A[:1499] + b"!", "/b")
    assert isinstance(identify(copy, [stream_of(A)], {}, stored), Copy)
    assert identify(other, [stream_of(A)], {}, stored) == New(1)
    assert isinstance(identify(other, [stream_of(A)], {}), Copy)
    compressed = {stream_of(A).id: Holder(len(A), lambda end: None)}     # a holder that shows no windows
    assert isinstance(identify(copy, [stream_of(A)], compressed, stored), Copy)
    assert identify(other, [stream_of(A)], compressed, stored) == New(1)


@pytest.mark.parametrize(("head", "line"), [
    (b"", None),
    (b"abc", None),
    (b"abc\ndef", b"abc"),
    (b"abc\r\n", b"abc"),
    (b"\nabc", b""),
    (b"x" * 1023, None),
    (b"x" * 1024, b"x" * 1024),
    (b"x" * 2000 + b"\n", b"x" * 1024),
])
def test_first_line(head: bytes, line: bytes | None) -> None:
    """The first line is complete with its end, or with 1 KiB."""
    assert first_line(head) == line


def test_stream_ids_differ_by_each_part() -> None:
    """app, host, line and n all count, and cannot be shifted into each other."""
    parts = [("a", "h", b"l", 0), ("b", "h", b"l", 0), ("a", "i", b"l", 0), ("a", "h", b"m", 0), ("a", "h", b"l", 1),
             ("ah", "", b"l", 0), ("a", "hl", b"", 0)]
    assert len({stream_id(*part) for part in parts}) == len(parts)
    assert stream_id("a", "h", b"l", 0) == "8cc957342c5eaf1055d82a2d3cdee0fe"


def test_line_text_shows_what_is_not_utf8() -> None:
    """A first line is kept as text whatever its bytes are."""
    assert line_text("grüße ".encode() + b"\xff\x00") == "grüße \\xff\x00"


@pytest.mark.parametrize("step", [1, 7, 1000, 1024, 4096, 5000, 100_000])
def test_windows_do_not_depend_on_how_the_bytes_came(step: int) -> None:
    """Committed in pieces of any size, a stream has the same head and windows as at once, also as `Prints`."""
    content = B[:1100] if step == 1 else A + B
    whole = stream_of(content)
    state, prints = new_stream("app", "host", "/a.log", b"banner", 0), Prints(frozenset({5000}))
    for at in range(0, len(content), step):
        data = content[at : at + step]
        head, windows, end_window = advance(state, content[max(0, at - 4096) : at], data)
        end = at + len(data)
        state = Stream(state.id, "host", "app", "/a.log", "banner", 0, 1, end, end, {}, head, windows, end_window)
        prints.add(data)
    assert (state.head, state.windows, state.end_window) == (whole.head, whole.windows, whole.end_window)
    assert sorted(state.windows) == [1024 << k for k in range(7) if 1024 << k <= len(content)]
    assert (prints.head, prints.size) == (whole.head, whole.end)
    assert {end: prints.window(end) for end in state.windows} == state.windows
    assert prints.window(len(content)) == whole.end_window
    assert prints.window(5000) == window_of(content)(5000)


def test_open_chunk_read_again() -> None:
    """Where an open chunk is replaced by a longer one, the windows are those of reading once."""
    first = stream_of(A[:5000])
    state = Stream(first.id, "host", "app", "/a.log", "banner", 0, 1, 5000, 900, {}, first.head, first.windows,
                   first.end_window)
    head, windows, end_window = advance(state, A[:900], A[900:])
    whole = stream_of(A)
    assert (head, windows, end_window) == (whole.head, whole.windows, whole.end_window)
