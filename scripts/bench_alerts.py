#!/usr/bin/env python3
"""How long an alert takes: from a single last line written into a quiet file to the SMTP server's acceptance.

    scripts/bench_alerts.py [--trials 100]
    scripts/bench_alerts.py --streams 1000        while so many other files get a line a second each
    scripts/bench_alerts.py --steps               and where the time goes, step by step

`logagg run` and the mail server (aiosmtpd) are processes of their own; the store is SQLite in a temporary folder. With
`--steps` the service runs in this process, so that its steps can be timed.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bench_follow import line, write  # noqa: E402

from logagg.alert.engine import Engine  # noqa: E402
from logagg.app import App  # noqa: E402
from logagg.config import load  # noqa: E402
from logagg.ingest import Ingest  # noqa: E402
from logagg.rollup.fold import Folder  # noqa: E402
from logagg.source.follow import Follower  # noqa: E402
from tests.alerting import Vip  # noqa: E402
from tests.service import Service, stored_streams  # noqa: E402
from tests.smtpd import Server  # noqa: E402
from tests.waiting import until  # noqa: E402

OTHERS = """
[[source]]
app = "bench"
host = "host01"
paths = ["others/*.log"]
layout = "%d{ISO8601} %p [%t] %c: %m%n"
timezone = "UTC"
"""
ROLES = ("agent", "aggregator")
STAMP_US = 5000         # a line may be noticed before its writer looks at the clock


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--streams", type=int, default=0, help="how many other files grow (default: 0)")
    parser.add_argument("--steps", action="store_true", help="tell the steps apart")
    options = parser.parse_args()
    steps = Steps()
    with tempfile.TemporaryDirectory(prefix="logagg-alerts-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "smtpd").mkdir()
        server = stack.enter_context(Server(folder / "smtpd"))
        url = f"sqlite:///{folder / 'logagg.db'}"
        vip = Vip(folder, server, url)
        if options.streams:
            vip.config.write_text(vip.config.read_text() + OTHERS)
        stack.enter_context(others(folder / "others", options.streams))
        holds = stack.enter_context(steps.serving(vip.config) if options.steps else serving(vip.config))
        until(lambda: holds(len(stored_streams(url)) >= options.streams), "all streams in the store", 120)
        for pid in range(options.trials + 1):
            vip.stops(pid)
            until(lambda pid=pid: holds(pid in vip.mailed()), f"the mail about {pid}")
        mailed = vip.mailed()
    spans = [(vip.written_us[pid], mailed[pid][0][0]) for pid in range(1, options.trials + 1)]
    print(f"{options.trials} trials: {spread([end - start for start, end in spans])}")
    if options.steps:
        for step, times_us in steps.between(spans).items():
            print(f"  {step:62} {spread(times_us)}")
    return 0


def spread(times_us: list[int]) -> str:
    ordered = sorted(time_us / 1000 for time_us in times_us)
    p95, p99 = (ordered[max(0, int(len(ordered) * share) - 1)] for share in (0.95, 0.99))
    return f"median {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, most {ordered[-1]:.0f} ms"


@contextmanager
def serving(config: Path) -> Iterator[Callable[[bool], bool]]:
    """The service as a process; what is answered is `Service.holds`."""
    with Service(config, "--roles", ",".join(ROLES)) as service:
        yield service.holds
        service.stop()


@contextmanager
def others(folder: Path, count: int) -> Iterator[None]:
    """So many files in which a line is written each second."""
    folder.mkdir()
    stop = threading.Event()
    with ExitStack() as stack:
        files = [stack.enter_context((folder / f"{i:04}.log").open("w", buffering=1)) for i in range(count)]
        for i, file in enumerate(files):
            file.write(line(i, -1))
        writer = threading.Thread(target=write, args=(files, 1.0 if files else 0.0, stop))
        writer.start()
        try:
            yield
        finally:
            stop.set()
            writer.join()


class Steps:
    """When the steps between a line and its mail were done, in a service that runs in this process."""

    def __init__(self) -> None:
        self._done_us: dict[str, list[int]] = {}
        self._time("noticed: the file has grown", Follower, "look", bool)
        self._time("read, once the file was quiet for 200 ms", Follower, "read", bool)
        self._time("committed", Ingest, "commit", bool)
        self._time("folded", Folder, "fold", lambda result: result.chunks > 0)
        self._time("rules evaluated, mail in the outbox", Engine, "evaluate", lambda _: True)

    def _time(self, step: str, owner: type, method: str, counts: Callable[[Any], bool]) -> None:
        done_us, original = self._done_us.setdefault(step, []), getattr(owner, method)

        def timed(*args: Any, **named: Any) -> Any:
            result = original(*args, **named)
            if counts(result):
                done_us.append(time.time_ns() // 1000)
            return result

        setattr(owner, method, timed)

    @contextmanager
    def serving(self, config: Path) -> Iterator[Callable[[bool], bool]]:
        stop = threading.Event()
        with App(load(config)) as app:
            thread = threading.Thread(target=app.run, args=(ROLES, stop))
            thread.start()
            try:
                yield lambda condition: condition
            finally:
                stop.set()
                thread.join()

    def between(self, spans: list[tuple[int, int]]) -> dict[str, list[int]]:
        """How long each step took behind the one before, by trial; only right where no other file grows."""
        found: dict[str, list[int]] = {}
        for written_us, accepted_us in spans:
            at_us = written_us - STAMP_US
            for step, done_us in self._done_us.items():
                next_us = done_us[bisect_left(done_us, at_us)]
                found.setdefault(step, []).append(next_us - max(at_us, min(written_us, next_us)))
                at_us = next_us
            found.setdefault("accepted by the mail server", []).append(accepted_us - at_us)
        return found


if __name__ == "__main__":
    sys.exit(main())
