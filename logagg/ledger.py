"""Every byte is accounted for once: the ledger of each stream, as `logagg status` shows it.

    found = committed + pending + dropped           bytes of the uncompressed content

`found` is what an agent or `ingest` saw last (document "found"/<stream id>: {"size", "at_us"}), never less than what
is committed. `committed` bytes are in records and rejects; `rejected` counts those in rejects. `dropped` maps a reason
to bytes that were destroyed before they were read ("truncated", "deleted": see source/gone.py), or that need not be
read: the content of a copy. What has been destroyed and may still turn up in a copy is pending, for a minute.
`lag_s` is the age of the newest committed record while something is pending, else 0; None where no record had a time.

A file that is no stream (yet) has a row of its own, without a stream: a copy, or one too short to be told from others.
Its document "found" names {"app", "host", "path", "size", "reason"}; documents "lost" count bytes that were
destroyed at a path before anybody could tell their stream.

`unseen` lists the intervals in which bytes may have been written and destroyed that nobody has seen.

Files that are not read because they are older than their source's `ignore_older` are in no row: the document
"ignored"/<app>@<host> counts them, {"app", "host", "files", "bytes"} on disk.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from logagg.interfaces import Store
from logagg.record import DELETED, TRUNCATED, Stream
from logagg.times import rfc3339

COPY = "copy"
IGNORED = "ignored"
GONE = (TRUNCATED, DELETED)


def ledger(store: Store, now_us: int, *, app: str | None = None, host: str | None = None) -> dict[str, Any]:
    """The ledger as `status --json` prints it: {"streams", "totals", "unseen", "ignored"}, lists but for the totals."""

    def asked(value: Mapping[str, Any]) -> bool:
        return app in (None, value["app"]) and host in (None, value["host"])

    found = store.documents("found")
    streams = store.streams(app=app, host=host)
    rows = [stream_row(stream, found.get(stream.id, {}), now_us) for stream in streams]
    files = [value for value in found.values() if value.get("reason", "") not in ("", *GONE)]
    rows += [file_row(value) for value in (*files, *_by_path(store.documents("lost").values()))
             if _size(value) and asked(value)]
    return {"streams": rows, "totals": totals(rows),
            "unseen": unseen(filter(asked, store.documents("unseen").values())),
            "ignored": [value for value in store.documents(IGNORED).values() if value["files"] and asked(value)]}


def _by_path(lost: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Documents "lost" with the sums of each path, and without what is not decided yet: it may turn up."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for value in lost:
        if value["decided"]:
            key = (value["app"], value["host"], value["path"], value["reason"])
            found[key] = {**value, "size": found.get(key, {"size": 0})["size"] + _size(value)}
    return list(found.values())


def unseen(documents: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The intervals of these documents, oldest first."""
    found = [(start, end, reason, value) for value in documents for start, end, reason in value["intervals"]]
    found.sort(key=lambda one: (*one[:3], one[3]["path"]))
    return [{"app": value["app"], "host": value["host"], "path": value["path"], "from": rfc3339(start),
             "to": rfc3339(end), "reason": reason} for start, end, reason, value in found]


def _size(value: Mapping[str, Any]) -> int:
    return int(value.get("size") or 0)


def stream_row(stream: Stream, seen: Mapping[str, Any], now_us: int) -> dict[str, Any]:
    """One stream's line; `seen` is its document "found", empty where there is none."""
    found = max(_size(seen), stream.end)
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
        "committed": stream.end - sum(stream.dropped.values()),
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


def file_row(value: Mapping[str, Any]) -> dict[str, Any]:
    """The line of a file that is no stream; `reason` tells why."""
    size, reason = _size(value), value["reason"]
    dropped = reason == COPY or reason in GONE
    return {
        "stream": None,
        "host": value["host"],
        "app": value["app"],
        "path": value["path"],
        "found": size,
        "committed": 0,
        "pending": 0 if dropped else size,
        "rejected": 0,
        "dropped": {reason: size} if dropped else {},
        "lag_bytes": 0 if dropped else size,
        "lag_s": 0.0 if dropped else None,
        "last_ts": None,
        "records": 0,
        "events": 0,
        "rejects": 0,
        "reason": reason,
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
        "streams": sum(one["stream"] is not None for one in rows),
        **{key: sum(one[key] for one in rows) for key in summed},
        "dropped": dict(sorted(dropped.items())),
        "lag_s": max((one["lag_s"] for one in rows if one["lag_s"] is not None), default=0.0),
        "last_ts": max((one["last_ts"] for one in rows if one["last_ts"]), default=None),
    }
