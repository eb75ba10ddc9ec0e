"""Real Log4j 2 writes and rotates at full speed while `logagg run` follows: every record once, whatever kills it."""

import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from logagg.store import open_store
from tests.conftest import ROOT, missing
from tests.mongod import database_url
from tests.service import Service, stored_streams
from tests.waiting import until

RECORDS = 200_000
JARS = Path("/usr/share/java")

LOG4J2 = """\
<Configuration status="warn">
  <Appenders>
    <RollingFile name="file" fileName="{logs}/app.log" filePattern="{logs}/app-%i.log">
      <PatternLayout pattern="%d{{ISO8601}} %-5p [%t] %c{{1}} - %m%n"/>
      <SizeBasedTriggeringPolicy size="1MB"/>
      <DefaultRolloverStrategy max="1000"/>
    </RollingFile>
  </Appenders>
  <Loggers><Root level="info"><AppenderRef ref="file"/></Root></Loggers>
</Configuration>
"""

CONFIG = """\
[store]
url = "{url}"

[[source]]
app = "numbered"
host = "app01"
paths = ["logs/app*.log"]
layout = "%d{{ISO8601}} %-5p [%t] %c{{1}} - %m%n"
timezone = "UTC"
keep = "all"
"""


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of the compiled writer, up to its own arguments."""
    jars = [JARS / "log4j-api.jar", JARS / "log4j-core.jar"]
    if not shutil.which("javac") or not all(jar.exists() for jar in jars):
        missing("javac and Log4j 2: apt-get install default-jdk-headless liblog4j2-java")
    classes = tmp_path_factory.mktemp("classes")
    classpath = ":".join(map(str, [*jars, classes]))
    source = ROOT / "tests" / "java" / "NumberedWriter.java"
    subprocess.run(["javac", "-cp", classpath, "-d", classes, source], check=True)
    return ["java", "-cp", classpath, "-Duser.timezone=UTC"]


@pytest.fixture(params=["sqlite", "mongodb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/logagg.db"
    return database_url(request.getfixturevalue("mongod_url"), f"live_{abs(hash(tmp_path))}")


def write(writer: list[str], folder: Path, pause_every: int) -> "subprocess.Popen[bytes]":
    logs = folder / "logs"
    logs.mkdir()
    (folder / "log4j2.xml").write_text(LOG4J2.format(logs=logs))
    option = f"-Dlog4j2.configurationFile={folder / 'log4j2.xml'}"
    return subprocess.Popen([*writer, option, "NumberedWriter", str(RECORDS), str(pause_every)])


def numbers(store_url: str) -> Iterator[int]:
    store = open_store(store_url, read_only=True)
    try:
        for event in store.events():
            match = re.match(r"record (\d+) ", event.body.get("message", ""))
            assert match, f"a record that nobody wrote: {event}"
            if int(match[1]) % 1000 == 999:
                assert event.body["exception"].startswith("java.lang.IllegalStateException: number " + match[1])
            yield int(match[1])
    finally:
        store.close()


def committed_records(store_url: str) -> int:
    return sum((stream.counts + stream.open_counts).records for stream in stored_streams(store_url))


def check_each_once(store_url: str) -> None:
    found = Counter(numbers(store_url))
    repeated = [n for n, times in found.items() if times > 1]
    lost = sorted(set(range(RECORDS)) - found.keys())
    assert not repeated, f"{len(repeated)} repeated, the first {repeated[:5]}"
    assert not lost, f"{len(lost)} lost, the first {lost[:5]}"
    assert len(found) == RECORDS


@pytest.mark.service
def test_followed_at_full_speed(writer: list[str], store_url: str, tmp_path: Path) -> None:
    """200,000 records through some 24 rotations arrive exactly once, and SIGTERM ends the service with status 0."""
    config = tmp_path / "logagg.toml"
    config.write_text(CONFIG.format(url=store_url))
    with Service(config) as service:
        java = write(writer, tmp_path, pause_every=0)
        assert java.wait(120) == 0
        until(lambda: service.holds(committed_records(store_url) >= RECORDS), "all records committed", 120)
        assert service.stop() == 0, service.messages()
    check_each_once(store_url)


@pytest.mark.service
def test_followed_through_ten_kills(writer: list[str], store_url: str, tmp_path: Path) -> None:
    """The same while logagg is killed ten times at random moments of its work."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    config = tmp_path / "logagg.toml"
    config.write_text(CONFIG.format(url=store_url))
    with Service(config) as service:
        java = write(writer, tmp_path, pause_every=500)
        for kill in range(10):
            more = committed_records(store_url) + chance.randrange(1, RECORDS // 12)
            until(lambda more=more: service.holds(committed_records(store_url) >= more), f"work, kill {kill}", 120)
            service.kill()
            service.start()
        assert java.wait(120) == 0
        until(lambda: service.holds(committed_records(store_url) >= RECORDS), "all records committed", 120)
        assert service.stop() == 0, service.messages()
    check_each_once(store_url)
