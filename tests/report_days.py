"""A small pack and its days, told number by number, for the report's tests and golden files."""

from dataclasses import dataclass
from datetime import date

from logagg.record import Counts
from logagg.report.period import Period, period, previous
from logagg.rollup.metric import Metric
from tests.rolled import Rolled

ZONE = "America/New_York"
HOSTILE = "</script><b>\u202egnp.exe\u0007\u200b & \"quoted\""


@dataclass(frozen=True)
class Section:
    title: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Pack:
    metrics: tuple[Metric, ...]
    sections: tuple[Section, ...]
    figures: tuple[str, ...] = ()


def counter(name: str, *labels: str, help: str = "") -> Metric:
    return Metric(name, "counter", (name,), labels=labels, help=help)


PACK = Pack(
    metrics=(
        counter("calls", "host", help="Call flows begun."),
        Metric("call_time", "distribution", ("call_end",), "duration_ms", "ms"),
        counter("payments_ok", "host"),
        counter("payments_failed", "host"),
        Metric("payment_failure_rate", "ratio", part=("payments_failed",), whole=("payments_failed", "payments_ok")),
        counter("das_calls", "host", "operation"),
        counter("das_failures", "host", "operation", "code"),
        Metric("das_failure_rate", "ratio", part=("das_failures",), whole=("das_calls",)),
        Metric("das_time", "distribution", ("das_call",), "duration_ms", "ms", labels=("operation",)),
        counter("mpp_asr_failures", "host", "code"),
        counter("vip_starts", "host"),
    ),
    sections=(
        Section("Call flows", ("calls", "call_time")),
        Section("Payments", ("payments_ok", "payments_failed", "payment_failure_rate")),
        Section("Media platform", ("mpp_asr_failures",)),
        Section("Of another installation", ("nothing_here",)),
    ),
    figures=("calls", "call_time", "payment_failure_rate"),
)
"""`vip_starts` is in no section."""


def day(text: str, zone: str = ZONE) -> Period:
    return period("daily", date.fromisoformat(text), zone)


def two_days(this: Period, *, failing: int = 40) -> Rolled:
    """A day and the day before: calls every hour, and `failing` DAS failures at 10:00 of the day."""
    rolled = Rolled(this.zone)
    for one, n in ((previous(this), 4), (this, 5)):
        for minute in range(one.from_us // 60_000_000, one.to_us // 60_000_000, 60):
            rolled.count("calls", minute, n, host="app01")
            rolled.values("call_time", minute, [60_000 + minute % 1440, 90_000], )
            rolled.count("das_calls", minute, 3 * n, host="app01", operation="getAccount")
            rolled.values("das_time", minute, [80, 95, 110 * n], operation="getAccount")
            rolled.count("records", minute, 30, app="xivr", host="app01", level="INFO")
        noon = one.from_us // 60_000_000 + 720
        rolled.count("payments_ok", noon, 100, host="app01")
        rolled.count("payments_failed", noon, n, host="app01")
        rolled.count("records", noon, n, app="xivr", host="app01", level="ERROR")
    ten = this.from_us // 60_000_000 + 600
    rolled.count("das_failures", ten, failing, host="app01", operation="getAccount", code="TIMEOUT")
    rolled.count("das_failures", ten - 1440, 2, host="app01", operation="getAccount", code="REFUSED")
    rolled.count("mpp_asr_failures", ten, 1, host="mpp01", code=HOSTILE)
    rolled.count("records", ten, 1, app="mpp", host="mpp01", level="WARN")
    rolled.count("rejects", ten, 2, app="mpp", host="mpp01", reason="no_layout")
    rolled.stream("xivr", "app01", "/demo/logs/app01/xivr.log", 123_456, counts=Counts(700, 300), read_us=this.to_us)
    rolled.stream("mpp", "mpp01", "/var/log/mpp.log", 99, counts=Counts(1, 1, 2, 34), dropped={"rotated_away": 1200},
                  read_us=this.to_us)
    return rolled
