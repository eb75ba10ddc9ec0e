"""The files that logagg writes itself: in a folder of logs they are not logs."""

import glob
from pathlib import Path

from logagg.config import Config

_SQLITE = "sqlite:///"


def own_files(config: Config) -> tuple[str, ...]:
    """Excludes, as `discover` takes them, for the SQLite store, the configuration and the archive of reports.

    Without them `logagg ingest .` would read its own store, which grows by what is read from it.
    """
    own = []
    if config.store_url.startswith(_SQLITE):
        own += _with_links(Path(config.store_url.removeprefix(_SQLITE)), ("", "-wal", "-shm", "-journal", "-reserve"))
    if config.path is not None:
        own += _with_links(config.path, ("",))
    if config.reports:
        own += _with_links(config.archive_path, ("/*",))
    return tuple(dict.fromkeys(own))


def _with_links(path: Path, endings: tuple[str, ...]) -> list[str]:
    """Patterns for a path as it is named, and as it is named when links are followed."""
    return [glob.escape(str(one)) + ending for one in (path, path.resolve()) for ending in endings]
