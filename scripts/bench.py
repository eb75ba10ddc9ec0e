#!/usr/bin/env python3
"""How fast logagg is, stage by stage, and against peers on the same lines in the same run.

    scripts/bench.py                 half a million lines, five runs a stage (a quarter of an hour)
    scripts/bench.py --quick         a fifth of that, three runs
    scripts/bench.py --json FILE     the figures as JSON too
    scripts/bench.py --require-peers fail where a peer is not installed

The lines are LogHub's Hadoop sample (LOGAGG_SAMPLES names its folder), again and again with times that move on, or
generated ones where it is absent. Peers are used where they are installed: as root, apt-get install mtail
syslog-ng-core syslog-ng-mod-mongodb. Quote ratios: they hold when the machine's speed does not.
docs/performance.md tells what the stages are.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bench_peers  # noqa: E402
from bench_log import LAYOUT, make_log  # noqa: E402

from logagg.grammar.events import EventGrammar  # noqa: E402
from logagg.grammar.reader import LayoutReader  # noqa: E402
from logagg.ingest import Ingest, Pipeline, Segment  # noqa: E402
from logagg.interfaces import Store  # noqa: E402
from logagg.record import Carry  # noqa: E402
from logagg.rollup.fold import Folder  # noqa: E402
from logagg.rollup.metric import MetricSet, parse_metrics  # noqa: E402
from logagg.source.identity import WINDOW_BYTES, first_line, new_stream  # noqa: E402
from logagg.store import open_store  # noqa: E402

BLOCK_BYTES = 1 << 20
FEW_LINES_SHARE = 50            # syslog-ng's mongodb() writes one document at a time: it gets one line in so many
LOGAGG = [sys.executable, "-m", "logagg"]
METRICS = [
    {"name": "reconnects", "event": "reconnect", "labels": ["host"]},
    {"name": "lease_waits", "event": "lease_failed", "field": "waited_s", "unit": "s", "labels": ["host"]},
    {"name": "progress_reports", "event": "progress"},
]
RATIOS = [
    ("logagg: header and six events", "mtail: count by level and logger"),
    ("logagg: parse to JSON", "syslog-ng: file to JSON"),
    ("logagg: file to SQLite", "syslog-ng: file to JSON"),
    ("logagg: file to SQLite, all records", "syslog-ng: file to JSON"),
    ("logagg: file to MongoDB", "syslog-ng: file to mongodb()"),
    ("logagg: file to MongoDB, all records", "syslog-ng: file to mongodb()"),
    ("logagg: file to MongoDB, all records", "syslog-ng: mongodb(), 4 workers, w=1"),
]


@dataclass(frozen=True)
class Log:
    """A file of whole lines."""

    path: Path
    lines: int

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def blocks(self) -> Iterator[bytes]:
        """The file in blocks that end with a line."""
        with self.path.open("rb") as file:
            rest = b""
            while data := file.read(BLOCK_BYTES):
                data = rest + data
                cut = data.rfind(b"\n") + 1
                yield data[:cut]
                rest = data[cut:]

    def beginning(self, lines: int, path: Path) -> "Log":
        """Its first lines as a file of their own."""
        with self.path.open("rb") as file, path.open("wb") as out:
            out.writelines(file.readline() for _ in range(lines))
        return Log(path, lines)


@dataclass(frozen=True)
class Figure:
    """One stage: its times in seconds, one a run. Without a log there are no lines per second."""

    stage: str
    seconds: tuple[float, ...]
    log: Log | None

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    def row(self) -> dict[str, float | str]:
        row: dict[str, float | str] = {"stage": self.stage, "seconds": round(self.median_s, 3),
                                       "least": round(min(self.seconds), 3), "most": round(max(self.seconds), 3)}
        if self.log is not None:
            row |= {"lines": self.log.lines, "lines_per_s": round(self.log.lines / self.median_s),
                    "mb_per_s": round(self.log.size / self.median_s / 1e6, 1)}
        return row

    def __str__(self) -> str:
        row = self.row()
        speed = f"{row['lines_per_s']:>12,} lines/s{row['mb_per_s']:>9} MB/s" if self.log else " " * 34
        return f"{self.stage:40}{speed}{row['seconds']:>9} s ({row['least']} to {row['most']})"


@dataclass
class Bench:
    """The stages, and the figures so far."""

    log: Log
    runs: int
    folder: Path
    figures: list[Figure] = field(default_factory=list)
    claimed: int = 0

    def __post_init__(self) -> None:
        grammar = EventGrammar.load((ROOT / "scripts" / "bench.lark").read_text(), name="bench")
        self.metrics = MetricSet(parse_metrics(METRICS, "bench", {name: dict(f) for name, f in grammar.rules.items()}))
        self.pipeline = Pipeline(LayoutReader(LAYOUT), grammar, self.metrics)

    def measure(self, stage: str, run: Callable[[Path], float | None], log: Log | None) -> None:
        """Note a stage's times; `run` gets a fresh folder and returns seconds, or None where it cannot run here."""
        times = []
        for _ in range(self.runs):
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                seconds = run(Path(folder))
            if seconds is None:
                print(f"{stage:40} not installed", flush=True)
                return
            times.append(seconds)
        self.figures.append(Figure(stage, tuple(times), log))
        print(self.figures[-1], flush=True)

    def ratios(self) -> dict[str, float]:
        """logagg against each peer, in lines/s; above 1 logagg is faster."""
        speed = {one.stage: one.log.lines / one.median_s for one in self.figures if one.log}
        return {f"{a} / {b}": round(speed[a] / speed[b], 2) for a, b in RATIOS if a in speed and b in speed}

    # --- stages: each returns its seconds ---------------------------------------------------------------------------

    def read(self, _: Path) -> float:
        start = time.perf_counter()
        for _block in self.log.blocks():
            pass
        return time.perf_counter() - start

    def parse(self, *, events: bool) -> float:
        start = time.perf_counter()
        carry: Carry = {}
        base = claimed = records = 0
        for block in self.log.blocks():
            batch = self.pipeline.reader.read(block, base, carry, final=True)
            carry, base = batch.carry, base + len(block)
            records += len(batch) - len(batch.rejects)
            if events:
                claimed += len(self.pipeline.classifier.claim(batch.first_lines).rows)
        seconds = time.perf_counter() - start
        if records != self.log.lines:
            raise RuntimeError(f"{records} of {self.log.lines} lines were read as records: the layout is wrong")
        self.claimed = claimed or self.claimed
        return seconds

    def to_json(self, folder: Path) -> float:
        """`logagg parse`, whole process."""
        with (folder / "out.jsonl").open("wb") as out:
            start = time.perf_counter()
            command = [*LOGAGG, "parse", "--layout", LAYOUT, "--timezone", "UTC", self.log.path]
            subprocess.run(command, stdout=out, check=True)
            return time.perf_counter() - start

    def commit(self, url: str, *, keep_all: bool = False) -> float:
        """The whole way of a line into a store, in one process: read, parse, compress, commit."""
        pipeline = replace(self.pipeline, keep="all") if keep_all else self.pipeline
        store = open_store(url)
        ingest = Ingest(store, lambda stream: pipeline)
        start = time.perf_counter()
        state, data, position = None, b"", 0
        for block in self.log.blocks():
            data += block
            state = state or new_stream("bench", "host", str(self.log.path), first_line(block) or b"", 0)
            [outcome] = ingest.commit([Segment(state, position, data, flush=False)])
            again = max(position, outcome.next - WINDOW_BYTES)      # as an agent reads
            state, data, position = outcome.stream, data[again - position :], again
        assert state is not None
        [outcome] = ingest.commit([Segment(state, position, data, flush=True)])
        seconds = time.perf_counter() - start
        counts = outcome.stream.counts + outcome.stream.open_counts
        store.close()
        if counts.records != self.log.lines:
            raise RuntimeError(f"{counts.records} of {self.log.lines} records were committed")
        return seconds

    def sqlite(self, folder: Path) -> float:
        return self.commit(f"sqlite:///{folder}/bench.db")

    def sqlite_all(self, folder: Path) -> float:
        return self.commit(f"sqlite:///{folder}/bench.db", keep_all=True)

    def fold(self, folder: Path) -> float:
        self.sqlite(folder)
        store: Store = open_store(f"sqlite:///{folder}/bench.db")
        start = time.perf_counter()
        Folder(store, self.metrics, ["America/New_York"]).fold_all()
        seconds = time.perf_counter() - start
        store.close()
        return seconds


