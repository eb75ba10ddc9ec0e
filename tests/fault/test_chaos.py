"""Random schedules of faults: whatever happens, every byte is stored once or counted as destroyed (tests/chaos)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.running import run, trimming_disabled, workshop
from tests.chaos.schedule import Action, Schedule, schedule, shrink
from tests.chaos.stores import MongoPlace, SqlitePlace
from tests.mongod import database_url

SEEDS = 40


@pytest.fixture
def folder() -> Iterator[Path]:
    with workshop() as folder:
        yield folder


@pytest.fixture
def mongo_place(mongod_url: str) -> Iterator[MongoPlace]:
    place = MongoPlace(database_url(mongod_url, "chaos"))
    yield place
    place.close()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_with_sqlite(folder: Path, seed: int) -> None:
    """Nothing is lost, nothing repeated, and what was seen and destroyed is counted; `scripts/soak.py` runs more."""
    verdict = run(folder, SqlitePlace(folder), schedule(seed))
    assert not verdict.problems, f"{schedule(seed)}\n" + "\n".join(verdict.problems)


@pytest.mark.service
@pytest.mark.parametrize("seed", range(SEEDS))
def test_with_mongodb(folder: Path, mongo_place: MongoPlace, seed: int) -> None:
    """The same with MongoDB."""
    verdict = run(folder, mongo_place, schedule(seed))
    assert not verdict.problems, f"{schedule(seed)}\n" + "\n".join(verdict.problems)


def test_the_check_can_fail(folder: Path) -> None:
    """Without trimming in `commit` one of 50 schedules fails, with bytes that nobody wrote so, or stored twice."""
    with trimming_disabled():
        verdicts = (run(folder, SqlitePlace(folder), schedule(seed)) for seed in range(50))
        assert any("stored twice" in problem for verdict in verdicts for problem in verdict.problems)


def test_a_seed_is_one_schedule(folder: Path) -> None:
    """The same seed means the same actions, the same faults and the same bytes."""
    first, second = (run(folder, SqlitePlace(folder), schedule(7)) for _ in range(2))
    assert schedule(7) == schedule(7) != schedule(8)
    assert (first.counts, first.tally) == (second.counts, second.tally)


def test_shrinking() -> None:
    """What is left of a failing schedule is what it takes to fail."""
    actions = tuple(Action("settle", {"seconds": i}) for i in range(50))

    def fails(one: Schedule) -> bool:
        return all(actions[i] in one.actions for i in (3, 31, 32))

    assert shrink(Schedule(0, {}, actions), fails).actions == (actions[3], actions[31], actions[32])
