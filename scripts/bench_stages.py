"""The bench's stages of reading, and of the whole way of a file into a store."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import bench_peers
from bench_figures import Figures, Stage, Stopwatch, Taken
from bench_log import LAYOUT, ROOT, Log

from logagg.grammar.events import EventGrammar
from logagg.grammar.reader import LayoutReader
from logagg.reading import Pipeline
from logagg.record import Carry
from logagg.rollup.metric import MetricSet, parse_metrics
from logagg.rollup.partial import partials
from logagg.store import open_store

LOGAGG = [sys.executable, "-m", "logagg"]
WARM_LINES = 100

METRICS = """\
[[metric]]
name = "reconnects"
event = "reconnect"
labels = ["host"]

[[metric]]
name = "lease_waits"
event = "lease_failed"
field = "waited_s"
unit = "s"
labels = ["host"]

[[metric]]
name = "progress_reports"
event = "progress"
"""
CONFIG = """\
timezone = "UTC"

[store]
url = "{url}"

[packs]
paths = ["packs"]

[[source]]
app = "bench"
host = "host01"
paths = ["{log}"]
layout = "{layout}"
timezone = "UTC"
packs = ["bench"]
keep = "{keep}"
"""
INGEST = """\
import re, sys, time
import logagg.adhoc, logagg.app, logagg.commands.ingest, logagg.grammar.events, logagg.grammar.reader, logagg.ingest
import logagg.source.once, {store}
from logagg.cli import main
from pathlib import Path
start, cpu = time.perf_counter(), time.process_time()
status = main(sys.argv[1:])
wall = time.perf_counter() - start
# Not ru_maxrss: that one begins with what the process had before exec.
found = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(wall, time.process_time() - cpu, int(found[1]) * 1024, file=sys.stderr)
sys.exit(status)
"""
"""`logagg ingest` in a process of its own; what is measured is the command, the loading of modules not counted."""

STORE_MODULES = {"sqlite": "logagg.store.sqlite", "mongodb": "logagg.store.mongo, logagg.store.mongo_events"}

def pipeline() -> Pipeline:
    import tomllib

    grammar = EventGrammar.load((ROOT / "scripts" / "bench.lark").read_text(), name="bench")
    tables: list[dict[str, Any]] = tomllib.loads(METRICS)["metric"]
    metrics = parse_metrics(tables, "bench", {name: dict(fields) for name, fields in grammar.rules.items()})
    return Pipeline(LayoutReader(LAYOUT), grammar, MetricSet(metrics))


# ---- reading ---------------------------------------------------------------------------------------------------------


def read_stages(log: Log, figures: Figures) -> list[Stage]:
    """From bytes to columns, in this process; peers on the same lines."""
    pipe = pipeline()
    return [
        Stage("read blocks", log, lambda _: blocks(log)),
        Stage("logagg: header", log, lambda _: header(pipe, log)),
        Stage("logagg: header and six events", log, lambda _: events(pipe, log, figures)),
        Stage("logagg: header and six events, 1 process", log, lambda _: side_by_side(log, 1)),
        Stage("logagg: header and six events, 2 processes", log, lambda _: side_by_side(log, 2), times=2),
        Stage("logagg: parse to JSON, whole process", log, lambda folder: to_json(log, folder)),
        Stage("mtail: count by level and logger", log, lambda f: bench_peers.mtail(log.path, log.lines, f)),
        Stage("syslog-ng: parse", log, lambda f: bench_peers.syslog_ng_parse(log.path, log.lines, f)),
        Stage("syslog-ng: parse, and six events", log, lambda f: bench_peers.syslog_ng_events(log.path, log.lines, f)),
        Stage("syslog-ng: file to JSON", log, lambda f: bench_peers.syslog_ng_json(log.path, log.lines, f)),
    ]


def blocks(log: Log) -> Taken:
    watch = Stopwatch()
    for _block in log.blocks():
        pass
    return watch.taken()


def header(pipe: Pipeline, log: Log) -> Taken:
    """Blocks to columns: where each record is, its time, level and first line."""
    watch = Stopwatch()
    carry: Carry = {}
    base = records = 0
    for block in log.blocks():
        batch = pipe.reader.read(block, base, carry, final=True)
        carry, base = batch.carry, base + len(block)
        records += len(batch) - len(batch.rejects)
    taken = watch.taken()
    _check(records, log)
    return taken


def events(pipe: Pipeline, log: Log, figures: Figures) -> Taken:
    """Blocks to columns, events with typed fields, and partials."""
    watch = Stopwatch()
    records, claimed = parse(pipe, log)
    taken = watch.taken()
    _check(records, log)
    figures.values[f"claimed of the lines in %, {log.what}"] = round(100 * claimed / records, 1)
    return taken


def parse(pipe: Pipeline, log: Log) -> tuple[int, int]:
    """How many records were read, and how many of them claimed."""
    carry: Carry = {}
    base = records = claimed = 0
    for block in log.blocks():
        batch = pipe.reader.read(block, base, carry, final=True)
        claims = pipe.classifier.claim(batch.first_lines)
        for group in claims.groups:     # typed columns, made when they are asked for
            claimed += len(group.rows)
            for column in group.columns.values():
                len(column)
        list(partials(batch, claims, pipe.metrics, "bench", "host01", carry.get("ts")))
        carry, base = batch.carry, base + len(block)
        records += len(batch) - len(batch.rejects)
    return records, claimed


def side_by_side(log: Log, processes: int) -> Taken:
    """So many processes, each of which parses the whole log; from the first one's begin to the last one's end."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=_work, args=(log, barrier, answers)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=bench_peers.TIMEOUT_S) for _ in workers]
    for worker in workers:
        worker.join()
    return Taken(max(end for _, end, _ in found) - min(start for start, _, _ in found), sum(cpu for *_, cpu in found))


