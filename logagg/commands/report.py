"""`logagg report build` and `logagg report list`."""

import argparse
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from logagg.commands.options import add_json, add_progress, add_store, print_json

if TYPE_CHECKING:
    from logagg.config import Config, ReportConfig

PERIODS = ("daily", "weekly", "monthly")

EXAMPLES = """\
examples:
  logagg report build --name operations --date 2026-11-20
  logagg report build --name operations --period daily --date yesterday --out /tmp/reports
  logagg report build --period weekly --date 2026-11-20

A weekly report (Monday to Sunday) or monthly one is of the week or month in which the date lies; its folder bears the
date of its first day. It prints the path of the page; data.json with all numbers is beside it. Building again with
the same numbers changes nothing but the time of building; other numbers make the next revision.
"""


LIST_EXAMPLES = """\
examples:
  logagg report list
  logagg report list --name operations --period weekly --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions",
                                    parser_class=type(parser))
    build = actions.add_parser("build", help="build one report of one period", epilog=EXAMPLES,
                               description="Build one report of one period.")
    _common(build)
    build.add_argument("--name", metavar="NAME", help="which [[report]] (default: the only one)")
    build.add_argument("--period", choices=PERIODS, default="daily", help="(default: %(default)s)")
    build.add_argument("--date", metavar="DATE", default="yesterday",
                       help="a local day of the report's zone (default: %(default)s)")
    build.add_argument("--out", metavar="DIR", help="where to (default: the configuration's archive)")
    add_store(build)
    add_progress(build)
    add_json(build)
    listing = actions.add_parser("list", help="list the reports that have been built", epilog=LIST_EXAMPLES,
                                 description="List the reports that have been built, each with its last revision.")
    _common(listing)
    listing.add_argument("--name", metavar="NAME", help="of this name only")
    listing.add_argument("--period", choices=PERIODS, help="of this kind only")
    listing.add_argument("--out", metavar="DIR", help="the folder of reports (default: the configuration's archive)")
    add_json(listing)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration")
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    return _list(arguments) if arguments.action == "list" else _build(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from logagg.commands.opening import config_of
    from logagg.report.listing import listed
    from logagg.terminal import columns, safe_line, say

    if arguments.out:
        out = Path(arguments.out)
    else:
        config = config_of(arguments)
        assert config is not None
        out = config.archive_path
    found = listed(out, arguments.name, arguments.period)
    if arguments.json:
        print_json([{"name": one.name, "period": one.period, "date": one.date.isoformat(), "revision": one.revision,
                     "complete": one.complete, "html": str(one.path_html)} for one in found])
        return 0
    states = {True: "complete", False: "incomplete", None: "unreadable"}
    for line in columns([(safe_line(one.name), one.period, one.date.isoformat(), f"r{one.revision}",
                          states[one.complete], safe_line(one.path_html)) for one in found]):
        print(line)
    if not found:
        say(f"no reports in {out}; `logagg report build` makes one")
    return 0


def _build(arguments: argparse.Namespace) -> int:
    from logagg.app import App
    from logagg.commands.opening import config_of
    from logagg.publisher import Publisher
    from logagg.terminal import Bars, safe_line, say

    config = config_of(arguments)
    assert config is not None
    report = _report(config, arguments.name)
    bars = Bars(arguments.progress)
    with App(config) as app:
        try:
            app.folder().fold_all(lambda result: bars.tell("fold", result.chunks, 0))
        finally:
            bars.close()
        with Publisher(config, app.store, app.clock) as publisher:
            built = publisher.build_at(report.name, arguments.period, _day(arguments.date, report.timezone),
                                       Path(arguments.out) if arguments.out else None)
    if arguments.json:
        print_json({"html": str(built.path_html), "json": str(built.path_json), "revision": built.revision,
                    "changed": built.changed, "complete": built.complete,
                    "charts_missing": built.charts_missing})
    else:
        print(safe_line(built.path_html))
    if built.charts_missing:
        say(f"the report has no charts: {built.charts_missing}")
    say(f"revision {built.revision}{'' if built.changed else ', numbers unchanged'}, "
        f"{'complete' if built.complete else 'incomplete: the report tells why'}")
    return 0


def _report(config: "Config", name: str | None) -> "ReportConfig":
    """The report that is meant: by its name, or the only one."""
    from logagg.config.forms import near
    from logagg.errors import UsageError

    names = [report.name for report in config.reports]
    if not names:
        raise UsageError(f'the configuration {config.path} has no [[report]]; add one with name = "operations"')
    if name is None and len(names) > 1:
        raise UsageError(f"--name is missing; expected one of {', '.join(names)}")
    if name is not None and name not in names:
        raise UsageError(f"--name: no report {name!r}" + (near(name, names) or f"; expected one of {', '.join(names)}"))
    return next(report for report in config.reports if name in (None, report.name))


def _day(text: str, zone: str) -> date:
    from zoneinfo import ZoneInfo

    from logagg.errors import UsageError

    today = datetime.now(ZoneInfo(zone)).date()
    relative = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        return relative.get(text) or date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--date: {text!r} is no date; expected one such as 2026-11-20, today or yesterday") from None
