"""Opaque cursors: where the next page begins, as text that fits into a URL.

A cursor names a key, never a number of rows to skip: rows that are added or expire in between move nothing. It is
bound to what it was made for, so that it cannot be carried into another question. It is not signed: a forged one
reads no more than the same client may read with other parameters.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from logagg.api.problem import Problem

CURSOR_CHARS_MAX = 1000


def encode(key: list[Any], question: Mapping[str, Any]) -> str:
    """`key` is JSON-able; `question` are the parameters that must stay the same from page to page."""
    text = json.dumps([_digest(question), *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, question: Mapping[str, Any], kinds: tuple[type, ...]) -> list[Any]:
    """The key, whose parts are of these types; Problem 400 for anything that `encode` has not made."""
    try:
        data = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        digest, *rest = json.loads(data)
        key: list[Any] = rest
    except (binascii.Error, UnicodeError, ValueError, TypeError, RecursionError):
        raise _wrong("is no cursor of this service") from None
    # bool is an int to Python, and no part of any key
    if len(key) != len(kinds) or not all(type(part) is kind for part, kind in zip(key, kinds, strict=True)):
        raise _wrong("is no cursor of this service")
    if digest != _digest(question):
        raise _wrong("belongs to other parameters; send the same ones with it")
    return key


def _digest(question: Mapping[str, Any]) -> str:
    text = json.dumps(question, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _wrong(what: str) -> Problem:
    detail = f"cursor {what}; leave it out to begin at the first page"
    return Problem(400, detail, errors=[{"parameter": "cursor", "detail": detail}])
