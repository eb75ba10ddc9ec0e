"""A record's bytes -> its body: the parts that are stored and printed, as text.

Most records are one line: their head's match gives everything, nobody looks for a stack trace, and levels, loggers and
threads come from caches (logagg/grammar/plain.py: those of a block together). All others are taken apart with care. All
ways give the same body, which tests compare.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from re import _parser as regex_parser

from logagg.bodies import Body
from logagg.grammar.compiler import BOM, Field, Layout
from logagg.grammar.dates import text_of
from logagg.grammar.plain import PlainLayout
from logagg.grammar.trace import BEFORE_BYTES_MAX, find_exception

TEXTS_MAX = 4096
TEXT_BYTES_MAX = 256

_LINE_END = rb"\r?\n"
_BOM_START = BOM[:1]
_OWN_KEYS = {"level", "logger", "thread"}
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


class Decoder:
    """Makes the bodies of one layout's records. Its caches are bounded."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._texts = {group: _Texts(field, layout.encoding) for group, field in layout.fields.items()}
        names = [layout.fields[group].converter.name for group in layout.head.groupindex]
        own = [name for name in names if name != "date"]
        only_line_end = layout.before == _LINE_END and not layout.behind and layout.separator == b"\n"
        self._is_plain = (only_line_end and layout.has_message and set(own) <= _OWN_KEYS and len(set(own)) == len(own)
                          and layout.date_group in layout.head.groupindex)
        self._date = list(layout.head.groupindex).index(layout.date_group) if self._is_plain else 0
        self._own = [(at, name, self._texts[group]) for at, (group, name)
                     in enumerate(zip(layout.head.groupindex, names, strict=True)) if name in _OWN_KEYS]
        self.plain = PlainLayout.of(layout, self._own_texts) if self._is_plain else None

    def body(self, text: bytes, ts_us: int | None) -> Body:
        """The body of a record, given whole, whose time is `ts_us`: all but its event."""
        if self._is_plain and text.find(b"\n", 0, -1) < 0 and not text.startswith(_BOM_START):
            head = self._layout.head.match(text)
            if head is not None:
                return self._of_line(text, head, ts_us)
        return self._of_parts(take_apart(self._layout, text), ts_us)

    def _of_line(self, text: bytes, head: re.Match[bytes], ts_us: int | None) -> Body:
        body: Body = {}
        if ts_us is not None and (ts := self._ts(ts_us, head[self._date + 1])) is not None:
            body["ts"] = ts
        body |= self._own_texts(head)
        message = text[head.end():]
        if message.endswith(b"\n"):
            message = message[:-2] if message.endswith(b"\r\n") else message[:-1]
        body["message"] = message.decode(self._layout.encoding, "replace")
        return body

    def _own_texts(self, head: re.Match[bytes]) -> dict[str, str]:
        """Level, logger and thread, as far as the head prints them, in its order."""
        values = head.groups()
        return {name: texts[value] for at, name, texts in self._own if (value := values[at]) is not None}

    def _of_parts(self, parts: Parts, ts_us: int | None) -> Body:
        single: dict[str, str] = {}
        mdc: dict[str, str] | None = None
        ndc: list[str] | None = None
        for group, raw in parts.values.items():
            converter = self._layout.fields[group].converter
            text = self._texts[group][raw]
            if converter.name == "mdc":
                mdc = _mdc(mdc, text, converter.options)
            elif converter.name == "ndc":
                ndc = [part for part in text[1:-1].split(", ") if part]
            elif converter.name != "date":
                single.setdefault(converter.name, text)
        body: Body = {
            "ts": None if ts_us is None else self._ts(ts_us, parts.values.get(self._layout.date_group)),
            "level": single.pop("level", None), "logger": single.pop("logger", None),
            "thread": single.pop("thread", None), "message": self._text(parts.message), "mdc": mdc, "ndc": ndc,
            "marker": single.pop("marker", "") or single.pop("markerSimpleName", "") or None,
            "exception": self._text(parts.exception),
            "extra": {name: text for name, text in single.items() if text} or None}
        return {name: part for name, part in body.items() if part is not None}

    def _ts(self, ts_us: int, date: bytes | None) -> str | None:
        if date is None or self._layout.date is None:
            return None
        return text_of(ts_us, self._layout.date.fraction(date))

    def _text(self, raw: bytes | None) -> str | None:
        return None if raw is None else raw.decode(self._layout.encoding, "replace")


@lru_cache(maxsize=512)
def decoder_of(layout: Layout) -> Decoder:
    """The layout's decoder; cached per process, as the layout is."""
    return Decoder(layout)


class _Texts(dict[bytes, str]):
    """What a field printed -> its text without padding; short ones are remembered."""

    def __init__(self, field: Field, encoding: str) -> None:
        self._field, self._encoding = field, encoding

    def __missing__(self, raw: bytes) -> str:
        text = _stripped(raw.decode(self._encoding, "replace"), self._field)
        if len(raw) <= TEXT_BYTES_MAX:
            if len(self) >= TEXTS_MAX:
                self.clear()
            self[raw] = text
        return text


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
