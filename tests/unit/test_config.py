"""The configuration: what it accepts, what it makes of it, and the exact text of every error.

Bad configurations are files named after their defect in tests/golden/config, their messages stand beside them in
`.txt` files. LOGAGG_GOLDEN=write rewrites those.
"""

import json
import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from logagg.config import Config, load, loads, machine, masked
from logagg.config.find import candidates, find, find_or_say
from logagg.config.schema import commented_file, json_schema, options_table
from logagg.errors import ConfigError
from logagg.source.discover import discover

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "config"

FULL = """
timezone = "Europe/Berlin"
[store]
url = "mongodb://db1,db2/logagg?replicaSet=rs0"
[[source]]
app = "das"
host = "app01"
paths = ["logs/*.log*", "/var/log/das/**/*.log"]
exclude = ["logs/*-gc.log", "*.tmp"]
layout = "%d{ISO8601} %-5p [%t] %c - %m%n"
dialect = "log4j1"
timezone = "America/New_York"
encoding = "latin-1"
keep = "all"
quiet_ms = 500
record_bytes_max = 65536
order = "newest"
rate_limit = "10MB/s"
ignore_older = "30d"
packs = ["callcenter"]
[[source]]
app = "esp"
paths = ["esp/*.log"]
[[metric]]
name = "das_slow"
event = "das_call"
field = "duration_ms"
unit = "ms"
labels = ["operation", "host"]
[[metric]]
name = "own_rate"
part = ["das_failures"]
whole = ["das_calls"]
[[report]]
name = "operations"
timezone = "America/New_York"
[archive]
path = "out/reports"
[retention]
raw = "30d"
events = "forever"
"""


def bad() -> list[Path]:
    return sorted(GOLDEN.glob("*.toml"))


@pytest.mark.parametrize("path", bad(), ids=lambda path: path.stem)
def test_every_defect_has_its_message(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each bad configuration gives exactly the messages beside it: all at once, each with its place and a way out."""
    monkeypatch.chdir(GOLDEN)
    with pytest.raises(ConfigError) as caught:
        load(path.name)
    text = "".join(f"{problem}\n" for problem in caught.value.problems).replace(str(GOLDEN), "FOLDER")
    expected = path.with_suffix(".txt")
    if os.environ.get("LOGAGG_GOLDEN") == "write":
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")
    assert text.isprintable() or text.replace("\n", "").isprintable()
    assert "hunt" not in text, "a password was printed"


def test_every_bad_configuration_is_read() -> None:
    """The golden folder is there (an empty one would let the test above pass unseen)."""
    assert len(bad()) >= 25


def test_full(tmp_path: Path) -> None:
    """Every option arrives; relative paths and globs are relative to the file's folder, defaults are filled in."""
    config = loads(FULL, tmp_path / "logagg.toml")
    das, esp = config.sources
    assert das.paths == (str(tmp_path / "logs" / "*.log*"), "/var/log/das/**/*.log")
    assert das.exclude == (str(tmp_path / "logs" / "*-gc.log"), "*.tmp")
    assert (das.app, das.host, das.dialect, das.timezone) == ("das", "app01", "log4j1", "America/New_York")
    assert (das.encoding, das.keep, das.quiet_ms, das.record_bytes_max) == ("latin-1", "all", 500, 65536)
    assert (das.order, das.rate_limit, das.ignore_older_s) == ("newest", 10_000_000, 30 * 86_400)
    assert (esp.order, esp.rate_limit, esp.ignore_older_s) == ("oldest", 0, 0)
    assert (esp.timezone, esp.host, esp.layout) == ("Europe/Berlin", machine.machine_host(), None)
    assert config.store_url == "mongodb://db1,db2/logagg?replicaSet=rs0"
    assert config.archive_path == tmp_path / "out" / "reports"
    assert (config.retention.raw_days, config.retention.events_days, config.retention.hour_days) == (30, None, None)
    assert config.reports[0].packs == ("callcenter",)
    assert list(config.packs) == ["callcenter"]
    assert [(metric.name, metric.kind) for metric in config.metrics] == [
        ("das_slow", "distribution"), ("own_rate", "ratio")]
    assert config.zones() == ("America/New_York", "Europe/Berlin")


def test_empty_is_valid(tmp_path: Path) -> None:
    """An empty file is a configuration: a store beside it, the machine's zone, no sources."""
    config = loads("", tmp_path / "logagg.toml")
    assert config == Config(
        path=tmp_path / "logagg.toml", folder=tmp_path, store_url=f"sqlite:///{(tmp_path / 'logagg.db').as_posix()}",
        timezone=machine.machine_zone(), archive_path=tmp_path / "reports")


def test_absolute_sqlite_path_stays(tmp_path: Path) -> None:
    """Four slashes name an absolute file."""
    config = loads('[store]\nurl = "sqlite:////var/lib/logagg/logagg.db"', tmp_path / "logagg.toml")
    assert config.store_url == "sqlite:////var/lib/logagg/logagg.db"


def test_wildcards_in_the_folders_name_are_no_wildcards(tmp_path: Path) -> None:
    """A configuration in a folder called "[x]*" matches only its own files."""
    folder = tmp_path / "[x]*"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "a.log").touch()
    config = loads('[[source]]\napp = "a"\npaths = ["logs/*.log"]', folder / "logagg.toml")
    assert discover(config.sources[0].paths).paths == (str(folder / "logs" / "a.log"),)


