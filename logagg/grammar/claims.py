"""What event grammars found in a batch, event by event as columns; record by record when somebody asks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from logagg.columns import Ints, ints, numbers
from logagg.grammar.wording import Fields, Value
from logagg.interfaces import ClaimGroup


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Claims of one event: record numbers, ascending, and a column per field, None where it is absent."""

    event: str
    rows: Ints
    columns: Mapping[str, Sequence[Value | None]]


class EventClaims:
    """The Claims of logagg.interfaces."""

    def __init__(self, groups: Iterable[EventGroup] = ()) -> None:
        self.groups: Sequence[ClaimGroup] = tuple(group for group in groups if len(group.rows))

    def __len__(self) -> int:
        return sum(len(group.rows) for group in self.groups)

    @cached_property
    def rows(self) -> Sequence[int]:
        return numbers(self._all_rows[self._order])

    @cached_property
    def names(self) -> Sequence[str]:
        names = [group.event for group in self.groups]
        groups = np.repeat(np.arange(len(names)), [len(group.rows) for group in self.groups])
        return [names[number] for number in groups[self._order].tolist()]

    @cached_property
    def fields(self) -> Sequence[Fields]:
        fields = [one for group in self.groups for one in _fields(group)]
        return [fields[place] for place in self._order.tolist()]

    @cached_property
    def _all_rows(self) -> Ints:
        return np.concatenate([ints(()), *(group.rows for group in self.groups)])

    @cached_property
    def _order(self) -> Ints:
        return np.argsort(self._all_rows, kind="stable")


def _fields(group: ClaimGroup) -> list[Fields]:
    """The fields of each claim; absent ones are left out."""
    names = tuple(group.columns)
    if not names:
        return [{} for _ in range(len(group.rows))]
    claims: list[Any] = [dict(zip(names, values, strict=True))
                         for values in zip(*group.columns.values(), strict=True)]
    if any(None in column for column in group.columns.values()):
        return [{name: value for name, value in claim.items() if value is not None} for claim in claims]
    return claims
