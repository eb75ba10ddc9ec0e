"""Real Log4j 2, Log4j 1.2 and Logback that write numbered records, one folder for each rolling policy.

One process per library writes to all its policies side by side, so that one agent can follow them all.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from logagg.raw import content
from logagg.record import Stream
from logagg.store import open_store
from tests.conftest import ROOT, missing
from tests.service import stored_streams

JARS = Path("/usr/share/java")
JAR_NAMES = ("log4j-api", "log4j-core", "commons-compress", "xz", "log4j-1.2", "slf4j-api", "logback-classic",
             "logback-core")
PACKAGES = "default-jdk-headless liblog4j2-java libcommons-compress-java libxz-java liblog4j1.2-java liblogback-java"
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")

LAYOUT = "%d{ISO8601} %-5p [%t] %c{1} - %m%n"

# What follows has {logs}, the policy's folder, {size} in KB, and {keep}, how many old files there may be.

BY_SIZE = '<SizeBasedTriggeringPolicy size="{size}KB"/>'
MAX = '<DefaultRolloverStrategy max="{keep}"/>'
NO_MAX = '<DefaultRolloverStrategy fileIndex="nomax"/>'
COUNTED = 'fileName="{logs}/app.log" filePattern="{logs}/app-%i.log'

LOG4J2 = {
    "max": (COUNTED + '.gz"', BY_SIZE, MAX),
    "min": (COUNTED + '.gz"', BY_SIZE, '<DefaultRolloverStrategy max="{keep}" fileIndex="min"/>'),
    "nomax": (COUNTED + '.gz"', BY_SIZE, NO_MAX),
    "plain": (COUNTED + '"', BY_SIZE, MAX),
    "zip": (COUNTED + '.zip"', BY_SIZE, MAX),
    "bz2": (COUNTED + '.bz2"', BY_SIZE, NO_MAX),
    "xz": (COUNTED + '.xz"', BY_SIZE, NO_MAX),
    "temporary": (COUNTED + '.gz"', BY_SIZE,
                  '<DefaultRolloverStrategy max="{keep}" tempCompressedFilePattern="{logs}/app-%i.tmp"/>'),
    "delete": (COUNTED + '.gz"', BY_SIZE,
               '<DefaultRolloverStrategy fileIndex="nomax"><Delete basePath="{logs}"><IfFileName glob="app-*.log.gz">'
               '<IfAccumulatedFileCount exceeds="{keep}"/></IfFileName></Delete></DefaultRolloverStrategy>'),
    "dated": ('fileName="{logs}/app.log" filePattern="{logs}/app-%d{{HH-mm-ss}}-%i.log.gz"',
              '<TimeBasedTriggeringPolicy interval="3"/>' + BY_SIZE, NO_MAX),
    "folders": ('fileName="{logs}/app.log" filePattern="{logs}/$${{date:HH-mm}}/app-%i.log.gz"', BY_SIZE, NO_MAX),
    "direct": ('filePattern="{logs}/app-%d{{HH-mm}}-%i.log.gz"',
               "<TimeBasedTriggeringPolicy/>" + BY_SIZE, '<DirectWriteRolloverStrategy maxFiles="{keep}"/>'),
    "startup": (COUNTED + '.gz"', "<OnStartupTriggeringPolicy/>" + BY_SIZE, NO_MAX),
    "anew": (COUNTED + '.gz" append="false"', BY_SIZE, NO_MAX),
    "buffered": (COUNTED + '.gz" immediateFlush="false" bufferSize="8192"', BY_SIZE, NO_MAX),
    "random": (COUNTED + '.gz" immediateFlush="false" bufferSize="8192"', BY_SIZE, NO_MAX),
}

LOG4J1 = {
    "rolling": {"": "RollingFileAppender", "File": "{logs}/app.log", "MaxFileSize": "{size}KB",
                "MaxBackupIndex": "{keep}"},
    "rolling_buffered": {"": "RollingFileAppender", "File": "{logs}/app.log", "MaxFileSize": "{size}KB",
                         "MaxBackupIndex": "{keep}", "BufferedIO": "true", "ImmediateFlush": "false"},
    "not_appending": {"": "FileAppender", "File": "{logs}/app.log", "Append": "false"},
    "daily": {"": "DailyRollingFileAppender", "File": "{logs}/app.log", "DatePattern": "'.'yyyy-MM-dd-HH-mm"},
}
"""The clock of this process runs 60 times as fast, so that `daily` rolls once a second."""

LOGBACK = {
    "window_gz": ("{logs}/app.log", "FixedWindow", "app.%i.log.gz"),
    "window_zip": ("{logs}/app.log", "FixedWindow", "app.%i.log.zip"),
    "size_and_time": ("{logs}/app.log", "SizeAndTimeBased", "app-%d{{HH-mm}}.%i.log.gz"),
    "size_and_time_direct": ("", "SizeAndTimeBased", "app-%d{{HH-mm}}.%i.log.gz"),
    "time": ("{logs}/app.log", "TimeBased", "app-%d{{yyyy-MM-dd_HH-mm-ss}}.log.gz"),
}
WINDOW_MAX = 20     # Logback takes no more

POLICIES = {"log4j2": tuple(LOG4J2), "log4j1": ("rolling", "rolling_buffered", "daily"), "logback": tuple(LOGBACK)}


@dataclass(frozen=True)
class Load:
    """How each policy is written to: files of so many KB, `keep` old ones, records a second (0: at full speed)."""

    size_kb: int
    keep: int
    per_second: int
    ahead: int = 0          #: how many records of a policy may be written and not committed; 0: as many as there are
    truth: bool = False     #: Log4j 2 also writes all records to truth.log, which is not rolled


@pytest.fixture(scope="session")
def numbered_writer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The class path of the compiled writer and its libraries."""
    jars = [JARS / f"{name}.jar" for name in JAR_NAMES]
    if not shutil.which("javac") or not all(path.exists() for path in (*jars, FAKETIME)):
        missing(f"javac, the logging libraries and libfaketime: apt-get install {PACKAGES} libfaketime")
    classes = tmp_path_factory.mktemp("classes")
    class_path = ":".join(map(str, [*jars, classes]))
    source = ROOT / "tests" / "java" / "NumberedWriter.java"
    subprocess.run(["javac", "-cp", class_path, "-d", classes, source], check=True)
    return class_path