def test_byte_order_mark(tmp_path: Path) -> None:
    """A file saved by Windows' Notepad is read."""
    path = tmp_path / "logagg.toml"
    path.write_bytes('\ufefftimezone = "UTC"\r\n'.encode())
    assert load(path).timezone == "UTC"


def test_all_problems_at_once(tmp_path: Path) -> None:
    """One mistake in each table gives as many problems, in the order of the file."""
    text = '[store]\nurl = 1\n[[source]]\napp = "a b"\npaths = "x"\n[[report]]\nname = 5\n[retention]\nraw = "x"\n'
    with pytest.raises(ConfigError) as caught:
        loads(text, tmp_path / "logagg.toml")
    lines = [problem.removeprefix(f"{tmp_path / 'logagg.toml'}:").split(":")[0] for problem in caught.value.problems]
    assert lines == ["2", "4", "7", "9"]


@pytest.mark.parametrize(("make", "said"), [
    (lambda path: None, "no such file; write one with `logagg init`"),
    (lambda path: path.mkdir(), "is a folder; expected a TOML file"),
    (lambda path: path.write_bytes(b"#" * (9 << 20)), "larger than 8 MiB"),
])
def test_a_file_that_cannot_be_read(make: object, said: str, tmp_path: Path) -> None:
    """A missing file, a folder, a huge file: one problem that says what to do."""
    path = tmp_path / "x.toml"
    make(path)      # type: ignore[operator]
    with pytest.raises(ConfigError, match=said):
        load(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
def test_a_file_without_an_end() -> None:
    """No more is read than a configuration may hold."""
    with pytest.raises(ConfigError, match="larger than 8 MiB"):
        load("/dev/zero")


def test_a_number_of_too_many_digits(tmp_path: Path) -> None:
    """What Python's own parser refuses with another error is a mistake in the file too."""
    with pytest.raises(ConfigError, match="a number has too many digits"):
        loads("a = " + "9" * 5000, tmp_path / "x.toml")


def test_deep_nesting(tmp_path: Path) -> None:
    """Brackets nested too deeply are a mistake in the file, not a crash."""
    with pytest.raises(ConfigError, match=r"nested too deeply|not TOML"):
        loads("a = " + "[" * 100_000, tmp_path / "x.toml")


@pytest.mark.parametrize(("url", "shown"), [
    ("mongodb://u:p@ss:w/rd@h/db", "mongodb://u:***@h/db"),
    ("mongodb://h/db?tlsCertificateKeyFilePassword=x&a=b", "mongodb://h/db?tlsCertificateKeyFilePassword=***&a=b"),
    ("mongodb://h:27017/db", "mongodb://h:27017/db"),
    ("sqlite:///a.db", "sqlite:///a.db"),
    ("mongodb://u:p w@h/db", "mongodb://u:***@h/db"),
    ("u:secret@h/db", "u:***@h/db"),
    ("sqlite:////srv/a:b@c.db", "sqlite:////srv/a:b@c.db"),
    ("mongodb://h/db?authMechanismProperties=AWS_SESSION_TOKEN:x", "mongodb://h/db?authMechanismProperties=***"),
])
def test_masked(url: str, shown: str) -> None:
    """A store's URL is printed without its passwords, even one that should have been percent-encoded."""
    assert masked(url) == shown


def test_commented_file_is_valid_and_means_the_defaults(tmp_path: Path) -> None:
    """The file of `init` is accepted as it stands, and says nothing but defaults beside its example source."""
    path = tmp_path / "logagg.toml"
    config = loads(commented_file(), path)
    plain = loads('[[source]]\napp = "myapp"\npaths = ["/var/log/myapp/*.log*"]\n[[report]]\nname = "operations"', path)
    assert config == plain


def test_every_comment_of_the_commented_file_is_valid(tmp_path: Path) -> None:
    """With every #option uncommented the file is still accepted by the schema and has every option."""
    import tomllib

    lines = commented_file().splitlines()
    text = "\n".join(line[1:] if line[:1] == "#" and line[1:2] not in (" ", "") else line for line in lines)
    document = tomllib.loads(text)
    Draft202012Validator(json_schema()).validate(document)
    options = {key for value in document.values() if isinstance(value, list) for key in value[0]}
    assert {"app", "layout", "quiet_ms", "label_limit", "periods"} <= options


def test_schema_is_a_schema_and_agrees() -> None:
    """The JSON Schema is valid, accepts a full configuration, refuses unknown keys and wrong kinds."""
    import tomllib

    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(json.loads(json.dumps(schema)))
    validator.validate(tomllib.loads(FULL))
    for name in ("unknown_key", "unknown_table", "wrong_types", "out_of_range", "retention_wrong", "wrong_names"):
        text = (GOLDEN / f"{name}.toml").read_text(encoding="utf-8")
        assert list(validator.iter_errors(tomllib.loads(text))), f"the schema accepts {name}.toml"


def test_manual_names_every_option() -> None:
    """The manual's tables come from the same specification."""
    text = options_table()
    assert "| `quiet_ms` | whole number | `200` | ms |" in text
    assert "`[[source]]`" in text and "`[retention]`" in text


def test_lookup_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-c first, then the working folder, the user's folder, the system's; none is an error that names them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("logagg.config.find._system_folder", lambda: tmp_path / "etc")
    assert find(None) is None
    with pytest.raises(ConfigError, match=r"looked for logagg\.toml, .*etc.*write one with `logagg init`"):
        find_or_say(None)
    for path in reversed(candidates()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert find(None) == path
    assert find("other.toml") == Path("other.toml")


def test_machine_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's zone comes from TZ, else the link, else the file, else it is UTC; wrong ones are passed over."""
    monkeypatch.setenv("TZ", ":Europe/Paris")
    machine.machine_zone.cache_clear()
    assert machine.machine_zone() == "Europe/Paris"
    monkeypatch.setenv("TZ", "CET-1CEST")
    monkeypatch.setattr(machine, "_zone_of_link", lambda link: "Asia/Kolkata")
    machine.machine_zone.cache_clear()
    assert machine.machine_zone() == "Asia/Kolkata"
    monkeypatch.setattr(machine, "_zone_of_link", lambda link: "")
    monkeypatch.setattr(machine, "_zone_of_file", lambda path: "no/zone")
    machine.machine_zone.cache_clear()
    assert machine.machine_zone() == "UTC"
    machine.machine_zone.cache_clear()
