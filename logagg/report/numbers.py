"""How the page writes numbers: thousands separators, units, and what changed since the period before."""

from collections.abc import Iterable
from dataclasses import dataclass

Number = int | float | None

NO_DATA = "no data"
NOTABLE = 0.1
"""A change of less than this share of the number before is told, but not judged."""

_WORSE_WHEN_MORE = frozenset({"failure", "failures", "failed", "rejects", "errors", "warnings", "dropped"})
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Change:
    """`arrow` ▲ ▼ or =, `text` such as "+12 (+3.4 %)", `short` one of the two; `tone` "worse", "better" or ""."""

    arrow: str
    text: str
    short: str
    tone: str


def number(value: Number, kind: str = "counter", unit: str = "1") -> str:
    """A value as people read it: "12,345", "3.42 %" for a ratio, "184 ms", "3 min 04 s"; null is "no data"."""
    if value is None:
        return NO_DATA
    if kind == "ratio":
        return percent(value)
    if unit in _SECONDS:
        return duration(value * _SECONDS[unit])
    text = f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"
    return text if unit == "1" else f"{text} {unit}"


def percent(share: int | float) -> str:
    """0.0342 as "3.42 %"; two decimals below ten percent, one above."""
    points = share * 100
    return f"{points:.1f} %" if abs(points) >= 9.995 or not points else f"{points:.2f} %"


def duration(seconds: float) -> str:
    """Three significant figures up to a minute, then minutes and seconds, then hours and minutes."""
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def size(size_bytes: int) -> str:
    """Bytes in decimal units (IEC 80000-13): "12.3 MB"."""
    value, unit = float(size_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{size_bytes:,} B" if unit == "B" else f"{value:,.3g} {unit}"


def worse_when_more(metric: str) -> bool:
    """Whether a rise of this metric is bad news, by the naming convention: …_failures, …_failed, …_warnings …"""
    words = metric.split("_")
    return not _WORSE_WHEN_MORE.isdisjoint(words)


def change(now: Number, before: Number, kind: str = "counter", unit: str = "1", *, bad: bool = False) -> Change | None:
    """What changed since the period before; None where either has no data. `bad`: more is worse."""
    if now is None or before is None:
        return None
    difference = now - before
    if abs(difference) < 1e-9:
        return Change("=", "no change", "=", "")
    sign = "+" if difference > 0 else "−"
    points = f"{sign}{abs(difference) * 100:.2f} points"
    text = short = points if kind == "ratio" else sign + number(abs(difference), kind, unit)
    if before:
        relative = _relative(now, before)
        text, short = f"{text} ({relative})", points if kind == "ratio" else relative
    notable = not before or abs(difference / before) >= NOTABLE
    tone = ("worse" if difference > 0 else "better") if bad and notable else ""
    return Change("▲" if difference > 0 else "▼", text, short, tone)


def total(values: Iterable[Number]) -> Number:
    """The sum of what is there; null where nothing is."""
    present = [value for value in values if value is not None]
    return sum(present) if present else None


def _relative(now: int | float, before: int | float) -> str:
    times = now / before
    if times >= 10:
        return f"×{times:,.0f}"
    return f"{'+' if now > before else '−'}{abs(times - 1) * 100:.1f} %"
