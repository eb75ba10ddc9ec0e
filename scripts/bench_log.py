"""The lines that the bench reads."""

import os
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYOUT = "%d %p [%t] %c: %m%n"
SAMPLE_START = datetime(2015, 10, 18, 18, 1)
SAMPLE_MINUTES = 10
SAMPLE_LINES = 2000


def make_log(path: Path, repeat: int) -> str:
    """Write `repeat` times 2000 lines in LAYOUT, each time ten minutes later; the answer says what they are."""
    sample = Path(os.environ.get("LOGAGG_SAMPLES", ROOT.parent / "shared" / "samples")) / "loghub" / "Hadoop.log"
    if sample.exists():
        content, what = sample.read_bytes().rstrip(b"\n") + b"\n", "LogHub's Hadoop sample"
    else:
        content, what = _generated(), "generated lines"
    with path.open("wb") as file:
        for i in range(repeat):
            file.write(_later(content, i * SAMPLE_MINUTES))
    return f"{what}, {repeat} times, each ten minutes later"


def _later(content: bytes, minutes: int) -> bytes:
    """The same lines, so many minutes later. From the last minute down, so that none is moved twice."""
    for minute in reversed(range(SAMPLE_MINUTES)):
        then = SAMPLE_START + timedelta(minutes=minute)
        content = content.replace(_minute(then), _minute(then + timedelta(minutes=minutes)))
    return content


def _minute(time: datetime) -> bytes:
    return f"{time:%Y-%m-%d %H:%M}".encode()


def _generated() -> bytes:
    """Where the sample is absent: three of four lines are events of bench.lark, as in it."""
    texts = ["Progress of TaskAttempt attempt_1445144423722_0020_m_0000{i:02} is : 0.{i}",
             "Recalculating schedule, headroom=<memory:{i}, vCores:-{i}>",
             "Retrying connect to server: msra-sa-41:8030. Already tried {i} time(s); retry policy is RetryUpToMaximum",
             "Executing with tokens: {i}"]
    lines = []
    for i in range(SAMPLE_LINES):
        time = SAMPLE_START + timedelta(minutes=SAMPLE_MINUTES) * i / SAMPLE_LINES
        head = f"{time:%Y-%m-%d %H:%M:%S},978 {'WARN' if i % 2 else 'INFO'} [main] org.apache.hadoop.mapreduce.App: "
        lines.append(head + texts[i % 4].format(i=i))
    return ("\n".join(lines) + "\n").encode()
