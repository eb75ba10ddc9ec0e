"""The lines that the bench reads: all in LAYOUT, of which bench.lark claims a given share."""

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYOUT = "%d %p [%t] %c: %m%n"
BLOCK_BYTES = 2 << 20         # about what `ingest` reads at once: 10,000 lines (ingest.PIECE_LINES_MAX)
SAMPLE_START = datetime(2015, 10, 18, 18, 1)
SAMPLE_MINUTES = 10
SAMPLE_LINES = 2000

_CLAIMED = re.compile(rb": (?:Address change detected|Failed to renew lease for|Progress of TaskAttempt|"
                      rb"ERROR IN CONTACTING RM|Retrying connect to server|Recalculating schedule, headroom)")


@dataclass(frozen=True)
class Log:
    """A file of whole lines, or several where the path is a glob; `what` says which."""

    path: Path
    lines: int
    what: str

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.path.parent.glob(self.path.name))

    def blocks(self) -> Iterator[bytes]:
        """The file in blocks that end with a line."""
        with self.path.open("rb", buffering=0) as file:
            while data := file.read(BLOCK_BYTES):
                cut = data.rfind(b"\n") + 1
                yield data[:cut]
                file.seek(cut - len(data), os.SEEK_CUR)

    def beginning(self, lines: int, path: Path) -> "Log":
        """Its first lines as a file of their own."""
        with self.path.open("rb") as file, path.open("wb") as out:
            out.writelines(file.readline() for _ in range(lines))
        return Log(path, lines, f"{self.what}, its first {lines:,} lines")

    def parts(self, count: int, folder: Path) -> "Log":
        """The same lines in so many files of a new folder, for processes that read side by side."""
        folder.mkdir()
        lines = self.lines // count
        with self.path.open("rb") as file:
            for i in range(count):
                with (folder / f"{i}.log").open("wb") as out:
                    out.writelines(file.readline() for _ in range(lines))
        return Log(folder / "*.log", lines * count, f"{self.what}, in {count} files")


def repeated(path: Path, lines: int, share: float) -> Log:
    """LogHub's Hadoop sample again and again, each time ten minutes later; `share` of its lines are claimed."""
    sample = Path(os.environ.get("LOGAGG_SAMPLES", ROOT.parent / "shared" / "samples")) / "loghub" / "Hadoop.log"
    if sample.exists():
        content, what = sample.read_bytes().splitlines(), "LogHub's Hadoop sample repeated"
    else:
        content, what = [line for line, _ in zip(_generated(0.75), range(SAMPLE_LINES), strict=False)], \
                        "2,000 generated lines repeated"
    block = b"\n".join(_mixed(content, share)) + b"\n"
    repeat = max(1, lines // SAMPLE_LINES)
    with path.open("wb") as file:
        for i in range(repeat):
            file.write(_later(block, i * SAMPLE_MINUTES))
    return Log(path, repeat * SAMPLE_LINES, f"{what}, {share:.0%} claimed")


def generated(path: Path, lines: int, share: float) -> Log:
    """Lines as a service writes them: few texts, and ids, times and addresses that do not come again."""
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line, _ in zip(_generated(share), range(lines), strict=False))
    return Log(path, lines, f"generated lines that do not repeat, {share:.0%} claimed")


def _mixed(content: list[bytes], share: float) -> list[bytes]:
    """As many lines, in their order, of which `share` are claimed: some are left out, some come twice."""
    claimed = [i for i, line in enumerate(content) if _CLAIMED.search(line)]
    others = [i for i, line in enumerate(content) if not _CLAIMED.search(line)]
    many = round(len(content) * share)
    return [content[i] for i in sorted([*_spread(claimed, many), *_spread(others, len(content) - many)])]


def _spread(among: list[int], many: int) -> list[int]:
    return [among[k * len(among) // many] for k in range(many)]


def _later(content: bytes, minutes: int) -> bytes:
    """The same lines, so many minutes later. From the last minute down, so that none is moved twice."""
    for minute in reversed(range(SAMPLE_MINUTES)):
        then = SAMPLE_START + timedelta(minutes=minute)
        content = content.replace(_minute(then), _minute(then + timedelta(minutes=minutes)))
    return content


def _minute(time: datetime) -> bytes:
    return f"{time:%Y-%m-%d %H:%M}".encode()


_EVENTS = [
    "Address change detected. Old: node{n:03}.example.com/10.1.{a}.{b}:9000 New: node{n:03}.example.com:9000",
    "Failed to renew lease for [DFSClient_NONMAPREDUCE_{id:08x}_1] for {b} seconds.  Will retry shortly ...",
    "Progress of TaskAttempt attempt_{id:013}_{n:04}_m_{k:06}_0 is : 0.{k}",
    "ERROR IN CONTACTING RM. ",
    "Retrying connect to server: node{n:03}.example.com:8030. Already tried {b} time(s); retry policy is "
    "RetryUpToMaximumCountWithFixedSleep(maxRetries=10, sleepTime=1000 MILLISECONDS)",
    "Recalculating schedule, headroom=<memory:{k}, vCores:-{b}>",
]
_OTHERS = [
    "Request {id:012x} of customer {k} to /api/v1/accounts/{k}/orders took {ms} ms, status 200, {b} rows sent",
    "Session {id:012x} opened for user u{k:06} from 10.1.{a}.{b}, authenticated by certificate in {ms} ms",
    "Session closed for user u{k:06} from 10.1.{a}.{b} after {ms} s, {k} bytes received, {ms} bytes sent",
    "Order {id:012x} of customer {k} was accepted by the warehouse in region {n} and waits for its payment",
    "Cache of account {k} refreshed in {ms} ms: {b} entries kept, {a} entries dropped, next refresh in 300 s",
    "Batch {k} of job nightly-export on node{n:03}.example.com written: {ms} rows, no row was refused",
]
_MS_MAX = 50


def _generated(share: float) -> Iterator[bytes]:
    """Endless lines, the same each time. One in two hundred of those that nothing claims is a warning."""
    rng = random.Random(7)
    time, owed = SAMPLE_START, 0.0
    while True:
        owed += share
        claimed = owed >= 1
        owed -= claimed
        time += timedelta(milliseconds=rng.randrange(_MS_MAX))
        text = rng.choice(_EVENTS if claimed else _OTHERS).format(
            id=rng.getrandbits(40), n=rng.randrange(200), k=rng.randrange(100_000), ms=rng.randrange(3000),
            a=rng.randrange(256), b=rng.randrange(256))
        level = "WARN" if not rng.randrange(200) else "INFO"
        yield (f"{time:%Y-%m-%d %H:%M:%S},{time.microsecond // 1000:03} {level} [http-8080-exec-{rng.randrange(64)}] "
               f"com.acme.service.Component{rng.randrange(40)}: {text}").encode()
