"""`logagg init`."""

import argparse
from pathlib import Path

EXAMPLES = """\
examples:
  logagg init                          writes ./logagg.toml
  logagg -c /etc/logagg/logagg.toml init
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")


def run(arguments: argparse.Namespace) -> int:
    from logagg.config.find import NAME
    from logagg.init import init
    from logagg.terminal import safe_line, say

    path = Path(arguments.config or NAME)
    init(path, force=arguments.force)
    say(f"wrote {safe_line(path)}: set app and paths of your logs there, then run `logagg check`")
    return 0
