"""What Lark made of grammars is kept on disk: only where it is safe, never wrongly, never too much."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from logagg.errors import GrammarError
from logagg.grammar import cache, lark_rules
from logagg.grammar.compiler import compile_layout
from logagg.grammar.detect import MATCHES, detect
from logagg.grammar.events import EventGrammar
from logagg.grammar.pattern import parse_pattern
from tests.conftest import ROOT

PACK = (ROOT / "grammars" / "callcenter.lark").read_text()
TEXT = 'start: greeted\ngreeted: "hello " name ["/" n]\nname: /[^ \\/]+/\nn: INT\n%import common (INT)\n'
LINES = [b"hello world", b"hello you/17", b"good bye"]

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the entries, not made yet."""
    monkeypatch.setenv("LOGAGG_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "grammars"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the grammars that Lark was asked to read."""
    seen: list[str] = []
    real = lark_rules.read_events

    def read_events(text: str, name: str, path: str) -> list[lark_rules.Event]:
        seen.append(name)
        return real(text, name, path)

    monkeypatch.setattr(lark_rules, "read_events", read_events)
    return seen


def load(name: str = "first", text: str = TEXT) -> list[tuple[str, dict[str, object]]]:
    claims = EventGrammar.load(text, name=name).claim(LINES)
    return list(zip(claims.names, map(dict, claims.fields), strict=True))


READ = [("greeted", {"name": "world"}), ("greeted", {"name": "you", "n": 17})]


def only(folder: Path) -> Path:
    (entry,) = folder.iterdir()
    return entry


def test_a_grammar_is_read_by_lark_once(folder: Path, reads: list[str]) -> None:
    """The second load asks Lark for nothing and reads lines in the same way."""
    assert load("first") == load("second") == READ
    assert reads == ["first"]


def test_the_kept_form_is_the_whole_grammar(folder: Path, reads: list[str]) -> None:
    """A pack's grammar out of the cache has the same rules and wordings, patterns and all."""
    made, found = (EventGrammar.load(PACK, name=name) for name in ("callcenter", "again"))
    assert reads == ["callcenter"]
    assert found.wordings == made.wordings and found.rules == made.rules and len(found.wordings) > 50


def test_an_event_that_no_pattern_can_read_is_kept_too(folder: Path, reads: list[str]) -> None:
    """The reason why Lark's own parser has to read an event survives, and it reads."""
    text = 'start: nested\nnested: "x" inner\ninner: "(" inner? ")"\n'
    first, second = (EventGrammar.load(text, name=name) for name in "ab")
    assert first.slow == second.slow != {} and reads == ["a"]
    assert second.claim([b"x(())"]).names == ["nested"]


def test_a_layout_is_parsed_by_lark_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pieces of a conversion pattern come back equal, without Lark."""
    layout = "%d{ISO8601} %-5.10p [%t] %X{id} %c{1.} - %m%n\\t%ex"
    made = parse_pattern.__wrapped__(layout)
    monkeypatch.setattr("logagg.grammar.pattern._lark", lambda: pytest.fail("Lark was asked"))
    assert parse_pattern.__wrapped__(layout) == made


def test_a_started_program_does_not_load_lark_again(folder: Path) -> None:
    """From its second start on a program that reads logs by a pack's grammar imports neither Lark nor numpy for it."""
    code = ("import sys\nfrom logagg.packs import load_packs\nfrom logagg.grammar.compiler import compile_layout\n"
            "load_packs(['callcenter'])\ncompile_layout('%d %p %m%n')\nprint('lark' in sys.modules)")
    said = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
            for _ in range(2)]
    assert said == ["True\n", "False\n"]


def test_another_text_is_another_grammar(folder: Path) -> None:
    """A changed grammar is compiled anew, down to a letter."""
    assert load() == READ
    assert load(text=TEXT.replace("hello ", "hullo ")) == []


