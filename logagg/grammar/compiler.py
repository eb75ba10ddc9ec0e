"""A layout's pieces -> regular expressions over bytes.

A record's *head* is all that is printed up to the message's first line; the *after* is what follows the message: its
line end, further fields, and the throwable that Log4j appends where a pattern prints none itself.

Two kinds of fields: *strict* ones have an alphabet of their own (a date, a level, a logger without blanks); *free* ones
(a thread's name, an MDC value) may hold anything but a line end. A free field ends at the first place where the text
behind it and all strict fields up to the next free one fit; that choice is atomic. So a head costs at most
FREE_BYTES_MAX places times NAME_BYTES_MAX bytes per free field, however hostile the line, and never the product of two
free fields.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from logagg.errors import GrammarError
from logagg.grammar.dateformat import DateError, parse_zone
from logagg.grammar.dates import DateFormat
from logagg.grammar.pattern import Converter, Piece, Text, parse_pattern, refuse

FREE_BYTES_MAX = 1024
NAME_BYTES_MAX = 512
LEVEL_BYTES_MAX = 32

_NEWLINE = rb"\r?\n"
_NUMBER = rb"-?\d{1,20}"
NUMBERS = {"sequenceNumber", "relative", "threadId", "threadPriority", "nano"}
NAMES = {"logger", "class", "method", "file", "fqcn"}
FREE = {"thread", "mdc", "ndc", "marker", "markerSimpleName", "location"}
_FIXED = {"line": rb"(?:-?\d{1,10}|\?)?", "pid": rb"[^\s]{1,64}?", "endOfBatch": rb"(?:true|false)",
          "uuid": rb"[0-9a-fA-F-]{36}"}
_PLAIN = rb"[^\[\]\n]{0,1024}+"
_BALANCED = _PLAIN
for _ in range(3):
    _BALANCED = rb"%s(?:\[%s\]%s){0,16}+" % (_PLAIN, _BALANCED, _PLAIN)
"""Text whose brackets close again, three levels deep: in `[%t]` preferred to the first `]` that fits."""

COLUMNS = ("date", "level", "logger")

BOM = b"\xef\xbb\xbf"
"""The byte order mark that some programs on Windows write before a UTF-8 log's first line."""


@dataclass(frozen=True, slots=True)
class Field:
    """A converter in a regex: `group` is its name there."""

    group: str
    converter: Converter


@dataclass(frozen=True, eq=False)
class Layout:
    """A compiled layout, equal to itself only.

    `scan` finds heads behind a line end: the empty group `start`, then the `columns` (in their order), then the
    message's first line if the layout prints one. `head` is one head in full with a group per field. `before` and
    `behind` are what is printed between message and throwable, and behind the throwable; both have groups.
    """

    text: str
    scan: re.Pattern[bytes]
    columns: tuple[str, ...]
    head: re.Pattern[bytes]
    has_message: bool
    before: bytes
    behind: bytes
    fields: dict[str, Field]
    date: DateFormat | None
    date_group: str
    late: tuple[str, ...]           #: columns that are printed behind the message
    suffixed: bool                  #: something is printed behind the message in its own line
    head_lines: int                 #: line ends inside a head
    separator: bytes                #: between the lines of an exception
    pieces: tuple[Piece, ...]       #: of the head
    encoding: str


@lru_cache(maxsize=512)
def compile_layout(text: str, dialect: str = "log4j2", timezone: str = "UTC", encoding: str = "utf-8") -> Layout:
    """Compile a layout; GrammarError with the column of what cannot be used. Cached per process."""
    _check_encoding(encoding)
    try:
        parse_zone(timezone)
    except DateError as error:
        raise GrammarError(str(error)) from None
    return _Compiler(text, dialect, timezone, encoding).layout()


def _check_encoding(encoding: str) -> None:
    try:
        plain = "\n[A 0".encode(encoding) == b"\n[A 0"
    except LookupError:
        raise GrammarError(f"unknown encoding {encoding!r}; expected one such as utf-8 or latin-1") from None
    if not plain:
        raise GrammarError(f"the encoding {encoding!r} is not supported: a line end must be the byte 0A; convert the "
                           "log to UTF-8 first")


