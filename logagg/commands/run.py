"""`logagg run`: the service."""

import argparse
import logging
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from logagg.terminal import log_to_stderr

if TYPE_CHECKING:
    from logagg.config import Config

EXAMPLES = """\
examples:
  logagg run                           all roles, in the foreground
  logagg -c /etc/logagg/logagg.toml run --roles agent

SIGTERM ends it with exit status 0, Ctrl-C with 130; a second one ends it at once. SIGHUP reads the configuration again.
"""

ROLES = ("agent", "aggregator", "web")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("--roles", type=_roles, default=ROLES, metavar="ROLE,ROLE",
                        help=f"what this process does: {', '.join(ROLES)} (default: all)")


def _roles(text: str) -> tuple[str, ...]:
    roles = {part.strip() for part in text.split(",") if part.strip()}
    if unknown := sorted(roles - set(ROLES)):
        raise argparse.ArgumentTypeError(f"no role {', '.join(unknown)}; expected some of {', '.join(ROLES)}")
    if not roles:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in roles)


class Stoppable(Protocol):
    """What signals reach; both may be called from a signal handler."""

    def stop(self) -> None: ...

    def reload(self) -> None: ...


class Signals:
    """Signals -> calls of the service: the first SIGTERM or SIGINT ends it in order, a second one at once."""

    def __init__(self) -> None:
        self.ending = False
        self.status = 0
        self._service: Stoppable | None = None

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        if hasattr(signal, "SIGHUP"):   # not on Windows
            signal.signal(signal.SIGHUP, self._on_reload)

    def attach(self, service: Stoppable) -> None:
        """From now on signals reach the service; one that came before does at once."""
        self._service = service
        if self.ending:
            service.stop()

    def _on_stop(self, number: int, frame: Any) -> None:
        self.status = 130 if number == signal.SIGINT else 0
        self.ending = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._service is not None:
            self._service.stop()

    def _on_reload(self, number: int, frame: Any) -> None:
        if self._service is not None:
            self._service.reload()


class Stopping:
    """What signals reach where nothing is read anew."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def stop(self) -> None:
        self.event.set()

    def reload(self) -> None:
        """Nothing: what can change by itself (the token file) is read again by itself."""


def run(arguments: argparse.Namespace) -> int:
    signals = Signals()
    signals.install()   # before anything that takes time, so that a stop during start-up ends cleanly too
    log_to_stderr("%(asctime)s %(levelname)s %(message)s", logging.INFO)
    from logagg.app import Service
    from logagg.commands.opening import config_of

    def load() -> "Config":
        config = config_of(arguments)
        assert config is not None
        _announce(config, arguments.roles)
        return config

    service = Service(load, arguments.roles)
    signals.attach(service)
    run_in_thread(service.run)
    return signals.status


def run_in_thread(work: Callable[[], None]) -> None:
    """Run `work` elsewhere and wait for it; its exception is raised here.

    Signal handlers run between any two steps of the main thread. It only waits here, so that it cannot hold the lock
    of an event that a handler is about to set.
    """
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=guarded, name="service", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.5)    # a wait without a limit would keep signals waiting on Windows
    if failed:
        raise failed[0]


def _announce(config: "Config", roles: tuple[str, ...]) -> None:
    """Say once what this process works with; the zone above all, since it is easily taken for another."""
    from logagg.config import masked
    from logagg.terminal import safe_line

    logging.getLogger("logagg").info(
        "%s: %s; store %s; timezone %s; %d sources", safe_line(config.path), ", ".join(roles),
        safe_line(masked(config.store_url)), config.timezone, len(config.sources))
