"""A demo's logs, read line by line and counted by minute, for recount.py. Shares no code with logagg."""

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
RECORD_BYTES_MAX = 1 << 20

# ---- reading ---------------------------------------------------------------------------------------------------------

DASHED = r"(\d{4}-\d\d-\d\d.\d\d:\d\d):(\d\d)"
HEADS = {   # app: its layout in logagg.toml, and the head of its records: minute, second, ms, level, message
    "xivr": ("%d{ISO8601} %-5p [%t] %c{1} - %m%n", rf"{DASHED},(\d{{3}}) (\w+) +\[[^\]]*\] \S+ - (.*)"),
    "mpp": ("%d [%t] %-5p %c - %m%n", rf"{DASHED},(\d{{3}}) \[[^\]]*\] (\w+) +\S+ - (.*)"),
    "vip": ("%d{yyyy-MM-dd HH:mm:ss,SSS} %p %c: %m%n", rf"{DASHED},(\d{{3}}) (\w+) \S+: (.*)"),
    "dialer": ("%d{yyyy-MM-dd HH:mm:ss.SSS} %-5level %logger [%thread] %msg%n",
               rf"{DASHED}\.(\d{{3}}) (\w+) +\S+ \[[^\]]*\] (.*)"),
    "machine": ("%d{dd MMM yyyy HH:mm:ss,SSS} %-5p %c{1} - %m%n",
                r"(\d\d \w{3} \d{4} \d\d:\d\d):(\d\d),(\d{3}) (\w+) +\S+ - (.*)"),
}
BACKENDS = {"DAS": "das", "ESP": "esp", "MTI": "mti", "Appointment service": "appointment", "Outage service": "outage"}
NAMES = "|".join(BACKENDS)
MESSAGES = {    # app: event and the whole first line; {b}_… takes the backend's name
    "xivr": [
        ("call_begin", r"Callflow begin: callId=\S+ ani=\S+ dnis=\S+ app=\S+"),
        ("call_end", r"Callflow end: callId=\S+ result=\S+ durationMs=(?P<duration_ms>\d+) transfer=\S+"),
        ("identification_failed", r"Identification failed: callId=\S+ reason=\S+ attempts=\d+"),
        ("payment_ok", r"Payment accepted for callId=\S+ amount=\d+\.\d\d reference=\S+"),
        ("payment_failed", r"Payment declined for callId=\S+ (?:card=\S+ )?amount=\d+\.\d\d code=\S+"),
        ("{b}_call", rf"(?P<b>{NAMES}) call (?P<operation>\w+) completed in (?P<duration_ms>\d+) ms rc=\d+"
                     r"(?: callId=\S+)?"),
        ("{b}_failure", rf"(?P<b>{NAMES}) call (?P<operation>\w+) failed in (?P<duration_ms>\d+) ms rc=\d+ "
                        r"reason=(?P<code>\w+): .*"),
        ("{b}_failure", rf"(?P<b>{NAMES}) (?P<operation>\w+) failed after (?P<duration_ms>\d+) ms: (?P<code>\w+)"),
    ],
    "mpp": [
        ("mpp_call_failure", r"MPP \S+: call failed, error=(?P<code>\w+)(?: callId=\S+)?"),
        ("mpp_asr_failure", r"MPP \S+: ASR session failed, error=(?P<code>\w+)(?: server=\S+)?"),
        ("mpp_tts_failure", r"MPP \S+: TTS session failed, error=(?P<code>\w+)(?: server=\S+)?"),
        ("mpp_appserver_failure", r"MPP \S+: application server \S+ failed, error=(?P<code>\w+)"),
        ("mpp_promptserver_failure", r"MPP \S+: prompt server \S+ failed, error=(?P<code>\w+)"),
    ],
    "vip": [
        ("vip_start", r"VIP server starting, version=\S+, pid=\d+"),
        ("vip_stop", r"VIP server stopping, pid=\d+, reason=\w+"),
    ],
    "dialer": [
        ("ftp_load_start", r"FTP load started: file=\S+"),
        ("ftp_load_done", r"FTP load complete: file=\S+ rows=\d+ elapsed=\d+ms"),
        ("ftp_load_failure", r"FTP load failed: file=\S+ error=\S+"),
        ("outbound_call", r"Outbound call placed: callId=\S+ campaign=\S+ outcome=(?P<outcome>\w+)"),
        ("outbound_report", r"Outbound call report written: file=\S+ calls=\d+"),
    ],
    "machine": [("low_memory", r"Virtual memory low: \d+% free \(\d+ kB of \d+ kB\)")],
}


