"""Values -> Config: what one value cannot tell alone: layouts, packs, the events that metrics name, same names."""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from logagg.alert.words import duration_s
from logagg.config import alerts
from logagg.config.forms import days, near, quoted, rate
from logagg.config.machine import machine_host, machine_zone
from logagg.config.model import Config, ReportConfig, Retention, SourceConfig
from logagg.config.places import Key
from logagg.config.validate import Problems, Values
from logagg.config.web import web
from logagg.errors import ConfigError, LogaggError

if TYPE_CHECKING:
    from logagg.packs import Pack
    from logagg.rollup.metric import Metric

def build(tables: Mapping[str, list[Values]], path: Path | None, folder: Path, problems: Problems) -> Config:
    """The configuration that these values mean; what is wrong with them is added to `problems`."""
    zone = tables[""][0]["timezone"] or machine_zone()
    sources = tuple(_source(values, folder, zone) for values in tables["source"])
    pack_paths = tuple(Path(absolute(text, folder)) for text in tables["packs"][0]["paths"])
    source_packs = tuple(dict.fromkeys(name for source in sources for name in source.packs))
    reports = tuple(_report(values, zone, source_packs) for values in tables["report"])
    for i, source in enumerate(sources):
        _check_layout(source, ("source", i, "layout"), problems)
    _check_pack_paths(pack_paths, problems)
    packs = _packs(tables, pack_paths, problems)
    metrics = tuple(_metrics(tables["metric"], packs, problems))
    _check_same_paths(sources, problems)
    channels = alerts.channels(tables["channel"])
    notify = alerts.notify(tables["notify"][0])
    alerts.check_send(("notify",), notify.send, channels, problems)
    for i, report in enumerate(reports):
        alerts.check_send(("report", i), report.send, channels, problems)
    for name in ("report", "channel", "rule"):
        _check_same_names(name, [values["name"] for values in tables[name]], problems)
    keep = {f"{name}_days": days(text) for name, text in tables["retention"][0].items()}
    return Config(
        path=path,
        folder=folder,
        store_url=store_url(tables["store"][0]["url"], folder),
        reserve_bytes=tables["store"][0]["reserve_bytes"],
        timezone=zone,
        sources=sources,
        reports=reports,
        metrics=metrics,
        packs=packs,
        pack_paths=pack_paths,
        archive_path=Path(absolute(tables["archive"][0]["path"], folder)),
        retention=Retention(**keep),
        rules=alerts.rules(tables["rule"], packs, zone, notify, channels, problems),
        channels=channels,
        smtp=alerts.smtp(tables["smtp"][0], folder, bool(channels), problems),
        notify=notify,
        web=web(tables["web"][0], folder, problems),
    )


def absolute(text: str, folder: Path) -> str:
    """A path as the configuration means it: relative to its folder, ~ is the user's own."""
    return os.path.normpath(folder / _home(text))


