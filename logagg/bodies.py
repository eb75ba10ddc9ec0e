"""Records on their way into a store, as columns until somebody asks for one of them.

Nearly all records are plain: one line, whose head prints, besides the time, texts that many records share. A store that
writes columns need not make a Python object of each; to all others these are sequences like any.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from logagg.record import Event

Body = dict[str, Any]


class Head:
    """What a record's head prints besides its time: texts by the keys of the body, in order. Records whose heads print
    the same share one; nobody changes it."""

    __slots__ = ("texts",)

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts


@dataclass(frozen=True, slots=True)
class Bodies:
    """The bodies of some records, without events; iterating gives each one's stream offset, time and body.

    All columns have the same length. Where `heads[i]` is None the record is not plain, its body is in `whole`, and of
    the last three columns only the length counts.
    """

    offsets: Sequence[int]
    times: Sequence[int | None]         #: microseconds
    heads: Sequence[Head | None]
    whole: Mapping[int, Body]
    seconds: Sequence[str]              #: the times' texts in UTC, up to the second
    fractions: Sequence[bytes]          #: the digits of the second's fraction, as printed
    messages: Sequence[bytes]           #: UTF-8

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[tuple[int, int | None, Body]]:
        columns = (self.offsets, self.times, self.heads, self.seconds, self.fractions, self.messages)
        for i, (offset, ts_us, head, second, fraction, message) in enumerate(zip(*columns, strict=True)):
            if head is None:
                yield offset, ts_us, {**self.whole[i]}
                continue
            ts = f"{second}.{fraction.decode()}Z" if fraction else second + "Z"
            yield offset, ts_us, {"ts": ts, **head.texts, "message": message.decode()}

    def __getitem__(self, i: int) -> tuple[int, int | None, Body]:
        at = slice(i, i + 1)
        whole = {0: self.whole[i]} if self.heads[i] is None else {}
        [found] = Bodies(self.offsets[at], self.times[at], self.heads[at], whole, self.seconds[at], self.fractions[at],
                         self.messages[at])
        return found


class KeptEvents(Sequence[Event]):
    """The events of one chunk. `claims` maps a record's place in `bodies` to its event's name and fields."""

    __slots__ = ("bodies", "claims", "stream")

    def __init__(self, stream: str, bodies: Bodies, claims: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        self.stream, self.bodies, self.claims = stream, bodies, claims

    def __len__(self) -> int:
        return len(self.bodies)

    def __iter__(self) -> Iterator[Event]:
        for i, found in enumerate(self.bodies):
            yield self._event(i, *found)

    @overload
    def __getitem__(self, i: int) -> Event: ...
    @overload
    def __getitem__(self, i: slice) -> tuple[Event, ...]: ...
    def __getitem__(self, i: int | slice) -> Event | tuple[Event, ...]:
        if isinstance(i, slice):
            return tuple(self[at] for at in range(*i.indices(len(self))))
        at = range(len(self))[i]
        return self._event(at, *self.bodies[at])

    def _event(self, i: int, offset: int, ts_us: int | None, body: Body) -> Event:
        claim = self.claims.get(i)
        if claim is not None:
            body["event"], body["fields"] = claim
        return Event(self.stream, offset, ts_us, body.get("level"), body.get("event"), body)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Event.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]
