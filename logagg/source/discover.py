"""Which files a source's globs, folders and excludes mean now.

`Finder` asks again and again at little cost: a folder is read anew only when its time has changed, so a round over
10,000 names that stay costs one question for each folder. `discover` asks once.
"""

# Thousands of names a second: strings, not Path objects.
# ruff: noqa: PTH100, PTH112, PTH116, PTH117, PTH118, PTH119, PTH120, PTH206

import glob
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from operator import eq
from typing import Literal

SETTLED_S = 2.0
"""File systems write times in steps: a folder that was read so soon after its time had changed is read once more."""

NO_HINT = -1
"""In place of an inode where the folder tells none: the file is always to be asked."""

_NO_INODES = (0, 0xFFFFFFFF)        # FUSE's word for not known is the second


@dataclass(frozen=True, slots=True)
class FileSource:
    """The log files of one application on one host. `paths` and `exclude` as for `discover`.

    `order`: which of the files that are behind is read first, by the time of its last change. `rate_limit`: bytes/s,
    0: none. `ignore_older_s`: files that were not changed for so long are not read until they change; 0: all are.
    """

    app: str
    host: str
    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    quiet_ms: int = 200
    order: Literal["oldest", "newest"] = "oldest"
    rate_limit: int = 0
    ignore_older_s: int = 0


@dataclass(frozen=True, slots=True)
class Discovery:
    """The regular files found, sorted, each once; and why some of what was asked for gave none, one line each.

    `folders` are those in which names may come, with device and inode where they were read, and those that links lead
    to; `links` are the found paths by the real path of the file that they lead to. `changed`: the paths that were not
    there when it was asked before, or may be another file now; `gone`: those that are not there any more.
    """

    paths: tuple[str, ...]
    problems: tuple[str, ...]
    folders: Mapping[str, tuple[int, int] | None] = field(default_factory=dict)
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    def after(self, before: "Discovery") -> "Discovery":
        """What has changed since before `before`, where nobody has looked at that one."""
        return replace(self, changed=(before.changed | self.changed) - self.gone,
                       gone=(before.gone - self.changed) | self.gone)


def discover(patterns: Sequence[str], exclude: Sequence[str] = ()) -> Discovery:
    """Expand globs (`**` crosses folders), folders (all files below) and plain paths.

    An exclude with a slash is matched against the whole path, else against the file's name. Hidden files are found
    only where the pattern begins their name with a dot. A name that exists is itself, whatever signs it holds.
    """
    return Finder(patterns, exclude).find()


def is_meant(path: str, patterns: Sequence[str], exclude: Sequence[str] = ()) -> bool:
    """Whether `discover` may find a file at this path, by the path alone: nothing need be there (any more)."""
    return not _excluded(path, exclude) and any(_means(_tidy(pattern), path) for pattern in patterns)


def _means(pattern: str, path: str) -> bool:
    if path == pattern:
        return True
    folder = pattern.rstrip(os.sep) + os.sep
    if path.startswith(folder):         # a pattern that is a folder means all files below
        return not any(name.startswith(".") for name in path[len(folder):].split(os.sep))
    return glob.has_magic(pattern) and _fits(pattern.split(os.sep), path.split(os.sep))


