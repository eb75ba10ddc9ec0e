"""How the page writes numbers: thousands separators, units, and what changed since the period before."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

Number = int | float | None

NO_DATA = "no data"
_NOTABLE = {"ratio": 0.25}
"""A change below this share of the number before (0.1 where none is given) is told, but not judged."""

_WORSE_WHEN_MORE = frozenset({"failure", "failures", "failed", "rejects", "errors", "warnings", "dropped"})
_WORSE_WHEN_LESS = frozenset({"ok", "done"})
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
    if 0 < points < 0.005:
        return "below 0.01 %"
    return f"{points:.1f} %" if abs(points) >= 9.995 or not points else f"{points:.2f} %"


def duration(seconds: float) -> str:
    """Three significant figures up to a minute, then minutes and seconds, then hours and minutes."""
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:#.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def size(size_bytes: int) -> str:
    """Bytes in decimal units (IEC 80000-13): "12.3 MB"."""
    if size_bytes < 1000:
        return f"{size_bytes:,} B"
    value, unit = size_bytes / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:,.{decimals}f} {unit}"


def worse_when(metric: str) -> int:
    """1: a rise of this metric is bad news, -1: a fall is, 0: neither; by the naming convention of metrics
    (…_failures, …_failed, …_warnings; …_ok, …_done)."""
    words = metric.split("_")
    if not _WORSE_WHEN_MORE.isdisjoint(words):
        return 1
    return 0 if _WORSE_WHEN_LESS.isdisjoint(words) else -1


def change(now: Number, before: Number, kind: str = "counter", unit: str = "1", *,
           worse: int = 0, wholes: tuple[int, int] = (0, 0)) -> Change | None:
    """What changed since the period before; None where either has no data. `worse` as `worse_when` answers;
    `wholes` are what two ratios are shares of."""
    if now is None or before is None:
        return None
    difference = now - before
    if abs(difference) < 1e-9:
        return Change("=", "no change", "no change", "")
    sign = "+" if difference > 0 else "−"
    amount = f"{abs(difference) * 100:.2f} points" if kind == "ratio" else number(abs(difference), kind, unit)
    text = short = sign + amount
    if before and kind != "ratio":
        short = _relative(now, before)
        text = f"{text} ({short})"
    tone = ("worse" if difference * worse > 0 else "better") if worse and _notable(now, before, kind, wholes) else ""
    return Change("▲" if difference > 0 else "▼", text, short, tone)


def _notable(now: int | float, before: int | float, kind: str, wholes: tuple[int, int]) -> bool:
    """Whether a change is large enough to judge: not small beside the number before, and beyond what chance brings.

    Chance is what brings such a difference in one of twenty pairs of like days (one-sided, 1.645 standard errors):
    for counts as if events were independent (Poisson), for shares by the two-proportion z-test.
    """
    difference = abs(now - before)
    if difference < _NOTABLE.get(kind, 0.1) * abs(before):
        return False
    if kind == "counter":
        return difference >= 1.645 * sqrt(now + before)
    if kind == "ratio" and all(wholes):
        share = min(1.0, (now * wholes[0] + before * wholes[1]) / sum(wholes))
        return difference >= 1.645 * sqrt(share * (1 - share) * (1 / wholes[0] + 1 / wholes[1]))
    return True


def total(values: Iterable[int | None]) -> int | None:
    """The sum of what is there; null where nothing is."""
    present = [value for value in values if value is not None]
    return sum(present) if present else None


def _relative(now: int | float, before: int | float) -> str:
    times = now / before
    if times >= 10:
        return f"×{times:,.0f}"
    points = abs(times - 1) * 100
    if points < 0.05:
        return "below 0.1 %"
    return f"{'+' if now > before else '−'}{points:.{0 if points >= 100 else 1}f} %"
