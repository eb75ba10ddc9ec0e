"""Who leads: of all processes on one store, at most one folds, evaluates rules, builds and sends at a time.

A lease is the document "lease"/name: {"holder", "until_us"}, taken and renewed by compare-and-set. A leader that
dies is followed after `ttl_s`. Clocks of the machines should agree to within a few seconds; where they do not, two
may lead for as long as they differ. That does no harm: folds, incidents, periods and the outbox are guarded by
compare-and-set of their own. The lease only keeps work from being done twice.
"""

import secrets

from logagg.clock import Clock
from logagg.interfaces import Store

TTL_S = 15.0


class Lease:
    """One process's claim to a lease."""

    def __init__(self, store: Store, clock: Clock, name: str = "aggregator", ttl_s: float = TTL_S) -> None:
        self._store, self._clock, self._name = store, clock, name
        self._ttl_us = round(ttl_s * 1e6)
        self.holder = secrets.token_hex(8)
        self._renew_us = 0
        self._until_us = 0

    def hold(self) -> bool:
        """Take or renew the lease; tell whether it is held. Writes at most once in a third of its life."""
        now_us = self._clock.now_us()
        if now_us < self._renew_us and now_us < self._until_us:
            return True
        revision, value = self._store.document("lease", self._name) or (0, {})
        mine = value.get("holder") == self.holder
        if not mine and value.get("until_us", 0) > now_us:
            return False
        until_us = now_us + self._ttl_us
        taken = self._store.put_document("lease", self._name, revision, {"holder": self.holder, "until_us": until_us})
        self._until_us = until_us if taken else 0
        self._renew_us = now_us + self._ttl_us // 3
        return taken

    def release(self) -> None:
        """Let the next one lead at once."""
        revision, value = self._store.document("lease", self._name) or (0, {})
        if value.get("holder") == self.holder:
            self._store.put_document("lease", self._name, revision, {"holder": self.holder, "until_us": 0})
        self._until_us = 0
