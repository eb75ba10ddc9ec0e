"""What every channel does, whatever it speaks. A new kind of channel adds its rig to RIGS."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from logagg.notify.channel import Answer, Channel, Notification
from logagg.notify.email import EmailChannel
from logagg.notify.smtp import Limits
from tests.smtpd import Server

SECRET = "korrekt-Pferd-9"

NOTE = Notification("ops@example.com", "A subject", "A text\n", "<p>A text</p>", "<one@example.com>",
                    1_700_000_000_000_000)


class Rig(Protocol):
    """A channel with its service, which can be told to behave."""

    channel: Channel

    def behave(self, how: str) -> None:
        """One of the first column of RETRY_TABLE."""
        ...

    def arrived(self) -> list[str]:
        """The Message-IDs that the service has taken since this was asked last, with repetitions."""
        ...

    def close(self) -> None: ...


class EmailRig:
    def __init__(self, folder: Path) -> None:
        self.server = Server(folder, user="alice", password=SECRET)
        self.server.start()
        self.password_file = folder / "password"
        self.password_file.write_text(SECRET + "\n")
        self.channel: Channel = EmailChannel(
            self.server.smtp(user="alice", password_file=self.password_file), Limits(0.5, 0.4, 1))
        self.asked = 0

    def behave(self, how: str) -> None:
        steps = {"refuses the recipient": {"rcpt": "550 5.1.1 nobody here"},
                 "refuses the content": {"data": "554 5.7.1 no"},
                 "asks to come later": {"rcpt": "450 4.7.1 greylisted"},
                 "is too busy": {"connect": "421 4.3.2 too many connections"},
                 "hangs at first": {"connect": "hang"},
                 "says one letter after the other": {"connect": "drip"},
                 "hangs in the middle": {"rcpt": "hang"},
                 "hangs behind the message": {"data": "hang"},
                 "ends before the message": {"rcpt": "drop"},
                 "takes the message and ends": {"data": "drop_after"}}.get(how, {})
        self.server.mode(**steps)
        if how == "is down":
            self.server.stop()
        elif self.server.process is None:
            self.server.start()
        self.password_file.write_text("wrong-" + SECRET if how == "refuses the secret" else SECRET + "\n")
        if how == "refuses the secret":
            self.channel.rest()         # the secret matters for new connections

    def arrived(self) -> list[str]:
        new = [mail["id"] for mail in self.server.accepted()[self.asked:]]
        self.asked += len(new)
        return new

    def close(self) -> None:
        self.channel.rest()
        self.server.stop()


RIGS = {"email": EmailRig}

RETRY_TABLE = [
    # the service …                      outcome     everyone
    ("accepts", "accepted", False),
    ("refuses the recipient", "refused", False),
    ("refuses the content", "refused", False),
    ("asks to come later", "later", False),
    ("is too busy", "later", True),
    ("is down", "later", True),
    ("hangs at first", "later", True),
    ("says one letter after the other", "later", True),
    ("hangs in the middle", "later", True),
    ("ends before the message", "later", True),
    ("hangs behind the message", "unknown", True),
    ("takes the message and ends", "unknown", True),
    ("refuses the secret", "later", True),
]


@pytest.fixture(scope="module", params=RIGS)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = RIGS[request.param](tmp_path_factory.mktemp(request.param))
    yield made
    made.close()


@pytest.fixture
def rig(service: Rig) -> Rig:
    service.channel.rest()
    service.behave("accepts")
    service.arrived()
    return service


@pytest.mark.parametrize(("how", "outcome", "everyone"), RETRY_TABLE, ids=[row[0] for row in RETRY_TABLE])
@pytest.mark.parametrize("connected", [False, True], ids=["at once", "after a message"])
def test_retry_table(rig: Rig, how: str, outcome: str, everyone: bool, connected: bool) -> None:
    """What may help to try again is told from what never will, whether a connection is open already or not; and once
    the service works again, the same message gets through and has arrived, more than once only after "unknown"."""
    before = 0
    if connected:
        assert rig.channel.send(NOTE).outcome == "accepted"
        before = 1
    rig.behave(how)
    if connected and how in ("is too busy", "hangs at first", "says one letter after the other"):
        rig.channel.rest()
    answer = rig.channel.send(NOTE)
    assert (answer.outcome, answer.everyone) == (outcome, everyone), answer
    rig.behave("accepts")
    assert rig.channel.send(NOTE).outcome == "accepted"
    first = 1 if outcome == "accepted" or how == "takes the message and ends" else 0
    assert rig.arrived() == [NOTE.message_id] * (before + first + 1)


@pytest.mark.parametrize("how", [row[0] for row in RETRY_TABLE])
def test_errors_leak_no_secret(rig: Rig, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """No answer and no log line holds the secret, even where the service repeats what it was told."""
    with caplog.at_level(logging.DEBUG):
        rig.behave(how)
        answer: Answer = rig.channel.send(NOTE)
        rig.channel.rest()
    said = answer.text + repr(answer) + caplog.text + repr(rig.channel)
    assert SECRET not in said
    assert answer.text and answer.text.isprintable() and len(answer.text) <= 400


def test_hostile_texts(rig: Rig) -> None:
    """A message with line ends, controls and surrogates anywhere in it is delivered or refused, never raised."""
    hostile = 'a\r\nBcc: evil@example.com\r\n\r\n.\r\nQUIT\r\n\x00\x1b[31m\u202e\ud800 <script>'
    note = Notification("ops@example.com", hostile, hostile, hostile, "<two@example.com>", 0, "", {"incident": hostile},
                        [{"cid": hostile, "data": "!"}, {"cid": "a", "path": "/nowhere"}])
    assert rig.channel.send(note).outcome == "accepted"
    assert rig.channel.send(NOTE).outcome == "accepted"
    assert rig.arrived() == ["<two@example.com>", NOTE.message_id]
    for to in ("", "nobody", "a@b\r\nRCPT TO:<evil@example.com>", "a b@c", "a@b, c@d", "a@b> <c@d", "a@", "@b"):
        note = Notification(to, "", "", "", "<three@example.com>", 0)
        assert rig.channel.send(note).outcome == "refused"
