"""`logagg init`: writes once, replaces only when told, and what it writes can be used."""

from pathlib import Path

import pytest

from logagg.config import load
from logagg.errors import LogaggError, UsageError
from logagg.init import init


def test_writes_a_valid_file(tmp_path: Path) -> None:
    """The new file is a configuration as it stands."""
    path = tmp_path / "logagg.toml"
    init(path)
    assert load(path).sources[0].app == "myapp"


def test_an_existing_file_stays(tmp_path: Path) -> None:
    """Without --force nothing is overwritten, and the message says both ways out."""
    path = tmp_path / "logagg.toml"
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"exists already and was left as it is; --force replaces it, -c FILE"):
        init(path)
    assert path.read_text() == "mine"


def test_force_replaces(tmp_path: Path) -> None:
    """--force replaces the file and leaves nothing beside it."""
    path = tmp_path / "logagg.toml"
    path.write_text("mine")
    init(path, force=True)
    assert load(path).sources
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_is_missing(force: bool, tmp_path: Path) -> None:
    """A place that cannot be written to is one clear message."""
    with pytest.raises(LogaggError, match=r"cannot be written \(No such file or directory\); choose a folder"):
        init(tmp_path / "none" / "logagg.toml", force=force)


def test_force_does_not_replace_a_folder(tmp_path: Path) -> None:
    """A folder with the file's name is no file to replace."""
    (tmp_path / "logagg.toml").mkdir()
    with pytest.raises(LogaggError, match="it is a folder"):
        init(tmp_path / "logagg.toml", force=True)
