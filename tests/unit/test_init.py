"""`logagg init`: writes once, replaces only when told, and what it writes can be used."""

import subprocess
import sys
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


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    """Where it cannot be written whole nothing is left: an empty file would be a valid configuration."""
    code = ("import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); "
            "from logagg import cli; sys.exit(cli.main(['init']))")
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "logagg.toml: cannot be written (File too large)" in done.stderr
    assert not list(tmp_path.iterdir())
