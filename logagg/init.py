"""Writes the commented configuration that a user begins with."""

import os
from pathlib import Path

from logagg.config.schema import commented_file
from logagg.errors import LogaggError, UsageError
from logagg.terminal import safe_line


def init(path: Path, *, force: bool = False) -> None:
    """Write the commented configuration to `path`; an existing file stays unless `force`.

    It appears whole or not at all. Raises UsageError where the file exists, LogaggError where it cannot be written.
    """
    text = commented_file()
    try:
        if force:
            _replace(path, text)
        else:
            _create(path, text)
    except FileExistsError:
        raise UsageError(f"{safe_line(path)} exists already and was left as it is; "
                         "--force replaces it, -c FILE writes another") from None
    except OSError as error:
        raise LogaggError(f"{safe_line(path)}: cannot be written ({error.strerror}); "
                          "choose a folder that exists and that you may write to, with -c FILE") from None


def _create(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:     # a full disk: an empty configuration would be a valid one
            path.unlink()
            raise


def _replace(path: Path, text: str) -> None:
    if path.is_dir():
        raise IsADirectoryError(21, "it is a folder")
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(text, encoding="utf-8", newline="\n")
        os.replace(fresh, path)     # noqa: PTH105 - the function that is atomic on every system
    finally:
        fresh.unlink(missing_ok=True)
