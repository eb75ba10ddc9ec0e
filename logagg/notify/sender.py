"""The loop that delivers: claims due messages one after the other, hands each to the channel, and notes the answer.

A message is claimed by compare-and-set right before it is sent, and the claim outlasts a delivery's bound: two senders
never have it at the same time. Between the service's acceptance and the note of it lies the one moment in which a kill
leads to a second delivery, with the same Message-ID; the service cannot be asked.
"""

import logging
import os
import random
import socket
import threading
from collections import Counter
from typing import Any

from logagg.clock import Clock
from logagg.errors import StoreUnavailable
from logagg.interfaces import Store
from logagg.notify.channel import Answer, Channel, Notification
from logagg.notify.outbox import open_messages
from logagg.notify.retry import LEASE_S, PAUSE_MAX_S, claimed, readiness, retry_s, settled
from logagg.visible import visible

log = logging.getLogger(__name__)

POLL_S = 1.0
"""How often to look for what other processes have put, and for what has become due."""

ROUND = 50
"""So many messages are sent before looking again: an alert need not wait behind all reports of a month."""


class Sender:
    """Delivers the outbox's messages of one channel type. Used from one thread; a slow service has its own Sender.

    `counts` says what came of all tries: accepted, refused, later, unknown, given_up, and lost_claim (another sender
    took over before the answer was noted).
    """

    def __init__(self, store: Store, channel: Channel, clock: Clock, *, type: str = "email",
                 rng: random.Random | None = None, lease_s: float = LEASE_S) -> None:
        self.counts: Counter[str] = Counter()
        self._store = store
        self._channel = channel
        self._clock = clock
        self._type = type
        self._rng = rng or random.Random()
        self._lease_s = lease_s
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{self._rng.getrandbits(32):08x}"
        self._pause = _Pause(self._rng)
        self._notes: dict[str, tuple[int, dict[str, Any]]] = {}     # answers that the store has not taken yet

    def run(self, stop: threading.Event, wake: threading.Event) -> None:
        """Deliver until `stop` is set; `wake` (set it with `stop` too) ends the wait for the next look."""
        while not stop.is_set():
            wake.clear()
            try:
                self.deliver_due(stop)
            except StoreUnavailable as error:
                log.warning("sending: %s; trying again", error)
            self._clock.wait(wake, POLL_S)

    def deliver_due(self, stop: threading.Event | None = None) -> int:
        """Send all that is due now, unless the service has to be left alone for a while; how many it accepted.

        StoreUnavailable ends it; answers not noted by then are noted first the next time.
        """
        accepted = 0
        try:
            while keys := self._due():
                for key in keys:
                    if self._pause.holds(self._clock.now_us()) or (stop is not None and stop.is_set()):
                        return accepted
                    accepted += self._deliver(key)
            return accepted
        finally:
            self._channel.rest()

    def _due(self) -> list[str]:
        """The next round's keys: incidents before all else, then what has been due for longest; so one that has just
        failed comes behind those not yet tried."""
        self._write_notes()
        now_us = self._clock.now_us()
        if self._pause.holds(now_us):
            return []
        due = [(not value["about"].get("incident"), value["next_at_us"], key)
               for key, value in open_messages(self._store, now_us).items()
               if value["type"] == self._type and readiness(value, now_us) == "due"]
        return [key for *_, key in sorted(due)[:ROUND]]

    def _deliver(self, key: str) -> bool:
        claim = self._claim(key)
        if claim is None:
            return False
        revision, value = claim
        body = self._store.document("outbox_body", key)
        answer = self._send(value, body[1]) if body else Answer("refused", "its text is not in the store")
        now_us = self._clock.now_us()
        after = settled(value, answer, now_us, self._rng)
        self._notes[key] = (revision, after)
        self._tell(answer, after, now_us)
        self._write_notes()
        return answer.outcome == "accepted"

    def _claim(self, key: str) -> tuple[int, dict[str, Any]] | None:
        """The message as ours, with its revision; None where another sender has it."""
        revision, value = self._store.document("outbox", key) or (0, {})
        now_us = self._clock.now_us()
        if not revision or readiness(value, now_us) != "due":
            return None
        mine = claimed(value, self._holder, now_us, self._lease_s)
        return (revision + 1, mine) if self._store.put_document("outbox", key, revision, mine) else None

    def _send(self, value: dict[str, Any], body: dict[str, Any]) -> Answer:
        try:
            return self._channel.send(Notification(
                value["to"][0], value["subject"], body["text"], body["html"], value["message_id"],
                value["created_us"], value["thread"], value["about"], body["images"]))
        except Exception as error:      # one message must not end the sending of all others
            log.exception("message %s", value["id"])
            return Answer("later", f"unexpected {type(error).__name__}; see the program's log")

    def _write_notes(self) -> None:
        """Write the answers. What is sent or failed needs its text no more; one killed in between leaves it there."""
        for key, (revision, value) in list(self._notes.items()):
            if not self._store.put_document("outbox", key, revision, value):
                self.counts["lost_claim"] += 1      # or written by a try whose answer was lost
            elif value["state"] == "sent":
                self._store.put_document("outbox_body", key, None, {"text": "", "html": "", "images": []})
            del self._notes[key]

    def _tell(self, answer: Answer, value: dict[str, Any], now_us: int) -> None:
        self.counts[answer.outcome] += 1
        what = visible(f"message {value['id']} to {value['to'][0]} ({value['subject'][:100]})")
        if answer.outcome in ("accepted", "refused"):
            self._pause.over()
        if value["state"] == "failed":
            self.counts["given_up"] += answer.outcome != "refused"
            log.error("%s will not be delivered: %s", what, value["error"])
        elif answer.everyone:
            self._pause.begin(now_us, answer.text)
        elif answer.outcome != "accepted":
            log.warning("%s: %s; trying again", what, answer.text)


class _Pause:
    """How long to leave a service alone that does not work, and when to say so: once for each reason."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._until_us = 0
        self._failures = 0
        self._said = ""

    def holds(self, now_us: int) -> bool:
        return now_us < self._until_us

    def begin(self, now_us: int, reason: str) -> None:
        self._failures += 1
        self._until_us = now_us + round(retry_s(self._failures, self._rng, PAUSE_MAX_S) * 1e6)
        if reason != self._said:
            log.error("messages wait: %s; trying again until it works", reason)
            self._said = reason

    def over(self) -> None:
        if self._failures:
            log.warning("messages are delivered again")
        self._until_us, self._failures, self._said = 0, 0, ""
