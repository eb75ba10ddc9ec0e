"""Half-written lines: nothing is committed before the line's end has come, or stayed away for long."""

from pathlib import Path

from logagg.source.identity import WINDOW_BYTES
from tests.tailing import Bench


def test_rest_of_a_line_is_waited_for(tmp_path: Path) -> None:
    """A line written in three pieces, seconds apart, is committed whole and once."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1 first\n2 se")
    bench.settle(2)
    assert bench.contents() == ["1 first\n"]
    bench.write("a.log", "co")
    bench.settle(2)
    assert bench.contents() == ["1 first\n"]
    bench.write("a.log", "nd\n")
    bench.settle(2)
    assert bench.contents() == ["1 first\n2 second\n"]


def test_a_line_that_stays_unfinished(tmp_path: Path) -> None:
    """After 5 s of quiet the piece is committed as an open chunk, which the rest of the line replaces."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1 first\n2 se")
    bench.settle(6)
    assert bench.contents() == ["1 first\n2 se"]
    bench.write("a.log", "cond\n3 third\n")
    bench.settle(2)
    assert bench.contents() == ["1 first\n2 second\n3 third\n"]


def test_the_first_line_is_unfinished(tmp_path: Path) -> None:
    """A stream that began with a piece of its first line is found again when the line is whole, restarts included."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1 fi")
    bench.settle(2)
    assert bench.contents() == []
    bench.restart()
    assert bench.contents() == ["1 fi"]
    bench.write("a.log", "rst\n2 second\n")
    bench.settle(2)
    bench.restart()
    bench.settle(2)
    assert bench.contents() == ["1 first\n2 second\n"]


def test_unfinished_line_at_the_stop(tmp_path: Path) -> None:
    """At SIGTERM what is there is committed; the next run goes on from the same line."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1 first\n2 se")
    bench.settle()
    bench.restart()
    assert bench.contents() == ["1 first\n2 se"]
    bench.write("a.log", "cond\n")
    bench.settle()
    assert bench.contents() == ["1 first\n2 second\n"]


def test_a_line_longer_than_a_block(tmp_path: Path) -> None:
    """A record of many blocks is read whole, and one beyond the limit of records in pieces, without growing memory."""
    bench = Bench(tmp_path, block_bytes=1024)
    bench.ingest.record_bytes_max = 16 * 1024
    text = "1\n" + "2" * 10_000 + "\n3\n" + "4" * 200_000 + "\n5\n"
    bench.write("a.log", text)
    bench.settle(5)
    assert bench.contents() == [text]
    assert bench.ingest.buffered_max <= 32 * 1024 + WINDOW_BYTES
