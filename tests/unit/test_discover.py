"""What globs, folders and excludes mean."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from logagg.source.discover import discover, watched_folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.log", "b.log.gz", "sub/c.log", "sub/deep/d.log", "sub/.hidden.log", "odd[1].log", "sub/e.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(("patterns", "exclude", "expected"), [
    (["*.log"], [], ["a.log", "odd[1].log"]),
    (["*.log*"], ["*.gz"], ["a.log", "odd[1].log"]),
    (["**/*.log"], [], ["a.log", "odd[1].log", "sub/c.log", "sub/deep/d.log"]),
    (["**/*.log"], ["*/deep/*"], ["a.log", "odd[1].log", "sub/c.log"]),
    (["sub"], [], ["sub/c.log", "sub/deep/d.log", "sub/e.txt"]),
    (["sub/c.log", "sub/*", "sub"], ["d.*"], ["sub/c.log", "sub/e.txt"]),
    (["odd[1].log"], [], ["odd[1].log"]),
    (["s*/c.log"], [], ["sub/c.log"]),
])
def test_discover(tree: Path, patterns: list[str], exclude: list[str], expected: list[str]) -> None:
    """Globs cross folders only with `**`, a folder means all below, and each file comes once, in order."""
    found = discover([str(tree / p) for p in patterns], exclude)
    assert [str(Path(p).relative_to(tree)) for p in found.paths] == expected
    assert found.problems == ()


def test_problems(tree: Path) -> None:
    """What is not there is named with its pattern; what matches nothing in a folder that is there is no problem."""
    found = discover([str(tree / "none.log"), str(tree / "no/*.log"), str(tree / "*.none")])
    assert found.paths == ()
    assert found.problems == (
        f"{tree}/none.log: no such file or folder",
        f"{tree}/no/*.log: the folder {tree}/no: no such file or directory",
    )


@pytest.mark.skipif(not shutil.which("setpriv") and (not hasattr(os, "geteuid") or os.geteuid() == 0),
                    reason="needs a user whose rights count")
def test_a_file_in_a_closed_folder(tree: Path) -> None:
    """A file that is there, in a folder that this user may not enter, is not called missing."""
    closed = tree / "closed"
    closed.mkdir()
    (closed / "a.log").touch()
    closed.chmod(0)
    caps = "-dac_override,-dac_read_search"
    prefix = ["setpriv", f"--inh-caps={caps}", f"--bounding-set={caps}"] if os.geteuid() == 0 else []
    code = f"from logagg.source.discover import discover; print(discover([{str(closed / 'a.log')!r}]).problems[0])"
    try:
        done = subprocess.run([*prefix, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    finally:
        closed.chmod(0o700)
    assert done.stdout == f"{closed}/a.log: permission denied\n"


def test_only_regular_files(tree: Path) -> None:
    """Folders and dangling links that match are passed over."""
    (tree / "folder.log").mkdir()
    (tree / "dangling.log").symlink_to("nowhere")
    assert [Path(p).name for p in discover([str(tree / "*.log")]).paths] == ["a.log", "odd[1].log"]


@pytest.mark.parametrize(("pattern", "expected"), [
    ("/var/log/a.log", ("/var/log", False)),
    ("/var/log/*.log", ("/var/log", False)),
    ("/var/*/a.log", ("/var", True)),
    ("/var/log/**/*.log", ("/var/log", True)),
    ("/*.log", ("/", False)),
    ("*.log", (".", False)),
])
def test_watched_folder(pattern: str, expected: tuple[str, bool]) -> None:
    """The folder to watch is the part before the first sign."""
    assert watched_folder(pattern) == expected
