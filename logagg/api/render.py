"""HTML from the templates web_*.html. Every printed text passes `visible`, then Jinja2's escaping."""

from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from logagg.api.files import static_url
from logagg.report.numbers import duration, number, size
from logagg.report.tables import title
from logagg.rollup.window import zone_of
from logagg.times import rfc3339
from logagg.visible import finalize, visible

LINES_MAX = 2000
LINE_CHARS_MAX = 4000


def page(name: str, **values: Any) -> str:
    """The page web_<name>.html."""
    return _environment().get_template(f"web_{name}.html").render(**values)


def part(name: str, **values: Any) -> str:
    """A part of the live page, web_live_<name>.html."""
    return page(f"live_{name}", **values)


@cache
def _environment() -> Environment:
    environment = Environment(loader=FunctionLoader(_text), autoescape=True, finalize=finalize,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"lines": lines, "when": when, "clock": clock, "number": number, "size": size,
                            "duration": duration, "title": title, "segment": segment, "head": head, "rfc": rfc3339}
    environment.globals |= {"static": static_url, "query": query}
    return environment


def _text(name: str) -> str:
    return files("logagg.report_templates").joinpath(name).read_text(encoding="utf-8")


def lines(text: str, chars_max: int = LINE_CHARS_MAX) -> Markup:
    """A text of several lines: each visible and escaped, tabs as four spaces, the line ends kept."""
    found = text.replace("\r\n", "\n").split("\n")
    told = [escape(visible(line.replace("\t", "    "), chars_max)) for line in found[:LINES_MAX]]
    if len(found) > LINES_MAX:
        told.append(escape(f"… {len(found) - LINES_MAX:,} more lines"))
    return Markup("\n").join(told)


def head(text: str | None) -> str:
    """A text's first line."""
    return (text or "").split("\n", 1)[0]


def when(ts: str | None, zone: str) -> Markup:
    """A stored time (RFC 3339) as people of `zone` read it, to the millisecond where it has so much; with its date."""
    return _time(ts, zone, "%Y-%m-%d %H:%M:%S")


def clock(ts: str | None, zone: str) -> Markup:
    """The time of day alone."""
    return _time(ts, zone, "%H:%M:%S")


def _time(ts: str | None, zone: str, form: str) -> Markup:
    if not ts:
        return Markup('<span class="none">no time</span>')
    try:
        moment = datetime.fromisoformat(ts).astimezone(zone_of(zone))
    except (ValueError, OverflowError):
        return escape(visible(ts))
    text = moment.strftime(form)
    if "." in ts:
        text += f".{moment.microsecond // 1000:03d}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(ts, f"{ts} ({moment:%Z} {moment:%z})", text)


def segment(text: object) -> str:
    """Text as one segment of a path."""
    return quote(str(text).encode("utf-8", "replace"), safe="")


def query(*pairs: tuple[str, Any], **values: Any) -> str:
    """A query from (name, value) pairs, without those that are empty; lists repeat their name."""
    found = []
    for name, value in (*pairs, *values.items()):
        for one in value if isinstance(value, list | tuple) else [value]:
            if one not in (None, ""):
                found.append((name.rstrip("_"), str(one).encode("utf-8", "replace")))
    return urlencode(found)
