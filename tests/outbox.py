"""An outbox over the store in memory, its sender, and a channel that does as it is told."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from logagg.clock import StepClock
from logagg.notify.channel import Answer, Notification
from logagg.notify.outbox import Outbox
from logagg.notify.sender import Sender
from logagg.store.memory import MemoryStore

OK = Answer("accepted", "250 OK")
LATER = Answer("later", "450 come later")
REFUSED = Answer("refused", "550 nobody here")
DOWN = Answer("later", "the server is down", everyone=True)
UNKNOWN = Answer("unknown", "the connection ended", everyone=True)


@dataclass
class Ops:
    name: str = "ops"
    type: str = "email"
    to: tuple[str, ...] = ("a@example.com", "b@example.com")


@dataclass
class Told:
    """A channel that answers as told: one answer for all, or what a function makes of a message."""

    answer: Answer | Callable[[Notification], Answer] = OK
    sent: list[Notification] = field(default_factory=list)
    rests: int = 0

    def send(self, notification: Notification) -> Answer:
        self.sent.append(notification)
        return self.answer(notification) if callable(self.answer) else self.answer

    def rest(self) -> None:
        self.rests += 1


class Scene:
    def __init__(self, **channel: Any) -> None:
        self.clock = StepClock()
        self.store = MemoryStore(self.clock)
        self.channel = Told()
        self.outbox = Outbox(self.store, [Ops(**channel)], self.clock, from_address="logagg@example.com")
        self.sender = self.another()

    def another(self, channel: Told | None = None) -> Sender:
        return Sender(self.store, channel or self.channel, self.clock, rng=random.Random(1))

    def put(self, what: str = "one", **about: str) -> list[str]:
        return self.outbox.put(what, "ops", f"subject {what}", "text", "<p>text</p>", about=about)

    def states(self) -> list[str]:
        return [value["state"] for value in self.store.documents("outbox").values()]

    def settle(self, seconds: float = 1000) -> int:
        self.clock.step(seconds)
        return self.sender.deliver_due()
