"""A block's records as columns, and one record decoded whole when it is asked for."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from re import _parser as regex_parser

from logagg.columns import NO_TIME, Ints, Spans, as_times, numbers
from logagg.grammar.compiler import BOM, Field, Layout
from logagg.grammar.dates import text_of
from logagg.grammar.trace import BEFORE_BYTES_MAX, find_exception
from logagg.record import Carry, Record

REJECT_CHARS_MAX = 1000

_MDC_PAIR = re.compile(r"(?:^|, )([^\s=,{}]+)=")


@dataclass(frozen=True, slots=True)
class Parts:
    """A record's text taken apart: what each field printed, the message, the exception."""

    values: Mapping[str, bytes]
    message: bytes | None
    exception: bytes | None


def take_apart(layout: Layout, text: bytes) -> Parts:
    """Take the bytes of one whole record apart; they begin with a head, in a file's first record perhaps behind BOM."""
    text = text.removeprefix(BOM)
    head = layout.head.match(text)
    if head is None:
        return Parts({}, text, None)
    values = {group: value for group, value in head.groupdict().items() if value is not None}
    rest = _without(text[head.end():], layout.behind, values)
    found = find_exception(rest, layout.before, layout.separator)
    exception = None
    if found:
        message_end, start, match = found
        exception = rest[start:].rstrip(b"\r\n" + layout.separator)
        values |= {group: value for group, value in match.groupdict().items()
                   if value is not None and group in layout.fields}
        rest = rest[:message_end]
    else:
        rest = _without(rest, layout.before, values)
    return Parts(values, rest if layout.has_message else None, exception)


def _without(text: bytes, printed: bytes, values: dict[str, bytes]) -> bytes:
    """The text without what `printed` (a regex) matches at its end; groups go into `values`."""
    if not printed:
        return text
    pattern, bytes_max = _at_end(printed)
    match = pattern.search(text, max(0, len(text) - bytes_max))
    if match is None:
        return text
    values |= {group: value for group, value in match.groupdict().items() if value is not None}
    return text[:match.start()]


@lru_cache(maxsize=512)
def _at_end(printed: bytes) -> tuple[re.Pattern[bytes], int]:
    """The pattern of what is printed at a text's end, and how many bytes that can be."""
    at_end = printed + rb"\Z"
    return re.compile(at_end), min(BEFORE_BYTES_MAX, regex_parser.parse(at_end).getwidth()[1])


@dataclass
class ColumnBatch:
    """The Batch of logagg.interfaces. `loggers_of` makes the column of loggers when it is asked for."""

    base: int
    block: bytes
    end: int
    texts: Spans
    times: Ints
    level_codes: Ints
    level_names: Sequence[str | None]
    loggers_of: Callable[[], Sequence[bytes | None]]
    first_lines: Spans
    rejects: Mapping[int, str]
    carry: Carry
    skipped: int
    layout: Layout | None
    encoding: str = field(default="utf-8")

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def starts(self) -> Sequence[int]:
        return numbers(self.texts.starts)

    @cached_property
    def ts_us(self) -> Sequence[int | None]:
        return as_times(self.times)

    @cached_property
    def levels(self) -> Sequence[str | None]:
        names = self.level_names
        return [names[code] for code in self.level_codes.tolist()]

    @cached_property
    def loggers(self) -> Sequence[bytes | None]:
        return self.loggers_of()

    def record(self, i: int) -> Record:
        start, stop, time = int(self.texts.starts[i]), int(self.texts.stops[i]), int(self.times[i])
        text = self.block[start:stop]
        if i in self.rejects or self.layout is None:
            message = text[:REJECT_CHARS_MAX * 4].decode(self.encoding, "replace").rstrip("\r\n")
            return Record(self.base + start, stop - start, reason=self.rejects.get(i, "no_layout"),
                          message=message[:REJECT_CHARS_MAX])
        return _record(self.layout, take_apart(self.layout, text), self.base + start, stop - start,
                       None if time == NO_TIME else time)


def _record(layout: Layout, parts: Parts, offset: int, size: int, ts_us: int | None) -> Record:
    single: dict[str, str] = {}
    mdc: dict[str, str] | None = None
    ndc: list[str] | None = None
    for group, raw in parts.values.items():
        each = layout.fields[group]
        text = _stripped(raw.decode(layout.encoding, "replace"), each)
        if each.converter.name == "mdc":
            mdc = _mdc(mdc, text, each.converter.options)
        elif each.converter.name == "ndc":
            ndc = [part for part in text[1:-1].split(", ") if part]
        elif each.converter.name != "date":
            single.setdefault(each.converter.name, text)
    date = parts.values.get(layout.date_group)
    ts = None if ts_us is None or layout.date is None or date is None else text_of(ts_us, layout.date.fraction(date))
    marker = single.pop("marker", "") or single.pop("markerSimpleName", "") or None
    return Record(
        offset, size, ts_us=ts_us, ts=ts, level=single.pop("level", None), logger=single.pop("logger", None),
        thread=single.pop("thread", None), message=_text(parts.message, layout), mdc=mdc, ndc=ndc, marker=marker,
        exception=_text(parts.exception, layout), extra={name: text for name, text in single.items() if text} or None)


def _text(raw: bytes | None, layout: Layout) -> str | None:
    return None if raw is None else raw.decode(layout.encoding, "replace")


def _stripped(text: str, each: Field) -> str:
    """Without padding. A cut start may be a blank of the text's own: taken for that where more of the kind follows."""
    converter = each.converter
    if not converter.width_min:
        return text
    if converter.left:
        return text.rstrip(" ")
    bare = text.lstrip(" ")
    cut = converter.width_max == converter.width_min == len(text) == len(bare) + 1 and not converter.cut_end
    return text if cut and (" " in bare or not bare[0].isalnum()) else bare


def _mdc(mdc: dict[str, str] | None, text: str, options: tuple[str, ...]) -> dict[str, str] | None:
    """`{a=1, b=2}`, or the value of one key; a value may hold commas and equals signs, a key may not."""
    if options and "," not in options[0]:
        return (mdc or {}) | {options[0].partition(":-")[0]: text} if text else mdc
    inner = text[1:-1]
    places = list(_MDC_PAIR.finditer(inner))
    ends = [*(place.start() for place in places[1:]), len(inner)][:len(places)]
    return (mdc or {}) | {place[1]: inner[place.end():end] for place, end in zip(places, ends, strict=True)}
