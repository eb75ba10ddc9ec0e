"""The command line: exit statuses, where messages go, start-up time, and that nobody sees a trace by mistake."""

import importlib
import os
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from logagg import cli
from logagg.errors import ConfigError, SourceError
from logagg.version import __version__

LOGAGG = [sys.executable, "-m", "logagg"]


def _raise(error: BaseException) -> object:
    def run(arguments: Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command's help says what it does and shows how."""
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"] if name != "report" else ["report", "build", "--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"  logagg {name}" in out or f" {name}" in out.partition("examples:")[2]
    assert "examples:" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the package's version."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"logagg {__version__}\n")


@pytest.mark.parametrize(("argv", "said"), [
    ([], "usage: logagg"),
    (["ingst"], "did you mean ingest?; `logagg --help` shows the usage"),
    (["grep"], "the following arguments are required: TEXT"),
    (["query", "calls", "count", "2026-11-20", "--label", "x"], "expected NAME=VALUE such as host=app01"),
    (["run", "--roles", "agent,cook"], "no role cook; expected some of agent, aggregator"),
    (["demo", "--until", "soon"], "'soon' is no date"),
    (["check", "--bogus\x1b[2J"], "unrecognized arguments: --bogus\\x1b[2J"),
])
def test_wrong_usage(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage ends in 2, with a message on stderr and nothing on stdout."""
    try:
        status = cli.main(argv)
    except SystemExit as ended:
        status = int(str(ended.code))
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert said in captured.err


@pytest.mark.parametrize(("error", "status", "said"), [
    (SourceError("/x: gone\x1b[2J"), 1, "logagg: /x: gone\\x1b[2J\n"),
    (ConfigError(["a.toml:1: x"]), 2, "logagg: a.toml:1: x\n"),
    (ConfigError(["a.toml:1: x", "a.toml:2: y"]), 2,
     "a.toml:1: x\na.toml:2: y\nlogagg: 2 problems in the configuration\n"),
    (FileNotFoundError(2, "No such file or directory", "/x\n"), 1,
     "logagg: /x\\n: no such file or directory; with --debug it tells where in the program\n"),
    (RuntimeError("odd"), 1,
     "logagg: unexpected RuntimeError: odd; please report it; run again with --debug for the trace\n"),
    (KeyboardInterrupt(), 130, "logagg: interrupted\n"),
    (BrokenPipeError(), 0, ""),
])
def test_errors_are_messages(error: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch,
                             capsys: pytest.CaptureFixture[str]) -> None:
    """An error of ours is its message and its exit status, any other one line; never a trace."""
    monkeypatch.setattr(cli, "_close_stdout", lambda: None)
    monkeypatch.setattr(importlib.import_module("logagg.commands.init"), "run", _raise(error))
    assert cli.main(["init"]) == status
    assert capsys.readouterr().err == said


def test_debug_shows_the_trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--debug shows the trace, before or behind the command, and the exit status stays."""
    monkeypatch.setattr(importlib.import_module("logagg.commands.init"), "run", _raise(RuntimeError("odd")))
    for argv in (["--debug", "init"], ["init", "--debug"]):
        assert cli.main(argv) == 1
        assert "Traceback" in capsys.readouterr().err


def test_config_before_or_behind_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-c is understood on both sides of the command."""
    for i, order in enumerate((["-c", "{}", "init"], ["init", "-c", "{}"], ["init", "--config={}"])):
        path = tmp_path / f"{i}.toml"
        assert cli.main([part.format(path) for part in order]) == 0
        assert path.is_file()
    capsys.readouterr()


def test_start_up_is_quick() -> None:
    """`logagg --help` and a command's help take less than 0.3 s of processor time each (the best of three)."""
    for argv in (["--help"], ["ingest", "--help"]):
        assert min(_cpu_s([*LOGAGG, *argv]) for _ in range(3)) < 0.3


def _cpu_s(argv: list[str]) -> float:
    before = os.times()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_help_imports_nothing_heavy() -> None:
    """--help needs none of the libraries."""
    code = ("import sys, logagg.cli\n"
            "try: logagg.cli.main(['run', '--help'])\nexcept SystemExit: pass\n"
            "print(sorted({'lark','numpy','pymongo','jinja2','watchdog','zstandard','tqdm','sqlite3','vl_convert'} "
            "& set(sys.modules)), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


LEAN = [["status"], ["query", "records", "count", "2026-11-01"], ["export", "rollups"], ["expire"]]


@pytest.mark.parametrize("argv", LEAN, ids=lambda argv: argv[0])
def test_a_command_that_reads_no_log_loads_no_reader(argv: list[str], tmp_path: Path) -> None:
    """From the second start on, what only looks at the configuration and the store loads neither Lark, nor what
    columns and charts are made with, nor the web server."""
    (tmp_path / "a.log").write_text("2026-11-01 00:00:00,000 INFO  [main] a.B - hello\n" * 20)
    config = tmp_path / "logagg.toml"
    config.write_text('[store]\nurl = "sqlite:///own.db"\n[[source]]\napp = "a"\npaths = ["*.log"]\n'
                      'layout = "%d %-5p [%t] %c - %m%n"\npacks = ["callcenter"]\n')
    heavy = {"lark", "numpy", "pymongo", "jinja2", "vl_convert", "starlette", "uvicorn", "apscheduler"}
    code = (f"import sys\nfrom logagg import cli\nstatus = cli.main({['-c', str(config), *argv]})\n"
            f"print(status, sorted({heavy} & set(sys.modules)), file=sys.stderr)")
    subprocess.run([*LOGAGG, "-c", config, "ingest"], check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of another kind")
def test_a_closed_pipe_is_quiet() -> None:
    """A reader that has had enough ends the command without a word."""
    process = subprocess.Popen([*LOGAGG, "check", "--schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert (process.wait(30), process.stderr.read()) == (0, b"")
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_no_bug() -> None:
    """What the system refuses is said in its words, without a trace and without asking for a report."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*LOGAGG, "check", "--schema"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("logagg: writing the output, or a file: no space left on device")
    assert "report" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="shells of another kind")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("argv", ["check --schema", "parse -", "--help"])
def test_closed_streams(argv: str, closed: str) -> None:
    """Started without stdin, stdout or stderr, as by some schedulers, it works and says no trace."""
    done = subprocess.run(f'"{sys.executable}" -m logagg {argv} {closed}', shell=True, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr and "unexpected" not in done.stderr


def test_output_is_utf8_into_a_pipe() -> None:
    """JSON goes out as UTF-8 whatever the locale; a name that is no UTF-8 as its escape."""
    code = "from logagg import cli; cli._make_output_lossless(); print('ä\\udcff')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert done.stdout == "ä\\udcff\n".encode()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_ask_to_stop(number: int, status: int) -> None:
    """The first SIGTERM ends the service and means 0, SIGINT means 130, SIGHUP reloads; a second one is not caught."""
    from logagg.commands.run import Signals

    class Service:
        """Remembers what it was told."""

        told = ""

        def stop(self) -> None:
            self.told += "stop "

        def reload(self) -> None:
            self.told += "reload "

    saved = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        signals, service = Signals(), Service()
        signals.install()
        signals.attach(service)     # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), number)
        assert (service.told, signals.status) == ("reload stop ", status)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        late = Service()
        signals.attach(late)        # type: ignore[arg-type]
        assert late.told == "stop ", "a signal during start-up was lost"
    finally:
        for one, handler in saved.items():
            signal.signal(one, handler)