def _fits(parts: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a glob, part by part, means a path's names: as `Finder._walk` does."""
    parts = [*parts, "*"] if parts[-1] == "**" else parts
    reached = {0}                       # so many parts are used up by the names so far, in one way or another
    for name in names:
        for i in range(len(parts)):
            if i in reached and parts[i] == "**":
                reached.add(i + 1)      # it may stand for no folder
        reached = {i if parts[i] == "**" else i + 1 for i in reached if i < len(parts) and (
            not name.startswith(".") if parts[i] == "**" else _matching(parts[i], [name]))}
    return len(parts) in reached


def watched_folder(pattern: str) -> tuple[str, bool]:
    """The folder in which names that match may appear, and whether those below it matter too."""
    if not glob.has_magic(pattern):
        return (pattern, True) if os.path.isdir(pattern) else (os.path.dirname(pattern) or ".", False)
    parts = pattern.split(os.sep)
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return os.sep.join(parts[:first]) or (os.sep if os.path.isabs(pattern) else "."), first < len(parts) - 1


@dataclass(slots=True)
class _Folder:
    """What a folder held when it was last read: names of files with their inodes, of folders, and of links."""

    stamp: tuple[int, int, int]         #: device, inode and time of change (ns) of the folder
    first_seen_s: float                 #: when this stamp was first seen
    read_s: float = 0.0
    files: dict[str, int] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    matched: dict[str, dict[str, int]] = field(default_factory=dict)    #: by pattern: see Finder._files_in


class Finder:
    """The files of one source, asked for again and again."""

    def __init__(self, patterns: Sequence[str], exclude: Sequence[str] = ()) -> None:
        self._patterns = tuple(map(_tidy, patterns))
        self._exclude = tuple(exclude)
        self._read: dict[str, _Folder] = {}         # what was read, by folder
        self._asked: dict[str, _Folder | None] = {}     # the same, of this time
        self._problems: list[str] = []
        self._links: dict[str, list[str]] = {}
        self._pieces: list[dict[str, int]] = []     # what was found, by pattern and folder
        self._known: dict[str, int] = {}            # the same in one
        self._paths: tuple[str, ...] = ()
        self._hintless: frozenset[str] = frozenset()
        self._afresh = False

    def find(self, *, afresh: bool = False) -> Discovery:
        """What is there now. `afresh`: read all folders again, also where their times say that nothing has changed."""
        self._asked, self._problems, self._links, self._afresh = {}, [], {}, afresh
        folders: dict[str, tuple[int, int] | None] = {}
        pieces = [files for pattern in self._patterns for files in self._files(pattern, folders)]
        folders |= {os.path.dirname(real): None for real in self._links}
        self._read = {path: folder for path, folder in self._asked.items() if folder is not None}
        folders |= {path: folder.stamp[:2] for path, folder in self._read.items()}
        changed, gone = self._compare(pieces)
        return Discovery(self._paths, tuple(self._problems), folders,
                         {real: tuple(paths) for real, paths in self._links.items()}, changed, gone)

    def _compare(self, pieces: list[dict[str, int]]) -> tuple[frozenset[str], frozenset[str]]:
        """Take over what was found; the paths that have come or may be another file, and those that are gone."""
        if len(pieces) == len(self._pieces) and all(map(eq, pieces, self._pieces)):    # mostly the same objects
            return self._hintless, frozenset()
        before, self._pieces = self._known, pieces
        self._known = {path: hint for files in pieces for path, hint in files.items()}
        self._paths = tuple(sorted(self._known))
        self._hintless = frozenset(path for path, hint in self._known.items() if hint == NO_HINT)
        changed = {path for path, _ in self._known.items() - before.items()} | self._hintless
        return frozenset(changed), frozenset(before.keys() - self._known.keys())

    def _files(self, pattern: str, folders: dict[str, tuple[int, int] | None]) -> Iterator[dict[str, int]]:
        """The files of one pattern, folder by folder, with their inodes. The folder of a plain path goes to `folders`:
        it is not read."""
        if os.path.isdir(pattern):
            yield from self._below(pattern)
        elif os.path.lexists(pattern):
            folders[os.path.dirname(pattern) or "."] = None
            yield self._one(pattern)
        elif glob.has_magic(pattern):
            top, _ = watched_folder(pattern)
            problem = self._why_unreadable(top)
            if problem:
                self._problems.append(f"{pattern}: the folder {top}: {problem}")
            else:
                rest = pattern if top == "." else pattern[len(top) :]
                yield from self._walk(top, rest.strip(os.sep).split(os.sep))
        else:
            self._problems.append(f"{pattern}: {_why_not(pattern)}")

    def _walk(self, top: str, parts: Sequence[str]) -> Iterator[dict[str, int]]:
        """The files below a folder that match the parts of a pattern, however deep they are. `**` goes through one of
        several links to a folder only: where links lead to links, there are more ways than anybody could go."""
        todo: list[tuple[str, Sequence[str], tuple[str, ...]]] = [(top, parts, ())]
        entered: set[tuple[int, ...]] = set()
        while todo:
            path, parts, above = todo.pop()
            part, rest = parts[0], parts[1:]
            if part == "**":
                if rest:
                    todo.append((path, rest, ()))
                else:
                    yield self._files_in(path, "*")
                below = (_join(path, name) for name in self._folders_in(path, "*"))
                todo += [(one, parts, (*above, path)) for one in below
                         if not self._is_loop(one, above) and self._is_new(one, path, len(parts), entered)]
            elif not rest:
                yield self._files_in(path, part)
            else:
                names = self._folders_in(path, part) if part != os.pardir else [part]
                todo += [(_join(path, name), rest, ()) for name in names]

    def _below(self, top: str) -> Iterator[dict[str, int]]:
        """All files below a folder. Links to folders are not followed."""
        todo = [top]
        while todo:
            folder = self._folder(path := todo.pop())
            if folder is None:
                self._problems.append(f"{path}: {self._why_unreadable(path)}")
                continue
            yield self._files_in(path, "*")
            todo += [_join(path, name) for name in sorted(folder.folders, reverse=True) if not name.startswith(".")]

    def _is_loop(self, path: str, above: Sequence[str]) -> bool:
        """Whether a folder, reached through a link, is one of those above it."""
        folder = self._folder(path)
        return folder is not None and any(
            folder.stamp[:2] == other.stamp[:2] for one in above if (other := self._asked.get(one)))

    def _is_new(self, path: str, parent: str, left: int, entered: set[tuple[int, ...]]) -> bool:
        """Whether no other link to this folder was entered, with as many parts of the pattern left; it is from now."""
        folder, above = self._folder(path), self._folder(parent)
        if folder is None or above is None or os.path.basename(path) not in above.links:
            return True
        before = len(entered)
        entered.add((left, *folder.stamp[:2]))
        return len(entered) > before

    # --- one folder -------------------------------------------------------------------------------------------------

    def _folder(self, path: str) -> _Folder | None:
        """What a folder holds now; None where it cannot be read. One that could be read before and now may not be
        keeps its names, and is a problem."""
        if path in self._asked:
            return self._asked[path]
        known, now_s = self._read.get(path), time.monotonic()
        folder: _Folder | None
        try:
            folder = _read_folder(path, None if self._afresh else known, now_s)
        except PermissionError:
            folder = known
            if known is not None:
                self._problems.append(f"{path}: permission denied")
        except OSError:
            folder = None
        self._asked[path] = folder
        return folder

    def _why_unreadable(self, path: str) -> str | None:
        if self._folder(path) is not None:
            return None
        try:
            os.scandir(path).close()
        except OSError as error:
            return (error.strerror or str(error)).lower()
        return "it was not there a moment ago"

    def _folders_in(self, path: str, pattern: str) -> list[str]:
        """The names of a folder's folders that match, links to folders among them."""
        folder = self._folder(path)
        if folder is None:
            return []
        names = _matching(pattern, folder.folders)
        names += [name for name in _matching(pattern, folder.links) if os.path.isdir(_join(path, name))]
        return sorted(names)

    def _files_in(self, path: str, pattern: str) -> dict[str, int]:
        """The files of a folder whose names match and that are not excluded, by path."""
        folder = self._folder(path)
        if folder is None:
            return {}
        found = folder.matched.get(pattern)
        if found is None:
            paths = ((_join(path, name), folder.files[name]) for name in _matching(pattern, folder.files))
            found = {one: hint for one, hint in paths if not _excluded(one, self._exclude)}
            folder.matched[pattern] = found
        if links := _matching(pattern, folder.links):
            found = dict(found)
            for name in links:
                found.update(self._one(_join(path, name)))
        return found

    def _one(self, path: str) -> dict[str, int]:
        """A file by its path, or what a link leads to: asked each time, since no folder tells of it."""
        if _excluded(path, self._exclude):
            return {}
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return {}
        except OSError:
            return {path: NO_HINT}          # opening it tells why
        if not stat.S_ISREG(status.st_mode):
            return {}
        real = os.path.realpath(path)
        if real != os.path.abspath(path):
            self._links.setdefault(real, []).append(path)
        return {path: _hint(status.st_ino)}


def _read_folder(path: str, known: _Folder | None, now_s: float) -> _Folder:
    """A folder's names: those known where its time tells that they are the same. Raises OSError."""
    status = os.stat(path)
    stamp = status.st_dev, status.st_ino, status.st_mtime_ns
    if known is not None and known.stamp == stamp:
        if known.read_s >= known.first_seen_s + SETTLED_S:
            return known
        folder = _Folder(stamp, known.first_seen_s)
    else:
        folder = _Folder(stamp, now_s)
    folder.read_s = now_s
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_symlink():
                folder.links.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                folder.files[entry.name] = _hint(entry.inode())
            elif entry.is_dir(follow_symlinks=False):
                folder.folders.append(entry.name)
    return folder


def _join(folder: str, name: str) -> str:
    return name if folder == "." else os.path.join(folder, name)


def _hint(inode: int) -> int:
    return NO_HINT if inode in _NO_INODES else inode


def _matching(pattern: str, names: "Sequence[str] | dict[str, int]") -> list[str]:
    """The names that a glob without a slash means."""
    if not glob.has_magic(pattern):
        return [pattern] if pattern in names else []
    hidden, match = pattern.startswith("."), _compiled(os.path.normcase(pattern)).match
    return [name for name in names if (hidden or not name.startswith(".")) and match(os.path.normcase(name))]


@lru_cache(256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _tidy(path: str) -> str:
    """A pattern without doubled slashes; one with ".." keeps it, since behind a link that is another folder."""
    if os.pardir not in path.split(os.sep):
        return os.path.normpath(path) if path else path
    double, here = os.sep * 2, f"{os.sep}{os.curdir}{os.sep}"
    while double in path or here in path:
        path = path.replace(double, os.sep).replace(here, os.sep)
    return path.removeprefix(os.curdir + os.sep)


def _why_not(path: str) -> str:
    """Why a path cannot be found: a folder on its way may be closed to this user."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return "no such file or folder"
    except (OSError, ValueError) as error:      # ValueError: a name that no system can have
        return (getattr(error, "strerror", None) or str(error)).lower()
    return "no such file or folder"


def _excluded(path: str, exclude: Sequence[str]) -> bool:
    if not exclude:
        return False
    name = os.path.basename(path)
    return any(fnmatchcase(path if "/" in pattern or os.sep in pattern else name, pattern) for pattern in exclude)
