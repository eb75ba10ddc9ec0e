"""A notification as an e-mail (RFC 5322, MIME): plain text, HTML, and the HTML's images by Content-ID.

Whatever comes from logs may hold line ends and controls: in headers each becomes a mark, and the policy refuses any
that were left, so no text can add a header or a recipient.
"""

import base64
import email.policy
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any

from logagg.notify.channel import Notification
from logagg.visible import visible

log = logging.getLogger(__name__)

SUBJECT_CHARS_MAX = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POLICY = email.policy.SMTP.clone(cte_type="7bit")      # no server needs 8BITMIME then


def address(text: str) -> Address:
    """`ops@example.com` or `Operations <ops@example.com>`; a domain in any script goes as IDNA. ValueError if none."""
    name, spec = parseaddr(text)
    user, _, domain = spec.rpartition("@")
    written = text.strip() in (spec, f"<{spec}>") or text.strip().endswith(f" <{spec}>")    # nothing left out
    if not (user and domain and written and text.isprintable()) or set(spec) & set(' ",;<>'):
        raise ValueError(f"{visible(text)} is no e-mail address")
    return Address(display_name=visible(name), username=user, domain=domain.encode("idna").decode())


def build(notification: Notification, sender: Address, to: Address) -> EmailMessage:
    """The message; equal notifications give equal headers, so that it is the same message each time it is sent."""
    message = EmailMessage(_POLICY.clone(utf8=needs_utf8(sender, to)))
    message["From"] = sender
    message["To"] = to
    message["Subject"] = header_text(notification.subject, SUBJECT_CHARS_MAX)
    message["Date"] = format_datetime(_EPOCH + timedelta(microseconds=notification.created_us))
    message["Message-ID"] = notification.message_id
    if notification.thread:
        message["References"] = notification.thread         # firing and resolved stand together
    message["Auto-Submitted"] = "auto-generated"            # RFC 3834: no answering machine answers
    message["X-Auto-Response-Suppress"] = "All"             # the same for Exchange
    for what, id in sorted((notification.about or {}).items()):
        message[f"X-Logagg-{_token(what)}"] = header_text(id, SUBJECT_CHARS_MAX)
    message.set_content(_encodable(notification.text))
    message.add_alternative(_encodable(notification.html), subtype="html")
    _attach(message, notification)
    return message


def needs_utf8(*addresses: Address) -> bool:
    """Whether one of them needs SMTPUTF8 (RFC 6531)."""
    return not all(one.username.isascii() for one in addresses)


def header_text(text: str, chars_max: int) -> str:
    """`text` as one line for a header, every control character as a mark."""
    return visible(" ".join(text.split()), chars_max) or "(empty)"


def _encodable(text: str) -> str:
    """Without lone surrogates, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def _token(name: str) -> str:
    return "".join(c for c in name if c.isascii() and c.isalnum()).capitalize() or "About"


def _attach(message: EmailMessage, notification: Notification) -> None:
    html = message.get_payload()[1]     # type: ignore[index]
    for image in notification.images:
        try:
            data = _bytes(image)
        except (OSError, ValueError) as error:  # the text and its tables say the same: better without than not at all
            log.warning("message %s goes without the image %s: %s", notification.message_id,
                        visible(str(image.get("cid")), 80), visible(str(error), 200))
            continue
        html.add_related(data, maintype="image", subtype="png", cid=f"<{_cid(image)}>",     # type: ignore[union-attr]
                         disposition="inline")


def _cid(image: Mapping[str, Any]) -> str:
    cid = str(image["cid"]).strip("<>")
    if not cid.isascii() or not cid.isprintable() or set(cid) & set("<> "):
        raise ValueError(f"{visible(cid)} is no Content-ID")
    return cid


def _bytes(image: Mapping[str, Any]) -> bytes:
    _cid(image)
    if image.get("path"):
        return Path(image["path"]).read_bytes()
    return base64.b64decode(str(image.get("data", "")), validate=True)
