"""The ledger adds up."""

from dataclasses import replace
from pathlib import Path

import pytest

from logagg.cli import main
from logagg.ledger import ledger
from logagg.raw import compress
from logagg.record import Chunk, Counts, Stream
from logagg.store import open_store
from logagg.store.memory import MemoryStore

NOW_US = 1_700_000_100_000_000
STREAM = Stream("s1", "app01", "das", "/var/log/das.log", "first", end=100, resume=100, carry={},
                counts=Counts(8, 3, 2, 20), dropped={"truncated": 7}, last_ts_us=NOW_US - 5_500_000)


def _store(*streams: Stream) -> MemoryStore:
    store = MemoryStore()
    for stream in streams:
        chunks = [Chunk(stream.id, 0, stream.end, compress(b"x" * stream.end), counts=stream.counts)]
        assert store.commit([(stream, chunks)]) == ["committed"]
    return store


def test_found_is_committed_and_pending() -> None:
    """What was seen and is not committed is pending, with the age of the newest committed record as its lag."""
    store = _store(STREAM)
    store.put_document("found", "s1", None, {"size": 130, "at_us": NOW_US})
    (row,) = ledger(store, NOW_US)["streams"]
    assert row == {
        "stream": "s1", "host": "app01", "app": "das", "path": "/var/log/das.log", "found": 130, "committed": 93,
        "pending": 30, "rejected": 20, "dropped": {"truncated": 7}, "lag_bytes": 30, "lag_s": 5.5,
        "last_ts": "2023-11-14T22:14:54.500Z", "records": 8, "events": 3, "rejects": 2,
    }


def test_an_older_sighting_is_no_debt() -> None:
    """A size seen before the last commit, or none at all, means that nothing is known to be pending."""
    store = _store(STREAM, replace(STREAM, id="s2", path="/b"))
    store.put_document("found", "s1", None, {"size": 90, "at_us": NOW_US})
    for row in ledger(store, NOW_US)["streams"]:
        assert (row["found"], row["pending"], row["lag_s"]) == (100, 0, 0.0)


def test_no_time_at_all() -> None:
    """The lag of a stream in which nothing had a time is not known."""
    store = _store(replace(STREAM, last_ts_us=None))
    store.put_document("found", "s1", None, {"size": 130, "at_us": NOW_US})
    (row,) = ledger(store, NOW_US)["streams"]
    assert (row["lag_s"], row["last_ts"]) == (None, None)


def test_totals() -> None:
    """Totals are sums; the lag is the largest, the last time the newest; filters narrow both."""
    store = _store(STREAM, replace(STREAM, id="s2", host="app02", dropped={"rotated": 1, "truncated": 2}))
    result = ledger(store, NOW_US)
    totals = result["totals"]
    assert totals["streams"] == 2 and totals["committed"] == 190 and totals["dropped"] == {"rotated": 1, "truncated": 9}
    assert totals["found"] == totals["committed"] + totals["pending"] + sum(totals["dropped"].values())
    assert ledger(store, NOW_US, host="app02")["totals"]["streams"] == 1
    assert ledger(MemoryStore(), NOW_US)["totals"]["last_ts"] is None


def test_files_that_are_no_streams() -> None:
    """A copy's bytes are dropped by name, those of a file that cannot be told yet are pending; the sum still holds."""
    store = _store(STREAM)
    place = {"host": "app01", "app": "das"}
    store.put_document("found", "das@app01:/c", None, {**place, "path": "/c", "size": 50, "reason": "copy"})
    store.put_document("found", "das@app01:/w", None, {**place, "path": "/w", "size": 9, "reason": "too_short"})
    store.put_document("found", "das@app01:/g", None, {**place, "path": "/g", "size": 0, "reason": ""})
    result = ledger(store, NOW_US)
    rows = {row["path"]: row for row in result["streams"]}
    assert (rows["/c"]["dropped"], rows["/c"]["pending"]) == ({"copy": 50}, 0)
    assert (rows["/w"]["dropped"], rows["/w"]["pending"], rows["/w"]["reason"]) == ({}, 9, "too_short")
    assert "/g" not in rows
    for row in (*result["streams"], result["totals"]):
        assert row["found"] == row["committed"] + row["pending"] + sum(row["dropped"].values())
    assert result["totals"]["streams"] == 1
    assert len(ledger(store, NOW_US, host="app02")["streams"]) == 0


def test_ignored_files_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that are too old to be read are counted by application, as `status` says; none: nothing is said."""
    url = f"sqlite:///{tmp_path / 'logagg.db'}"
    store = open_store(url)
    value = {"app": "das", "host": "app01", "files": 1200, "bytes": 3 << 20}
    store.put_document("ignored", "das@app01", None, value)
    store.put_document("ignored", "esp@app01", None, {"app": "esp", "host": "app01", "files": 0, "bytes": 0})
    result = ledger(store, NOW_US)
    assert result["ignored"] == [value] and result["totals"]["found"] == 0
    assert ledger(store, NOW_US, app="esp")["ignored"] == []
    store.close()
    assert main(["status", "--store", url]) == 0
    assert capsys.readouterr().out == ("nothing has been read yet\n"
                                       "ignored of das@app01: 1,200 files, 3.0 MiB, older than ignore_older\n")
