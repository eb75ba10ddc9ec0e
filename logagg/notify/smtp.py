"""One SMTP connection (RFC 5321) whose every step is bounded, and what the server's replies mean for a message.

smtplib speaks the protocol. Here is what it leaves open: a bound for the whole delivery and not only for each read,
TLS that is verified and never skipped, and which side of the final dot a failure lies on.
"""

import contextlib
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from logagg.notify.channel import Answer, SmtpSettings


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in seconds: for a connection, for one reply, and for one delivery with all that belongs to it.

    RFC 5321, 4.5.3.2.6 asks for minutes after the final dot, since giving up there leads to duplicates; `total_s` is
    a compromise with the messages behind it. It must stay below retry.LEASE_S.
    """

    connect_s: float = 5.0
    reply_s: float = 15.0
    total_s: float = 60.0


class ServiceFailed(Exception):
    """The server cannot be used now, whatever the message. The text is for a person."""


class Connection:
    """A connection that has said EHLO, is encrypted if it shall be, and authenticated if it shall be.

    Opening it raises ServiceFailed, OSError, smtplib.SMTPException. `usable` tells whether another message may follow.
    """

    def __init__(self, smtp: SmtpSettings, limits: Limits, password: Callable[[], str]) -> None:
        self.usable = True
        self._limits = limits
        self._client = smtplib.SMTP(local_hostname="localhost", timeout=limits.connect_s)
        try:
            with self._bounded():
                self._open(smtp, password)
        except BaseException:
            self._client.close()
            raise

    def _open(self, smtp: SmtpSettings, password: Callable[[], str]) -> None:
        client = self._client
        client.sock = _connected(smtp.host, smtp.port, self._limits.connect_s)
        client.local_hostname = _own_name(client.sock)
        client.sock.settimeout(self._limits.reply_s)
        if smtp.security == "tls":
            self._encrypt(smtp.host)
        _expect(220, client.getreply(), "greeting")
        client.ehlo_or_helo_if_needed()
        if smtp.security == "starttls":
            if not client.has_extn("starttls"):
                raise ServiceFailed('it does not offer STARTTLS; [smtp] security = "tls" is for servers that encrypt '
                                    'from the start (port 465), security = "none" sends without encryption')
            _expect(220, client.docmd("STARTTLS"), "STARTTLS")
            self._encrypt(smtp.host)
            client.ehlo_or_helo_if_needed()
        if smtp.user:
            try:
                client.login(smtp.user, password())
            except smtplib.SMTPAuthenticationError as error:
                raise ServiceFailed(f"it refuses user and password: {reply_text(error.smtp_code, error.smtp_error)}; "
                                    "see [smtp] user and password_file") from None
            except UnicodeError:    # whose message would show a character of it
                raise ServiceFailed("SMTP authentication needs a user and a password of ASCII characters; see [smtp] "
                                    "user and password_file") from None

    def _encrypt(self, host: str) -> None:
        """TLS on the open socket; the certificate must be valid for the host. Forgets all that was said in clear
        (RFC 3207, 4.2), even bytes that the server has sent already."""
        client = self._client
        assert client.sock is not None
        # The handshake is a step of its own, so that the bound finds the socket that it has to close.
        client.sock = ssl.create_default_context().wrap_socket(client.sock, server_hostname=host,
                                                               do_handshake_on_connect=False)
        client.file = None
        client.helo_resp = client.ehlo_resp = None
        client.esmtp_features, client.does_esmtp = {}, False
        client.sock.do_handshake()

    def deliver(self, sender: str, to: str, data: bytes, *, utf8: bool = False) -> Answer:
        """One message as bytes with CRLF line ends. OSError and SMTPException as long as nothing can have been
        accepted; afterwards the answer is "unknown"."""
        with self._bounded():
            answer = self._transaction(sender, to, data, utf8)
        self.usable &= not answer.everyone
        return answer

    def _transaction(self, sender: str, to: str, data: bytes, utf8: bool) -> Answer:
        client = self._client
        if utf8 and not client.has_extn("smtputf8"):
            return Answer("refused", f"the server does not take addresses such as {to} (SMTPUTF8)")
        if utf8:
            client.command_encoding = "utf-8"
        code, text = client.mail(sender, ["SMTPUTF8", "BODY=8BITMIME"] if utf8 else [])
        if code == 421:     # an idle connection ends like this: nothing has begun
            raise smtplib.SMTPServerDisconnected(reply_text(code, text))
        if code != 250:
            return self._turned_down("MAIL FROM", code, text)
        code, text = client.rcpt(to)
        if code not in (250, 251, 252):
            return self._turned_down("RCPT TO", code, text)
        code, text = client.docmd("DATA")
        if code != 354:
            return self._turned_down("DATA", code, text)
        return self._transfer(data)

    def _transfer(self, data: bytes) -> Answer:
        """Everything after 354: from here on the server may have the message, whatever we see."""
        client = self._client
        assert client.sock is not None
        client.sock.settimeout(self._limits.total_s)    # servers look at the content now; the whole bound is for that
        try:
            client.send(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
            code, text = client.getreply()
            client.sock.settimeout(self._limits.reply_s)
        except (OSError, smtplib.SMTPException) as error:
            return Answer("unknown", f"the connection ended behind the message, {reason(error)}; "
                                     "it may have been accepted", everyone=True)
        return Answer("accepted", reply_text(code, text)) if code == 250 else self._turned_down("the text", code, text)

    def _turned_down(self, step: str, code: int, text: bytes) -> Answer:
        said = f"the server answers {step} with {reply_text(code, text)}"
        if code == 421:
            return Answer("later", said, everyone=True)
        if step == "MAIL FROM" and 500 <= code < 600 and code != 552:   # 552: this message is too large
            return Answer("later", f"{said}; see [smtp] from, user", everyone=True)
        if not 400 <= code < 600:
            return Answer("later", said, everyone=True)     # no reply that SMTP knows there
        try:
            self.usable = self._client.rset()[0] == 250
        except (OSError, smtplib.SMTPException):
            self.usable = False
        return Answer("refused" if code >= 500 else "later", said)

    def close(self) -> None:
        """Say good-bye if the server listens; in bounded time."""
        with contextlib.suppress(OSError, smtplib.SMTPException), self._bounded():
            if self._client.sock is not None:
                self._client.sock.settimeout(self._limits.connect_s)
                self._client.docmd("QUIT")
        self._client.close()

    def abandon(self) -> None:
        """Close it without a word."""
        self._client.close()

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        """Ends everything inside after `total_s`: a server that sends a byte now and then outlives any timeout."""
        timer = threading.Timer(self._limits.total_s, self._break)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _break(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            # Not SSLSocket.shutdown: that would pull the TLS state from under the thread that reads.
            socket.socket.shutdown(self._client.sock, socket.SHUT_RDWR)     # type: ignore[arg-type]


def _connected(host: str, port: int, timeout_s: float) -> socket.socket:
    """A connection to the first of the host's addresses that answers; all of them share the time."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failed: OSError | None = None
    for *_, address in addresses:
        try:
            return socket.create_connection((str(address[0]), port), timeout_s / len(addresses))
        except OSError as error:
            failed = error
    raise failed or OSError(f"{host} has no address")


def _own_name(sock: socket.socket) -> str:
    """For EHLO: this machine's name if it is a full one, else its address (RFC 5321, 4.1.3); asks no name server."""
    name = socket.gethostname()
    if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name):
        return name
    address = str(sock.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _expect(wanted: int, reply: tuple[int, bytes], step: str) -> None:
    if reply[0] != wanted:
        raise ServiceFailed(f"{step}: {reply_text(*reply)}")


def reply_text(code: int, text: bytes | str) -> str:
    """A reply as one line: `550 5.1.1 no such user`."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}".strip()[:300]


def reason(error: Exception) -> str:
    """What a failure of the network, of TLS or of the protocol means, for a person."""
    if isinstance(error, ServiceFailed):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return (f"its certificate is not accepted: {error.verify_message}; an own authority's file goes into the "
                "environment variable SSL_CERT_FILE")
    if isinstance(error, smtplib.SMTPResponseException):
        return reply_text(error.smtp_code, error.smtp_error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return (str(error) or type(error).__name__)[:300]
