"""The only wiring: a configuration becomes a store, pipelines, agents and folders, started and stopped in order."""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal, cast

from logagg.alert.rule import counters
from logagg.clock import Clock, SystemClock
from logagg.config import Config, SourceConfig
from logagg.errors import ConfigError, LogaggError, StoreUnavailable
from logagg.grammar.events import Classifiers
from logagg.interfaces import Store
from logagg.own import own_files
from logagg.processes import run_apart, set_up_collector
from logagg.record import Stream
from logagg.retry import Backoff
from logagg.rollup.fold import Folder, FoldResult
from logagg.rollup.metric import MetricSet
from logagg.source.discover import FileSource
from logagg.source.watch import open_watcher
from logagg.store import open_store
from logagg.terminal import log_to_stderr
from logagg.together import Work, run_together

if TYPE_CHECKING:
    from logagg.aggregator import Aggregator
    from logagg.audit import Audit
    from logagg.ingest import Ingest
    from logagg.reading import Pipeline
    from logagg.source.once import Once

log = logging.getLogger(__name__)

ROLES = ("agent", "aggregator", "web")
SERVE_AGAIN_S = 10.0
PATHS_MAX = 20_000
READ_BYTES = 4 << 20        # a log that is there is read in larger blocks than one that grows: fewer transactions
REMOTE_READ_BYTES = 8 << 20     # within a block, and not between two, reading goes on while a server commits

Progress = Callable[[str, int, int], None]
"""Told (what, done, total) while long work goes on: bytes for "read", chunks for "fold" (total 0: not known)."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What `ingest` did: what was read, and what was folded."""

    read: "Once"
    folded: FoldResult


