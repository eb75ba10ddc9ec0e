"""The outbox and its senders: put once, sent once, in order."""

import random
import threading
from typing import Any

import pytest

from logagg.clock import StepClock
from logagg.notify.channel import Answer, Notification
from logagg.notify.outbox import Outbox, open_messages, time_key
from logagg.notify.retry import LEASE_S
from logagg.notify.sender import ROUND, Sender
from logagg.notify.smtp import Limits
from tests.outbox import LATER, OK, REFUSED, Ops, Scene, Told


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_one_message_for_each_recipient_once(scene: Scene) -> None:
    """Each recipient gets a message of his own, once, however often it is put, with a Message-ID of its own."""
    assert len(scene.put()) == 2
    assert scene.put() == []
    assert scene.outbox.wake.is_set()
    assert scene.sender.deliver_due() == 2
    assert scene.put() == [] and scene.settle() == 0
    assert [note.to for note in scene.channel.sent] == ["a@example.com", "b@example.com"]
    assert len({note.message_id for note in scene.channel.sent}) == 2
    assert all(note.message_id.endswith("@example.com>") for note in scene.channel.sent)
    assert scene.states() == ["sent", "sent"]
    assert scene.channel.rests, "the connection is given back"


def test_texts_go_once_sent(scene: Scene) -> None:
    """What has been sent keeps its state but no text in the store; what has failed keeps it."""
    scene.channel.answer = lambda note: OK if note.to.startswith("a") else REFUSED
    keys = scene.put()
    scene.sender.deliver_due()
    bodies = {key: (scene.store.document("outbox_body", key) or (0, {}))[1]["text"] for key in keys}
    assert bodies == {keys[0]: "", keys[1]: "text"}


class _Cut(Exception):
    pass