class Record(NamedTuple):
    """`minute` since the epoch, None for a line before the first record; `first_line` of the message."""

    minute: int | None
    level: str
    first_line: str
    size: int


def read(path: Path, app: str) -> Iterator[Record]:
    """A file's records. Lines that begin no record belong to the one before them; before the first, each is one."""
    head = re.compile(HEADS[app][1], re.DOTALL)
    clock = Clock()
    record: Record | None = None
    with path.open("rb") as file:           # so that only \n ends a line
        for raw in file:
            match = head.fullmatch(raw.decode("utf-8", "replace").rstrip("\n"))
            if match is None and record is not None:
                record = record._replace(size=record.size + len(raw))
            elif match is None:
                yield Record(None, "", "", len(raw))
            else:
                if record is not None:
                    yield record
                minute, second, ms, level, message = match.groups()
                record = Record(clock.minute(minute, int(second) * 1000 + int(ms)), level, message, len(raw))
    if record is not None:
        yield record


class Clock:
    """Local times -> minutes since the epoch. In the hour that comes twice, time going back begins the second."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int, int]] = {}
        self._last = (0, 0)
        self._second = False

    def minute(self, text: str, ms: int) -> int:
        if text not in self._known:
            form = "%d %b %Y %H:%M" if text[2] == " " else f"%Y-%m-%d{text[10]}%H:%M"
            local = datetime.strptime(text, form)
            self._known[text] = (int(local.replace(tzinfo=UTC).timestamp()) // 60,
                                 *(int(local.replace(tzinfo=ZONE, fold=fold).timestamp()) // 60 for fold in (0, 1)))
        wall, first, second = self._known[text]
        if first == second:
            self._second = False
        elif (wall, ms) < self._last:
            self._second = True
        self._last = (wall, ms)
        return second if self._second else first


# ---- counting --------------------------------------------------------------------------------------------------------

PER_HOST = {
    "calls": "call_begin", "calls_ended": "call_end", "identification_failures": "identification_failed",
    "payments_ok": "payment_ok", "payments_failed": "payment_failed", "vip_starts": "vip_start",
    "vip_stops": "vip_stop", "ftp_loads_started": "ftp_load_start", "ftp_loads_done": "ftp_load_done",
    "ftp_load_failures": "ftp_load_failure", "outbound_reports": "outbound_report", "low_memory_warnings": "low_memory",
}
COUNTERS = {    # metric: its events and labels
    "records": ((), ("app", "host", "level")),
    "rejects": ((), ("app", "host", "reason")),
    **{metric: ((event,), ("host",)) for metric, event in PER_HOST.items()},
    **{f"{b}_calls": ((f"{b}_call", f"{b}_failure"), ("host", "operation")) for b in BACKENDS.values()},
    **{f"{b}_failures": ((f"{b}_failure",), ("host", "operation", "code")) for b in BACKENDS.values()},
    **{f"mpp_{part}_failures": ((f"mpp_{part}_failure",), ("host", "code"))
       for part in ("call", "asr", "tts", "appserver", "promptserver")},
    "outbound_calls": (("outbound_call",), ("host", "outcome")),
}
DISTRIBUTIONS = {   # metric: its event and labels; the field is duration_ms
    "call_time": ("call_end", ()),
    **{f"{b}_time": (f"{b}_call", ("operation",)) for b in BACKENDS.values()},
}
RATIOS = {  # metric: the counters whose sum is its part, and its whole
    "payment_failure_rate": (("payments_failed",), ("payments_failed", "payments_ok")),
    **{f"{b}_failure_rate": ((f"{b}_failures",), (f"{b}_calls",)) for b in BACKENDS.values()},
}

COUNTERS_OF = defaultdict(list)
DISTRIBUTIONS_OF = defaultdict(list)
for _metric, (_events, _labels) in COUNTERS.items():
    for _event in _events:
        COUNTERS_OF[_event].append((_metric, _labels))
for _metric, (_event, _labels) in DISTRIBUTIONS.items():
    DISTRIBUTIONS_OF[_event].append((_metric, _labels))

Labels = tuple[tuple[str, str], ...]
Row = dict[str, Any]


def labelled(names: Iterable[str], about: dict[str, str]) -> Labels:
    return tuple((name, about[name]) for name in sorted(names))


class Recount:
    """What the logs hold, by minute. `values[metric][labels][minute]` is a list: the field's values, or a 1 each."""

    def __init__(self, demo: Path) -> None:
        self.values: dict[str, dict[Labels, dict[int, list[int]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list)))
        self.events: Counter[tuple[str, str, int]] = Counter()      # (event, host, minute)
        self.records: Counter[str] = Counter()                      # by "<app>@<host>"
        self.files: dict[tuple[str, str, str], Counter[str]] = {}   # (host, app, path): records, rejects …
        for source in tomllib.loads((demo / "logagg.toml").read_text())["source"]:
            host, app = source["host"], source["app"]
            if (source["layout"], source["timezone"]) != (HEADS[app][0], ZONE.key):
                raise SystemExit(f"{demo}/logagg.toml: {app}@{host} layout or zone unknown to this script")
            for path in sorted(path for pattern in source["paths"] for path in demo.glob(pattern)):
                self._file(demo, path, host, app)

    def _file(self, demo: Path, path: Path, host: str, app: str) -> None:
        messages = [(event, re.compile(text)) for event, text in MESSAGES[app]]
        totals: Counter[str] = Counter(bytes=path.stat().st_size)
        last: int | None = None
        for minute, level, first_line, size in read(path, app):
            if minute is None or size > RECORD_BYTES_MAX:
                totals["rejects"] += 1
                totals["rejected_bytes"] += size
                if last is not None:    # a reject has no time: it counts at the last one, or in the ledger alone
                    too_long = {"app": app, "host": host, "reason": "too_long"}
                    self.values["rejects"][labelled(too_long, too_long)][last].append(1)
                continue
            totals["records"] += 1
            last = minute
            about = {"app": app, "host": host, "level": level}
            self.values["records"][labelled(("app", "host", "level"), about)][minute].append(1)
            for event, pattern in messages:
                match = pattern.fullmatch(first_line)
                if match:
                    self._event(event, host, minute, {**about, **match.groupdict()})
                    break
        self.records[f"{app}@{host}"] += totals["records"]
        self.files[host, app, path.relative_to(demo).as_posix()] = totals

    def _event(self, event: str, host: str, minute: int, about: dict[str, str]) -> None:
        event = event.format(b=BACKENDS.get(about.get("b", ""), ""))
        self.events[event, host, minute] += 1
        for metric, labels in COUNTERS_OF[event]:
            self.values[metric][labelled(labels, about)][minute].append(1)
        for metric, labels in DISTRIBUTIONS_OF[event]:
            self.values[metric][labelled(labels, about)][minute].append(int(about["duration_ms"]))

    def grouped(self, metric: str, group: Callable[[int], int | None]) -> dict[tuple[Labels, int], list[int]]:
        """The values of (labels, group) for each group of minutes; `group` answers None for minutes left out."""
        found: dict[tuple[Labels, int], list[int]] = defaultdict(list)
        for labels, minutes in self.values[metric].items():
            for minute, values in minutes.items():
                key = group(minute)
                if key is not None:
                    found[labels, key].extend(values)
        return found