class App:
    """One configuration at work. A context manager: leaving it closes the store."""

    def __init__(self, config: Config, *, clock: Clock | None = None, read_only: bool = False,
                 on_serving: Callable[[str], None] | None = None) -> None:
        """`on_serving` is told the address of the live page once it answers (default: the log is)."""
        self.config = config
        self.clock = clock or SystemClock()
        self.metrics = MetricSet([*(m for pack in config.packs.values() for m in pack.metrics), *config.metrics,
                                  *counters(config.rules)])
        self._read_only = read_only
        self._reserve_bytes = 0
        self._on_serving = on_serving or (lambda address: log.info("the live page is at %s", address))
        self._store: Store | None = None
        self._pipelines: dict[SourceConfig, Pipeline] = {}
        self._pipeline_at = lru_cache(maxsize=PATHS_MAX)(self._pipeline_of)     # many streams, a line each
        self._committed = threading.Event()

    def __enter__(self) -> "App":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    @property
    def store(self) -> Store:
        """The configuration's store, opened at first use."""
        if self._store is None:
            self._store = open_store(self.config.store_url, read_only=self._read_only,
                                     reserve_bytes=self._reserve_bytes)
        return self._store

    # --- reading ----------------------------------------------------------------------------------------------------

    def ingest_sources(self, progress: Progress | None = None, *, jobs: int = 1) -> IngestReport:
        """Read what all configured sources have now, once, in `jobs` processes at most, and fold it."""
        from logagg.source.once import read_shares

        tell = progress or (lambda what, done, total: None)
        sources, told = self._file_sources(), lambda done, total: tell("read", done, total)
        if jobs > 1:
            read = read_shares(sources, self.store, jobs, lambda parts: self._read_apart(parts, told), clock=self.clock)
        else:
            read = self.read_files(sources, told)
        folded = self.folder().fold_all(lambda result: tell("fold", result.chunks, 0))
        return IngestReport(read, folded)

    def read_files(self, sources: Sequence[FileSource], told: Callable[[int, int], None], *,
                   observed: bool = True) -> "Once":
        """Read these files in this process, once; see `read_once`."""
        from logagg.source.once import read_once

        return read_once(sources, self.store, self.ingest(), clock=self.clock, progress=told, observed=observed,
                         block_bytes=REMOTE_READ_BYTES if self.store.remote else READ_BYTES)

    def _read_apart(self, parts: Sequence[Sequence[FileSource]], told: Callable[[int, int], None]) -> "list[Once]":
        if len(parts) < 2:
            return [self.read_files(part, told, observed=False) for part in parts]
        return run_apart(partial(_read_share, self.config), parts, told)

    def _file_sources(self) -> list[FileSource]:
        """The files of all sources, without those that logagg writes itself."""
        own = own_files(self.config)
        return [FileSource(source.app, source.host, source.paths, (*source.exclude, *own), source.quiet_ms,
                           cast(Literal["oldest", "newest"], source.order), source.rate_limit, source.ignore_older_s)
                for source in self.config.sources]

    def ingest(self) -> "Ingest":
        """An Ingest for the streams of the configured sources."""
        from logagg.ingest import Ingest  # what reads logs loads numpy: commands that read none do without

        return Ingest(self.store, self._pipeline_for, self._committed.set)

    def _pipeline_for(self, stream: Stream) -> "Pipeline":
        return self._pipeline_at(stream.app, stream.host, stream.path)

    def _pipeline_of(self, app: str, host: str, path: str) -> "Pipeline":
        source = self.config.source_of(app, host, path)
        return self._pipeline(source or SourceConfig(app, host, timezone=self.config.timezone))

    def _pipeline(self, source: SourceConfig) -> "Pipeline":
        from logagg.grammar.reader import LayoutReader
        from logagg.reading import Pipeline

        if source not in self._pipelines:
            self._pipelines[source] = Pipeline(
                LayoutReader(
                    source.layout, dialect=source.dialect, timezone=source.timezone, encoding=source.encoding,
                    record_bytes_max=source.record_bytes_max,
                ),
                Classifiers([self.config.packs[name].grammar for name in source.packs], source.encoding),
                self.metrics,
                cast(Literal["events", "all"], source.keep),
                source.record_bytes_max,
            )
        return self._pipelines[source]

    # --- proving ----------------------------------------------------------------------------------------------------

    def audit(self, sources: Sequence[SourceConfig], progress: Callable[[int], None]) -> "Audit":
        """Compare the files of these sources with the store, and check all streams of their applications and hosts."""
        from logagg.audit import audit

        files = [(FileSource(source.app, source.host, source.paths), path)
                 for source in sources for path in source.paths]
        return audit(self.store, files, self._streams_of(sources), self._pipeline_for, progress)

    def audit_bytes(self, sources: Sequence[SourceConfig]) -> int:
        """About how many bytes `audit` is going to tell of: those of the streams twice."""
        return 2 * sum(stream.end for stream in self._streams_of(sources))

    def _streams_of(self, sources: Sequence[SourceConfig]) -> list[Stream]:
        pairs = sorted({(source.app, source.host) for source in sources})
        return [stream for app, host in pairs for stream in self.store.streams(app=app, host=host)]

    # --- folding ----------------------------------------------------------------------------------------------------

    def folder(self) -> Folder:
        return Folder(self.store, self.metrics, self.config.zones())

    # --- the service ------------------------------------------------------------------------------------------------

    def run(self, roles: Sequence[str], stop: threading.Event) -> None:
        """Work in all `roles` until `stop` is set, then end along the flow: what agents commit last is still folded.

        An error that no retry mends stops all, and is raised.
        """
        self._reserve_bytes = self.config.reserve_bytes     # what runs on keeps some space for its alerts
        self._wait_for_store(stop)
        works: dict[str, Work] = {"agent": self._follow, "aggregator": self._aggregate, "web": self._serve}
        run_together({role: works[role] for role in ROLES if role in roles}, stop)

    def _wait_for_store(self, stop: threading.Event) -> None:
        """Open the store; while it is out of reach, try again."""
        backoff, wait_s = Backoff(random.Random()), 0.0
        while not self.clock.wait(stop, wait_s):
            try:
                self.store.streams(id="")
                return
            except StoreUnavailable as error:
                wait_s = backoff.next_s()
                log.warning("%s; trying again", error)

    def _follow(self, stop: threading.Event) -> None:
        from logagg.source.roster import open_max
        from logagg.source.tail import Agent

        if stop.is_set():
            return
        Agent(self._file_sources(), self.store, self.ingest(), clock=self.clock, watcher=open_watcher(),
              open_max=open_max()).run(stop)

    def aggregator(self) -> "Aggregator":
        from logagg.aggregator import Aggregator

        return Aggregator(self.config, self.store, self.metrics, self.clock, self._committed)

    def _aggregate(self, stop: threading.Event) -> None:
        self.aggregator().run(stop)

    def _serve(self, stop: threading.Event) -> None:
        """Serve; an address that somebody else has is asked for again, and holds up neither reading nor alerts."""
        from logagg.api.server import serve

        wait_s = 0.0
        while not self.clock.wait(stop, wait_s):
            try:
                return serve(self.config, self.store, self.metrics, stop, clock=self.clock, started=self._on_serving)
            except ConfigError:
                raise
            except LogaggError as error:
                log.error("%s; trying again, everything else goes on", error)
                wait_s = SERVE_AGAIN_S


def _read_share(config: Config, sources: Sequence[FileSource], told: Callable[[int, int], None]) -> "Once":
    """What a process of its own does of `ingest_sources`."""
    log_to_stderr("logagg: %(message)s", logging.WARNING)
    set_up_collector()
    with App(config) as app:
        return app.read_files(sources, told, observed=False)


class Service:
    """`logagg run`: the app, started again with the configuration read anew when `reload` is called."""

    def __init__(self, load: Callable[[], Config], roles: Sequence[str]) -> None:
        self._load = load
        self._roles = roles
        self._round = threading.Event()
        self._ending = False

    def stop(self) -> None:
        """End in order. May be called from a signal handler."""
        self._ending = True
        self._round.set()

    def reload(self) -> None:
        """Read the configuration again; a wrong one changes nothing. May be called from a signal handler."""
        self._round.set()

    def run(self) -> None:
        """Work until `stop`. Raises ConfigError where the first configuration is wrong."""
        config = self._load()
        while True:
            with App(config) as app:
                app.run(self._roles, self._round)
            self._round = threading.Event()
            if self._ending:
                return
            try:
                config = self._load()
                log.warning("the configuration was read again")
            except ConfigError as error:
                log.error("the configuration stays as it was:\n%s", error)
