"""What Lark made of a grammar or a layout, kept on disk from one start of the program to the next.

The folder is LOGAGG_CACHE_DIR (empty: nothing is kept), else `logagg` in the user's own cache folder. An entry is JSON:
trees of texts, characters and fields, never code. It is found by a hash of all that it was made of (the text, this
package's sources, Lark's and Python's versions) and holds a checksum, so it is the right one or none at all.

The folder and the entries belong to the user alone: others can neither read what the grammars say nor tell what they
are to be. Where that is not so, or nothing can be written, everything is made anew each time, silently.
"""

import contextlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from logagg.version import __version__

ENTRIES_MAX = 2000
"""More than the layouts that detection knows, each some hundred bytes: they push no grammar out."""

ENTRY_BYTES_MAX = 1 << 20

_POSIX = hasattr(os, "geteuid")

Tree = TypeVar("Tree")


def kept(what: str, make: Callable[[], Tree], classes: Iterable[type]) -> Tree:
    """`make()`, or what it answered at an earlier start. `what` is all that the answer depends on; the answer is a
    tuple, or one of the dataclasses `classes`, of such, of texts, numbers, None, and the types int, float and str."""
    place = _folder()
    key = _key(what) if place else None
    if place is None or key is None:
        return make()
    path = place / f"{key}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        known = {one.__name__: one for one in (*classes, int, float, str)}
        found: Tree = _tree(json.loads(_read(path, key)), known)
        return found
    made = make()
    with contextlib.suppress(OSError, ValueError, RecursionError):
        _write(path, key, json.dumps(_plain(made), separators=(",", ":")).encode())
    return made


# ---- what an entry is called -----------------------------------------------------------------------------------------


def _key(what: str) -> str | None:
    made_by = _made_by()
    return made_by and sha256(f"{made_by}\n{what}".encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _made_by() -> str | None:
    """A hash of what makes trees of texts; None where it cannot be told."""
    spec = find_spec("lark")
    if spec is None or spec.origin is None:
        return None
    package = Path(__file__).parent
    try:
        sources = [Path(spec.origin), *sorted(package.glob("*.py"))]     # Lark's version stands in its first file
        parts = [__version__.encode(), sys.version.encode(), *(path.read_bytes() for path in sources)]
    except OSError:
        return None
    return sha256(b"\0".join(parts)).hexdigest()


# ---- where entries are -----------------------------------------------------------------------------------------------


def _folder() -> Path | None:
    """The folder of the entries, made where it is absent; None where there is none that is the user's alone."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):    # no home; a name with a NUL
        base = _base()
        if base is None or not _may_begin(base):
            return None
        folder = base / "grammars"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if _own(folder.lstat(), stat.S_ISDIR) else None
    return None


def _base() -> Path | None:
    own = os.environ.get("LOGAGG_CACHE_DIR")
    if own is not None:
        return Path(own) if own else None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "logagg" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "logagg"
    folder = os.environ.get("XDG_CACHE_HOME", "")   # a relative one is to be ignored (XDG Base Directory Specification)
    return (Path(folder) if folder.startswith("/") else Path.home() / ".cache") / "logagg"


def _may_begin(base: Path) -> bool:
    """Whether a folder may be made there: root leaves none behind in the home of who has called it with sudo."""
    if not _POSIX or os.geteuid() != 0:
        return True
    there = next(path for path in (base, *base.absolute().parents) if path.exists())
    return there.stat().st_uid == 0


def _own(found: os.stat_result, kind: Callable[[int], bool]) -> bool:
    """Whether it is of this kind, and nobody but this user can write to it."""
    return kind(found.st_mode) and (
        not _POSIX or (found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)))


# ---- entries ---------------------------------------------------------------------------------------------------------


def _read(path: Path, key: str) -> bytes:
    """An entry's JSON; ValueError where it is not to be trusted or damaged."""
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
        found = os.fstat(file.fileno())
        if not _own(found, stat.S_ISREG) or found.st_size > ENTRY_BYTES_MAX:
            raise ValueError("somebody else can write to it, or it is too large")
        head, _, body = file.read(ENTRY_BYTES_MAX).partition(b"\n")
    if head != _head(key, body):
        raise ValueError("damaged")
    return body


def _head(key: str, body: bytes) -> bytes:
    return sha256(key.encode() + body).hexdigest().encode()


def _write(path: Path, key: str, body: bytes) -> None:
    """Write an entry at once and whole, and let the oldest ones go."""
    content = _head(key, body) + b"\n" + body
    if len(content) > ENTRY_BYTES_MAX:
        return
    new = path.with_name(os.urandom(8).hex())
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    entries = list(path.parent.iterdir())
    if len(entries) > ENTRIES_MAX:
        entries.sort(key=lambda one: one.lstat().st_mtime_ns, reverse=True)
        for old in entries[ENTRIES_MAX:]:
            old.unlink(missing_ok=True)


# ---- trees as JSON ---------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """A tuple as a list; a dataclass or a type as an object with its name: {"Text": ["DAS "]}, {"int": null}."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, type):
        return {value.__name__: None}
    names = getattr(value, "__dataclass_fields__", None)
    return value if names is None else {type(value).__name__: [_plain(getattr(value, name)) for name in names]}


def _tree(value: Any, classes: dict[str, type]) -> Any:
    if isinstance(value, list):
        return tuple([_tree(one, classes) for one in value])
    if not isinstance(value, dict):
        return value
    ((name, parts),) = value.items()
    return classes[name] if parts is None else classes[name](*[_tree(one, classes) for one in parts])