class _Compiler:
    def __init__(self, text: str, dialect: str, timezone: str, encoding: str) -> None:
        self._text, self._dialect, self._timezone, self._encoding = text, dialect, timezone, encoding
        self._fields: dict[str, Field] = {}
        self._dates: dict[str, DateFormat] = {}

    def layout(self) -> Layout:
        pieces = [piece for piece in parse_pattern(self._text, self._dialect) if not _prints_nothing(piece)]
        if not pieces:
            refuse(self._text, 1, "the pattern prints nothing; expected converters such as %d %p %c - %m%n")
        names = [piece.name if isinstance(piece, Converter) else "" for piece in pieces]
        self._check(pieces, names)
        place = names.index("message") if "message" in names else _head_end(names)
        head, after = pieces[:place], pieces[place + ("message" in names):]
        head_regex = self._sequence(head)
        before_pieces, behind_pieces = _split_throwable(after)
        before, behind = self._sequence(before_pieces), self._sequence(behind_pieces)
        date_group = next((group for group, date in self._dates.items() if date.full), next(iter(self._dates), ""))
        head_groups = set(re.compile(head_regex).groupindex)
        columns = {"date": date_group, "level": self._first("level"), "logger": self._first("logger")}
        here = tuple(name for name in COLUMNS if columns[name] in head_groups)
        here = tuple(sorted(here, key=lambda name: head_regex.index(b"(?P<" + columns[name].encode() + b">")))
        message = "message" in names
        return Layout(
            text=self._text, columns=here, has_message=message, before=before, behind=behind, fields=self._fields,
            scan=re.compile(self._scan(head_regex, after, {columns[name]: name for name in here}, message)),
            head=re.compile(head_regex), date=self._dates.get(date_group), date_group=date_group,
            late=tuple(name for name in COLUMNS if columns[name] and columns[name] not in head_groups),
            suffixed=message and bool(after) and not _is(after[0], "newline"),
            head_lines=names[:place].count("newline"),
            separator=_separator(after).encode(self._encoding), encoding=self._encoding, pieces=tuple(head))

    def _check(self, pieces: list[Piece], names: list[str]) -> None:
        for number, piece in enumerate(pieces):
            if not isinstance(piece, Converter):
                continue
            if piece.name == "message" and "message" in names[:number]:
                refuse(self._text, piece.column, "the message is printed twice, which is not supported")
            if piece.name == "throwable" and any(option.startswith("short.") for option in piece.options):
                refuse(self._text, piece.column, f"%{piece.spelling}{{{piece.options[0]}}} is not supported yet")
            if piece.name == "throwable" and "message" in names[number:]:
                refuse(self._text, piece.column, "an exception printed before the message is not supported yet")
            if piece.name == "throwable" and names[:number].count("throwable"):
                refuse(self._text, piece.column, "a second exception converter is not supported")
            if piece.name == "mdc" and not piece.options and self._dialect != "log4j2":
                refuse(self._text, piece.column, f"%{piece.spelling} without a key is not supported yet in the dialect "
                                                 f"{self._dialect}")

    def _first(self, name: str) -> str:
        return next((group for group, each in self._fields.items() if each.converter.name == name), "")

    # --- a sequence of pieces -> regex

    def _sequence(self, pieces: list[Piece]) -> bytes:
        regex, free = b"", False
        for number, piece in enumerate(pieces):
            if isinstance(piece, Text):
                regex += re.escape(piece.text.encode(self._encoding, "replace"))
            elif piece.name == "newline":
                regex += _NEWLINE
            else:
                if piece.name in FREE:  # closed by the next free field, or at the end
                    regex += b")" if free else b""
                    regex, free = regex + b"(?>", True
                regex += self._field(piece, pieces[number - 1] if number else None,
                                     pieces[number + 1] if number + 1 < len(pieces) else None)
        return regex + (b")" if free else b"")

    def _field(self, piece: Converter, left: Piece | None, right: Piece | None) -> bytes:
        if piece.name == "blanks":
            return rb" *+" if "0" in piece.options else rb" ++"
        if piece.name == "throwable":
            return b""
        group = f"f{len(self._fields)}"
        self._fields[group] = Field(group, piece)
        return self._value(piece, group, left, right)

    def _value(self, piece: Converter, group: str, left: Piece | None, right: Piece | None) -> bytes:
        name = piece.name
        if name == "level":
            return level_regex(piece, group)
        if name in FREE:
            return b"(?P<%s>%s)" % (group.encode(), _free(piece, *free_bounds(piece), bracketed(left, right)))
        if name == "date":
            body = self._date(piece, group).regex
        elif name in NAMES:
            body = self._name(piece, left, right)
        else:
            body = _NUMBER if name in NUMBERS else _FIXED[name]
        return _padded(piece, group, body)

    def _date(self, piece: Converter, group: str) -> DateFormat:
        options = list(piece.options) or ["DEFAULT" if self._dialect == "log4j2" else "ISO8601"]
        if self._dialect == "logback":
            options = [part.strip().strip("\"'") for part in re.findall(r"(?:'[^']*'|\"[^\"]*\"|[^,])+", options[0])]
        try:
            date = DateFormat(options[0] or "DEFAULT", options[1] if len(options) > 1 else self._timezone,
                              self._dialect, self._encoding)
        except DateError as error:
            refuse(self._text, piece.column, str(error))
        self._dates[group] = date
        return date

    def _name(self, piece: Converter, left: Piece | None, right: Piece | None) -> bytes:
        """A name without blanks; where a free field stands before it, also without the delimiter between the two."""
        most = name_bytes_max(piece)
        outside = b"\\s" + re.escape(outside_name(piece, left))
        behind = right.text.encode(self._encoding, "replace") if isinstance(right, Text) else b""
        if piece.width_min:
            return b"[^%s]{0,%d}?" % (outside, most)
        if len(behind) < 2 or behind[:1].isspace():
            return b"[^%s]{0,%d}%s" % (outside, most, b"+" if behind[:1].isspace() else b"?")
        first, rest = re.escape(behind[:1]), re.escape(behind[1:])
        run = b"[^%s%s]{0,%d}+" % (outside, first, most)
        return b"%s(?:%s(?!%s)%s){0,16}+" % (run, first, rest, run)

    # --- what the reader needs

    def _scan(self, head: bytes, after: list[Piece], columns: dict[str, str], message: bool) -> bytes:
        """Heads behind a line end, only the columns captured; a head may follow the last record's own last line."""
        def group(match: re.Match[bytes]) -> bytes:
            return b"(" if match[1].decode() in columns else b"(?:"

        last_line = _last_line(after)
        tail = re.sub(rb"\(\?P<\w+>", b"(?:", _Compiler(self._text, self._dialect, self._timezone, self._encoding)
                      ._sequence([piece for piece in last_line if not _is(piece, "throwable")]))
        choices = [tail] if tail else []
        choices += [b"(?:%s)" % _cut_trace(tail)] if any(map(_is_cut, last_line)) else []
        borders = b"\\n%s()" % (b"(?:%s)?" % b"|".join(choices) if choices else b"")
        return borders + re.sub(rb"\(\?P<(\w+)>", group, head) + (rb"([^\n]*)" if message else b"")