class Writers:
    """The processes that write below `folder`, each policy to a folder of its name."""

    def __init__(self, class_path: str, folder: Path, load: Load, policies: dict[str, tuple[str, ...]] = POLICIES,
                 ) -> None:
        self._class_path, self._folder, self._load = class_path, folder, load
        self.policies = policies
        self._running: list[subprocess.Popen[bytes]] = []
        for name in self.names:
            (folder / name).mkdir(parents=True)

    @property
    def names(self) -> list[str]:
        return [name for names in self.policies.values() for name in names]

    def start(self, first: int, count: int) -> None:
        """Begin to write these records to each policy."""
        for library, names in self.policies.items():
            file_name, option, text = CONFIGURATIONS[library](self._folder, names, self._load)
            (self._folder / file_name).write_text(text)
            environment = dict(os.environ)
            if library == "log4j1":
                environment |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "@2026-03-01 08:00:00 x60" if not first
                                else "@2026-03-02 08:00:00 x60", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}
            command = ["java", "-cp", self._class_path, "-Duser.timezone=UTC", "-XX:+UseSerialGC",
                       f"-D{option}=file:{self._folder / file_name}", "NumberedWriter", library, str(first), str(count),
                       str(self._load.per_second), *names]
            standard_input = subprocess.PIPE if self._load.ahead else subprocess.DEVNULL
            self._running.append(subprocess.Popen(command, env=environment, stdin=standard_input))

    def grant(self, below: int) -> None:
        """Let records below this number be written, where `ahead` bounds them."""
        for process in self._running if self._load.ahead else ():
            with suppress(BrokenPipeError):
                assert process.stdin
                process.stdin.write(b"%d\n" % below)
                process.stdin.flush()

    def files(self) -> int:
        """How many files there are now: about one more for each policy and rollover."""
        return sum(len(list((self._folder / name).rglob("*.log*"))) for name in self.names)

    def writing(self) -> bool:
        return any(process.poll() is None for process in self._running)

    def finish(self, timeout_s: float = 120) -> None:
        """Wait until all is written, and old files are compressed."""
        for process in self._running:
            assert process.wait(timeout_s) == 0
            if process.stdin:
                with suppress(BrokenPipeError):
                    process.stdin.close()
        self._running.clear()

    def committed(self, store_url: str) -> int:
        """How many records the store has; the writers may go on as far as it has come."""
        found = committed_by_policy(store_url)
        self.grant(min(found[name] for name in self.names) + self._load.ahead)
        return sum(found[name] for name in self.names)

    def __enter__(self) -> "Writers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()
            process.communicate()


