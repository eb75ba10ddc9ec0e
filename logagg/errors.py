"""Every error that logagg raises on purpose.

    LogaggError                 a message for a person; the CLI prints it and exits with `exit_status`
    ├── UsageError              wrong options or arguments                                   exit 2
    ├── ConfigError             one or more mistakes in the configuration, all at once        exit 2
    ├── GrammarError            a pattern or grammar that cannot be used, with its place     exit 2
    ├── SourceError             a path that cannot be read                                    exit 1
    └── StoreError              the store refuses or is broken                                exit 1
        ├── StoreUnavailable    out of reach for now: try again                               exit 1
        │   └── StoreFull       no space for commits, until somebody makes some               exit 1
        └── StoreVersionError   written by a newer logagg                                     exit 1

A record that cannot be read is data (a reject), never an exception.
"""


class LogaggError(Exception):
    """What went wrong, where, what was expected and what to do next, in one message."""

    exit_status = 1


class UsageError(LogaggError):
    """The command line asks for something that cannot be."""

    exit_status = 2


class ConfigError(LogaggError):
    """All mistakes found in one configuration; each item of `problems` is one line with its place."""

    exit_status = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class GrammarError(LogaggError):
    """A conversion pattern, layout or grammar that cannot be used."""

    exit_status = 2


class SourceError(LogaggError):
    """A log that cannot be read."""


class StoreError(LogaggError):
    """The store refused."""


class StoreUnavailable(StoreError):
    """The store cannot be reached now. The outcome of a commit under way is not known: read the stream again."""


class StoreFull(StoreUnavailable):
    """The store has no space left. Small documents may still be taken."""


class StoreVersionError(StoreError):
    """The store was written by a newer logagg than this one."""
