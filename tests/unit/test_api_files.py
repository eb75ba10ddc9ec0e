"""The archive over HTTP: its files, and nothing else."""

import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.web import Web

REPORT = "operations/daily/2026-11-20"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of one report in two revisions, beside a secret."""
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "reports"
    for revision in ("r1", "r2"):
        folder = root / REPORT / revision
        folder.mkdir(parents=True)
        (folder / "index.html").write_text(f"<p>{revision}")
        (folder / "data.json").write_text("{}")
    (root / REPORT / ".r3.77.tmp").mkdir()
    (root / REPORT / ".r3.77.tmp" / "index.html").write_text("half")
    (root / "tool.exe").write_bytes(b"MZ")
    return root


@pytest.fixture
def client(archive: Path) -> TestClient:
    return Web(archive.parent).client()


def test_files_and_folders(client: TestClient) -> None:
    """A file comes with its type; a folder leads to its index.html, or shows the names in it but hidden ones."""
    page = client.get(f"/reports/{REPORT}/r1/")
    assert (page.text, page.headers["content-type"]) == ("<p>r1", "text/html; charset=utf-8")
    assert client.get(f"/reports/{REPORT}/r1/data.json").headers["content-type"] == "application/json"
    moved = client.get(f"/reports/{REPORT}/r1")
    assert (moved.status_code, moved.headers["location"]) == (307, f"/reports/{REPORT}/r1/")
    listing = client.get(f"/reports/{REPORT}/").text
    assert "r1/" in listing
    assert "r3" not in listing
    assert client.get("/reports/tool.exe").headers["content-disposition"] == "attachment"
    assert client.get("/reports").headers["location"] == "/reports/"


@pytest.mark.parametrize("path", [
    "../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "operations/../../secret.txt", "%2e%2e%2fsecret.txt",
    "..\\secret.txt", "%2fetc/passwd", "//etc/passwd", f"{REPORT}/.r3.77.tmp/index.html", "C:/secret.txt", "a%00b",
    "operations/" + "x" * 300, "missing", f"{REPORT}/r1/index.html/more",
])
def test_no_way_out(client: TestClient, path: str) -> None:
    """Neither dots, encodings, drive letters, hidden names nor NUL lead out of the archive or into a half report."""
    answer = client.get(f"/reports/{path}", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace("secret.txt", "")


def test_no_link_leads_out(client: TestClient, archive: Path) -> None:
    """A symbolic link to a place outside is not followed, wherever it stands in the path; one inside is."""
    if not hasattr(os, "symlink"):
        pytest.skip("no symbolic links here")
    (archive / "out.txt").symlink_to(archive.parent / "secret.txt")
    (archive / "up").symlink_to(archive.parent)
    (archive / "loop").symlink_to(archive / "loop")
    (archive / "latest").symlink_to(archive / REPORT / "r2")
    assert client.get("/reports/out.txt").status_code == 404
    assert client.get("/reports/up/secret.txt").status_code == 404
    assert client.get("/reports/loop").status_code == 404
    assert client.get("/reports/latest/").text == "<p>r2"


def test_what_a_browser_may_keep(client: TestClient, archive: Path) -> None:
    """A revision with a successor is kept for ever; the newest may be written again and is asked for each time, at
    the price of a 304."""
    old = client.get(f"/reports/{REPORT}/r1/data.json")
    assert "immutable" in old.headers["cache-control"]
    new = client.get(f"/reports/{REPORT}/r2/data.json")
    assert new.headers["cache-control"] == "private, no-cache"
    same = client.get(f"/reports/{REPORT}/r2/data.json", headers={"if-none-match": new.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    (archive / REPORT / "r2" / "data.json").write_text('{"more": 1}')
    other = client.get(f"/reports/{REPORT}/r2/data.json", headers={"if-none-match": new.headers["etag"]})
    assert other.json() == {"more": 1}


def test_reports_may_bring_their_own_style(client: TestClient) -> None:
    """Only below /reports/ the policy admits style sheets in the page; scripts in a page run nowhere."""
    policy = client.get(f"/reports/{REPORT}/r1/").headers["content-security-policy"]
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "script-src 'self';" in policy


def test_our_own_files(client: TestClient) -> None:
    """Style sheets and the script are kept for ever under the address that names their content; others are unknown."""
    page = client.get("/").text
    for name in ("report.css", "web.css", "live.js", "icon.svg"):
        address = page[page.index(f"/static/{name}?v="):].split('"')[0]
        answer = client.get(address)
        assert "immutable" in answer.headers["cache-control"]
        assert client.get(address, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
        assert client.get(f"/static/{name}?v=old").headers["cache-control"] == "public, no-cache"
    assert client.get("/static/report.html").status_code == 404
    assert client.get("/static/..%2freport.html").status_code == 404


def test_no_archive_yet(tmp_path: Path) -> None:
    """Without an archive its page is not found and not linked."""
    client = Web(tmp_path).client()
    assert client.get("/reports/").status_code == 404
    assert 'href="/reports/"' not in client.get("/").text
