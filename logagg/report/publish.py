"""A report as people find it: built, with the pages below its numbers, and in its place in the archive."""

import json
from collections.abc import Iterable, Sequence
from datetime import date as Date  # noqa: N812
from pathlib import Path

from logagg.clock import Clock
from logagg.errors import LogaggError
from logagg.interfaces import Store
from logagg.report.archive import refresh
from logagg.report.build import BuiltReport, ShownPack, build_report
from logagg.report.draw import Draws
from logagg.report.drill_pages import write_drill
from logagg.report.expected import AbsentRule
from logagg.report.lines import Readings
from logagg.rollup.metric import Metric


def publish(store: Store, *, name: str, period: str, date: Date, timezone: str, packs: Sequence[ShownPack],
            metrics: Iterable[Metric], out: Path, base: Path, clock: Clock, readings: Readings,
            rules: Iterable[AbsentRule] | None = None, artist: Draws | None = None) -> BuiltReport:
    """`build_report`, then the pages from its numbers to their records, then the archive's pages.

    `readings` tells how raw bytes are read again. Ended in between and called again, it does what is missing. Errors as
    `build_report`.
    """
    own = list(metrics)
    built = build_report(store, name=name, period=period, date=date, timezone=timezone, packs=packs, metrics=own,
                         out=out, base=base, clock=clock, rules=rules, artist=artist, followed=True)
    place = built.path_html.parent
    try:
        data = json.loads(built.path_json.read_bytes())
        known = {metric.name: metric for metric in (*own, *(metric for pack in packs for metric in pack.metrics))}
        write_drill(store, place, data, known.values(), readings)
        refresh(out, name, {f"{period}/{place.parent.name}"})
    except OSError as error:
        raise LogaggError(f"cannot write the archive in {out}: {error.strerror}; "
                          "let this user write there, or make room") from error
    return built
