"""Imports point one way: along the flow of the data."""

import ast
from pathlib import Path

from tests.conftest import ROOT

ORDER = [
    {"version", "errors", "clock", "bodies", "columns", "digits", "record", "raw", "interfaces", "lease", "processes",
     "retry", "terminal", "times", "together", "visible"},
    {"grammar", "source.identity", "source.files", "source.discover", "source.watch", "source.inotify"},
    {"rollup.metric"},
    {"alert.rule", "alert.words"},
    {"packs"},
    {"rollup", "store", "ledger"},
    {"reading"},
    {"ingest", "merge"},
    {"source"},
    {"alert", "notify", "audit"},
    {"report"},
    {"config"},
    {"adhoc", "own", "check", "init", "parse", "search"},
    {"api", "publisher"},
    {"aggregator"},
    {"app"},
    {"demo"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
"""Each part may import those of its own line and of the lines above."""


def rank(module: str) -> int:
    """The line of ORDER that names the longest prefix of `module`, which is written without its leading "logagg."."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        for line, names in enumerate(ORDER):
            if ".".join(parts[:length]) in names:
                return line
    raise AssertionError(f"{module}: name its place in ORDER")


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix("logagg.") for name in found if name.startswith("logagg.")}


def test_imports_point_one_way() -> None:
    """No module imports one that comes later on the way of a line, not even inside a function."""
    wrong = []
    for path in sorted((ROOT / "logagg").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "logagg").with_suffix("").parts).removesuffix(".__init__")
        if module == "__init__":
            continue
        for name in imported(path) - {"grammars", "report_templates"}:
            if rank(name) > rank(module):
                wrong.append(f"{module} imports {name}")
    assert not wrong
