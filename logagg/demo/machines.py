"""A day of the quieter applications: the VIP server, the outbound dialer with its data loads, the machine monitor."""

import random
from collections.abc import Iterator

from logagg.demo.days import Day
from logagg.demo.incidents import Entry, Plan
from logagg.demo.texts import JVM_BANNER

_MINUTE_MS = 60_000
_MEMORY_KB = 8_388_608


def vip_day(seed: int, day: Day, plan: Plan) -> list[Entry]:
    """A heartbeat every five minutes, the nightly restart at 03:30, and the restart that nobody wanted."""
    rng = random.Random(f"{seed}/{day.date}/vip01/vip")
    entries = [
        (at + rng.randrange(_MINUTE_MS), "DEBUG", "", "com.acme.vip.Registry", f"{rng.randrange(40, 80)} speech "
         "sessions registered", "")
        for at in range(day.start_ms, day.end_ms, 5 * _MINUTE_MS)
    ]
    pid = rng.randrange(2000, 30_000)
    entries += _vip_restart(rng, day.at("03:30"), pid, "nightly_restart", "INFO")
    for incident in plan.active("vip_restart", "vip01"):
        if day.start_ms <= incident.from_ms < day.end_ms:
            entries += _vip_restart(rng, incident.from_ms + 61_307, pid + 811, "heap_exhausted", "ERROR")
    return entries


def _vip_restart(rng: random.Random, at: int, pid: int, reason: str, level: str) -> Iterator[Entry]:
    # The new process writes its JVM's banner into the same file: further lines of the record before it.
    stop = f"VIP server stopping, pid={pid}, reason={reason}"
    yield at, level, "", "com.acme.vip.Main", "\n".join((stop, *JVM_BANNER[:2])), "vip_stop"
    at += rng.randrange(25_000, 70_000)
    yield at, "INFO", "", "com.acme.vip.Main", f"VIP server starting, version=7.2.{rng.randrange(3)}, " \
        f"pid={pid + rng.randrange(3, 700)}", "vip_start"


def dialer_day(seed: int, day: Day, plan: Plan) -> list[Entry]:
    """Data loads from 06:05 (due at 06:30), calls from 08:00 to 20:00, a report of them at 20:15."""
    rng = random.Random(f"{seed}/{day.date}/dialer01/dialer")
    entries = [
        (at + rng.randrange(_MINUTE_MS), "DEBUG", "scheduler", "com.acme.dialer.Scheduler",
         f"Campaign queue: {rng.randrange(900)} contacts wait", "")
        for at in range(day.start_ms, day.end_ms, 4 * _MINUTE_MS)
    ]
    outage = day.date in plan.outage_days
    if outage:
        entries += _failing_loads(rng, day, plan.outage_days.index(day.date))
    else:
        entries += _loads(rng, day)
    # Without fresh data only the contacts left over from earlier days are called.
    count = round((260 if day.weekend else 640) * (0.4 if outage else 1) * rng.uniform(0.9, 1.1))
    for at in day.arrivals(rng, count, ("08:00", "20:00")):
        outcome = rng.choices(("answered", "no_answer", "busy", "voicemail", "failed"), (46, 25, 8, 18, 3))[0]
        campaign = rng.choice(("payment_reminder", "appointment", "planned_outage"))
        entries.append((at, "INFO", f"line-{rng.randrange(1, 25):02d}", "com.acme.dialer.Dialer",
                        f"Outbound call placed: callId=o-{rng.getrandbits(40):010x} campaign={campaign} "
                        f"outcome={outcome}", "outbound_call"))
    entries.append((day.at("20:15") + rng.randrange(50_000), "INFO", "reports", "com.acme.dialer.Reports",
                    f"Outbound call report written: file=/var/dialer/outbound_{day.date}.csv calls={count}",
                    "outbound_report"))
    return entries


def _loads(rng: random.Random, day: Day) -> Iterator[Entry]:
    at = day.at("06:05")
    for name in ("customers", "accounts", "campaigns"):
        file = f"{name}_{day.date:%Y%m%d}.csv"
        at += rng.randrange(300, 20_000)
        yield at, "INFO", "ftp-1", "com.acme.dialer.FtpLoader", f"FTP load started: file={file}", "ftp_load_start"
        elapsed_ms = rng.randrange(70_000, 280_000)
        at += elapsed_ms
        yield at, "INFO", "ftp-1", "com.acme.dialer.FtpLoader", f"FTP load complete: file={file} " \
            f"rows={rng.randrange(20_000, 90_000)} elapsed={elapsed_ms}ms", "ftp_load_done"


def _failing_loads(rng: random.Random, day: Day, number: int) -> Iterator[Entry]:
    """A morning of the outage: three tries, each failing; on its third morning nothing starts at all."""
    if number == 2:
        yield day.at("06:05") + 1200, "WARN", "ftp-1", "com.acme.dialer.FtpLoader", "Loader is suspended", ""
        return
    file = f"customers_{day.date:%Y%m%d}.csv"
    for clock, code in (("06:05", "CONNECTION_REFUSED"), ("06:15", "LOGIN_DENIED"), ("06:45", "CONNECTION_REFUSED")):
        at = day.at(clock) + rng.randrange(300, 9000)
        yield at, "INFO", "ftp-1", "com.acme.dialer.FtpLoader", f"FTP load started: file={file}", "ftp_load_start"
        at += rng.randrange(21_000, 31_000)
        yield at, "ERROR", "ftp-1", "com.acme.dialer.FtpLoader", f"FTP load failed: file={file} error={code}", \
            "ftp_load_failure"


def machine_day(seed: int, day: Day, plan: Plan) -> list[Entry]:
    """A line of figures each minute, one or two passing warnings a day, and the minutes of the incident."""
    rng = random.Random(f"{seed}/{day.date}/mon01/machine")
    entries = [
        (at + rng.randrange(_MINUTE_MS), "INFO", "", "Figures", f"cpu={rng.randrange(3, 70)}% mem="
         f"{rng.randrange(40, 85)}% load={rng.random() * 4:.2f} disk=/var:{rng.randrange(35, 60)}%", "")
        for at in range(day.start_ms, day.end_ms, _MINUTE_MS)
    ]
    for _ in range(rng.randrange(1, 3)):
        entries.append(_low_memory(rng.randrange(day.start_ms, day.end_ms), rng.randrange(7, 10)))
    for incident in plan.active("low_memory", "mon01"):
        if day.start_ms <= incident.from_ms < day.end_ms:
            minutes = range(incident.from_ms, incident.to_ms, _MINUTE_MS)
            entries += [_low_memory(at + rng.randrange(_MINUTE_MS), max(1, 9 - number // 5))
                        for number, at in enumerate(minutes)]
    return entries


def _low_memory(at: int, free_percent: int) -> Entry:
    text = f"Virtual memory low: {free_percent}% free ({_MEMORY_KB * free_percent // 100} kB of {_MEMORY_KB} kB)"
    return at, "WARN", "", "Memory", text, "low_memory"
