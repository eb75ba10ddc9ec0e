"""Every byte is accounted for once: the ledger of each stream, as `logagg status` shows it.

    found     = committed + pending                 bytes of the uncompressed stream
    committed = in records + rejected + gone        gone: known to be destroyed, counted under `dropped` too

`found` is what an agent or `ingest` saw last (document "found"/<stream id>: {"size", "at_us"}), never less than what
is committed. `rejected` are bytes in rejects. `dropped` maps a reason to bytes: bytes destroyed before they were
read, and copies that were not read again, which are no part of `found`.
`lag_s` is the age of the newest committed record while something is pending, else 0; None where no record had a time.
"""

from collections.abc import Iterable
from typing import Any

from logagg.interfaces import Store
from logagg.record import Stream
from logagg.times import rfc3339


def ledger(store: Store, now_us: int, *, app: str | None = None, host: str | None = None) -> dict[str, Any]:
    """The ledger as `status --json` prints it: {"streams": [...], "totals": {...}}."""
    sizes = {key: int(value.get("size") or 0) for key, value in store.documents("found").items()}
    rows = [row(stream, sizes.get(stream.id, 0), now_us) for stream in store.streams(app=app, host=host)]
    return {"streams": rows, "totals": totals(rows)}


def row(stream: Stream, seen: int, now_us: int) -> dict[str, Any]:
    """One stream's line; `seen` is the size that was seen last, 0 where none was noted."""
    found = max(seen, stream.end)
    pending = found - stream.end
    counts = stream.counts + stream.open_counts
    last = stream.last_ts_us
    lag_s = 0.0 if not pending else None if last is None else round(max(0, now_us - last) / 1e6, 3)
    return {
        "stream": stream.id,
        "host": stream.host,
        "app": stream.app,
        "path": stream.path,
        "found": found,
        "committed": stream.end,
        "pending": pending,
        "rejected": counts.rejected_bytes,
        "dropped": dict(sorted(stream.dropped.items())),
        "lag_bytes": pending,
        "lag_s": lag_s,
        "last_ts": None if last is None else rfc3339(last),
        "records": counts.records,
        "events": counts.events,
        "rejects": counts.rejects,
    }


def totals(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sums of all lines; the lag is the largest, the last time the newest."""
    rows = list(rows)
    dropped: dict[str, int] = {}
    for one in rows:
        for reason, n_bytes in one["dropped"].items():
            dropped[reason] = dropped.get(reason, 0) + n_bytes
    summed = ("found", "committed", "pending", "rejected", "lag_bytes", "records", "events", "rejects")
    return {
        "streams": len(rows),
        **{key: sum(one[key] for one in rows) for key in summed},
        "dropped": dict(sorted(dropped.items())),
        "lag_s": max((one["lag_s"] for one in rows if one["lag_s"] is not None), default=0.0),
        "last_ts": max((one["last_ts"] for one in rows if one["last_ts"]), default=None),
    }
