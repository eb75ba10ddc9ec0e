"""`logagg export`."""

import argparse
import sys

from logagg.commands.options import add_range, add_store

EXAMPLES = """\
examples:
  logagg export events --from 2026-11-20 --to 2026-11-21 --event das_failure
  logagg export rollups --step hour --from 2026-11-20 --to 2026-11-21 --format csv > hours.csv
  logagg export rollups --step day --timezone America/New_York
"""

STEPS = ("minute", "hour", "day", "week", "month")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("what", choices=("events", "rollups"), metavar="events|rollups")
    add_range(parser)
    parser.add_argument("--event", metavar="NAME", action="append", help="only this event; may be repeated")
    parser.add_argument("--step", choices=STEPS, help="of rollups (default: hour)")
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="(default: %(default)s)")
    add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    from logagg.commands.opening import reading
    from logagg.errors import UsageError
    from logagg.rollup.export import EVENT_COLUMNS, ROLLUP_COLUMNS, export_events, export_rollups, write_rows
    from logagg.times import range_us

    if arguments.what == "events" and arguments.step:
        raise UsageError("--step is for rollups; leave it out for events")
    if arguments.what == "rollups" and arguments.event:
        raise UsageError("--event is for events; leave it out for rollups")
    with reading(arguments) as app:
        zone = arguments.timezone or app.config.timezone
        from_us, to_us = range_us(arguments.from_, arguments.to, zone)
        if arguments.what == "events":
            rows = export_events(app.store, names=arguments.event, from_us=from_us, to_us=to_us)
            columns: tuple[str, ...] = EVENT_COLUMNS
        else:
            rows = export_rollups(app.store, app.metrics, arguments.step or "hour", zone=zone, from_us=from_us,
                                  to_us=to_us)
            columns = ROLLUP_COLUMNS
        write_rows(rows, arguments.format, columns, sys.stdout)
    return 0
