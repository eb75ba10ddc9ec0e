"""A store without space: what is small still gets in, what is large waits, and people are told once of each change."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from logagg.clock import StepClock
from logagg.config.model import ChannelConfig
from logagg.errors import StoreFull
from logagg.notify.incident import IncidentMailer
from logagg.notify.outbox import Outbox
from logagg.notify.space import SpaceWatch
from logagg.store import reserve as reserve_module
from logagg.store.memory import MemoryStore
from logagg.store.reserve import ENOUGH_BYTES, Reserve
from logagg.store.sqlite import SqliteStore
from logagg.store.sqlite_file import ROOM_BYTES
from tests.contract.making import chunk, commit, fold_all, stored, stream

SIZE = 1 << 16


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The disk tells of so few free bytes; tests/fault/test_disk_full.py has a real one."""
    usage = SimpleNamespace(free=0)
    monkeypatch.setattr(reserve_module.shutil, "disk_usage", lambda path: usage)
    return usage


def opened(folder: Path, reserve_bytes: int = SIZE) -> SqliteStore:
    return SqliteStore(str(folder / "store.db"), reserve_bytes=reserve_bytes)


def test_a_reserve_is_real_space(tmp_path: Path) -> None:
    """Its blocks are taken, not only its size; it is kept once."""
    store = opened(tmp_path)
    status = (tmp_path / "store.db-reserve").stat()
    assert (status.st_size, status.st_blocks * 512 >= SIZE) == (SIZE, True)
    store.close()
    opened(tmp_path).close()
    assert (tmp_path / "store.db-reserve").stat().st_mtime_ns == status.st_mtime_ns


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot allocate")
@pytest.mark.parametrize(("number", "kept"), [(errno.EOPNOTSUPP, SIZE), (errno.EDQUOT, None)])
def test_what_cannot_be_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int,
                                  kept: int | None) -> None:
    """Where the file system cannot allocate, the reserve is written; where it refuses, there is none: commits are
    taken both times."""
    def refuse(descriptor: int, offset: int, size: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(reserve_module.os, "posix_fallocate", refuse)
    store = opened(tmp_path)
    path = tmp_path / "store.db-reserve"
    assert (path.stat().st_size if path.exists() else None) == kept
    commit(store, stream(), chunk("s1", 0, 10))
    store.close()


def test_released(tmp_path: Path, crowded: SimpleNamespace) -> None:
    """While the reserve is given away commits, replacements and folds are refused, whoever asks, and documents are
    taken; once there is space it is kept again, and all goes on."""
    crowded.free = 10 * SIZE
    store, other = opened(tmp_path), opened(tmp_path, 0)
    state = commit(store, stream(), chunk("s1", 0, 10))
    Reserve(str(tmp_path / "store.db"), SIZE).release()
    crowded.free = SIZE
    for each in (store, other):
        with pytest.raises(StoreFull, match="the disk is full"):
            commit(each, state, chunk("s1", 10, 20))
        with pytest.raises(StoreFull):
            fold_all(each)
        with pytest.raises(StoreFull):
            each.replace("s1", 0, 10, {0: 1}, [chunk("s1", 0, 10)])
        with pytest.raises(StoreFull):
            each.check_space()
        assert each.put_document("kind", "key", None, {})
        assert stored(each, "s1") == state
    crowded.free = 10 * SIZE
    with pytest.raises(StoreFull):
        commit(other, state, chunk("s1", 10, 20))       # it does not know how much to keep
    store.check_space()
    assert (tmp_path / "store.db-reserve").stat().st_size == SIZE
    commit(other, state, chunk("s1", 10, 20))
    store.close()
    other.close()


def test_released_and_left(tmp_path: Path, crowded: SimpleNamespace) -> None:
    """Where the service has ended, or is to keep no reserve any more, a released reserve refuses nothing once there is
    much space again."""
    crowded.free = 10 * SIZE
    opened(tmp_path).close()
    Reserve(str(tmp_path / "store.db"), SIZE).release()
    store = opened(tmp_path, 0)
    with pytest.raises(StoreFull, match="the disk is full"):
        commit(store, stream(), chunk("s1", 0, 10))
    crowded.free = ENOUGH_BYTES
    store.check_space()
    commit(store, stream(), chunk("s1", 0, 10))
    store.close()


def test_room_within_the_file(tmp_path: Path, crowded: SimpleNamespace) -> None:
    """What expiry has freed within the file is space as well, though the disk stays full."""
    crowded.free = 10 * SIZE
    store = opened(tmp_path)
    big = bytes(range(256)) * (ROOM_BYTES // 256 // 2)
    parts = [chunk("s1", i * 10, i * 10 + 10, raw=big) for i in range(3)]
    state = commit(store, stream(), *parts)
    fold_all(store)
    Reserve(str(tmp_path / "store.db"), SIZE).release()
    crowded.free = 0
    with pytest.raises(StoreFull):
        store.check_space()
    assert store.expire(raw_before_us=1 << 60)["chunks"] == 3
    store.check_space()
    commit(store, state, chunk("s1", 30, 40))
    store.close()


def test_no_space_for_a_reserve(tmp_path: Path, crowded: SimpleNamespace) -> None:
    """A store is opened and works without one, and gets it when there is space."""
    store = opened(tmp_path)
    assert not (tmp_path / "store.db-reserve").exists()
    commit(store, stream(), chunk("s1", 0, 10))
    crowded.free = 10 * SIZE
    store.check_space()
    assert (tmp_path / "store.db-reserve").stat().st_size == SIZE
    store.close()


class Full(MemoryStore):
    """A store that says that it is full."""

    full = True

    def check_space(self) -> None:
        if self.full:
            raise StoreFull("the disk is full; free some space")


def test_each_change_is_told_once() -> None:
    """Two watches on one store put one mail when it is full and one when it is not, and again the next time."""
    store, clock = Full(), StepClock()
    outbox = Outbox(store, [ChannelConfig("ops", to=("ops@example.com",))], clock)
    watches = [SpaceWatch(store, IncidentMailer(outbox, None), ["ops"], clock, "app01") for _ in range(2)]
    store.full = False
    assert all(watch.look() for watch in watches) and not store.documents("outbox")
    told = []
    for full in (True, False, True):
        store.full = full
        for watch in watches * 2:
            assert watch.look() == (not full)
            clock.step(2)
        told.append(len(store.documents("outbox")))
    assert told == [1, 2, 3]
    first, second, _ = (value["subject"] for value in store.documents("outbox").values())
    assert first.startswith("FIRING critical: store_full: the store has no space left") and "app01" in first
    assert second.startswith("resolved: store_full: the store has space again")
    bodies = [value["text"] for value in store.documents("outbox_body").values()]
    assert "free some space" in bodies[0]
