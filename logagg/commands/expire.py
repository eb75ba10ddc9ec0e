"""`logagg expire`."""

import argparse

from logagg.commands.options import add_json, add_store, print_json

EXAMPLES = """\
examples:
  logagg expire            delete what [retention] keeps no longer

The service does the same once an hour. Days, weeks and months are kept for ever, and no number of them ever shrinks.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    add_store(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from logagg.app import App
    from logagg.commands.opening import config_of
    from logagg.rollup.expire import expire

    config = config_of(arguments)
    assert config is not None
    with App(config) as app:
        app.folder().fold_all()
        deleted = expire(app.store, config.retention, app.clock.now_us())
    if arguments.json:
        print_json(deleted)
    else:
        print(f"{deleted['chunks']:,} chunks, {deleted['events']:,} events, {deleted['buckets']:,} buckets deleted")
    return 0