def configuration(folder: Path, store_url: str, sources: str) -> Path:
    config = folder / "logagg.toml"
    keep = "".join(f'{name} = "forever"\n' for name in ("raw", "events", "minute", "hour"))    # some clocks are wrong
    config.write_text(f'[store]\nurl = "{store_url}"\n\n[retention]\n{keep}\n{sources}')
    return config


def source_tables(folder: Path, policies: dict[str, tuple[str, ...]] = POLICIES) -> str:
    """The agent's sources: one application for each policy."""
    return "".join(
        f'[[source]]\napp = "{name}"\nhost = "app01"\npaths = ["{folder}/{name}/**/*.log*"]\n'
        f'layout = "{LAYOUT}"\ndialect = "{library}"\ntimezone = "UTC"\n\n'
        for library, names in policies.items() for name in names)


def _log4j2(folder: Path, names: Iterable[str], load: Load) -> tuple[str, str, str]:
    appenders, loggers = "", ""
    for name in names:
        attributes, policies, strategy = (
            text.format(logs=folder / name, size=load.size_kb, keep=load.keep) for text in LOG4J2[name])
        kind = "RollingRandomAccessFile" if name == "random" else "RollingFile"
        appenders += (f'<{kind} name="{name}" {attributes}><PatternLayout pattern="{LAYOUT}"/>'
                      f"<Policies>{policies}</Policies>{strategy}</{kind}>\n")
        truth = '<AppenderRef ref="truth"/>' if load.truth else ""
        loggers += f'<Logger name="{name}" level="info"><AppenderRef ref="{name}"/>{truth}</Logger>\n'
    if load.truth:
        appenders += f'<File name="truth" fileName="{folder}/truth.log"><PatternLayout pattern="{LAYOUT}"/></File>\n'
    text = (f'<Configuration status="warn"><Appenders>\n{appenders}</Appenders><Loggers>\n{loggers}'
            '<Root level="error"/></Loggers></Configuration>\n')
    return "log4j2.xml", "log4j2.configurationFile", text


def _log4j1(folder: Path, names: Iterable[str], load: Load) -> tuple[str, str, str]:
    lines = ["log4j.rootLogger=OFF"]
    for name in names:
        lines += [f"log4j.logger.{name}=INFO, {name}"]
        settings = LOG4J1[name] | {"layout": "PatternLayout"}
        for key, value in settings.items():
            value = value.format(logs=folder / name, size=load.size_kb, keep=load.keep)
            value = f"org.apache.log4j.{value}" if key in ("", "layout") else value
            lines.append(f"log4j.appender.{name}{'.' if key else ''}{key}={value}")
        lines.append(f"log4j.appender.{name}.layout.ConversionPattern={LAYOUT}")
    return "log4j.properties", "log4j.configuration", "\n".join(lines) + "\n"


