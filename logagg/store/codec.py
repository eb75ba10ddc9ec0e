"""Text and JSON on their way into a database, whole, whatever a log line or a file name holds.

A str may hold NUL and lone surrogates (the latter from file names and broken escapes); neither SQLite's TEXT nor
BSON's string takes a lone surrogate. Such a text is stored as bytes (UTF-8 with "surrogatepass") in the same column
or field: it comes back equal, can be looked up by equality, and sorts behind all other texts.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, overload

from logagg.errors import StoreError
from logagg.record import Counts

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def encodable(text: str) -> bool:
    """Whether UTF-8 can carry the text: it has no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@overload
def to_column(text: str) -> str | bytes: ...
@overload
def to_column(text: str | None) -> str | bytes | None: ...
def to_column(text: str | None) -> str | bytes | None:
    """What to store for a text."""
    if text is None or encodable(text):
        return text
    return text.encode("utf-8", "surrogatepass")


@overload
def from_column(value: str | bytes) -> str: ...
@overload
def from_column(value: str | bytes | None) -> str | None: ...
def from_column(value: str | bytes | None) -> str | None:
    """The text that `to_column` stored."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def to_json(value: Any) -> str:
    """Compact JSON that UTF-8 can carry; lone surrogates and NUL become \\u escapes and come back equal."""
    if value == {}:
        return "{}"                 # most carries, and what was dropped
    text = _encode(value)
    return text if encodable(text) else _encode_ascii(value)


from_json = json.loads


def counts_to_list(counts: Counts) -> list[int]:
    return [counts.records, counts.events, counts.rejects, counts.rejected_bytes]


def counts_to_json(counts: Counts) -> str:
    return f"[{counts.records},{counts.events},{counts.rejects},{counts.rejected_bytes}]"


def counts_from_list(values: Iterable[int]) -> Counts:
    return Counts(*values)


def printable(text: str) -> str:
    """The text for an error message: one line, no control characters, not too long."""
    if len(text) <= 200 and text.isprintable():
        return text
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[:200])
    return shown + ("…" if len(text) > 200 else "")


_SECRET_OPTION = re.compile(r"(?i)([?&;][a-z]*(?:password|secret|token|mechanismproperties)[a-z]*=)[^&;]*")


def hide_password(url: str) -> str:
    """A URL without its user and password, for messages. All up to the last "@" goes: a password may hold an "@".

    Options that hold secrets (tlsCertificateKeyFilePassword, authMechanismProperties) stand without their values.
    """
    scheme, mark, rest = url.partition("://")
    return printable(_SECRET_OPTION.sub(r"\1***", scheme + mark + rest.rpartition("@")[2]))


def out_of_range(problem: OverflowError) -> StoreError:
    return StoreError(f"a number does not fit into 64 bits ({problem}): offsets, times and counts must be below 2^63")
