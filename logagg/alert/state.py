"""The life of an incident: pending -> firing -> resolved, as pure transitions, each with its reason.

                 holds            does not hold
    idle         fires, or begins    (nothing)
    pending      fires once it has held for long enough      ends early
    firing       (nothing)           resolved

Where it cannot be told whether the condition holds there is no reading, and so no transition.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from logagg.alert.window import Reading

Phase = Literal["idle", "pending", "firing"]
Reason = Literal["quiet", "begun", "fired", "holding", "held", "ended_early", "still", "resolved"]


@dataclass(frozen=True, slots=True)
class State:
    """`since` is the moment from which the condition has held without a break; 0 while idle."""

    phase: Phase = "idle"
    since: int = 0


IDLE = State()


def step(state: State, holds: bool, at: int, hold: int) -> tuple[State, Reason]:
    """The state after a reading at the moment `at`, and why. `hold`: how long it must hold until it fires."""
    if state.phase == "idle":
        if not holds:
            return state, "quiet"
        return (State("pending", at), "begun") if hold else (State("firing", at), "fired")
    if state.phase == "pending":
        if not holds:
            return IDLE, "ended_early"
        return (State("firing", state.since), "held") if at - state.since >= hold else (state, "holding")
    return (state, "still") if holds else (IDLE, "resolved")


@dataclass(frozen=True, slots=True)
class Change:
    """A transition at the moment `at`; `since` is when the incident's condition began to hold."""

    reason: Reason
    at: int
    since: int
    reading: Reading


def life(readings: Iterable[Reading], state: State, hold: int, until: int) -> Iterator[tuple[State, Change | None]]:
    """The states that follow from readings, by rising moment, and the changes on the way.

    The condition stays as it was read between two readings, and up to `until` behind the last; so what is pending
    fires in between, when its time has come.
    """
    last: Reading | None = None
    for reading in readings:
        matured = state.since + hold
        if state.phase == "pending" and (matured < reading.at or (matured == reading.at and reading.holds)):
            seen = last if last is not None and matured < reading.at else reading
            yield (state := _held(state, hold)), Change("held", matured, state.since, _at(seen, matured))
        before = state
        state, reason = step(state, reading.says(state.phase == "firing"), reading.at, hold)
        last = reading
        if state != before:
            yield state, Change(reason, reading.at, before.since or state.since, reading)
    if state.phase == "pending" and last is not None and state.since + hold <= until:
        matured = state.since + hold
        yield (state := _held(state, hold)), Change("held", matured, state.since, _at(last, matured))
    yield state, None


def _held(state: State, hold: int) -> State:
    return step(state, True, state.since + hold, hold)[0]


def _at(reading: Reading, at: int) -> Reading:
    """What would have been read at a later moment, where nothing has changed since."""
    return replace(reading, at=at, minute=at - (reading.at - reading.minute))
