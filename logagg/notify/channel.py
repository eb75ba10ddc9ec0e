"""A way to reach people, as a contract. tests/contract/test_channel.py is the suite that every channel passes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Outcome = Literal["accepted", "refused", "later", "unknown"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one message.

    "accepted": the service has taken it over. "refused": it never will, trying again is useless. "later": it has
    not taken it, and may do so another time. "unknown": it may have taken it, nobody can tell (RFC 1047).
    `everyone`: the reason does not lie in this message, so the next one would fare the same (out of reach, wrong
    password). `text` is for a person: harmless to print, without any secret.
    """

    outcome: Outcome
    text: str
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    """One message for one recipient.

    `message_id` stays the same however often it is tried; `thread` is equal for messages about the same thing.
    `images` are {"cid": text, "data": base64} or {"cid": text, "path": file}, in PNG.
    """

    to: str
    subject: str
    text: str
    html: str
    message_id: str
    created_us: int
    thread: str = ""
    about: Mapping[str, str] | None = None
    images: Sequence[Mapping[str, Any]] = ()


class Channel(Protocol):
    """Brings messages to one service. Used from one thread."""

    def send(self, notification: Notification) -> Answer:
        """Deliver one message within a bounded time. Never raises for what a service, network or message may do."""
        ...

    def rest(self) -> None:
        """Nothing more to send for now: give back what is held open, in bounded time."""
        ...


class SmtpSettings(Protocol):
    """The table [smtp], checked. `security` is "starttls", "tls" or "none"; `sender` is its `from`, an address with or
    without a display name."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def security(self) -> str: ...
    @property
    def user(self) -> str | None: ...
    @property
    def password_file(self) -> Any: ...
    @property
    def sender(self) -> str: ...


class ChannelSettings(Protocol):
    """A table [[channel]], checked."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def to(self) -> tuple[str, ...]: ...
