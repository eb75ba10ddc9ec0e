"""The page's texts -> one HTML file that needs nothing else and runs nothing.

Three walls against hostile text: every printed text passes `visible.finalize`, Jinja2 escapes it, and the page's
Content-Security-Policy allows only the one style sheet in it (by its hash, CSP Level 3), no script and no load.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from logagg.report.draw import Drawn, inline_svg
from logagg.report.page import Page
from logagg.visible import finalize


def render(page: Page, drawn: Drawn) -> str:
    """The report as HTML text; equal pages and pictures give equal texts."""
    style = _text("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # inline_svg lets only shapes and texts pass, escaped: the one place where a picture becomes markup.
    pictures = {name: Markup(inline_svg(picture.svg)) for name, picture in drawn.pictures.items()}
    return template("report.html").render(page=page, style=Markup(style), style_hash=f"sha256-{digest}",
                                          pictures=pictures, charts_missing=drawn.missing)


@cache
def template(name: str, *, escape: bool = True) -> Template:
    """A template of the package; `escape`: it makes HTML."""
    environment = Environment(loader=FunctionLoader(_text), autoescape=escape, finalize=finalize,
                              undefined=StrictUndefined, keep_trailing_newline=not escape)
    return environment.get_template(name)


def _text(name: str) -> str:
    return files("logagg.report_templates").joinpath(name).read_text(encoding="utf-8")
