"""The message of `logagg channel test`."""

import secrets
import socket
from html import escape

from logagg.notify.channel import Notification
from logagg.notify.outbox import domain_of, time_key
from logagg.visible import visible


def trial(channel: str, to: str, from_address: str, now_us: int) -> Notification:
    """A message that says only where it comes from; each one is new, with a Message-ID of its own."""
    host = visible(socket.gethostname())
    text = (f"This is a test of the channel {visible(channel)!r} of logagg on {host}.\n"
            "Alerts and reports sent to this channel reach you at this address.\n")
    return Notification(
        to, f"logagg: test of the channel {visible(channel)}", text,
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>logagg test</title></head>\n'
        f"<body><p>{escape(text)}</p></body></html>\n",
        f"<{time_key(now_us)}.{secrets.token_hex(8)}@{domain_of(from_address)}>", now_us, about={"test": channel})
