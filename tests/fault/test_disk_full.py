"""The disk under the store is full: reading stops, people are told, and all goes on when there is space again."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from logagg.cli import main
from tests.alerting import Vip
from tests.conftest import missing
from tests.service import Service, stored_streams
from tests.smtpd import Server
from tests.waiting import until

DISK_BYTES = 48 << 20
RESERVE_BYTES = 8 << 20
LINE = "2026-11-20T10:{m:02}:{s:02},{ms:03} ERROR VipServer: {n:07} {noise}\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder],
                             capture_output=True, text=True, check=False)
    if mounted.returncode:
        missing(f"mounting a small file system (needs root): {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def vip(tmp_path: Path, disk: Path) -> Iterator[Vip]:
    (tmp_path / "smtpd").mkdir()
    with Server(tmp_path / "smtpd") as server:
        vip = Vip(tmp_path, server, f"sqlite:///{disk / 'logagg.db'}")
        text = vip.config.read_text().replace("[[source]]", f"reserve_bytes = {RESERVE_BYTES}\n\n[[source]]", 1)
        vip.config.write_text(text)
        yield vip


def write(vip: Vip, first: int, last: int) -> int:
    """Append lines that do not compress, all kept as documents; how large the log is then."""
    with vip.log.open("a") as file:
        for n in range(first, last):
            file.write(LINE.format(m=n // 60_000 % 60, s=n // 1000 % 60, ms=n % 1000, n=n, noise=os.urandom(60).hex()))
    return vip.log.stat().st_size


def committed(disk: Path) -> int:
    return sum(stream.read_end for stream in stored_streams(f"sqlite:///{disk / 'logagg.db'}"))


def subjects(vip: Vip) -> list[str]:
    return [str(mail["Subject"]) for mail in vip.server.mails() if "store_full" in str(mail["Subject"])]


def fill(path: Path) -> None:
    """Write until there is no space left."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def test_disk_full(vip: Vip, disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The mail about it arrives while the disk is full; nothing that was written meanwhile is lost, which the audit
    proves."""
    reserve = disk / "logagg.db-reserve"
    with Service(vip.config, "--roles", "agent,aggregator") as service:
        size = write(vip, 0, 1000)
        until(lambda: service.holds(committed(disk) == size), "the first lines", 30)
        assert reserve.stat().st_size == RESERVE_BYTES
        fill(disk / "ballast")
        size = write(vip, 1000, 40_000)
        until(lambda: service.holds(any("FIRING critical" in subject for subject in subjects(vip))), "the mail", 60)
        assert reserve.stat().st_size == 0
        stopped = committed(disk)
        assert stopped < size
        size = write(vip, 40_000, 41_000)
        assert "the disk is full" in service.messages() and committed(disk) == stopped, "reading has stopped"
        (disk / "ballast").unlink()
        until(lambda: service.holds(committed(disk) == size), "all lines", 60)
        until(lambda: service.holds(any("resolved" in subject for subject in subjects(vip))), "the second mail", 60)
        assert reserve.stat().st_size == RESERVE_BYTES
        assert service.stop() == 0, service.messages()
    assert len(subjects(vip)) == 2, subjects(vip)
    assert main(["-c", str(vip.config), "audit", str(vip.log)]) == 0, capsys.readouterr().out
    capsys.readouterr()


def test_started_on_a_full_disk(vip: Vip, disk: Path) -> None:
    """Killed when the disk was full and started again: it waits, tells, and goes on."""
    with Service(vip.config, "--roles", "agent,aggregator") as service:
        size = write(vip, 0, 1000)
        until(lambda: service.holds(committed(disk) == size), "the first lines", 30)
        service.kill()
        fill(disk / "ballast")
        size = write(vip, 1000, 30_000)
        service.start()
        until(lambda: service.holds(any("FIRING critical" in subject for subject in subjects(vip))), "the mail", 60)
        (disk / "ballast").unlink()
        until(lambda: service.holds(committed(disk) == size), "all lines", 60)
        assert service.stop() == 0, service.messages()
