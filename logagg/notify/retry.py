"""What happens to a message next: pure decisions over an outbox document, with time and chance handed in.

    waiting ──claim──► sending ──accepted──► sent
       ▲                  │ ├──refused, or later for too long──► failed
       └─────later────────┘ └── lease over (its sender was killed): claimed again

A message whose acceptance nobody can tell is sent again with the same Message-ID: twice is better than never.
"""

import random
from typing import Any, Literal

from logagg.notify.channel import Answer

LEASE_S = 75.0
"""How long a claim holds. More than one delivery may take, so that two senders never have the same message at once."""

RETRY_FIRST_S = 5.0
RETRY_MAX_S = 900.0

PAUSE_MAX_S = 60.0
"""A service out of reach is tried again at least this often, however long it was away."""

GIVE_UP_S = 3 * 86400.0

Value = dict[str, Any]
Readiness = Literal["due", "later", "claimed", "final"]


def readiness(value: Value, now_us: int) -> Readiness:
    """Whether a message may be claimed now, and why not."""
    if value["state"] in ("sent", "failed"):
        return "final"
    if value["state"] == "sending" and value["claimed_until_us"] > now_us:
        return "claimed"
    if value["state"] == "waiting" and value["next_at_us"] > now_us:
        return "later"
    return "due"


def claimed(value: Value, holder: str, now_us: int, lease_s: float) -> Value:
    """The message as `holder`'s for `lease_s`. The attempt counts from here, so that one that kills its sender ends."""
    return value | {"state": "sending", "claimed_by": holder, "claimed_until_us": now_us + round(lease_s * 1e6),
                    "attempts": value["attempts"] + 1}


def settled(value: Value, answer: Answer, now_us: int, rng: random.Random) -> Value:
    """The message after `answer`. Where the service as a whole does not work, a message is due again within a
    minute, so that it need not wait for long once the service is back."""
    free = value | {"claimed_by": None, "claimed_until_us": 0}
    if answer.outcome == "accepted":
        return free | {"state": "sent", "sent_us": now_us, "error": None}
    if answer.outcome == "refused":
        return free | {"state": "failed", "error": answer.text}
    if now_us - value["created_us"] > GIVE_UP_S * 1e6:
        return free | {"state": "failed", "error": f"given up after {GIVE_UP_S / 86400:.0f} days: {answer.text}"}
    delay_s = retry_s(value["attempts"], rng, PAUSE_MAX_S if answer.everyone else RETRY_MAX_S)
    return free | {"state": "waiting", "next_at_us": now_us + round(delay_s * 1e6), "error": answer.text}


def retry_s(failures: int, rng: random.Random, max_s: float = RETRY_MAX_S) -> float:
    """5 s after the first failure, doubled with each up to `max_s`; each time somewhere in its upper half, so that
    many messages do not come back at the same moment."""
    delay_s = min(max_s, RETRY_FIRST_S * 2.0 ** min(max(failures, 1) - 1, 30))
    return delay_s * (0.5 + rng.random() / 2)