def numbers(metric: str, values: list[int]) -> Row:
    """The statistics of one group of values; a counter has none but count and sum."""
    row: Row = {"count": len(values), "sum": sum(values), "min": None, "max": None, "mean": None,
                "median": None, "p95": None, "p99": None}
    if metric in DISTRIBUTIONS and values:
        ranked = sorted(values)
        row |= {"min": ranked[0], "max": ranked[-1], "mean": sum(ranked) / len(ranked)}
        for name, percent in (("median", 50), ("p95", 95), ("p99", 99)):
            row[name] = ranked[-(-percent * len(ranked) // 100) - 1]     # nearest rank
    return row


# ---- time ------------------------------------------------------------------------------------------------------------


def first_minute(day: date) -> int:
    """The minute since the epoch at which a local day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp()) // 60


def local_date(minute: int) -> date:
    return datetime.fromtimestamp(minute * 60, ZONE).date()


def window(step: str, minute: int) -> tuple[int, int]:
    """The bucket [start, end) that a minute belongs to, in minutes since the epoch."""
    if step in ("minute", "hour"):
        length = 60 if step == "hour" else 1
        return minute // length * length, minute // length * length + length
    first = local_date(minute)
    if step == "day":
        after = first + timedelta(days=1)
    elif step == "week":
        first -= timedelta(days=first.weekday())
        after = first + timedelta(days=7)
    else:
        first = first.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    return first_minute(first), first_minute(after)


def utc(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def minute_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 60
