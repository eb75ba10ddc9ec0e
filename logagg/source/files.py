"""Opening logs for reading, plain or compressed, so that whoever writes them may rename and delete them meanwhile.

Offsets and sizes are those of the uncompressed content.
"""

import os
import stat
import sys
from hashlib import blake2b
from pathlib import Path
from typing import IO, Protocol

from logagg.errors import SourceError

PACKED_SUFFIXES = (".gz", ".zst", ".bz2", ".xz", ".zip")

READ_BYTES = 1 << 18
WHOLE_DISK_BYTES_MAX = 1 << 22
WHOLE_BYTES_MAX = 1 << 25
PRINT_BYTES = 4096
ZIP_DIRECTORY_BYTES_MAX = 1 << 18
"""More than an archive of one log needs, with a comment and a name as long as they may be."""

ZIP_TAIL_BYTES = 76 + 22 + (1 << 16)
"""The last records of an archive: for more than 4 GiB, the end, and a comment."""

ZIP_ADVICE = "of archives, those of one log, stored or deflated, are read: unpack it"

ZSTD_INPUT_BYTES = 2048
"""What zstd is given at once: even a hostile file, 128 KiB for four bytes, then yields at most 64 MiB."""

FileKey = tuple[int, int]
"""Device and inode: a hint for following an open file through a rename, never an identity."""


class LogFile(Protocol):
    """An open log."""

    path: str
    key: FileKey | None     #: None where the system has no inodes

    def size(self) -> int | None:
        """The content's size now; None while it is not known (a compressed file that was not read to its end)."""
        ...

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of what can be read."""
        ...

    def damage(self) -> str | None:
        """Why the content ends before the file does, where it was read so far."""
        ...

    def stored_bytes(self) -> tuple[int, int]:
        """How many bytes on disk have been read, and how many there are: for a progress bar."""
        ...

    def close(self) -> None: ...


def is_packed(path: str) -> bool:
    return path.endswith(PACKED_SUFFIXES)


def is_whole(path: str) -> bool:
    """Whether a compressed file can be read to its end now. One that is large on disk, or unpacked, is not tried."""
    try:
        file = open_log(path)
    except (OSError, SourceError):
        return False
    try:
        if not 0 < file.stored_bytes()[1] <= WHOLE_DISK_BYTES_MAX:
            return False
        for offset in range(0, WHOLE_BYTES_MAX, READ_BYTES):
            if len(file.read_at(offset, READ_BYTES)) < READ_BYTES:
                return file.damage() is None
        return False
    finally:
        file.close()


def open_log(path: str) -> LogFile:
    """Open a log by its name's suffix. Raises SourceError that says what to do, FileNotFoundError if it has gone."""
    try:
        descriptor = _open_shared(path)
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise SourceError(denied(path)) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened: {error.strerror or error}") from error
    try:
        return PackedFile(path, descriptor) if is_packed(path) else PlainFile(path, descriptor)
    except OSError as error:
        os.close(descriptor)
        raise SourceError(f"{path}: cannot be opened: {error.strerror or error}") from error


def _open_shared(path: str) -> int:
    """A descriptor that does not hinder renaming and deleting."""
    if sys.platform == "win32":
        return _open_share_delete(path)
    else:
        # O_NONBLOCK: opening a FIFO that somebody named like a log must not hang; no effect on regular files.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


if sys.platform == "win32":

    def _open_share_delete(path: str) -> int:
        """CreateFileW with FILE_SHARE_READ | WRITE | DELETE, which Python's own open leaves out."""
        import ctypes
        import msvcrt

        generic_read, share_all, open_existing = 0x80000000, 0x7, 3
        create = ctypes.windll.kernel32.CreateFileW
        create.restype = ctypes.c_void_p
        handle = create(path, generic_read, share_all, None, open_existing, 0, None)
        if handle is None or handle == ctypes.c_void_p(-1).value:
            return os.open(path, os.O_RDONLY | os.O_BINARY)  # It raises what was wrong.
        return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY)


def file_key(status: os.stat_result) -> FileKey | None:
    return (status.st_dev, status.st_ino) if status.st_ino else None


