"""An SMTP server (aiosmtpd) in a process of its own, which does what a file tells it: accept, refuse, hang, drop.

`python -m tests.smtpd FOLDER` reads FOLDER/settings.json once (port 0: any; tls, user, password) and FOLDER/mode.json
before each step, and appends what it has accepted to FOLDER/mails.jsonl before it says so.
"""

import asyncio
import base64
import contextlib
import email.policy
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.conftest import ROOT
from tests.waiting import until


@dataclass(frozen=True)
class Smtp:
    """channel.SmtpSettings."""

    host: str
    port: int
    security: str = "none"
    user: str | None = None
    password_file: Path | None = None
    sender: str = "logagg <logagg@example.com>"


class Server:
    """The server's process. `mode` holds, by step ("connect", "mail", "rcpt", "data"), a reply to give instead, or
    "hang", "drip" (connect only), "drop", "drop_after" (data only: takes the message and never says so); "delay_s"
    slows the acceptance down."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.settings = {"port": 0, "tls": None, "user": None, "password": None} | settings
        self.process: subprocess.Popen[bytes] | None = None
        self.mails_path = folder / "mails.jsonl"
        self.mails_path.touch()
        self.mode()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, again on the same port."""
        if not self.settings["port"]:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.settings["port"] = free.getsockname()[1]
        (self.folder / "settings.json").write_text(json.dumps(self.settings))
        with (self.folder / "smtpd.log").open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "tests.smtpd", str(self.folder)], cwd=ROOT,
                                            stdout=log, stderr=log)
        until(self._listens, "the SMTP server listens")

    def _listens(self) -> bool:
        assert self.process is not None and self.process.poll() is None, (self.folder / "smtpd.log").read_text()
        return (self.folder / "listening").exists()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            (self.folder / "listening").unlink(missing_ok=True)

    def mode(self, **steps: Any) -> None:
        new = self.folder / "mode.new"
        new.write_text(json.dumps(steps))
        new.replace(self.folder / "mode.json")

    def smtp(self, **settings: Any) -> Smtp:
        """Settings that reach it."""
        return Smtp(**({"host": "localhost", "port": self.settings["port"]} | settings))

    def accepted(self) -> list[dict[str, Any]]:
        """{"at_us", "to", "from", "id", "connection", "encrypted", "raw"} of each mail, in order; a line still being
        written is left out."""
        lines = self.mails_path.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def mails(self) -> list[EmailMessage]:
        return [message(base64.b64decode(mail["raw"])) for mail in self.accepted()]


def message(raw: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=email.policy.default).parsebytes(raw)


@pytest.fixture
def smtpd(tmp_path: Path) -> Iterator[Server]:
    """A server without encryption or authentication."""
    folder = tmp_path / "smtpd"
    folder.mkdir()
    with Server(folder) as server:
        yield server


def certificate(folder: Path, host: str = "localhost") -> Path:
    """Make an authority and its certificate for `host`: server.pem for the server; the answer is the authority's."""
    authority = trustme.CA()
    issued = authority.issue_cert(host)
    (folder / "server.pem").write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem"


class _Handler:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mode(self) -> dict[str, Any]:
        mode: dict[str, Any] = json.loads((self.folder / "mode.json").read_text())
        return mode

    async def _step(self, server: SMTP, step: str) -> str | None:
        told = self.mode().get(step)
        if told == "hang":
            await asyncio.Event().wait()
        if told == "drop":
            server.transport.abort()
            await asyncio.Event().wait()
        return told

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope,     # noqa: N802
                          address: str, options: list[str]) -> str:
        told = await self._step(server, "mail")
        if told is None:
            envelope.mail_from = address
        return told or "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope,     # noqa: N802
                          address: str, options: list[str]) -> str:
        told = await self._step(server, "rcpt")
        if told is None or (address.startswith("ok") and "only" in told):
            envelope.rcpt_tos.append(address)
            return "250 OK"
        return told

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:     # noqa: N802
        told = await self._step(server, "data")
        if told not in (None, "drop_after"):
            return told
        await asyncio.sleep(self.mode().get("delay_s", 0))
        self._record(server, session, envelope)
        if told == "drop_after":
            server.transport.abort()
            await asyncio.Event().wait()
        return "250 2.0.0 queued"

    def _record(self, server: SMTP, session: Session, envelope: Envelope) -> None:
        raw = envelope.original_content
        assert isinstance(raw, bytes)
        mail = {"at_us": time.time_ns() // 1000, "to": envelope.rcpt_tos, "from": envelope.mail_from,
                "id": message(raw)["Message-ID"], "connection": session.peer[1],
                "encrypted": server.transport.get_extra_info("ssl_object") is not None,
                "raw": base64.b64encode(raw).decode()}
        with (self.folder / "mails.jsonl").open("ab") as out:
            out.write(json.dumps(mail).encode() + b"\n")


class _Smtpd(SMTP):
    """aiosmtpd's server, which can fail before it greets."""

    async def _handle_client(self) -> None:
        told = self.event_handler.mode().get("connect")
        if told == "hang":
            await asyncio.Event().wait()
        while told == "drip":
            self._writer.write(b"2")
            await asyncio.sleep(0.05)
        if told:
            await self.push(told)
            self.transport.close()
            return
        await super()._handle_client()


def _authenticator(user: str, password: str) -> Any:
    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        if given == (user, password):
            return AuthResult(success=True)
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 no such user with password {given[1]}")
    return check


async def _serve(folder: Path) -> None:
    settings = json.loads((folder / "settings.json").read_text())
    context = None
    if settings["tls"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
    options: dict[str, Any] = {"enable_SMTPUTF8": True, "data_size_limit": 50_000_000, "ident": "test"}
    if settings["tls"] == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if settings["user"]:
        options |= {"authenticator": _authenticator(settings["user"], settings["password"]), "auth_required": True,
                    "auth_require_tls": False}
    server = await asyncio.get_running_loop().create_server(
        lambda: _Smtpd(_Handler(folder), hostname="localhost", **options), "127.0.0.1", settings["port"],
        ssl=context if settings["tls"] == "tls" else None)
    (folder / "listening").touch()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Path(sys.argv[1])))
