"""What a valid configuration says, ready to use: paths absolute, zones and packs known, defaults filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from logagg.source.discover import is_meant

if TYPE_CHECKING:
    from logagg.alert.rule import Rule
    from logagg.packs import Pack
    from logagg.rollup.metric import Metric


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """The log files of one application on one host. `paths` are absolute globs; layout None: detect.

    An exclude with a slash is an absolute glob, one without matches names in any folder.
    """

    app: str
    host: str
    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    layout: str | None = None
    dialect: str = "log4j2"
    timezone: str = "UTC"
    encoding: str = "utf-8"
    packs: tuple[str, ...] = ()
    keep: str = "events"
    quiet_ms: int = 200
    record_bytes_max: int = 1 << 20
    order: str = "oldest"
    rate_limit: int = 0         #: bytes a second; 0: none
    ignore_older_s: int = 0     #: 0: nothing is ignored


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """One report; `packs` names those whose metrics it shows, in order, `send` the channels that it is mailed to."""

    name: str
    periods: tuple[str, ...] = ("daily",)
    timezone: str = "UTC"
    packs: tuple[str, ...] = ()
    send: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """A way to tell people: `to` are mail addresses."""

    name: str
    type: str = "email"
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """The mail server. `security`: starttls, tls or none. `password_file` is absolute."""

    host: str
    port: int = 587
    security: str = "starttls"
    user: str | None = None
    password_file: Path | None = None
    sender: str = "logagg@localhost"


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """`send` names the channels of rules that name none; what is older than `age_max_s` when found is not sent."""

    age_max_s: int = 3600
    send: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Where the web role listens. `token_file` is absolute; `public_url` has no slash at its end."""

    host: str = "127.0.0.1"
    port: int = 8470
    token_file: Path | None = None
    insecure: bool = False
    public_url: str | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in days; None: for ever."""

    raw_days: int | None = 90
    events_days: int | None = 90
    minute_days: int | None = 90
    hour_days: int | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration. `path` is the file it came from (None: built in the program).

    `folder` is what relative paths were relative to. `store_url` may hold a password: print `masked(store_url)`.
    `packs` holds every pack that a source or report names, by name; `metrics` are the user's own [[metric]] tables;
    `rules` those of the packs and the user's own, each with its zone and channels filled in.
    """

    path: Path | None
    folder: Path
    store_url: str
    reserve_bytes: int = 32 << 20
    timezone: str = "UTC"
    sources: tuple[SourceConfig, ...] = ()
    reports: tuple[ReportConfig, ...] = ()
    metrics: "tuple[Metric, ...]" = ()
    packs: "Mapping[str, Pack]" = field(default_factory=dict)
    pack_paths: tuple[Path, ...] = ()
    archive_path: Path = Path("reports")
    retention: Retention = Retention()
    rules: "tuple[Rule, ...]" = ()
    channels: tuple[ChannelConfig, ...] = ()
    smtp: SmtpConfig | None = None
    notify: NotifyConfig = NotifyConfig()
    web: WebConfig = WebConfig()

    def source_of(self, app: str, host: str, path: str) -> SourceConfig | None:
        """The source that a stream belongs to: of those with its app and host, the one that means its path."""
        same = [source for source in self.sources if (source.app, source.host) == (app, host)]
        matching = (source for source in same if is_meant(path, source.paths, source.exclude))
        return next(matching, same[0] if same else None)

    def source_matching(self, path: str) -> SourceConfig | None:
        """The first source that means this absolute path."""
        return next((source for source in self.sources if is_meant(path, source.paths, source.exclude)), None)

    def zones(self) -> tuple[str, ...]:
        """Every zone whose days are rolled up: the reports' and the file's own, sorted."""
        return tuple(sorted({self.timezone, *(report.timezone for report in self.reports)}))
