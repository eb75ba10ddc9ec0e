"""What following costs and how soon a line is seen: `bench_follow.py`, `bench_many.py`, `bench_alerts.py`, each run
once."""

import json
import re
import subprocess
import sys
from typing import Any

from bench_figures import Figures
from bench_log import ROOT

FOLLOW = {      # what is asked: what of its answer is kept, and under which name
    ("bench_many.py", "idle", "--files", "1000"): {"cpu_percent": "idle agent, 1,000 files: % of a core"},
    ("bench_many.py", "idle", "--files", "10000"): {"cpu_percent": "idle agent, 10,000 files: % of a core",
                                                    "rss_max_mb": "idle agent, 10,000 files: MB"},
    ("bench_many.py", "touch", "--files", "10000"): {
        "committed_most_ms": "a line to one of 10,000 idle files, until committed: most ms"},
    ("bench_follow.py", "--files", "1000", "--rate", "1", "--seconds", "400"): {
        "cpu_percent": "1,000 streams, a line a second each: % of a core",
        "median_ms": "1,000 streams, a line a second each, line to event: median ms",
        "most_chunks": "1,000 streams, a line a second each: stored chunks before the first are merged",
        "chunks": "1,000 streams, a line a second each: stored chunks after 400 s"},
    ("bench_follow.py", "--files", "1", "--rate", "5000"): {
        "median_ms": "5,000 lines/s, line to event: median ms",
        "p99_ms": "5,000 lines/s, line to event: p99 ms"},
}


def measure_service(figures: Figures) -> None:
    """Note the values; a script that fails ends the bench."""
    print("following and alerts, as a service:", flush=True)
    for command, names in FOLLOW.items():
        answer: dict[str, Any] = json.loads(_said(*command).splitlines()[-1])
        figures.values |= {name: answer[key] for key, name in names.items() if key in answer}
    found = dict(re.findall(r"(median|p95|p99|most) (\d+) ms", _said("bench_alerts.py")))
    figures.values |= {f"line to alert mail: {name} ms": int(value) for name, value in found.items()}


def _said(script: str, *options: str) -> str:
    print(f"  {script} {' '.join(options)}", flush=True)
    return subprocess.run([sys.executable, ROOT / "scripts" / script, *options], capture_output=True, text=True,
                          check=True).stdout
