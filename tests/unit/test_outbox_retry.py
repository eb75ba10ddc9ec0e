"""What the outbox's senders do when a message cannot be sent now, or ever."""

import logging
import random
from itertools import pairwise
from typing import Any

import pytest

from logagg.errors import StoreUnavailable
from logagg.notify.channel import Answer, Notification
from logagg.notify.outbox import Outbox
from logagg.notify.retry import GIVE_UP_S, retry_s
from tests.outbox import DOWN, LATER, OK, REFUSED, UNKNOWN, Ops, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("failure", [LATER, DOWN, UNKNOWN], ids=lambda answer: answer.text)
def test_it_is_tried_again_with_growing_capped_waits(scene: Scene, failure: Answer) -> None:
    """Between two tries lie 2.5 s to 15 min (one minute where the whole service is away), growing; then it arrives,
    always under the same Message-ID."""
    scene.outbox = Outbox(scene.store, [Ops(to=("a@example.com",))], scene.clock)
    scene.put()
    times = []

    def answer(_: Notification) -> Answer:
        times.append(scene.clock.monotonic_s())
        return failure if len(times) < 12 else OK

    scene.channel.answer = answer
    while scene.states() != ["sent"]:
        scene.sender.deliver_due()
        scene.clock.step(0.5)
    waits = [after - before for before, after in pairwise(times)]
    most = 60 if failure.everyone else 900
    assert 2.5 <= waits[0] <= 5.5 and most / 2 <= waits[-1] <= most + 1 and max(waits) <= most + 1
    assert len({note.message_id for note in scene.channel.sent}) == 1


def test_waits_are_spread_and_capped() -> None:
    """The n-th wait is between half of and the whole of 5 s doubled n-1 times, at most 15 minutes."""
    rng = random.Random(3)
    for failures in range(1, 100):
        whole = min(900.0, 5 * 2.0 ** (failures - 1))
        assert all(whole / 2 <= retry_s(failures, rng) <= whole for _ in range(20))


def test_refused_fails_at_once_and_loudly(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """A recipient that will never be accepted is an error in the log and in the counts, and no other waits for it."""
    scene.channel.answer = lambda note: REFUSED if note.to.startswith("a") else OK
    scene.put()
    assert scene.sender.deliver_due() == 1
    assert scene.states() == ["failed", "sent"]
    assert scene.sender.counts["refused"] == 1
    [error] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "a@example.com" in error.getMessage() and "550 nobody here" in error.getMessage()
    assert scene.settle() == 0 and len(scene.channel.sent) == 2


@pytest.mark.parametrize("failure", [LATER, DOWN, UNKNOWN], ids=lambda answer: answer.text)
def test_given_up_after_three_days_and_loudly(scene: Scene, failure: Answer, caplog: pytest.LogCaptureFixture) -> None:
    """Tried for three days, a message fails with an error in the log; one that nobody could try gets a try first."""
    scene.put()
    scene.channel.answer = failure
    scene.settle(GIVE_UP_S - 10)
    assert scene.states() == ["waiting", "waiting"]
    for _ in range(4):
        scene.settle(901)
    assert scene.states() == ["failed", "failed"]
    assert scene.sender.counts["given_up"] == 2
    errors = [record.getMessage() for record in caplog.records if "will not be delivered" in record.getMessage()]
    assert len(errors) == 2 and all("given up after 3 days" in error and failure.text in error for error in errors)
    scene.put("late")
    scene.channel.answer = OK
    assert scene.settle(GIVE_UP_S + 86400) == 2


def test_a_service_that_is_down_is_left_alone(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """While it is away, one message probes it at most once a pause; that is said once; then all arrive at once."""
    for number in range(30):
        scene.put(str(number))
    scene.channel.answer = DOWN
    for _ in range(600):
        scene.sender.deliver_due()
        scene.clock.step(1)
    assert 10 <= len(scene.channel.sent) <= 25
    assert [record.getMessage() for record in caplog.records] == [
        "messages wait: the server is down; trying again until it works"]
    scene.channel.answer = OK
    assert scene.settle(61) == 60
    assert caplog.records[-1].getMessage() == "messages are delivered again"


def test_one_that_the_server_hangs_on_does_not_hold_up_others(scene: Scene) -> None:
    """A message on which the service breaks each time costs others a pause, not their delivery."""
    scene.put("poison")
    scene.put("good")
    scene.channel.answer = lambda note: UNKNOWN if "poison" in note.subject else OK
    for _ in range(40):
        scene.sender.deliver_due()
        scene.clock.step(1)
    assert sorted(scene.states()) == ["sent", "sent", "waiting", "waiting"]


def test_an_answer_outlives_an_outage_of_the_store(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store goes away between the service's acceptance and the note of it, it is noted later: sent once."""
    scene.outbox = Outbox(scene.store, [Ops(to=("a@example.com",))], scene.clock)
    scene.put()

    def away(*_: Any) -> bool:
        raise StoreUnavailable("gone")

    def answer(_: Notification) -> Answer:
        monkeypatch.setattr(scene.store, "put_document", away)
        return OK

    scene.channel.answer = answer
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            scene.sender.deliver_due()
    monkeypatch.undo()
    scene.settle()
    assert scene.states() == ["sent"] and len(scene.channel.sent) == 1


def test_a_channel_that_raises_ends_nothing(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """A defect in a channel delays its message and is logged; the others go."""
    def answer(note: Notification) -> Answer:
        if note.to.startswith("a"):
            raise ZeroDivisionError
        return OK

    scene.channel.answer = answer
    scene.put()
    assert scene.sender.deliver_due() == 1
    assert scene.states() == ["waiting", "sent"]
    assert "ZeroDivisionError" in caplog.text
