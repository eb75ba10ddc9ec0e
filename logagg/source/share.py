"""Which files are read by which of several processes.

Files that may be one stream stay together, since a stream is read by one reader in the order of its files: those of one
app and host that begin alike (rotated parts and copies begin with their stream's first line, or are told by it).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from logagg.errors import SourceError
from logagg.source.discover import FileSource
from logagg.source.files import PackedFile, open_log
from logagg.source.identity import HEAD_BYTES, first_line

PACKED_FACTOR = 10
"""How many bytes of log a compressed byte stands for, roughly."""


@dataclass(frozen=True, slots=True)
class _File:
    source: FileSource
    path: str
    beginning: bytes
    weight: int


def shares(files: Sequence[tuple[FileSource, str]], count: int) -> list[list[FileSource]]:
    """The files in at most `count` shares of about equal size, each as sources with their own paths.

    The largest group first, always to the share that has least so far.
    """
    groups = sorted(_groups([_look(source, path) for source, path in files]), key=_weight, reverse=True)
    bins: list[list[_File]] = [[] for _ in range(min(count, len(groups)))]
    for group in groups:
        min(bins, key=_weight).extend(group)
    return [_sources(share) for share in bins]


def _weight(files: Sequence[_File]) -> int:
    return sum(file.weight for file in files)


def _look(source: FileSource, path: str) -> _File:
    """A file that cannot be opened or read begins with nothing: its reader tells why."""
    try:
        file = open_log(path)
    except (SourceError, OSError):
        return _File(source, path, b"", 1)
    try:
        head = file.read_at(0, HEAD_BYTES)
        line = first_line(head)
        size = file.stored_bytes()[1] * (PACKED_FACTOR if isinstance(file, PackedFile) else 1)
        return _File(source, path, head if line is None else line + b"\n", size + 1)
    except (SourceError, OSError):
        return _File(source, path, b"", 1)
    finally:
        file.close()


def _groups(files: Sequence[_File]) -> list[list[_File]]:
    """Files of which one begins as the other does, as far as the shorter beginning goes."""
    found: list[list[_File]] = []
    ordered = sorted(files, key=lambda file: (*_owner(file), file.beginning))
    for _, several in groupby(ordered, _owner):
        root = b""
        for file in several:        # sorted: all that begin with `root` follow it
            if root and file.beginning.startswith(root):
                found[-1].append(file)
            else:
                root = file.beginning
                found.append([file])
    return found


def _owner(file: _File) -> tuple[str, str]:
    return file.source.app, file.source.host


def _sources(files: Sequence[_File]) -> list[FileSource]:
    """Sources are told apart by what they say, as in one process."""
    paths: dict[FileSource, list[str]] = {}
    for file in files:
        paths.setdefault(file.source, []).append(file.path)
    return [replace(source, paths=tuple(own), exclude=()) for source, own in paths.items()]
