"""Telling people that the store has no space left: the one alert that comes from logagg itself.

It goes to the channels of `[notify] send`, else to all of them, when commits are refused, and when they are taken
again.
Document "store"/"space": {"full", "since_us", "at_us", "reason", "told"}, changed by compare-and-set: however many
processes look, each change is told of once.
"""

from collections.abc import Sequence
from typing import Any

from logagg.clock import Clock
from logagg.errors import StoreFull
from logagg.interfaces import Store
from logagg.notify.incident import IncidentMailer
from logagg.times import rfc3339

RULE = "store_full"


class SpaceWatch:
    """Looks whether the store takes commits, and tells of changes."""

    def __init__(self, store: Store, mailer: IncidentMailer, channels: Sequence[str], clock: Clock, host: str) -> None:
        self._store, self._mailer, self._channels, self._clock, self._host = store, mailer, channels, clock, host

    def look(self) -> bool:
        """Look once; whether there is space. StoreUnavailable: call again, nothing is told twice or forgotten."""
        reason = self._reason()
        revision, value = self._store.document("store", "space") or (0, {"full": False, "told": True})
        if value["full"] != (reason is not None):
            now_us = self._clock.now_us()
            since_us = now_us if reason is not None else value["since_us"]
            new = {"full": reason is not None, "since_us": since_us, "at_us": now_us, "reason": reason or "",
                   "told": False}
            if not self._store.put_document("store", "space", revision, new):
                return reason is None
            revision, value = revision + 1, new
        if not value["told"]:
            self._mailer.notify(self._incident(value))
            self._store.put_document("store", "space", revision, value | {"told": True})
        return reason is None

    def _reason(self) -> str | None:
        try:
            self._store.check_space()
        except StoreFull as error:
            return str(error)
        return None

    def _incident(self, value: dict[str, Any]) -> dict[str, Any]:
        """What the mail is made of, like an incident of a rule."""
        full = value["full"]
        return {
            "id": f"{RULE}:{value['since_us']}", "rule": RULE, "type": "event", "severity": "critical",
            "state": "firing" if full else "resolved", "labels": {"host": self._host}, "send": list(self._channels),
            "summary": "the store has no space left: reading has stopped" if full
            else "the store has space again: reading goes on where it stopped",
            "fired_at": rfc3339(value["since_us"]), "resolved_at": None if full else rfc3339(value["at_us"]),
            "reason": value["reason"],
        }
