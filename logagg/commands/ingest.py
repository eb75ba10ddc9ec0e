"""`logagg ingest`."""

import argparse
import logging
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from logagg.commands.options import add_json, add_progress, print_json, say_problems

if TYPE_CHECKING:
    from logagg.config import Config

EXAMPLES = """\
examples:
  logagg ingest /var/log/myapp                   needs no configuration; fills ./logagg.db
  logagg ingest logs/das.log.*.gz --app das --layout '%d %-5p [%t] %c - %m%n' --timezone America/New_York
  logagg ingest /mnt/app01/logs --host app01 --store mongodb://db1/logagg?replicaSet=rs0
  logagg ingest                                  all sources of the configuration, once

What is there already is recognised by its content and not read twice. Exit status 1 where a path cannot be read.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("paths", metavar="PATH", nargs="*",
                        help="logs: plain, .gz, .zst, .bz2, .xz, .zip, folders, globs (default: the configuration's "
                             "sources)")
    parser.add_argument("--store", metavar="URL", help="where to (default: the configuration's, else ./logagg.db)")
    parser.add_argument("--app", help="name of the application (default: from each file's name)")
    parser.add_argument("--host", help="name of the host (default: this machine's)")
    parser.add_argument("--layout", metavar="PATTERN", help="conversion pattern (default: detected)")
    parser.add_argument("--dialect", choices=("log4j2", "log4j1", "logback"), help="whose patterns PATTERN is in")
    parser.add_argument("--timezone", metavar="ZONE", help="zone of times that carry none (default: the "
                        "configuration's, else the machine's)")
    parser.add_argument("--encoding", help="the logs' encoding (default: utf-8)")
    parser.add_argument("--keep", choices=("events", "all"), help="records kept as documents (default: events)")
    parser.add_argument("--pack", dest="packs", metavar="NAME", action="append",
                        help="pack whose grammar is used; may be repeated (default: the configuration's, else all)")
    parser.add_argument("--jobs", type=_jobs, default=1, metavar="N",
                        help="processes that read side by side, for a backfill of many logs: a log with its rotated "
                        "parts is read by one; each takes memory of its own, and half a second to start: it pays "
                        "from some 100 MB on (default: 1)")
    add_progress(parser)
    add_json(parser)
    parser.description = (parser.description or "") + (
        " A file that a [[source]] of the configuration matches is read as that says, unless one of the options from "
        "--app to --pack is given.")


JOBS_MAX = 64


def _jobs(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= JOBS_MAX:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {JOBS_MAX}, got {text!r}")
    return int(text)


_OPTIONS = ("app", "host", "layout", "dialect", "timezone", "encoding", "keep", "packs")


def run(arguments: argparse.Namespace) -> int:
    from logagg.adhoc import not_understood, sources_for
    from logagg.app import App
    from logagg.terminal import Bars, log_to_stderr

    log_to_stderr("logagg: %(message)s", logging.WARNING)
    signal.signal(signal.SIGTERM, _terminate)
    config = _config(arguments)
    problems: list[str] = []
    if arguments.paths:
        options = {name: getattr(arguments, name) for name in _OPTIONS}
        options["packs"] = tuple(arguments.packs) if arguments.packs else None
        sources, problems = sources_for(config, arguments.paths, options)
        config = replace(config, sources=tuple(sources))
    say_problems(problems)
    if problems and not config.sources:
        return 1    # nothing to read: no store is made for it
    bars = Bars(arguments.progress)
    with App(config) as app:
        try:
            report = app.ingest_sources(bars.tell, jobs=arguments.jobs)
            if config.rules:
                app.aggregator().settle()
        finally:
            bars.close()
        unread = not_understood(app.store.streams(), config.sources)
    problems += [str(error) for error in report.read.errors]
    answer = {
        "files": report.read.paths, "copies": report.read.copies, "waiting": report.read.waiting, "errors": problems,
        "no_layout": unread, "chunks_folded": report.folded.chunks,
    }
    if arguments.json:
        print_json(answer)
    _summarise(answer)
    return 1 if problems else 0


def _terminate(number: int, frame: object) -> None:
    """SIGTERM unwinds the stack: processes, store and bar are closed. What was committed is kept."""
    raise SystemExit(0)


def _config(arguments: argparse.Namespace) -> "Config":
    """The configuration; without one ./logagg.db, the machine's zone and all packs, which is said."""
    from logagg.commands.opening import STORE_NAME, bare_config, checked_store, config_of
    from logagg.config import masked
    from logagg.terminal import say

    config = config_of(arguments, needed=not arguments.paths)
    if config is None:
        config = bare_config(checked_store(arguments.store or f"sqlite:///{STORE_NAME}"))
        say(f"no configuration: store {masked(config.store_url)}, timezone {arguments.timezone or config.timezone}, "
            f"packs {', '.join(arguments.packs or config.packs)}")
    elif arguments.packs:
        from logagg.packs import load_packs

        more = load_packs([name for name in arguments.packs if name not in config.packs], config.pack_paths)
        config = replace(config, packs={**config.packs, **{pack.name: pack for pack in more}})
    return config


_UNREAD_SHOWN = 5


def _summarise(answer: dict[str, Any]) -> None:
    from logagg.terminal import safe_line, say

    copies, count, waiting = len(answer["copies"]), answer["files"], answer["waiting"]
    said = f"{count:,} file{'s' * (count != 1)} read to the end"
    say(f"{said}, {copies:,} of them copies" if copies else said)
    unread = answer["no_layout"]
    for path in unread[:_UNREAD_SHOWN]:
        say(f"{safe_line(path)}: no record of it was understood; see what `logagg parse` makes of it with another "
            "--layout or --dialect, or with none")
    if len(unread) > _UNREAD_SHOWN:
        say(f"{len(unread) - _UNREAD_SHOWN:,} more files were not understood; `logagg status` shows all")
    for path in waiting:
        say(f"{safe_line(path)}: too short to tell from another log's beginning; it is read when it has grown")
