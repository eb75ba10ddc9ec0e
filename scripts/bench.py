#!/usr/bin/env python3
"""How fast logagg is, stage by stage, and against peers on the same lines in the same run.

    scripts/bench.py                 one million lines, five runs a stage (a quarter of an hour)
    scripts/bench.py --quick         a tenth of that, three runs
    scripts/bench.py --json FILE     the figures as JSON too
    scripts/bench.py --require-peers fail where a peer is not installed

The lines are LogHub's Hadoop sample (LOGAGG_SAMPLES names its folder), again and again with times that move on, or
generated ones where it is absent. Peers are used where they are installed: as root, apt-get install mtail
syslog-ng-core syslog-ng-mod-mongodb. Quote ratios: they hold when the machine's speed does not.
docs/performance.md tells what each stage does.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bench_peers  # noqa: E402

from logagg.grammar.events import EventGrammar  # noqa: E402
from logagg.grammar.reader import LayoutReader  # noqa: E402
from logagg.ingest import Ingest, Pipeline, Segment  # noqa: E402
from logagg.rollup.fold import Folder  # noqa: E402
from logagg.rollup.metric import MetricSet, parse_metrics  # noqa: E402
from logagg.source.identity import first_line, new_stream  # noqa: E402
from logagg.store import open_store  # noqa: E402

BLOCK_BYTES = 1 << 20
LAYOUT = "%d{ISO8601} %p [%t] %c: %m%n"
SAMPLE_MINUTES = 10
SLOW_PEER_SHARE = 50        # a peer that writes one document at a time gets one line in so many
METRICS = [
    {"name": "reconnects", "event": "reconnect", "labels": ["host"]},
    {"name": "lease_waits", "event": "lease_failed", "field": "waited_s", "unit": "s", "labels": ["host"]},
    {"name": "progress_reports", "event": "progress"},
]


@dataclass(frozen=True)
class Figure:
    """One stage: its times in seconds, one a run."""

    stage: str
    seconds: tuple[float, ...]
    lines: int
    size: int

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    def row(self) -> dict[str, float | str]:
        return {
            "stage": self.stage,
            "seconds": round(self.median_s, 3),
            "least": round(min(self.seconds), 3),
            "most": round(max(self.seconds), 3),
            "lines_per_s": round(self.lines / self.median_s),
            "mb_per_s": round(self.size / self.median_s / 1e6, 1),
        }


class Bench:
    """The stages over one file of lines."""

    def __init__(self, log: Path, runs: int, folder: Path) -> None:
        self.log, self.runs, self.folder = log, runs, folder
        self.size = log.stat().st_size
        self.lines = sum(block.count(b"\n") for block in self.blocks())
        grammar = EventGrammar.load((ROOT / "scripts" / "bench.lark").read_text(), name="bench")
        rules = {name: dict(fields) for name, fields in grammar.rules.items()}
        self.metrics = MetricSet(parse_metrics(METRICS, "bench", rules))
        self.pipeline = Pipeline(LayoutReader(LAYOUT), grammar, self.metrics)
        self.figures: list[Figure] = []

    def blocks(self) -> Iterator[bytes]:
        """The file in blocks that end with a line."""
        with self.log.open("rb") as file:
            rest = b""
            while data := file.read(BLOCK_BYTES):
                data = rest + data
                cut = data.rfind(b"\n") + 1
                yield data[:cut]
                rest = data[cut:]

    def measure(self, stage: str, run: Callable[[], float | None]) -> None:
        """Note the times of a stage; `run` returns its seconds, or None where it cannot run here."""
        times = []
        for _ in range(self.runs):
            seconds = run()
            if seconds is None:
                print(f"{stage:44} not installed", file=sys.stderr)
                return
            times.append(seconds)
        figure = Figure(stage, tuple(times), self.lines, self.size)
        self.figures.append(figure)
        row = figure.row()
        print(f"{stage:44}{row['lines_per_s']:>12,} lines/s{row['mb_per_s']:>9} MB/s"
              f"{row['seconds']:>9} s ({row['least']} to {row['most']})", flush=True)

    # --- stages: each returns its seconds ---------------------------------------------------------------------------

    def read(self) -> float:
        start = time.perf_counter()
        for _ in self.blocks():
            pass
        return time.perf_counter() - start

    def parse(self, *, events: bool) -> float:
        start = time.perf_counter()
        carry, base, claimed = {}, 0, 0
        for block in self.blocks():
            batch = self.pipeline.reader.read(block, base, carry, final=True)
            carry, base = batch.carry, base + len(block)
            if events:
                claimed += len(self.pipeline.classifier.claim(batch.first_lines).rows)
        seconds = time.perf_counter() - start
        if events:
            self.claimed = claimed
        return seconds

    def commit(self, url: str) -> float:
        """The whole way of a line into a store, in one process: read, parse, compress, commit."""
        store = open_store(url)
        ingest = Ingest(store, lambda stream: self.pipeline)
        start = time.perf_counter()
        state, data, position = None, b"", 0
        for block in self.blocks():
            data += block
            state = state or new_stream("bench", "host", str(self.log), first_line(block) or b"", 0)
            [outcome] = ingest.commit([Segment(state, position, data, flush=False)])
            state, data, position = outcome.stream, data[outcome.next - position :], outcome.next
        ingest.commit([Segment(state, position, data, flush=True)])
        seconds = time.perf_counter() - start
        store.close()
        return seconds

    def sqlite(self) -> float:
        with self.fresh() as folder:
            return self.commit(f"sqlite:///{folder}/bench.db")

    def fold(self) -> float:
        with self.fresh() as folder:
            url = f"sqlite:///{folder}/bench.db"
            self.commit(url)
            store = open_store(url)
            start = time.perf_counter()
            Folder(store, self.metrics, ["America/New_York"]).fold_all()
            seconds = time.perf_counter() - start
            store.close()
            return seconds

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder)

    def in_fresh(self, run: Callable[[Path], float | None]) -> Callable[[], float | None]:
        def stage() -> float | None:
            with self.fresh() as folder:
                return run(folder)

        return stage


def mongodb_stages(bench: Bench) -> None:
    """Commits into a real mongod, and syslog-ng's into the same one."""
    from tests.mongod import Mongod, find_mongod

    binary = find_mongod()
    if isinstance(binary, str):
        print(binary, file=sys.stderr)
        return
    from pymongo import MongoClient

    mongod = Mongod(bench.folder / "mongod", binary)
    mongod.start()
    client: MongoClient[dict[str, object]] = MongoClient(mongod.url("peers"))
    try:

        def logagg() -> float:
            client.drop_database("bench")
            return bench.commit(mongod.url("bench"))

        def syslog_ng(folder: Path) -> float | None:
            client.drop_database("peers")
            count = client["peers"]["lines"].estimated_document_count
            return bench_peers.syslog_ng_mongodb(bench.log, bench.lines, folder, mongod.url("peers"), count)

        bench.measure("logagg: file to MongoDB", logagg)
        bench.measure("syslog-ng: file to mongodb()", bench.in_fresh(syslog_ng))
    finally:
        client.close()
        mongod.kill()


