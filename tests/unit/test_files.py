"""Reading plain and compressed logs, whole and broken ones."""

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import zstandard

from logagg.errors import SourceError
from logagg.source.files import LogFile, open_log

TEXT = b"".join(b"%06d a line of a log\n" % i for i in range(40_000))


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def zipped(data: bytes, names: Sequence[str] = ("a.log",), method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive with the same content under each name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in names:
            archive.writestr(name, data)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".zst": zstd, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": zipped, "": bytes,
}


def read_all(log: LogFile, block: int = 50_000) -> bytes:
    data = b""
    while piece := log.read_at(len(data), block):
        data += piece
    return data


@pytest.mark.parametrize("suffix", PACKERS)
def test_content(tmp_path: Path, suffix: str) -> None:
    """All formats give the content, any part of it again, its size at the end, and full progress."""
    path = tmp_path / f"a.log{suffix}"
    path.write_bytes(PACKERS[suffix](TEXT))
    log = open_log(str(path))
    assert read_all(log) == TEXT
    assert (log.size(), log.damage()) == (len(TEXT), None)
    assert log.stored_bytes() == (path.stat().st_size, path.stat().st_size)
    assert log.read_at(100, 50) == TEXT[100:150]
    assert log.read_at(len(TEXT) - 10, 50) == TEXT[-10:]
    assert log.read_at(len(TEXT) + 10, 50) == b""
    log.close()


@pytest.mark.parametrize("suffix", [s for s in PACKERS if s not in ("", ".zip")])
def test_several_members(tmp_path: Path, suffix: str) -> None:
    """Compressed pieces one behind the other are one content, as their tools make them with `cat`."""
    path = tmp_path / f"a.log{suffix}"
    path.write_bytes(PACKERS[suffix](TEXT[:70_000]) + PACKERS[suffix](b"") + PACKERS[suffix](TEXT[70_000:]))
    log = open_log(str(path))
    assert read_all(log, 1000) == TEXT
    log.close()


@pytest.mark.parametrize("suffix", [s for s in PACKERS if s])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    """Of a file that was cut off everything before the cut is read, and the damage is told with the bytes read."""
    noise = random.Random(1).randbytes(200_000)
    whole = PACKERS[suffix](noise)
    path = tmp_path / f"a.log{suffix}"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    log = open_log(str(path))
    content = read_all(log)
    assert noise.startswith(content)
    assert len(content) > 100_000 or suffix in (".bz2", ".xz", ".zip")
    assert log.damage() == f"{path}: truncated; the {len(content)} bytes of content before that were read"
    log.close()


@pytest.mark.parametrize("suffix", [s for s in PACKERS if s])
def test_corrupt(tmp_path: Path, suffix: str) -> None:
    """Rubbish behind a name for compressed files is damage, no exception."""
    path = tmp_path / f"a.log{suffix}"
    path.write_bytes(b"this is no compressed file at all, but text " * 100)
    log = open_log(str(path))
    assert read_all(log) == b""
    damage = log.damage()
    assert damage and damage.startswith(f"{path}: corrupt (") and damage.endswith("the 0 bytes of content before that "
                                                                                 "were read")
    log.close()


@pytest.mark.parametrize("suffix", [".zst", ".zip"])
def test_memory_of_a_bomb(tmp_path: Path, suffix: str) -> None:
    """A few kilobytes that unpack to 128 MiB of zeros take no more than some blocks at a time."""
    import tracemalloc

    path = tmp_path / f"a.log{suffix}"
    path.write_bytes(PACKERS[suffix](bytes(1 << 27)))
    log = open_log(str(path))
    tracemalloc.start()
    for at in range(0, 1 << 27, 1 << 20):
        assert len(log.read_at(at, 1 << 20)) == 1 << 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    log.close()
    assert peak < 200 << 20


def test_zip_stored_and_large(tmp_path: Path) -> None:
    """An archive may hold its log as it is, in the form for more than 4 GiB, beside folders, with a comment."""
    path = tmp_path / "a.log.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("logs/", b"")
        with archive.open("logs/a.log", "w", force_zip64=True) as entry:
            entry.write(TEXT)
        archive.comment = b"as an administrator wrote it"
    path.write_bytes(as_zip64(path.read_bytes()))
    log = open_log(str(path))
    assert read_all(log) == TEXT
    assert (log.read_at(7, 9), log.damage()) == (TEXT[7:16], None)
    log.close()


def as_zip64(archive: bytes) -> bytes:
    """The archive with the records before its end that one of more than 4 GiB has (APPNOTE.TXT 4.3.14, 4.3.15)."""
    at = archive.rfind(b"PK\5\6")
    count, size, offset = struct.unpack_from("<10xHLL", archive, at)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    return archive[:at] + wide + locator + archive[at:]


@pytest.mark.parametrize(("content", "what"), [
    (zipped(TEXT, ("a.log", "b.log")), "an archive of 2 files"),
    (zipped(TEXT, ()), "an archive of 0 files"),
    (zipped(TEXT, method=zipfile.ZIP_LZMA), "an archive with compression method 14"),
    (zipped(b"", [f"{i:09}" for i in range(5000)]), "an archive with a directory of 275000 bytes"),
], ids=["several", "none", "lzma", "directory"])
def test_zip_of_something_else(tmp_path: Path, content: bytes, what: str) -> None:
    """An archive that is not one deflated log gives nothing and says what to do."""
    path = tmp_path / "a.log.zip"
    path.write_bytes(content)
    log = open_log(str(path))
    assert read_all(log) == b""
    assert log.damage() == (f"{path}: {what}; of archives, those of one log, stored or deflated, are read: unpack it; "
                            "the 0 bytes of content before that were read")
    log.close()


def test_zip_with_a_wrong_checksum(tmp_path: Path) -> None:
    """What is damaged inside an archive is told, and what was read before stands."""
    archive = bytearray(zipped(TEXT, method=zipfile.ZIP_STORED))
    archive[archive.index(b"039999 a line")] ^= 1
    path = tmp_path / "a.log.zip"
    path.write_bytes(archive)
    log = open_log(str(path))
    content = read_all(log)
    assert TEXT.startswith(content) and len(content) > len(TEXT) // 2
    assert "corrupt (Bad CRC-32 for file 'a.log')" in str(log.damage())
    log.close()


def test_growing_and_vanishing(tmp_path: Path) -> None:
    """An open plain file shows what is appended, after renaming and deletion too."""
    path = tmp_path / "a.log"
    path.write_bytes(b"1\n")
    log = open_log(str(path))
    with path.open("ab") as writer:
        path.rename(tmp_path / "b.log")
        (tmp_path / "b.log").unlink()
        writer.write(b"2\n")
        writer.flush()
        assert (log.size(), log.read_at(0, 100)) == (4, b"1\n2\n")
    log.close()


def test_missing_and_folder(tmp_path: Path) -> None:
    """What has gone is FileNotFoundError; what cannot be read as a file is a SourceError with its path."""
    with pytest.raises(FileNotFoundError):
        open_log(str(tmp_path / "none.log"))
    log = open_log(str(tmp_path))
    with pytest.raises(SourceError, match=str(tmp_path)):
        log.read_at(0, 10)
    log.close()


def test_fifo_does_not_hang(tmp_path: Path) -> None:
    """A FIFO that is named like a log is opened without waiting for a writer."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs on this system")
    os.mkfifo(tmp_path / "a.log")
    log = open_log(str(tmp_path / "a.log"))
    assert log.size() == 0
    log.close()
