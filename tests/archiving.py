"""A small archive with everything in it: three days of a call centre, read by logagg itself, hostile text included."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from logagg.app import App
from logagg.clock import StepClock
from logagg.config import Config, load
from logagg.report.build import BuiltReport
from logagg.report.draw import Drawn
from logagg.report.publish import publish
from logagg.search import Readings

DAYS = ("2026-11-18", "2026-11-19", "2026-11-20")
HOSTILE = "</pre><script>window.harmed = 1</script> \u202egnp.exe \x1b[31mred\x07 <img src=x onerror=alert(1)>"

CONFIG = """
[store]
url = "sqlite:///logagg.db"
[archive]
path = "reports"
[[report]]
name = "operations"
timezone = "America/New_York"
packs = ["callcenter"]
[[source]]
app = "xivr"
host = "app01"
paths = ["xivr.log*"]
layout = "%d{ISO8601} %-5p [%t] %c{1} - %m%n"
timezone = "America/New_York"
packs = ["callcenter"]
"""


class NoArtist:
    """Draws nothing: these tests are not about charts."""

    def start(self) -> None:
        pass

    def draw(self, wanted: object) -> Drawn:
        return Drawn({}, "none wanted")


def log_lines(day: str, failures: int) -> list[str]:
    """A day: a call every half hour, with `failures` DAS failures from 10:00 on, each third with a stack trace."""
    lines = []
    for half in range(48):
        lines.append(f"{day}T{half // 2:02d}:{half % 2 * 30:02d}:00,000 INFO  [t-1] CallFlow - Callflow begin: "
                     f"callId=c-{half} ani=2125550100 dnis=8005550101 app=billing")
        lines += [f"{day}T{half // 2:02d}:{half % 2 * 30:02d}:{n:02d},000 INFO  [t-1] DasClient - DAS call getAccount "
                  f"completed in {90 + n} ms rc=0" for n in range(1, 11)]
    for n in range(failures):
        operation, code = ("getAccount", "TIMEOUT") if n % 4 else ("getBalance", "REFUSED")
        lines.append(f"{day}T10:{n // 6:02d}:{n % 6 * 9:02d},500 DEBUG [t-2] Session - note {HOSTILE if n == 1 else n}")
        lines.append(f"{day}T10:{n // 6:02d}:{n % 6 * 9:02d},501 ERROR [t-2] DasClient - "
                     f"DAS {operation} failed after 5003 ms: {code}")
        if n % 3 == 0:
            lines += ["java.net.SocketTimeoutException: Read timed out " + (HOSTILE if n == 3 else ""),
                      "\tat com.acme.das.DasClient.call(DasClient.java:218)"]
    return lines


@dataclass
class Made:
    """The configuration, its archive's folder, and the open application."""

    config: Config
    out: Path
    app: App

    def publish(self, period: str, day: str) -> BuiltReport:
        report = self.config.reports[0]
        return publish(self.app.store, name=report.name, period=period, date=date.fromisoformat(day),
                       timezone=report.timezone, packs=[self.config.packs[name] for name in report.packs],
                       metrics=self.config.metrics, out=self.out, base=self.config.folder,
                       clock=StepClock(1_800_000_000_000_000), readings=Readings(self.config),
                       artist=NoArtist())   # type: ignore[arg-type]

    def publish_all(self) -> None:
        for day in DAYS:
            self.publish("daily", day)
        self.publish("weekly", DAYS[0])
        self.publish("monthly", DAYS[0])

    def append(self, lines: list[str]) -> None:
        """More of the log comes, is read and folded."""
        with (self.config.folder / "xivr.log").open("a", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
        self.app.ingest_sources()


def make(folder: Path, failures: tuple[int, ...] = (0, 4, 40)) -> Made:
    """The logs read and folded; nothing is published yet. The caller closes `app`."""
    folder.mkdir(parents=True)
    (folder / "logagg.toml").write_text(CONFIG, encoding="utf-8")
    lines = [line for day, n in zip(DAYS, failures, strict=True) for line in log_lines(day, n)]
    (folder / "xivr.log").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    config = load(folder / "logagg.toml")
    app = App(config, clock=StepClock(1_800_000_000_000_000))
    app.ingest_sources()
    return Made(config, folder / "reports", app)
