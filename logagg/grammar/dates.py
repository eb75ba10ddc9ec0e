"""Columns of printed dates -> microseconds UTC.

A column is decoded by its prefix up to the minute, which repeats, with seconds and fraction looked up; everything
unusual (a wall time that a zone has twice, an impossible date) takes the slow way, date by date. A format that prints
no year, day or hour gives no time.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache

from logagg.grammar.dateformat import EPOCHS, DateError, DateToken, parse_date_format, parse_zone

DISORDER_US = 10_000_000
"""How far a record may lie behind the one before until a repeated hour counts as its second pass."""

BASES_MAX = 65_536

LAST_MINUTE_US = 253_402_300_740_000_000
"""9999-12-31 23:59, whose leap second would be in a year that has no text."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ABBREVIATIONS = {
    "UTC": 0, "GMT": 0, "Z": 0, "UT": 0, "WET": 0, "CET": 60, "CEST": 120, "EET": 120, "EEST": 180, "MSK": 180,
    "EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420,
}
"""Zone abbreviations -> minutes east, where the layout's own zone does not know the abbreviation."""

_SECOND_US = {b"%02d" % second: second * 1_000_000 for second in range(61)}
_MILLI_US = {b"%03d" % milli: milli * 1000 for milli in range(1000)}


class DateFormat:
    """One date converter of a layout, bound to a zone; its cache is bounded.

    `regex` (without groups) matches a printed date; `full` tells whether it names a moment.
    """

    def __init__(self, name: str = "DEFAULT", zone: str = "UTC", dialect: str = "log4j2",
                 encoding: str = "utf-8") -> None:
        tokens = parse_date_format(name, dialect, encoding)
        groups = {token.group for token in tokens}
        self._zone = parse_zone(zone)
        self._epoch = tokens[0].group if tokens and tokens[0].group in EPOCHS else ""
        self.regex = b"".join(token.regex for token in tokens)
        self.full = bool(self._epoch) or ("year" in groups and ("yearday" in groups or {"month", "day"} <= groups)
                                          and bool(groups & {"hour", "hour24", "hour12", "hour11"}))
        self._parts = re.compile(_named(tokens))
        self._second, self._gap, self._digits = _fixed(tokens)
        start = (self._second or 0) + 2 + len(self._gap)
        self._fraction = None if self._second is None else slice(start, start + self._digits)
        self._bases = _Bases(self)
        self.digits = None if self._epoch or self._second is None else digit_places(tokens)
        self._prefixes: dict[bytes, tuple[bool, int | None]] = {}

    @property
    def places(self) -> tuple[int, int, int]:
        """Where seconds begin, where the fraction begins and how many digits it has; for fixed formats only."""
        assert self._second is not None
        return self._second, self._second + 2 + len(self._gap), self._digits

    def usual_us(self, date: bytes) -> int | None:
        """The moment of a date; None where it is not one moment, or none at all."""
        try:
            return self._decode_fast([date])[0] if self.full else None
        except KeyError:
            return None

    def prefix(self, date: bytes) -> tuple[bool, int | None]:
        """Whether this is a printed date, and the moment of it less seconds and fraction: None where that is not one
        moment. For fixed formats only."""
        second, fraction, digits = self.places
        key = date[:second] + date[fraction + digits:]
        found = self._prefixes.get(key)
        if found is None:
            fits = self._parts.fullmatch(date) is not None
            try:
                found = fits, self._bases[key] if fits and self.full else None
            except KeyError:
                found = fits, None
            if len(self._prefixes) >= BASES_MAX:
                self._prefixes.clear()
            self._prefixes[key] = found
        return found

    def decode(self, dates: Sequence[bytes], last_us: int | None) -> list[int | None]:
        """Microseconds UTC of a column of dates in order; None for an impossible date or one without a day.

        In an hour that a zone repeats, a date is taken as the first pass unless that lies more than 10 s behind the
        record before (`last_us` for the first). Where the whole first pass is missing, that is wrong: nobody can know.
        """
        if not self.full:
            return [None] * len(dates)
        if self._epoch:
            step = 1_000_000 if self._epoch == "UNIX" else 1000
            return [int(date) * step if date else None for date in dates]
        try:
            return self._decode_fast(dates)
        except KeyError:
            return self._decode_slow(dates, last_us)

    def fraction(self, date: bytes) -> str:
        """The digits of the second's fraction as printed; "" for none."""
        if self._epoch:
            return date[-3:].decode("ascii") if self._epoch == "UNIX_MILLIS" else ""
        if self._fraction is not None:
            return date[self._fraction].decode("ascii")
        match = self._parts.fullmatch(date)
        return (match.groupdict().get("fraction") or b"").decode("ascii") if match else ""

    def passes(self, date: bytes) -> tuple[int, int] | None:
        """A date's moment in the first and second pass of a repeated hour; the same twice where nothing repeats.

        A wall time that the zone skips is read with the offset before the gap. None for an impossible date.
        """
        match = self._parts.fullmatch(date)
        if match is None:
            return None
        parts = {name: text.decode("ascii", "replace") for name, text in match.groupdict().items()}
        try:
            local = _local(parts)
            offset = _printed_offset(parts, self._zone, local)
            if offset is not None:
                return (_utc_us(local, offset, parts),) * 2
            offsets = [local.replace(fold=fold, tzinfo=self._zone).utcoffset() or timedelta() for fold in (0, 1)]
            first, second = (_utc_us(local, offset, parts) for offset in offsets)
        except (ValueError, OverflowError):
            return None
        return first, max(first, second)

    def base_us(self, key: bytes) -> int:
        """The moment of a date from which seconds and fraction were cut; KeyError where that is not one moment."""
        if self._second is not None:
            key = key[:self._second] + b"00" + self._gap + b"0" * self._digits + key[self._second:]
        passes = self.passes(key)
        if passes is None or passes[0] != passes[1] or passes[0] >= LAST_MINUTE_US:
            raise KeyError(key)
        return passes[0]

    def _decode_fast(self, dates: Sequence[bytes]) -> list[int | None]:
        bases, second, milli = self._bases, _SECOND_US, _MILLI_US
        if self._second is None:
            return [bases[date] for date in dates]
        a, b = self._second, self._second + 2
        c = b + len(self._gap)
        d = c + self._digits
        if self._digits != 3:
            return [bases[date[:a] + date[d:]] + second[date[a:b]] + _micros(date[c:d]) for date in dates]
        if dates and len(dates[0]) == d:
            return [bases[date[:a]] + second[date[a:b]] + milli[date[c:d]] for date in dates]
        return [bases[date[:a] + date[d:]] + second[date[a:b]] + milli[date[c:d]] for date in dates]

    def _decode_slow(self, dates: Sequence[bytes], last_us: int | None) -> list[int | None]:
        times: list[int | None] = []
        for date in dates:
            passes = self.passes(date)
            if passes is None:
                times.append(None)
                continue
            first, second = passes
            last_us = second if last_us is not None and first < last_us - DISORDER_US else first
            times.append(last_us)
        return times


