"""The language of date formats: Java's `SimpleDateFormat`, and the names that Log4j and Logback give to common ones.

Sources: `FixedDateFormat` and `FastDateFormat` of log4j-core 2.19 (`US_MONTH_DAY_YEAR4_TIME` prints the day first),
`AbsoluteTimeDateFormat` and its kin of Log4j 1.2, `CachingDateFormatter` of Logback 1.2.
"""

import re
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_LOG4J2 = {
    "ABSOLUTE": "HH:mm:ss,SSS", "ABSOLUTE_MICROS": "HH:mm:ss,nnnnnn", "ABSOLUTE_NANOS": "HH:mm:ss,nnnnnnnnn",
    "ABSOLUTE_PERIOD": "HH:mm:ss.SSS", "COMPACT": "yyyyMMddHHmmssSSS", "DATE": "dd MMM yyyy HH:mm:ss,SSS",
    "DATE_PERIOD": "dd MMM yyyy HH:mm:ss.SSS", "DEFAULT": "yyyy-MM-dd HH:mm:ss,SSS",
    "DEFAULT_MICROS": "yyyy-MM-dd HH:mm:ss,nnnnnn", "DEFAULT_NANOS": "yyyy-MM-dd HH:mm:ss,nnnnnnnnn",
    "DEFAULT_PERIOD": "yyyy-MM-dd HH:mm:ss.SSS", "ISO8601_BASIC": "yyyyMMdd'T'HHmmss,SSS",
    "ISO8601_BASIC_PERIOD": "yyyyMMdd'T'HHmmss.SSS", "ISO8601": "yyyy-MM-dd'T'HH:mm:ss,SSS",
    "ISO8601_OFFSET_DATE_TIME_HH": "yyyy-MM-dd'T'HH:mm:ss,SSSX",
    "ISO8601_OFFSET_DATE_TIME_HHMM": "yyyy-MM-dd'T'HH:mm:ss,SSSXX",
    "ISO8601_OFFSET_DATE_TIME_HHCMM": "yyyy-MM-dd'T'HH:mm:ss,SSSXXX",
    "ISO8601_PERIOD": "yyyy-MM-dd'T'HH:mm:ss.SSS", "ISO8601_PERIOD_MICROS": "yyyy-MM-dd'T'HH:mm:ss.nnnnnn",
    "US_MONTH_DAY_YEAR2_TIME": "dd/MM/yy HH:mm:ss.SSS", "US_MONTH_DAY_YEAR4_TIME": "dd/MM/yyyy HH:mm:ss.SSS",
    "UNIX": "UNIX", "UNIX_MILLIS": "UNIX_MILLIS",
}
_OLDER = {"ISO8601": "yyyy-MM-dd HH:mm:ss,SSS"}
NAMED = {
    "log4j2": _LOG4J2,
    "log4j1": _OLDER | {"ABSOLUTE": "HH:mm:ss,SSS", "DATE": "dd MMM yyyy HH:mm:ss,SSS"},
    "logback": _OLDER | {"STRICT": "yyyy-MM-dd'T'HH:mm:ss,SSS"},
}

EPOCHS = {"UNIX": rb"\d{9,11}", "UNIX_MILLIS": rb"\d{12,14}"}

