"""What globs, folders and excludes mean."""

import glob
import os
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from logagg.source.discover import Finder, discover, is_meant, watched_folder


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
    everything = [str(path) for path in tree.rglob("*") if path.is_file()]
    meant = [path for path in everything if is_meant(path, [str(tree / p) for p in patterns], exclude)]
    assert sorted(meant) == list(found.paths), "the path alone tells the same"


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


# --- asking again and again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_finds_what_glob_finds(tmp_path: Path, seed: int) -> None:
    """Over random trees and globs, first and after random changes, the same regular files as the standard library's
    glob finds."""
    rng, target = random.Random(seed), tmp_path.parent / f"target{seed}"
    target.touch()
    names = ["a.log", "b.log", ".c.log", "d", "e", ".f", "g[1]", "h.log.1"]
    finders: dict[str, Finder] = {}
    for _ in range(6):
        for _ in range(12):
            path = tmp_path.joinpath(*(rng.choice(names) for _ in range(rng.randrange(1, 4))))
            action = rng.random()
            if path.is_symlink() or path.is_file():
                if action < 0.5:
                    path.unlink()
            elif not path.exists() and action < 0.9:
                with suppress(OSError):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if action < 0.1:
                        path.symlink_to(rng.choice(["/nowhere", target]))
                    else:
                        path.touch()
            elif path.is_dir() and action < 0.1:
                shutil.rmtree(path)
        for pattern in ("*.log", "**/*.log", "*/a.log", "d/**", "**/d/*.log*", "[!a]*/*", ".f/*", ".*", "*/.c*",
                        "d/a.log", "**/.f/**/b*", "g[[]1]/*"):
            where = str(tmp_path / pattern)
            if not (tmp_path / pattern).exists():
                expected = sorted(filter(os.path.isfile, glob.glob(where, recursive=True)))  # noqa: PTH207
                got = finders.setdefault(where, Finder([where])).find()
                assert list(got.paths) == expected, (seed, pattern)
                assert got.paths == discover([where]).paths
                files = filter(os.path.isfile, map(str, tmp_path.rglob("*")))
                assert sorted(path for path in files if is_meant(path, [where])) == expected, (seed, pattern)


def test_a_folder_is_read_when_its_time_changes(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was read well after its last change is not read again until it changes; then what came, went and
    became another file is named."""
    monkeypatch.setattr("logagg.source.discover.SETTLED_S", 0.0)
    finder = Finder([str(tree / "**/*.log")])
    first = finder.find()
    assert first.changed == set(first.paths)
    finder.find()
    read: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: read.append(path) or scandir(path))
    again = finder.find()
    assert (again.paths, again.changed, again.gone, read) == (first.paths, frozenset(), frozenset(), [])
    (tree / "sub" / "c.log").rename(tree / "sub" / "deep" / "d.log")
    (tree / "sub" / "new.log").touch()
    later = finder.find()
    assert {os.path.relpath(path, tree) for path in later.changed} == {"sub/deep/d.log", "sub/new.log"}
    assert later.gone == {str(tree / "sub/c.log")}
    assert set(read) == {str(tree / "sub"), str(tree / "sub/deep")}


@pytest.mark.parametrize("pattern", ["", "**/*.log"])
def test_folders_deeper_than_any_stack(tmp_path: Path, pattern: str) -> None:
    """Whoever may write into a folder of logs cannot end the search by folders in folders in folders."""
    expected, path = [], str(tmp_path)
    for i in range(1, 1501):
        path = os.path.join(path, "d")  # noqa: PTH118
        os.mkdir(path)                  # noqa: PTH102
        if i % 500 == 0:
            expected.append(os.path.join(path, "a.log"))    # noqa: PTH118
            Path(expected[-1]).touch()
    found = discover([str(tmp_path / pattern)])
    assert sorted(found.paths) == sorted(expected) and found.problems == ()
    assert all(is_meant(one, [str(tmp_path / pattern)]) for one in expected)
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_links_to_links(tmp_path: Path) -> None:
    """Folders with links to each other have as many ways as their orders; each file is found by its own name, and by
    no more names than there are folders and links to them."""
    for i in range(12):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "a.log").touch()
        for j in range(12):
            if j != i:
                (tmp_path / str(i) / f"to{j}").symlink_to(tmp_path / str(j))
    found = discover([str(tmp_path / "**/*.log")])
    assert {str(tmp_path / str(i) / "a.log") for i in range(12)} <= set(found.paths)
    assert len(found.paths) <= 24


def test_changes_within_one_step_of_the_clock(tree: Path) -> None:
    """A file that comes right after the folder was read is found, though the folder's time may be the same."""
    finder = Finder([str(tree / "*.log")])
    for i in range(200):
        finder.find()
        (tree / f"{i}.log").touch()
        assert str(tree / f"{i}.log") in finder.find().changed


def test_a_file_in_anothers_place(tree: Path) -> None:
    """A name that holds another file than before counts as changed."""
    finder = Finder([str(tree / "*.log")])
    finder.find()
    (tree / "other").touch()
    (tree / "other").rename(tree / "a.log")
    assert finder.find().changed == {str(tree / "a.log")}


def test_links_and_the_folders_they_lead_to(tree: Path) -> None:
    """A link's target is asked each time, its folder is among those to be watched; a link upwards ends."""
    (tree / "sub" / "up").symlink_to("..")
    (tree / "link.log").symlink_to("sub/deep/d.log")
    finder = Finder([str(tree / "*.log"), str(tree / "sub/**/e.txt")])
    found = finder.find()
    assert str(tree / "link.log") in found.paths
    assert found.links[os.path.realpath(tree / "sub/deep/d.log")] == (str(tree / "link.log"),)
    assert str(tree / "sub/deep") in found.folders
    (tree / "link.log").unlink()
    (tree / "link.log").symlink_to("sub/c.log")
    assert str(tree / "link.log") in finder.find().changed


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a user to be for a while")
def test_a_folder_that_is_closed_later(shared_folder: Path) -> None:
    """A folder that could be read and now may not be keeps its names, and is a problem until it is open again."""
    (shared_folder / "sub").mkdir()
    (shared_folder / "sub" / "a.log").touch()
    finder = Finder([str(shared_folder / "**/*.log")])
    found = finder.find()
    (shared_folder / "sub").chmod(0)
    os.seteuid(65534)
    try:
        closed = finder.find(afresh=True)
    finally:
        os.seteuid(0)
    (shared_folder / "sub").chmod(0o755)
    assert (closed.paths, closed.gone, closed.problems) == (
        found.paths, frozenset(), (f"{shared_folder / 'sub'}: permission denied",))
    assert finder.find(afresh=True).problems == ()