def peer_stages(bench: Bench) -> None:
    log = bench.log
    bench.measure("mtail: count by level and logger", lambda f: bench_peers.mtail(log.path, log.lines, f), log)
    bench.measure("syslog-ng: file to JSON", lambda f: bench_peers.syslog_ng_json(log.path, log.lines, f), log)


@contextmanager
def running_mongod(folder: Path) -> Iterator[Callable[[str], str] | None]:
    """A real mongod; yields a function from a database's name to its URL, or None where there is no mongod."""
    from tests.mongod import Mongod, find_mongod

    binary = find_mongod()
    if isinstance(binary, str):
        print(binary, file=sys.stderr)
        yield None
        return
    mongod = Mongod(folder / "mongod", binary)
    mongod.start()
    try:
        yield mongod.url
    finally:
        mongod.kill()


def mongodb_stages(bench: Bench) -> None:
    """Commits into a real mongod, and syslog-ng's inserts into the same one."""
    from pymongo import MongoClient

    with running_mongod(bench.folder) as url:
        if url is None:
            return
        client: MongoClient[dict[str, Any]] = MongoClient(url("admin"))
        few = bench.log.beginning(bench.log.lines // FEW_LINES_SHARE, bench.folder / "few.log")

        def logagg(*, keep_all: bool) -> float:
            client.drop_database("bench")
            return bench.commit(url("bench"), keep_all=keep_all)

        def syslog_ng(folder: Path, log: Log, concern: str, workers: int) -> float | None:
            client.drop_database("peers")
            count = client["peers"]["lines"].estimated_document_count
            return bench_peers.syslog_ng_mongodb(log.path, log.lines, folder, url("peers") + concern, workers, count)

        bench.measure("logagg: file to MongoDB", lambda f: logagg(keep_all=False), bench.log)
        bench.measure("logagg: file to MongoDB, all records", lambda f: logagg(keep_all=True), bench.log)
        bench.measure("syslog-ng: file to mongodb()", lambda f: syslog_ng(f, few, "", 1), few)
        bench.measure("syslog-ng: mongodb(), 4 workers, w=1", lambda f: syslog_ng(f, few, "&w=1", 4), few)
        client.close()


def report_stage(bench: Bench) -> None:
    """A daily report of the demo's store, as a process of its own."""
    demo = bench.folder / "demo"
    subprocess.run([*LOGAGG, "demo", "--dir", demo, "--days", "2", "--no-serve"], check=True, capture_output=True)
    day = json.loads((demo / "truth.json").read_text())["days"][-1]
    build = [*LOGAGG, "-c", demo / "logagg.toml", "report", "build", "--name", "operations", "--period", "daily",
             "--date", day, "--out"]

    def run(folder: Path) -> float:
        start = time.perf_counter()
        subprocess.run([*build, folder], check=True, capture_output=True)
        return time.perf_counter() - start

    bench.measure("logagg: daily report, whole process", run, None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 lines, three runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--require-peers", action="store_true", help="fail where a peer is not installed")
    options = parser.parse_args()
    if options.require_peers and (absent := bench_peers.absent()):
        sys.exit(f"not installed: {', '.join(absent)}; as root: apt-get install mtail syslog-ng-core "
                 "syslog-ng-mod-mongodb")
    repeat = 50 if options.quick else 250
    with tempfile.TemporaryDirectory(prefix="logagg-bench-") as name:
        folder = Path(name)
        what = make_log(folder / "bench.log", repeat)
        log = Log(folder / "bench.log", repeat * 2000)
        bench = Bench(log, 3 if options.quick else 5, folder)
        print(f"{log.lines:,} lines, {log.size / 1e6:.0f} MB ({what}); medians of {bench.runs} runs; {date.today()}, "
              f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
        bench.measure("read blocks", bench.read, log)
        bench.measure("logagg: header", lambda f: bench.parse(events=False), log)
        bench.measure("logagg: header and six events", lambda f: bench.parse(events=True), log)
        print(f"{bench.claimed / log.lines:.0%} of the lines claimed")
        bench.measure("logagg: parse to JSON", bench.to_json, log)
        bench.measure("logagg: file to SQLite", bench.sqlite, log)
        bench.measure("logagg: file to SQLite, all records", bench.sqlite_all, log)
        bench.measure("logagg: fold", bench.fold, log)
        peer_stages(bench)
        mongodb_stages(bench)
        report_stage(bench)
        rows = [figure.row() for figure in bench.figures]
    found = bench.ratios()
    for pair, ratio in found.items():
        print(f"{pair:78}{ratio:>8} times")
    if options.json:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        options.json.write_text(json.dumps(
            {"at": now, "log": what, "cores": os.cpu_count(), "python": platform.python_version(),
             "claimed": bench.claimed / bench.log.lines, "figures": rows, "ratios": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
