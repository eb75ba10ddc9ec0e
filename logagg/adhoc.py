"""Paths on a command line -> sources: as the configuration says where it knows them, else by options and names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from logagg.config import Config, SourceConfig
from logagg.config.fields import table
from logagg.config.forms import text_problem
from logagg.config.machine import machine_host
from logagg.errors import GrammarError, UsageError
from logagg.own import own_files
from logagg.record import Stream
from logagg.source.discover import discover
from logagg.terminal import safe_line

_ROTATION = re.compile(r"(?<=.)[-_]\d[\d_T-]*\Z")


def app_of(path: str) -> str:
    """An application's name from its log's: das.log, das.log.1.gz and das-2026-11-20.log.zst are all of "das".

    It depends on the file's name alone, so that a file is the same stream however it was named on the command line.
    Controls in it, and bytes that are no UTF-8, stand as escapes: it becomes a label.
    """
    name = Path(path).name.lstrip(".").partition(".")[0]
    return safe_line(_ROTATION.sub("", name)) or "log"


def why_none(path: str) -> str:
    """Why a path or glob that `discover` took without complaint means no file that could be read."""
    if Path(path).is_dir():
        return f"{path}: no file in this folder"
    if Path(path).exists():
        return f"{path}: is no regular file; `logagg parse -` reads what is piped into it"
    return f"{path}: matches no file"


def _why_none(path: str, own: Sequence[str]) -> str:
    if discover([_absolute(path)]).paths:
        return f"{path}: holds only files that logagg writes itself"
    return why_none(path)


def sources_for(config: Config, paths: Sequence[str],
                options: Mapping[str, Any]) -> tuple[list[SourceConfig], list[str]]:
    """Sources that hold exactly the files that `paths` mean now, and why some of them mean none.

    A file that a source of the configuration matches is read as that says, unless `options` has any of app, host,
    layout, dialect, timezone, encoding, keep, packs. Errors: UsageError and GrammarError for options.
    """
    given = {name: value for name, value in options.items() if value is not None}
    _check(given, config)
    own = own_files(config)
    problems: list[str] = []
    seen: dict[str, None] = {}
    for path in paths:
        if not path:    # as from "$LOGS" where LOGS is not set: the current folder is not meant
            problems.append("an empty path; expected a file, a folder or a glob")
            continue
        found = discover([_absolute(path)], own)
        problems += found.problems or (() if found.paths else (_why_none(path, own),))
        seen.update(dict.fromkeys(found.paths))
    files: dict[SourceConfig, list[str]] = {}
    for path in sorted(seen):
        source = None if given else config.source_matching(path)
        files.setdefault(source or _source(path, config, given), []).append(path)
    return [replace(source, paths=tuple(own), exclude=()) for source, own in files.items()], problems


def not_understood(streams: Iterable[Stream], sources: Sequence[SourceConfig]) -> list[str]:
    """The paths of those streams of the sources that have rejects and not one record."""
    asked = {(source.app, source.host) for source in sources}
    unread = (stream.path for stream in streams if (stream.app, stream.host) in asked
              and (counts := stream.counts + stream.open_counts).rejects and not counts.records)
    return sorted(unread)


def _absolute(path: str) -> str:
    """An absolute path; links stay, but behind "..", where they decide which file is meant."""
    return str(Path(path).resolve() if ".." in Path(path).parts else Path(path).absolute())


def _source(path: str, config: Config, given: Mapping[str, Any]) -> SourceConfig:
    defaults = {"app": app_of(path), "host": machine_host(), "timezone": config.timezone, "packs": tuple(config.packs)}
    return SourceConfig(**{**defaults, **given})


def _check(given: Mapping[str, Any], config: Config) -> None:
    for field in table("source").fields:
        if field.name in given and field.kind == "text" and (problem := text_problem(field, given[field.name])):
            raise UsageError(f"--{field.name}: {problem}")
    for name in given.get("packs", ()):
        if name not in config.packs:
            raise UsageError(f"--pack: no pack {name!r}; expected one of {', '.join(config.packs) or 'none'}")
    if given.get("layout") is not None:
        from logagg.grammar.reader import LayoutReader

        try:
            LayoutReader(given["layout"], dialect=given.get("dialect", "log4j2"))
        except GrammarError as error:
            raise GrammarError(f"--layout: {error}") from None
