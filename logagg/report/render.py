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

from logagg.report.page import Page
from logagg.report.visible import finalize


def render(page: Page) -> str:
    """The report as HTML text; equal pages give equal texts."""
    style = _text("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(page=page, style=Markup(style), style_hash=f"sha256-{digest}")


@cache
def _template() -> Template:
    environment = Environment(loader=FunctionLoader(_text), autoescape=True, finalize=finalize,
                              undefined=StrictUndefined)
    return environment.get_template("report.html")


def _text(name: str) -> str:
    return files("logagg.report_templates").joinpath(name).read_text(encoding="utf-8")
