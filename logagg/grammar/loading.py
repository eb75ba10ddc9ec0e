"""A grammar's text -> its events: read by Lark once, and found in the cache from then on."""

import re
from collections.abc import Sequence

from logagg.grammar.cache import kept
from logagg.grammar.regular import TREE, Event

_NEIGHBOUR = re.compile(r"%import(?![ \t]+\w)")
"""An import of a grammar beside this one, or what may be one: its content may change."""


def read_events(text: str, name: str, path: str) -> Sequence[Event]:
    """The events of a grammar in their order. GrammarError for what is no event grammar."""
    def read() -> tuple[Event, ...]:
        from logagg.grammar import lark_rules  # loads Lark

        return tuple(lark_rules.read_events(text, name, path))

    return read() if _NEIGHBOUR.search(text) else kept(text, read, TREE)
