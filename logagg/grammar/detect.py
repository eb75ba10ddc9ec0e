"""Which layout a stream has, told from its first 64 KiB; the same answer however the bytes arrive.

Lines are taken in order; each counts for every known layout whose head it has. The first time that one layout has
MATCHES heads, or after 64 KiB, the earliest of the list (they go from telling to general) with the most heads is
taken: a field less is better than a record glued to the one before. Until then the best so far is provisional.
Where no line has a known head, the layout is NO_LAYOUT.
"""

import re
from functools import cache

from logagg.grammar.compiler import BOM, compile_layout

PREFIX_BYTES = 65_536
MATCHES = 25

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
    ("yyyy-MM-dd HH:mm:ss,SSS Z", rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [+-]\d{4}(?!\d)"),
    ("EEE MMM dd HH:mm:ss yyyy", rb"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \d{4}"),
    ("dd MMM yyyy HH:mm:ss,SSS", rb"\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d,\d{3}"),
    ("dd-MMM-yyyy HH:mm:ss.SSS", rb"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d\.\d{3}"),
    ("HH:mm:ss,SSS", rb"\d\d:\d\d:\d\d,\d{3}"),
    ("HH:mm:ss.SSS", rb"\d\d:\d\d:\d\d\.\d{3}"),
)
_HEADS = (  # DATE stands for the date's converter; %_ is blanks, %_{0} may be none; from telling to general
    "DATE%_%p%_%pid --- [%15t] %-40c : %m%n",
    "DATE%_%p%_%pid --- [%t] %c%_{0}: %m%n",
    "DATE%_[myid:%X{myid}] - %p%_[%t:%c@%L] - %m%n",
    "DATE - %p%_[%t:%c@%L] - %m%n",
    "DATE%_| %p%_| %t%_| %c%_| %m%n",
    "[DATE][%p%_{0}][%c%_{0}] [%X{node}] %m%n",
    "[DATE][%p%_{0}][%c%_{0}] %m%n",
    "[DATE]%_[%p%_{0}]%_%c%_{0}- %m%n",
    "[DATE] %p%_[%t] %c: %m%n",
    "[DATE] %p%_[%t] %c - %m%n",
    "[DATE] %p%_%m (%c)%n",
    "[DATE] %p%_%c%_{0}- %m%n",
    "[DATE] %p%_%c: %m%n",
    "[DATE] %p%_in %c: %m%n",
    "[DATE] %p: %m%n",
    "[DATE] %p%_%m%n",
    "DATE%_%pid%_%p%_%c: %m%n",
    "DATE%_%p%_%c%_{0}(%F:%M(%L)) - %m%n",
    "DATE%_%p%_[%t]%_(%F:%L) - %m%n",
    "DATE%_%p%_[%t]%_%c%_{0}(%F:%L) - %m%n",
    "DATE%_%p%_[%t]%_%c:%L - %m%n",
    "DATE%_%p%_[%t]%_%c%_{0}- %m%n",
    "DATE%_%p%_[%t]%_%c%_{0}: %m%n",
    "DATE%_%p%_[%t]%_%c: %m%n",
    "DATE%_%p%_[%t]%_%m%n",
    "DATE%_[%t]%_%p%_%c%_{0}- %m%n",
    "DATE%_[%t]%_%p%_%c: %m%n",
    "DATE%_[%t]%_%p%_- %m%n",
    "DATE%_[%t]%_%p%_%m%n",
    "DATE%_%p%_%c:%L - %m%n",
    "DATE%_%p%_%c%_{0}- %m%n",
    "DATE%_%p%_%c%_{0}: %m%n",
    "DATE%_%p%_%c: %m%n",
    "DATE - %c - %p - %m%n",
    "DATE%_- %p%_- %m%n",
    "DATE%_[%p%_{0}] %c: %m%n",
    "DATE%_[%p%_{0}] %c - %m%n",
    "DATE%_[%p%_{0}] %m%n",
    "DATE%_%p: %m%n",
    "DATE%_%p%_- %m%n",
    "DATE%_%p%_%m%n",
    "[DATE] %m%n",
    "DATE %m%n",
)
_DATELESS = (
    "%p%_[%t] DATE%_%F:%L - %m%n",
    "%p%_[%t] DATE%_%c%_{0}- %m%n",
    "%p%_DATE%_[%t] %c%_{0}- %m%n",
    "%p%_DATE%_%c%_{0}- %m%n",
    "[%p%_{0}] DATE%_%c%_{0}- %m%n",
    "[%p%_{0}] DATE%_%m%n",
    "%p%_DATE%_%m%n",
)
_Candidate = tuple[int, str]  #: a place in the list, and the layout

