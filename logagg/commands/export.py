"""`logagg export`."""

import argparse

from logagg.commands.options import add_range, add_store

EXAMPLES = """\
examples:
  logagg export events --from 2026-11-20 --to 2026-11-21 --event das_failure
  logagg export rollups --step hour --from 2026-11-20 --to 2026-11-21 --format csv > hours.csv
  logagg export rollups --step day --timezone America/New_York
  logagg export incidents --from 2026-11-20
"""

STEPS = ("minute", "hour", "day", "week", "month")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("what", choices=("events", "rollups", "incidents"), metavar="events|rollups|incidents")
    add_range(parser)
    parser.add_argument("--event", metavar="NAME", action="append", help="only this event; may be repeated")
    parser.add_argument("--step", choices=STEPS, help="of rollups (default: hour)")
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="(default: %(default)s)")
    add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    from logagg.commands.opening import reading, zone_of
    from logagg.errors import UsageError
    from logagg.rollup.export import (
        EVENT_COLUMNS,
        INCIDENT_COLUMNS,
        ROLLUP_COLUMNS,
        export_events,
        export_incidents,
        export_rollups,
        write_rows,
    )
    from logagg.terminal import output
    from logagg.times import range_us

    if arguments.what != "rollups" and arguments.step:
        raise UsageError(f"--step is for rollups; leave it out for {arguments.what}")
    if arguments.what != "events" and arguments.event:
        raise UsageError(f"--event is for events; leave it out for {arguments.what}")
    with reading(arguments) as app:
        zone = zone_of(arguments, app.config)
        from_us, to_us = range_us(arguments.from_, arguments.to, zone)
        if arguments.what == "events":
            rows = export_events(app.store, names=arguments.event, from_us=from_us, to_us=to_us)
            columns: tuple[str, ...] = EVENT_COLUMNS
        elif arguments.what == "incidents":
            rows, columns = export_incidents(app.store, from_us=from_us, to_us=to_us), INCIDENT_COLUMNS
        else:
            rows = export_rollups(app.store, app.metrics, arguments.step or "hour", zone=zone, from_us=from_us,
                                  to_us=to_us)
            columns = ROLLUP_COLUMNS
        write_rows(rows, arguments.format, columns, output(json=arguments.format == "jsonl"))
    return 0
