"""Draws charts in a child process (vega.py) with a bounded time, and makes the drawings fit for a page."""

import base64
import contextlib
import json
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from logagg.report.chart import Chart

TIMEOUT_S = 30.0
_PROGRAM = Path(__file__).with_name("vega.py")


@dataclass(frozen=True, slots=True)
class Picture:
    """One drawn chart: SVG as Vega wrote it, PNG with a white ground."""

    svg: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Drawn:
    """The pictures by chart; `missing` says why there are none, "" where all are there."""

    pictures: Mapping[str, Picture] = field(default_factory=dict)
    missing: str = ""


class Draws(Protocol):
    """What draws the charts of a report."""

    def start(self) -> None:
        """Get ready, in the background: drawing is expected soon."""
        ...

    def draw(self, charts: Sequence[Chart]) -> Drawn:
        """All of them, or none and why. Never raises for a drawing that fails."""
        ...


class Artist:
    """One child process for one report or for several after each other; a context manager that ends it.

    The child takes about 110 MB and ends with the context. A request is bounded by `timeout_s`; then the child is
    killed, and the next request starts another.
    """

    def __init__(self, *, timeout_s: float = TIMEOUT_S, program: Path = _PROGRAM) -> None:
        self._timeout_s = timeout_s
        self._command = [sys.executable, "-P", str(program)]
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Artist":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def start(self) -> None:
        if self._child is None:
            with contextlib.suppress(OSError):      # draw says it
                self._child = self._popen()

    def draw(self, charts: Sequence[Chart]) -> Drawn:
        if not charts:
            return Drawn()
        try:
            self._child = self._child or self._popen()
            line = self._asked(json.dumps({chart.name: chart.spec for chart in charts}))
        except OSError as error:
            self._end()
            return Drawn(missing=f"the drawing program did not start: {error.strerror}")
        if line is None:
            self._end()
            return Drawn(missing=f"drawing took longer than {self._timeout_s:g} s")
        try:
            answer: dict[str, Any] = json.loads(line)
            if "error" in answer:
                return Drawn(missing=str(answer["error"]))
            pictures = {chart.name: Picture(answer[chart.name]["svg"], base64.b64decode(answer[chart.name]["png"]))
                        for chart in charts}
            for picture in pictures.values():
                inline_svg(picture.svg)     # what would not pass into the page is no drawing
            return Drawn(pictures)
        except (ValueError, KeyError, TypeError):
            self._end()
            return Drawn(missing="the drawing program gave no drawing")

    def _popen(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, encoding="utf-8",
                                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0))

    def _asked(self, request: str) -> str | None:
        """The child's answer to one line; "" when it ended, None when the time was up."""
        child = self._child
        assert child is not None and child.stdin is not None and child.stdout is not None
        answer: list[str] = []

        def ask(stdin: Any = child.stdin, stdout: Any = child.stdout) -> None:
            # A child that ended early may have said why before: so read, whatever became of writing.
            with contextlib.suppress(OSError, ValueError):
                stdin.write(request + "\n")
                stdin.flush()
            with contextlib.suppress(OSError, ValueError):
                answer.append(stdout.readline())

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(self._timeout_s)
        if asking.is_alive():
            child.kill()
            asking.join()
            return None
        return answer[0] if answer else ""

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        with contextlib.suppress(OSError):
            child.communicate()


_SVG = "http://www.w3.org/2000/svg"
_TAGS = frozenset({"svg", "g", "path", "rect", "line", "text", "circle"})
_ATTRIBUTES = frozenset({
    "d", "transform", "fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "fill-opacity", "x", "y",
    "x1", "y1", "x2", "y2", "r", "cx", "cy", "width", "height", "viewBox", "text-anchor", "font-size", "font-weight"})
_DECIMALS = re.compile(r"-?\d+\.\d{2,}")


def inline_svg(svg: str) -> str:
    """A drawing for the inside of an HTML page: shapes and texts only, without ids, styles, links or scripts.

    What a shape is described by (its aria-label) becomes its <title>, which browsers show under the pointer. Colours
    stay as presentation attributes, which the page's style sheet may replace in the dark. ValueError: not such an SVG.
    """
    if "<!" in svg:
        raise ValueError("a drawing with declarations")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise ValueError(f"not XML: {error}") from None
    kept = _kept(root)
    if kept is None or kept.tag != "svg":
        raise ValueError("not an SVG drawing")
    for name in ("width", "height", "fill"):
        kept.attrib.pop(name, None)
    kept.set("aria-hidden", "true")
    return ElementTree.tostring(kept, encoding="unicode", short_empty_elements=False)


def _kept(element: ElementTree.Element) -> ElementTree.Element | None:
    tag = element.tag.removeprefix(f"{{{_SVG}}}")
    if tag not in _TAGS or element.get("display") == "none" or (tag == "path" and _is_empty(element)):
        return None
    found = ElementTree.Element(tag, {name: _DECIMALS.sub(_rounded, value) for name, value in element.items()
                                      if name in _ATTRIBUTES and "url(" not in value})
    if tag == "text":
        found.text = element.text
    told = element.get("aria-label")
    if told and tag == "path" and "role" in element.attrib:
        ElementTree.SubElement(found, "title").text = told
    children = (_kept(child) for child in element)
    found.extend(child for child in children if child is not None)
    if tag == "g" and not len(found):
        return None
    return found[0] if tag == "g" and len(found) == 1 and not found.attrib else found


def _is_empty(path: ElementTree.Element) -> bool:
    return path.get("d", "") in ("", "M0,0h0v0h0Z") or (path.get("class") == "background" and not path.get("fill"))


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")
