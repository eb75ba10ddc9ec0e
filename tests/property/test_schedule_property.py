"""A service that is killed at random while logs come, late or in order: every period ends with one right report."""

import random
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from logagg.report.build import BuiltReport
from logagg.report.due import MINUTE_US, key_of
from logagg.report.period import Period, period, previous, week_before
from logagg.report.schedule import read_to_us
from logagg.rollup.window import day_start
from tests.scheduling import ZONE, Kill, Report, World

SPANS = [("2026-02-20", "2026-03-12"), ("2026-10-25", "2026-11-10")]
"""With the change to daylight saving time, and back."""


class Service(World):
    """A World whose reports tell how often each of their days was written, and have revisions as real ones."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(reports=(Report(periods=("daily", "weekly", "monthly")),))
        self.rng = rng
        self.revisions: dict[str, list[tuple[object, ...]]] = {}
        self.steps = 0

    def content(self, this: Period) -> tuple[object, ...]:
        """What a report of this period says now."""
        told: list[tuple[int, int]] = []
        for one in (this, previous(this), week_before(this)):
            told += [(key.start, bucket.revision) for key, bucket in
                     self.store.buckets("day", ZONE, one.from_us // MINUTE_US, one.to_us // MINUTE_US)]
        return (*told, read_to_us(self.store) >= this.to_us)

    def _may_die(self) -> None:
        self.steps += 1
        if self.rng.random() < 0.08:
            raise Kill

    def _build(self, name: str, this: Period) -> BuiltReport:
        self._may_die()
        found = self.revisions.setdefault(key_of(name, this), [])
        if not found or found[-1] != self.content(this):
            found.append(self.content(this))
        self._may_die()
        place = Path("reports") / key_of(name, this) / f"r{len(found)}"
        return BuiltReport(place / "index.html", place / "data.json", len(found), True, bool(found[-1][-1]))

    def _mail(self, name: str, this: Period, report: BuiltReport) -> bool:
        key = f"{key_of(name, this)}/r{report.revision}"
        self.mails[key] = 1
        self._may_die()
        return True


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("seed", range(4))
def test_every_period_has_exactly_one_current_report(seed: int, span: tuple[str, str]) -> None:
    """Whatever is killed, restarted, late or lagging: in the end each period is built, none is half built, the newest
    revision says what the store says, and no period that is not the newest of its time was mailed."""
    print(f"seed {seed}")
    rng = random.Random(f"{seed} {span}")
    service = Service(rng)
    first, last = map(date.fromisoformat, span)
    start = datetime.fromisoformat(span[0]).replace(tzinfo=ZoneInfo(ZONE)).timestamp()
    service.clock.step(start - service.clock.now_us() / 1e6)
    scheduler = service.scheduler()

    def run() -> None:
        nonlocal scheduler
        mailed = set(service.mails)
        try:
            scheduler.run_due()
        except Kill:
            scheduler = service.scheduler()
        for key in set(service.mails) - mailed:
            name, kind, day, _ = key.split("/")
            assert name == "operations"
            following = period(kind, date.fromisoformat(day), ZONE, ahead=1)
            assert following.to_us > service.clock.now_us(), f"{key} was mailed, and is not the newest"

    end_us = day_start(last + timedelta(days=1), ZONE) * MINUTE_US
    while service.clock.now_us() < end_us:
        now = datetime.fromtimestamp(service.clock.now_us() / 1e6, ZoneInfo(ZONE))
        if rng.random() < 0.7:
            late = rng.choice([0, 0, 0, 1, rng.randrange(12)])
            service.day(max(first, now.date() - timedelta(days=late)).isoformat())
        if rng.random() < 0.6:
            service.read((now - timedelta(minutes=rng.choice([0, 1, 90]))).replace(tzinfo=None).isoformat())
        run()
        if rng.random() < 0.1:
            scheduler = service.scheduler()
        service.clock.step(rng.choice([60, 600, 3600, 3600, 3 * 3600, 20 * 3600 if rng.random() < 0.1 else 900]))
    now = datetime.fromtimestamp(service.clock.now_us() / 1e6, ZoneInfo(ZONE))
    service.read(now.replace(tzinfo=None).isoformat())
    service.rng = random.Random()
    service._may_die = lambda: None     # type: ignore[method-assign]
    for _ in range(60):
        run()
        service.clock.step(3 * 3600)
    expected = [this for kind in ("daily", "weekly", "monthly") for n in range(40)
                if (this := period(kind, first, ZONE, ahead=n)).to_us <= end_us]
    for this in expected:
        key = key_of("operations", this)
        entry = service.entry(key)
        assert entry["state"] == "built" and entry["complete"], entry
        assert entry["revision"] == len(service.revisions[key])
        assert service.revisions[key][-1] == service.content(this)
    assert service.steps > 20
