"""`logagg grep`."""

import argparse
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from logagg.commands.options import add_json, add_range, add_store, print_json_lines

if TYPE_CHECKING:
    from logagg.search import Found, Readings
    from logagg.terminal import Painter

EXAMPLES = """\
examples:
  logagg grep SocketTimeoutException --from 2026-11-20 --to 2026-11-21
  logagg grep -i --regex 'callId=c-(17|18)\\b' --app das --context 2
  logagg grep c-17 --json | jq -r .message

It searches the kept raw bytes and prints whole records, stack traces included, stream by stream.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("text", metavar="TEXT", help="what to look for")
    add_range(parser)
    parser.add_argument("--app", help="only this application")
    parser.add_argument("--host", help="only this host")
    parser.add_argument("-C", "--context", metavar="N", type=int, default=0, help="also N records before and after")
    parser.add_argument("-i", "--ignore-case", action="store_true", help="take small and capital letters as equal")
    parser.add_argument("--regex", action="store_true", help="TEXT is a regular expression of Python's")
    add_store(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from logagg.commands.opening import reading, zone_of
    from logagg.errors import UsageError
    from logagg.search import Readings, Wanted, search
    from logagg.terminal import say
    from logagg.times import range_us

    if not 0 <= arguments.context <= 1000:
        raise UsageError(f"--context {arguments.context}: expected 0 to 1000")
    with reading(arguments) as app:
        from_us, to_us = range_us(arguments.from_, arguments.to, zone_of(arguments, app.config))
        wanted = Wanted(arguments.text, arguments.regex, arguments.ignore_case, arguments.context, from_us, to_us)
        readings = Readings(app.config)
        found = search(app.store, wanted, readings.reader, app=arguments.app, host=arguments.host,
                       encoding_for=readings.encoding)
        hits = 0

        def counted() -> "Iterator[Found]":
            nonlocal hits
            for one in found:
                hits += one.hit
                yield one

        if arguments.json:
            print_json_lines(_rows(counted(), readings))
        else:
            _print(counted(), wanted.pattern())
    say(f"{hits:,} record{'s' * (hits != 1)} found")
    return 0


def _print(found: "Iterator[Found]", pattern: re.Pattern[str]) -> None:
    """Records as they stand; on a terminal with a heading for each stream, hits marked, controls made harmless."""
    from logagg.terminal import Painter, is_terminal, safe, safe_line

    terminal = is_terminal(sys.stdout)
    paint = Painter(sys.stdout)
    stream = None
    for one in found:
        if terminal and stream != one.stream.id:
            print(paint("cyan", safe_line(f"{one.stream.app} on {one.stream.host}: {one.stream.path}")))
        elif one.gap:
            print(paint("dim", "--"))
        stream = one.stream.id
        if not terminal:
            print(one.text)
        elif one.hit:
            print(_marked(one.text, pattern, paint))
        else:
            print(paint("dim", safe(one.text)))


def _marked(text: str, pattern: re.Pattern[str], paint: "Painter") -> str:
    """The text harmless, its hits painted."""
    from logagg.terminal import safe

    parts, at = [], 0
    for match in pattern.finditer(text):
        if match.end() > match.start():
            parts += [safe(text[at : match.start()]), paint("hit", safe(match[0]))]
            at = match.end()
    return "".join([*parts, safe(text[at:])])


def _rows(found: "Iterator[Found]", reading: "Readings") -> Iterator[dict[str, Any]]:
    """Each record's public JSON, with "hit" false for context."""
    from logagg.grammar.body import body
    from logagg.record import Event, Record
    from logagg.rollup.export import event_row

    for one in found:
        record, first_line = one.whole() or (Record(one.offset, 0, message=one.text), b"")
        claims = reading.classifier(one.stream).claim([first_line])
        name, fields = (claims.names[0], claims.fields[0]) if claims.rows else (None, None)
        if record.reason is not None:
            name, fields = "reject", {"reason": record.reason}
        event = Event(one.stream.id, one.offset, one.ts_us, record.level, name, body(record, name, fields))
        yield event_row(event, one.stream) | {"hit": one.hit}
