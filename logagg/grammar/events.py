"""Event grammars: first lines of messages -> typed events, over a whole batch of lines at a time.

A grammar is a Lark grammar whose `start` lists the events. Lark loads it and stays its definition; here it is compiled:
each way to word an event becomes one pattern for the whole line, tried only on lines that begin with its literal text.
Where a line can be read in several ways, the first event and the first alternative that match win, and within them
every part takes as much as it can, from left to right. What is no regular language is read by Lark's own parser.

    logagg/grammar/lark_rules.py    the grammar's text -> trees of wordings
    logagg/grammar/regular.py       what the trees are made of; Python's regexps -> trees
    logagg/grammar/ahead.py         what may come next: literal prefixes, choices, how long matching can take
    logagg/grammar/wording.py       a tree -> the pattern that reads a line
    logagg/grammar/dispatch.py      which wordings to try on which lines of a batch
    logagg/grammar/plan.py          a tree -> steps that read many lines at once with arrays, for most wordings
    logagg/grammar/lines.py         these steps; the same claims as by the pattern, several times faster
    logagg/grammar/earley.py        the slow way, for what is no regular language

Bytes that are no UTF-8 are read as U+FFFD. However hostile a line, its reading ends soon: lines above 64 KiB are not
tried, lines on which a pattern with several unbounded fields could take more than a moment are not tried with that
pattern (`Wording.line_bytes_max`), and Lark's parser has bounds of its own. Such lines belong to no event.
"""

import codecs
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from logagg.grammar.earley import LarkWording
from logagg.grammar.regular import Field, alt, walk, wider
from logagg.grammar.wording import Wording, wording
from logagg.interfaces import Claims, Classifier

if TYPE_CHECKING:
    from logagg.grammar.claims import EventClaims
    from logagg.grammar.dispatch import Dispatch


class EventGrammar:
    """A compiled event grammar. `rules` maps event -> field -> type (int, float or str); a field may be absent from
    an event that has it. `slow` maps those events that only Lark's parser can read to the reason why.

    It can be pickled, and may be used from several threads. Fewer lines than `together_min` are read one by one, and
    fewer than `lines_a_step` for each step of a wording by its pattern, which is faster for them.
    """

    together_min = 32
    lines_a_step = 24

    def __init__(self, name: str, path: str, rules: Mapping[str, Mapping[str, type]],
                 wordings: Sequence[Wording | LarkWording], slow: Mapping[str, str]) -> None:
        self.name = name
        self.path = path
        self.rules = {event: dict(fields) for event, fields in rules.items()}
        self.slow = dict(slow)
        self.wordings = tuple(wordings)

    @classmethod
    def load(cls, text: str, *, name: str, path: str = "") -> "EventGrammar":
        """Compile a grammar's text. `path` is where it comes from, for errors and for imports of its neighbours.

        Raises GrammarError, with file:line:column where the mistake has one place.
        """
        from logagg.grammar.loading import read_events  # loads Lark where the text is new

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

    @cached_property
    def _dispatch(self) -> "Dispatch":
        from logagg.grammar.dispatch import Dispatch  # loads numpy: only where lines are read

        return Dispatch(self.wordings)

    def claim(self, first_lines: Sequence[bytes]) -> "EventClaims":
        """The events among these lines; the answer for a line does not depend on the others."""
        from logagg.columns import Spans
        from logagg.grammar.claims import EventClaims
        from logagg.grammar.dispatch import Reading, read_each

        lines = first_lines if isinstance(first_lines, Spans) else Spans.of(first_lines)
        if len(lines) < self.together_min:
            return EventClaims(read_each(self._dispatch.each(lines)))
        reading = Reading(lines, self.lines_a_step)
        return EventClaims(group for rows, wordings in self._dispatch.tries(lines)
                           for group in reading.claims(rows, wordings))


class Classifiers:
    """Several classifiers, tried in order: the first that claims a line has it. Lines are in `encoding`."""

    def __init__(self, classifiers: Iterable[Classifier], encoding: str = "utf-8") -> None:
        self._classifiers = tuple(classifiers)
        self._encoding = codecs.lookup(encoding).name

    def claim(self, first_lines: Sequence[bytes]) -> Claims:
        """The events among these lines."""
        import numpy as np

        from logagg.columns import Spans
        from logagg.grammar.claims import EventClaims, EventGroup

        if not self._classifiers:
            return EventClaims(())
        lines = first_lines if isinstance(first_lines, Spans) else Spans.of(first_lines)
        if self._encoding != "utf-8" and not lines.block.isascii():
            lines = Spans.of([line if line.isascii() else line.decode(self._encoding, "replace").encode()
                              for line in lines])
        if len(self._classifiers) == 1:
            return self._classifiers[0].claim(lines)
        groups: list[EventGroup] = []
        left = np.arange(len(lines))
        for classifier in self._classifiers:
            found = [EventGroup(group.event, left[group.rows], group.columns)
                     for group in classifier.claim(lines.take(left)).groups]
            groups += found
            if found:
                left = np.setdiff1d(left, np.concatenate([group.rows for group in found]), assume_unique=True)
        return EventClaims(groups)
