"""What other programs need for the same lines: each answers None where it is not installed.

Fluent Bit is no peer here: Debian and Ubuntu do not package it.
"""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench_figures import Stopwatch, Taken

HEAD = r"^(?<ts>[0-9-]+ [0-9:,]+) (?<level>[A-Z]+) +\\[(?<thread>[^]]*)\\] (?<logger>[^:]+): (?<message>.*)"
EVENTS = [
    r"^Address change detected\\. Old: (?<old>[^ ]+) New: (?<new>[^ ]+)$",
    r"^Failed to renew lease for \\[(?<client>[^]]+)\\] for (?<waited_s>[0-9]+) seconds\\.  Will retry shortly "
    r"\\.\\.\\.$",
    r"^Progress of TaskAttempt (?<attempt>[^ ]+) is : (?<ratio>[0-9.eE+-]+)$",
    r"^ERROR IN CONTACTING RM\\. $",
    r"^Retrying connect to server: (?<server>[^ ]+)\\. Already tried (?<tries>[0-9]+) time\\(s\\); "
    r"retry policy is (?<policy>.+)$",
    r"^Recalculating schedule, headroom=<memory:(?<memory_mb>[0-9]+), vCores:(?<cores>[+-]?[0-9]+)>$",
]
"""The events of bench.lark."""

TIMEOUT_S = 900

SYSLOG_NG = """\
@version: 3.38
options {{ stats-freq(0); log-fifo-size(200000); }};
source s {{ file("{log}" flags(no-parse) follow-freq(0.1) log-iw-size(100000) log-fetch-limit(10000)); }};
parser p {{ regexp-parser(patterns("{head}") prefix("l.") flags(store-matches)); }};
parser e {{ regexp-parser(template("${{l.message}}") patterns({events}) prefix("e.") flags(store-matches)); }};
destination d {{ {destination} }};
log {{ source(s); parser(p); {then} destination(d); flags(flow-control); }};
"""

MTAIL = """\
counter lines by level, logger
/^[0-9-]+ [0-9:,]+ (?P<level>[A-Z]+) +\\[[^]]*\\] (?P<logger>[^:]+): / {
  lines[$level][$logger]++
}
"""


def _until(done: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    pause, end = threading.Event(), time.monotonic() + TIMEOUT_S
    while not done():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the peer ended early, or took too long")
        pause.wait(0.02)


def _syslog_ng(log: Path, folder: Path, destination: str, done: Callable[[], bool],
               then: str = "") -> Taken | None:
    program = shutil.which("syslog-ng")
    if program is None:
        return None
    config = folder / "syslog-ng.conf"
    events = " ".join(f'"{event}"' for event in EVENTS)
    config.write_text(SYSLOG_NG.format(log=log, head=HEAD, events=events, then=then, destination=destination))
    command = [program, "-F", "--no-caps", "-f", config, "-R", folder / "persist", "-p", folder / "pid", "-c",
               folder / "ctl"]
    watch, wall_s = Stopwatch(), 0.0
    with (folder / "syslog-ng.log").open("wb") as messages:
        process = subprocess.Popen(command, stdout=messages, stderr=messages)
        try:
            _until(done, process)
            wall_s = watch.taken().wall_s
        finally:
            process.terminate()
            process.wait(30)
    return watch.taken(wall_s)


def syslog_ng_parse(log: Path, lines: int, folder: Path) -> Taken | None:
    """file -> regexp-parser -> one byte a line, as a sign that it is done."""
    return _into_file(log, lines, folder, "\\n")


def syslog_ng_events(log: Path, lines: int, folder: Path) -> Taken | None:
    """The same with a second regexp-parser over the message, for the six events; lines of no event go on too."""
    return _into_file(log, lines, folder, "\\n", "if { parser(e); };")


def syslog_ng_json(log: Path, lines: int, folder: Path) -> Taken | None:
    """file -> regexp-parser -> a file of JSON lines."""
    return _into_file(log, lines, folder, "$(format-json --key l.*)\\n")


def _into_file(log: Path, lines: int, folder: Path, template: str, then: str = "") -> Taken | None:
    out, seen = folder / "out", [0, 0]

    def done() -> bool:
        if out.exists():
            with out.open("rb") as file:
                file.seek(seen[0])
                new = file.read()
            seen[0] += len(new)
            seen[1] += new.count(b"\n")
        return seen[1] >= lines

    return _syslog_ng(log, folder, f'file("{out}" template("{template}"));', done, then)


def syslog_ng_mongodb(log: Path, lines: int, folder: Path, url: str, workers: int,
                      count: Callable[[], int]) -> Taken | None:
    """file -> regexp-parser -> mongodb(), which inserts one document at a time in each of its workers."""
    if not _has_mongodb():
        return None
    destination = f'mongodb(uri("{url}") collection("lines") workers({workers}) value-pairs(key("l.*")));'
    return _syslog_ng(log, folder, destination, lambda: count() >= lines)


def _has_mongodb() -> bool:
    return any(Path("/usr/lib/syslog-ng").glob("*/libafmongodb.so"))


def absent() -> list[str]:
    """What is not installed."""
    found = {"mtail": shutil.which("mtail"), "syslog-ng": shutil.which("syslog-ng"), "mongodb()": _has_mongodb()}
    return [name for name, there in found.items() if not there]


def mtail(log: Path, lines: int, folder: Path) -> Taken | None:
    """Counting lines by level and logger."""
    program = shutil.which("mtail")
    if program is None:
        return None
    programs = folder / "progs"
    programs.mkdir()
    (programs / "count.mtail").write_text(MTAIL)
    watch = Stopwatch()
    command = [program, "--one_shot", "--progs", programs, "--logs", log]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True)
    taken = watch.taken()
    counted = sum(int(n) for n in re.findall(rb'"Value":\s*(\d+)', done.stdout))
    if counted and counted != lines:
        raise RuntimeError(f"mtail counted {counted} of {lines} lines")
    return taken
