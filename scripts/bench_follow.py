#!/usr/bin/env python3
"""What following costs, and how soon a line is seen: `logagg run` on N growing files, its store in a temporary folder.

    scripts/bench_follow.py --files 1000 --rate 1 [--seconds 60]        1,000 lines a second, one for each file
    scripts/bench_follow.py --files 1 --rate 5000                       one busy file
    scripts/bench_follow.py --files 1000 --rate 0                       idle

Prints the process's CPU share (user and system over wall time), the stored chunks over time, and how long a WARN line,
every twentieth, takes from its writing until another process finds it in the store. The first chunks are merged after
four minutes: `--seconds 400` shows how their number falls, and that it grows by the merged ones only.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from logagg.interfaces import Store  # noqa: E402
from logagg.store import open_store  # noqa: E402
from tests.service import Service, stored_streams  # noqa: E402
from tests.waiting import until  # noqa: E402

CONFIG = """\
timezone = "UTC"

[store]
url = "{url}"

[[source]]
app = "bench"
host = "host01"
paths = ["logs/*.log"]
layout = "%d{{ISO8601}} %p [%t] %c: %m%n"
timezone = "UTC"
"""
TICK_S = 0.02
LOOK_S = 0.02
REPORT_S = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=1.0, help="lines a second in each file (default: 1)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure (default: 60)")
    parser.add_argument("--settle", type=float, default=5.0, help="how long to wait before that (default: 5)")
    parser.add_argument("--store", help="its URL (default: SQLite in the temporary folder)")
    parser.add_argument("--roles", default="agent,aggregator")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logagg-follow-") as name:
        print(json.dumps(measure(Path(name), options)))
    return 0


def measure(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    url = options.store or f"sqlite:///{folder / 'logagg.db'}"
    (folder / "logs").mkdir()
    config = folder / "logagg.toml"
    config.write_text(CONFIG.format(url=url))
    with ExitStack() as stack:
        files = [stack.enter_context((folder / "logs" / f"{i:04}.log").open("w", buffering=1))
                 for i in range(options.files)]
        for i, file in enumerate(files):
            file.write(line(i, -1))
        service = stack.enter_context(Service(config, "--roles", options.roles))
        until(lambda: service.holds(len(stored_streams(url)) == options.files), "all streams in the store", 120)
        stop = threading.Event()
        writer = threading.Thread(target=write, args=(files, options.rate, stop))
        store = open_store(url, read_only=True)
        stack.callback(store.close)
        writer.start()
        stop.wait(options.settle)
        watcher = Watcher(store)
        assert service.process is not None
        figures = watch(watcher, service.process.pid, options)
        stop.set()
        writer.join()
        assert service.stop() == 0, service.messages()
    return figures


def watch(watcher: "Watcher", pid: int, options: argparse.Namespace) -> dict[str, float]:
    """Look at the store and the process until the time is over."""
    start_s, start_cpu_s = time.monotonic(), cpu_s(pid)
    pause = threading.Event()
    said_s, said_cpu_s = start_s, start_cpu_s
    most = 0
    while (now_s := time.monotonic()) < start_s + options.seconds:
        if options.rate:
            watcher.look()
        if now_s - said_s >= REPORT_S:
            used_s, chunks = cpu_s(pid), watcher.chunks()
            most = max(most, chunks)
            print(f"{now_s - start_s:5.0f} s: {100 * (used_s - said_cpu_s) / (now_s - said_s):5.1f} % of a core, "
                  f"{chunks} chunks, {watcher.unfolded()} not folded", flush=True)
            said_s, said_cpu_s = time.monotonic(), cpu_s(pid)
        pause.wait(LOOK_S if options.rate else 1.0)
    share = (cpu_s(pid) - start_cpu_s) / (time.monotonic() - start_s)
    figures = {"cpu_percent": round(100 * share, 2), "chunks": watcher.chunks(), "most_chunks": most,
               "seen": len(watcher.latencies_ms)}
    if watcher.latencies_ms:
        ordered = sorted(watcher.latencies_ms)
        figures |= {"median_ms": round(statistics.median(ordered)), "p95_ms": round(ordered[int(len(ordered) * 0.95)]),
                    "p99_ms": round(ordered[int(len(ordered) * 0.99)]), "most_ms": round(ordered[-1])}
    return figures


class Watcher:
    """Finds new events as any other reader of the store would."""

    def __init__(self, store: Store) -> None:
        self.latencies_ms: list[float] = []
        self._store = store
        self._seen: set[tuple[str, int]] = set()
        self._from_us = now_us()

    def look(self) -> None:
        for event in self._store.events(from_us=max(self._from_us, now_us() - 3_000_000)):
            place = (event.stream, event.offset)
            if place not in self._seen:
                self._seen.add(place)
                written_us = int(event.body["message"].split()[-1])
                if written_us >= self._from_us:
                    self.latencies_ms.append((now_us() - written_us) / 1000)

    def chunks(self) -> int:
        return sum(1 for _ in self._store.chunks())

    def unfolded(self) -> int:
        return len(self._store.unfolded(100_000))


def write(files: list[IO[str]], rate: float, stop: threading.Event) -> None:
    """Write `rate` lines a second to each file, spread evenly over the time."""
    start_s, written = time.monotonic(), 0
    while rate and not stop.wait(TICK_S):
        wanted = int((time.monotonic() - start_s) * rate * len(files))
        pieces: dict[int, list[str]] = {}
        for i in range(written, wanted):
            pieces.setdefault(i % len(files), []).append(line(i % len(files), i))
        for number, lines in pieces.items():
            files[number].write("".join(lines))
            files[number].flush()
        written = wanted


def line(number: int, i: int) -> str:
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds").replace(".", ",")
    level = "INFO" if i % 20 or i < 0 else "WARN"
    return (f"{now} {level} [http-8080-{i % 16}] com.acme.service.Orders{number % 7}: order {i} of file {number} was "
            f"taken in {i * 7919 % 977} ms by the worker of its region, now waiting for payment {now_us()}\n")


def now_us() -> int:
    return time.time_ns() // 1000


def cpu_s(pid: int) -> float:
    """User and system time of a process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    sys.exit(main())
