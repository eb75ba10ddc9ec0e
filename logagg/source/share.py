"""Which files are read by which of several processes.

Files that may be one stream stay together, since a stream is read by one reader in the order of its files: those of one
app and host that begin alike (rotated parts and copies begin with their stream's first line, or are told by it). Those
whose first line is empty or not complete stay together whatever they say, since nothing but their number tells their
streams apart; and so do files that may go on with a stored stream of that kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from logagg.errors import SourceError
from logagg.record import Stream
from logagg.source.discover import FileSource
from logagg.source.files import PackedFile, open_log
from logagg.source.identity import HEAD_BYTES, first_line

PACKED_FACTOR = 10
"""How many bytes of log a compressed byte stands for, roughly."""


@dataclass(frozen=True, slots=True)
class _File:
    source: FileSource
    path: str           #: "" stands for a stored stream
    beginning: bytes
    weight: int


def shares(files: Sequence[tuple[FileSource, str]], count: int,
           unnamed: Sequence[Stream] = ()) -> list[list[FileSource]]:
    """The files in at most `count` shares of about equal size, each as sources with their own paths.

    `unnamed` are the stored streams without a first line. The largest group first, always to the share that has least
    so far.
    """
    stored = [_File(FileSource(one.app, one.host, ()), "", _beginning(one.head), 0) for one in unnamed]
    found = _groups([*stored, *(_look(source, path) for source, path in files)])
    groups = sorted((group for group in found if _weight(group)), key=_weight, reverse=True)
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
        size = file.stored_bytes()[1] * (PACKED_FACTOR if isinstance(file, PackedFile) else 1)
        return _File(source, path, _beginning(head), size + 1)
    except (SourceError, OSError):
        return _File(source, path, b"", 1)
    finally:
        file.close()


def _beginning(head: bytes) -> bytes:
    """The first line with its end, or as much as there is of it."""
    line = first_line(head)
    return head if line is None else line + b"\n"


def _groups(files: Sequence[_File]) -> list[list[_File]]:
    """Files of which one begins as the other does, as far as the shorter beginning goes; all that begin with an
    unfinished line, or an empty one, are one group."""
    found: list[list[_File]] = []
    ordered = sorted(files, key=lambda file: (*_owner(file), file.beginning))
    for _, several in groupby(ordered, _owner):
        root, group, nameless = b"", list[_File](), list[_File]()
        for file in several:        # sorted: all that begin with `root` follow it
            if not root or not file.beginning.startswith(root):
                root = file.beginning
                group = nameless if root == b"\n" or (root and not root.endswith(b"\n")) else []
                found += [group] * (not group)
            group.append(file)
    return found


def _owner(file: _File) -> tuple[str, str]:
    return file.source.app, file.source.host


def _sources(files: Sequence[_File]) -> list[FileSource]:
    """Sources are told apart by what they say, as in one process."""
    paths: dict[FileSource, list[str]] = {}
    for file in (one for one in files if one.path):
        paths.setdefault(file.source, []).append(file.path)
    return [replace(source, paths=tuple(own), exclude=()) for source, own in paths.items()]
