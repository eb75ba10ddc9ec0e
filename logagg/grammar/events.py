"""Event grammars: first lines of messages -> typed events, over a whole batch of lines at a time.

A grammar is a Lark grammar whose `start` lists the events. Lark loads it and stays its definition; here it is compiled:
each way to word an event becomes one pattern for the whole line, tried only on lines that begin with its literal text.
Where a line can be read in several ways, the first event and the first alternative that match win, and within them
every part takes as much as it can, from left to right. What is no regular language is read by Lark's own parser.

    logagg/grammar/lark_rules.py    the grammar's text -> trees of wordings
    logagg/grammar/regular.py       what the trees are made of; Python's regexps -> trees
    logagg/grammar/ahead.py         what may come next: literal prefixes, choices, how long matching can take
    logagg/grammar/wording.py       a tree -> the pattern that reads a line
    logagg/grammar/earley.py        the slow way, for what is no regular language

Bytes that are no UTF-8 are read as U+FFFD. However hostile a line, its reading ends soon: lines above 64 KiB are not
tried, lines on which a pattern with several unbounded fields could take more than a moment are not tried with that
pattern (`Wording.line_bytes_max`), and Lark's parser has bounds of its own. Such lines belong to no event.
"""

import codecs
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Generic, TypeVar

from logagg.grammar.earley import LarkWording
from logagg.grammar.regular import Field, alt, walk
from logagg.grammar.wording import Value, Wording, wording
from logagg.interfaces import Classifier

_KEY_BYTES = 3  # shorter literal texts at the start tell too little: such wordings are tried on every line


@dataclass(slots=True)
class EventClaims:
    """What was found in a batch, as parallel columns; `rows` rise."""

    rows: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    fields: list[dict[str, Value]] = field(default_factory=list)


class EventGrammar:
    """A compiled event grammar. `rules` maps event -> field -> type (int, float or str); a field may be absent from
    an event that has it. `slow` maps those events that only Lark's parser can read to the reason why.

    It can be pickled, and may be used from several threads.
    """

    def __init__(self, name: str, path: str, rules: Mapping[str, Mapping[str, type]],
                 wordings: Sequence[Wording | LarkWording], slow: Mapping[str, str]) -> None:
        self.name = name
        self.path = path
        self.rules = {event: dict(fields) for event, fields in rules.items()}
        self.slow = dict(slow)
        self.wordings = tuple(wordings)
        self._dispatch = _dispatch(self.wordings)

    @classmethod
    def load(cls, text: str, *, name: str, path: str = "") -> "EventGrammar":
        """Compile a grammar's text. `path` is where it comes from, for errors and for imports of its neighbours.

        Raises GrammarError, with file:line:column where the mistake has one place.
        """
        from logagg.grammar.loading import read_events, wider  # loads Lark where the text is new

        events = read_events(text, name, path)
        kinds: dict[str, dict[str, list[type]]] = {event.name: {} for event in events}
        for event in events:
            for part in walk(event.node):
                if isinstance(part, Field):
                    kinds[event.name].setdefault(part.name, []).append(part.kind)
        rules = {event: {one: wider(iter(found)) for one, found in fields.items()} for event, fields in kinds.items()}
        wordings: list[Wording | LarkWording] = []
        slow: dict[str, str] = {}
        for rule, same in groupby(events, key=lambda event: event.rule):
            group = list(same)
            compiled = [wording(event.name, event.node, rules[event.name]) for event in group]
            reason = next((one for one in compiled if isinstance(one, str)), None)
            if reason is None:
                wordings += [one for one in compiled if not isinstance(one, str)]
            else:
                slow |= {event.name: reason for event in group}
                wordings.append(LarkWording(rule, alt(event.node for event in group), rules, text, path))
        return cls(name, path, rules, wordings, slow)

    def claim(self, first_lines: Sequence[bytes]) -> EventClaims:
        """The events among these lines; the answer for a line does not depend on the others."""
        claims = EventClaims()
        first = self._dispatch
        second_of, others, key_bytes = first.by_key.get, first.others, first.key_bytes
        for row, line in enumerate(first_lines):
            second = second_of(line[:key_bytes])
            candidates = others if second is None else second.by_key.get(line[:second.key_bytes], second.others)
            if not candidates:
                continue
            text = None
            for candidate in candidates:
                if candidate.needle not in line or len(line) > candidate.line_bytes_max:
                    continue
                if text is None:
                    text = line.decode("utf-8", "replace")
                found = candidate.read(text)
                if found is not None:
                    claims.rows.append(row)
                    claims.names.append(found[0])
                    claims.fields.append(found[1])
                    break
        return claims


AnyWording = Wording | LarkWording
Target = TypeVar("Target")


@dataclass(frozen=True, slots=True)
class _Dispatch(Generic[Target]):
    """What to try on a line, by its first `key_bytes`; `others` on all lines that `by_key` does not know."""

    key_bytes: int
    by_key: dict[bytes, Target]
    others: tuple[AnyWording, ...]


def _keyed(wordings: Sequence[AnyWording], key_bytes_min: int) -> _Dispatch[tuple[AnyWording, ...]]:
    """Tell wordings apart by as many bytes as all have whose literal start has at least `key_bytes_min`."""
    long = [one for one in wordings if min(map(len, one.prefixes)) >= key_bytes_min]
    key_bytes = min((len(prefix) for one in long for prefix in one.prefixes), default=key_bytes_min)
    keys = {prefix[:key_bytes] for one in long for prefix in one.prefixes}
    by_key = {key: tuple(one for one in wordings if one not in long or key in _cut(one, key_bytes))
              for key in keys}
    return _Dispatch(key_bytes, by_key, tuple(one for one in wordings if one not in long))


def _cut(one: AnyWording, key_bytes: int) -> set[bytes]:
    return {prefix[:key_bytes] for prefix in one.prefixes}


def _dispatch(wordings: Sequence[AnyWording]) -> _Dispatch[_Dispatch[tuple[AnyWording, ...]]]:
    """Two steps: by the bytes that nearly all wordings have, then by those that tell apart what begins alike."""
    first = _keyed(wordings, _KEY_BYTES)
    by_key = {key: _keyed(some, first.key_bytes + 4) for key, some in first.by_key.items()}
    return _Dispatch(first.key_bytes, by_key, first.others)


class Classifiers:
    """Several classifiers, tried in order: the first that claims a line has it. Lines are in `encoding`."""

    def __init__(self, classifiers: Iterable[Classifier], encoding: str = "utf-8") -> None:
        self._classifiers = tuple(classifiers)
        self._encoding = codecs.lookup(encoding).name

    def claim(self, first_lines: Sequence[bytes]) -> EventClaims:
        """The events among these lines."""
        if self._encoding != "utf-8":
            first_lines = [line if line.isascii() else line.decode(self._encoding, "replace").encode()
                           for line in first_lines]
        found: dict[int, tuple[str, dict[str, Value]]] = {}
        left: Sequence[int] = range(len(first_lines))
        for classifier in self._classifiers:
            if found:
                left = [row for row in range(len(first_lines)) if row not in found]
            claims = classifier.claim([first_lines[row] for row in left])
            found |= {left[row]: (name, fields)
                      for row, name, fields in zip(claims.rows, claims.names, claims.fields, strict=True)}
        rows = sorted(found)
        return EventClaims(rows, [found[row][0] for row in rows], [found[row][1] for row in rows])
