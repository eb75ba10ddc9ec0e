"""Paths on a command line become sources."""

from pathlib import Path

import pytest

from logagg.adhoc import app_of, sources_for
from logagg.config import loads
from logagg.errors import GrammarError, UsageError


@pytest.mark.parametrize(("path", "app"), [
    ("/x/das.log", "das"), ("das.log.1.gz", "das"), ("das-2026-11-20.log.zst", "das"), ("das_20261120.log", "das"),
    ("das.2026-11-20.log", "das"), ("xivr-app01.log", "xivr-app01"), (".hidden.log", "hidden"),
    ("20261120", "20261120"), ("...", "log"), ("das-2026-11-20T10_00.log", "das"),
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
