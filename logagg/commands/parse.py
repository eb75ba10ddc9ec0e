"""`logagg parse`."""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from logagg.commands.options import print_json_lines, say_problems

EXAMPLES = """\
examples:
  logagg parse app.log                                   layout detected
  logagg parse app.log.1.gz --layout '%d %-5p [%t] %c - %m%n' --timezone America/New_York
  logagg parse /var/log/das --grammar callcenter | jq -c 'select(.event != null)'
  tail -f app.log | logagg parse - --layout '%d %p %c - %m%n' --grammar ./my.lark
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("paths", metavar="PATH", nargs="+",
                        help="logs: plain, .gz, .zst, .bz2, .xz, .zip, folders, globs; - is the standard input")
    parser.add_argument("--layout", metavar="PATTERN", help="conversion pattern (default: detected)")
    parser.add_argument("--dialect", choices=("log4j2", "log4j1", "logback"), default="log4j2",
                        help="whose patterns PATTERN is written in (default: %(default)s)")
    parser.add_argument("--timezone", metavar="ZONE", help="zone of times that carry none (default: the machine's)")
    parser.add_argument("--encoding", default="utf-8", help="the logs' encoding (default: %(default)s)")
    parser.add_argument("--grammar", metavar="FILE_OR_PACK", action="append", default=[],
                        help="a .lark file, or a pack by name or folder; may be repeated, the first that claims wins")
    parser.add_argument("--app", help="name of the application (default: from the file's name)")
    parser.add_argument("--host", help="name of the host (default: this machine's)")


def run(arguments: argparse.Namespace) -> int:
    from logagg.config.fields import table
    from logagg.config.forms import text_problem
    from logagg.config.machine import machine_host, machine_zone
    from logagg.errors import UsageError
    from logagg.parse import Parsing, grammars, parse
    from logagg.terminal import say

    for field in table("source").fields:
        value = getattr(arguments, field.name, None) if field.name in ("timezone", "encoding") else None
        if value is not None and (problem := text_problem(field, value)):
            raise UsageError(f"--{field.name}: {problem}")
    parsing = Parsing(
        layout=arguments.layout, dialect=arguments.dialect, timezone=arguments.timezone or machine_zone(),
        encoding=arguments.encoding, classifier=grammars(arguments.grammar, arguments.encoding), app=arguments.app,
        host=arguments.host or machine_host(),
    )
    problems: list[str] = []
    counts: Counter[bool] = Counter()
    for rows in parse(arguments.paths, parsing, problems):
        print_json_lines(_counted(rows, counts))
    if counts[True] and not counts[False]:
        say(_NO_LAYOUT[arguments.layout is None].format(counts[True]))
    say_problems(problems)
    return 1 if problems else 0


_NO_LAYOUT = ("no record has this layout: {:,} rejects; Log4j 1.2 and Logback are other dialects (--dialect), and "
              "without --layout it is detected", "no layout was detected: {:,} rejects; name it with --layout")


def _counted(rows: Iterable[dict[str, Any]], counts: Counter[bool]) -> Iterator[dict[str, Any]]:
    """The rows, counted: which are rejects and which are not."""
    for row in rows:
        counts[row["event"] == "reject"] += 1
        yield row
