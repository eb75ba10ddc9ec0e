"""Mail to a real SMTP server in a process of its own, which refuses, hangs, drops and goes away."""

import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from logagg.clock import SystemClock
from logagg.interfaces import Store
from logagg.notify.channel import Answer, Notification
from logagg.notify.email import EmailChannel
from logagg.notify.outbox import Outbox
from logagg.notify.sender import Sender
from logagg.notify.smtp import Limits
from logagg.store import open_store
from tests.conftest import ROOT
from tests.service import logagg
from tests.smtpd import Server, Smtp, certificate, smtpd
from tests.waiting import until

__all__ = ["smtpd"]

NOTE = Notification("ops@example.com", "A subject", "A text\n", "<p>A text</p>", "<one@example.com>",
                    1_700_000_000_000_000)
QUICK = Limits(0.5, 0.4, 1)


class Ops:
    name, type, to = "ops", "email", ("ops@example.com",)


class Quick(SystemClock):
    """A clock that waits and goes ten times as fast, so that pauses of 5 s take 0.5 s."""

    def __init__(self) -> None:
        self._start_us = super().now_us()

    def now_us(self) -> int:
        return self._start_us + 10 * (super().now_us() - self._start_us)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return super().wait(event, timeout_s / 10)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'logagg.db'}")
    yield opened
    opened.close()


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def once(smtp: Smtp, note: Notification = NOTE) -> Answer:
    channel = EmailChannel(smtp, QUICK)
    try:
        return channel.send(note)
    finally:
        channel.rest()


@pytest.mark.parametrize(("step", "reply", "outcome", "everyone"), [
    ("connect", "421 busy", "later", True),
    ("connect", "554 go away", "later", True),
    ("mail", "450 not now", "later", False),
    ("mail", "530 authentication required", "later", True),
    ("mail", "550 sender unknown", "later", True),
    ("mail", "552 too large", "refused", False),
    ("mail", "421 closing", "later", True),
    ("rcpt", "450 greylisted", "later", False),
    ("rcpt", "452 mailbox full", "later", False),
    ("rcpt", "550 nobody", "refused", False),
    ("rcpt", "421 closing", "later", True),
    ("data", "451 later", "later", False),
    ("data", "554 spam", "refused", False),
    ("data", "421 closing", "later", True),
])
def test_replies(smtpd: Server, step: str, reply: str, outcome: str, everyone: bool) -> None:
    """4xx is tried again; 5xx for a recipient or a text is final; what concerns our own access is no recipient's fault.
    The reply itself is in the answer."""
    smtpd.mode(**{step: reply})
    answer = once(smtpd.smtp())
    assert (answer.outcome, answer.everyone) == (outcome, everyone)
    assert reply in answer.text
    assert not smtpd.accepted()


