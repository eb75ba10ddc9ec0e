"""What runs on Linux is not tied to it: every module is imported, and the agent runs, where the modules and calls of
POSIX are missing, files have no inodes, and files are opened as Windows does it."""

import subprocess
import sys
from pathlib import Path

import pytest

from logagg.store import open_store
from tests.service import Service, stored_streams
from tests.waiting import until

WITHOUT_POSIX = """
import os, pkgutil, signal, sys
from importlib import import_module

# Libraries and the standard library choose by the real system, when they are imported.
for name in ("asyncio", "importlib.metadata", "multiprocessing", "smtplib", "socket", "sqlite3", "subprocess",
             "tempfile", "zoneinfo", "apscheduler.triggers.cron", "jinja2", "lark", "pymongo", "starlette.applications",
             "tqdm", "uvicorn", "watchdog.observers", "zstandard"):
    import_module(name)
for name in ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
for module, names in ((os, "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK chown fchmod fork getegid geteuid getgid "
                           "getuid killpg mkfifo pread setsid statvfs uname wait4"),
                      (signal, "SIGALRM SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1 SIGUSR2 setitimer pthread_sigmask")):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "win32"
"""

IMPORT_ALL = WITHOUT_POSIX + """
import logagg
for module in pkgutil.walk_packages(logagg.__path__, "logagg."):
    if module.name != "logagg.__main__":
        import_module(module.name)
"""

RUN = """
import ctypes, os, shutil, types
os_statvfs = os.statvfs

def disk_usage(path):       # Windows has its own
    found = os_statvfs(path)
    return types.SimpleNamespace(free=found.f_bavail * found.f_frsize)

shutil.disk_usage = disk_usage
os_stat, os_fstat, os_scandir, os_open = os.stat, os.fstat, os.scandir, os.open
""" + WITHOUT_POSIX + """
class WithoutInode:
    st_ino = 0
    def __init__(self, real): self._real = real
    def __getattr__(self, name): return getattr(self._real, name)
    def inode(self): return 0

class Entries(WithoutInode):
    def __iter__(self): return map(WithoutInode, self._real)
    def __enter__(self): return self
    def __exit__(self, *_): self._real.close()

os.stat = lambda *args, **options: WithoutInode(os_stat(*args, **options))
os.fstat = lambda *args: WithoutInode(os_fstat(*args))
os.scandir = lambda *args: Entries(os_scandir(*args))
os.O_BINARY = 0

def create_file(path, access, share, security, disposition, flags, template):
    assert (access, disposition, flags) == (0x80000000, 3, 0), "only to read, only what is there"
    assert share == 1 | 2 | 4, "others may read, write, and rename or delete"
    try:
        handle = os_open(path, os.O_RDONLY)
    except OSError:
        return ctypes.c_void_p(-1).value
    opened.append(path)
    return handle

opened = []
ctypes.windll = types.SimpleNamespace(kernel32=types.SimpleNamespace(CreateFileW=create_file))
sys.modules["msvcrt"] = types.SimpleNamespace(open_osfhandle=lambda handle, flags: handle)
watcher, arguments = sys.argv[1], sys.argv[5:]
import logagg.source.watch
if watcher == "none":
    logagg.source.watch.open_watcher = logagg.source.watch.NoWatcher
from logagg.cli import main
status = main(arguments)
print("opened with sharing:", len(opened), file=sys.stderr)
sys.exit(status)
"""

CONFIG = """\
[store]
url = "sqlite:///logagg.db"

[[source]]
app = "a"
host = "h"
paths = ["logs/*.log*"]
layout = "%d{ISO8601} %p %c - %m%n"
timezone = "UTC"
keep = "all"
"""


def test_every_module_imports_without_posix() -> None:
    """No module needs fcntl, pwd, resource or a signal of POSIX to be imported."""
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def messages(folder: Path) -> list[str]:
    url = f"sqlite:///{folder / 'logagg.db'}"
    if not stored_streams(url):
        return []
    store = open_store(url, read_only=True)
    try:
        return [event.body["message"] for event in store.events()]
    finally:
        store.close()


@pytest.mark.parametrize("watcher", ["none", "watchdog"])
def test_the_agent_runs_without_posix(tmp_path: Path, watcher: str) -> None:
    """Without fcntl, resource, pwd, SIGHUP and inodes, without inotify, and with files opened through CreateFileW with
    all sharing, a log that is rotated, and rotated again while nobody reads, is stored once, each line."""
    logs, config = tmp_path / "logs", tmp_path / "logagg.toml"
    logs.mkdir()
    config.write_text(CONFIG)
    written = 0

    def write(count: int) -> None:
        nonlocal written
        with (logs / "a.log").open("a") as file:
            for i in range(written, written + count):
                file.write(f"2026-11-20T10:00:{i % 60:02},000 INFO a.b - line {i:06} {'x' * 50}\n")
        written += count

    def rotate() -> None:
        for i in (2, 1):
            if (logs / f"a.log.{i}").exists():
                (logs / f"a.log.{i}").rename(logs / f"a.log.{i + 1}")
        (logs / "a.log").rename(logs / "a.log.1")

    service = Service(config, "--roles", "agent", prefix=(sys.executable, "-c", RUN, watcher))
    write(300)
    with service:
        until(lambda: service.holds(len(messages(tmp_path)) == written), "the first lines")
        write(50)
        rotate()
        write(300)
        until(lambda: service.holds(len(messages(tmp_path)) == written), "the lines around the rotation")
        assert service.stop() == 0, service.messages()
    write(50)
    rotate()
    write(300)
    with service:
        until(lambda: service.holds(len(messages(tmp_path)) == written), "the lines of the time between")
        assert service.stop() == 0, service.messages()
    assert sorted(text.split()[1] for text in messages(tmp_path)) == [f"{i:06}" for i in range(written)]
    assert service.messages().count("opened with sharing: ") == 2
    assert "opened with sharing: 0" not in service.messages()
