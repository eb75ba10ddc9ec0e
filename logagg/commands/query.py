"""`logagg query`."""

import argparse
from typing import Any

from logagg.commands.options import add_json, add_store, add_timezone, print_json

EXAMPLES = """\
examples:
  logagg query das_failures count 2026-11-20
  logagg query das_time p95 2026-11-20 14 --label operation=GetAccount --timezone America/New_York
  logagg query das_failure_rate rate 2026-11-20 --json

STAT is count, sum, min, max, mean (or average), median, p90, p95, p99 or rate. HOUR is a local hour, 0 to 23.
Without data the answer is "no data" (JSON: value null, count 0) and the exit status 0.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("metric", metavar="METRIC")
    parser.add_argument("stat", metavar="STAT")
    parser.add_argument("date", metavar="DATE")
    parser.add_argument("hour", metavar="HOUR", nargs="?", type=int)
    parser.add_argument("--label", metavar="NAME=VALUE", action="append", default=[], type=_label,
                        help="only what has this label; may be repeated")
    add_timezone(parser, "the day and hour")
    add_store(parser)
    add_json(parser)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is no label; expected NAME=VALUE such as host=app01")
    return name, value


def run(arguments: argparse.Namespace) -> int:
    from logagg.commands.opening import reading, zone_of
    from logagg.rollup.query import query

    with reading(arguments) as app:
        answer = query(app.store, app.metrics, arguments.metric, arguments.stat, arguments.date, arguments.hour,
                       zone=zone_of(arguments, app.config), labels=dict(arguments.label))
    if arguments.json:
        print_json(answer)
    else:
        _print(answer)
    return 0


def _print(answer: dict[str, Any]) -> None:
    from logagg.terminal import safe_line, say

    unit = "" if answer["unit"] == "1" else f" {safe_line(answer['unit'])}"
    print("no data" if answer["value"] is None else f"{answer['value']}{unit}")
    complete = "complete" if answer["complete"] else "incomplete: not everything up to its end has been read yet"
    say(f"{answer['from']} to {answer['to']}, {answer['count']:,} values, {complete}")
