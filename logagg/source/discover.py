"""Which files a source's globs, folders and excludes mean now."""

# Thousands of names a second: strings, not Path objects.
# ruff: noqa: PTH112, PTH116, PTH117, PTH118, PTH119, PTH120, PTH206, PTH207

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class FileSource:
    """The log files of one application on one host. `paths` and `exclude` as for `discover`."""

    app: str
    host: str
    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    quiet_ms: int = 200


@dataclass(frozen=True, slots=True)
class Discovery:
    """The regular files found, sorted, each once; and why some of what was asked for gave none, one line each."""

    paths: tuple[str, ...]
    problems: tuple[str, ...]


def discover(patterns: Sequence[str], exclude: Sequence[str] = ()) -> Discovery:
    """Expand globs (`**` crosses folders), folders (all files below) and plain paths.

    An exclude with a slash is matched against the whole path, else against the file's name. Hidden files are found
    only where the pattern begins their name with a dot. A name that exists is itself, whatever signs it holds.
    """
    found: set[str] = set()
    problems: list[str] = []
    for pattern in patterns:
        if os.path.isdir(pattern):
            found.update(_files_below(pattern, problems))
        elif os.path.lexists(pattern):
            found.add(pattern)
        elif glob.has_magic(pattern):
            found.update(_expand(pattern, problems))
        else:
            problems.append(f"{pattern}: {_why_not(pattern)}")
    kept = sorted(path for path in found if not _excluded(path, exclude))
    return Discovery(tuple(path for path in kept if _is_regular(path)), tuple(problems))


def watched_folder(pattern: str) -> tuple[str, bool]:
    """The folder in which names that match may appear, and whether those below it matter too."""
    if not glob.has_magic(pattern):
        return (pattern, True) if os.path.isdir(pattern) else (os.path.dirname(pattern) or ".", False)
    parts = pattern.split(os.sep)
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return os.sep.join(parts[:first]) or (os.sep if os.path.isabs(pattern) else "."), first < len(parts) - 1


def _expand(pattern: str, problems: list[str]) -> Iterator[str]:
    """A glob's names. glob passes over folders that it may not list in silence, so its first one is tried here."""
    folder, _ = watched_folder(pattern)
    try:
        os.scandir(folder).close()
    except OSError as error:
        problems.append(f"{pattern}: the folder {folder}: {(error.strerror or str(error)).lower()}")
        return
    for path in glob.iglob(pattern, recursive=True):
        yield os.path.normpath(path)


def _why_not(path: str) -> str:
    """Why a path cannot be found: a folder on its way may be closed to this user."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return "no such file or folder"
    except (OSError, ValueError) as error:      # ValueError: a name that no system can have
        return (getattr(error, "strerror", None) or str(error)).lower()
    return "no such file or folder"


def _files_below(folder: str, problems: list[str]) -> Iterator[str]:
    def note(error: OSError) -> None:
        problems.append(f"{error.filename}: {(error.strerror or str(error)).lower()}")

    for parent, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield os.path.join(parent, name)


def _excluded(path: str, exclude: Sequence[str]) -> bool:
    name = os.path.basename(path)
    return any(fnmatchcase(path if "/" in pattern or os.sep in pattern else name, pattern) for pattern in exclude)


def _is_regular(path: str) -> bool:
    """Whether it is a file, or cannot be asked (then opening it tells why)."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False
    except OSError:
        return True