def _home(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:    # no such user
        return Path(text)


def absolute_glob(text: str, folder: Path) -> str:
    """A glob as the configuration means it; wildcards in the folder's own name stay what they are."""
    if text.startswith("~"):
        return str(_home(text))
    return text if Path(text).is_absolute() else os.path.normpath(os.path.join(glob.escape(str(folder)), text))  # noqa: PTH118 - a glob is no Path


def _crosses(text: str) -> bool:
    """Whether an exclude is about whole paths; one without a slash is about names in any folder."""
    return "/" in text or os.sep in text


def store_url(url: str, folder: Path) -> str:
    """The store's URL with the path of a SQLite file made absolute."""
    if not url.startswith("sqlite:///"):
        return url
    return "sqlite:///" + Path(absolute(url.removeprefix("sqlite:///"), folder)).as_posix()


def _source(values: Values, folder: Path, zone: str) -> SourceConfig:
    return SourceConfig(
        app=values["app"] or "",
        host=values["host"] or machine_host(),
        paths=tuple(absolute_glob(text, folder) for text in values["paths"] or ()),
        exclude=tuple(absolute_glob(text, folder) if _crosses(text) else text for text in values["exclude"]),
        layout=values["layout"],
        dialect=values["dialect"],
        timezone=values["timezone"] or zone,
        encoding=values["encoding"],
        packs=values["packs"],
        keep=values["keep"],
        quiet_ms=values["quiet_ms"],
        record_bytes_max=values["record_bytes_max"],
        order=values["order"],
        rate_limit=rate(values["rate_limit"] or "") or 0,
        ignore_older_s=duration_s(values["ignore_older"] or "") or 0,
    )


def _report(values: Values, zone: str, packs: tuple[str, ...]) -> ReportConfig:
    return ReportConfig(
        name=values["name"] or "",
        periods=values["periods"],
        timezone=values["timezone"] or zone,
        packs=packs if values["packs"] is None else values["packs"],
        send=values["send"],
    )


def _check_layout(source: SourceConfig, key: Key, problems: Problems) -> None:
    if source.layout is None:
        return
    from logagg.grammar.compiler import compile_layout

    try:
        compile_layout(source.layout, source.dialect, source.timezone, source.encoding)
    except LogaggError as error:
        problems.add(key, one_line(error))


def one_line(error: LogaggError) -> str:
    """An error's message as part of a problem's one line; a pattern and the mark below it stay out."""
    return str(error).partition("\n")[0].removeprefix("layout, ")


def _check_pack_paths(paths: Sequence[Path], problems: Problems) -> None:
    for path in paths:
        if not path.is_dir():
            what = "is not a folder" if path.exists() else "does not exist"
            problems.add(("packs", "paths"), f"{quoted(str(path))} {what}; expected a folder that holds packs")


def _packs(tables: Mapping[str, list[Values]], paths: Sequence[Path], problems: Problems) -> "dict[str, Pack]":
    """Every pack that a source or report names; each broken one is a problem where it is named first."""
    wanted: dict[str, Key] = {}
    for table in ("source", "report"):
        for i, values in enumerate(tables[table]):
            for name in values["packs"] or ():
                wanted.setdefault(name, (table, i, "packs"))
    packs = {}
    for name, key in wanted.items():
        from logagg.packs import load_packs

        try:
            (packs[name],) = load_packs([name], [path for path in paths if path.is_dir()])
        except ConfigError as error:
            for problem in error.problems:
                problems.add(key, problem)
        except LogaggError as error:
            problems.add(key, one_line(error))
    return packs


def _metrics(tables: Sequence[Values], packs: "Mapping[str, Pack]", problems: Problems) -> "Iterator[Metric]":
    """The user's own metrics, each held against the events and metrics of the packs."""
    if not tables:
        return
    from logagg.rollup.metric import BUILT_IN, event_problems

    rules = {event: fields for pack in packs.values() for event, fields in pack.grammar.rules.items()}
    taken = {metric.name: "it is built in" for metric in BUILT_IN}
    taken |= {metric.name: f"pack {quoted(name)} has it" for name, pack in packs.items() for metric in pack.metrics}
    counters = [metric.name for pack in packs.values() for metric in pack.metrics if metric.kind == "counter"]
    counters += [metric.name for metric in BUILT_IN]
    counters += [values["name"] for values in tables if values["name"] and not values["field"] and not values["part"]]
    for i, values in enumerate(tables):
        key: Key = ("metric", i)
        before = len(problems)
        if values["name"] in taken:
            problems.add((*key, "name"), f"{quoted(values['name'])} is taken: {taken[values['name']]}; choose another")
        if values["name"]:
            taken.setdefault(values["name"], f"metric[{i + 1}] has it")
        for name, text in (*_form_problems(values), *_ratio_problems(values, counters)):
            problems.add((*key, name) if name else key, text)
        if not values["name"] or len(problems) > before:
            continue
        metric = _metric(values)
        for text in event_problems(metric, rules):
            if not rules:
                text = text.partition(";")[0] + '; add packs = ["callcenter"] to a source'
            problems.add(key, text)
        yield metric


def _metric(values: Values) -> "Metric":
    from logagg.rollup.metric import Metric

    return Metric(
        name=values["name"],
        kind="ratio" if values["part"] else "distribution" if values["field"] else "counter",
        events=values["event"],
        field=values["field"],
        unit=values["unit"],
        step=values["step"],
        labels=values["labels"],
        part=values["part"],
        whole=values["whole"],
        help=values["help"],
        label_limit=values["label_limit"],
    )


def _form_problems(values: Values) -> Iterator[tuple[str, str]]:
    """Whether a metric's keys make a counter, a distribution or a ratio."""
    ratio = values["part"] or values["whole"]
    if not values["step"] > 0:
        yield "step", f"{values['step']} is no step; expected a number above 0"
    if ratio and not (values["part"] and values["whole"]):
        yield "", "a ratio needs both part and whole; add the one that is missing"
    if ratio:
        for name in ("event", "field", "labels"):
            if values[name]:
                yield name, "a ratio has the events and labels of its counters; remove it"
    elif not values["event"]:
        yield "", 'event is missing; add event = "das_call", or part and whole for a ratio'


def _ratio_problems(values: Values, counters: Sequence[str]) -> Iterator[tuple[str, str]]:
    for key in ("part", "whole"):
        for name in values[key]:
            if name not in counters:
                yield key, f"{quoted(name)} is no counter metric" + (
                    near(name, counters) or f"; expected one of {', '.join(counters)}")


def _check_same_paths(sources: Sequence[SourceConfig], problems: Problems) -> None:
    """A file belongs to one source: the same glob twice would read it twice, as two applications."""
    first: dict[tuple[str, str], int] = {}
    for i, source in enumerate(sources):
        for path in source.paths:
            other = first.setdefault((source.host, path), i)
            if other != i:
                problems.add(("source", i, "paths"),
                             f"{quoted(path)} belongs to source[{other + 1}] already; remove it from one of them")


def _check_same_names(table: str, names: Sequence[str], problems: Problems) -> None:
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        folded = (name or "").lower()   # names become folders, and some file systems fold case
        if name and first.setdefault(folded, i) != i:
            problems.add((table, i, "name"), f"{quoted(name)} is the name of {table}[{first[folded] + 1}] already; "
                         "choose another")
