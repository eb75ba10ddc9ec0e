"""Where records begin in a block, found by one regular expression; what its heads print comes as columns.

This engine reads every layout. logagg/grammar/vector.py reads most of them faster, with the same result.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from logagg.columns import Ints, Spans, ints
from logagg.grammar.compiler import Layout

LEVELS_MAX = 10_000


class Levels:
    """Levels as printed -> codes. `names[code]` is the interned text without padding; code 0 is no level at all."""

    def __init__(self) -> None:
        self.names: list[str | None] = [None]
        self._code_of: dict[bytes, int] = {}
        self._code_of_name: dict[str, int] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._code_of)

    def code(self, raw: bytes) -> int:
        code = self._code_of.get(raw)
        return self._add(raw) if code is None else code

    def codes(self, raws: Iterable[bytes]) -> Ints:
        return ints([self.code(raw) for raw in raws])

    def _add(self, raw: bytes) -> int:
        with self._lock:
            name = raw.strip(b" ").decode("utf-8", "replace")
            code = self._code_of_name.setdefault(name, len(self.names))
            if code == len(self.names):
                self.names.append(name)
            self._code_of[raw] = code
            return code


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of a block as columns of equal length; None for what the head does not print.

    `times` is there where an engine has decoded the dates already, all of them usual ones; else `dates` are printed.
    """

    starts: Ints
    levels: Ints | None = None
    loggers: Sequence[bytes] | None = None
    messages: Spans | None = None
    dates: Sequence[bytes] | None = None
    times: Ints | None = None

    def __len__(self) -> int:
        return len(self.starts)


NO_HEADS = Heads(np.zeros(0, np.int64))


def find_heads(layout: Layout, block: bytes, levels: Levels, *, mid: bool, mark: bytes) -> Heads:
    """All heads of a block, which begins a line unless `mid`; a byte order mark belongs to the head behind it."""
    text, shift = (block, 0) if mid else (b"\n" + block[len(mark):], 1 - len(mark))
    rows: list[tuple[Any, ...]] = [(match.start(1) - shift, match.end() - shift, *match.groups())
                                   for match in layout.scan.finditer(text)]
    while rows and rows[-1][0] >= len(block):  # a layout that matches the empty line behind the end
        rows.pop()
    if not rows:
        return NO_HEADS
    starts, stops, _, *columns = zip(*rows, strict=True)
    printed = dict(zip((*layout.columns, "message"), columns, strict=False))
    ends = ints(stops)
    return Heads(
        starts=starts_behind(mark, ints(starts)),
        levels=levels.codes(printed["level"]) if "level" in printed else None,
        loggers=printed.get("logger"),
        messages=first_lines(block, ends - ints([*map(len, printed["message"])]), ends)
        if layout.has_message else None,
        dates=printed.get("date"))


def starts_behind(mark: bytes, starts: Ints) -> Ints:
    """Where heads start, if the first one that stands behind a byte order mark begins with it."""
    if mark and len(starts) and starts[0] == len(mark):
        starts[0] = 0
    return starts


def first_lines(block: bytes, starts: Ints, stops: Ints) -> Spans:
    """The messages' first lines without their line ends."""
    if b"\r" not in block:
        return Spans(block, starts, stops)
    ends = np.frombuffer(block, np.uint8)[np.maximum(stops - 1, 0)]
    stops = stops - ((ends == 13) & (stops > starts))
    if len(stops) and block[-1:] == b"\r" and stops[-1] == len(block) - 1 and b"\r\n" not in block:
        stops[-1] += 1  # no line end, as it seems
    return Spans(block, starts, stops)
