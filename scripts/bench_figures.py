"""What the bench has measured: times and their spread, and what they are to be compared with."""

import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_log import Log


@dataclass(frozen=True)
class Taken:
    """One run of a stage: seconds by the clock, processor seconds of this process and its children (a server of its
    own, such as mongod, not counted), and the peak of the resident set where a process of its own did the work."""

    wall_s: float
    cpu_s: float
    peak_bytes: int = 0


class Stopwatch:
    """Runs from its making on."""

    def __init__(self) -> None:
        self._cpu_s, self._wall_s = _cpu_s(), time.perf_counter()

    def taken(self, wall_s: float = 0.0) -> Taken:
        """The time so far, or `wall_s` where a child said it better. Only children that have ended count."""
        return Taken(wall_s or time.perf_counter() - self._wall_s, _cpu_s() - self._cpu_s)


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(frozen=True)
class Stage:
    """`run` gets a fresh folder; it answers None where something that it needs is not installed. `times` is how often
    a run reads the log."""

    name: str
    log: Log | None
    run: Callable[[Path], Taken | None]
    times: int = 1


@dataclass(frozen=True)
class Spread:
    """A median with the least and the greatest value."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        found = list(values)
        return cls(statistics.median(found), min(found), max(found))


@dataclass(frozen=True)
class Figure:
    """A stage and its runs."""

    stage: Stage
    runs: tuple[Taken, ...]

    @property
    def lines(self) -> int:
        return self.stage.log.lines * self.stage.times if self.stage.log else 0

    def speeds(self) -> list[float]:
        """Lines a second, by run."""
        return [self.lines / run.wall_s for run in self.runs]

    def cpu_speeds(self) -> list[float]:
        """Lines per second of processor time, by run."""
        return [self.lines / run.cpu_s for run in self.runs]

    def row(self) -> dict[str, Any]:
        wall, cpu = Spread.of(run.wall_s for run in self.runs), Spread.of(run.cpu_s for run in self.runs)
        row: dict[str, Any] = {
            "stage": self.stage.name, "seconds": round(wall.median, 3), "least": round(wall.least, 3),
            "most": round(wall.most, 3), "cpu_seconds": round(cpu.median, 3), "runs": len(self.runs)}
        if self.stage.log is not None:
            speed, size = Spread.of(self.speeds()), self.stage.log.size * self.stage.times
            row |= {"log": self.stage.log.what, "lines": self.lines, "lines_per_s": round(speed.median),
                    "lines_per_s_least": round(speed.least), "lines_per_s_most": round(speed.most),
                    "lines_per_cpu_s": round(statistics.median(self.cpu_speeds())),
                    "mb_per_s": round(size / wall.median / 1e6, 1)}
        if peak := max(run.peak_bytes for run in self.runs):
            row["peak_mb"] = round(peak / 1e6, 1)
        return row


@dataclass
class Figures:
    """All figures of a run of the bench. `values` are what is no time: shares and sizes, by name."""

    runs: int
    by_stage: dict[str, Figure] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)

    def measure(self, stages: Iterable[Stage], fresh: Callable[[], Any]) -> None:
        """Run these stages in turns, so that what slows the machine slows all of them; `fresh` makes a folder."""
        left = list(stages)
        taken: dict[str, list[Taken]] = {stage.name: [] for stage in left}
        for number in range(self.runs):
            for stage in list(left):
                with fresh() as folder:
                    found = stage.run(Path(folder))
                if found is None:
                    left.remove(stage)
                    self.absent.append(stage.name)
                    continue
                taken[stage.name].append(found)
                print(f"  {stage.name:52} run {number + 1}: {found.wall_s:8.3f} s, {found.cpu_s:8.3f} s of processor "
                      "time", flush=True)
        self.by_stage |= {stage.name: Figure(stage, tuple(taken[stage.name])) for stage in left}

    def speed(self, stage: str) -> Spread | None:
        found = self.by_stage.get(stage)
        return Spread.of(found.speeds()) if found else None

    def seconds(self, stage: str) -> Spread | None:
        found = self.by_stage.get(stage)
        return Spread.of(run.wall_s for run in found.runs) if found else None

    def peak(self, *stages: str) -> Spread | None:
        """The greatest peak of memory in MB among these stages."""
        peaks = [run.peak_bytes / 1e6 for name in stages if name in self.by_stage for run in self.by_stage[name].runs]
        return Spread(max(peaks), min(peaks), max(peaks)) if peaks else None

    def ratio(self, stage: str, to: str, *, cpu: bool = False) -> Spread | None:
        """How many times as many lines a second; the spread is that of the pairs of runs."""
        a, b = self.by_stage.get(stage), self.by_stage.get(to)
        if a is None or b is None:
            return None
        fast, slow = (a.cpu_speeds(), b.cpu_speeds()) if cpu else (a.speeds(), b.speeds())
        pairs = Spread.of(x / y for x, y in zip(fast, slow, strict=True))
        return Spread(statistics.median(fast) / statistics.median(slow), pairs.least, pairs.most)

    def value(self, name: str) -> Spread | None:
        found = self.values.get(name)
        return None if found is None else Spread(found, found, found)

    def as_json(self, targets: Iterable[Mapping[str, Any]], load: float) -> str:
        rows = [figure.row() for figure in self.by_stage.values()]
        return json.dumps({
            "at": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count(), "load_at_start": load,
            "load_at_end": round(os.getloadavg()[0], 2), "python": platform.python_version(), "runs": self.runs,
            "not_installed": self.absent, "figures": rows, "values": self.values, "targets": list(targets)},
            indent=1) + "\n"
