"""Deleting what is older than it is to be kept, so that no number that stays ever shrinks.

First the freeze horizon rises: buckets wholly below it are not computed again. Only then go the chunks (with their
partials) and finer buckets from which those below were computed. Days, weeks and months stay for ever.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from logagg.interfaces import Store
from logagg.rollup.fold import expirable_before
from logagg.rollup.partial import MINUTE_US

DAY_US = 86_400_000_000


class Ages(Protocol):
    """For how many days each kind is kept; None: for ever. `minute` covers quarters of an hour too."""

    @property
    def raw_days(self) -> int | None: ...

    @property
    def events_days(self) -> int | None: ...

    @property
    def minute_days(self) -> int | None: ...

    @property
    def hour_days(self) -> int | None: ...


def expire(store: Store, ages: Ages, now_us: int, go_on: Callable[[], bool] = lambda: True) -> dict[str, int]:
    """Delete all that is too old: {"chunks", "events", "buckets"}, how many of each. Ended early by `go_on`."""

    def before(days: int | None) -> int | None:
        return None if days is None else now_us - days * DAY_US

    raw_us, events_us = before(ages.raw_days), before(ages.events_days)
    by_step = {"minute": before(ages.minute_days), "quarter": before(ages.minute_days), "hour": before(ages.hour_days)}
    ends = [end // MINUTE_US for end in (raw_us, *by_step.values()) if end is not None]
    buckets = {}
    if ends:
        horizon = _raise_horizon(store, max(ends))
        bounds = expirable_before(horizon, list(store.documents("zone")))
        buckets = {step: min(bounds[step], end // MINUTE_US) for step, end in by_step.items() if end is not None}
    total: Counter[str] = Counter()
    while go_on():
        deleted = store.expire(raw_before_us=raw_us, events_before_us=events_us, buckets_before=buckets)
        total.update(deleted)
        if not any(deleted.values()):
            break
    return {kind: total[kind] for kind in ("chunks", "events", "buckets")}


def _raise_horizon(store: Store, minute: int) -> int:
    """The freeze horizon, raised to `minute` if it was below; it never falls."""
    while True:
        revision, value = store.document("horizon", "freeze") or (0, {"minute": minute - 1})
        if value["minute"] >= minute:
            return int(value["minute"])
        if store.put_document("horizon", "freeze", revision, {"minute": minute}):
            return minute
