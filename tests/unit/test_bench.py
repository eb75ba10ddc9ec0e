"""The bench's own arithmetic: what its lines are, how targets are judged and shown."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ROOT

Load = Callable[[str], ModuleType]


@pytest.fixture
def load() -> Iterator[Load]:
    """A module of scripts/."""
    sys.path.insert(0, str(ROOT / "scripts"))
    yield importlib.import_module
    sys.path.remove(str(ROOT / "scripts"))


@pytest.mark.parametrize("make", ["repeated", "generated"])
@pytest.mark.parametrize("share", [0.05, 0.62])
def test_so_many_lines_are_claimed_as_said(load: Load, make: str, share: float, tmp_path: Path) -> None:
    """The logs have as many lines as asked for, all of the layout, and bench.lark claims the share that is told."""
    bench_log, bench_stages = load("bench_log"), load("bench_stages")
    log = getattr(bench_log, make)(tmp_path / "a.log", 4000, share)
    records, claimed = bench_stages.parse(bench_stages.pipeline(), log)
    assert (records, claimed) == (4000, round(4000 * share)) and f"{share:.0%}" in log.what


def test_generated_lines_do_not_repeat(load: Load, tmp_path: Path) -> None:
    """Hardly any two lines are equal behind their heads, and few are warnings."""
    lines = load("bench_log").generated(tmp_path / "a.log", 4000, 0.05).path.read_bytes().splitlines()
    assert len({line.partition(b": ")[2] for line in lines}) > 3900
    assert sum(b" WARN " in line[:30] for line in lines) < 60


@pytest.fixture
def document(load: Load) -> dict[str, object]:
    """The JSON of two stages of three runs each."""
    bench_figures, targets = load("bench_figures"), load("bench_targets")
    log = load("bench_log").Log(Path(__file__), 1_000_000, "lines")
    figures = bench_figures.Figures(3)
    for name, seconds in {"logagg: header": (1.0, 2.0, 1.25), "logagg: header and six events": (4, 4, 4),
                          "syslog-ng: parse": (20.0, 32.0, 28.0)}.items():
        runs = tuple(bench_figures.Taken(one, one / 2, 50_000_000) for one in seconds)
        figures.by_stage[name] = bench_figures.Figure(bench_figures.Stage(name, log, lambda _: None), runs)
    figures.values["SQLite / raw log in %, repeated lines"] = 15.5
    return json.loads(figures.as_json(targets.target_rows(figures), 0.1))


def test_targets_are_judged_by_medians(document: dict[str, list[dict[str, object]]]) -> None:
    """A median decides; a ratio's spread is that of the pairs of runs; what was not measured has no row."""
    rows = {row["what"]: row for row in document["targets"]}
    assert rows["header"] == {"what": "header", "unit": "lines/s", "target": 900_000, "most": False, "reached": False,
                              "measured": 800_000, "least": 500_000, "greatest": 1_000_000}
    ratio = rows["header and six events / syslog-ng's parse of the header"]
    assert (ratio["measured"], ratio["least"], ratio["greatest"], ratio["reached"]) == (7, 5, 8, True)
    assert rows["size of the store / raw log, SQLite, repeated lines"]["reached"] is False
    assert "two processes / one, parsing" not in rows


def test_every_target_names_stages_that_there_are(load: Load) -> None:
    """A stage that is renamed cannot silently lose its target."""
    targets, asked = load("bench_targets"), set()

    class Asked(dict[str, object]):
        def get(self, name: object, default: object = None) -> object:
            asked.add(name)
            return default

    figures = load("bench_figures").Figures(1, by_stage=Asked())
    assert list(targets.target_rows(figures)) == []
    sources = "".join((ROOT / "scripts" / f"{name}.py").read_text() for name in ("bench_stages", "bench_mongo"))
    assert len(asked) > 8 and not [name for name in asked if f'Stage("{name}"' not in sources]


def test_tables_and_plot_show_what_was_measured(load: Load, document: dict[str, object], tmp_path: Path) -> None:
    """The Markdown names each stage and target with its figures; the plot is a chart of them."""
    targets = load("bench_targets")
    text = targets.markdown(document)
    assert "| header | at least 900,000 lines/s | 800,000 (500,000 to 1,000,000) | **no** |" in text
    assert "| logagg: header | 800,000 | 1,600,000 |" in text
    targets.plot(document, tmp_path / "a.svg")
    targets.plot(document, tmp_path / "a.png")
    assert "syslog-ng: parse" in (tmp_path / "a.svg").read_text()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_stages_run_in_turns(load: Load, tmp_path: Path) -> None:
    """Each round runs every stage once, so that what slows the machine slows all; one that is absent is said."""
    bench_figures, ran = load("bench_figures"), []

    def stage(name: str) -> object:
        return bench_figures.Stage(name, None, lambda _: ran.append(name) or bench_figures.Taken(1.0, 1.0))

    figures = bench_figures.Figures(2)
    folders = iter(range(10))

    class Fresh:
        def __enter__(self) -> str:
            return str(next(folders))

        def __exit__(self, *_: object) -> None:
            pass

    figures.measure([stage("a"), bench_figures.Stage("none", None, lambda _: None), stage("b")], Fresh)
    assert ran == ["a", "b", "a", "b"] and figures.absent == ["none"] and list(figures.by_stage) == ["a", "b"]
