"""The whole demo in one folder: write the logs, read them, fold them, build a report for each day."""

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from logagg.clock import Clock, StepClock, SystemClock
from logagg.demo.days import ZONE, demo_days
from logagg.demo.logs import write_logs
from logagg.demo.settings import settings
from logagg.errors import LogaggError, UsageError
from logagg.terminal import Bars, progress

if TYPE_CHECKING:
    from logagg.demo.live import LiveLogs

MARKER = ".logagg-demo"
DAYS_MAX = 400

_MARKER_TEXT = "This folder was made by `logagg demo`, which replaces what it wrote here when it runs again.\n"
_WRITTEN = ("logs", "reports", "truth.json", "logagg.toml", "logagg.db", "logagg.db-wal", "logagg.db-shm")


@dataclass(frozen=True)
class DemoResult:
    """Where everything is. `reports` holds the index.html of each day, oldest first; `live` goes on writing."""

    folder: Path
    config: Path
    truth: Path
    reports: list[Path]
    live: "LiveLogs | None" = None


def run_demo(folder: Path, *, days: int = 8, seed: int = 1, until: date | None = None,
             live: bool = False, bars: bool | None = False) -> DemoResult:
    """Write `days` full days of logs that end before `until` (default: today in the demo's zone), read and report them.

    `live`: write what belongs to today too, as far as it has gone, for `serve_demo` to go on. Raises UsageError for a
    folder that holds anything but an earlier demo. The logs, the truth and the configuration depend on `days`, `seed`
    and `until` alone. `bars`: show progress (None: on a terminal).
    """
    check_days(days)
    until = until or datetime.now(ZONE).date()
    clear(folder)
    with _writable(folder), contextlib.closing(progress("writing logs", days, "day", wanted=bars)) as bar:
        write_logs(folder, days=days, seed=seed, until=until, on_day=lambda _: bar.update(1))
        config = folder / "logagg.toml"
        config.write_text(settings(), encoding="utf-8")
    writing = _begin_live(folder, seed) if live else None
    all_days = demo_days(until, days)
    # Without the live part the applications end with the last day: nothing was missing after it.
    clock = SystemClock() if live else StepClock(all_days[-1].end_ms * 1000)
    reports = _read_and_report(config, [day.date for day in all_days], clock, bars)
    return DemoResult(folder, config, folder / "truth.json", reports, writing)


def _begin_live(folder: Path, seed: int) -> "LiveLogs":
    from logagg.demo.live import LiveLogs

    logs = LiveLogs(folder, seed, SystemClock())
    logs.write()
    return logs


def check_days(days: int) -> None:
    """UsageError for a number of days that makes no sense."""
    if not 1 <= days <= DAYS_MAX:
        raise UsageError(f"--days {days}: expected 1 to {DAYS_MAX}")


def mark(folder: Path) -> None:
    """Make `folder`, if it is new, empty or an earlier demo's, bear the marker. UsageError for any other."""
    marker = folder / MARKER
    with _writable(folder):
        if not marker.is_file():
            if folder.is_dir() and any(folder.iterdir()):
                raise UsageError(f"{folder}: not empty, and not made by `logagg demo` (no {MARKER} in it); "
                                 "nothing was touched: name a new or empty folder with --dir")
            folder.mkdir(parents=True, exist_ok=True)
            marker.write_text(_MARKER_TEXT, encoding="utf-8")


def clear(folder: Path) -> None:
    """Rid the demo's folder of what an earlier demo wrote; anything else that a user has put there stays."""
    mark(folder)
    with _writable(folder):
        for name in _WRITTEN:
            _remove(folder / name)


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """OSError -> UsageError that names the way out."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror}; the demo needs a folder that it can write: "
                         "name another with --dir") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read_and_report(config_path: Path, days: list[date], clock: Clock, bars: bool | None) -> list[Path]:
    """Read and fold what the configuration names, watch its rules as of `clock`, and build its report of each day."""
    from logagg.app import App
    from logagg.config import load
    from logagg.publisher import Publisher

    config = load(config_path)
    [report] = config.reports
    with App(config, clock=clock) as app:
        with contextlib.closing(Bars(bars)) as reading:
            errors = app.ingest_sources(reading.tell).read.errors
        if errors:
            raise LogaggError("the demo's own logs cannot be read: " + "; ".join(map(str, errors)))
        app.aggregator().settle()
        with (contextlib.closing(progress("building reports", len(days), "report", wanted=bars)) as bar,
              Publisher(config, app.store, SystemClock()) as publisher):
            paths = []
            for day in days:
                paths.append(publisher.build_at(report.name, "daily", day).path_html)
                bar.update(1)
    return paths


def serve_demo(result: DemoResult, stop: threading.Event, started: Callable[[str], None]) -> None:
    """Let the demo's applications go on writing, follow them, and serve the live page, until `stop` is set.

    `started` is told the live page's address.
    """
    from logagg.app import ROLES, App
    from logagg.config import load
    from logagg.together import Work, run_together

    with App(load(result.config), on_serving=started) as app:
        works: dict[str, Work] = {"applications": result.live.run} if result.live else {}
        run_together({**works, "logagg": lambda end: app.run(ROLES, end)}, stop)
