"""Times as people write them on a command line, and as they are printed: RFC 3339 in UTC."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from logagg.errors import UsageError
from logagg.terminal import safe_line

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXPECTED = 'expected a date such as 2026-11-20, or a time such as 2026-11-20T13:15 or 2026-11-20T13:15:30.5+01:00'


def rfc3339(ts_us: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC, with as many digits as they need: none, three or six."""
    try:
        moment = _EPOCH + timedelta(microseconds=ts_us)
    except OverflowError:
        return "0001-01-01T00:00:00Z" if ts_us < 0 else "9999-12-31T23:59:59Z"
    digits = "seconds" if ts_us % 1_000_000 == 0 else "milliseconds" if ts_us % 1000 == 0 else "microseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def instant_us(text: str, zone: str, *, option: str = "time") -> int:
    """What `text` means as microseconds since the epoch; without an offset it is local time of `zone`.

    A date is its first instant. UsageError names the option where the text is no time.
    """
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "T", 1))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(zone))
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise UsageError(f"{option}: {safe_line(text)!s} is no time; {_EXPECTED}") from None


def range_us(from_text: str | None, to_text: str | None, zone: str) -> tuple[int | None, int | None]:
    """The half-open range [from, to) that `--from` and `--to` name; a date in `--to` is excluded like any other end."""
    from_us = None if from_text is None else instant_us(from_text, zone, option="--from")
    to_us = None if to_text is None else instant_us(to_text, zone, option="--to")
    if from_us is not None and to_us is not None and to_us <= from_us:
        raise UsageError(f"--to {safe_line(to_text)} is not after --from {safe_line(from_text)}; the range is empty, "
                         "its end does not belong to it")
    return from_us, to_us
