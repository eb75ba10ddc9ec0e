"""The command `logagg`: finds the command's module, runs it, and turns errors into messages and exit statuses.

Data goes to stdout, messages to stderr. Exit status 0: done; 1: problems found, a path that cannot be read, a store
out of reach; 2: wrong usage or configuration; 130: interrupted. Nothing heavy is imported until a command needs it.
"""

import argparse
import contextlib
import gc
import importlib
import io
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from logagg.errors import ConfigError, LogaggError
from logagg.terminal import safe_line, say
from logagg.version import __version__

COMMANDS = {
    "demo": "write realistic logs with known incidents, read and report them",
    "init": "write a commented configuration",
    "check": "check the configuration and show which files it matches",
    "run": "the service: follow the logs, measure, report",
    "serve": "the live page, events, reports and REST, on their own",
    "ingest": "read existing logs once",
    "parse": "print one JSON object per record",
    "query": "ask for one number of a metric",
    "grep": "search the logs' own text",
    "report": "build reports",
    "channel": "send a test message",
    "export": "print events or rollups",
    "status": "show what has been read of each log",
    "audit": "prove that the store holds every record of these logs once",
    "expire": "delete what is older than the configuration keeps it",
}

EPILOG = """\
examples:
  logagg demo                              see it work, in ./logagg-demo
  logagg ingest /var/log/myapp             read a folder of logs into ./logagg.db
  logagg init && logagg check && logagg run

`logagg COMMAND --help` shows a command's options and examples.
"""


class Parser(argparse.ArgumentParser):
    """Knows its examples, and says what to do next when the usage is wrong."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        say(f"{self.prog}: {message}{_meant(message)}; `{self.prog} --help` shows the usage")
        raise SystemExit(2)


def _meant(message: str) -> str:
    """For a misspelt choice: what was most likely meant."""
    match = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message, re.DOTALL)
    if match is None:
        return ""
    import difflib

    close = difflib.get_close_matches(match[1], re.findall(r"'([^']*)'", match[2]), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """The whole command line; only the commands among `names` know their options."""
    top = Parser(prog="logagg", description="Turns the logs that applications already write into reports and answers.",
                 epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"logagg {__version__}")
    _common(top, default=None)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=Parser)
    for name, said in COMMANDS.items():
        sub = commands.add_parser(name, help=said, description=f"{said[0].upper()}{said[1:]}.")
        _common(sub, default=argparse.SUPPRESS)
        if name in names:
            importlib.import_module(f"logagg.commands.{name}").arguments(sub)
    return top


def _common(to: argparse.ArgumentParser, default: object) -> None:
    """Options that stand before or behind the command."""
    to.add_argument("-c", "--config", metavar="FILE", default=default,
                    help="the configuration (default: ./logagg.toml, then the user's and the system's)")
    to.add_argument("--debug", action="store_true", default=False if default is None else default,
                    help="show the trace of an unexpected error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the answer is the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    _open_closed_streams()
    _make_output_lossless()
    try:
        status = _run(argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _close_stdout()
        return 0    # whoever reads has had enough
    except OSError as error:
        _close_stdout()
        say(f"logagg: {_system_problem(error)}")
        return 1
    except KeyboardInterrupt:
        say("logagg: interrupted")
        return 130


def _run(argv: Sequence[str]) -> int:
    gc.set_threshold(50_000, 20, 100)   # as processes.set_up_collector, which takes longer to import
    arguments = parser(argv).parse_args(argv)
    if arguments.command is None:
        parser(()).print_help(sys.stderr)
        return 2
    try:
        status: int = importlib.import_module(f"logagg.commands.{arguments.command}").run(arguments)
        return status
    except LogaggError as error:
        if arguments.debug:
            traceback.print_exc()
        _say_error(error)
        return error.exit_status
    except OSError as error:    # a full disk, a file that has gone: nothing to report to anybody
        if arguments.debug and not isinstance(error, BrokenPipeError):
            traceback.print_exc()
        raise
    except Exception as error:
        if arguments.debug:
            traceback.print_exc()
        say(f"logagg: unexpected {type(error).__name__}: {str(error)[:300]}; please report it; "
            "run again with --debug for the trace")
        return 1


def _say_error(error: LogaggError) -> None:
    if isinstance(error, ConfigError) and len(error.problems) > 1:
        for problem in error.problems:
            say(problem)
        say(f"logagg: {len(error.problems)} problems in the configuration")
    else:
        say(f"logagg: {error}")


def _system_problem(error: OSError) -> str:
    """What the system refused, and where; without a file's name it is most often the output."""
    where = "writing the output, or a file" if error.filename is None else safe_line(error.filename)
    return f"{where}: {(error.strerror or str(error)).lower()}; with --debug it tells where in the program"


def _open_closed_streams() -> None:
    """A command started without stdout or stderr (`>&-`, pythonw) writes to nowhere; without stdin it reads nothing.

    Left closed, their numbers would be given to the next files that are opened.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))    # noqa: SIM115, PTH123 - for the whole run


def _make_output_lossless() -> None:
    """UTF-8 into files and pipes whatever the locale; lone surrogates (names that are no UTF-8) as JSON escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = sys.stdout.encoding if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace", newline="\n")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def _close_stdout() -> None:
    """Keep the interpreter from complaining about the closed pipe when it flushes at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
