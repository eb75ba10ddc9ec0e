"""Which layout a stream has, told from its first 64 KiB; the same answer however the bytes arrive.

Lines are taken in order; each counts for every known layout whose head it has. The first time that one layout has
MATCHES heads, or after 64 KiB, the earliest of the list (they go from telling to general) that has nearly as many is
taken. Until then the best so far is provisional. Where no line has a known head, the layout is NO_LAYOUT.
"""

import re
from functools import cache

from logagg.grammar.compiler import compile_layout

PREFIX_BYTES = 65_536
MATCHES = 10
NEARLY = 0.8

NO_LAYOUT = "none"
"""The layout of a stream without a known one: every line is a reject."""

_DATES = (
    ("yyyy-MM-dd HH:mm:ss,SSS", rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}(?!\d)"),
    ("yyyy-MM-dd HH:mm:ss.SSS", rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}(?![\d+-])"),
    ("yyyy-MM-dd'T'HH:mm:ss,SSS", rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3}(?![\dZ+-])"),
    ("yyyy-MM-dd'T'HH:mm:ss.SSS", rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?![\dZ+-])"),
    ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|[+-]\d\d:\d\d)"),
    ("yyyy-MM-dd'T'HH:mm:ss.SSSXX", rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}"),
    ("yyyy-MM-dd'T'HH:mm:ss,SSSXXX", rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3}(?:Z|[+-]\d\d:\d\d)"),
    ("yyyy-MM-dd'T'HH:mm:ss,SSSXX", rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3}[+-]\d{4}"),
    ("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:Z|[+-]\d\d:\d\d)"),
    ("yyyy-MM-dd'T'HH:mm:ssXXX", rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)"),
    ("yyyy-MM-dd HH:mm:ss.SSSSSS", rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}(?!\d)"),
    ("yyyy-MM-dd HH:mm:ss", rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?![,.\d])"),
    ("yyyy-MM-dd'T'HH:mm:ss", rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?![,.\dZ+-])"),
    ("yyyy/MM/dd HH:mm:ss", rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?![,.\d])"),
    ("yyyy/MM/dd HH:mm:ss.SSS", rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3}"),
    ("yy/MM/dd HH:mm:ss", rb"\d\d/\d\d/\d\d \d\d:\d\d:\d\d(?![,.\d])"),
    ("yyMMdd HHmmss", rb"\d{6} \d{6}(?!\d)"),
    ("dd MMM yyyy HH:mm:ss,SSS", rb"\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d,\d{3}"),
    ("dd-MMM-yyyy HH:mm:ss.SSS", rb"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d\.\d{3}"),
    ("HH:mm:ss,SSS", rb"\d\d:\d\d:\d\d,\d{3}"),
    ("HH:mm:ss.SSS", rb"\d\d:\d\d:\d\d\.\d{3}"),
)
_HEADS = (  # DATE stands for the date's converter; %_ is one or more blanks; from telling to general
    "DATE%_%p%_%pid --- [%15t] %-40c : %m%n",
    "DATE%_%p%_%pid --- [%t] %c%_: %m%n",
    "DATE%_[myid:%X{myid}] - %p%_[%t:%c@%L] - %m%n",
    "DATE - %p%_[%t:%c@%L] - %m%n",
    "DATE%_| %p%_| %t%_| %c%_| %m%n",
    "[DATE][%p%_][%c%_] [%X{node}] %m%n",
    "[DATE][%p%_][%c%_] %m%n",
    "[DATE]%_[%p%_]%_%c%_- %m%n",
    "[DATE] %p%_[%t] %c: %m%n",
    "[DATE] %p%_[%t] %c - %m%n",
    "[DATE] %p%_%m (%c)%n",
    "[DATE] %p%_%c%_- %m%n",
    "[DATE] %p%_%c: %m%n",
    "[DATE] %p%_in %c: %m%n",
    "[DATE] %p: %m%n",
    "[DATE] %p%_%m%n",
    "DATE%_%pid%_%p%_%c: %m%n",
    "DATE%_%p%_%c%_(%F:%M(%L)) - %m%n",
    "DATE%_%p%_[%t]%_(%F:%L) - %m%n",
    "DATE%_%p%_[%t]%_%c%_(%F:%L) - %m%n",
    "DATE%_%p%_[%t]%_%c:%L - %m%n",
    "DATE%_%p%_[%t]%_%c%_- %m%n",
    "DATE%_%p%_[%t]%_%c%_: %m%n",
    "DATE%_%p%_[%t]%_%c: %m%n",
    "DATE%_%p%_[%t]%_%m%n",
    "DATE%_[%t]%_%p%_%c%_- %m%n",
    "DATE%_[%t]%_%p%_%c: %m%n",
    "DATE%_[%t]%_%p%_- %m%n",
    "DATE%_[%t]%_%p%_%m%n",
    "DATE%_%p%_%c:%L - %m%n",
    "DATE%_%p%_%c%_- %m%n",
    "DATE%_%p%_%c%_: %m%n",
    "DATE%_%p%_%c: %m%n",
    "DATE - %c - %p - %m%n",
    "DATE%_- %p%_- %m%n",
    "DATE%_[%p%_] %c: %m%n",
    "DATE%_[%p%_] %c - %m%n",
    "DATE%_[%p%_] %m%n",
    "DATE%_%p: %m%n",
    "DATE%_%p%_- %m%n",
    "DATE%_%p%_%m%n",
)
_DATELESS = (
    "%p%_[%t] DATE%_%F:%L - %m%n",
    "%p%_[%t] DATE%_%c%_- %m%n",
    "%p%_DATE%_[%t] %c%_- %m%n",
    "%p%_DATE%_%c%_- %m%n",
    "[%p%_] DATE%_%c%_- %m%n",
    "[%p%_] DATE%_%m%n",
    "%p%_DATE%_%m%n",
)
_LEVELS = frozenset(
    b"TRACE DEBUG INFO NOTICE WARN WARNING ERROR SEVERE FATAL CRITICAL ALERT EMERG CONFIG FINE FINER FINEST ALL OFF "
    b"VERBOSE I W E D T F".split())
