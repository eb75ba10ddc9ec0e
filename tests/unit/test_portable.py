"""What runs on Linux is not tied to it: every module is imported where the modules and calls of POSIX are missing."""

import subprocess
import sys

IMPORT_ALL = """
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

import logagg
for module in pkgutil.walk_packages(logagg.__path__, "logagg."):
    if module.name != "logagg.__main__":
        import_module(module.name)
"""


def test_every_module_imports_without_posix() -> None:
    """No module needs fcntl, pwd, resource or a signal of POSIX to be imported."""
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
