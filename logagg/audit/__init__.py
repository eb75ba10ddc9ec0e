"""Proof that the store holds every record once: files are read again and compared with it (files.py), and what it
stores of each stream is checked against itself and against what reading it again gives (streams.py)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from logagg.audit.files import FileAudit, audit_file, settle_copies
from logagg.audit.streams import StreamAudit, audit_stream, repeated
from logagg.interfaces import Store
from logagg.reading import Pipeline
from logagg.record import Stream
from logagg.source.discover import FileSource

Progress = Callable[[int], None]
"""Told of so many more bytes that were compared or read again."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What came of it. `proven`: nothing is missing, different or stored twice, but for what retention has deleted."""

    files: tuple[FileAudit, ...]
    streams: tuple[StreamAudit, ...]

    @property
    def proven(self) -> bool:
        return not any(file.is_problem for file in self.files) and not any(one.problems for one in self.streams)

    def to_json(self) -> dict[str, Any]:
        """{"proven", "files": [...], "streams": [...], "totals"}, as `logagg audit --json` prints it."""
        return {"proven": self.proven, "files": [file.to_json() for file in self.files],
                "streams": [one.to_json() for one in self.streams],
                "totals": {"files": len(self.files), "streams": len(self.streams),
                           "bytes": sum(file.bytes for file in self.files),
                           "problems": sum(file.is_problem for file in self.files)
                           + sum(len(one.problems) for one in self.streams)}}


def audit(store: Store, files: Sequence[tuple[FileSource, str]], streams: Iterable[Stream],
          pipeline_for: Callable[[Stream], Pipeline], progress: Progress = lambda done: None) -> Audit:
    """Compare these files, each of a source, with the store, and check these streams.

    Nothing is written. An agent may go on meanwhile: what it commits after a file's or stream's turn is not looked at.
    Memory: some chunks.
    """
    done = settle_copies([audit_file(store, source, path, progress) for source, path in files])
    known = list(streams)
    checked = [audit_stream(store, stream, pipeline_for, progress) for stream in known]
    return Audit(tuple(done), tuple(repeated(store, known, checked)))
