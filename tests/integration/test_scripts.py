"""scripts/setup.sh: what scripts/demo and scripts/test do before their work, on machines of several kinds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="no bash")


def setup(command: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Source the script from `folder` and run `command`."""
    script = f'set -euo pipefail; . "{ROOT}/scripts/setup.sh"; {command}'
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, env={**os.environ, "PYTHON": sys.executable, **environment})


def test_an_environment_without_pip_is_completed(tmp_path: Path) -> None:
    """What an interrupted run left does not stand in the way of the next one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    done = setup('make_environment; "$venv/bin/python" -m pip --version', tmp_path, LOGAGG_VENV="v")
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/v/" in done.stdout


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    """LOGAGG_VENV may be mistaken: nothing is put into a folder that is no environment, or removed from it."""
    (tmp_path / "precious").write_text("precious")
    done = setup("make_environment", tmp_path, LOGAGG_VENV=str(tmp_path))
    assert done.returncode == 1 and "name another folder with LOGAGG_VENV" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_python_that_is_none(tmp_path: Path) -> None:
    """A wrong PYTHON is said, not passed over."""
    done = setup("make_environment", tmp_path, LOGAGG_VENV="v", PYTHON="/none/python")
    assert done.returncode == 1 and "PYTHON=/none/python is no Python 3.11 or newer" in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_to_install_is_said(tmp_path: Path) -> None:
    """Without the right to install, the exact command is printed, and the package fits the interpreter."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"python3": "case $2 in *ensurepip*) exit 1;; *print*) echo python3.99;; esac",
                       "dpkg-query": "exit 1", "apt-get": "exit 1", "id": "echo 1000"}.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    done = setup("make_environment", tmp_path, LOGAGG_VENV="v", PYTHON="", PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "sudo apt-get install python3.99-venv" in done.stderr


def test_the_environment_of_another_checkout(tmp_path: Path) -> None:
    """An environment in which another checkout is installed is installed anew: that one's code would run."""
    (tmp_path / "v" / "bin").mkdir(parents=True)
    python = tmp_path / "v" / "bin" / "python"
    python.write_text('#!/bin/sh\ncase "$*" in *install*) echo "$@" ;; esac\n')
    python.chmod(0o755)
    (tmp_path / "v" / ".installed-core").write_text("/another/checkout 1 2\n")
    installed = [setup("make_venv 2>&1", tmp_path, LOGAGG_VENV="v").stdout for _ in range(2)]
    assert f"--editable {ROOT}" in installed[0]
    assert installed[1] == ""
