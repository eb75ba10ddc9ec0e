"""A day of call flows: what one voice application server writes, and what the media platform writes about its calls.

A call begins, the caller is identified, asks for this and that (each a few backend calls), perhaps pays, and ends;
all its records share the call id.
"""

import math
import random

from logagg.demo.days import Day
from logagg.demo.incidents import Entry, Incident, Plan
from logagg.demo.texts import BACKENDS, DETAILS, NOISE_RARE, NOISE_XIVR, ODD_CALLERS, STACK, Backend

CALLS_PER_DAY = 3600
"""Calls that one server takes on a working day."""

_CALL_MS_MAX = 5 * 60_000
_HEARTBEAT_MS = 300_000

_WISHES = (
    (0.38, (("das", "getBalance"),)),
    (0.14, (("das", "getBalance"), ("esp", "getPaymentMethods"))),
    (0.18, (("outage", "checkOutage"),)),
    (0.06, (("outage", "checkOutage"), ("outage", "reportOutage"))),
    (0.08, (("mti", "getMeterReading"),)),
    (0.05, (("mti", "getMeterReading"), ("mti", "submitReading"))),
    (0.07, (("esp", "getCustomerProfile"), ("appointment", "getSlots"), ("appointment", "bookSlot"))),
    (0.04, (("das", "getHistory"), ("das", "updateContact"))),
)
_WISH_WEIGHTS = [weight for weight, _ in _WISHES]
_PAYING = 1     # the wish that ends in a payment

_MPP_FAILURES = (
    ("mpp_call_failure", "call failed, error={code}", ("LINE_DROP", "NO_ANSWER", "SIP_503")),
    ("mpp_asr_failure", "ASR session failed, error={code}", ("NO_LICENSE", "RTSP_TIMEOUT")),
    ("mpp_tts_failure", "TTS session failed, error={code}", ("VOICE_NOT_FOUND", "RTSP_TIMEOUT")),
    ("mpp_appserver_failure", "application server http://ivr-app01:8080/xivr/start failed, error={code}",
     ("HTTP_500", "CONNECT_TIMEOUT")),
    ("mpp_promptserver_failure", "prompt server http://prompts.example.net/en failed, error={code}",
     ("HTTP_404", "CONNECT_TIMEOUT")),
)
_MPP_TRAILERS = {"mpp_call_failure": " callId={call}", "mpp_asr_failure": " server=asr0{n}",
                 "mpp_tts_failure": " server=tts0{n}"}


