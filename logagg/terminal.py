"""What a person sees: colours only on a terminal, hostile text made harmless, progress bars only where they help.

Log text may hold escape sequences that move the cursor, set the window's title or hide what stands before them
(CWE-150), and characters that reorder the line (Unicode TR 36, bidirectional controls). On a terminal they are
printed as `\\x1b`; into a file or pipe the bytes go as they are, since a program reads them.
"""

import contextlib
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from typing import IO, Any, ClassVar, Protocol

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_HOSTILE = re.compile(f"[{_CONTROLS}]")
_HOSTILE_IN_LINE = re.compile(f"[\t\n{_CONTROLS}]")

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "hit": "1;31"}


def safe(text: object) -> str:
    """`text` with control characters written as escapes; tabs and line ends stay."""
    return _HOSTILE.sub(_escape, str(text))


def safe_line(text: object) -> str:
    """`text` as one harmless line, for names and paths: tabs and line ends are escaped too."""
    return _HOSTILE_IN_LINE.sub(_escape, str(text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    named = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
    return named or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def safe_json(text: str) -> str:
    """JSON with what json.dumps leaves of control characters (C1, bidirectional) as its escapes: it stays JSON."""
    return _HOSTILE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Out(Protocol):
    """What can be written to."""

    def write(self, text: str, /) -> object: ...


class _Harmless:
    """Writes to a terminal what has been made harmless."""

    def __init__(self, stream: IO[str], escape: Callable[[str], str]) -> None:
        self._stream, self._escape = stream, escape

    def write(self, text: str, /) -> object:
        return self._stream.write(self._escape(text.replace("\r\n", "\n")))


def output(*, json: bool = False) -> Out:
    """The standard output for data that may hold hostile text: harmless on a terminal, elsewhere as it is."""
    if is_terminal(sys.stdout):
        return _Harmless(sys.stdout, safe_json if json else safe)
    return sys.stdout


def is_terminal(stream: IO[Any]) -> bool:
    """Whether a person looks at this stream."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):    # no stream at all (pythonw), or closed
        return False


def colours(stream: IO[Any]) -> bool:
    """Whether to colour: a terminal that can, and NO_COLOR (https://no-color.org) not set."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Painter:
    """Paints text for one stream, or leaves it plain."""

    def __init__(self, stream: IO[Any]) -> None:
        self.on = colours(stream)

    def __call__(self, style: str, text: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.on else text


class Bar(Protocol):
    """A progress bar: `update` by so many units; `close` it or use it as a context."""

    def update(self, n: float = 1) -> Any: ...

    def close(self) -> None: ...


def progress(title: str, total: int | None, unit: str = "B", *, wanted: bool | None = None) -> Bar:
    """A bar on stderr. `wanted` None: only on a terminal; True and False decide."""
    on = is_terminal(sys.stderr) if wanted is None else wanted
    if not on:
        return _NoBar()
    from tqdm import tqdm

    scaled = unit == "B"
    width, height = shutil.get_terminal_size()  # 80 x 24 where the terminal does not know, as in many containers
    bar: Bar = tqdm(desc=safe_line(title), total=total, unit=unit, unit_scale=scaled,
                    unit_divisor=1024 if scaled else 1000, file=sys.stderr, mininterval=0.2, ncols=width, nrows=height)
    return bar


class _NoBar:
    def update(self, n: float = 1) -> None:
        pass

    def close(self) -> None:
        pass


class Bars:
    """One bar after the other for kinds of work that tell what they do, how much is done so far, and the total."""

    _SAID: ClassVar[dict[str, tuple[str, str]]] = {"read": ("reading", "B"), "fold": ("folding", " chunks")}

    def __init__(self, wanted: bool | None) -> None:
        self._wanted = wanted
        self._what, self._done = "", 0
        self._bar: Bar | None = None

    def tell(self, what: str, done: int, total: int) -> None:
        if what != self._what or self._bar is None:
            self.close()
            title, unit = self._SAID.get(what, (what, ""))
            self._bar = progress(title, total or None, unit, wanted=self._wanted)
            self._what, self._done = what, 0
        self._bar.update(done - self._done)
        self._done = done

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def say(text: str = "") -> None:
    """One message for the person, on stderr, harmless and never the cause of a failure."""
    with contextlib.suppress(OSError, ValueError, AttributeError):   # nobody listens any more
        print(safe(text), file=sys.stderr, flush=True)


class SafeFormatter(logging.Formatter):
    """Escapes controls in a log message, and indents its further lines, so that none looks like another message.

    The paths and log text in it are not to be trusted.
    """

    def format(self, record: logging.LogRecord) -> str:
        return safe(super().format(record)).replace("\n", "\n    ")


def log_to_stderr(form: str, level: int) -> None:
    """Send the program's own log messages to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter(form))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def columns(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows as aligned lines; cells that look like numbers stand at the right of their column."""
    rows = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)] if rows else []
    return ["  ".join(_cell(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cell(cell: str, width: int) -> str:
    number = cell[:1].isdigit() and cell.replace(",", "").replace(".", "").replace("%", "").isdigit()
    return cell.rjust(width) if number else cell.ljust(width)


def size(n_bytes: int) -> str:
    """A size for a person: "512 B", "1.5 MiB"."""
    if n_bytes < 1024:
        return f"{n_bytes} B"
    value = float(n_bytes)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} TiB"