_TOKEN = re.compile(r"([A-Za-z])\1*|'((?:[^']|'')*)'|[^A-Za-z']+")
_NAMES = rb"[A-Za-z\x80-\xff]{2,16}\.?"
_LETTERS: dict[str, tuple[str, dict[int, bytes], bytes]] = {
    # letter: (group, {least count: regex, greatest count first}, regex for fewer)
    "y": ("year", {3: rb"\d{4}", 2: rb"\d\d"}, rb"\d{1,4}"),
    "M": ("month", {3: _NAMES, 2: rb"[01]\d"}, rb"\d{1,2}"),
    "d": ("day", {2: rb"[0-3]\d"}, rb"\d{1,2}"),
    "D": ("yearday", {3: rb"\d{3}"}, rb"\d{1,3}"),
    "H": ("hour", {2: rb"[0-2]\d"}, rb"\d{1,2}"),
    "k": ("hour24", {2: rb"[0-2]\d"}, rb"\d{1,2}"),
    "h": ("hour12", {2: rb"[01]\d"}, rb"\d{1,2}"),
    "K": ("hour11", {2: rb"[01]\d"}, rb"\d{1,2}"),
    "a": ("half", {}, rb"[AaPp]\.?[Mm]\.?"),
    "m": ("minute", {2: rb"[0-5]\d"}, rb"\d{1,2}"),
    "s": ("second", {2: rb"[0-6]\d"}, rb"\d{1,2}"),
    "S": ("fraction", {}, b""), "n": ("fraction", {}, b""),
    "E": ("", {}, _NAMES),
    "G": ("", {}, rb"[A-Z]{2}"),
    "z": ("zone", {}, rb"[A-Za-z][A-Za-z0-9_/+:-]{0,40}"),
    "Z": ("offset", {2: rb"[+-]\d\d:\d\d"}, rb"[+-]\d{4}"),
    "X": ("offset", {3: rb"(?:Z|[+-]\d\d:\d\d)", 2: rb"(?:Z|[+-]\d{4})"}, rb"(?:Z|[+-]\d\d)"),
    "x": ("offset", {3: rb"[+-]\d\d:\d\d", 2: rb"[+-]\d{4}"}, rb"[+-]\d\d"),
}
_WIDTHS = {rb"\d\d": 2, rb"\d{4}": 4, rb"\d{3}": 3, rb"[01]\d": 2, rb"[0-3]\d": 2, rb"[0-2]\d": 2, rb"[0-5]\d": 2,
           rb"[0-6]\d": 2}


class DateError(ValueError):
    """A date format or zone that cannot be used; the caller adds the place."""


def parse_zone(name: str) -> tzinfo:
    """An IANA zone, UTC, or an offset such as +05:30 or GMT-5."""
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    if match := re.fullmatch(r"(?:GMT|UTC)?([+-])(\d{1,2}):?(\d\d)?", name):
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise DateError(f"unknown time zone {name!r}; expected an IANA name such as Europe/Berlin, UTC, or an offset "
                        "such as +05:30") from None


@dataclass(frozen=True, slots=True)
class DateToken:
    """One part of a format: the value that it prints ("" for none), its regex, its bytes where that never varies."""

    group: str
    regex: bytes
    width: int | None
    literal: bytes = b""


def parse_date_format(name: str, dialect: str, encoding: str) -> list[DateToken]:
    """The parts of a named or spelled-out format; DateError where it cannot be used."""
    pattern = NAMED[dialect].get(name, name)
    if pattern in EPOCHS:
        return [DateToken(pattern, EPOCHS[pattern], None)]
    tokens: list[DateToken] = []
    position = 0
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        if match is None:
            raise DateError(f"the quote at character {position + 1} of the date format {pattern!r} is never closed")
        position = match.end()
        letters = match[1] is not None
        tokens.append(_letter(match[1], len(match[0]), pattern) if letters else _literal(match[0], encoding))
    return tokens


def _literal(text: str, encoding: str) -> DateToken:
    plain = text if text[0] != "'" else text[1:-1].replace("''", "'") or "'"
    raw = plain.encode(encoding)
    return DateToken("", re.escape(raw), len(raw), raw)


def _letter(letter: str, count: int, pattern: str) -> DateToken:
    if letter == "u":  # the day's number in SimpleDateFormat, the year in DateTimeFormatter
        letter = "y" if count > 1 else "E"
    if letter not in _LETTERS:
        raise DateError(f"the letter {letter!r} in the date format {pattern!r} is not supported; "
                        f"supported: {' '.join(_LETTERS)}")
    group, regexes, fewer = _LETTERS[letter]
    if group == "fraction":
        if count > 9:
            raise DateError(f"a fraction of {count} digits in the date format {pattern!r}; at most 9 are printed")
        return DateToken(group, rb"\d{%d}" % count, count)
    regex = next((regex for least, regex in regexes.items() if count >= least), fewer)
    return DateToken(group, regex, _WIDTHS.get(regex))
