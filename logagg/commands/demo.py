"""`logagg demo`."""

import argparse
import logging
from datetime import date
from typing import TYPE_CHECKING

from logagg.commands.options import add_progress

if TYPE_CHECKING:
    from pathlib import Path

    from logagg.demo import DemoResult

EXAMPLES = """\
examples:
  logagg demo                          eight days of logs in ./logagg-demo, read and reported; then live until Ctrl-C
  logagg demo --days 2 --no-serve --dir /tmp/demo
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("--dir", default="logagg-demo", metavar="FOLDER",
                        help="where to; only an earlier demo is replaced (default: ./%(default)s)")
    parser.add_argument("--days", type=int, default=8, metavar="N", help="full days of logs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="other numbers, other logs (default: 1)")
    parser.add_argument("--until", type=_date, metavar="DATE", help="the day after the last one (default: today)")
    parser.add_argument("--no-serve", action="store_true",
                        help="end when the reports are built, without the live page")
    add_progress(parser)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; expected one such as 2026-11-20") from None


def run(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from logagg.demo.alone import alone
    from logagg.demo.folder import check_days

    check_days(arguments.days)
    folder = Path(arguments.dir)
    with alone(folder):
        return _demo(arguments, folder)


def _demo(arguments: argparse.Namespace, folder: "Path") -> int:
    from logagg.demo import run_demo
    from logagg.terminal import safe_line, say

    result = run_demo(
        folder, days=arguments.days, seed=arguments.seed, until=arguments.until,
        live=not arguments.no_serve, bars=arguments.progress,
    )
    say(f"configuration  {safe_line(result.config)}")
    say(f"truth          {safe_line(result.truth)}")
    for report in result.reports:
        print(f"report {safe_line(report)}")
    return 0 if arguments.no_serve else _serve(result)


def _serve(result: "DemoResult") -> int:
    """The live part, until a signal ends it."""
    from logagg.commands.run import Signals, Stopping, run_in_thread
    from logagg.demo import serve_demo
    from logagg.terminal import log_to_stderr, say

    signals, stopping = Signals(), Stopping()
    signals.install()
    signals.attach(stopping)
    log_to_stderr("%(asctime)s %(levelname)s %(message)s", logging.WARNING)

    def started(address: str) -> None:
        print(f"live {address}", flush=True)
        say("the applications go on writing; Ctrl-C ends it")

    run_in_thread(lambda: serve_demo(result, stopping.event, started))
    return signals.status
