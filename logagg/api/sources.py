"""What is read of each application on each host: the ledger summed up, and when it was last read to its end."""

from collections.abc import Mapping, Sequence
from typing import Any

from logagg.interfaces import Store
from logagg.ledger import COPY, ledger
from logagg.times import rfc3339

SILENT_S = 60
"""An agent writes an observation every few seconds; older than this means that nobody reads the source now."""


def sources(store: Store, now_us: int, *, app: str | None = None, host: str | None = None) -> list[dict[str, Any]]:
    """One row per application and host, sorted by (app, host):

    {"app", "host", "state", "observed_at", "files", "committed", "pending", "rejected", "rejects", "records",
    "dropped", "lag_s", "last_ts", "streams": the ledger's rows}. `state` is "current" (read to its end within the last
    minute), "behind" (bytes are waiting to be read), or "not_read" (no agent has read it to its end for longer).
    """
    by_source: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in ledger(store, now_us, app=app, host=host)["streams"]:
        by_source.setdefault((row["app"], row["host"]), []).append(row)
    observed = store.documents("observation")
    for key in observed:
        one, _, other = key.partition("@")
        if app in (None, one) and host in (None, other):
            by_source.setdefault((one, other), [])
    return [_source(one, other, by_source[one, other], observed.get(f"{one}@{other}", {}), now_us)
            for one, other in sorted(by_source)]


def _source(app: str, host: str, rows: Sequence[dict[str, Any]], observed: Mapping[str, Any],
            now_us: int) -> dict[str, Any]:
    at_us = observed.get("at_us")
    pending = sum(row["pending"] for row in rows)
    silent = at_us is None or now_us - at_us > SILENT_S * 1_000_000
    lags = [row["lag_s"] for row in rows if row["pending"] and row["lag_s"] is not None]
    dropped: dict[str, int] = {}
    for row in rows:
        for reason, n_bytes in row["dropped"].items():
            if reason != COPY:      # nothing was lost
                dropped[reason] = dropped.get(reason, 0) + n_bytes
    return {
        "app": app, "host": host, "state": "not_read" if silent else "behind" if pending else "current",
        "observed_at": None if at_us is None else rfc3339(at_us), "files": len(rows),
        **{key: sum(row[key] for row in rows) for key in ("committed", "pending", "rejected", "rejects", "records")},
        "dropped": dict(sorted(dropped.items())),
        "lag_s": max(lags, default=None if pending else 0.0),
        "last_ts": max((row["last_ts"] for row in rows if row["last_ts"]), default=None),
        "streams": list(rows),
    }
