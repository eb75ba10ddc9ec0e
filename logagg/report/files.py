"""Files that are whole or absent: written beside their place, then renamed into it."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str | bytes) -> bool:
    """Write a file atomically and durably, if its content differs; tell whether it was written."""
    content = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    with suppress(OSError):
        if path.read_bytes() == content:
            return False
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True
