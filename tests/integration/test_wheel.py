"""The built wheel carries all it needs: installed into an empty environment, it runs the demo."""

import subprocess
import sys
import venv
from pathlib import Path

from tests.conftest import ROOT


def test_wheel_runs_the_demo(tmp_path: Path) -> None:
    """Grammars, templates and packs are in the wheel, and the command works from any folder."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", ROOT],
        check=True, capture_output=True, timeout=200,
    )
    [wheel] = (tmp_path / "dist").glob("*.whl")
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel]
    subprocess.run(pip, check=True, capture_output=True, timeout=200)
    demo = [environment / "bin" / "logagg", "demo", "--days", "2", "--no-serve"]
    done = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    reports = list((tmp_path / "logagg-demo" / "reports").rglob("index.html"))
    assert reports
    assert any(str(report.relative_to(tmp_path)) in done.stdout for report in reports)
