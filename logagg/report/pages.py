"""The archive's and the drill's pages as HTML: templates with the same walls against hostile text as a report.

Style sheets and scripts are files beside the pages, and no page loads anything from elsewhere: so a folder that is
copied works from `file://`, and a server may send the strictest Content-Security-Policy.
"""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from logagg.visible import finalize


def page_html(template: str, **told: Any) -> str:
    """One page; StrictUndefined, so that a template that asks for what it is not told fails in its test."""
    return _environment().get_template(template).render(**told)


def style_sheet() -> str:
    """The report's style and what the other pages add to it."""
    return template_text("report.css") + template_text("archive.css")


def template_text(name: str) -> str:
    return files("logagg.report_templates").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(loader=FunctionLoader(template_text), autoescape=True, finalize=finalize,
                       undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
