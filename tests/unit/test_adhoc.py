"""Paths on a command line become sources."""

import os
from pathlib import Path

import pytest

from logagg.adhoc import app_of, not_understood, sources_for, why_none
from logagg.config import SourceConfig, loads
from logagg.errors import GrammarError, UsageError
from logagg.record import Counts, Stream


@pytest.mark.parametrize(("path", "app"), [
    ("/x/das.log", "das"), ("das.log.1.gz", "das"), ("das-2026-11-20.log.zst", "das"), ("das_20261120.log", "das"),
    ("das.2026-11-20.log", "das"), ("xivr-app01.log", "xivr-app01"), (".hidden.log", "hidden"),
    ("20261120", "20261120"), ("...", "log"), ("das-2026-11-20T10_00.log", "das"),
    ("d\udcffs.log", "d\\udcffs"), ("d\x1b[31m\ns.log", "d\\x1b[31m\\ns"),
])
def test_app_of(path: str, app: str) -> None:
    """All generations of a log have the same application's name."""
    assert app_of(path) == app


def test_sources(tmp_path: Path) -> None:
    """A file that the configuration matches is read as it says, another by its own name; folders are searched."""
    (tmp_path / "logs").mkdir()
    for name in ("das.log", "das.log.1", "esp.log", "skip.tmp"):
        (tmp_path / "logs" / name).touch()
    config = loads('timezone = "Asia/Kolkata"\n[[source]]\napp = "DAS"\nhost = "h"\npaths = "logs/das*"\nkeep = "all"',
                   tmp_path / "logagg.toml")
    sources, problems = sources_for(config, [str(tmp_path / "logs"), str(tmp_path / "none")], {"app": None})
    assert [(source.app, source.keep, source.timezone, [Path(path).name for path in source.paths])
            for source in sources] == [
        ("DAS", "all", "Asia/Kolkata", ["das.log", "das.log.1"]),
        ("esp", "events", "Asia/Kolkata", ["esp.log"]),
        ("skip", "events", "Asia/Kolkata", ["skip.tmp"]),
    ]
    assert len(problems) == 1 and "none" in problems[0]


def test_the_source_that_means_a_path(tmp_path: Path) -> None:
    """A file belongs to the source in which it was found: that names its folder, or has `**` for no folder at all."""
    config = loads("""
        [[source]]
        app = "das"
        host = "h"
        paths = "a/*.log"
        [[source]]
        app = "das"
        host = "h"
        paths = "b/**/*.log"
        [[source]]
        app = "das"
        host = "h"
        paths = "c"
        """, tmp_path / "logagg.toml")
    for name, source in (("a/x.log", 0), ("b/x.log", 1), ("b/d/e/x.log", 1), ("c/x", 2), ("c/d/x", 2)):
        path = str(tmp_path / name)
        assert config.source_of("das", "h", path) is config.sources[source], name
        assert config.source_matching(path) is config.sources[source], name
    assert config.source_matching(str(tmp_path / "a/d/x.log")) is None
    assert config.source_of("das", "h", str(tmp_path / "a/d/x.log")) is config.sources[0], "as its app and host say"


def test_own_files_are_no_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store, the configuration and the archive in a folder of logs are not read, nor when they are named."""
    (tmp_path / "reports" / "r").mkdir(parents=True)
    for name in ("das.log", "logagg.toml", "s.db", "s.db-wal", "s.db-shm", "s.db.log", "reports/r/index.html"):
        (tmp_path / name).touch()
    text = '[store]\nurl = "sqlite:///s.db"\n[[report]]\nname = "r"\n'
    monkeypatch.chdir(tmp_path)
    sources, problems = sources_for(loads(text, tmp_path / "logagg.toml"), ["."], {})
    assert [Path(path).name for source in sources for path in source.paths] == ["das.log", "s.db.log"]
    assert not problems
    sources, problems = sources_for(loads(text, tmp_path / "logagg.toml"), ["s.db"], {})
    assert not sources and problems == ["s.db: holds only files that logagg writes itself"]


def test_why_a_path_means_no_file(tmp_path: Path) -> None:
    """An empty folder, a pipe and a glob without a match each have their reason."""
    assert why_none(str(tmp_path)) == f"{tmp_path}: no file in this folder"
    assert why_none(f"{tmp_path}/*.log") == f"{tmp_path}/*.log: matches no file"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.log")
        sources, problems = sources_for(loads("", tmp_path / "logagg.toml"), [str(tmp_path / "pipe.log")], {})
        assert not sources and "is no regular file; `logagg parse -` reads what is piped" in problems[0]


def test_not_understood() -> None:
    """Streams of the sources with rejects only are named; with any record, or of another source, they are not."""
    streams = [Stream(str(i), host, app, f"/{i}", "", counts=counts) for i, (app, host, counts) in enumerate([
        ("a", "h", Counts(rejects=3)), ("a", "h", Counts(records=1, rejects=3)), ("a", "h", Counts()),
        ("b", "h", Counts(rejects=1))])]
    assert not_understood(streams, [SourceConfig("a", "h")]) == ["/0"]


def test_an_empty_path_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an unset variable of the shell leaves is said, and nothing is read for it."""
    (tmp_path / "das.log").touch()
    monkeypatch.chdir(tmp_path)
    sources, problems = sources_for(loads("", tmp_path / "logagg.toml"), [""], {})
    assert not sources and problems == ["an empty path; expected a file, a folder or a glob"]


def test_options_win(tmp_path: Path) -> None:
    """With any option of reading the configuration's sources do not count."""
    (tmp_path / "das.log").touch()
    config = loads('[[source]]\napp = "DAS"\npaths = "das*"', tmp_path / "logagg.toml")
    (source,), _ = sources_for(config, [str(tmp_path / "das.log")], {"host": "h2", "app": None})
    assert (source.app, source.host) == ("das", "h2")


@pytest.mark.parametrize(("options", "error", "said"), [
    ({"app": "a/b"}, UsageError, '--app: "a/b" cannot be a name'),
    ({"timezone": "Mars"}, UsageError, '--timezone: "Mars" is no time zone'),
    ({"encoding": "utf-16"}, UsageError, "--encoding: "),
    ({"packs": ("none",)}, UsageError, "--pack: no pack 'none'"),
    ({"layout": "%d{"}, GrammarError, "--layout: .*column"),
])
def test_wrong_options(options: dict[str, object], error: type[Exception], said: str, tmp_path: Path) -> None:
    """A wrong option is named."""
    with pytest.raises(error, match=said):
        sources_for(loads("", tmp_path / "logagg.toml"), [str(tmp_path)], options)
