"""What a terminal gets to see."""

import io
import logging
from contextlib import redirect_stderr

import pytest

from logagg.terminal import Painter, SafeFormatter, columns, is_terminal, output, progress, safe, safe_line, say, size


class Screen(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("text", "shown"), [
    ("plain äöü 漢字 🙂", "plain äöü 漢字 🙂"),
    ("a\tb\nc", "a\tb\nc"),
    ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
    ("a\rb", "a\\rb"),
    ("\x9b2J\x7f\x00", "\\x9b2J\\x7f\\x00"),
    ("\u202eevil\u2066", "\\u202eevil\\u2066"),
    ("name\udcff", "name\\udcff"),
])
def test_safe(text: str, shown: str) -> None:
    """Whatever could steer a terminal or reorder a line is printed as an escape, everything else as it is."""
    assert safe(text) == shown


def test_safe_line() -> None:
    """A path with a line end stays on one line."""
    assert safe_line("/var/log/a\nb\t\x1b.log") == "/var/log/a\\nb\\t\\x1b.log"


def test_colours_only_where_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours on a terminal; none in a pipe, with NO_COLOR, or on a dumb terminal."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Painter(Screen())("red", "x") == "\x1b[31mx\x1b[0m"
    assert Painter(io.StringIO())("red", "x") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Painter(Screen())("red", "x") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert Painter(Screen())("red", "x") == "x"


@pytest.mark.parametrize(("stream", "wanted", "shown"), [
    (io.StringIO(), None, False), (io.StringIO(), True, True), (Screen(), None, True), (Screen(), False, False),
])
def test_progress_bar(stream: io.StringIO, wanted: bool | None, shown: bool) -> None:
    """A bar on a terminal or when asked for, nothing at all otherwise; its title cannot steer the terminal."""
    with redirect_stderr(stream):
        bar = progress("read\x1bing", 10, wanted=wanted)
        bar.update(10)
        bar.close()
    assert ("read\\x1bing" in stream.getvalue()) == shown
    assert shown or not stream.getvalue()


def test_say_survives_a_closed_stderr() -> None:
    """A message that nobody can hear is no failure."""
    closed = io.StringIO()
    closed.close()
    with redirect_stderr(closed):
        say("x")
        assert not is_terminal(closed)


def test_columns() -> None:
    """Columns are aligned, numbers at the right."""
    assert columns([("a", "1"), ("bcd", "1,000")]) == ["a        1", "bcd  1,000"]
    assert columns([]) == []


@pytest.mark.parametrize(("n_bytes", "shown"), [
    (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (3 << 40, "3.0 TiB")])
def test_size(n_bytes: int, shown: str) -> None:
    """Sizes for a person."""
    assert size(n_bytes) == shown


def test_a_log_messages_further_lines_are_indented() -> None:
    """A file's name with a line end cannot pass for another message."""
    record = logging.LogRecord("x", logging.WARNING, "", 0, "%s: gone", ("/a\nlogagg: all is well\x1b",), None)
    assert SafeFormatter("logagg: %(message)s").format(record) == "logagg: /a\n    logagg: all is well\\x1b: gone"


def test_data_is_harmless_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program reads goes out as it is; a person's terminal gets escapes, and JSON stays JSON."""
    hostile = "a\x1b[2J\x9b31m\u202eb"
    for make, json_out, text_out in ((io.StringIO, f'{{"m": "{hostile}"}}\n', f"{hostile}\r\n"),
                                     (Screen, '{"m": "a\\u001b[2J\\u009b31m\\u202eb"}\n',
                                      "a\\x1b[2J\\x9b31m\\u202eb\n")):
        monkeypatch.setattr("sys.stdout", screen := make())
        output(json=True).write(f'{{"m": "{hostile}"}}\n')
        output().write(f"{hostile}\r\n")
        assert screen.getvalue() == json_out + text_out
