"""What event grammars found in a batch, event by event as columns; record by record when somebody asks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from logagg.columns import Ints, ints
from logagg.grammar.wording import Fields, Value


@dataclass(frozen=True, slots=True)
class EventGroup:
    """All claims of one event: record numbers, ascending, and a column per field, None where it is absent."""

    event: str
    rows: Ints
    columns: Mapping[str, Sequence[Value | None]]

    def __len__(self) -> int:
        return len(self.rows)

    def fields(self) -> list[Fields]:
        """The fields of each claim; absent ones are left out."""
        names = tuple(self.columns)
        if not names:
            return [{} for _ in range(len(self.rows))]
        absent = {name for name, column in self.columns.items() if None in column}
        claims = [dict(zip(names, values)) for values in zip(*self.columns.values(), strict=True)]
        if absent:
            return [{name: value for name, value in claim.items() if value is not None} for claim in claims]
        return claims  # type: ignore[return-value]


class EventClaims:
    """The Claims of logagg.interfaces."""

    def __init__(self, groups: Iterable[EventGroup] = ()) -> None:
        self.groups = tuple(groups)

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    @cached_property
    def rows(self) -> Sequence[int]:
        return self._all_rows[self._order].tolist()

    @cached_property
    def names(self) -> Sequence[str]:
        names = [group.event for group in self.groups]
        numbers = np.repeat(np.arange(len(names)), [len(group) for group in self.groups])
        return [names[number] for number in numbers[self._order].tolist()]

    @cached_property
    def fields(self) -> Sequence[Fields]:
        fields = [one for group in self.groups for one in group.fields()]
        return [fields[place] for place in self._order.tolist()]

    @cached_property
    def _all_rows(self) -> Ints:
        return np.concatenate([ints(()), *(group.rows for group in self.groups)])

    @cached_property
    def _order(self) -> Ints:
        return np.argsort(self._all_rows, kind="stable")


def merged(groups: Iterable[EventGroup], names_of: Mapping[str, Iterable[str]]) -> EventClaims:
    """Claims from groups of which several may be of one event; `names_of` tells an event's fields in their order."""
    by_event: dict[str, list[EventGroup]] = {}
    for group in groups:
        if len(group):
            by_event.setdefault(group.event, []).append(group)
    return EventClaims(_joined(event, some, tuple(names_of[event])) for event, some in by_event.items())


def _joined(event: str, groups: Sequence[EventGroup], names: tuple[str, ...]) -> EventGroup:
    if len(groups) == 1 and tuple(groups[0].columns) == names and bool((np.diff(groups[0].rows) > 0).all()):
        return groups[0]
    rows = np.concatenate([group.rows for group in groups])
    order = np.argsort(rows, kind="stable")
    places = order.tolist()
    columns: dict[str, Sequence[Value | None]] = {}
    for name in names:
        values = [value for group in groups for value in group.columns.get(name, (None,) * len(group))]
        columns[name] = [values[place] for place in places]
    return EventGroup(event, rows[order], columns)