def _logback(folder: Path, names: Iterable[str], load: Load) -> tuple[str, str, str]:
    rolling = "ch.qos.logback.core.rolling"
    appenders = ""
    for name in names:
        file, kind, pattern = (text.format(logs=folder / name) for text in LOGBACK[name])
        size = f"<maxFileSize>{load.size_kb}KB</maxFileSize>"
        window = f"<minIndex>1</minIndex><maxIndex>{min(load.keep, WINDOW_MAX)}</maxIndex>"
        policy = {"FixedWindow": window, "SizeAndTimeBased": size, "TimeBased": ""}[kind]
        trigger = f'<triggeringPolicy class="{rolling}.SizeBasedTriggeringPolicy">{size}</triggeringPolicy>'
        appenders += (
            f'<appender name="{name}" class="{rolling}.RollingFileAppender">{f"<file>{file}</file>" if file else ""}'
            f'<rollingPolicy class="{rolling}.{kind}RollingPolicy"><fileNamePattern>{folder / name / pattern}'
            f"</fileNamePattern>{policy}</rollingPolicy>{trigger if kind == 'FixedWindow' else ''}"
            f'<encoder><pattern>{LAYOUT}</pattern></encoder></appender><logger name="{name}" level="INFO">'
            f'<appender-ref ref="{name}"/></logger>\n')
    return "logback.xml", "logback.configurationFile", f"<configuration>\n{appenders}</configuration>\n"


CONFIGURATIONS = {"log4j2": _log4j2, "log4j1": _log4j1, "logback": _logback}


# --- what the store has --------------------------------------------------------------------------------------------


def committed_records(store_url: str) -> int:
    return committed_by_policy(store_url).total()


def committed_by_policy(store_url: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for stream in stored_streams(store_url):
        found[stream.app] += _records(stream)
    return found


def _records(stream: Stream) -> int:
    return (stream.counts + stream.open_counts).records


RECORD = re.compile(rb"20\d\d-\d\d-.{15} (?:INFO |ERROR) \[main\] \w+ - record (\d+) (?:with a trace|and some text "
                    rb"that makes it as long as lines usually are)\n")


def stored_dropped(store_url: str) -> Counter[str]:
    """The dropped bytes of all streams by reason."""
    dropped: Counter[str] = Counter()
    for stream in stored_streams(store_url):
        dropped.update(stream.dropped)
    return dropped


@dataclass(frozen=True)
class Found:
    """What the store has of one policy: how often each number, the records, the rejects, the streams."""

    numbers: Counter[int]
    records: int
    rejects: int
    streams: int


def found_records(store_url: str, name: str) -> Found:
    """Read the stored bytes of one policy's streams."""
    numbers: Counter[int] = Counter()
    store = open_store(store_url, read_only=True)
    try:
        streams = store.streams(app=name)
        for stream in streams:
            text = bytearray()
            for chunk in store.chunks(stream=stream.id):
                text[chunk.start:] = content(chunk)     # one that was merged meanwhile repeats some
            assert len(text) >= stream.end, f"{stream.path}: {len(text)} stored bytes, committed {stream.end}"
            numbers.update(int(number) for number in RECORD.findall(text))
        return Found(numbers, sum(map(_records, streams)),
                     sum((stream.counts + stream.open_counts).rejects for stream in streams), len(streams))
    finally:
        store.close()


def check_each_once(store_url: str, names: Sequence[str], count: int) -> None:
    """Every policy's records 0 to count - 1 are there exactly once, each whole."""
    for name in names:
        found = found_records(store_url, name)
        repeated = sorted(n for n, times in found.numbers.items() if times > 1)
        lost = sorted(set(range(count)) - found.numbers.keys())
        print(f"{name}: {found.records} records in {found.streams} streams, {found.rejects} rejects, "
              f"{len(lost)} lost {lost[:5]}, {len(repeated)} repeated {repeated[:5]}")
        assert not lost, f"{name}: {len(lost)} lost, the first {lost[:5]}"
        assert not repeated, f"{name}: {len(repeated)} repeated, the first {repeated[:5]}"
        assert (found.records, found.rejects) == (count, 0)