def report_stage(bench: Bench) -> None:
    """A daily report from the demo's store."""
    import subprocess

    demo = bench.folder / "demo"
    logagg = [sys.executable, "-m", "logagg"]
    subprocess.run([*logagg, "demo", "--dir", demo, "--days", "2", "--no-serve"], check=True, capture_output=True)
    day = json.loads((demo / "truth.json").read_text())["days"][-1]
    build = [*logagg, "-c", demo / "logagg.toml", "report", "build", "--name", "operations", "--period", "daily",
             "--date", day, "--out", bench.folder / "out"]

    def run() -> float:
        start = time.perf_counter()
        subprocess.run(build, check=True, capture_output=True)
        return time.perf_counter() - start

    times = [run() for _ in range(bench.runs)]
    bench.report_s = statistics.median(times)
    print(f"{'daily report, whole process':44}{bench.report_s:>30.3f} s ({min(times):.3f} to {max(times):.3f})")


def ratios(figures: list[Figure]) -> dict[str, float]:
    """logagg against each peer, in lines/s; above 1 logagg is faster."""
    speed = {figure.stage: figure.lines / figure.median_s for figure in figures}
    pairs = {
        "header and events / mtail counting": ("logagg: header and six events", "mtail: count by level and logger"),
        "header and events / syslog-ng to JSON": ("logagg: header and six events", "syslog-ng: file to JSON"),
        "file to SQLite / syslog-ng to JSON": ("logagg: file to SQLite", "syslog-ng: file to JSON"),
        "file to MongoDB / syslog-ng mongodb()": ("logagg: file to MongoDB", "syslog-ng: file to mongodb()"),
    }
    return {name: round(speed[a] / speed[b], 2) for name, (a, b) in pairs.items() if a in speed and b in speed}