def _is(piece: Piece, name: str) -> bool:
    return isinstance(piece, Converter) and piece.name == name


def _is_cut(piece: Piece) -> bool:
    """Whether a throwable is printed without its last line end: %ex{3}, %ex{short}."""
    return _is(piece, "throwable") and isinstance(piece, Converter) and any(
        option == "short" or option.isdigit() for option in piece.options)


def _prints_nothing(piece: Piece) -> bool:
    return isinstance(piece, Converter) and (
        piece.name == "nothrowable" or (piece.name == "throwable" and bool({"none", "0"} & set(piece.options))))


def _separator(after: list[Piece]) -> str:
    """What %ex{separator(|)} prints between lines."""
    options = [option for piece in after if isinstance(piece, Converter) for option in piece.options]
    return next((option[10:-1] for option in options if re.fullmatch(r"separator\(.+\)", option)), "\n")


def _head_end(names: list[str]) -> int:
    """Where the head of a layout without a message ends: before its last line end."""
    ends = [number for number, name in enumerate(names) if name in ("newline", "throwable")]
    return ends[0] if ends else len(names)


def _split_throwable(after: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """What is printed before and behind the throwable; one that is not printed by the pattern comes last."""
    for number, piece in enumerate(after):
        if _is(piece, "throwable"):
            return after[:number], after[number + 1:]
    return after, []


def _last_line(after: list[Piece]) -> list[Piece]:
    """The pieces behind the last line end: the next record's head follows them in the same line."""
    places = [number for number, piece in enumerate(after) if _is(piece, "newline")]
    return after[places[-1] + 1:] if places else []


def _cut_trace(tail: bytes) -> bytes:
    """The last line of a shortened stack trace, behind which the next head stands without a line end."""
    frame = rb"[ \t]{1,16}at [^\n]{1,%d}?\)(?: ~?\[[^\]\n]{0,256}\])?" % FREE_BYTES_MAX
    first = rb"[^\s:]{1,%d}+(?:: [^\n]{0,%d}?)?" % (NAME_BYTES_MAX, FREE_BYTES_MAX)
    return b"%s|%s ?%s" % (frame, tail, first)


def _free(piece: Converter, least: int, most: int, bracketed: bool) -> bytes:
    if piece.name == "ndc":
        return rb"\[[^\n]{0,%d}?\]" % most
    if piece.name == "mdc" and (not piece.options or "," in piece.options[0]):
        return rb"\{[^\n]{0,%d}?\}" % (4 * most)
    anything = rb"[^\n]{%d,%d}?" % (least, most)
    if piece.name.startswith("marker"):  # with its parents: SQL_UPDATE[ SQL ]
        return rb"[^\s\[\]]{1,256}+\[ %s\]|%s" % (_BALANCED, anything)
    return rb"%s|%s" % (_BALANCED, anything) if bracketed and not least else anything


def free_bounds(piece: Converter) -> tuple[int, int]:
    """How few and how many bytes a free field has."""
    most = 4 * piece.width_max if piece.width_max else FREE_BYTES_MAX
    least = 0 if piece.width_max is not None and piece.width_max < piece.width_min else piece.width_min
    return least, max(most, least)


def name_bytes_max(piece: Converter) -> int:
    return 4 * piece.width_max if piece.width_max else NAME_BYTES_MAX


def outside_name(piece: Converter, left: Piece | None) -> bytes:
    """What a name has none of, besides white space."""
    before = left.text[-1:] if isinstance(left, Text) else ""
    outside = {"method": b"():,.", "file": b"():,"}.get(piece.name, b"")
    return outside + (before.encode() if before in (":", ";", "|", "/", "@") else b"")


def bracketed(left: Piece | None, right: Piece | None) -> bool:
    return isinstance(left, Text) and isinstance(right, Text) and left.text.endswith("[") and right.text.startswith("]")


def _padded(piece: Converter, group: str, body: bytes) -> bytes:
    captured = b"(?P<%s>%s)" % (group.encode(), body)
    if not piece.width_min:
        return captured
    blanks = b" {0,%d}" % piece.width_min
    return captured + blanks if piece.left else blanks + captured


def level_regex(piece: Converter, group: str) -> bytes:
    """A level with its padding, which is exact: in `%-5p ` two blanks behind WARN tell it from a word in a thread."""
    labels = [option.partition("=")[2].strip() for options in piece.options for option in options.split(",")]
    most = min(piece.width_max or LEVEL_BYTES_MAX, LEVEL_BYTES_MAX)
    words = [_filled(re.escape(label.encode()), piece, len(label)) for label in labels
             if label and label not in ("true", "false") and not label.isdigit()]
    if piece.width_min <= most:
        least = max(piece.width_min, 1)
        words.append(b"[A-Za-z][A-Za-z0-9_]{%d,%d}+" % (least - 1, most - 1))
    words += [_filled(b"[A-Za-z][A-Za-z0-9_]{%d}" % (size - 1), piece, size)
              for size in range(min(piece.width_min - 1, most), 0, -1)]
    return b"(?P<%s>%s)" % (group.encode(), b"|".join(words))


def _filled(word: bytes, piece: Converter, size: int) -> bytes:
    blanks = b" " * max(piece.width_min - size, 0)
    return word + blanks if piece.left else blanks + word
