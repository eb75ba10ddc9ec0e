"""The manual's page of options."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_manual_is_current() -> None:
    """docs/configuration.md lists exactly the options that there are, as `scripts/manual.py --write` writes them."""
    done = subprocess.run([sys.executable, ROOT / "scripts" / "manual.py"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"run scripts/manual.py --write: {done.stdout}{done.stderr}"