def make_log(path: Path, repeat: int) -> str:
    """Write the lines; the answer says what they are."""
    samples = Path(os.environ.get("LOGAGG_SAMPLES", ROOT.parent / "shared" / "samples"))
    sample = samples / "loghub" / "Hadoop.log"
    if sample.exists():
        content, what = sample.read_bytes().rstrip(b"\n") + b"\n", f"LogHub Hadoop, {repeat} times"
    else:
        head = "2015-10-18 18:{:02}:{:02},978 INFO  [main] org.apache.hadoop.mapreduce.v2.app.MRAppMaster: "
        texts = ["Progress of TaskAttempt attempt_1445144423722_0020_m_0000 is : 0.25", "Executing with tokens:"]
        lines = [head.format(i // 60 % 60, i % 60) + texts[i % 2] for i in range(2000)]
        content, what = ("\n".join(lines) + "\n").encode(), f"generated, {repeat} times"
    with path.open("wb") as file:
        for _ in range(repeat):
            file.write(content)
    return what


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 lines, three runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--require-peers", action="store_true", help="fail where a peer is not installed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logagg-bench-") as name:
        folder = Path(name)
        what = make_log(folder / "bench.log", 50 if options.quick else 500)
        bench = Bench(folder / "bench.log", 3 if options.quick else 5, folder)
        print(f"{bench.lines:,} lines, {bench.size / 1e6:.0f} MB ({what}); {os.cpu_count()} cores, Python "
              f"{platform.python_version()}, {date.today()}; medians of {bench.runs} runs")
        bench.measure("read blocks", bench.read)
        bench.measure("logagg: header", lambda: bench.parse(events=False))
        bench.measure("logagg: header and six events", lambda: bench.parse(events=True))
        print(f"{bench.claimed / bench.lines:.0%} of the lines claimed")
        bench.measure("logagg: file to SQLite", bench.sqlite)
        bench.measure("logagg: fold", bench.fold)
        bench.measure("mtail: count by level and logger",
                      bench.in_fresh(lambda folder: bench_peers.mtail(bench.log, bench.lines, folder)))
        bench.measure("syslog-ng: file to JSON",
                      bench.in_fresh(lambda folder: bench_peers.syslog_ng_json(bench.log, bench.lines, folder)))
        mongodb_stages(bench)
        report_stage(bench)
    found = ratios(bench.figures)
    for name, ratio in found.items():
        print(f"{name:44}{ratio:>12} times")
    if options.json:
        figures = [figure.row() for figure in bench.figures]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        options.json.write_text(json.dumps({"at": now, "lines": bench.lines, "log": what, "figures": figures,
                                            "report_s": bench.report_s, "ratios": found}, indent=1) + "\n")
    return 1 if options.require_peers and len(found) < 4 else 0


if __name__ == "__main__":
    sys.exit(main())
