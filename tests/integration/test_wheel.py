"""The built wheel carries all it needs: installed into an empty environment, it runs the demo."""

import configparser
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.conftest import ROOT


def test_every_package_is_named() -> None:
    """Each folder of modules is in setup.cfg: an editable install works without, the wheel does not."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = set(setup["options"]["packages"].split())
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "logagg").rglob("__init__.py")}
    assert named == folders | {"logagg.grammars", "logagg.report_templates"}


def test_wheel_runs_the_demo(tmp_path: Path) -> None:
    """Grammars, templates and packs are in the wheel, and the command works from any folder."""
    # A copy: an earlier build's leftovers would get into the wheel, and the checkout may be read-only.
    checkout = shutil.copytree(ROOT, tmp_path / "checkout", ignore=shutil.ignore_patterns(
        ".*", "build", "dist", "*.egg-info", "logagg-demo", "__pycache__", "tests"))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", checkout],
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
