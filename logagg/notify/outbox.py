"""The durable list of messages that are not yet confirmed.

Three small documents for one message: "sent_key" (from what it says to whom: the same message is put once), "outbox"
(its state, see retry.py) and "outbox_body" (text, HTML and images; emptied once it is sent, and apart so that
looking for due messages stays cheap). They are written in that order with the outbox document's fixed key, so a put
that was cut short is completed by the next put of the same message, and what a sender sees is whole.
"""

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from logagg.clock import Clock
from logagg.interfaces import Store
from logagg.notify.channel import ChannelSettings
from logagg.notify.message import address

SETTLED_S = 2 * 3600.0
"""A put takes less than half of this, clocks differ by less than the other half: what is older is seen by a scan."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Outbox:
    """Where messages are put. `wake` is set with each, for a sender in the same process.

    `from_address` gives Message-IDs their domain.
    """

    def __init__(self, store: Store, channels: Iterable[ChannelSettings], clock: Clock, *,
                 from_address: str = "", wake: threading.Event | None = None) -> None:
        self.wake = wake or threading.Event()
        self._store = store
        self._channels = {channel.name: channel for channel in channels}
        self._clock = clock
        self._domain = domain_of(from_address)

    def put(self, what: str, channel: str, subject: str, text: str, html: str,
            images: Sequence[Mapping[str, Any]] = (), *, about: Mapping[str, str] | None = None) -> list[str]:
        """One message for each recipient of the channel; the ids of those that were not there yet.

        `what` names the message ("incident … firing", "report operations/daily/2026-11-20 r1"): the same again for
        the same recipient is the same message, whatever its text. KeyError where there is no such channel.
        `images`: {"cid", "data": base64} or {"cid", "path": a file that stays until the message is sent}.
        """
        body = {"text": text, "html": html, "images": [dict(image) for image in images]}
        state = {"channel": channel, "type": self._channels[channel].type, "subject": subject,
                 "about": dict(about or {})}
        keys = [self._put_one(what, to, state, body) for to in self._channels[channel].to]
        new = [key for key in keys if key]
        if new:
            self.wake.set()
        return new

    def _put_one(self, what: str, to: str, state: dict[str, Any], body: dict[str, Any]) -> str | None:
        digest = hashlib.sha256(f"{what}\0{to.lower()}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
        key, created_us = self._key(digest)
        if self._store.document("outbox", key) is not None:
            return None
        self._store.put_document("outbox_body", key, 0, body)
        about = "\0".join(f"{name}={value}" for name, value in sorted(state["about"].items()))
        thread = hashlib.sha256(f"{self._domain}\0{about}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
        written = self._store.put_document("outbox", key, 0, state | {
            "id": key, "to": [to], "message_id": f"<{key.replace(':', '.')}@{self._domain}>",
            "thread": f"<{thread}@{self._domain}>" if state["about"] else "",
            "state": "waiting", "attempts": 0, "next_at_us": created_us, "claimed_until_us": 0, "claimed_by": None,
            "error": None, "created_us": created_us, "sent_us": None})
        return key if written else None

    def _key(self, digest: str) -> tuple[str, int]:
        """The message's place, fixed by whoever puts it first; a new one where that put ended long ago half-way,
        since scans may no longer look at the old place."""
        now_us = self._clock.now_us()
        revision, value = self._store.document("sent_key", digest) or (0, {})
        if revision and not self._cut_short(value, now_us):
            return value["outbox"], value["created_us"]
        key = f"{time_key(now_us)}:{digest}"
        if self._store.put_document("sent_key", digest, revision, {"outbox": key, "created_us": now_us}):
            return key, now_us
        found = self._store.document("sent_key", digest)
        assert found is not None    # documents are never deleted
        return found[1]["outbox"], found[1]["created_us"]

    def _cut_short(self, value: dict[str, Any], now_us: int) -> bool:
        return (now_us - value["created_us"] > SETTLED_S / 2 * 1e6
                and self._store.document("outbox", value["outbox"]) is None)


def time_key(ts_us: int) -> str:
    """`20261120T131530.123456Z`: with it a key begins, so that keys are in order of time."""
    return (_EPOCH + timedelta(microseconds=ts_us)).strftime("%Y%m%dT%H%M%S.%fZ")


def open_messages(store: Store, now_us: int) -> dict[str, dict[str, Any]]:
    """The messages that are neither sent nor failed, by key in order of time.

    Looks from the hour before which all are settled, and moves that mark (document "outbox_mark"/"scan") on, so that
    a scan does not grow with the years.
    """
    mark = (store.document("outbox_mark", "scan") or (0, {"hour": ""}))[1]["hour"]
    found = {key: value for key, value in store.documents("outbox", start=mark).items()
             if value["state"] not in ("sent", "failed")}
    hour = min([time_key(now_us - round(SETTLED_S * 1e6)), *found])[:11]
    if hour > mark:
        store.put_document("outbox_mark", "scan", None, {"hour": hour})
    return found


def domain_of(sender: str) -> str:
    """The domain of an address with or without display name; a reserved one (RFC 2606) where there is none."""
    try:
        return address(sender).domain
    except ValueError:
        return "logagg.invalid"
