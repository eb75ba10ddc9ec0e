"""What a person receives: the message about an incident, and its form as an e-mail."""

import base64
import email.policy
import re
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.parser import BytesParser
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from logagg.clock import StepClock
from logagg.notify.channel import Notification
from logagg.notify.incident import RAW_CHARS_MAX, RAW_LINES_MAX, IncidentMailer, incident_mail
from logagg.notify.message import SUBJECT_CHARS_MAX, address, build
from logagg.notify.outbox import Outbox
from logagg.store.memory import MemoryStore

RECORD = {
    "id": "5f0c:123456", "ts": "2026-11-20T13:10:03.123Z", "level": "ERROR", "host": "ivr-app01", "app": "xivr",
    "path": "/var/log/xivr/xivr.log", "offset": 123456, "message": "DAS call GetAccount failed in 5012 ms",
    "exception": "java.net.SocketTimeoutException: Read timed out\n\tat com.acme.das.Client.call(Client.java:71)",
}
INCIDENT: dict[str, Any] = {
    "id": "20261120T131530Z:das_failing:abcdef01", "rule": "das_failing", "labels": {"host": "ivr-app01"},
    "severity": "critical", "state": "firing", "pending_at": "2026-11-20T13:15:00Z",
    "fired_at": "2026-11-20T13:15:30Z", "resolved_at": None, "value": 0.2342, "threshold": 0.1, "late": False,
    "reason": "11 of 47 within 5m", "summary": "das_failing: 23.4 % of 47 DAS calls failed",
    "event_from": "2026-11-20T13:10:03.123Z", "event_to": "2026-11-20T13:15:20Z",
    "first": RECORD, "last": RECORD | {"id": "5f0c:130000", "offset": 130000, "exception": None},
    "send": ["ops"], "type": "ratio", "unit": "1",
}
HOSTILE = ('<script>alert(1)</script><img src=x onerror=alert(1)>"\'&\r\nBcc: evil@example.com\r\n\r\nFIRING nothing\n'
           "\x1b]0;title\x07\x1b[2J\u202egnp.exe\u2066\u200b\x00\x85\u2028" + "z\u0335" * 5 + "\u0300" * 30)

NOTE = Notification("ops@example.com", "A subject", "A text\n", "<p>A text</p>", "<one@example.com>",
                    1_763_644_530_000_000, "<thread@example.com>", {"incident": "i:1"})


