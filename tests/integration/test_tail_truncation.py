"""A log that is emptied in place begins a new stream; nothing is read twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from logagg.ledger import ledger
from logagg.source.follow import Follower
from tests.tailing import Bench


def lines(name: str, count: int) -> str:
    return "".join(f"{name} {i:06} " + "x" * 40 + "\n" for i in range(count))


def test_emptied_and_written_anew(tmp_path: Path) -> None:
    """The new content is the next stream of this log, whether its first line is another or the same."""
    bench = Bench(tmp_path)
    bench.write("a.log", "banner\n" + lines("one", 100))
    bench.settle()
    (tmp_path / "a.log").write_text("banner\n" + lines("two", 3))
    bench.settle()
    (tmp_path / "a.log").write_text(lines("three", 1))
    bench.settle()
    assert bench.contents() == ["banner\n" + lines("one", 100), "banner\n" + lines("two", 3), lines("three", 1)]


def test_emptied_and_grown_longer_between_two_looks(tmp_path: Path) -> None:
    """A file that is longer than before but has other content is noticed by the window at the old end."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("one", 100))
    bench.settle()
    (tmp_path / "a.log").write_text(lines("two", 150))
    bench.settle()
    assert bench.contents() == [lines("one", 100), lines("two", 150)]


@pytest.mark.parametrize("step", ["facts", "read"])
def test_emptied_while_it_is_identified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A new log that is emptied and written anew between two looks at it, before anything of it is committed, is what
    it is then: no stream has one content's name and another one's bytes."""
    bench = Bench(tmp_path)
    work: Callable[..., object] = getattr(Follower, step)
    emptied: list[str] = []

    def empty_first(follower: Follower, *args: object, **options: object) -> object:
        if not emptied and follower.size:
            emptied.append(follower.path)
            (tmp_path / "a.log").write_text(lines("two", 2000))
        return work(follower, *args, **options)

    monkeypatch.setattr(Follower, step, empty_first)
    bench.write("a.log", lines("one", 1000))
    bench.settle()
    (tmp_path / "a.log.1").write_text(lines("one", 1000))
    bench.settle(8)
    assert emptied
    assert sorted(bench.contents()) == [lines("one", 1000), lines("two", 2000)]
    assert all(content.startswith(stream.first_line)
               for stream, content in zip(bench.streams(), bench.contents(), strict=True))


def test_copied_and_emptied(tmp_path: Path) -> None:
    """With copy-and-truncate the copy goes on where the log was committed to, and the log begins anew."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("one", 100))
    bench.settle()
    bench.write("a.log", lines("late", 50))
    (tmp_path / "a.log.1").write_bytes((tmp_path / "a.log").read_bytes())
    (tmp_path / "a.log").write_bytes(b"")
    bench.write("a.log", lines("two", 5))
    bench.settle(6)
    assert bench.contents() == [lines("one", 100) + lines("late", 50), lines("two", 5)]


def test_emptied_while_the_agent_is_down(tmp_path: Path) -> None:
    """Shorter than what was committed of it at the same path: a new stream after the restart, too."""
    bench = Bench(tmp_path)
    bench.write("a.log", "banner\n" + lines("one", 100))
    bench.settle()
    bench.agent.stop()
    bench.agent.close()
    (tmp_path / "a.log").write_text("banner\n")
    bench.start()
    bench.settle()
    assert bench.contents() == ["banner\n" + lines("one", 100), "banner\n"]


def test_what_was_lost_is_said(tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    """Bytes that were seen and then emptied before they could be committed are counted in a message and the ledger."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1\n2\n")
    bench.settle()
    bench.store.down = True
    bench.write("a.log", "3\n4\n5\n")
    bench.settle()
    (tmp_path / "a.log").write_bytes(b"")
    bench.settle()
    assert any("6 bytes of the old content had been seen and not committed" in m for m in caplog.messages)
    bench.store.down = False
    bench.write("a.log", "6\n")
    bench.settle(20)
    row, _ = ledger(bench.store, 0)["streams"]  # type: ignore[arg-type]
    assert (row["found"], row["committed"], row["pending"], row["dropped"]) == (10, 4, 6, {})
    bench.settle(60)
    row, _ = ledger(bench.store, 0)["streams"]  # type: ignore[arg-type]
    assert (row["found"], row["committed"], row["pending"], row["dropped"]) == (10, 4, 0, {"truncated": 6})


def test_what_a_copy_still_has_is_not_lost(tmp_path: Path) -> None:
    """The ledger forgets the loss when the bytes turn up in a copy and are committed from there."""
    bench = Bench(tmp_path)
    bench.write("a.log", lines("one", 100))
    bench.settle()
    bench.store.down = True
    bench.write("a.log", lines("late", 50))
    bench.settle()
    copy = (tmp_path / "a.log").read_bytes()
    (tmp_path / "a.log").write_bytes(b"")
    bench.settle()
    bench.store.down = False
    bench.settle(80)
    assert ledger(bench.store, 0)["totals"]["dropped"] == {"truncated": len(lines("late", 50))}  # type: ignore[arg-type]
    (tmp_path / "a.log.1").write_bytes(copy)
    bench.settle(8)
    assert bench.contents() == [copy.decode()]
    assert ledger(bench.store, 0)["totals"]["dropped"] == {}  # type: ignore[arg-type]
