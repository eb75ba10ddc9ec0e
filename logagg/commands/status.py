"""`logagg status`."""

import argparse
from collections.abc import Iterator
from typing import Any

from logagg.commands.options import add_json, add_store, print_json

EXAMPLES = """\
examples:
  logagg status                        what has been read of each log
  logagg status --json | jq .totals
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("--app", help="only this application's streams")
    parser.add_argument("--host", help="only this host's streams")
    add_store(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from logagg.clock import SystemClock
    from logagg.commands.opening import reading
    from logagg.ledger import ledger

    with reading(arguments) as app:
        result = ledger(app.store, SystemClock().now_us(), app=arguments.app, host=arguments.host)
    if arguments.json:
        print_json(result)
    else:
        for line in (*_lines(result), *_unseen(result["unseen"])):
            print(line)
    return 0


_UNSEEN_SHOWN = 5
_WHY = {"truncated": "emptied or written over", "rotated": "rotated away"}
_HEAD = ("app", "host", "committed", "pending", "rejected", "dropped", "lag", "last record", "path")


def _lines(result: dict[str, Any]) -> Iterator[str]:
    from logagg.terminal import safe_line, size

    if not result["streams"]:
        yield "nothing has been read yet"
    else:
        yield from _table(result)
    for one in result["ignored"]:
        yield (f"ignored of {safe_line(one['app'])}@{safe_line(one['host'])}: {one['files']:,} "
               f"file{'s' * (one['files'] != 1)}, {size(one['bytes'])}, older than ignore_older")


def _table(result: dict[str, Any]) -> Iterator[str]:
    from logagg.terminal import columns

    rows: list[tuple[str, ...]] = [_HEAD]
    rows += [_row(one, one["app"], one["host"], one["path"]) for one in result["streams"]]
    count = result["totals"]["streams"]
    rows.append(_row(result["totals"], "total", "", f"{count:,} stream{'s' * (count != 1)}"))
    yield from columns(rows)


def _unseen(intervals: list[dict[str, Any]]) -> Iterator[str]:
    """The newest intervals in which bytes may have come and gone that nobody has seen."""
    from logagg.terminal import safe_line

    if not intervals:
        return
    yield ""
    count = len(intervals)
    yield f"{count:,} interval{'s' * (count != 1)} in which lines may have been written and destroyed unseen:"
    if count > _UNSEEN_SHOWN:
        yield f"  (the newest {_UNSEEN_SHOWN}; --json has all)"
    for one in intervals[-_UNSEEN_SHOWN:]:
        yield f"  {one['from']} to {one['to']}  {_WHY.get(one['reason'], one['reason'])}  {safe_line(one['path'])}"


def _row(one: dict[str, Any], app: str, host: str, path: str) -> tuple[str, ...]:
    from logagg.terminal import safe_line, size

    dropped = ", ".join(f"{size(n_bytes)} {reason}" for reason, n_bytes in one["dropped"].items()) or "-"
    return (safe_line(app), safe_line(host), size(one["committed"]), size(one["pending"]), size(one["rejected"]),
            safe_line(dropped), _lag(one), one["last_ts"] or "-", safe_line(path))


def _lag(one: dict[str, Any]) -> str:
    from logagg.terminal import safe_line

    if not one["lag_bytes"]:
        return "-"
    if one.get("reason"):
        return safe_line(one["reason"])
    return "?" if one["lag_s"] is None else f"{one['lag_s']:.0f} s"