class _Bases(dict[bytes, int]):
    """prefix -> microseconds, filled on demand and forgotten when it grows."""

    def __init__(self, date_format: DateFormat) -> None:
        self._format = date_format

    def __missing__(self, key: bytes) -> int:
        base = self._format.base_us(key)
        if len(self) >= BASES_MAX:
            self.clear()
        self[key] = base
        return base


def text_of(ts_us: int, fraction: str) -> str:
    """RFC 3339 in UTC with the fraction's own digits."""
    whole = second_text(ts_us // 1_000_000)
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


@lru_cache(maxsize=4096)
def second_text(second: int) -> str:
    """A second since the epoch in RFC 3339, without zone; OverflowError for years that have not four digits."""
    return (datetime(1970, 1, 1) + timedelta(seconds=second)).isoformat()


def _named(tokens: list[DateToken]) -> bytes:
    """The format's regex with a named group per value; a value printed twice counts where it comes first."""
    seen: set[str] = set()
    regex = b""
    for token in tokens:
        fresh = token.group and token.group not in seen
        regex += b"(?P<%s>%s)" % (token.group.encode(), token.regex) if fresh else token.regex
        seen.add(token.group)
    return regex


def _fixed(tokens: list[DateToken]) -> tuple[int | None, bytes, int]:
    """Where seconds begin if that place never moves (else None), the text behind them, the fraction's digits."""
    place = 0
    for number, token in enumerate(tokens):
        if token.width is None:
            return None, b"", 0
        if token.group == "second":
            behind = tokens[number + 1:]
            gap = behind.pop(0).literal if len(behind) > 1 and behind[1].group == "fraction" else b""
            if behind and behind[0].group == "fraction" and (gap or behind[0] is tokens[number + 1]):
                return place, gap, behind[0].width or 0
            return (None, b"", 0) if any(token.group == "fraction" for token in tokens) else (place, b"", 0)
        place += token.width
    return None, b"", 0


def digit_places(tokens: list[DateToken]) -> bytes | None:
    """The text of a format of fixed width that prints nothing but digits and literals; 0 bytes stand for digits."""
    text = b""
    for token in tokens:
        if token.literal:
            text += token.literal
        elif token.width and re.fullmatch(rb"(?:\[[\d-]+\])?(?:\\d)+(?:\{\d\})?", token.regex):
            text += bytes(token.width)
        else:
            return None
    return None if b"\n" in text else text


def _micros(digits: bytes) -> int:
    return int(digits[:6].ljust(6, b"0")) if digits else 0


def _local(parts: dict[str, str]) -> datetime:
    """The printed wall time to the second; ValueError for an impossible one. Two-digit years are 1970 to 2069."""
    year = int(parts["year"])
    if len(parts["year"]) <= 2:
        year += 2000 if year < 70 else 1900
    if "yearday" in parts:
        day = datetime(year, 1, 1) + timedelta(days=int(parts["yearday"]) - 1)
    else:
        month = parts["month"]
        number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
        day = datetime(year, number, int(parts["day"]))
    hour = int(parts["hour"]) if "hour" in parts else int(parts.get("hour24", "0")) % 24
    if "half" in parts:
        hour = int(parts.get("hour12") or parts.get("hour11") or 0) % 12 + (12 if parts["half"][0] in "Pp" else 0)
    if hour > 23 or day.year != year:
        raise ValueError(parts)
    minute, second = int(parts.get("minute", "0")), int(parts.get("second", "0"))
    if minute > 59 or second > 60:
        raise ValueError(parts)
    return day + timedelta(hours=hour, minutes=minute, seconds=second)


def _printed_offset(parts: dict[str, str], zone: tzinfo, local: datetime) -> timedelta | None:
    """The printed offset from UTC; None where the zone has to tell."""
    if text := parts.get("offset"):
        digits = text[1:].replace(":", "").ljust(4, "0")
        minutes = int(digits[:2]) * 60 + int(digits[2:]) if text != "Z" else 0
        return timedelta(minutes=-minutes if text[0] == "-" else minutes)
    name = parts.get("zone")
    if not name:
        return None
    for fold in (0, 1):
        there = local.replace(fold=fold, tzinfo=zone)
        if there.tzname() == name:
            return there.utcoffset()
    if name in _ABBREVIATIONS:
        return timedelta(minutes=_ABBREVIATIONS[name])
    try:
        return local.replace(tzinfo=parse_zone(name)).utcoffset()
    except DateError:
        return None


def _utc_us(local: datetime, offset: timedelta, parts: dict[str, str]) -> int:
    seconds = (local - offset - datetime(1970, 1, 1)) // timedelta(seconds=1)
    return seconds * 1_000_000 + _micros(parts.get("fraction", "").encode())