def _work(log: Log, barrier: Barrier, answers: "Queue[tuple[float, float, float]]") -> None:
    pipe = pipeline()
    pipe.reader.read(next(log.blocks()), 0, {}, final=True)
    barrier.wait()
    start, cpu = time.perf_counter(), time.process_time()       # the same clock in all processes
    parse(pipe, log)
    answers.put((start, time.perf_counter(), time.process_time() - cpu))


def to_json(log: Log, folder: Path) -> Taken:
    """`logagg parse`, one JSON object per record into a file."""
    with (folder / "out.jsonl").open("wb") as out:
        watch = Stopwatch()
        subprocess.run([*LOGAGG, "parse", "--layout", LAYOUT, "--timezone", "UTC", log.path], stdout=out, check=True)
        return watch.taken()


def _check(records: int, log: Log) -> None:
    if records != log.lines:
        raise RuntimeError(f"{records} of {log.lines} lines were read as records: the layout is wrong")


# ---- a file into a store ---------------------------------------------------------------------------------------------


def sqlite_stages(repeated: Log, own: Log, few: Log, parts: Log, figures: Figures) -> list[Stage]:
    """Read, parse, compress, commit, fold. `few`: fewer lines, of each of which a document is kept. `parts`: several
    files, for one process and for two."""
    def run(log: Log, keep: str, name: str) -> Callable[[Path], Taken]:
        def stage(folder: Path) -> Taken:
            taken = ingest(log, f"sqlite:///{folder}/bench.db", keep, folder)
            size = sum(path.stat().st_size for path in folder.glob("bench.db*"))
            figures.values[f"SQLite / raw log in %, {name}"] = round(100 * size / log.size, 1)
            note_kept(figures, f"sqlite:///{folder}/bench.db", log, name)
            return taken

        return stage

    def jobs(count: int) -> Callable[[Path], Taken]:
        return lambda folder: ingest(parts, f"sqlite:///{folder}/bench.db", "events", folder, "--jobs", str(count))

    return [
        Stage("logagg: file to SQLite", repeated, run(repeated, "events", "repeated lines")),
        Stage("logagg: file to SQLite, no repeats", own, run(own, "events", "lines that do not repeat")),
        Stage("logagg: file to SQLite, all records", few, run(few, "all", "repeated lines, all records")),
        Stage("logagg: files to SQLite, 1 process", parts, jobs(1)),
        Stage("logagg: files to SQLite, 2 processes", parts, jobs(2)),
    ]


def ingest(log: Log, url: str, keep: str, folder: Path, *options: str) -> Taken:
    """`logagg ingest` of this file; RuntimeError unless each line was committed as a record."""
    pack = folder / "packs" / "bench"
    pack.mkdir(parents=True)
    (pack / "pack.toml").write_text(METRICS)
    (pack / "bench.lark").write_text((ROOT / "scripts" / "bench.lark").read_text())
    config = folder / "logagg.toml"
    config.write_text(CONFIG.format(url=url, log=log.path, layout=LAYOUT, keep=keep))
    code = INGEST.format(store=STORE_MODULES[url.partition(":")[0]])
    watch = Stopwatch()
    done = subprocess.run([sys.executable, "-c", code, "-c", config, "ingest", *options],
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    wall_s, cpu_s, peak = map(float, done.stderr.splitlines()[-1].split())
    if options:             # with processes of its own, whose time only this one sees
        cpu_s = watch.taken().cpu_s
    with closing(open_store(url)) as store:
        records = sum((stream.counts + stream.open_counts).records for stream in store.streams())
    _check(records, log)
    return Taken(wall_s, cpu_s, int(peak))


def note_kept(figures: Figures, url: str, log: Log, name: str) -> None:
    """How many records became documents; counted once."""
    key = f"kept of the records in %, {name}"
    if key not in figures.values:
        with closing(open_store(url)) as store:
            figures.values[key] = round(100 * sum(1 for _ in store.events()) / log.lines, 1)


# ---- start and report ------------------------------------------------------------------------------------------------


def other_stages(folder: Path) -> list[Stage]:
    """Whole processes: the help, a small file, and a daily report of the demo's store."""
    import json

    demo = folder / "demo"
    subprocess.run([*LOGAGG, "demo", "--dir", demo, "--days", "2", "--no-serve"], check=True, capture_output=True)
    day = json.loads((demo / "truth.json").read_text())["days"][-1]
    build = ["-c", demo / "logagg.toml", "report", "build", "--name", "operations", "--period", "daily", "--date", day]
    small = folder / "small.log"
    small.write_text("2026-11-01 00:00:00,000 INFO  [main] com.acme.A - hello\n" * WARM_LINES)
    return [
        Stage("logagg --help, whole process", None, lambda _: command(["--help"])),
        Stage("logagg parse of 100 lines, call-centre grammar, whole process", None,
              lambda _: command(["parse", "--grammar", "callcenter", small])),
        Stage("logagg: daily report, whole process", None, lambda f: command([*build, "--out", f])),
    ]


def command(arguments: list[Any]) -> Taken:
    watch = Stopwatch()
    subprocess.run([*LOGAGG, *arguments], check=True, capture_output=True)
    return watch.taken()
