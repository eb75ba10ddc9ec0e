"""Memory does not grow with the log: a big file is ingested by a process of its own, which is then asked for its peak."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

RSS_BYTES_MAX = 200_000_000
LINES = 10_000

INGEST = """\
import resource, sys
from logagg.cli import main
status = main(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"peak {peak if sys.platform == 'darwin' else peak * 1024}")
sys.exit(status)
"""


def varied(size: int, rng: random.Random) -> Iterator[bytes]:
    """Lines with ids that do not come again, at rising times, some with a stack trace; some `size` bytes in all."""
    written = second = 0
    while written < size:
        lines = []
        for i in range(LINES):
            second += i % 3 == 0
            time = f"2026-11-{second // 86400 % 30 + 1:02} {second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
            level = rng.choice(["DEBUG", "INFO", "INFO", "INFO", "INFO", "INFO", "INFO", "WARN", "ERROR"])
            lines.append(f"{time},{i % 1000:03} {level:5} [http-{i % 200}] com.acme.das.Client{i % 50} - request "
                         f"{rng.getrandbits(64):016x} took {rng.randrange(5000)} ms, answer {rng.getrandbits(96):024x}\n")
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


def peak_bytes(folder: Path, blocks: Iterator[bytes], keep: str) -> int:
    """Ingest these bytes as one file; the answer is the process's greatest resident set."""
    log = folder / "big.log"
    with log.open("wb") as file:
        file.writelines(blocks)
    command = [sys.executable, "-c", INGEST, "ingest", str(log), "--store", f"sqlite:///{folder / 'big.db'}",
               "--keep", keep, "--timezone", "UTC"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    log.unlink()
    found = re.search(r"^peak (\d+)$", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and found, done.stderr
    (folder / "big.db").unlink()
    return int(found[1])


pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="no resource module on this system")


@pytest.mark.parametrize("keep", ["events", "all"])
def test_60_mb(tmp_path: Path, keep: str) -> None:
    """Ingesting 60 MB takes less than 200 MB of memory, also when every record is kept."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    assert peak_bytes(tmp_path, varied(60_000_000, random.Random(seed)), keep) < RSS_BYTES_MAX


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("keep", ["events", "all"])
@pytest.mark.parametrize("kind", ["varied", "repeated"])
def test_500_mb(tmp_path: Path, request: pytest.FixtureRequest, kind: str, keep: str) -> None:
    """Ingesting 500 MB takes less than 200 MB of memory, whatever is in it and kept of it."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    size = 500_000_000
    blocks = (varied(size, random.Random(seed)) if kind == "varied"
              else repeated(size, request.getfixturevalue("samples")))
    assert peak_bytes(tmp_path, blocks, keep) < RSS_BYTES_MAX
