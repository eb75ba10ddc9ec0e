#!/usr/bin/env python3
"""How fast logagg is, stage by stage, and against peers on the same lines in the same run.

    scripts/bench.py                 half a million lines, five runs a stage (half an hour)
    scripts/bench.py --quick         a tenth of that, three runs
    scripts/bench.py --only read     one family of stages: read, sqlite, mongodb, other
    scripts/bench.py --service       also what following costs, and how soon a line is seen (some minutes)
    scripts/bench.py --json FILE     the figures as JSON too
    scripts/bench.py --plot FILE     and as a chart (.svg or .png)
    scripts/bench.py --markdown FILE the tables of docs/performance.md, of the JSON of an earlier run; measures nothing
    scripts/bench.py --require-peers fail where a peer is not installed

The lines are LogHub's Hadoop sample (LOGAGG_SAMPLES names its folder), again and again with times that move on, and
generated ones. Peers are used where they are installed: as root, apt-get install mtail syslog-ng-core
syslog-ng-mod-mongodb. Quote ratios: they hold when the machine's speed does not. docs/performance.md tells what the
stages are.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from datetime import date
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bench_peers  # noqa: E402
import bench_stages  # noqa: E402
from bench_figures import Figures  # noqa: E402
from bench_log import Log, generated, repeated  # noqa: E402
from bench_targets import figures_text, markdown, plot, target_rows, targets_text  # noqa: E402

FAMILIES = ("read", "sqlite", "mongodb", "other")
LINES, QUICK_LINES = 500_000, 50_000
RUNS, QUICK_RUNS = 5, 3
FEW_LINES_SHARE = 50            # syslog-ng's mongodb() writes one document at a time: it gets one line in so many
PARTS = 4                       # files for processes that read side by side
ALL_LINES_SHARE = 5             # where each line becomes a document, one line in so many is enough


def main() -> int:
    options = _options()
    if options.markdown:
        print(markdown(json.loads(options.markdown.read_text())))
        return 0
    if options.require_peers and (absent := bench_peers.absent()):
        sys.exit(f"not installed: {', '.join(absent)}; as root: apt-get install mtail syslog-ng-core "
                 "syslog-ng-mod-mongodb")
    figures, load = Figures(options.runs or (QUICK_RUNS if options.quick else RUNS)), round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory(prefix="logagg-bench-") as name:
        measure(figures, Path(name), options.lines or (QUICK_LINES if options.quick else LINES), options.only)
        if options.service:
            from bench_service import measure_service

            measure_service(figures)
        targets = list(target_rows(figures))
        document = figures.as_json(targets, load)
    found = json.loads(document)
    print(f"\n{date.today()}, {os.cpu_count()} cores, load {load} at the start, Python {platform.python_version()}, "
          f"medians of {figures.runs} runs\n\n{figures_text(found['figures'])}\n")
    for what, value in figures.values.items():
        print(f"{what:80}{value:>10}")
    print("\n" + targets_text(targets))
    if figures.absent:
        print(f"not installed: {', '.join(figures.absent)}")
    if options.json:
        options.json.write_text(document)
    if options.plot:
        plot(found, options.plot)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_LINES:,} lines, {QUICK_RUNS} runs")
    parser.add_argument("--lines", type=int, help=f"how many (default: {LINES:,})")
    parser.add_argument("--runs", type=int, help=f"how often each stage runs (default: {RUNS})")
    parser.add_argument("--only", choices=FAMILIES, action="append", help="one family of stages; may be repeated")
    parser.add_argument("--service", action="store_true", help="also what following costs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures there, .svg or .png")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="print the tables of an earlier run's JSON")
    parser.add_argument("--require-peers", action="store_true", help="fail where a peer is not installed")
    return parser.parse_args()


def measure(figures: Figures, folder: Path, lines: int, only: list[str] | None) -> None:
    """All families of stages, each in turns with its peers."""
    fresh = partial(tempfile.TemporaryDirectory, dir=folder)
    wanted = only or FAMILIES
    if "read" in wanted:
        figures.measure(bench_stages.read_stages(said(repeated(folder / "most.log", lines, 0.62)), figures), fresh)
    if "sqlite" in wanted or "mongodb" in wanted:
        log = said(repeated(folder / "few.log", lines, 0.05))
        all_log = log.beginning(lines // ALL_LINES_SHARE, folder / "all.log")
        own = said(generated(folder / "own.log", lines, 0.05))
        parts = own.parts(PARTS, folder / "parts")
    if "sqlite" in wanted:
        figures.measure(bench_stages.sqlite_stages(log, own, all_log, parts, figures), fresh)
    if "mongodb" in wanted:
        from bench_mongo import Stages, running_mongod

        with ExitStack() as stack:
            mongod = stack.enter_context(running_mongod(folder))
            if mongod is None:
                figures.absent.append("mongod")
            else:
                few = log.beginning(lines // FEW_LINES_SHARE, folder / "fifty.log")
                stages = Stages(mongod, log, parts, all_log, few, figures)
                stack.callback(stages.close)
                figures.measure(stages.all(), fresh)
    if "other" in wanted:
        figures.measure(bench_stages.other_stages(folder), fresh)
    for store in ("SQLite", "MongoDB"):
        two_by_one = figures.ratio(f"logagg: files to {store}, 2 processes", f"logagg: files to {store}, 1 process")
        if two_by_one:
            figures.values[f"{PARTS} files to {store}: 2 processes / 1"] = round(two_by_one.median, 2)


def said(log: Log) -> Log:
    print(f"{log.lines:,} lines, {log.size / 1e6:.0f} MB: {log.what}", flush=True)
    return log


if __name__ == "__main__":
    sys.exit(main())
