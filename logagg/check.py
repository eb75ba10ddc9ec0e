"""`logagg check`: what the configuration means on this machine now. It reads the beginnings of files, starts nothing.

The answer is one JSON-able dictionary; `problems` holds everything that keeps logs from being read as they are meant.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from logagg.config import Config, SourceConfig, masked
from logagg.errors import LogaggError, SourceError
from logagg.interfaces import Reader
from logagg.own import own_files
from logagg.source.discover import discover
from logagg.source.files import is_packed, open_log

PROBE_BYTES = 1 << 16


def check(config: Config) -> dict[str, Any]:
    """Hold the configuration against this machine's files and the store.

    {"config", "timezone", "store": {"url", "state"}, "packs": [{"name", "events", "metrics"}], "reports": [name],
    "sources": [{"app", "host", "globs": [{"glob", "files": [file]}]}], "problems": [text]}; a file is
    {"path", "bytes", "layout", "detected", "records", "rejects", "ignored_days"} of its first 64 KiB of content;
    `ignored_days` is the age of a file that is older than `ignore_older`, which is not read, else None.
    """
    problems: list[str] = []
    claimed: dict[str, int] = {}
    sources = [_source(i, source, own_files(config), claimed, problems) for i, source in enumerate(config.sources)]
    if not sources:
        problems.append("no [[source]] yet, so nothing is followed; add one with app and paths")
    store = _store(config.store_url, problems)
    if config.reports:
        _writable(config.archive_path, "archive", problems)
    return {
        "config": str(config.path) if config.path else None,
        "timezone": config.timezone,
        "store": {"url": masked(config.store_url), "state": store},
        "packs": [{"name": name, "events": len(pack.grammar.rules), "metrics": len(pack.metrics)}
                  for name, pack in config.packs.items()],
        "reports": [report.name for report in config.reports],
        "sources": sources,
        "problems": problems,
    }


def _source(i: int, source: SourceConfig, own: Sequence[str], claimed: dict[str, int],
            problems: list[str]) -> dict[str, Any]:
    from logagg.grammar.reader import LayoutReader

    reader = LayoutReader(source.layout, dialect=source.dialect, timezone=source.timezone, encoding=source.encoding,
                          record_bytes_max=source.record_bytes_max)
    globs = []
    for pattern in source.paths:
        found = discover([pattern], (*source.exclude, *own))
        problems += [f"source[{i + 1}].paths: {problem}" for problem in found.problems]
        if not found.paths and not found.problems:
            problems.append(f"source[{i + 1}].paths: {pattern}: matches no file now; correct it, unless the "
                            "application has not written yet")
        for path in found.paths:
            if claimed.setdefault(path, i) != i:
                problems.append(f"{path}: matched by source[{claimed[path] + 1}] and source[{i + 1}], so it would be "
                                "read twice; exclude it from one of them")
        globs.append({"glob": pattern, "files": [_file(path, source, reader, problems) for path in found.paths]})
    return {"app": source.app, "host": source.host, "globs": globs}


def _file(path: str, source: SourceConfig, reader: Reader, problems: list[str]) -> dict[str, Any]:
    """A file's size on disk and what its beginning looks like to the reader."""
    answer: dict[str, Any] = {"path": path, "bytes": None, "layout": source.layout, "detected": False,
                              "records": 0, "rejects": 0, "ignored_days": None}
    try:
        status = Path(path).stat()
        answer["bytes"] = status.st_size
        age_s = time.time() - status.st_mtime
        if source.ignore_older_s and age_s > source.ignore_older_s:
            answer["ignored_days"] = int(age_s // 86_400)
            return answer
        head = _head(path, problems)
    except SourceError as error:
        problems.append(str(error))
        return answer
    except OSError as error:
        problems.append(f"{path}: {(error.strerror or str(error)).lower()}; it was there a moment ago")
        return answer
    if head:
        batch = reader.read(head, 0, {}, final=True)
        answer["rejects"] = len(batch.rejects)
        answer["records"] = len(batch) - len(batch.rejects)
        answer["detected"] = source.layout is None and reader.decided(batch.carry)
        answer["layout"] = source.layout or batch.carry.get("layout")
        _judge(answer, source, problems)
    return answer


def _head(path: str, problems: list[str]) -> bytes:
    """The first 64 KiB of content up to a line end; a short file whole."""
    file = open_log(path)
    try:
        head = file.read_at(0, PROBE_BYTES)
        if is_packed(path) and (damage := file.damage()):
            problems.append(damage)
    finally:
        file.close()
    return head if len(head) < PROBE_BYTES else head[: head.rfind(b"\n") + 1] or head


def _judge(answer: dict[str, Any], source: SourceConfig, problems: list[str]) -> None:
    if answer["records"]:
        return
    if source.layout is not None:
        problems.append(f"{answer['path']}: none of its first {answer['rejects']} records has the layout of "
                        f"app {source.app}; take the layout from the application's configuration, with dialect = "
                        '"log4j1" or "logback" where it is theirs, or remove it here so that it is detected')
    else:
        problems.append(f"{answer['path']}: no layout detected in its first {answer['rejects']} records; set layout "
                        f"for app {source.app}")


def _store(url: str, problems: list[str]) -> str:
    """What state the store is in: "new", "ready" or "failed"."""
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not path.exists():
        return "new" if _writable(path.parent, "store", problems) else "failed"
    from logagg.store import open_store

    try:
        store = open_store(url, read_only=True)
        try:
            store.size_bytes()
        finally:
            store.close()
    except LogaggError as error:
        problems.append(str(error))
        return "failed"
    return "ready"


def _writable(folder: Path, what: str, problems: list[str]) -> bool:
    """Whether this user can write into the folder, or make it."""
    nearest = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return True
    reason = "this user may not write there" if nearest.is_dir() else "it is no folder"
    problems.append(f"{what}: {nearest}: {reason}; choose another path, or grant the right")
    return False
