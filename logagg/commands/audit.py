"""`logagg audit`."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from logagg.commands.options import add_json, add_progress, add_store, print_json, say_problems

if TYPE_CHECKING:
    from logagg.audit import Audit
    from logagg.audit.files import FileAudit
    from logagg.config import Config

EXAMPLES = """\
examples:
  logagg audit /var/log/das                     files, their rotated and compressed parts, against the store
  logagg audit '/var/log/das/*.log*' --json | jq '.files[] | select(.state != "ok")'
  logagg audit /mnt/app01/logs --host app01 --store mongodb://db1/logagg?replicaSet=rs0

Each file is read again and compared byte by byte with what the store has of it; what the store has of these
applications is checked against itself, and read again. Nothing is written. Exit status 0: every byte is stored once;
1: something is missing, differs or is there twice.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("paths", metavar="PATH", nargs="+",
                        help="logs: plain, .gz, .zst, .bz2, .xz, .zip, folders, globs")
    parser.add_argument("--app", help="the application whose logs they are (default: the configuration's, else from "
                        "each file's name)")
    parser.add_argument("--host", help="the host whose logs they are (default: the configuration's, else this one)")
    add_store(parser)
    add_progress(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from logagg.adhoc import sources_for
    from logagg.commands.opening import reading
    from logagg.terminal import progress

    with reading(arguments) as app:
        sources, problems = sources_for(app.config, arguments.paths, {"app": arguments.app, "host": arguments.host})
        say_problems(problems)
        if problems and not sources:
            return 1
        app.config = _with_sources(app.config, sources)
        total = app.audit_bytes(sources)
        with_bar = progress("auditing", total, wanted=arguments.progress)
        try:
            found = app.audit(sources, with_bar.update)
        finally:
            with_bar.close()
    if arguments.json:
        print_json(found.to_json() | {"errors": problems})
    else:
        for line in _lines(found):
            print(line)
    return 0 if found.proven and not problems else 1


def _with_sources(config: "Config", sources: list[Any]) -> "Config":
    """The configuration's own sources tell first how a stream is read."""
    return replace(config, sources=(*config.sources, *sources))


def _lines(found: "Audit") -> Iterator[str]:
    from logagg.terminal import columns, safe_line, size

    rows = [("state", "bytes", "records", "app", "host", "file")]
    rows += [(file.state, size(file.bytes), f"{file.records:,}", safe_line(file.app), safe_line(file.host),
              safe_line(file.path)) for file in found.files]
    yield from columns(rows)
    for file in found.files:
        yield from _remarks(file)
    for one in found.streams:
        where = safe_line(f"{one.path} (stream {one.id})")
        for problem in one.problems:
            yield f"{where}: {safe_line(problem)}"
        if one.reading.startswith("not compared"):
            yield f"{where}: events {one.reading}"
    yield ""
    yield _summary(found)


def _remarks(file: "FileAudit") -> Iterator[str]:
    from logagg.terminal import safe_line

    path = safe_line(file.path)
    for one in file.missing:
        hint = f", as {file.app} on {file.host}: --app and --host say otherwise" if one.why == "never read" else ""
        yield f"{path}: bytes [{one.start:,}, {one.end:,}) are not in the store: {safe_line(one.why + hint)}"
    if file.differs_at is not None:
        yield f"{path}: differs from what is stored, first at byte {file.differs_at:,}"
    if file.error:
        yield safe_line(file.error)


def _summary(found: "Audit") -> str:
    from logagg.terminal import size

    count, streams = len(found.files), len(found.streams)
    bad = sum(file.is_problem for file in found.files)
    wrong = sum(bool(one.problems) for one in found.streams)
    compared = size(sum(file.bytes for file in found.files))
    what = f"{count:,} file{'s' * (count != 1)}, {compared}; {streams:,} stream{'s' * (streams != 1)}"
    expired = sum(one.expired for one in found.streams)
    gone = sum(sum(one.dropped.values()) for one in found.streams)
    also = [f"{size(expired)} expired"] * bool(expired) + [f"{size(gone)} gone, as the ledger says"] * bool(gone)
    if found.proven:
        return f"proven: every byte is stored once ({'; '.join([what, *also])})"
    said = [f"{bad:,} of {what.partition(',')[0]} not proven"] * bool(bad)
    said += [f"{wrong:,} stream{'s' * (wrong != 1)} with problems"] * bool(wrong)
    return f"NOT proven: {', '.join(said)} ({'; '.join([what, *also])})"
