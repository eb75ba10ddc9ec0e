"""Options that several commands share, and how they print."""

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

from logagg.terminal import output, safe_line, say


def say_problems(problems: Iterable[str]) -> None:
    """Each problem as one line on stderr: the paths in it may hold line ends."""
    for problem in problems:
        say(f"logagg: {safe_line(problem)}")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="the store, instead of the configuration's")


def add_timezone(parser: argparse.ArgumentParser, what: str = "times without offset") -> None:
    parser.add_argument("--timezone", metavar="ZONE", help=f"zone of {what} (default: the configuration's)")


def add_range(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="from_", metavar="TIME",
                        help="first time: 2026-11-20, 2026-11-20T13:15, or with an offset (Z, +01:00)")
    parser.add_argument("--to", metavar="TIME", help="where it ends; that time itself is left out")
    add_timezone(parser)


def add_progress(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--progress", action="store_true", default=None, help="show progress where no terminal is")
    group.add_argument("--no-progress", dest="progress", action="store_false", help="show no progress")


def print_json(value: Any) -> None:
    """One indented JSON document on stdout."""
    output(json=True).write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def print_json_lines(rows: Iterable[dict[str, Any]]) -> None:
    """One JSON object a line, written in larger pieces."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode
    out = output(json=True)
    piece: list[str] = []
    for row in rows:
        piece.append(encode(row))
        if len(piece) >= 256:
            out.write("\n".join(piece) + "\n")
            piece.clear()
    if piece:
        out.write("\n".join(piece) + "\n")
    sys.stdout.flush()
