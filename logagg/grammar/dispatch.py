"""Which wordings to try on which lines, by the bytes that they begin with; and the lines as a matcher reads them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np

from logagg.columns import Ints, Known, Spans, ints, low_bytes, windows
from logagg.grammar.claims import EventGroup
from logagg.grammar.earley import LarkWording
from logagg.grammar.lines import BEFORE_BYTES, MARGIN_BYTES, Lines
from logagg.grammar.wording import Fields, Value, Wording

AnyWording = Wording | LarkWording
Tries = Iterator[tuple[Ints, tuple[AnyWording, ...]]]

_KEY_BYTES = 3  # shorter literal texts at the start tell too little: such wordings are tried on every line


@dataclass(frozen=True, slots=True)
class _Keyed:
    """Wordings by the first `key_bytes` of their lines: `choices[by_key[key]]`, or `choices[0]` for other lines."""

    key_bytes: int
    by_key: dict[bytes, int]
    choices: tuple[tuple[AnyWording, ...], ...]


def _keyed(wordings: Sequence[AnyWording], least: int, most: int) -> _Keyed:
    """Tell wordings apart by as many bytes as all have whose literal start has at least `least`, at most `most`."""
    shortest = [min(map(len, one.prefixes)) for one in wordings]
    key_bytes = min([most, *(size for size in shortest if size >= least)])
    cut = [{prefix[:key_bytes] for prefix in one.prefixes} if size >= least else None
           for one, size in zip(wordings, shortest, strict=True)]
    keys = sorted({key for some in cut if some for key in some})
    choices = [tuple(one for one, some in zip(wordings, cut, strict=True) if some is None or key in some)
               for key in (None, *keys)]
    return _Keyed(key_bytes, {key: number for number, key in enumerate(keys, 1)}, tuple(choices))


class Dispatch:
    """Two steps: by at most eight bytes that nearly all wordings have, for all lines at once; then by those that tell
    apart what begins alike, line by line."""

    def __init__(self, wordings: Sequence[AnyWording]) -> None:
        first = _keyed(wordings, _KEY_BYTES, 8)
        keys = {int.from_bytes(key, "little"): number for key, number in first.by_key.items()}
        self._mask = low_bytes(np.array([first.key_bytes]))
        self._known = Known(sorted(keys)) if keys else None
        self._others = first.choices[0]
        self._first = first
        self._seconds = [_keyed(first.choices[keys[key]], first.key_bytes + 4, 1 << 16) for key in sorted(keys)]

    def each(self, lines: Spans) -> Iterator[tuple[int, bytes, tuple[AnyWording, ...]]]:
        """Line by line what to try on it; faster where they are few."""
        first = self._first
        for row, line in enumerate(lines):
            wordings = first.choices[first.by_key.get(line[:first.key_bytes], 0)]
            if wordings:
                yield row, line, wordings

    def tries(self, lines: Spans) -> Tries:
        """Each line's number at most once, with what to try on it, in turn."""
        if self._known is None:
            yield np.arange(len(lines)), self._others
            return
        places, known = self._known.find(windows(lines.block, lines.starts) & self._mask)
        if self._others:
            yield np.flatnonzero(~known), self._others
        rows = np.flatnonzero(known)
        for place, some in _parted(rows, places[rows]):
            yield from _tries(self._seconds[place], lines, some)


def _tries(second: _Keyed, lines: Spans, rows: Ints) -> Tries:
    if len(second.choices) < 3:     # the last has all that the others have: where there is one key, all lines try it
        yield rows, second.choices[-1]
        return
    block, size, number = lines.block, second.key_bytes, second.by_key.get
    numbers = np.array([number(block[start:start + size], 0) for start in lines.starts[rows].tolist()])
    for choice, some in _parted(rows, numbers):
        if second.choices[choice]:
            yield some, second.choices[choice]


def _parted(rows: Ints, numbers: Ints) -> Iterator[tuple[int, Ints]]:
    """The rows of each number, in their order."""
    if not len(rows):
        return
    few_bits = np.min_scalar_type(int(numbers.max()))       # which are sorted several times faster
    order = np.argsort(numbers.astype(few_bits), kind="stable")
    sorted_numbers = numbers[order]
    borders = np.flatnonzero(np.diff(sorted_numbers)) + 1
    for some in np.split(order, borders):
        yield int(numbers[some[0]]), rows[some]


PLAN_LINE_BYTES_MAX = 1024
"""Longer lines are left to the pattern: arrays look at 64 bytes of them at a time."""

PATTERN_LINES_MIN = 32
"""For fewer lines the block is not turned into text."""

AT_ONCE = 256
"""So many matches are alive at a time that Python's collector of cycles does not wake up to look at them."""


def _joined(groups: Sequence[EventGroup]) -> dict[str, Sequence[Value | None]]:
    """The columns of several groups, one behind the other."""
    columns: dict[str, list[Value | None]] = {name: [] for group in groups for name in group.columns}
    for group in groups:
        for name, column in columns.items():
            column += group.columns.get(name) or [None] * len(group.rows)
    return {**columns}