class CallDay:
    """The entries of one day of one voice application server: `xivr` its own, `mpp` those of the media platform."""

    def __init__(self, seed: int, day: Day, host: str, plan: Plan, last: bool) -> None:
        """`last`: the logs end with this day, so every call has to end in it."""
        self.xivr: list[Entry] = []
        self.mpp: list[Entry] = []
        self._rng = random.Random(f"{seed}/{day.date}/{host}/calls")
        self._host = host
        self._das_failing = plan.active("das_failure_burst", host)
        self._no_payments = plan.active("payments_stopped", host)
        count = round(CALLS_PER_DAY * (0.45 if day.weekend else 1.0) * self._rng.uniform(0.96, 1.04))
        for begin in day.arrivals(self._rng, count):
            if not last or begin < day.end_ms - _CALL_MS_MAX:
                self._call(begin)
        self._background(day)

    def _call(self, begin: int) -> None:
        rng, call = self._rng, f"c-{self._rng.getrandbits(40):010x}"
        thread = f"http-8080-exec-{rng.randrange(1, 41)}"
        ani = rng.choice(ODD_CALLERS) if rng.random() < 0.04 else f"212555{rng.randrange(10_000):04d}"
        app = rng.choice(("billing", "billing", "outages", "service"))
        self._xivr(begin, "INFO", thread, "CallFlow",
                   f"Callflow begin: callId={call} ani={ani} dnis=8005550{rng.randrange(100, 104)} app={app}",
                   "call_begin")
        self._media(begin, call)
        at, noise = begin, rng.sample(NOISE_XIVR, 3)
        at = self._noise(at, thread, call, noise[0])
        if rng.random() < 0.06:
            at, result = self._unidentified(at, thread, call), "not_identified"
        else:
            at = self._backend(at + rng.randrange(800, 9000), "das", "getAccount", thread, call)
            at, result = self._wish(at, thread, call, noise)
        at += rng.randrange(500, 20_000)
        transfer = "agents" if rng.random() < 0.12 else "none"
        self._xivr(at, "INFO", thread, "CallFlow", f"Callflow end: callId={call} result={result} "
                   f"durationMs={at - begin} transfer={transfer}", "call_end")

    def _wish(self, at: int, thread: str, call: str, noise: list[tuple[str, str, str]]) -> tuple[int, str]:
        rng = self._rng
        number = rng.choices(range(len(_WISHES)), _WISH_WEIGHTS)[0]
        for backend, operation in _WISHES[number][1]:
            at = self._noise(at, thread, call, noise[1])
            at = self._backend(at + rng.randrange(1500, 15_000), backend, operation, thread, call)
        if number == _PAYING:
            at = self._payment(at + rng.randrange(8000, 40_000), thread, call)
        at = self._noise(at, thread, call, noise[2])
        return at, "hangup" if rng.random() < 0.2 else "completed"

    def _backend(self, start: int, name: str, operation: str, thread: str, call: str) -> int:
        """One backend call that begins at `start`; its record is written when it has ended, the answer."""
        rng, backend = self._rng, BACKENDS[name]
        ms = max(3, int(rng.lognormvariate(math.log(backend.median_ms), backend.sigma)))
        failing = backend.failing
        if name == "das" and _any_covers(self._das_failing, start):
            failing = 0.42
        if rng.random() >= failing:
            trailer = f" callId={call}" if rng.random() < 0.8 else ""
            self._xivr(start + ms, "INFO", thread, backend.logger,
                       f"{backend.title} call {operation} completed in {ms} ms rc=0{trailer}", f"{name}_call")
            return start + ms
        code = rng.choice(backend.codes)
        if code.upper() == "TIMEOUT":
            ms = 5000 + rng.randrange(0, 60)
        self._xivr(start + ms, "ERROR", thread, backend.logger,
                   self._failure(backend, operation, ms, code, call), f"{name}_failure")
        return start + ms

    def _failure(self, backend: Backend, operation: str, ms: int, code: str, call: str) -> str:
        rng = self._rng
        if rng.random() < 0.2:
            text = f"{backend.title} {operation} failed after {ms} ms: {code}"
        else:
            detail = DETAILS[code].format(ms=ms, call=call)
            text = (f"{backend.title} call {operation} failed in {ms} ms rc={rng.choice((12, 500, 504))} "
                    f"reason={code}: {detail}")
        if backend.event == "das" and rng.random() < 0.5:
            stack = "\n".join(STACK).format(pkg=backend.event, client=backend.logger, operation=operation, code=code)
            text = f"{text}\n{stack}"
        return text

    def _payment(self, at: int, thread: str, call: str) -> int:
        rng = self._rng
        if _any_covers(self._no_payments, at):
            self._xivr(at, "WARN", thread, "Payments", f"Payment page left without an answer, callId={call}")
            return at
        amount = f"{rng.lognormvariate(4.2, 0.6):.2f}"
        if rng.random() < 0.05:
            card = f"card=************{rng.randrange(10_000):04d} " if rng.random() < 0.8 else ""
            code = rng.choice(("DECLINED", "DECLINED", "EXPIRED_CARD", "CVV_MISMATCH"))
            self._xivr(at, "WARN", thread, "Payments",
                       f"Payment declined for callId={call} {card}amount={amount} code={code}", "payment_failed")
        else:
            self._xivr(at, "INFO", thread, "Payments", f"Payment accepted for callId={call} amount={amount} "
                       f"reference=P{rng.randrange(10**8):08d}", "payment_ok")
        return at

    def _unidentified(self, at: int, thread: str, call: str) -> int:
        rng = self._rng
        at += rng.randrange(9000, 40_000)
        reason = rng.choice(("account_unknown", "pin_mismatch", "no_input"))
        self._xivr(at, "WARN", thread, "Identification",
                   f"Identification failed: callId={call} reason={reason} attempts={rng.randrange(1, 4)}",
                   "identification_failed")
        return at

    def _media(self, begin: int, call: str) -> None:
        """What the media platform writes about a call; one of 120 has a failure there."""
        rng = self._rng
        thread, server = f"sess-{rng.randrange(1, 121):03d}", f"mpp0{rng.randrange(1, 3)}"
        self.mpp.append((begin, "INFO", thread, "com.acme.mpp.SessionManager",
                         f"Session opened on {server} for callId={call} codec=G.711u", ""))
        if rng.random() < 1 / 120:
            event, text, codes = rng.choice(_MPP_FAILURES)
            trailer = _MPP_TRAILERS.get(event, "") if rng.random() < 0.6 else ""
            text = (text + trailer).format(code=rng.choice(codes), call=call, n=rng.randrange(1, 4))
            self.mpp.append((begin + rng.randrange(2000, 9000), "ERROR", thread, "com.acme.mpp.Media",
                             f"MPP {server}: {text}", event))

    def _background(self, day: Day) -> None:
        """A sign of life every five minutes, and a few odd records a day."""
        rng = self._rng
        for at in range(day.start_ms, day.end_ms, _HEARTBEAT_MS):
            self._xivr(at + rng.randrange(60_000), "INFO", "monitor", "Heartbeat",
                       f"Alive: heap={rng.randrange(300, 1700)}M threads={rng.randrange(60, 90)}")
            if self._host.endswith("1"):
                self.mpp.append((at + rng.randrange(60_000), "DEBUG", "ports", "com.acme.mpp.Ports",
                                 "Ports in service: 120 of 120", ""))
        for level, logger, text in NOISE_RARE:
            self._xivr(rng.randrange(day.start_ms, day.end_ms), level, "http-8080-exec-7", logger, text)

    def _noise(self, at: int, thread: str, call: str, noise: tuple[str, str, str]) -> int:
        at += self._rng.randrange(50, 900)
        self._xivr(at, noise[0], thread, noise[1], noise[2].replace("{call}", call))
        return at

    def _xivr(self, at: int, level: str, thread: str, logger: str, message: str, event: str = "") -> None:
        self.xivr.append((at, level, thread, logger, message, event))


def _any_covers(incidents: list[Incident], ts_ms: int) -> bool:
    return any(incident.covers(ts_ms) for incident in incidents)
