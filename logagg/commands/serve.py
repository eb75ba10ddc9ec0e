"""`logagg serve`."""

import argparse
import logging
from typing import TYPE_CHECKING

from logagg.commands.options import add_store
from logagg.terminal import log_to_stderr

if TYPE_CHECKING:
    from logagg.config import Config

EXAMPLES = """\
examples:
  logagg serve                             the live page, events, reports and REST on http://127.0.0.1:8470/
  logagg serve --listen 127.0.0.1:0        on any free port; the address is printed

It only reads. An address that other machines can reach needs [web] token_file, or insecure = true.
SIGTERM ends it with exit status 0, Ctrl-C with 130.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("--listen", metavar="ADDRESS:PORT", help="where to listen (default: [web] listen); port 0: any")
    add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    from logagg.commands.run import Signals, Stopping, run_in_thread

    signals = Signals()
    signals.install()   # before anything that takes time, so that a stop during start-up ends cleanly too
    log_to_stderr("%(asctime)s %(levelname)s %(message)s", logging.INFO)
    from logagg.api.server import check_web, serve
    from logagg.app import App

    config = _config(arguments)
    check_web(config.web)
    stopping = Stopping()
    signals.attach(stopping)
    with App(config, read_only=True) as app:
        run_in_thread(lambda: serve(config, app.store, app.metrics, stopping.event, clock=app.clock,
                                    started=_announce))
    return signals.status


def _config(arguments: argparse.Namespace) -> "Config":
    from dataclasses import replace

    from logagg.commands.opening import config_of
    from logagg.config.forms import listen_parts
    from logagg.errors import UsageError
    from logagg.terminal import safe_line

    config = config_of(arguments)
    assert config is not None
    if arguments.listen is None:
        return config
    parts = listen_parts(arguments.listen)
    if parts is None:
        raise UsageError(f"--listen: {safe_line(arguments.listen)!r} is no address; "
                         "expected one such as 127.0.0.1:8470")
    return replace(config, web=replace(config.web, host=parts[0], port=parts[1]))


def _announce(address: str) -> None:
    """The address on stdout, for people and programs: the port may have been any."""
    print(address, flush=True)
