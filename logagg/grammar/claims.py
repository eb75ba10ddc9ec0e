"""What event grammars found in a batch, event by event as columns; record by record when somebody asks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from logagg.columns import Ints, ints, numbers
from logagg.grammar.wording import Fields, Value
from logagg.interfaces import ClaimGroup


class Texts(Sequence[str | None]):
    """A column of texts, parts of a block, each cut out when it is asked for; None where `there` says that there is
    none."""

    def __init__(self, block: bytes, starts: Ints, stops: Ints, there: NDArray[np.bool_] | None = None) -> None:
        self._block, self._starts, self._stops, self._there = block, starts, stops, there

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, i: int) -> str | None: ...
    @overload
    def __getitem__(self, i: slice) -> list[str | None]: ...
    def __getitem__(self, i: int | slice) -> str | list[str | None] | None:
        return self._values[i]

    def __iter__(self) -> Iterator[str | None]:
        return iter(self._values)

    @cached_property
    def _values(self) -> list[str | None]:
        block = self._block
        places = zip(self._starts.tolist(), self._stops.tolist(), strict=True)
        if self._there is None:
            return [block[start:stop].decode() for start, stop in places]
        return [block[start:stop].decode() if there else None
                for (start, stop), there in zip(places, self._there.tolist(), strict=True)]


class Numbers(Sequence[int | float | None]):
    """A column of numbers; None where `there` says that there is none. What comes out is Python's own."""

    def __init__(self, values: NDArray[np.int64] | NDArray[np.float64], there: NDArray[np.bool_] | None = None) -> None:
        self._values, self._there = values, there

    @property
    def whole(self) -> Ints | None:
        """The values as an array, if all are there and whole numbers."""
        values: NDArray[Any] = self._values
        return values if self._there is None and values.dtype == np.int64 else None

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, i: int) -> int | float | None: ...
    @overload
    def __getitem__(self, i: slice) -> list[int | float | None]: ...
    def __getitem__(self, i: int | slice) -> int | float | list[int | float | None] | None:
        return self._list[i]

    def __iter__(self) -> Iterator[int | float | None]:
        return iter(self._list)

    @cached_property
    def _list(self) -> list[int | float | None]:
        values: list[int | float | None] = self._values.tolist()
        if self._there is None:
            return values
        return [value if there else None for value, there in zip(values, self._there.tolist(), strict=True)]


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
    columns = [list(column) for column in group.columns.values()]
    claims: list[Any] = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    if any(None in column for column in columns):
        return [{name: value for name, value in claim.items() if value is not None} for claim in claims]
    return claims
