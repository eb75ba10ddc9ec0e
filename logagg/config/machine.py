"""What this machine calls itself and its zone: the defaults of `host` and `timezone`."""

import os
import socket
from functools import lru_cache
from pathlib import Path


def machine_host() -> str:
    """This machine's name, as it calls itself; "localhost" where it has none."""
    return socket.gethostname() or "localhost"


@lru_cache(maxsize=1)
def machine_zone() -> str:
    """The machine's IANA zone; "UTC" where it does not tell (containers, Windows).

    Tried in order, as the C library and systemd do: TZ, the link /etc/localtime, /etc/timezone (Debian).
    """
    for name in (_zone_of_environment(), _zone_of_link(Path("/etc/localtime")), _zone_of_file(Path("/etc/timezone"))):
        if name and is_zone(name):
            return "UTC" if name == "Etc/UTC" else name     # one name for one zone: its days are kept once
    return "UTC"


def is_zone(name: str) -> bool:
    """Whether `name` is a zone of the IANA database as installed here."""
    from zoneinfo import ZoneInfo

    if not name or name in ("localtime", "posixrules", "Factory") or name.startswith(("posix/", "right/")):
        return False    # the first three are files of the database, not zones that another machine would know
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):     # not found is a KeyError, a folder an OSError
        return False
    return True


def _zone_of_environment() -> str:
    return os.environ.get("TZ", "").lstrip(":")


def _zone_of_link(link: Path) -> str:
    try:
        target = str(link.readlink())
    except (OSError, NotImplementedError):
        return ""
    return target.partition("zoneinfo/")[2]


def _zone_of_file(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
