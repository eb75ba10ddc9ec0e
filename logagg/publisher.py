"""Reports as the configuration names them: built, put into the archive, and mailed to their channels."""

from datetime import date as Date  # noqa: N812
from pathlib import Path

from logagg.clock import Clock
from logagg.config import Config, ReportConfig
from logagg.interfaces import Store
from logagg.notify.outbox import Outbox
from logagg.report.build import BuiltReport
from logagg.report.draw import Artist
from logagg.report.due import key_of
from logagg.report.mail import built_mail
from logagg.report.period import Period
from logagg.report.publish import publish
from logagg.search import Readings


class Publisher:
    """A context manager: its drawing process lives as long as it does. `outbox` None: nothing is mailed."""

    def __init__(self, config: Config, store: Store, clock: Clock, outbox: Outbox | None = None) -> None:
        self._config, self._store, self._clock, self._outbox = config, store, clock, outbox
        self._artist = Artist()
        self._readings = Readings(config)

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: object) -> None:
        self._artist.__exit__()

    def build(self, name: str, period: Period) -> BuiltReport:
        return self.build_at(name, period.kind, period.first)

    def build_at(self, name: str, kind: str, date: Date, out: Path | None = None) -> BuiltReport:
        """The report `name` of the period of this kind that contains the local `date`, below `out` (the archive)."""
        report = self._report(name)
        return publish(
            self._store, name=name, period=kind, date=date, timezone=report.timezone,
            packs=[self._config.packs[pack] for pack in report.packs], metrics=self._config.metrics,
            out=out or self._config.archive_path, base=self._config.folder, clock=self._clock,
            readings=self._readings, rules=self._config.rules, artist=self._artist,
        )

    def mail(self, name: str, period: Period, built: BuiltReport) -> bool:
        """Put the report's mail into the outbox, once a revision; tell whether there is anyone to send it to."""
        report = self._report(name)
        if self._outbox is None or not report.send:
            return False
        packs = [self._config.packs[pack] for pack in report.packs]
        mail = built_mail(built.path_html.parent, packs, self._config.web.public_url)
        what = f"report {key_of(name, period)} r{built.revision}"
        for channel in report.send:
            self._outbox.put(what, channel, *mail, about={"report": f"{key_of(name, period)}/r{built.revision}"})
        return True

    def _report(self, name: str) -> ReportConfig:
        return next(report for report in self._config.reports if report.name == name)
