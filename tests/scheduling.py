"""What tests of the schedule share: a store with days, and a service that can be killed at each step."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from logagg.clock import StepClock
from logagg.errors import LogaggError
from logagg.record import Bucket, BucketKey, Chunk, Stream
from logagg.report.build import BuiltReport
from logagg.report.due import key_of
from logagg.report.period import Period
from logagg.report.schedule import Scheduler, read_to_us
from logagg.rollup.sketch import Stat
from logagg.rollup.window import day_start
from logagg.store.memory import MemoryStore

ZONE = "America/New_York"


@dataclass(frozen=True)
class Report:
    name: str = "operations"
    periods: Sequence[str] = ("daily",)
    timezone: str = ZONE


def at(text: str, zone: str = ZONE) -> int:
    """Microseconds of a local time."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1e6)


class Kill(BaseException):
    """The process ends here."""


@dataclass
class World:
    """A store with days, and what building and mailing did; `die` names the step at which the process ends."""

    store: MemoryStore = field(default_factory=MemoryStore)
    clock: StepClock = field(default_factory=StepClock)
    builds: list[str] = field(default_factory=list)
    mails: dict[str, int] = field(default_factory=dict)
    die: str = ""
    fail: set[str] = field(default_factory=set)
    reports: tuple[Report, ...] = (Report(),)

    def __post_init__(self) -> None:
        self.store.put_document("zone", ZONE, 0, {"ready": True})
        self.store.commit([(Stream("s", "h", "xivr", "/x.log", "first", end=1, resume=1), [Chunk("s", 0, 1, b"raw")])])
        self.store.fold({}, self.store.unfolded(10))

    def day(self, text: str) -> None:
        """A day has (more) records: its bucket is written again."""
        key = BucketKey("records", "day", ZONE, day_start(date.fromisoformat(text), ZONE))
        found = [bucket for one, bucket in self.store.buckets("day", ZONE, key.start, key.start + 1)]
        revision = found[0].revision if found else 0
        assert self.store.fold({key: Bucket(revision, {"{}": Stat(1).to_bytes()})}, ())

    def read(self, text: str) -> None:
        """Every source was read to its end at a local time."""
        self.store.put_document("observation", "xivr@h", None, {"at_us": at(text), "paths": 1})

    def now(self, text: str) -> None:
        self.clock.step((at(text) - self.clock.now_us()) / 1e6)

    def _build(self, name: str, this: Period) -> BuiltReport:
        key = key_of(name, this)
        if self.die == "before build":
            raise Kill
        if key in self.fail:
            raise LogaggError("no space left")
        self.builds.append(key)
        if self.die == "after build":
            raise Kill
        place = Path("reports") / key / "r1"
        return BuiltReport(place / "index.html", place / "data.json", 1, True, read_to_us(self.store) >= this.to_us)

    def _mail(self, name: str, this: Period, report: BuiltReport) -> bool:
        key = f"{key_of(name, this)}/r{report.revision}"
        self.mails[key] = 1     # the outbox puts a message under this name once
        if self.die == "after mail":
            raise Kill
        return True

    def run(self) -> list[str]:
        """One run of a process that has just started."""
        scheduler = Scheduler(self.store, self.reports, self._build, self._mail, self.clock)
        return [one.key for one in scheduler.run_due()]

    def scheduler(self) -> Scheduler:
        return Scheduler(self.store, self.reports, self._build, self._mail, self.clock)

    def entry(self, key: str) -> dict[str, Any]:
        found = self.store.document("period", key)
        assert found is not None
        return found[1]
