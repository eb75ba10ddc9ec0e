"""Packs: the grammar, metrics, rules and report sections of one domain, by name.

A pack is `<name>.lark` and `pack.toml`. Those that come with logagg are in `grammars/` and `logagg/packs/<name>/`; a
user's own is one folder `<name>` that holds both files, found in the folders given (or being one of them). A user's
pack goes before one of ours with the same name.

    [pack]
    help = "What it is for."
    figures = ["calls"]             # the metrics that a report shows first, large

    [[metric]]                      # as in logagg/rollup/metric.py
    [[rule]]                        # as in logagg/alert/rule.py
    [[section]]                     # a part of a report
    title = "Call flows"
    metrics = ["calls", "call_time"]
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from logagg.alert.rule import Rule, parse_rules
from logagg.errors import ConfigError
from logagg.grammar.events import EventGrammar
from logagg.rollup.metric import Metric, parse_metrics

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report: the names of its metrics, in order."""

    title: str
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """One domain's grammar, metrics, rules and report. `figures` names the metrics that a report shows first."""

    name: str
    grammar: EventGrammar
    metrics: tuple[Metric, ...] = ()
    sections: tuple[Section, ...] = ()
    figures: tuple[str, ...] = ()
    help: str = ""
    rules: tuple[Rule, ...] = ()


def load_packs(names: Sequence[str], paths: Sequence[Path] = ()) -> list[Pack]:
    """The packs of these names, in order. `paths` are folders that hold users' packs.

    Raises ConfigError with all mistakes of the tables and all unknown names; GrammarError for a wrong grammar.
    """
    packs, problems = [], []
    for name in names:
        try:
            packs.append(_pack(name, paths))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return packs


def known_packs(paths: Sequence[Path] = ()) -> list[str]:
    """The names of all packs that `load_packs` would find, sorted."""
    own = [folder.name for path in paths for folder in _folders(path) if (folder / "pack.toml").is_file()]
    ours = [one.name for one in files("logagg.packs").iterdir() if (one / "pack.toml").is_file()]
    return sorted({*own, *ours})


def _folders(path: Path) -> list[Path]:
    """The folders that could be packs: this one and those in it."""
    try:
        return [path, *(one for one in path.iterdir() if one.is_dir())]
    except OSError:
        return []


def _pack(name: str, paths: Sequence[Path]) -> Pack:
    found = _find(name, paths) if _NAME.fullmatch(name) else None
    if found is None:
        raise ConfigError([_unknown(name, paths)])
    toml, lark = found
    document = _toml(toml)
    grammar = EventGrammar.load(_text(lark), name=name, path=str(lark))
    problems = list(_document_problems(document))
    metrics: list[Metric] = []
    try:
        metrics = parse_metrics(_tables(document, "metric"), str(toml), grammar.rules)
    except ConfigError as error:
        problems = [f"{toml}: {text}" for text in problems] + error.problems
    else:
        problems = [f"{toml}: {text}" for text in (*problems, *_unknown_metrics(document, metrics))]
    rules: list[Rule] = []
    try:
        rules = parse_rules(_tables(document, "rule"), str(toml), grammar.rules)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    pack = document.get("pack", {})
    sections = tuple(Section(table["title"], tuple(table["metrics"])) for table in _tables(document, "section"))
    return Pack(name, grammar, tuple(metrics), sections, tuple(pack.get("figures", ())), pack.get("help", ""),
                tuple(rules))


def _find(name: str, paths: Sequence[Path]) -> tuple[Traversable, Traversable] | None:
    """The pack's table and grammar files."""
    for path in paths:
        for folder in (path / name, *([path] if path.name == name else [])):
            if (folder / "pack.toml").is_file() or (folder / f"{name}.lark").is_file():
                return folder / "pack.toml", folder / f"{name}.lark"
    toml = files("logagg.packs") / name / "pack.toml"
    return (toml, files("logagg.grammars") / f"{name}.lark") if toml.is_file() else None


def _unknown(name: str, paths: Sequence[Path]) -> str:
    known = known_packs(paths)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f'did you mean "{close[0]}"?' if close else "expected one of those"
    looked = " and ".join(["logagg's own", *map(str, paths)])
    return f'no pack "{name}" among {", ".join(known)} ({looked}); {hint}'


def _text(file: Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError([f"{file}: is missing; a pack is the two files pack.toml and <its name>.lark"]) from None
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{file}: is not UTF-8; save it in UTF-8"]) from None


def _toml(file: Traversable) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(file))
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        place = re.match(r"line (\d+), column (\d+)", where)
        at = f":{place[1]}:{place[2]}" if place else ""
        raise ConfigError([f"{file}{at}: not TOML: {what[:1].lower()}{what[1:]}"]) from None


def _tables(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The [[name]] tables; those of a wrong form are left out, `_document_problems` tells of them."""
    value = document.get(name, [])
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _document_problems(document: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the tables, the metrics' own content aside."""
    for key, value in document.items():
        if key not in ("pack", "metric", "rule", "section"):
            yield f'unknown table "{key}"; expected [pack], [[metric]], [[rule]] and [[section]]'
        elif key == "pack":
            yield from _wrong_values("[pack]", value, {"help": str, "figures": list})
        elif not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            yield f"{key}: expected a list of tables; write [[{key}]] with double brackets"
    for number, table in enumerate(_tables(document, "section"), 1):
        yield from _wrong_values(f"[[section]] {number}", table, {"title": str, "metrics": list}, required=True)


def _wrong_values(where: str, table: Any, kinds: Mapping[str, type], *, required: bool = False) -> Iterator[str]:
    if not isinstance(table, dict):
        yield f"{where}: expected a table"
        return
    for key in table:
        if key not in kinds:
            yield f'{where}: unknown key "{key}"; expected {" and ".join(kinds)}'
    for key, kind in kinds.items():
        wanted = "text in quotes" if kind is str else "a list of metrics' names"
        value = table.get(key)
        if key not in table:
            if required:
                yield f"{where}: {key} is missing; expected {wanted}"
        elif not isinstance(value, kind) or (isinstance(value, list) and not all(isinstance(x, str) for x in value)):
            yield f"{where}: {key} is {value!r}; expected {wanted}"


def _unknown_metrics(document: Mapping[str, Any], metrics: Sequence[Metric]) -> Iterator[str]:
    """Names in sections and figures that no metric of the pack has."""
    known = [metric.name for metric in metrics]
    named = [("[pack]: figures", name) for name in _texts(document.get("pack"), "figures")]
    for number, table in enumerate(_tables(document, "section"), 1):
        named += [(f"[[section]] {number}: metrics", name) for name in _texts(table, "metrics")]
    for where, name in named:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f'did you mean "{close[0]}"?' if close else "define it as a [[metric]]"
            yield f'{where}: the pack has no metric "{name}"; {hint}'


def _texts(table: Any, key: str) -> list[str]:
    value = table.get(key) if isinstance(table, dict) else None
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
