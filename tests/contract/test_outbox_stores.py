"""The outbox over every kind of store."""

import base64
import os
import threading

from logagg.clock import SystemClock
from logagg.interfaces import Store
from logagg.notify.outbox import Outbox
from logagg.notify.sender import Sender
from tests.unit.test_outbox import Ops, Told


def test_putters_and_senders_at_once(store: Store) -> None:
    """Three put the same thirty messages with images while three send: each goes to its recipient once, whole."""
    clock, done = SystemClock(), threading.Event()
    image = {"cid": "a@b", "data": base64.b64encode(os.urandom(30_000)).decode()}
    channels = [Told() for _ in range(3)]
    senders = [Sender(store, channel, clock) for channel in channels]

    def put() -> None:
        outbox = Outbox(store, [Ops(to=("a@example.com",))], clock)
        for number in range(30):
            outbox.put(f"message {number}", "ops", f"subject {number}", "text\x00\ud800", "<p>", [image])

    def send(sender: Sender) -> None:
        while not done.is_set():
            sender.deliver_due()
        sender.deliver_due()

    putting = [threading.Thread(target=put) for _ in range(3)]
    sending = [threading.Thread(target=send, args=(sender,)) for sender in senders]
    for thread in putting + sending:
        thread.start()
    for thread in putting:
        thread.join()
    done.set()
    for thread in sending:
        thread.join()
    sent = [note for channel in channels for note in channel.sent]
    assert sorted(note.subject for note in sent) == sorted(f"subject {number}" for number in range(30))
    assert len({note.message_id for note in sent}) == 30
    assert all((note.text, note.images) == ("text\x00\ud800", [image]) for note in sent)
    assert {value["state"] for value in store.documents("outbox").values()} == {"sent"}
