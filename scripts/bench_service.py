"""What following costs and how soon a line is seen: `bench_follow.py` and `bench_alerts.py`, each run once."""

import json
import re
import subprocess
import sys
from typing import Any

from bench_figures import Figures
from bench_log import ROOT

FOLLOW = {      # what bench_follow.py is asked: what of its answer is kept, and under which name
    ("--files", "1000", "--rate", "0"): {"cpu_percent": "idle agent, 1,000 files: % of a core"},
    ("--files", "1000", "--rate", "1", "--seconds", "400"): {
        "cpu_percent": "1,000 streams, a line a second each: % of a core",
        "median_ms": "1,000 streams, a line a second each, line to event: median ms",
        "most_chunks": "1,000 streams, a line a second each: stored chunks before the first are merged",
        "chunks": "1,000 streams, a line a second each: stored chunks after 400 s"},
    ("--files", "1", "--rate", "5000"): {"median_ms": "5,000 lines/s, line to event: median ms",
                                         "p99_ms": "5,000 lines/s, line to event: p99 ms"},
}


def measure_service(figures: Figures) -> None:
    """Note the values; a script that fails ends the bench."""
    print("following and alerts, as a service:", flush=True)
    for options, names in FOLLOW.items():
        answer: dict[str, Any] = json.loads(_said("bench_follow.py", *options).splitlines()[-1])
        figures.values |= {name: answer[key] for key, name in names.items() if key in answer}
    found = dict(re.findall(r"(median|p95|p99|most) (\d+) ms", _said("bench_alerts.py")))
    figures.values |= {f"line to alert mail: {name} ms": int(value) for name, value in found.items()}


def _said(script: str, *options: str) -> str:
    print(f"  {script} {' '.join(options)}", flush=True)
    return subprocess.run([sys.executable, ROOT / "scripts" / script, *options], capture_output=True, text=True,
                          check=True).stdout
