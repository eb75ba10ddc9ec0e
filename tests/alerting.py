"""A VIP server's log, a service that follows it, and a mail server: from a written line to an accepted mail."""

import base64
import re
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.smtpd import Server, message

CONFIG = """\
timezone = "UTC"

[store]
url = "{url}"

[[source]]
app = "vip"
host = "vip01"
paths = ["vip.log"]
layout = "%d{{ISO8601}} %p %c: %m%n"
timezone = "UTC"
packs = ["callcenter"]

[[rule]]
name = "vip_down"
type = "event"
event = ["vip_stop"]
by = ["pid"]
severity = "critical"
send = ["ops"]

[[channel]]
name = "ops"
type = "email"
to = ["ops@example.com"]

[smtp]
host = "127.0.0.1"
port = {port}
security = "none"
from = "logagg@example.com"
"""


class Vip:
    """The log of a VIP server that stops again and again, each time under another process number."""

    def __init__(self, folder: Path, server: Server, url: str) -> None:
        self.server = server
        self.log = folder / "vip.log"
        self.config = folder / "logagg.toml"
        self.config.write_text(CONFIG.format(url=url, port=server.smtp().port))
        self.written_us: dict[int, int] = {}

    def stops(self, pid: int) -> None:
        """Write one last line, and note when."""
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds").replace(".", ",")
        with self.log.open("a") as file:
            file.write(f"{now} ERROR VipServer: VIP server stopping, pid={pid}, reason=crash\n")
        self.written_us[pid] = time.time_ns() // 1000

    def mailed(self) -> dict[int, list[tuple[int, str]]]:
        """By process number: when the server accepted a mail that tells of it as firing, and its Message-ID."""
        found: dict[int, list[tuple[int, str]]] = {}
        for accepted in self.server.accepted():
            mail = message(base64.b64decode(accepted["raw"]))
            text = mail.get_body(("plain",))
            assert text is not None
            numbers = set(re.findall(r"stopping, pid=(\d+),", text.get_content()))
            if "FIRING" in str(mail["Subject"]) and len(numbers) == 1:
                found.setdefault(int(numbers.pop()), []).append((accepted["at_us"], accepted["id"]))
        return found
