"""Text from logs, made safe to look at: what cannot be seen or would reorder its neighbours becomes a mark.

Escaping for HTML is the template's work; this is about characters that are harmless to a parser and harmful to a
reader (Unicode Technical Report 36): controls, bidirectional overrides, zero-width and unassigned characters.
"""

import re
import unicodedata
from typing import Any

TEXT_CHARS_MAX = 1000

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_STACKED = re.compile(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4,}")


def visible(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """The text with each hidden character as ⟨U+XXXX⟩, cut to `chars_max` characters (with "…") before that."""
    if len(text) > chars_max:
        text = text[: chars_max - 1] + "…"
    if not text.isprintable():
        text = "".join(_mark(c) if unicodedata.category(c) in _HIDDEN else c for c in text)
    return _STACKED.sub(lambda found: f"⟨{len(found[0])} combining⟩", text)


def finalize(value: Any) -> Any:
    """For Jinja2's `finalize`: every text that a template prints passes here, so no template can forget it."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _mark(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩"
