"""The hot stages of reading and keeping have not become much slower: each against a fixed loop over the same lines.

The loop is what anybody would write in plain Python, one regular expression a line. A stage's processor time over the
loop's, both the best of some rounds in turns, depends little on the machine and on what else it does. The limits are
some three times what was measured (`pytest -s` tells what is measured now), so that only a change of kind is seen, such
as Python objects for each line where there were columns; scripts/bench.py tells the rest.
"""

import gc
import importlib
import itertools
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from logagg.ingest import Ingest, Segment
from logagg.rollup.partial import partials
from logagg.source.identity import first_line, new_stream
from logagg.store import open_store
from tests.conftest import ROOT

LIMITS = {"header": 1.0, "events": 1.4, "partials": 0.5, "commit": 8.5, "commit of all records": 42.0}
"""Times the reference loop's processor time, at most."""

LINES = 5_000
ROUNDS_MIN, ROUNDS_MAX = 3, 25

HEAD = re.compile(rb"(\S+ \S+) ([A-Z]+) +\[([^\]]*)\] ([^:]+): (.*)")


def reference(block: bytes) -> Counter[tuple[bytes, bytes]]:
    """Lines by minute and level. It stays as it is: the limits are told in its time."""
    found: Counter[tuple[bytes, bytes]] = Counter()
    for line in block.splitlines():
        match = HEAD.match(line)
        if match is not None:
            time_text, level, _thread, _logger, _message = match.groups()
            found[time_text[:16], level] += 1
    return found


@dataclass
class Guard:
    """The stages by name, and the block of lines that the reference loop reads."""

    block: bytes
    stages: dict[str, Callable[[], object]]

    def ratio(self, stage: Callable[[], object], limit: float, rounds_max: int = ROUNDS_MAX) -> float:
        """The stage's best time over the loop's best; rounds go on until it is within the limit, or are many."""
        best, least = float("inf"), float("inf")
        for number in range(1, rounds_max + 1):
            least = min(least, _cpu_s(lambda: reference(self.block)))
            best = min(best, _cpu_s(stage))
            if number >= ROUNDS_MIN and best / least <= limit:
                break
        return best / least


def _cpu_s(run: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()        # else it counts how many objects the tests before have left
    try:
        start = time.process_time()
        run()
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    folder = tmp_path_factory.mktemp("speed")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        bench_log, bench_stages = (importlib.import_module(name) for name in ("bench_log", "bench_stages"))
    most, few = (bench_log.generated(folder / f"{share}.log", LINES, share).path.read_bytes() for share in (0.62, 0.05))
    pipeline = bench_stages.pipeline()
    batch = pipeline.reader.read(most, 0, {}, final=True)
    claims = pipeline.classifier.claim(batch.first_lines)
    assert len(batch) == LINES and len(claims.rows) == int(LINES * 0.62)
    store, numbers = open_store(f"sqlite:///{folder}/speed.db"), itertools.count()

    def commit(block: bytes, pipeline: Any) -> None:
        stream = new_stream("bench", "host01", "speed.log", first_line(block) or b"", next(numbers))
        [outcome] = Ingest(store, lambda _: pipeline).commit([Segment(stream, 0, block, flush=True)])
        assert (outcome.stream.counts + outcome.stream.open_counts).records == LINES

    yield Guard(most, {
        "header": lambda: pipeline.reader.read(most, 0, {}, final=True),
        "events": lambda: pipeline.classifier.claim(batch.first_lines),
        "partials": lambda: list(partials(batch, claims, pipeline.metrics, "bench", "host01", None)),
        "commit": lambda: commit(few, pipeline),
        "commit of all records": lambda: commit(few, replace(pipeline, keep="all")),
    })
    store.close()


@pytest.mark.parametrize("stage", LIMITS)
def test_a_hot_stage_is_not_much_slower_than_it_was(guard: Guard, stage: str) -> None:
    """The stage takes less than its limit in times of the reference loop."""
    limit = LIMITS[stage]
    ratio = guard.ratio(guard.stages[stage], limit)
    print(f"{stage}: {ratio:.2f} times the reference loop, at most {limit}")
    assert ratio <= limit


def test_the_guard_sees_work_for_each_line(guard: Guard) -> None:
    """A header stage that makes some objects of every line in Python, as one might by mistake, is above its limit."""
    def slow() -> None:
        guard.stages["header"]()
        for line in guard.block.splitlines():
            for _ in range(8):
                match = HEAD.match(line)
                assert match is not None and match.groups()

    assert guard.ratio(slow, LIMITS["header"], ROUNDS_MIN) > LIMITS["header"]


@pytest.mark.parametrize("stage", ["header", "events", "partials"])
def test_the_guard_sees_what_is_far_slower(guard: Guard, stage: str) -> None:
    """The limits are so near to what they guard that thirty times the work is above them."""
    run = guard.stages[stage]
    assert guard.ratio(lambda: [run() for _ in range(30)], LIMITS[stage], ROUNDS_MIN) > LIMITS[stage]


def test_the_loop_reads_the_same_lines(guard: Guard, tmp_path: Path) -> None:
    """What the stages are compared with reads every line, too."""
    assert reference(guard.block).total() == LINES
