"""Is a period complete, and if not, why? Observed, not guessed: from the documents of kind "observation"."""

from logagg.interfaces import Store
from logagg.report.period import Period, utc_text
from logagg.rollup.partial import MINUTE_US
from logagg.rollup.query import UNFOLDED_MAX


def incomplete_because(store: Store, this: Period) -> list[str]:
    """The reasons why numbers of the period may still change; none: it is complete.

    Complete is a period when every source that the store has seen was read to the ends of its files at or after the
    period's end, and when all that was read of it is in the rollups: `rollup.query.is_complete` in words.
    """
    seen = {f"{stream.app}@{stream.host}" for stream in store.streams()}
    read_to_end = store.documents("observation")
    reasons = [reason for source in sorted(seen | read_to_end.keys())
               if (reason := _behind(source, read_to_end.get(source, {}).get("at_us"), this.to_us))]
    if not seen | read_to_end.keys():
        reasons.append("no source has been read yet")
    zone = store.document("zone", this.zone or "UTC")
    if not (zone and zone[1].get("ready")):
        reasons.append(f"days in the zone {this.zone} are not in the rollups yet")
    marks = store.unfolded(UNFOLDED_MAX)
    dirty = (minute * MINUTE_US for mark in marks for minute in mark.dirty)
    if len(marks) == UNFOLDED_MAX or any(this.from_us <= at_us < this.to_us for at_us in dirty):
        reasons.append("some of what was read is not in the rollups yet")
    return reasons


def known_until(store: Store, this: Period) -> int:
    """Up to which time (microseconds) all sources were read to the ends of their files, and that is in the rollups.

    0 where some source never was, or where the period's rollups are behind.
    """
    reasons = incomplete_because(store, this)
    if not reasons:
        return this.to_us
    if any("rollups" in reason or "never" in reason or "no source" in reason for reason in reasons):
        return 0
    return min(int(value["at_us"]) for value in store.documents("observation").values())


def _behind(source: str, at_us: int | None, end_us: int) -> str | None:
    app, _, host = source.partition("@")
    if at_us is None:
        return f"{app} on {host} was never read to the end of its files"
    if at_us < end_us:
        return f"{app} on {host} was last read to its end at {utc_text(at_us)}"
    return None
