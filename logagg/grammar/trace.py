"""Where the message of a multi-line record ends and the exception printed behind it begins.

Nothing marks that place, so it is found by what a printed Java throwable looks like (`Throwable.printStackTrace`,
Log4j's `ThrowableProxyRenderer`): a first line `class.Name: text`, frames `\\tat …(…)`, `... 3 more`, `Caused by:`,
`Suppressed:`; and by its place: it goes on to the end of the record. A thread dump or a JSON text is a message.
"""

import re
from functools import lru_cache

_PART = rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]{0,128}"
_NAME = rb"(?:%s[./]){0,64}[\w$\x80-\xff]{0,256}(?:Exception|Error|Throwable|Failure|Fault|ThreadDeath)" % _PART
_HEADER = rb"(?<![\w.$/-])(?P<header>%s(?=:?[ \t]*[\r\n]|:?\Z|: |\|))" % _NAME
_ODD_HEADER = rb"(?P<header>(?!at |Caused by:|\.\.\. )[^\s][^\n]*)\n(?:[ \t\r]*\n)*[ \t]+at [^\n]"
_LAST_LINE = re.compile(rb"\s*(?:at [^\n]|\.\.\. |Caused by: |Suppressed: |Wrapped by: |\[CIRCULAR REFERENCE)")

_LINE_HEADER = re.compile(rb" ?" + _HEADER)

BEFORE_BYTES_MAX = 8192
"""What is printed between message and exception is shorter."""


@lru_cache(maxsize=512)
def _patterns(before: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes] | None]:
    """Header of a throwable behind `before`; the odd one (any text, but frames follow) only at a line's start."""
    odd = re.compile(before + rb" ?" + _ODD_HEADER) if before else None
    return re.compile(before + rb" ?" + _HEADER), odd


def find_exception(text: bytes, before: bytes, separator: bytes = b"\n") -> tuple[int, int, re.Match[bytes]] | None:
    """The place of the exception in a record's text from the message on: where the message ends, where the
    exception begins, and the match of `before`, the regex of what is printed between them. None: no exception.
    """
    end = len(text.rstrip(b"\r\n" + separator))
    last_line = text.rfind(separator, 0, end) + len(separator) if separator in text[:end] else 0
    strict, odd = _patterns(before)
    if _LAST_LINE.match(text, last_line, end):
        match = strict.search(text) or (odd.search(text) if odd else None)
    elif before.rstrip(b")").endswith(rb"\n") and not _LINE_HEADER.match(text, last_line):
        return None     # tells it without a search for `before`, which takes long where that has free fields
    else:  # no stack trace: only a last line that is a throwable's first line
        match = strict.search(text, max(0, last_line - BEFORE_BYTES_MAX))
        match = match if match and match.start("header") >= last_line else None
    return (match.start(), match.start("header"), match) if match else None