class PlainFile:
    """A file that may be growing. `size` asks the system each time."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.key = file_key(os.fstat(descriptor))
        self._read_to = 0

    def size(self) -> int:
        try:
            return os.fstat(self._descriptor).st_size
        except OSError as error:        # a network drive that is away, or on which somebody else deleted the file
            raise SourceError(f"{self.path}: asking for its size failed: {error.strerror or error}") from error

    def read_at(self, offset: int, size: int) -> bytes:
        try:
            data = self._read(offset, size)
        except OSError as error:
            raise SourceError(f"{self.path}: reading at {offset} failed: {error.strerror or error}") from error
        self._read_to = max(self._read_to, offset + len(data))
        return data

    def _read(self, offset: int, size: int) -> bytes:
        if sys.platform == "win32":
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, size)
        else:
            return os.pread(self._descriptor, size, offset)

    def damage(self) -> str | None:
        return None

    def stored_bytes(self) -> tuple[int, int]:
        size = self.size()
        return min(self._read_to, size), size

    def close(self) -> None:
        os.close(self._descriptor)


class PackedFile:
    """A compressed file, which is complete and does not grow. Memory is bounded by what one `read_at` asks for.

    Reading goes forward; going back starts again from the beginning, so ask in ascending order. What could be read of
    a truncated or corrupt file is returned as if it ended there, and `damage` tells.
    """

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self.key = file_key(os.fstat(descriptor))
        self._file = os.fdopen(descriptor, "rb")
        self._total: int | None = None
        self._damage: str | None = None
        self._restart()

    def _restart(self) -> None:
        self._file.seek(0)
        self._content: Content | None = _content(self.path, self._file)
        self._low = 0
        self._kept = bytearray()

    def size(self) -> int | None:
        return self._total

    def read_at(self, offset: int, size: int) -> bytes:
        if offset < self._low:
            self._restart()
        while self._content is not None and self._low + len(self._kept) < offset + size:
            self._drop_before(offset)
            self._read_more()
        self._drop_before(offset)
        start = offset - self._low
        return bytes(self._kept[start : start + size])

    def _drop_before(self, offset: int) -> None:
        drop = min(max(0, offset - self._low), len(self._kept))
        del self._kept[:drop]
        self._low += drop

    def _read_more(self) -> None:
        assert self._content is not None
        try:
            data = self._content.read1(READ_BYTES)
        except Exception as error:
            # Each codec raises errors of its own: EOFError, OSError, zlib.error, LZMAError, ZstdError.
            at = self._low + len(self._kept)
            what = "truncated" if isinstance(error, EOFError) else f"corrupt ({error})"
            what = str(error) if isinstance(error, SourceError) else what
            self._damage = f"{self.path}: {what}; the {at} bytes of content before that were read"
            data = b""
        self._kept += data
        if not data:
            self._content = None
            self._total = self._low + len(self._kept)

    def damage(self) -> str | None:
        return self._damage

    def fingerprint(self) -> str:
        """Tells this file from others without unpacking it: its size and a hash of its first and last 4 KiB on disk,
        where every format but some zstd keeps a checksum of the content."""
        digest = blake2b(digest_size=16)
        try:
            size, at = os.fstat(self._file.fileno()).st_size, self._file.tell()
            for offset in (0, max(0, size - PRINT_BYTES)):
                self._file.seek(offset)
                digest.update(self._file.read(PRINT_BYTES))
            self._file.seek(at)
        except OSError as error:
            raise SourceError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        return f"{size}:{digest.hexdigest()}"

    def stored_bytes(self) -> tuple[int, int]:
        size = os.fstat(self._file.fileno()).st_size
        return (size if self._content is None else self._file.tell()), size

    def close(self) -> None:
        self._file.close()


class Content(Protocol):
    """Uncompressed content; `read1` returns what there was before it raises."""

    def read1(self, size: int, /) -> bytes: ...


def _content(path: str, file: IO[bytes]) -> Content:
    """The decoder for a file name's suffix."""
    if path.endswith(".gz"):
        import gzip

        return gzip.GzipFile(fileobj=file, mode="rb")
    if path.endswith(".bz2"):
        import bz2

        return bz2.BZ2File(file)
    if path.endswith(".xz"):
        import lzma

        return lzma.LZMAFile(file)
    return ZipContent(file) if path.endswith(".zip") else ZstdContent(file)


class ZstdContent:
    """Like gzip.GzipFile for zstd: several frames in a row, EOFError where the last is cut off.

    zstandard's own stream reader takes a cut-off file for a complete one.
    """

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard

        self._file = file
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = self._decompressor.decompressobj()
        self._begun = False
        self._input = b""

    def read1(self, size: int) -> bytes:
        """Some bytes, about `size`; none at the end."""
        pieces: list[bytes] = []
        length = 0
        while length < size and self._more_input(bool(pieces)):
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
            piece = self._frame.decompress(self._input)
            self._begun = True
            self._input = self._frame.unused_data if self._frame.eof else b""
            pieces.append(piece)
            length += len(piece)
        return b"".join(pieces)

    def _more_input(self, have_output: bool) -> bool:
        """Whether there are compressed bytes to go on with."""
        self._input = self._input or self._file.read(ZSTD_INPUT_BYTES)
        if self._input:
            return True
        if not self._frame.eof and not have_output:
            raise EOFError("cut off within a frame")
        return False


