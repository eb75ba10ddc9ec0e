"""The channel "email": notifications to one SMTP server, many over one connection."""

import base64
import contextlib
import smtplib
from pathlib import Path

from logagg.notify.channel import Answer, Notification, SmtpSettings
from logagg.notify.message import address, build, needs_utf8
from logagg.notify.smtp import Connection, Limits, ServiceFailed, reason
from logagg.visible import visible


class EmailChannel:
    """channel.Channel over SMTP. The connection stays open between messages, until `rest`.

    The password is read from its file whenever a connection is opened, kept only by it, and cut out of every answer.
    """

    def __init__(self, smtp: SmtpSettings, limits: Limits | None = None) -> None:
        self._smtp = smtp
        self._limits = limits or Limits()
        self._connection: Connection | None = None
        self._secrets: tuple[str, ...] = ()

    @property
    def server(self) -> str:
        return f"{self._smtp.host}:{self._smtp.port}"

    def send(self, notification: Notification) -> Answer:
        try:
            sender, to = address(self._smtp.sender), address(notification.to)
            data = build(notification, sender, to).as_bytes()
        except (ValueError, LookupError) as error:
            return Answer("refused", f"no message can be made of it: {self._harmless(str(error))}")
        answer = self._deliver(sender.addr_spec, to.addr_spec, data, utf8=needs_utf8(sender, to))
        if self._connection is not None and not self._connection.usable:
            self._drop()
        return Answer(answer.outcome, self._harmless(answer.text), answer.everyone)

    def _deliver(self, sender: str, to: str, data: bytes, *, utf8: bool) -> Answer:
        """Over the open connection; where that has ended meanwhile (servers end idle ones), once more over a new one:
        nothing was accepted so far."""
        if self._connection is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                return self._connection.deliver(sender, to, data, utf8=utf8)
            self._drop()
        try:
            self._connection = Connection(self._smtp, self._limits, self._password)
            return self._connection.deliver(sender, to, data, utf8=utf8)
        except (OSError, smtplib.SMTPException, ServiceFailed) as error:
            self._drop()
            return Answer("later", f"mail server {self.server}: {reason(error)}", everyone=True)

    def _password(self) -> str:
        path = self._smtp.password_file
        if path is None:
            raise ServiceFailed("[smtp] names a user but no password_file")
        try:
            password = Path(path).read_text(encoding="utf-8").strip("\r\n")
        except (OSError, ValueError) as error:
            raise ServiceFailed(f"[smtp] password_file {path} cannot be read: "
                                f"{getattr(error, 'strerror', None) or 'it is no UTF-8 text'}") from None
        if not password:
            raise ServiceFailed(f"[smtp] password_file {path} is empty")
        plain = f"\0{self._smtp.user}\0{password}"
        self._secrets = (password, *(base64.b64encode(text.encode()).decode() for text in (plain, password)))
        return password

    def _harmless(self, text: str) -> str:
        """A server may say anything, even what it was told."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return visible(text, 400)

    def rest(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _drop(self) -> None:
        """Forget a connection that does not work, without a word to the server."""
        if self._connection is not None:
            self._connection.abandon()
            self._connection = None
