"""The last record: committed once it is quiet, replaced when late lines come."""

from pathlib import Path

from tests.tailing import Bench


def test_last_record_waits_for_quiet(tmp_path: Path) -> None:
    """Records that are followed by another are committed at once, the last one after `quiet_ms`."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1\n")
    bench.settle()
    bench.write("a.log", "2\n at x\n3\n")
    bench.agent.step()
    assert bench.contents() == ["1\n2\n at x\n"]
    bench.clock.step(0.19)
    bench.agent.step()
    assert bench.contents() == ["1\n2\n at x\n"]
    bench.clock.step(0.02)
    bench.agent.step()
    assert bench.contents() == ["1\n2\n at x\n3\n"]
    [stream] = bench.streams()
    assert (stream.end - stream.resume) == len("3\n")


def test_late_continuation(tmp_path: Path) -> None:
    """Lines of a stack trace that come seconds later, also after a restart, still belong to their record."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1\n2\n")
    bench.settle(3)
    bench.write("a.log", " at x\n")
    bench.settle(3)
    [stream] = bench.streams()
    assert stream.end - stream.resume == len("2\n at x\n")
    bench.restart(kill=True)
    bench.write("a.log", " at y\n")
    bench.settle(3)
    [stream] = bench.streams()
    assert stream.end - stream.resume == len("2\n at x\n at y\n")
    bench.write("a.log", "3\n")
    bench.settle(3)
    [stream] = bench.streams()
    assert stream.end - stream.resume == len("3\n")
    assert bench.contents() == ["1\n2\n at x\n at y\n3\n"]


def test_an_idle_agent_commits_and_reads_nothing(tmp_path: Path) -> None:
    """While no file grows nothing is committed, and the rounds are a polling interval apart."""
    bench = Bench(tmp_path)
    bench.write("a.log", "1\n2\n")
    bench.settle(10)
    commits = bench.ingest.commits
    waits = []
    for _ in range(50):
        waits.append(bench.agent.step())
        bench.clock.step(waits[-1])
    assert bench.ingest.commits == commits
    assert {round(wait_s, 3) for wait_s in waits} == {0.2}


def test_observation_of_a_file_that_is_never_quiet(tmp_path: Path) -> None:
    """Also a log that grows with every look is observed, at times whose content is committed."""
    bench = Bench(tmp_path)
    for i in range(600):
        bench.write("a.log", f"{i} {bench.clock.now_us()}\n")
        bench.agent.step()
        bench.clock.step(0.05)
        observed = bench.store.kept.get(("observation", "app@host"))
        if observed:
            committed = [int(line.split()[1]) for line in bench.contents()[0].splitlines()]
            expected = [at for at in range_of(bench) if at < observed["at_us"]]
            assert committed[: len(expected)] == expected
    assert bench.store.kept["observation", "app@host"]["at_us"] > bench.clock.now_us() - 10_000_000


def range_of(bench: Bench) -> list[int]:
    """The times at which the lines were written."""
    return [int(line.split()[1]) for line in (bench.folder / "a.log").read_text().splitlines()]