class ZipContent:
    """The one file of a zip archive, stored or deflated; folders in it do not count.

    An archive's directory is at its end, so one that is being written, or was cut off, cannot be read at all. One that
    holds several files is several logs, whose copies could not be told: it is refused.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._content: IO[bytes] | None = None

    def read1(self, size: int) -> bytes:
        self._content = self._content or self._open()
        return self._content.read(size)

    def _open(self) -> IO[bytes]:
        import zipfile

        directory_bytes = self._directory_bytes()
        if directory_bytes is None and self._file.read(4) == b"PK\3\4":
            raise EOFError
        if directory_bytes is not None and directory_bytes > ZIP_DIRECTORY_BYTES_MAX:
            raise SourceError(f"an archive with a directory of {directory_bytes} bytes; {ZIP_ADVICE}")
        archive = zipfile.ZipFile(self._file)
        files = [each for each in archive.infolist() if not each.is_dir()]
        if len(files) != 1:
            raise SourceError(f"an archive of {len(files)} files; {ZIP_ADVICE}")
        if files[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SourceError(f"an archive with compression method {files[0].compress_type}; {ZIP_ADVICE}")
        return archive.open(files[0])

    def _directory_bytes(self) -> int | None:
        """The directory's size as the archive's last record tells it, found as zipfile does; None: there is none.

        Format: APPNOTE.TXT 4.3.14 to 4.3.16. Leaves the file at its beginning.
        """
        self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, self._file.tell() - ZIP_TAIL_BYTES))
        tail = self._file.read()
        self._file.seek(0)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) < at + 22:
            return None
        if tail[at - 20 : at - 16] == b"PK\6\7" and tail[at - 76 : at - 72] == b"PK\6\6":
            return int.from_bytes(tail[at - 36 : at - 28], "little")
        return int.from_bytes(tail[at + 12 : at + 16], "little")


def denied(path: str) -> str:
    """The message for a path that may not be read: who owns it, its mode, and the way out."""
    user = _user()
    for part in (*reversed(Path(path).absolute().parents), Path(path).absolute()):
        try:
            status = part.stat()
        except OSError:
            continue
        need = os.X_OK if stat.S_ISDIR(status.st_mode) and part != Path(path).absolute() else os.R_OK
        if not os.access(part, need, effective_ids=os.access in os.supports_effective_ids):
            return _advice(path, part, status, user)
    return f"{path}: permission denied for user {user}; let that user read it"


def _advice(path: str, part: Path, status: os.stat_result, user: str) -> str:
    owner, group = _owner(status)
    mode = stat.S_IMODE(status.st_mode)
    folder = stat.S_ISDIR(status.st_mode)
    what = "cannot be opened: the folder " + str(part) if folder else "cannot be read: it"
    shared = mode & stat.S_IRGRP and (not folder or mode & stat.S_IXGRP)
    if shared and group != "root":
        way_out = f"sudo usermod -aG {group} {user} and start logagg anew"
    else:
        rights = "rx" if folder else "r"
        way_out = f"sudo setfacl -m u:{user}:{rights} {part} or sudo chmod o+{rights} {part}"
    return (
        f"{path}: {what} has owner {owner}, group {group}, mode {mode:04o}, and logagg runs as {user}; run: {way_out}"
    )


if sys.platform == "win32":

    def _user() -> str:
        return os.environ.get("USERNAME", "this user")

    def _owner(status: os.stat_result) -> tuple[str, str]:
        return str(status.st_uid), str(status.st_gid)

else:
    import grp
    import pwd

    def _user() -> str:
        try:
            return pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            return str(os.geteuid())

    def _owner(status: os.stat_result) -> tuple[str, str]:
        """The names of owner and group; their numbers where they have none."""
        try:
            owner = pwd.getpwuid(status.st_uid).pw_name
        except KeyError:
            owner = str(status.st_uid)
        try:
            group = grp.getgrgid(status.st_gid).gr_name
        except KeyError:
            group = str(status.st_gid)
        return owner, group
