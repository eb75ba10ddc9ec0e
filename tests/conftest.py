"""Shared fixtures: where the sample logs are, real services, and how a missing one counts."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mongod import mongod, mongod_binary, mongod_url

__all__ = ["mongod", "mongod_binary", "mongod_url"]

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="also run the long tests")


def pytest_configure(config: pytest.Config) -> None:
    """Compiled grammars are kept, but not in the user's own folder."""
    folder = tempfile.TemporaryDirectory(prefix="logagg-test-cache-")
    os.environ["LOGAGG_CACHE_DIR"] = folder.name
    config.add_cleanup(folder.cleanup)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --soak the long tests are not part of the run."""
    if not config.getoption("--soak"):
        long = [item for item in items if "soak" in item.keywords]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if "soak" not in item.keywords]


def missing(reason: str) -> None:
    """A service or tool that is not there: skip on a contributor's machine, fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"needed in CI: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real logs with truth; its tests skip where it is absent."""
    path = Path(os.environ.get("LOGAGG_SAMPLES", ROOT.parent / "shared" / "samples"))
    if not path.is_dir():
        pytest.skip(f"no sample logs at {path}; set LOGAGG_SAMPLES")
    return path


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that another user can reach, unlike tmp_path."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
