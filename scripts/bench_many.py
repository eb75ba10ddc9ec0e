#!/usr/bin/env python3
"""What many files cost: `logagg run --roles agent` on a folder of logs, its store in SQLite in a temporary folder.

    scripts/bench_many.py idle --files 10000 [--seconds 60]     start-up and idling: processor time, resident memory
    scripts/bench_many.py touch --files 10000 [--writes 100]    a line to one of the idle files, until it is committed
    scripts/bench_many.py backlog --megabytes 5000 [--files 500]    live files beside old ones that are read for the
                                                                first time: how late their lines are committed

Prints one JSON object. Linux, for /proc. `--dir` names the folder in which the temporary one is made.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

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
paths = ["logs/**/*.log"]
layout = "%d{{ISO8601}} %p [%t] %c: %m%n"
timezone = "UTC"
"""
FOLDERS = 100
LIVE_FILES = 10
LIVE_PAUSE_S = 0.1
LOOK_S = 0.02
START_S_MAX = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("idle", "touch", "backlog"))
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="idle: how long to measure (default: 60)")
    parser.add_argument("--writes", type=int, default=100, help="touch: how many lines (default: 100)")
    parser.add_argument("--megabytes", type=int, default=5000, help="backlog: of old logs (default: 5000)")
    parser.add_argument("--roles", default="agent")
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logagg-many-", dir=options.dir) as name:
        figures = Bench(Path(name), options).run()
    print(json.dumps({"what": options.what, "files": options.files, **figures}))
    return 0


