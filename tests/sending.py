"""A sender as a process of its own, to be killed: `python -m tests.sending STORE PORT LEASE_S`.

It prints a line when it begins, sends what is due until the store's outbox is empty, and ends.
"""

import sys
import threading

from logagg.clock import SystemClock
from logagg.notify.email import EmailChannel
from logagg.notify.outbox import open_messages
from logagg.notify.sender import Sender
from logagg.notify.smtp import Limits
from logagg.store import open_store
from tests.smtpd import Smtp


class _Quick(SystemClock):
    """Waits a tenth as long."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return super().wait(event, timeout_s / 10)


def main(url: str, port: str, lease_s: str) -> None:
    store, clock, stop = open_store(url), _Quick(), threading.Event()
    sender = Sender(store, EmailChannel(Smtp("127.0.0.1", int(port)), Limits(total_s=float(lease_s) / 2)), clock,
                    lease_s=float(lease_s))
    print("begins", flush=True)
    while open_messages(store, clock.now_us()):
        sender.deliver_due()
        clock.wait(stop, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