@pytest.mark.parametrize("change", ["version", "python", "lark"])
def test_another_program_makes_its_own(folder: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch,
                                       tmp_path: Path, change: str) -> None:
    """What another version of logagg, of Python or of Lark has kept is not used."""
    load("first")
    if change == "version":
        monkeypatch.setattr(cache, "__version__", "0.0.test")
    elif change == "python":
        monkeypatch.setattr(sys, "version", "3.99")
    else:
        (tmp_path / "other.py").write_text("__version__ = '99'")
        monkeypatch.setattr(cache, "find_spec", lambda _: type("Spec", (), {"origin": str(tmp_path / "other.py")}))
    cache._made_by.cache_clear()
    try:
        assert load("second") == READ
    finally:
        cache._made_by.cache_clear()
    assert reads == ["first", "second"]


def test_the_programs_own_source_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A changed module of the grammar package is another program, even where no version was raised."""
    before = cache._made_by.__wrapped__()
    (tmp_path / "cache.py").write_text("changed")
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "cache.py"))
    assert before is not None and cache._made_by.__wrapped__() not in (None, before)


def cut(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-20])


def flipped(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes().replace(b"hello", b"hallo"))


def empty(entry: Path) -> None:
    entry.write_bytes(b"")


def signed(body: bytes) -> Callable[[Path], None]:
    """Another content with the right checksum: as an entry of a defective program might be."""
    def change(entry: Path) -> None:
        entry.write_bytes(cache._head(entry.stem, body) + b"\n" + body)

    return change


DAMAGE = {"cut": cut, "flipped": flipped, "empty": empty, "no JSON": signed(b"{"),
          "unknown class": signed(b'[{"X":[]}]'),
          "parts missing": signed(b'[{"Event":["greeted"]}]'), "too many names": signed(b'[{"Text":[],"Seq":[]}]'),
          "deep": signed(b"[" * 100_000)}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_made_anew(folder: Path, reads: list[str], damage: Callable[[Path], None]) -> None:
    """Whatever is wrong with an entry: the grammar is read again, and what is written then is whole."""
    load("first")
    damage(only(folder))
    assert load("second") == load("third") == READ
    assert reads == ["first", "second"]


def test_an_entry_serves_its_own_grammar_only(folder: Path, reads: list[str]) -> None:
    """One grammar's entry under another's name is not taken."""
    load("first")
    one = only(folder)
    load("second", TEXT.replace("hello ", "hullo "))
    (two,) = set(folder.iterdir()) - {one}
    two.write_bytes(one.read_bytes())
    assert load("third", TEXT.replace("hello ", "hullo ")) == []
    assert reads == ["first", "second", "third"]


@posix
def test_folder_and_entries_are_the_users_own(folder: Path) -> None:
    """Nobody else can read or write what is kept, whatever the umask."""
    before = os.umask(0)
    try:
        load()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(only(folder).stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_what_others_can_write_is_not_trusted(folder: Path, reads: list[str], mode: int) -> None:
    """A folder, or an entry, that the group or anybody may write to is not used."""
    load("first")
    folder.chmod(mode)
    assert load("second") == READ
    folder.chmod(0o700)
    only(folder).chmod(mode & 0o666)
    assert load("third") == READ
    assert reads == ["first", "second", "third"]


@posix
def test_what_belongs_to_another_is_not_trusted(folder: Path, reads: list[str],
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's folder is not used, however its modes are."""
    load("first")
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert load("second") == READ
    assert reads == ["first", "second"]


@posix
def test_a_link_in_the_place_of_folder_or_entry_is_not_followed(folder: Path, reads: list[str], tmp_path: Path) -> None:
    """A symbolic link could lead to what somebody else has chosen."""
    load("first")
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    assert load("second") == READ
    folder.unlink()
    elsewhere.rename(folder)
    entry = only(folder)
    entry.rename(elsewhere)
    entry.symlink_to(elsewhere)
    assert load("third") == READ
    assert reads == ["first", "second", "third"]


