"""The life of an incident, as a table and step by step."""

import pytest

from logagg.alert.state import IDLE, Change, State, life, step
from logagg.alert.window import Reading

PENDING, FIRING = State("pending", 100), State("firing", 100)


@pytest.mark.parametrize(("state", "holds", "at", "hold", "after", "reason"), [
    (IDLE, False, 100, 0, IDLE, "quiet"),
    (IDLE, True, 100, 0, FIRING, "fired"),
    (IDLE, True, 100, 5, PENDING, "begun"),
    (PENDING, True, 104, 5, PENDING, "holding"),
    (PENDING, True, 105, 5, FIRING, "held"),
    (PENDING, False, 104, 5, IDLE, "ended_early"),
    (FIRING, True, 110, 5, FIRING, "still"),
    (FIRING, False, 110, 5, IDLE, "resolved"),
])
def test_transitions(state: State, holds: bool, at: int, hold: int, after: State, reason: str) -> None:
    """Each state goes where the table says, with its reason."""
    assert step(state, holds, at, hold) == (after, reason)


def changes(*readings: tuple[int, bool], state: State = IDLE, hold: int = 0, until: int = 1000) -> list[Change]:
    made = [Reading(at, holds, minute=at) for at, holds in readings]
    return [change for _, change in life(made, state, hold, until) if change is not None]


def test_it_fires_when_it_has_held_between_two_readings() -> None:
    """What is pending fires at its time, though nothing was read at that moment."""
    assert [(one.reason, one.at, one.since) for one in changes((100, True), (120, False), hold=5)] == [
        ("begun", 100, 100), ("held", 105, 100), ("resolved", 120, 100)]


def test_it_fires_behind_the_last_reading_but_not_beyond_what_is_known() -> None:
    """Behind the last reading all stays as it was, as far as is known."""
    assert [one.reason for one in changes((100, True), hold=5, until=105)] == ["begun", "held"]
    assert [one.reason for one in changes((100, True), hold=5, until=104)] == ["begun"]


def test_what_ends_at_the_moment_of_firing_does_not_fire() -> None:
    """A condition that is over when it would fire was not held for long enough."""
    assert [one.reason for one in changes((100, True), (105, False), hold=5)] == ["begun", "ended_early"]


def test_without_readings_nothing_changes() -> None:
    """What cannot be told neither fires nor resolves, and ends in the state that it had."""
    assert changes(state=FIRING) == []
    assert changes(state=PENDING, hold=5) == []
    assert [state for state, _ in life([], FIRING, 0, 1000)] == [FIRING]


def test_firing_goes_on_with_what_would_be_too_little_to_begin() -> None:
    """A reading can say: too little to fire, enough to go on."""
    reading = Reading(110, False, goes_on=True)
    assert [change for _, change in life([reading], FIRING, 0, 1000) if change] == []
    assert [change for _, change in life([reading], IDLE, 0, 1000) if change] == []
