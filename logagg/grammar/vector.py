"""Where records begin in a block, found for all its lines at once with arrays; the same heads as by the regular
expression of the layout (logagg/grammar/heads.py), which decides on each line that is not plainly one or the other.

A layout is taken that prints one date of fixed width, one level, and fields that end where the text behind them begins.
A line is plain where each field ends at the first place that its pattern would try: a regular expression takes the
first reading that fits, so there it reads the same.
"""

import re
from collections.abc import Sequence

import numpy as np

from logagg.columns import NO_TIME, Ints, Spans, ints, lowest, numbers, packed
from logagg.grammar.compiler import Layout
from logagg.grammar.cursor import Cursor
from logagg.grammar.heads import NO_HEADS, Heads, Levels, first_lines, starts_behind
from logagg.grammar.steps import Step, steps_of


class VectorLayout:
    """A layout's steps; `VectorLayout.of` answers None for a layout that only its regular expression reads."""

    def __init__(self, layout: Layout, steps: Sequence[Step]) -> None:
        self._layout, self._steps = layout, steps
        self._date_bytes = len(layout.date.digits or b"") if layout.date else 0
        self._names = ["row", "message", *layout.columns]
        self._names += ["time"] * ("date" in layout.columns) + ["logger_stop"] * ("logger" in layout.columns)

    @classmethod
    def of(cls, layout: Layout) -> "VectorLayout | None":
        plain = layout.has_message and not layout.late and layout.scan.pattern.startswith(b"\\n()")
        steps = steps_of(layout) if plain else None
        return None if steps is None else cls(layout, steps)

    def find(self, block: bytes, ends: Ints, levels: Levels, *, mid: bool, mark: bytes) -> Heads:
        """All heads of a block, whose line ends are known and which begins a line unless `mid`; a byte order mark
        belongs to the head behind it."""
        starts, stops = _lines(block, ends, mid=mid, mark=mark)
        cursor = Cursor(block, starts, stops, levels)
        left = len(starts) > 0 and all(step.run(cursor) for step in self._steps)
        columns = {**cursor.columns, "row": cursor.rows, "message": cursor.at} if left else {}
        if cursor.doubtful:
            columns = self._decided(cursor, starts, stops, columns)
        if not columns:
            return NO_HEADS
        rows, date = columns["row"], columns.get("date")
        return Heads(
            starts=starts_behind(mark, starts[rows]),
            levels=columns.get("level"),
            loggers=Spans(block, columns["logger"], columns["logger_stop"]) if "logger" in columns else None,
            messages=first_lines(block, columns["message"], stops[rows]),
            dates=None if date is None else Spans(block, date, date + self._date_bytes),
            times=None if cursor.odd_dates else columns.get("time"))

    def _decided(self, cursor: Cursor, starts: Ints, stops: Ints, plain: dict[str, Ints]) -> dict[str, Ints]:
        """The columns with those doubtful lines that the regular expression takes for heads."""
        found: dict[str, list[int]] = {name: [] for name in self._names}
        for row in numbers(np.concatenate(cursor.doubtful)):
            start = int(starts[row])
            match = self._layout.scan.match(b"\n" + cursor.block[start:int(stops[row])])
            if match:
                for name, value in self._columns(match, start - 1, cursor).items():
                    found[name].append(value)
                found["row"].append(row)
        columns = {name: np.concatenate((plain.get(name, ints(())), ints(values))) for name, values in found.items()}
        order = np.argsort(columns["row"])
        return {name: column[order] for name, column in columns.items()} if len(order) else {}

    def _columns(self, match: re.Match[bytes], shift: int, cursor: Cursor) -> dict[str, int]:
        """What one head prints, as in the cursor's columns."""
        columns = {"message": match.start(len(self._layout.columns) + 2) + shift}
        for group, name in enumerate(self._layout.columns, 2):
            if name == "level":
                columns["level"] = cursor.levels.code(match[group])
                continue
            columns[name] = match.start(group) + shift
            if name == "logger":
                columns["logger_stop"] = match.end(group) + shift
            elif self._layout.date:
                time = self._layout.date.usual_us(match[group])
                cursor.odd_dates |= time is None and self._layout.date.full
                columns["time"] = NO_TIME if time is None else time
        return columns


def line_ends(block: bytes, most: int) -> Ints | None:
    """Where the line ends of a block are; None where there are more than so many. Those of 64 bytes are bits of one
    number, of which the lowest are taken in turn."""
    bits = packed(np.frombuffer(block, np.uint8) == 10)
    places = np.flatnonzero(bits != 0)
    found, count, left = [ints(())], 0, bits[places]
    while len(left):
        found.append(places * 64 + lowest(left))
        count += len(left)
        if count > most:
            return None
        left &= left - np.uint64(1)
        more = left != 0
        places, left = places[more], left[more]
    return np.sort(np.concatenate(found), kind="stable")


def _lines(block: bytes, ends: Ints, *, mid: bool, mark: bytes) -> tuple[Ints, Ints]:
    """Where lines start and where they end, without their line ends; those whose start was in an earlier block not."""
    starts = np.concatenate((ints([len(mark)]), ends + 1))
    stops = np.append(ends, len(block))
    kept = slice(int(mid), len(starts) - int(starts[-1] >= len(block)))
    return starts[kept], stops[kept]
