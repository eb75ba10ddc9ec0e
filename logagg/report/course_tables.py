"""The course of a period as tables, by local hour or day: those that stand under the charts."""

from collections.abc import Callable, Sequence
from datetime import date

from logagg.report.numbers import number, total
from logagg.report.tables import Cell, Column, Row, Table, title
from logagg.report.words import Words, weekday_day

TRAFFIC = (("calls", "Calls", ""), ("backend_calls", "Backend calls", ""),
           ("backend_failures", "Backend failures", "bad"))


def lines_of(data: Row) -> Sequence[Row]:
    """The hours of a day, or the days of a week or month."""
    found: Sequence[Row] = data["hours"] or data["days"]
    return found


def traffic_table(lines: Sequence[Row], words: Words) -> Table:
    """Each hour or day with its calls, backend calls and backend failures, as numbers with bars."""
    shown = [(told, tone, [line[stat] for line in lines]) for stat, told, tone in TRAFFIC if _any(lines, stat)]
    return _barred(f"By local {words.line}", lines, shown, words)


def outcome_table(lines: Sequence[Row], name: str, words: Words) -> Table:
    """What ended well and badly, each hour or day."""
    shown = [(f"{title(name)} {how}", tone, [line["outcomes"][name][how] for line in lines])
             for how, tone in (("ok", ""), ("failed", "bad"))]
    return _barred(f"{title(name)} by {words.line}", lines, shown, words)


def time_table(lines: Sequence[Row], names: Sequence[str], words: Words) -> Table:
    """The 95th percentile of each backend's time, each hour or day."""
    rows = tuple((head, *(Cell(number(line["p95_ms"][name], "distribution", "ms")) for name in names))
                 for head, line in zip(_heads(lines), lines, strict=True))
    columns = (Column(words.line.capitalize(), False), *(Column(title(name)) for name in names))
    return Table(f"95th percentile of times by {words.line}", columns, rows, folded=True)


def _barred(caption: str, lines: Sequence[Row], shown: Sequence[tuple[str, str, list[int | None]]],
            words: Words) -> Table:
    most = [max((n or 0 for n in counts), default=0) for _, _, counts in shown]
    rows = []
    for i, head in enumerate(_heads(lines)):
        cells = (_bar(counts[i], top, tone) for (_, tone, counts), top in zip(shown, most, strict=True))
        rows.append((head, *cells))
    columns = (Column(words.line.capitalize(), False), *(Column(told) for told, _, _ in shown))
    sums = (Cell(number(total(counts))) for _, _, counts in shown)
    return Table(caption, columns, tuple(rows), total=(Cell(words.unit.capitalize()), *sums), folded=True)


def _bar(n: int | None, most: int, tone: str) -> Cell:
    share = round(100 * n / most, 1) if n is not None and most else 0.0
    return Cell(number(n), tone=tone, bar=None if n is None else share)


def _any(lines: Sequence[Row], stat: str) -> bool:
    return any(line[stat] is not None for line in lines)


def _heads(lines: Sequence[Row]) -> list[Cell]:
    say: Callable[[Row, bool], Cell] = _hour if lines and "hour" in lines[0] else _day
    return [say(line, i > 0 and line.get("hour") == lines[i - 1].get("hour")) for i, line in enumerate(lines)]


def _hour(line: Row, again: bool) -> Cell:
    return Cell(f"{line['hour']:02d}:00", note="again, after the clocks went back" if again else "")


def _day(line: Row, _: bool) -> Cell:
    return Cell(weekday_day(date.fromisoformat(line["date"])))