@pytest.mark.parametrize("writes", range(3))
@pytest.mark.parametrize("later_s", [1, 3000, 86400])
def test_a_put_that_was_cut_short_is_completed_by_the_next(scene: Scene, writes: int, later_s: float,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after any of its writes, a put leaves nothing half: putting again completes it, also after scans have
    moved on; it is sent once."""
    scene.outbox = Outbox(scene.store, [Ops(to=("a@example.com",))], scene.clock)
    real, left = scene.store.put_document, [writes]

    def put_document(*args: Any) -> bool:
        if left[0] == 0:
            raise _Cut
        left[0] -= 1
        return real(*args)

    monkeypatch.setattr(scene.store, "put_document", put_document)
    with pytest.raises(_Cut):
        scene.put()
    monkeypatch.undo()
    scene.sender.deliver_due()
    assert scene.channel.sent == []
    scene.settle(later_s)
    scene.put()
    assert scene.sender.deliver_due() == 1
    scene.put()
    assert scene.settle() == 0 and len(scene.channel.sent) == 1


def test_two_senders_never_send_the_same_message(scene: Scene) -> None:
    """While one sender has a message, another finds nothing to do."""
    scene.outbox = Outbox(scene.store, [Ops(to=("a@example.com",))], scene.clock)
    scene.put()
    other = Told()
    second = scene.another(other)

    def meanwhile(_: Notification) -> Answer:
        assert second.deliver_due() == 0
        scene.clock.step(LEASE_S - 1)
        assert second.deliver_due() == 0
        return OK

    scene.channel.answer = meanwhile
    assert scene.sender.deliver_due() == 1
    scene.settle()
    assert second.deliver_due() == 0 and not other.sent


def test_many_senders_at_once_send_each_message_once() -> None:
    """Four senders in threads on one store and 100 messages: each goes once."""
    scene = Scene(to=("a@example.com",))
    keys = [scene.put(str(number))[0] for number in range(100)]
    channels = [Told() for _ in range(4)]
    senders = [scene.another(channel) for channel in channels]
    threads = [threading.Thread(target=sender.deliver_due) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [note.message_id for channel in channels for note in channel.sent]
    assert len(sent) == len(set(sent)) == len(keys)
    assert scene.states() == ["sent"] * 100


def test_a_killed_senders_message_is_taken_up_after_the_lease(scene: Scene) -> None:
    """A sender that vanishes while it sends keeps its message until the lease ends, no longer; the Message-ID stays."""
    scene.outbox = Outbox(scene.store, [Ops(to=("a@example.com",))], scene.clock)
    scene.put()

    class Killed(BaseException):
        pass

    def die(_: Notification) -> Answer:
        raise Killed

    dying = Told(die)
    with pytest.raises(Killed):
        scene.another(dying).deliver_due()
    scene.clock.step(LEASE_S - 0.001)
    assert scene.sender.deliver_due() == 0
    scene.clock.step(0.002)
    assert scene.sender.deliver_due() == 1
    assert scene.channel.sent[0].message_id == dying.sent[0].message_id


def test_the_lease_outlasts_a_delivery() -> None:
    """No delivery may take as long as a claim holds; and quitting the last connection fits in, too."""
    limits = Limits()
    assert limits.total_s + limits.connect_s + 5 <= LEASE_S


def test_answers_that_come_too_late_change_nothing(scene: Scene) -> None:
    """A sender that was suspended past its lease finds the message taken over, and its own answer is dropped."""
    scene.outbox = Outbox(scene.store, [Ops(to=("a@example.com",))], scene.clock)
    scene.put()
    second = scene.another(Told())

    def suspended(_: Notification) -> Answer:
        scene.clock.step(LEASE_S + 1)
        assert second.deliver_due() == 1
        return REFUSED

    scene.channel.answer = suspended
    scene.sender.deliver_due()
    assert scene.states() == ["sent"]
    assert scene.sender.counts["lost_claim"] == 1


def test_alerts_overtake_reports(scene: Scene) -> None:
    """An incident put behind, or during, a flood of reports waits for one round of them at most."""
    scene.outbox = Outbox(scene.store, [Ops(to=("a@example.com",))], scene.clock)
    for number in range(3 * ROUND):
        scene.put(f"report {number}", report=str(number))
    scene.put("alert 1", incident="1")

    def answer(note: Notification) -> Answer:
        if len(scene.channel.sent) == 5:
            scene.put("alert 2", incident="2")
        return OK

    scene.channel.answer = answer
    scene.sender.deliver_due()
    subjects = [note.subject for note in scene.channel.sent]
    assert subjects.index("subject alert 1") == 0 and subjects.index("subject alert 2") == ROUND
    assert len(subjects) == 3 * ROUND + 2


def test_messages_about_one_thing_are_one_thread(scene: Scene) -> None:
    """Firing and resolved of one incident refer to the same thread; another incident to another, a bare one to none."""
    for what, about in (("1 firing", {"incident": "1"}), ("1 resolved", {"incident": "1"}),
                        ("2 firing", {"incident": "2"}), ("test", {})):
        scene.put(what, **about)
    scene.sender.deliver_due()
    threads = {note.subject: note.thread for note in scene.channel.sent}
    assert threads["subject 1 firing"] == threads["subject 1 resolved"] != threads["subject 2 firing"]
    assert threads["subject test"] == ""


def test_a_scan_does_not_grow_with_the_years(scene: Scene) -> None:
    """Settled messages older than some hours are not looked at again, but an open one of any age is."""
    scene.channel.answer = lambda note: LATER if note.subject == "subject open" else OK
    for number in range(50):
        scene.put(str(number))
    scene.settle(3 * 3600)
    seen: list[int] = []
    real = scene.store.documents

    def documents(kind: str, **where: Any) -> dict[str, Any]:
        found = real(kind, **where)
        seen.append(len(found))
        return found

    scene.store.documents = documents       # type: ignore[method-assign]
    scene.put("open")
    scene.settle(10)
    assert seen[-1] == 2
    for _ in range(5):
        scene.put(f"later {scene.clock.now_us()}")
        scene.settle(7 * 3600)
    assert len(open_messages(scene.store, scene.clock.now_us())) == 2


def test_keys_are_in_order_of_time() -> None:
    """A key's text sorts as its time does, and reads as one."""
    times = [0, 1, 999_999, 1_000_000, 1_763_644_530_123_456, 1_763_644_530_123_457]
    assert sorted(map(time_key, times)) == list(map(time_key, times))
    assert time_key(1_763_644_530_123_456) == "20251120T131530.123456Z"


def test_run_sends_when_woken_and_ends_when_told() -> None:
    """`run` delivers what is put while it waits, survives a store that is away for a while, and ends with `stop`."""
    scene = Scene()
    stop, ends = threading.Event(), []
    wake = scene.outbox.wake

    class Clock(StepClock):
        def wait(self, event: threading.Event, timeout_s: float) -> bool:
            ends.append(timeout_s)
            if len(ends) == 1:
                scene.put()
            if len(ends) == 3:
                stop.set()
            return super().wait(event, timeout_s)

    Sender(scene.store, scene.channel, Clock(scene.clock.now_us()), rng=random.Random(1)).run(stop, wake)
    assert len(scene.channel.sent) == 2 and len(ends) == 3