def test_a_burst_goes_over_one_connection(smtpd: Server, store: Store) -> None:
    """Sixty messages, one of them for a recipient who is refused, arrive over one connection."""
    to = (*(f"ok{n}@example.com" for n in range(60)), "nobody@example.com")

    class All(Ops):
        pass
    All.to = to     # type: ignore[assignment]
    smtpd.mode(rcpt="550 only others")
    Outbox(store, [All()], SystemClock()).put("x", "ops", "subject", "text", "html")
    assert Sender(store, EmailChannel(smtpd.smtp(), QUICK), SystemClock()).deliver_due() == 60
    mails = smtpd.accepted()
    assert sorted(mail["to"] for mail in mails) == sorted([one] for one in to[:-1]), "one recipient a mail"
    assert len({mail["connection"] for mail in mails}) == 1
    states = Counter(value["state"] for value in store.documents("outbox").values())
    assert states == {"sent": 60, "failed": 1}


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encrypted_and_authenticated(tmp_path: Path, security: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With STARTTLS or TLS the certificate is verified for the host, and the password is read for each connection."""
    authority = certificate(tmp_path)
    password = tmp_path / "password"
    with Server(tmp_path, tls=security, user="alice", password="korrekt") as server:
        smtp = server.smtp(security=security, user="alice", password_file=password)
        answer = once(smtp)
        assert answer.everyone and "certificate is not accepted" in answer.text and "SSL_CERT_FILE" in answer.text
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        answer = once(server.smtp(host="127.0.0.1", security=security))
        assert answer.everyone and "certificate is not accepted" in answer.text, "it is for localhost"
        answer = once(smtp)
        assert answer.everyone and f"password_file {password} cannot be read" in answer.text
        for text, outcome in (("falsch", "later"), ("", "later"), ("körrekt", "later"), ("korrekt\n", "accepted")):
            password.write_text(text)
            answer = once(smtp)
            assert answer.outcome == outcome and "korrekt" not in answer.text and "rrekt" not in answer.text
        assert [mail["encrypted"] for mail in server.accepted()] == [True]


def test_encryption_is_never_skipped(smtpd: Server) -> None:
    """A server (or somebody between) that offers no STARTTLS gets nothing."""
    answer = once(smtpd.smtp(security="starttls"))
    assert answer.outcome == "later" and answer.everyone and "does not offer STARTTLS" in answer.text
    answer = once(smtpd.smtp(security="tls"))
    assert answer.outcome == "later" and answer.everyone
    assert not smtpd.accepted()


def test_an_idle_connection_that_ended_is_made_again(smtpd: Server) -> None:
    """Where the server has gone and come back since the last message, the next arrives at the first try."""
    channel = EmailChannel(smtpd.smtp(), QUICK)
    assert channel.send(NOTE).outcome == "accepted"
    smtpd.stop()
    smtpd.start()
    assert channel.send(NOTE).outcome == "accepted"
    channel.rest()


@pytest.mark.parametrize("trouble", ["down", "hangs", "refuses", "drops behind the message"])
def test_every_message_arrives_after_trouble(smtpd: Server, store: Store, stop: threading.Event, trouble: str) -> None:
    """Down, hanging, refusing for a while or dropping: afterwards each of ten mails is there; twice only where the
    server took one and could not say so, and then with the same Message-ID."""
    clock = Quick()
    outbox = Outbox(store, [Ops()], clock)
    sender = Sender(store, EmailChannel(smtpd.smtp(), QUICK), clock)
    modes = {"hangs": {"connect": "hang"}, "refuses": {"rcpt": "451 not now"},
             "drops behind the message": {"data": "drop_after"}}
    smtpd.mode(**modes.get(trouble, {}))
    if trouble == "down":
        smtpd.stop()
    thread = threading.Thread(target=sender.run, args=(stop, outbox.wake))
    thread.start()
    for number in range(10):
        outbox.put(str(number), "ops", f"subject {number}", "text", "html")
    until(lambda: sender.counts["later"] + sender.counts["unknown"] >= 2, "it was tried twice")
    if trouble == "down":
        smtpd.start()
    smtpd.mode()
    until(lambda: {value["state"] for value in store.documents("outbox").values()} == {"sent"}, "all are sent")
    stop.set()
    outbox.wake.set()
    thread.join(10)
    assert not thread.is_alive()
    wanted = {value["message_id"]: value["subject"] for value in store.documents("outbox").values()}
    arrived = Counter(mail["id"] for mail in smtpd.accepted())
    assert set(arrived) == set(wanted)
    assert sum(arrived.values()) - 10 == sender.counts["unknown"]
    assert trouble == "drops behind the message" or not sender.counts["unknown"]


def test_killed_while_sending(smtpd: Server, store: Store, tmp_path: Path) -> None:
    """A sender killed twenty times at random moments while it sends fifty mails: each arrives; twice only where a kill
    fell between the server's acceptance and the note of it, with the same Message-ID."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    outbox = Outbox(store, [Ops()], SystemClock())
    for number in range(50):
        outbox.put(str(number), "ops", f"subject {number}", "text", "html")
    smtpd.mode(delay_s=0.02)
    in_flight: Counter[str] = Counter()
    for _ in range(20):
        with _sending(tmp_path, smtpd) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begins\n"
            with pytest.raises(subprocess.TimeoutExpired):      # a moment, unless it ends before
                process.wait(rng.uniform(0, 0.1))
            process.kill()
        in_flight.update(value["message_id"] for value in store.documents("outbox").values()
                         if value["state"] == "sending")
    smtpd.mode()
    with _sending(tmp_path, smtpd) as process:
        assert process.wait(60) == 0
    values = list(store.documents("outbox").values())
    arrived = Counter(mail["id"] for mail in smtpd.accepted())
    assert {value["state"] for value in values} == {"sent"}
    assert set(arrived) == {value["message_id"] for value in values}
    twice = {id: count - 1 for id, count in arrived.items() if count > 1}
    assert all(more <= in_flight[id] for id, more in twice.items())
    subjects = {(mail["Message-ID"], mail["Subject"]) for mail in smtpd.mails()}
    assert len(subjects) == 50, "one Message-ID, one mail"
    print(f"{len(in_flight)} mails were in flight at a kill, {sum(twice.values())} arrived again")


def _sending(tmp_path: Path, server: Server) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.sending", f"sqlite:///{tmp_path / 'logagg.db'}",
               str(server.settings["port"]), "1.0"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)})


