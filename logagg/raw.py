"""A chunk's bytes as it keeps them (digits.py: compressed) and as the log had them.

A hole is a run of NULs that nobody wrote: a writer that does not append goes on at its old place in a log that was
emptied, and after a loss of power a file may be longer than what reached the disk. Of a hole no bytes are kept.
"""

from logagg.digits import compress, decompress
from logagg.record import Carry, Chunk

__all__ = ["CUT", "HOLE", "compress", "content", "decompress", "find_hole"]

HOLE = "hole"
CUT = "cut"
"""In the carry of a chunk before which a record was ended, though the chunk may hold more of it."""

_NULS = bytes(512)
_NULS_AT_START = bytes(16)


def content(chunk: Chunk) -> bytes:
    """The chunk's bytes as the log had them; empty where they are not kept."""
    return bytes(chunk.end - chunk.start) if chunk.gone == HOLE else decompress(chunk.raw)


def find_hole(data: bytes, offset: int, carry: Carry) -> tuple[int, int]:
    """Where in `data` the first hole begins and ends; both at the end where there is none.

    It is of 512 NULs or more; of 16 where it begins the log (the log may have been emptied early); and of any number
    behind a hole. `offset` and `carry` are those where `data` begins.
    """
    begins = (HOLE in carry and data[:1] == b"\0") or (offset == 0 and data.startswith(_NULS_AT_START))
    start = 0 if begins else data.find(_NULS)
    if start < 0:
        return len(data), len(data)
    return start, len(data) - len(data[start:].lstrip(b"\0"))
