#!/usr/bin/env python3
"""Random schedules of faults, each against a model of what the applications wrote (tests/chaos).

    scripts/soak.py                                     1,000 schedules with SQLite
    scripts/soak.py --store mongodb                     the same with a MongoDB of its own
    scripts/soak.py --first 417 --count 1               one seed again; a failing schedule is shrunk and printed
    scripts/soak.py --without-trimming --count 50       ends with 1: the check can fail

Prints how often each fault has happened, as a table for docs/reliability.md. Exit status 1 when a schedule failed.
"""

import argparse
import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from tests.chaos.running import Verdict, run, trimming_disabled, workshop  # noqa: E402
from tests.chaos.schedule import FAULTS, Schedule, schedule, shrink  # noqa: E402
from tests.chaos.stores import MongoPlace, Place, SqlitePlace  # noqa: E402
from tests.mongod import Mongod, find_mongod  # noqa: E402


def main() -> int:
    options = arguments()
    logging.disable(logging.CRITICAL)
    began_s = time.monotonic()
    seeds = range(options.first, options.first + options.count)
    done: list[Verdict] = []
    with servers(options.store, options.jobs) as urls, get_context("fork").Pool(
            len(urls), begin, (urls, get_context("fork").Value("i", 0), options.without_trimming)) as pool:
        try:
            for verdict in tqdm(pool.imap(one, seeds), total=len(seeds), unit="schedule", disable=options.quiet):
                done.append(verdict)
                if verdict.problems:
                    tqdm.write(f"seed {verdict.seed}:\n  " + "\n  ".join(verdict.problems))
                    if not options.no_shrink:
                        tqdm.write(str(pool.apply(shortest, (verdict.seed,))))
        except KeyboardInterrupt:
            pool.terminate()
    report(done, options.store, time.monotonic() - began_s)
    return 1 if any(verdict.problems for verdict in done) else 0


def report(done: list[Verdict], store: str, took_s: float) -> None:
    """What has been run, also where it was interrupted, as it is to stand in docs/reliability.md."""
    failed = [str(verdict.seed) for verdict in done if verdict.problems]
    counts = sum((verdict.counts for verdict in done), Counter())
    tally = sum((verdict.tally for verdict in done), Counter())
    print(f"{len(done)} schedules with {store}, seeds {done[0].seed} to {done[-1].seed}, in {took_s:.0f} s:"
          f" {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}\n")
    print("| fault | times |\n| --- | --- |")
    print("\n".join(f"| {name} | {counts[name]:,} |" for name in FAULTS))
    print("\n" + "\n".join(f"{what}: {n:,}" for what, n in sorted(tally.items())))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=["sqlite", "mongodb"], default="sqlite")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (default: 0)")
    parser.add_argument("--count", type=int, default=1000, help="how many seeds (default: 1,000)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes (default: 2)")
    parser.add_argument("--without-trimming", action="store_true", help="break the heart of exactly once: must fail")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for the shortest failing schedule")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args()


@contextmanager
def servers(store: str, jobs: int) -> Iterator[list[str]]:
    """For each process the URL of a MongoDB of its own; "" for SQLite."""
    if store == "sqlite":
        yield [""] * jobs
        return
    binary = find_mongod()
    if isinstance(binary, str):
        sys.exit(binary)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="logagg-soak-", dir=memory if memory.is_dir() else None) as folder:
        started = [Mongod(Path(folder) / str(number), binary) for number in range(jobs)]
        try:
            for server in started:
                server.start()
            yield [server.url() for server in started]
        finally:
            for server in started:
                server.kill()


_trimming = True
_url = ""


def begin(urls, number, without_trimming) -> None:  # type: ignore[no-untyped-def]
    """In each process of the pool: which server is its own. Ctrl-C is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _trimming, _url
    with number.get_lock():
        _url = urls[number.value]
        number.value += 1
    _trimming = not without_trimming


@contextmanager
def place_in(folder: Path) -> Iterator[Place]:
    with trimming_disabled(not _trimming):
        if not _url:
            yield SqlitePlace(folder)
            return
        place = MongoPlace(_url)
        try:
            yield place
        finally:
            place.close()


def one(seed: int) -> Verdict:
    with workshop() as folder, place_in(folder) as place:
        return run(folder, place, schedule(seed))


def shortest(seed: int) -> Schedule:
    """The shortest part of a failing schedule that fails in the same way."""
    with workshop() as folder, place_in(folder) as place:
        first = run(folder, place, schedule(seed)).kind
        return shrink(schedule(seed), lambda fewer: run(folder, place, fewer).kind == first)


if __name__ == "__main__":
    sys.exit(main())