def test_from_put_to_acceptance(smtpd: Server, store: Store, stop: threading.Event) -> None:
    """A sender that is woken gets a message accepted within 100 ms in the median of 100."""
    outbox = Outbox(store, [Ops()], SystemClock())
    sender = Sender(store, EmailChannel(smtpd.smtp()), SystemClock())
    threading.Thread(target=sender.run, args=(stop, outbox.wake), daemon=True).start()
    took_ms = []
    for number in range(100):
        put_us = time.time_ns() // 1000
        outbox.put(str(number), "ops", "subject", "text", "html")
        until(lambda n=number: len(smtpd.mails_path.read_bytes().splitlines()) > n, "it is accepted")  # type: ignore[misc]
        took_ms.append((smtpd.accepted()[-1]["at_us"] - put_us) / 1000)
    print(f"put to acceptance: median {statistics.median(took_ms):.1f} ms, most {max(took_ms):.1f} ms")
    assert statistics.median(took_ms) < 100


CONFIG = """\
[store]
url = "sqlite:///logagg.db"
[[channel]]
name = "ops"
type = "email"
to = ["ok@example.com", "nobody@example.com"]
[smtp]
host = "localhost"
port = {port}
security = "none"
from = "logagg@example.com"
"""


def test_channel_test_says_what_the_server_answers(smtpd: Server, tmp_path: Path) -> None:
    """`logagg channel test` sends at once, prints each answer, and ends with 0 only when all were accepted."""
    config = tmp_path / "logagg.toml"
    config.write_text(CONFIG.format(port=smtpd.settings["port"]))
    done = logagg("channel", "test", "ops", config=config)
    assert done.stdout.splitlines() == ["ok@example.com: accepted: 250 2.0.0 queued",
                                        "nobody@example.com: accepted: 250 2.0.0 queued"]
    assert smtpd.mails()[0]["Subject"] == "logagg: test of the channel ops"
    smtpd.mode(rcpt="550 only others")
    done = logagg("channel", "test", "ops", "--json", config=config, check=False)
    assert done.returncode == 1
    assert [row["outcome"] for row in json.loads(done.stdout)["results"]] == ["accepted", "refused"]
    assert "550 only others" in done.stdout
    assert not (tmp_path / "logagg.db").exists(), "it needs no store"
    smtpd.stop()
    done = logagg("channel", "test", "ops", config=config, check=False)
    assert done.returncode == 1 and "refused" in done.stdout and "Traceback" not in done.stderr
    done = logagg("channel", "test", "opps", config=config, check=False)
    assert done.returncode == 2 and "ops" in done.stderr