@posix
def test_root_leaves_nothing_in_the_home_of_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with sudo, which may keep HOME: root makes no folder where the one above belongs to somebody else."""
    real = Path.stat
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "stat", lambda self, **how: os.stat_result(
        (*(found := real(self, **how))[:4], 1000, *found[5:])))
    assert load() == READ
    monkeypatch.undo()
    assert not folder.parent.exists()


@pytest.mark.parametrize("place", ["", "/dev/null/cache", "/proc/nowhere", "\0"])
def test_where_nothing_can_be_written_nothing_is_said(place: str, monkeypatch: pytest.MonkeyPatch,
                                                      reads: list[str]) -> None:
    """An empty name, a file in the way, a read-only place: the grammar is read each time."""
    monkeypatch.setattr(cache, "_base", lambda: Path(place) if place else None)
    assert load("first") == load("second") == READ
    assert reads == ["first", "second"]


def test_a_full_disk_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an entry cannot be written whole, neither it nor a piece of it stays."""
    def full(_: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert load() == READ
    assert list(folder.iterdir()) == []


def test_the_cache_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest entries go, and what is too large is not kept."""
    monkeypatch.setattr(cache, "ENTRIES_MAX", 3)
    for number in range(6):
        load(text=TEXT.replace("hello ", f"hello {number} "))
    assert len(list(folder.iterdir())) == 3
    monkeypatch.setattr(cache, "ENTRY_BYTES_MAX", 100)
    load(text=TEXT.replace("hello ", "more "))
    assert len(list(folder.iterdir())) == 3


def test_detection_pushes_no_grammar_out(folder: Path, reads: list[str]) -> None:
    """Telling the layouts of two logs tries dozens; the grammars that were kept before are still there."""
    load()
    parse_pattern.cache_clear()
    compile_layout.cache_clear()
    for line in (b"2026-11-22 13:00:00,123 INFO [main] a.b.C - one\n", b"2026-11-22T13:00:00.123 INFO two\n"):
        assert detect(line * MATCHES)[1]
    assert len(list(folder.iterdir())) > 64
    assert load("second") == READ
    assert reads == ["first"]


def test_a_grammar_with_neighbours_is_read_each_time(folder: Path, reads: list[str], tmp_path: Path) -> None:
    """What files beside it say may change: such a grammar is never kept."""
    (tmp_path / "words.lark").write_text("NAME: /[a-z]+/\n")
    text = 'start: greeted\ngreeted: "hello " name\nname: NAME\n%import .words (NAME)\n'
    own = lambda: EventGrammar.load(text, name="own", path=str(tmp_path / "own.lark")).claim(LINES).names  # noqa: E731
    assert own() == ["greeted"]
    (tmp_path / "words.lark").write_text("NAME: /[A-Z]+/\n")
    assert own() == [] and reads == ["own", "own"]


def test_a_mistake_is_told_each_time(folder: Path) -> None:
    """A wrong grammar is never kept; its error names its own file each time."""
    for name in ("one.lark", "two.lark"):
        with pytest.raises(GrammarError, match=f"^{name}:1:"):
            EventGrammar.load("start: greeted\n", name="x", path=name)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the XDG Base Directory Specification is for others")
def test_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """LOGAGG_CACHE_DIR, else XDG_CACHE_HOME/logagg where it is absolute, else ~/.cache/logagg."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LOGAGG_CACHE_DIR", raising=False)
    for value, expected in (("", tmp_path / ".cache"), ("relative", tmp_path / ".cache"), ("/x/y", Path("/x/y"))):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache._base() == expected / "logagg"
    monkeypatch.setenv("LOGAGG_CACHE_DIR", "/own")
    assert cache._base() == Path("/own")
    monkeypatch.setenv("LOGAGG_CACHE_DIR", "")
    assert cache._base() is None