_LEVELS = frozenset(
    b"TRACE DEBUG INFO NOTICE WARN WARNING ERROR SEVERE FATAL CRITICAL ALERT EMERG CONFIG FINE FINER FINEST ALL OFF "
    b"VERBOSE I W E D T F".split())
_DATE_PLACES = tuple((name, re.compile(rb"([\[]?|\[?[A-Z]{3,8} *\]? ?(?:\[[^\n]{0,200}?\] )?)" + regex))
                     for name, regex in _DATES)


def detect(prefix: bytes, encoding: str = "utf-8") -> tuple[str, bool]:
    """The layout of a stream that begins with these bytes, and whether more bytes can no longer change the answer."""
    counts: dict[_Candidate, int] = {}
    pending: set[_Candidate] = set()
    for line in _lines(prefix[:PREFIX_BYTES], whole=len(prefix) >= PREFIX_BYTES):
        _count(line, encoding, counts, pending)
        if counts and max(counts.values()) >= MATCHES:
            return _best(counts), True
    return _best(counts), len(prefix) >= PREFIX_BYTES


def _lines(prefix: bytes, *, whole: bool) -> list[bytes]:
    """The lines; the last one without its end counts only where it cannot grow any more."""
    lines = prefix.removeprefix(BOM).split(b"\n")
    return lines if whole else lines[:-1]


def _count(line: bytes, encoding: str, counts: dict[_Candidate, int], pending: set[_Candidate]) -> None:
    """Count one line. A layout that prints something behind the message counts a head in advance: the head stays
    `pending` until that text was seen, and is taken back where the next head comes first."""
    heads = _candidates(line, encoding)
    for candidate in heads:
        if candidate in pending:
            pending.remove(candidate)
        else:
            counts[candidate] = counts.get(candidate, 0) + 1
        if compile_layout(candidate[1], "log4j2", "UTC", encoding).suffixed:
            pending.add(candidate)
    pending -= {candidate for candidate in pending if _ends(candidate[1], line, encoding)}


def _ends(layout: str, line: bytes, encoding: str) -> bool:
    """Whether the line ends with what the layout prints behind the message."""
    return re.search(compile_layout(layout, "log4j2", "UTC", encoding).before + rb"\Z", line + b"\n") is not None


def _candidates(line: bytes, encoding: str) -> list[_Candidate]:
    """The layouts whose head this line has."""
    found = []
    for name, place in _DATE_PLACES:
        at = place.match(line)
        if at is None:
            continue
        for number, layout in _layouts(name, dated=at[1] in (b"", b"[")):
            head = compile_layout(layout, "log4j2", "UTC", encoding)
            match = head.head.match(line)
            level = next((group for group, each in head.fields.items() if each.converter.name == "level"), "")
            if match and (not level or match[level].strip().upper() in _LEVELS):
                found.append((number, layout))
    return found


@cache
def _layouts(date: str, *, dated: bool) -> tuple[_Candidate, ...]:
    heads = _HEADS if dated else _DATELESS
    return tuple((number, head.replace("DATE", "%d{" + date + "}")) for number, head in enumerate(heads))


def _best(counts: dict[_Candidate, int]) -> str:
    """The most telling of the layouts with the most heads."""
    return min(counts, key=lambda candidate: (-counts[candidate], candidate))[1] if counts else NO_LAYOUT