class Bench:
    """One run in one folder."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.options, self.folder = options, folder
        self.rng = random.Random(options.seed)
        self.url = f"sqlite:///{folder / 'logagg.db'}"
        self.config = folder / "logagg.toml"
        self.config.write_text(CONFIG.format(url=self.url))

    def run(self) -> dict[str, float]:
        return self.backlog() if self.options.what == "backlog" else self.many()

    def many(self) -> dict[str, float]:
        paths = [self.path(i) for i in range(self.options.files)]
        for i, path in enumerate(paths):
            path.write_text(line(f"file {i} begins"))
        start_s = time.monotonic()
        with Service(self.config, "--roles", self.options.roles) as service:
            until(lambda: service.holds(len(stored_streams(self.url)) == len(paths)), "all streams", START_S_MAX)
            assert service.process is not None
            pid = service.process.pid
            figures = {"start_s": round(time.monotonic() - start_s, 1), "start_cpu_s": round(cpu_s(pid), 1)}
            figures |= self.touch(paths) if self.options.what == "touch" else self.idle(pid)
            figures |= {"rss_mb": status_mb(pid, "VmRSS"), "rss_max_mb": status_mb(pid, "VmHWM")}
            assert service.stop() == 0, service.messages()
            assert "watch" not in service.messages(), service.messages()    # all folders were watched
        return figures

    def path(self, i: int) -> Path:
        folder = self.folder / "logs" / f"{i % FOLDERS:02}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{i:05}.log"

    def idle(self, pid: int) -> dict[str, float]:
        pause = threading.Event()
        pause.wait(15)
        start_s, start_cpu_s = time.monotonic(), cpu_s(pid)
        pause.wait(self.options.seconds)
        return {"cpu_percent": round(100 * (cpu_s(pid) - start_cpu_s) / (time.monotonic() - start_s), 2)}

    def touch(self, paths: list[Path]) -> dict[str, float]:
        """Lines at random moments; each is its file's last record, so it waits for `quiet_ms` (200) to be over."""
        store = open_store(self.url, read_only=True)
        streams = {one.path: one for one in store.streams()}
        latencies_ms, pause = [], threading.Event()
        for n in range(self.options.writes):
            pause.wait(self.rng.random())
            i = self.rng.randrange(len(paths))
            stream = streams[str(paths[i])]
            with paths[i].open("a") as file:
                file.write(line(f"write {n}"))
            written_s, size = time.monotonic(), paths[i].stat().st_size
            while stream.end < size and time.monotonic() < written_s + 30:
                pause.wait(LOOK_S / 4)
                [stream] = store.streams(id=stream.id)
            latencies_ms.append(1000 * (time.monotonic() - written_s))
        store.close()
        return spread("committed", latencies_ms)

    def backlog(self) -> dict[str, float]:
        old, live = self.write_old(), [self.folder / "logs" / f"live{i}.log" for i in range(LIVE_FILES)]
        stop, written = threading.Event(), [dict[int, float]() for _ in live]
        threads = [threading.Thread(target=self.write_live, args=(path, stop, sizes))
                   for path, sizes in zip(live, written, strict=True)]
        with ExitStack() as stack:
            for thread in threads:
                thread.start()
            stack.callback(stop.set)
            start_s = time.monotonic()
            service = stack.enter_context(Service(self.config, "--roles", self.options.roles))
            assert service.process is not None
            pid = service.process.pid
            until(lambda: service.holds(bool(stored_streams(self.url))), "the first stream", 60)
            store = open_store(self.url, read_only=True)
            stack.callback(store.close)
            lags = Lags(live, written)
            while service.holds(True) and lags.done_bytes < old:
                lags.look(store)
                stop.wait(LOOK_S)
            assert not any(one.counts.rejects for one in store.streams()), "the layout fits all lines"
            took_s, used_s, mb = time.monotonic() - start_s, cpu_s(pid), status_mb(pid, "VmHWM")
            stop.set()
            for thread in threads:
                thread.join()
            assert service.stop() == 0, service.messages()
        return {"megabytes": old // 10**6, "seconds": round(took_s, 1), "cpu_s": round(used_s, 1), "rss_max_mb": mb,
                "store_mb": (self.folder / "logagg.db").stat().st_size // 10**6, **spread("live", lags.lags_ms)}

    def write_old(self) -> int:
        """Old logs, a minute of a day in each block of 1,000 lines, no two lines alike; their size in bytes."""
        size = self.options.megabytes * 10**6 // self.options.files
        minute, block_id = "2026-11-01T00:00", "#######"
        template = "".join(
            f"{minute}:{k * 60 // 1000:02},{k:03} INFO [http-8080-7] com.acme.service.Orders: order {block_id}{k:03} "
            f"of customer {self.rng.getrandbits(40):010x} was taken in {self.rng.randrange(977)} ms\n"
            for k in range(1000))
        for i in range(self.options.files):
            written = n = 0
            with self.path(i).open("w") as file:
                while written < size:
                    at = f"2026-11-{1 + i % 20:02}T{n // 60 % 24:02}:{n % 60:02}"
                    written += file.write(template.replace(minute, at).replace(block_id, f"{i * 1000 + n:07}"))
                    n += 1
            old_s = time.time() - 86_400 * (2 + i % 20)
            os.utime(self.path(i), (old_s, old_s))
        return sum(path.stat().st_size for path in (self.folder / "logs").glob("*/*.log"))

    def write_live(self, path: Path, stop: threading.Event, written: dict[int, float]) -> None:
        """A line every 100 ms; `written` says when the file had which size."""
        size = n = 0
        with path.open("w", buffering=1) as file:
            while not stop.wait(LIVE_PAUSE_S):
                size += file.write(line(f"live line {n} of {path.name}"))
                written[size] = time.monotonic()
                n += 1


class Lags:
    """How late the lines of live files are committed, as another reader of the store sees it: of those that are written
    from now on."""

    def __init__(self, live: list[Path], written: list[dict[int, float]]) -> None:
        self.lags_ms: list[float] = []
        self.done_bytes = 0
        self._written = {str(path): sizes for path, sizes in zip(live, written, strict=True)}
        self._seen: dict[str, int] = {}
        self._ids: list[str] = []
        self._counted_s = 0.0
        self._since_s = time.monotonic()

    def look(self, store: Store) -> None:
        now_s = time.monotonic()
        if now_s - self._counted_s > 1:
            streams = store.streams()
            self.done_bytes = sum(one.end for one in streams if one.path not in self._written)
            self._counted_s = now_s
            self._ids = [one.id for one in streams if one.path in self._written]
        for one in [stream for id_ in self._ids for stream in store.streams(id=id_)]:
            before = self._seen.get(one.path, 0)
            sizes = [size for size in list(self._written[one.path]) if before < size <= one.end]
            times_s = [self._written[one.path].pop(size) for size in sizes]
            self.lags_ms += [1000 * (time.monotonic() - at_s) for at_s in times_s if at_s >= self._since_s]
            self._seen[one.path] = one.end


def spread(name: str, values_ms: list[float]) -> dict[str, float]:
    ordered = sorted(values_ms)
    return {f"{name}_count": len(ordered), f"{name}_median_ms": round(statistics.median(ordered)),
            f"{name}_p99_ms": round(ordered[int(len(ordered) * 0.99)]), f"{name}_most_ms": round(ordered[-1])}


def line(text: str) -> str:
    when = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds").replace(".", ",")
    return f"{when} INFO [http-8080-7] com.acme.service.Orders: {text}\n"


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def status_mb(pid: int, key: str) -> float:
    found = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith(key))
    return round(int(found.split()[1]) / 1024)


if __name__ == "__main__":
    sys.exit(main())
