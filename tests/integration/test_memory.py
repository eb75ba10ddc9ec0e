"""Memory does not grow with the logs: they are ingested by a process of its own, which then tells its peak."""

import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

RSS_BYTES_MAX = 200_000_000
SHORT_RSS_BYTES_MAX = 115_000_000   # some 80 MB are measured; the log's own 60 MB more would be too much
LINES = 10_000

INGEST = """\
import re, sys
from pathlib import Path
from logagg.cli import main
status = main(sys.argv[1:])
# Not ru_maxrss: that one begins with what the process had before exec, which is the test run's own memory.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(f"peak {int(peak) * 1024}")
sys.exit(status)
"""


def varied(size: int, rng: random.Random) -> Iterator[bytes]:
    """Lines with ids that do not come again, at rising times, some with a stack trace; some `size` bytes in all."""
    levels = ["DEBUG", "INFO", "INFO", "INFO", "INFO", "INFO", "INFO", "WARN", "ERROR"]
    time = datetime(2026, 11, 1)
    written = 0
    while written < size:
        lines = []
        for i in range(LINES):
            time += timedelta(milliseconds=150)
            level = rng.choice(levels)
            lines.append(f"{time:%Y-%m-%d %H:%M:%S},{i % 1000:03} {level:5} [http-{i % 200}] com.acme.Client{i % 50} - "
                         f"request {rng.getrandbits(64):016x} took {rng.randrange(5000)} ms\n")
            if level == "ERROR":
                lines.append(f"java.lang.IllegalStateException: {rng.getrandbits(64):x}\n\tat com.acme.A.b(A.java:1)\n")
        block = "".join(lines).encode()
        written += len(block)
        yield block


def repeated(size: int, samples: Path) -> Iterator[bytes]:
    """LogHub's Hadoop sample again and again: half of it is kept, and its times go back each time."""
    content = (samples / "loghub" / "Hadoop.log").read_bytes().rstrip(b"\n") + b"\n"
    for _ in range(size // len(content) + 1):
        yield content


def peak_bytes(folder: Path, files: Sequence[Iterable[bytes]], keep: str = "events") -> int:
    """Ingest these files at once; the answer is the process's greatest resident set."""
    logs = folder / "logs"
    logs.mkdir()
    for i, blocks in enumerate(files):
        with (logs / f"app{i}.log").open("wb") as file:
            file.writelines(blocks)
    command = [sys.executable, "-c", INGEST, "ingest", str(logs), "--store", f"sqlite:///{folder / 'big.db'}",
               "--keep", keep, "--timezone", "UTC"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    shutil.rmtree(logs)
    found = re.search(r"^peak (\d+)$", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and found, done.stderr
    (folder / "big.db").unlink()
    return int(found[1])


pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no /proc/self/status on this system")


def seeded() -> random.Random:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    return random.Random(seed)


def test_60_mb(tmp_path: Path) -> None:
    """Ingesting 60 MB takes far less than holding them: the file is never in memory as a whole."""
    peak = peak_bytes(tmp_path, [varied(60_000_000, seeded())])
    print(f"{peak / 1e6:.0f} MB")
    assert peak < SHORT_RSS_BYTES_MAX


def test_many_documents(tmp_path: Path) -> None:
    """Nor are the documents of many files that are read side by side, when every record is one."""
    rng = seeded()
    short = b"".join(b"2026-11-20 10:00:%02d,000 WARN a - b\n" % (i // 500) for i in range(30_000))
    assert peak_bytes(tmp_path, [[b"%d\n" % rng.getrandbits(32), short] for _ in range(8)], "all") < RSS_BYTES_MAX


def test_short_lines(tmp_path: Path) -> None:
    """Nor are the rejects of a file whose lines have one byte."""
    assert peak_bytes(tmp_path, [[b"x\n" * 300_000]]) < RSS_BYTES_MAX


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("keep", ["events", "all"])
@pytest.mark.parametrize("kind", ["varied", "repeated"])
def test_500_mb(tmp_path: Path, request: pytest.FixtureRequest, kind: str, keep: str) -> None:
    """Ingesting 500 MB takes less than 200 MB of memory, whatever is in it and kept of it."""
    size = 500_000_000
    blocks = (varied(size, seeded()) if kind == "varied" else repeated(size, request.getfixturevalue("samples")))
    assert peak_bytes(tmp_path, [blocks], keep) < RSS_BYTES_MAX
