"""`logagg check`."""

import argparse
from typing import Any

from logagg.commands.options import add_json, print_json

EXAMPLES = """\
examples:
  logagg check                         ./logagg.toml
  logagg -c /etc/logagg/logagg.toml check --json
  logagg check --schema > logagg.schema.json    for editors

exit status: 0 all is well; 1 files, store or layouts have problems; 2 the configuration is wrong
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("--schema", action="store_true", help="print the configuration's JSON Schema and do no more")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.schema:
        from logagg.config.schema import json_schema

        print_json(json_schema())
        return 0
    from logagg.check import check
    from logagg.config import load
    from logagg.config.find import find_or_say
    from logagg.errors import ConfigError
    from logagg.terminal import safe_line, say

    try:
        answer = check(load(find_or_say(arguments.config)))
    except ConfigError as error:
        if not arguments.json:
            raise
        print_json({"problems": error.problems})
        return error.exit_status
    problems = answer["problems"]
    if arguments.json:
        print_json(answer)
    else:
        _print(answer)
        for problem in problems:
            say(f"problem: {safe_line(problem)}")
        say(f"{len(problems)} problem{'s' * (len(problems) != 1)} found" if problems else "all is well")
    return 1 if problems else 0


_STORE = {"new": "does not exist yet, will be made", "ready": "ready", "failed": "cannot be used"}


def _print(answer: dict[str, Any]) -> None:
    from logagg.terminal import columns, safe_line, size

    print(f"configuration {safe_line(answer['config'])}")
    print(f"timezone      {answer['timezone']}")
    print(f"store         {safe_line(answer['store']['url'])}: {_STORE[answer['store']['state']]}")
    for pack in answer["packs"]:
        print(f"pack          {pack['name']}: {pack['events']} events, {pack['metrics']} metrics")
    for name in answer["reports"]:
        print(f"report        {safe_line(name)}")
    for number, source in enumerate(answer["sources"], 1):
        print(f"\nsource[{number}] app {safe_line(source['app'])}, host {safe_line(source['host'])}")
        for one in source["globs"]:
            total = sum(file["bytes"] or 0 for file in one["files"])
            count = len(one["files"])
            print(f"  {safe_line(one['glob'])}: {count} file{'s' * (count != 1)}, {size(total)}")
            rows = [(f"    {safe_line(file['path'])}", "?" if file["bytes"] is None else size(file["bytes"]),
                     _reading(file)) for file in one["files"]]
            for line in columns(rows):
                print(line)


def _reading(file: dict[str, Any]) -> str:
    """What the file's beginning looks like, in words."""
    from logagg.terminal import safe_line

    total = file["records"] + file["rejects"]
    if file["bytes"] is None:
        return "not readable"
    if file["ignored_days"] is not None:
        return f"ignored: not changed for {file['ignored_days']:,} days"
    if not total:
        return "empty" if not file["bytes"] else "not read"
    layout = f"detected {safe_line(file['layout'])}" if file["detected"] else (
        "layout as configured" if file["layout"] else
        "layout not certain yet, too few records" if file["records"] else "no layout detected")
    return f"{file['records']:,} of the first {total:,} records read; {layout}"