class Seen(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def mail(note: Notification, to: str = "ops@example.com") -> EmailMessage:
    """The note as the receiver's program reads it."""
    raw = build(note, address("logagg <logagg@example.com>"), address(to)).as_bytes()
    assert raw.isascii() and not re.search(rb"\r(?!\n)|(?<!\r)\n", raw), "only CRLF ends lines"
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return BytesParser(EmailMessage, policy=email.policy.default).parsebytes(raw)


def parts(message: EmailMessage) -> tuple[str, str]:
    bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
    return tuple(body.get_content().replace("\r\n", "\n") for body in bodies if body)  # type: ignore[return-value]


def test_at_three_in_the_morning() -> None:
    """The text says what, how bad, where, since when, what the log says, and where to look; so does the HTML."""
    subject, text, html = incident_mail(INCIDENT, "https://logs.example.com/", "America/New_York")
    assert subject == "FIRING critical: das_failing: 23.4 % of 47 DAS calls failed (ivr-app01)"
    assert text == """\
FIRING critical: das_failing: 23.4 % of 47 DAS calls failed (ivr-app01)

rule       das_failing (ratio)
value      23.4 %, threshold 10 %
host       ivr-app01
fired      Fri 20 Nov 2026 08:15:30 EST (13:15:30Z)
events     Fri 20 Nov 2026 08:10:03 EST (13:10:03Z) to Fri 20 Nov 2026 08:15:20 EST (13:15:20Z)
because    11 of 47 within 5m

First record
  2026-11-20T13:10:03.123Z  ERROR  ivr-app01  xivr  /var/log/xivr/xivr.log byte 123,456
    DAS call GetAccount failed in 5012 ms
    java.net.SocketTimeoutException: Read timed out
        at com.acme.das.Client.call(Client.java:71)

Last record
  2026-11-20T13:10:03.123Z  ERROR  ivr-app01  xivr  /var/log/xivr/xivr.log byte 130,000
    DAS call GetAccount failed in 5012 ms

More: https://logs.example.com/incidents/20261120T131530Z:das_failing:abcdef01
"""
    seen = Seen(html)
    for line in text.splitlines()[2:-1]:
        for piece in re.split(r" {2,}", line.strip()):
            assert piece in seen.text or not piece, piece
    assert ("href", text.split()[-1]) in seen.attributes


def test_resolved_says_so() -> None:
    """A resolved incident is told from a firing one by the subject's first word, and says when it ended."""
    resolved = INCIDENT | {"state": "resolved", "resolved_at": "2026-11-20T13:40:00Z", "reason": "quiet for 5m"}
    subject, text, _ = incident_mail(resolved, None)
    assert subject.startswith("resolved: ")
    assert "resolved   Fri 20 Nov 2026 13:40:00 UTC" in text and "FIRING" not in text and "More:" not in text


@pytest.mark.parametrize(("change", "shown"), [
    ({"type": "count", "value": 1234, "threshold": 20}, "value      1,234, threshold 20\n"),
    ({"type": "count", "value": 5.5, "unit": "ms", "threshold": 2}, "value      5.5 ms, threshold 2 ms\n"),
    ({"type": "absent", "value": None, "threshold": "06:30"}, "expected   06:30\n"),
    ({"type": "event", "value": 3, "threshold": None}, "value      3\n"),
])
def test_values_have_their_units(change: dict[str, Any], shown: str) -> None:
    """A value stands against its threshold in the rule's own unit."""
    assert shown in incident_mail(INCIDENT | change, None)[1]


def test_an_incident_without_evidence_is_told_as_well() -> None:
    """Absence has no record to show, and an old incident may lack fields: the message comes nevertheless."""
    absent = INCIDENT | {"type": "absent", "value": None, "threshold": None, "labels": {}, "first": None, "last": None,
                         "event_from": None, "event_to": None, "summary": "no FTP load since midnight"}
    subject, text, html = incident_mail(absent, None)
    assert subject == "FIRING critical: das_failing: no FTP load since midnight"
    assert "ecord" not in text and "ecord" not in html
    for key in INCIDENT.keys() - {"id", "rule", "state"}:
        incident_mail({name: value for name, value in INCIDENT.items() if name != key}, None)


def test_one_record_is_shown_once_and_cut() -> None:
    """One record that is the first and the last is shown once; long lines and long traces are cut, and it says so."""
    long = RECORD | {"message": "x" * 5000, "exception": "\n".join(f"\tat line {n}" for n in range(1000))}
    _, text, _ = incident_mail(INCIDENT | {"first": long, "last": long}, None)
    assert text.count("Record\n") == 1 and "Last record" not in text
    lines = text[text.index("Record\n"):].splitlines()
    assert max(map(len, lines)) <= RAW_CHARS_MAX + 4
    assert f"    … {1001 - RAW_LINES_MAX} more lines" in lines and len(lines) == RAW_LINES_MAX + 4


def test_hostile_text_does_no_harm() -> None:
    """Log text in any place adds no tag, no attribute, no header, no line that looks like ours, and nothing unseen."""
    record = dict.fromkeys(("id", "ts", "level", "host", "app", "path", "message", "exception"), HOSTILE)
    hostile = INCIDENT | {"labels": {"host": HOSTILE}, "reason": HOSTILE, "summary": HOSTILE, "rule": "r",
                          "value": HOSTILE, "first": record, "last": record | {"id": "2"}, "severity": HOSTILE}
    plain_seen = Seen(incident_mail(INCIDENT, "https://logs.example.com")[2])
    subject, text, html = incident_mail(hostile, "https://logs.example.com")
    message = mail(replace(NOTE, subject=subject, text=text, html=html, about={"incident": HOSTILE}))
    assert sorted(message.keys()) == sorted(mail(NOTE).keys()) and message["Bcc"] is None
    assert len(message["Subject"]) <= SUBJECT_CHARS_MAX
    seen = Seen(html)
    assert seen.tags == plain_seen.tags and {name for name, _ in seen.attributes} == {
        name for name, _ in plain_seen.attributes}
    assert not any(line.startswith(("FIRING nothing", "Bcc:")) for line in text.splitlines())
    for shown in (subject, *parts(message)):
        assert "⟨U+202E⟩" in shown and "⟨U+001B⟩" in shown
        assert all(line.isprintable() for line in shown.split("\n"))
        assert "\u0300" * 5 not in shown


def test_headers() -> None:
    """Answering machines are told to be silent; date, id and thread are the notification's; one recipient is named."""
    message = mail(NOTE)
    assert message["From"] == "logagg <logagg@example.com>" and message["To"] == "ops@example.com"
    assert message["Date"] == "Thu, 20 Nov 2025 13:15:30 +0000"
    assert message["Message-ID"] == "<one@example.com>" and message["References"] == "<thread@example.com>"
    assert message["Auto-Submitted"] == "auto-generated" and message["X-Auto-Response-Suppress"] == "All"
    assert message["X-Logagg-Incident"] == "i:1"
    assert parts(message) == ("A text\n", "<p>A text</p>\n")


def test_images_by_content_id(tmp_path: Path) -> None:
    """Images from the store or from a file come with the HTML under their Content-ID; one that is missing or wrong is
    left out, the message comes nevertheless."""
    (tmp_path / "chart.png").write_bytes(b"PNG2")
    images = [{"cid": "one@logagg", "data": base64.b64encode(b"PNG1").decode()},
              {"cid": "two@logagg", "path": str(tmp_path / "chart.png")},
              {"cid": "gone@logagg", "path": str(tmp_path / "gone.png")}, {"cid": "bad@logagg", "data": "!"},
              {"cid": "a\r\nBcc: x", "data": ""}]
    message = mail(replace(NOTE, html='<img src="cid:one@logagg">', images=images))
    assert message.get_content_type() == "multipart/alternative"
    related = message.get_payload()[1]      # type: ignore[index]
    assert related.get_content_type() == "multipart/related"        # type: ignore[union-attr]
    found = [(part["Content-ID"], part.get_content(), part.get_content_type()) for part in message.walk()
             if part.get_content_maintype() == "image"]     # type: ignore[attr-defined]
    assert found == [("<one@logagg>", b"PNG1", "image/png"), ("<two@logagg>", b"PNG2", "image/png")]


@pytest.mark.parametrize(("text", "shown"), [
    ("ops@example.com", "ops@example.com"),
    ("Operations Team <ops@example.com>", "Operations Team <ops@example.com>"),
    ('"Ops, night" <ops@example.com>', '"Ops, night" <ops@example.com>'),
    ("ops@bücher.example", "ops@xn--bcher-kva.example"),
])
def test_addresses(text: str, shown: str) -> None:
    """Addresses with and without a display name, in any script."""
    assert str(address(text)) == shown


@pytest.mark.parametrize("text", ["", "ops", "@example.com", "ops@", "a@b, c@d", "a b@c", "a@b\r\nBcc: c@d", "<a@b> c",
                                  "a@b> <c@d", "a@\u202eb"])
def test_what_is_no_address(text: str) -> None:
    """Anything else is refused, so that no second recipient slips in."""
    with pytest.raises(ValueError):
        address(text)


@dataclass
class Ops:
    name: str = "ops"
    type: str = "email"
    to: tuple[str, ...] = ("a@example.com", "b@example.com")


def test_the_mailer_puts_each_state_once_and_nothing_late() -> None:
    """Firing and resolved are one message each for each recipient, however often told; late incidents send nothing."""
    clock = StepClock()
    store = MemoryStore(clock)
    outbox = Outbox(store, [Ops()], clock)
    mailer = IncidentMailer(outbox, None)
    mailer.notify(INCIDENT | {"late": True})
    assert not store.documents("outbox") and not mailer.wake.is_set()
    for incident in (INCIDENT, INCIDENT, INCIDENT | {"state": "resolved"}, INCIDENT | {"send": []}):
        mailer.notify(incident)
    subjects = sorted(value["subject"].split()[0] for value in store.documents("outbox").values())
    assert subjects == ["FIRING", "FIRING", "resolved:", "resolved:"] and mailer.wake.is_set()
    assert all(value["about"] == {"incident": INCIDENT["id"]} for value in store.documents("outbox").values())
