"""A small pack and its days, told number by number, for the report's tests and golden files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from xml.sax.saxutils import escape

from logagg.alert.rule import Rule
from logagg.record import Counts
from logagg.report.chart import Chart
from logagg.report.draw import Drawn, Picture
from logagg.report.period import Period, period, previous, utc_text
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
    rules: tuple[Rule, ...] = ()


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
        counter("vip_stops", "host"),
    ),
    sections=(
        Section("Call flows", ("calls", "call_time")),
        Section("Payments", ("payments_ok", "payments_failed", "payment_failure_rate")),
        Section("Media platform", ("mpp_asr_failures",)),
        Section("Of another installation", ("nothing_here",)),
    ),
    figures=("calls", "call_time", "payment_failure_rate"),
)
"""`vip_starts` and `vip_stops` are in no section."""


class Sketcher:
    """Draws at once, without a child process: a rectangle for each value of a chart."""

    def __init__(self) -> None:
        self.drew: list[str] = []

    def start(self) -> None:
        pass

    def draw(self, charts: Sequence[Chart]) -> Drawn:
        self.drew += [chart.name for chart in charts]
        return Drawn({chart.name: Picture(_sketch(chart), b"PNG " + chart.name.encode()) for chart in charts})


def _sketch(chart: Chart) -> str:
    parts = chart.spec.get("vconcat", [chart.spec])
    values = [value for part in parts for value in part["data"]["values"]]
    shapes = "".join(f'<path role="graphics-symbol" aria-label="{escape(value["told"])}" fill="#0072b2" '
                     f'd="M{i},0h1v{value["n"]}h-1Z"/>' for i, value in enumerate(values))
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" viewBox="0 0 9 9">{shapes}</svg>'


def day(text: str, zone: str = ZONE) -> Period:
    return period("daily", date.fromisoformat(text), zone)


RULES = (
    Rule("payments_due", "absent", ("payments_ok",), due=8 * 60),
    Rule("payments_paused", "absent", ("payments_ok",), within=60, between=(10 * 60, 14 * 60)),
    Rule("das_failing", "ratio", part=("das_failures",), whole=("das_calls",), above=0.1),
)


def eventful(this: Period) -> Rolled:
    """As `two_days`, with the day a week before, a restart of a VIP server at 13:36, and two incidents."""
    rolled = two_days(this)
    noon = this.from_us // 60_000_000 + 720
    for n, at in ((5, noon - 7 * 1440), (9, noon - 7 * 1440 + 60)):
        rolled.count("calls", at, n, host="app01")
        rolled.count("records", at, 30, app="xivr", host="app01", level="INFO")
    rolled.count("vip_stops", noon + 96, host="vip01")
    rolled.count("vip_starts", noon + 98, host="vip01")
    start, end = utc_text(this.from_us + 36_000_000_000), utc_text(this.from_us + 36_600_000_000)
    rolled.incident("das_failing", start, end, type="ratio", labels={"host": "app01"}, value=0.37, threshold=0.1,
                    summary=f"das_failing on app01: 37 % {HOSTILE}")
    rolled.incident("ftp_missing", utc_text(this.from_us + 3_600_000_000), utc_text(this.to_us + 60_000_000))
    return rolled


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
