"""A record -> the JSON body that is stored and printed; absent parts have no key."""

from typing import Any

from logagg.record import Record


def body(record: Record, event: str | None, fields: dict[str, Any] | None) -> dict[str, Any]:
    """The stored event body of a record: a grammar's event and fields, or `reject` with its reason."""
    parts: dict[str, Any] = {
        "ts": record.ts, "level": record.level, "logger": record.logger, "thread": record.thread,
        "message": record.message, "mdc": dict(record.mdc) if record.mdc is not None else None, "ndc": record.ndc,
        "marker": record.marker, "exception": record.exception, "event": event, "fields": fields,
        "extra": dict(record.extra) if record.extra else None,
    }
    if record.reason is not None:
        parts |= {"event": "reject", "fields": {"reason": record.reason}}
    return {name: part for name, part in parts.items() if part is not None}
