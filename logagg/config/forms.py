"""Is one value what its option wants? Each check answers None, or what is wrong and the way out."""

import codecs
import difflib
import importlib.metadata
import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from logagg.alert import words
from logagg.alert.rule import hold_problem, window_problem
from logagg.config.fields import Field
from logagg.config.machine import is_zone
from logagg.terminal import safe_line

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}\Z")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})\Z|[0-9A-Fa-f:.]{2,45}\Z")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")
_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9][A-Za-z0-9._-]*)):([0-9]{1,5})\Z")
_RATE = re.compile(r"([1-9][0-9]{0,5})(k|M|G|Ki|Mi|Gi)B/s\Z")
_BYTES = {"k": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
_AGE = re.compile(r"([1-9][0-9]{0,4})d\Z")
_PASSWORD = re.compile(r"((?:://[^/@:]*|^[^/@:]*(?=:(?!//))):).*(@)", re.DOTALL)     # also where the scheme is missing


def quoted(value: Any) -> str:
    """A value as it could stand in the TOML file, harmless on a terminal."""
    if isinstance(value, str):
        shown = value if len(value) <= 200 else value[:200] + "…"
        return safe_line(json.dumps(shown, ensure_ascii=False))
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe_line(value)


def found(value: Any) -> str:
    """What kind of thing a value is, for "…, found X"."""
    if isinstance(value, bool):
        return quoted(value)
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else f"the time {quoted(value)}"


def near(word: str, known: Iterable[str]) -> str:
    """The known word that was most likely meant, as "; did you mean …?", or nothing."""
    folded = {one.lower(): one for one in known}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f"; did you mean {quoted(folded[close[0]])}?" if close else ""


def masked(url: str) -> str:
    """A store's URL without its password and without options that may hold secrets."""
    url = _PASSWORD.sub(r"\1***\2", url)
    return re.sub(r"(?i)([?&;][a-z]*(?:password|secret|token|mechanismproperties)[a-z]*=)[^&;]*", r"\1***", url)


def kind_problem(field: Field, value: Any) -> str | None:
    """Whether `value` has the field's kind and range."""
    if field.kind == "text":
        return None if isinstance(value, str) else f"expected text in quotes, found {found(value)}"
    if field.kind == "texts":
        if isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            return None
        wrong = value if not isinstance(value, list) else next(item for item in value if not isinstance(item, str))
        return f'expected a list of texts such as ["a", "b"], found {found(wrong)}' + (
            " in it" if isinstance(value, list) else "")
    if field.kind == "flag":
        return None if isinstance(value, bool) else f"expected true or false without quotes, found {found(value)}"
    unit = f" of {field.unit}" if field.unit else ""
    if isinstance(value, bool) or not isinstance(value, int if field.kind == "whole" else int | float):
        name = "whole number" if field.kind == "whole" else "number"
        return f"expected a {name}{unit} without quotes, found {found(value)}"
    return _range_problem(field, value)


def _range_problem(field: Field, value: float) -> str | None:
    low, high = field.least, field.most
    if (low is None or value >= low) and (high is None or value <= high) and abs(value) < float("inf"):
        return None
    unit = f" {field.unit}" if field.unit else ""
    if low is None or high is None:
        return f"{value} is out of range"
    return f"{value} is out of range; expected {low} to {high}{unit}"


def text_problem(field: Field, text: str) -> str | None:
    """Whether one text is among the field's choices and has its form."""
    if field.choices:
        if text in field.choices:
            return None
        known = ", ".join(quoted(choice) for choice in field.choices)
        return f"{quoted(text)} is not known; expected {'one of ' if len(field.choices) > 1 else ''}{known}" + near(
            text, field.choices)
    if "\x00" in text:
        return "holds a zero character; remove it"
    check = _FORMS.get(field.form)
    return check(text) if check else None


def _name(text: str) -> str | None:
    if _NAME.match(text):
        return None
    return f"{quoted(text)} cannot be a name; expected a letter or digit, then up to 99 letters, digits and . _ -"


def _metric(text: str) -> str | None:
    if _METRIC.match(text):
        return None
    return f"{quoted(text)} cannot be a metric's name; expected a letter, then up to 99 letters, digits and _"


def _zone(text: str) -> str | None:
    if is_zone(text):
        return None
    import zoneinfo

    hint = near(text, zoneinfo.available_timezones())
    return f"{quoted(text)} is no time zone of the IANA database" + (
        hint or '; expected a name such as "Europe/Berlin", "America/New_York" or "UTC"')


def _encoding(text: str) -> str | None:
    try:
        info = codecs.lookup(text)
    except (LookupError, ValueError):
        return f"{quoted(text)} is no text encoding that Python knows; expected one such as " \
               '"utf-8", "latin-1" or "cp1252"'
    if not info._is_text_encoding or _lone_byte_differs(info):
        return f"{quoted(text)} cannot be read line by line; expected an encoding that contains ASCII, such as " \
               '"utf-8", "latin-1" or "cp1252"'
    return None


def _lone_byte_differs(info: codecs.CodecInfo) -> bool:
    """Lines are found as bytes, so a line end, digits and letters must be the bytes that they are in ASCII."""
    sample = "\n 0123456789 azAZ[]-:,"
    try:
        return info.encode(sample)[0] != sample.encode("ascii")
    except UnicodeError:
        return True


def _store(text: str) -> str | None:
    way_out = 'expected "sqlite:///file.db" or "mongodb://host/database?replicaSet=name"'
    try:
        url = urlsplit(text)
    except ValueError:
        return f"{quoted(masked(text))} is no store; {way_out}"
    if url.scheme == "sqlite":
        path = text.removeprefix("sqlite:///")
        return None if text.startswith("sqlite:///") and path.strip("/") and "?" not in path else (
            f"{quoted(masked(text))} names no file; {way_out} (three slashes, four before an absolute path)")
    if url.scheme in ("mongodb", "mongodb+srv"):
        return None if url.netloc and url.path.strip("/") else (
            f"{quoted(masked(text))} names no {'database' if url.netloc else 'host'}; {way_out}")
    if url.scheme and importlib.metadata.entry_points(group="logagg.stores", name=url.scheme):
        return None     # a store that somebody else brings checks its own URL
    return f"{quoted(masked(text))} is no store that logagg knows; {way_out}"


def _age(text: str) -> str | None:
    if text == "forever" or _AGE.match(text):
        return None
    return f'{quoted(text)} is no length of time; expected days such as "90d", or "forever"'


def days(text: str) -> int | None:
    """A valid age in days; None: for ever."""
    match = _AGE.match(text)
    return int(match[1]) if match else None


def rate(text: str) -> int | None:
    """A valid rate in bytes a second."""
    match = _RATE.match(text)
    return int(match[1]) * _BYTES[match[2]] if match else None


def _rule(text: str) -> str | None:
    if _METRIC.match(text):
        return None
    return f"{quoted(text)} cannot be a rule's name; expected a letter, then up to 99 letters, digits and _"


def _formed(parse: Callable[[str], object], expected: str) -> Callable[[str], str | None]:
    """A check for what `parse` answers None to."""
    def check(text: str) -> str | None:
        return f"{quoted(text)} cannot be used; expected {expected}" if parse(text) is None else None
    return check


def _minutes(check: Callable[[str], str | None]) -> Callable[[str], str | None]:
    return lambda text: f"{quoted(text)} cannot be used; {problem}" if (problem := check(text)) else None


def _duration(text: str) -> str | None:
    if words.duration_s(text):
        return None
    return f"{quoted(text)} is no length of time; expected {words.DURATION_EXPECTED}"


def _host(text: str) -> str | None:
    if _HOST.match(text):
        return None
    return f'{quoted(text)} is no host; expected a name such as "mail.example.com" or an address, without a port'


def _address(text: str) -> str | None:
    if _ADDRESS.match(text) and len(text) <= 254:
        return None
    return f'{quoted(text)} is no mail address; expected one such as "ops@example.com", without a name'


def listen_parts(text: str) -> tuple[str, int] | None:
    """Host and port of "127.0.0.1:8470" or "[::1]:8470"; None where it is neither."""
    match = _LISTEN.match(text)
    if not match or int(match[3]) > 65_535:
        return None
    return match[1] or match[2], int(match[3])


def _http(text: str) -> str | None:
    try:
        url = urlsplit(text)
        good = url.scheme in ("http", "https") and bool(url.hostname) and not url.query and not url.fragment
    except ValueError:
        good = False
    if good and not re.search(r"[\s<>\"'\x00-\x1f]", text) and "@" not in url.netloc:
        return None
    return f'{quoted(text)} is no address of a site; expected one such as "https://logs.example.com"'


def _filled(text: str) -> str | None:
    return None if text.strip() else "is empty; expected a path"


_FORMS: dict[str, Callable[[str], str | None]] = {
    "name": _name,
    "metric": _metric,
    "zone": _zone,
    "encoding": _encoding,
    "store": _store,
    "age": _age,
    "folder": _filled,
    "globs": _filled,
    "rule": _rule,
    "window": _minutes(window_problem),
    "hold": _minutes(hold_problem),
    "duration": _duration,
    "rate": _formed(rate, 'bytes a second such as "10MB/s" or "500kB/s"'),
    "clock": _formed(words.clock_minute, words.CLOCK_EXPECTED),
    "hours": _formed(words.hours, words.HOURS_EXPECTED),
    "days": _formed(words.weekdays, words.DAYS_EXPECTED),
    "condition": _formed(words.condition, words.CONDITION_EXPECTED),
    "host": _host,
    "address": _address,
    "listen": _formed(listen_parts, 'an address with its port such as "127.0.0.1:8470" or "[::1]:8470"'),
    "http": _http,
}