_DATE_PLACES = tuple((name, re.compile(rb"([\[]?|\[?[A-Z]{3,8} *\]? ?(?:\[[^\n]{0,200}?\] )?)" + regex))
                     for name, regex in _DATES)


def detect(prefix: bytes, encoding: str = "utf-8") -> tuple[str, bool]:
    """The layout of a stream that begins with these bytes, and whether more bytes can no longer change the answer."""
    counts: dict[tuple[int, str], int] = {}
    for line in _lines(prefix[:PREFIX_BYTES], whole=len(prefix) >= PREFIX_BYTES):
        for candidate in _candidates(line, encoding):
            counts[candidate] = counts.get(candidate, 0) + 1
        if counts and max(counts.values()) >= MATCHES:
            return _best(counts), True
    return _best(counts), len(prefix) >= PREFIX_BYTES


def _lines(prefix: bytes, *, whole: bool) -> list[bytes]:
    """The lines; the last one without its end counts only where it cannot grow any more."""
    lines = prefix.split(b"\n")
    return lines if whole else lines[:-1]


def _candidates(line: bytes, encoding: str) -> list[tuple[int, str]]:
    """The layouts, with their place in the list, whose head this line has."""
    found = []
    for name, place in _DATE_PLACES:
        at = place.match(line)
        if at is None:
            continue
        for number, layout in _layouts(name, dated=at[1] in (b"", b"[")):
            head = compile_layout(layout, "log4j2", "UTC", encoding)
            match = head.head.match(line)
            level = next((group for group, each in head.fields.items() if each.converter.name == "level"), "")
            if match and match[level].strip().upper() in _LEVELS:
                found.append((number, layout))
    return found


@cache
def _layouts(date: str, *, dated: bool) -> tuple[tuple[int, str], ...]:
    heads = _HEADS if dated else _DATELESS
    return tuple((number, head.replace("DATE", "%d{" + date + "}")) for number, head in enumerate(heads))


def _best(counts: dict[tuple[int, str], int]) -> str:
    """The most telling of the layouts that nearly reach the best count."""
    if not counts:
        return NO_LAYOUT
    most = max(counts.values())
    return min(candidate for candidate, count in counts.items() if count >= NEARLY * most)[1]
