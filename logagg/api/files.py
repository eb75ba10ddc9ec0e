"""Files over HTTP: the pages' own (style sheets, one script), and the archive's folder."""

import hashlib
import re
import stat
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from logagg.api.problem import Problem

TYPES = {
    ".html": "text/html; charset=utf-8", ".json": "application/json", ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
    ".txt": "text/plain; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".woff2": "font/woff2",
}
STATIC = {"report.css": "report.css", "web.css": "static/web.css", "live.js": "static/live.js",
          "icon.svg": "static/icon.svg"}
YEAR = "max-age=31536000, immutable"
_REVISION = re.compile(r"r([1-9][0-9]{0,8})")


@cache
def static_text(name: str) -> str:
    """One of the pages' own files; KeyError for any other name."""
    return files("logagg.report_templates").joinpath(*STATIC[name].split("/")).read_text(encoding="utf-8")


@cache
def static_url(name: str) -> str:
    """Its address, which changes with its content, so that browsers may keep it for ever."""
    return f"/static/{name}?v={hashlib.sha256(static_text(name).encode()).hexdigest()[:16]}"


def static_file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise Problem(404, "There is no such file.")
    current = static_url(name)
    version = current.partition("?v=")[2]
    fresh = YEAR if request.query_params.get("v") == version else "no-cache"
    headers = {"ETag": f'"{version}"', "Cache-Control": f"public, {fresh}"}
    if _same(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(static_text(name), 200, headers, media_type=TYPES["." + name.rpartition(".")[2]])


def archive_file(root: Path, request: Request) -> Response | list[str]:
    """A file of the archive; or, for a folder that has no page of its own, the names in it.

    What is not below the archive is not found, whichever way the path or a symbolic link leads there; neither are
    names that begin with a dot (a report that is being built).
    """
    path = found(root, request.path_params["path"])
    if path.is_dir():
        if not request.url.path.endswith("/"):
            return RedirectResponse(quote(request.url.path) + "/", 307)
        if not (path / "index.html").is_file():
            return _names(path)
        path = found(root, f"{request.path_params['path']}/index.html")
    kind = TYPES.get(path.suffix.lower())
    status = path.stat()
    headers = {"ETag": f'"{status.st_mtime_ns:x}-{status.st_size:x}"',
               "Cache-Control": f"private, {YEAR if is_final(path, root) else 'no-cache'}"}
    if kind is None:
        headers["Content-Disposition"] = "attachment"
    if _same(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers, media_type=kind or "application/octet-stream", stat_result=status)


def found(root: Path, relative: str) -> Path:
    """The real path of an ordinary file or folder of the archive; Problem 404 for everything else."""
    parts = [part for part in relative.split("/") if part]
    missing = Problem(404, "The archive has no such page.")
    if any(part.startswith(".") or "\\" in part or ":" in part or "\0" in part for part in parts):
        raise missing
    try:
        top = root.resolve(strict=True)
        path = top.joinpath(*parts).resolve(strict=True)
        mode = path.stat().st_mode
    except (OSError, ValueError, RuntimeError):
        raise missing from None
    if not path.is_relative_to(top) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise missing
    return path


def is_final(path: Path, root: Path) -> bool:
    """Whether a file will never change: it belongs to a numbered revision that has a successor. The newest revision
    may be written again in place."""
    for folder in path.parents:
        if folder == root:
            break
        if match := _REVISION.fullmatch(folder.name):
            return (folder.parent / f"r{int(match[1]) + 1}").is_dir()
    return False


def _names(folder: Path) -> list[str]:
    """What a folder shows: its visible names, folders with a slash."""
    shown = (one for one in folder.iterdir() if not one.name.startswith("."))
    return sorted(f"{one.name}/" if one.is_dir() else one.name for one in shown)


def _same(request: Request, tag: str) -> bool:
    """Whether the client has this version already (RFC 9110, If-None-Match)."""
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return tag in known or "*" in known