class Reading:
    """Lines of a batch, read by wordings: with arrays where the wording has a plan, else by its pattern on the block as
    text. Lines that are not ASCII are decoded one by one; what is no UTF-8 is read as U+FFFD."""

    def __init__(self, lines: Spans, lines_a_step: int) -> None:
        """A plan is used on at least `lines_a_step` lines for each of its steps."""
        self._lines_a_step = lines_a_step
        self._block, self._starts, self._stops = lines.block, lines.starts, lines.stops
        sizes = lines.stops - lines.starts
        self._longest = int(sizes.max(initial=0))
        self._wide = np.zeros(len(lines), bool)
        if not self._block.isascii():
            wide = np.flatnonzero(np.frombuffer(self._block, np.uint8) > 127)
            self._wide = np.searchsorted(wide, self._starts) != np.searchsorted(wide, self._stops)
        self._plain = ~self._wide & (self._starts >= BEFORE_BYTES) & (self._stops <= len(self._block) - MARGIN_BYTES)
        if self._longest > PLAN_LINE_BYTES_MAX:
            self._plain &= sizes <= PLAN_LINE_BYTES_MAX

    @cached_property
    def _text(self) -> str:
        return self._block.decode("latin-1")

    def claims(self, rows: Ints, wordings: Sequence[AnyWording]) -> Iterator[EventGroup]:
        """The claims of wordings tried in turn on some lines: the first that reads a line has it."""
        for wording in wordings:
            if not len(rows):
                return
            found = [*self._read(self._short(rows, wording), wording)]
            yield from found
            if found and wording is not wordings[-1]:
                rows = np.setdiff1d(rows, np.concatenate([group.rows for group in found]), assume_unique=True)

    def _short(self, rows: Ints, wording: AnyWording) -> Ints:
        """Those lines that are not too long for the wording."""
        if self._longest <= wording.line_bytes_max:
            return rows
        return ints(rows[self._stops[rows] - self._starts[rows] <= wording.line_bytes_max])

    def _read(self, rows: Ints, wording: AnyWording) -> Iterator[EventGroup]:
        """The claims of one wording."""
        if isinstance(wording, LarkWording):
            yield from self._read_decoded(rows, wording)
            return
        plan = wording.plan
        if plan is not None and len(rows) >= self._lines_a_step * plan.size:
            plain = self._plain[rows]
            some = rows[plain]
            lines = Lines(self._block, some, self._starts[some], self._stops[some])
            yield EventGroup(wording.event, *plan.read(lines))
            rows = np.sort(np.concatenate([rows[~plain], *lines.doubtful]))
        wide = self._wide[rows] if len(rows) >= PATTERN_LINES_MIN else np.ones(len(rows), bool)
        yield from self._read_matched(self._with_needle(rows[~wide], wording), wording)
        yield from self._read_decoded(rows[wide], wording)

    def _with_needle(self, rows: Ints, wording: Wording) -> Ints:
        """Those lines that have the literal text that the wording has."""
        needle, find = wording.needle, self._block.find
        if all(needle in prefix for prefix in wording.prefixes):
            return rows
        places = zip(self._starts[rows].tolist(), self._stops[rows].tolist(), strict=True)
        return ints(rows[np.array([find(needle, start, stop) >= 0 for start, stop in places], bool)])

    def _read_matched(self, rows: Ints, wording: Wording) -> Iterator[EventGroup]:
        """The claims on lines that are ASCII, by the wording's pattern."""
        parts = [self._read_some(rows[at:at + AT_ONCE], wording) for at in range(0, len(rows), AT_ONCE)]
        if parts:
            yield EventGroup(wording.event, np.concatenate([part.rows for part in parts]), _joined(parts))

    def _read_some(self, rows: Ints, wording: Wording) -> EventGroup:
        places = self._starts[rows].tolist(), self._stops[rows].tolist()
        matches = [*map(wording.shape.pattern.fullmatch, repeat(self._text), *places)]
        found = [*filter(None, matches)]
        if len(found) < len(matches):
            rows = rows[np.array([match is not None for match in matches], bool)]
        return EventGroup(wording.event, rows, wording.shape.columns(found))

    def _read_decoded(self, rows: Ints, wording: AnyWording) -> Iterable[EventGroup]:
        return read_each((row, self._block[self._starts[row]:self._stops[row]], (wording,)) for row in rows.tolist())


def read_each(lines: Iterable[tuple[int, bytes, Sequence[AnyWording]]]) -> list[EventGroup]:
    """The claims of lines one by one; each comes with its number and what to try on it, in turn."""
    found: dict[tuple[str, tuple[str, ...]], tuple[list[int], list[Fields]]] = {}
    for row, line, wordings in lines:
        for wording in wordings:
            if wording.needle not in line or len(line) > wording.line_bytes_max:
                continue
            claim = wording.read(line.decode("utf-8", "replace"))
            if claim is not None:
                rows, claims = found.setdefault((claim[0], tuple(claim[1])), ([], []))
                rows.append(row)
                claims.append(claim[1])
                break
    return [EventGroup(event, ints(rows), {name: [claim[name] for claim in claims] for name in names})
            for (event, names), (rows, claims) in found.items()]
