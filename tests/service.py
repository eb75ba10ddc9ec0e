"""`logagg run` as a process of its own, as a service manager would start, stop and kill it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from logagg.errors import StoreError
from logagg.record import Stream
from logagg.store import open_store
from tests.waiting import until


class Service:
    """`logagg run` on one configuration; its messages go to `log` beside it.

    Without options it runs all roles but the web's: its port may be taken on this machine.
    """

    def __init__(self, config: Path, *options: str, prefix: tuple[str, ...] = ()) -> None:
        """`prefix`: a command that runs it, with limits for instance."""
        self.config = config
        self.prefix = prefix
        self.options = options or ("--roles", "agent,aggregator")
        self.log = config.with_suffix(".stderr")
        self.process: subprocess.Popen[bytes] | None = None
        self._said = 0

    def __enter__(self) -> "Service":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        self._said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            command = [*self.prefix, sys.executable, "-m", "logagg", "-c", str(self.config), "run", *self.options]
            environment = os.environ | {"PYTHONFAULTHANDLER": "1"}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """SIGTERM, once it is there to take it; the answer is the exit status."""
        assert self.process is not None
        until(lambda: self.log.stat().st_size > self._said or not self.running(), "its first message")
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.process = None
        return status

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def holds(self, condition: bool) -> bool:
        """`condition`, for waiting; fails at once with the messages when the service has ended by itself."""
        assert self.running(), f"the service has ended: {self.messages()[-2000:]}"
        return condition

    def messages(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def logagg(*args: str | Path, config: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [sys.executable, "-m", "logagg", *(["-c", str(config)] if config else []), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert not check or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stderr}"
    return done


def stored_streams(url: str) -> list[Stream]:
    """The streams in a store; none while the service has not made it yet."""
    try:
        store = open_store(url, read_only=True)
    except StoreError:
        return []
    try:
        return store.streams()
    finally:
        store.close()


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
