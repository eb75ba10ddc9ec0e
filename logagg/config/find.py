"""Which configuration file is meant: -c, then the working folder, the user's, the system's."""

import os
import sys
from pathlib import Path

from logagg.errors import ConfigError
from logagg.terminal import safe_line

NAME = "logagg.toml"


def candidates() -> list[Path]:
    """Where a configuration is looked for, in order (XDG Base Directory Specification; APPDATA on Windows)."""
    return [Path(NAME), _user_folder() / "logagg" / NAME, _system_folder() / "logagg" / NAME]


def find(given: str | None) -> Path | None:
    """The configuration file: `given` as it is, else the first that exists; None where there is none."""
    if given is not None:
        return Path(given)
    return next((path for path in candidates() if path.is_file()), None)


def find_or_say(given: str | None) -> Path:
    """As `find`, but having none is an error that names the places looked at."""
    path = find(given)
    if path is None:
        places = ", ".join(safe_line(one) for one in candidates())
        raise ConfigError([f"no configuration found; looked for {places}; write one with `logagg init`, "
                           "or name one with -c FILE"])
    return path


def _user_folder() -> Path:
    home = Path(os.path.expanduser("~"))    # noqa: PTH111 - Path.home() raises where there is no home
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(folder) if folder.startswith("/") else home / ".config"


def _system_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA") or "C:/ProgramData")
    return Path("/etc")
