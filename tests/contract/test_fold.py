"""Every store carries the rollups: folded on it, also by several at once, they are what they are in memory."""

import random
import threading

from logagg.interfaces import Store
from logagg.rollup.fold import Folder
from logagg.store.memory import MemoryStore
from tests.rollups import METRICS, Columns, commit, random_rows, snapshot, utc

ZONES = ("UTC", "Australia/Lord_Howe")


def test_folders_racing_on_a_store_end_in_the_same_bytes(store: Store) -> None:
    """Two threads fold while chunks are committed; all buckets of all steps then equal those of one calm folder."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    batches = [Columns(random_rows(rng, utc("2026-10-03T13:00"), utc("2026-10-03T17:00"), 12)) for _ in range(8)]
    done = threading.Event()
    failed: list[Exception] = []

    def work() -> None:
        try:
            folder = Folder(store, METRICS, ZONES)
            while not done.is_set():
                folder.fold(limit=2)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    commit(store, "s", batches)
    done.set()
    for thread in threads:
        thread.join(120)
    calm = MemoryStore()
    commit(calm, "s", batches)
    for each in (store, calm):
        Folder(each, METRICS, ZONES).fold_all()
    assert not failed
    assert snapshot(store, ZONES) == snapshot(calm, ZONES), seed
