"""Entries -> log files, as the applications' own appenders would write and rotate them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from logagg.demo.days import ZONE, Day
from logagg.demo.incidents import Entry
from logagg.demo.texts import JVM_BANNER

_SEGMENT_BYTES = 5_000_000
_BLOCK_ENTRIES = 4000

Line = Callable[[str, str, Entry], str]


@dataclass(frozen=True)
class Writer:
    """How one app on one host writes: its layout twice (as configured, and as Python), its rotation, its banner.

    `rotation` is "size" (app.log, app.log.1 the file before it …) or "day" (app.log, older days app.log.2026-11-20).
    """

    host: str
    app: str
    layout: str
    line: Line
    rotation: str
    banner: str = ""

    @property
    def pattern(self) -> str:
        """The glob of its files, relative to the demo's folder."""
        return f"logs/{self.host}/{self.app}.log*"


WRITERS = (
    *(
        Writer(host, "xivr", "%d{ISO8601} %-5p [%t] %c{1} - %m%n",
               lambda second, ms, entry: f"{second},{ms} {entry[1]:<5} [{entry[2]}] {entry[3]} - {entry[4]}\n",
               "size", banner)
        for host, banner in (("ivr-app01", ""), ("ivr-app02", "jvm"))
    ),
    Writer("mpp01", "mpp", "%d [%t] %-5p %c - %m%n",
           lambda second, ms, entry:
           f"{second[:10]} {second[11:]},{ms} [{entry[2]}] {entry[1]:<5} {entry[3]} - {entry[4]}\n", "size"),
    Writer("vip01", "vip", "%d{yyyy-MM-dd HH:mm:ss,SSS} %p %c: %m%n",
           lambda second, ms, entry: f"{second[:10]} {second[11:]},{ms} {entry[1]} {entry[3]}: {entry[4]}\n",
           "day", "jvm"),
    Writer("dialer01", "dialer", "%d{yyyy-MM-dd HH:mm:ss.SSS} %-5level %logger [%thread] %msg%n",
           lambda second, ms, entry:
           f"{second[:10]} {second[11:]}.{ms} {entry[1]:<5} {entry[3]} [{entry[2]}] {entry[4]}\n", "size"),
    Writer("mon01", "machine", "%d{dd MMM yyyy HH:mm:ss,SSS} %-5p %c{1} - %m%n",
           lambda second, ms, entry: f"{_day_first(second)},{ms} {entry[1]:<5} {entry[3]} - {entry[4]}\n",
           "day", "opened"),
)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _day_first(second: str) -> str:
    """2026-11-20T13:15:30 -> 20 Nov 2026 13:15:30, in English whatever the machine's language is."""
    return f"{second[8:10]} {_MONTHS[int(second[5:7]) - 1]} {second[:4]} {second[11:]}"


class LogFiles:
    """The files of one writer. They get their final names in `close`, when it is known how many there are."""

    def __init__(self, root: Path, writer: Writer) -> None:
        self._writer = writer
        self._folder = root / "logs" / writer.host
        self._folder.mkdir(parents=True, exist_ok=True)
        self._segments: list[tuple[Path, str]] = []
        self._file: BinaryIO | None = None
        self.rejects = 0

    def write(self, day: Day, entries: Sequence[Entry]) -> None:
        """Write one local day's entries, in order of time."""
        if self._writer.rotation == "day":
            self._rotate(day)
        for first in range(0, len(entries), _BLOCK_ENTRIES):
            if self._file is None:
                self._rotate(day)
            assert self._file is not None
            block = entries[first : first + _BLOCK_ENTRIES]
            self._file.write(text_of(self._writer, block))
            # Never while the clock may go back: a file that begins in the hour that comes twice has no order to
            # tell which of the two it is.
            if self._file.tell() >= _SEGMENT_BYTES and datetime.fromtimestamp(block[-1][0] / 1000, ZONE).hour > 3:
                self._end_segment()

    def close(self) -> None:
        self._end_segment()
        name = f"{self._writer.app}.log"
        for age, (path, day) in enumerate(reversed(self._segments)):
            if age == 0:
                suffix = ""
            else:
                suffix = f".{age}" if self._writer.rotation == "size" else f".{day}"
            path.rename(self._folder / f"{name}{suffix}")

    def _rotate(self, day: Day) -> None:
        self._end_segment()
        path = self._folder / f"segment-{len(self._segments)}.tmp"
        self._segments.append((path, day.date.isoformat()))
        self._file = path.open("wb")
        banner = self._banner(day)
        self.rejects += len(banner)
        self._file.write("".join(f"{line}\n" for line in banner).encode())

    def _banner(self, day: Day) -> Sequence[str]:
        """Lines before the first record, which no layout can read: each becomes a reject."""
        if self._writer.banner == "jvm" and len(self._segments) == 1:
            return JVM_BANNER
        if self._writer.banner == "opened":
            return (f"machine-monitor 4.2 opened this file for {day.date:%Y%m%d}",)
        return ()

    def _end_segment(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def text_of(writer: Writer, entries: Sequence[Entry]) -> bytes:
    """The entries as `writer` writes them. A lone surrogate stands for a byte that is no UTF-8."""
    return "".join(_lines(writer.line, entries)).encode("utf-8", "surrogateescape")


def _lines(line: Line, entries: Sequence[Entry]) -> list[str]:
    """The entries as text. `line` gets the local time as 2026-11-20T13:15:30 and the milliseconds as three digits."""
    lines, minute, prefix = [], -1, ""
    for entry in entries:
        seconds, ms = divmod(entry[0], 1000)
        if seconds // 60 != minute:
            minute = seconds // 60
            prefix = datetime.fromtimestamp(seconds, ZONE).strftime("%Y-%m-%dT%H:%M:")
        lines.append(line(f"{prefix}{seconds % 60:02d}", f"{ms:03d}", entry))
    return lines
