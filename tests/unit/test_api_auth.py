"""Who may ask: tokens, sessions, host names, methods, and the headers of every answer."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from logagg.api.auth import COOKIE, SESSION_S, Tokens, parse_tokens
from logagg.api.guard import allowed_hosts
from logagg.api.login import local_path
from logagg.api.server import check_web
from logagg.clock import StepClock
from logagg.config.model import WebConfig
from logagg.errors import ConfigError
from tests.web import Web

PAGE = {"accept": "text/html"}


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def secured(folder: Path, lines: str = "", **web: object) -> Web:
    """A web role with the tokens "reader" (read), "pinger" (ping) and "chief" (admin)."""
    file = folder / "tokens"
    file.write_text(lines or f"# who\nr read {digest('reader')}\np ping,ingest {digest('pinger')} # no pages\n"
                             f"c admin {digest('chief').upper()}\n")
    return Web(folder, token_file=file, **web)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("text", "said"), [
    ("", "holds no token"),
    ("a read", "2 words; expected three"),
    ("a read secret", "the third word is no SHA-256"),
    ("a/b read " + digest("x"), "is no name"),
    ("a rea " + digest("x"), "no scope 'rea'; expected some of ingest, ping, read, admin"),
    (f"a read {digest('x')}\na read {digest('y')}", "tokens:2: an earlier line has the name 'a' too"),
    ("a read secret\nb what " + digest("x"), "tokens:2: no scope"),
])
def test_a_wrong_token_file(text: str, said: str) -> None:
    """Every mistake of a token file is told with its line, and what may be a token itself is never quoted."""
    with pytest.raises(ConfigError) as error:
        parse_tokens(text, "tokens")
    assert said in str(error.value)
    assert "secret" not in str(error.value)


def test_the_file_decides_who_may_read(tmp_path: Path) -> None:
    """No token: 401; an unknown one: 401 invalid_token; one without the scope: 403; read and admin: 200. Health and
    the pages' own files need none."""
    client = secured(tmp_path).client()
    for path in ("/api/v1/sources", "/metrics", "/openapi.json", "/", "/events", "/reports/", "/live", "/nowhere"):
        assert client.get(path).status_code == 401, path
        assert client.get(path).headers["www-authenticate"].startswith("Bearer")
    assert 'error="invalid_token"' in client.get("/metrics", headers=bearer("wrong")).headers["www-authenticate"]
    assert client.get("/metrics", headers=bearer("x" * 5000)).status_code == 401
    assert client.get("/metrics", headers=bearer("pinger")).status_code == 403
    for token in ("reader", "chief"):
        assert client.get("/metrics", headers=bearer(token)).status_code == 200
    for path in ("/healthz", "/readyz", "/login", "/static/web.css"):
        assert client.get(path).status_code == 200, path


def test_a_hash_is_no_token(tmp_path: Path) -> None:
    """Whoever reads the file does not get in with what stands there."""
    client = secured(tmp_path).client()
    assert client.get("/metrics", headers=bearer(digest("reader"))).status_code == 401


def test_a_token_taken_out_is_out_at_once(tmp_path: Path) -> None:
    """The file is read again when it changes; a wrong or missing one lets nobody in until it is mended."""
    web = secured(tmp_path)
    client = web.client()
    file = tmp_path / "tokens"
    good = file.read_text()
    login = client.post("/login", data={"token": "reader"})
    cookie = {"cookie": f"{COOKIE}={login.cookies[COOKIE]}"}
    client.cookies.clear()
    assert client.get("/metrics", headers=cookie).status_code == 200
    file.write_text(f"c admin {digest('chief')}\n")
    assert client.get("/metrics", headers=bearer("reader")).status_code == 401
    assert client.get("/metrics", headers=cookie).status_code == 401
    assert client.get("/metrics", headers=bearer("chief")).status_code == 200
    for breaking in (lambda: file.write_text("nonsense"), file.unlink):
        breaking()
        assert client.get("/metrics", headers=bearer("chief")).status_code == 401
    file.write_text(good + "\n")
    assert client.get("/metrics", headers=bearer("reader")).status_code == 200


def test_the_same_name_with_another_token(tmp_path: Path) -> None:
    """A token that is replaced under its name takes the sessions of the old one with it."""
    file = tmp_path / "tokens"
    file.write_text(f"r read {digest('old')}\n")
    tokens = Tokens(file, StepClock())
    token = tokens.of_token("old")
    assert token is not None
    session = tokens.session(token)
    assert tokens.of_session(session) == token
    file.write_text(f"r read {digest('new')}\n")
    os.utime(file, ns=(1, 1))
    assert tokens.of_session(session) is None


def test_a_browser_logs_in(tmp_path: Path) -> None:
    """A page asks for a token, gives a cookie that scripts cannot read and other sites cannot send, goes on to the
    page asked for, and shows nothing of what is behind it before."""
    web = secured(tmp_path, public_url="https://logs.example.com")
    client = web.client()
    asked = client.get("/events?text=secret-word", headers=PAGE)
    assert asked.status_code == 401
    assert 'value="/events?text=secret-word"' in asked.text
    refused = client.post("/login", data={"token": "wrong", "to": "/events"})
    assert refused.status_code == 401
    assert "set-cookie" not in refused.headers
    assert client.post("/login", data={"token": "pinger"}).status_code == 403
    done = client.post("/login", data={"token": " reader ", "to": "/events?x=1"})
    assert (done.status_code, done.headers["location"]) == (303, "/events?x=1")
    cookie = done.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Secure", "Path=/"))
    assert "reader" not in cookie
    session = {"cookie": f"{COOKIE}={done.cookies[COOKIE]}"}
    client.cookies.clear()
    assert "Log out" in client.get("/", headers=session | PAGE).text
    assert 'Max-Age=0' in client.post("/logout", headers=session).headers["set-cookie"]


def test_a_session_ends(tmp_path: Path) -> None:
    """A session holds for its time, in the process that began it, and not with anything changed in it."""
    web = secured(tmp_path)
    tokens = Tokens(tmp_path / "tokens", web.clock)
    token = tokens.of_token("reader")
    assert token is not None
    session = tokens.session(token)
    assert Tokens(tmp_path / "tokens", web.clock).of_session(session) is None
    assert tokens.of_session(session.replace("r|", "c|", 1)) is None
    name, until, signature = session.split("|")
    assert tokens.of_session(f"{name}|{int(until) + 1}|{signature}") is None
    for forged in ("", "|", "||", "r", "r|x|y", f"{name}|{until}|", f"{name}|{until}|\u00fc", f"{name}|{10**30}|a"):
        assert tokens.of_session(forged) is None
    web.clock.step(SESSION_S)
    assert tokens.of_session(session) == token
    web.clock.step(1)
    assert tokens.of_session(session) is None


def test_other_sites_cannot_log_in_here(tmp_path: Path) -> None:
    """A login form that another site sends is refused, and so is one too large."""
    client = secured(tmp_path).client()
    assert client.post("/login", data={"token": "reader"}, headers={"origin": "https://evil"}).status_code == 403
    assert client.post("/login", data={"token": "reader"}, headers={"origin": "null"}).status_code == 403
    assert client.post("/login", data={"token": "reader"},
                       headers={"origin": "http://localhost:8470"}).status_code == 303
    assert client.post("/login", content=b"token=" + b"x" * 5000).status_code == 413


@given(st.one_of(st.text(), st.sampled_from(
    ["//evil", "/\\evil", "https://evil", "javascript:alert(1)", "/ok?to=//evil", "\t//evil", "/\t/evil", "/\\/evil"])))
def test_a_login_leads_nowhere_else(text: str) -> None:
    """Whatever the form says, the login goes on to a path of this service."""
    path = local_path(text)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert "\\" not in path
    assert path.isprintable()


@pytest.mark.parametrize(("host", "status"), [
    ("localhost:8470", 200), ("127.0.0.1", 200), ("[::1]:8470", 200), ("LOCALHOST", 200), ("logs.example.com", 200),
    ("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421), ("", 421), ("[", 421),
])
def test_loopback_answers_to_its_own_names_only(tmp_path: Path, host: str, status: int) -> None:
    """A foreign name that was bound to this address (DNS rebinding) gets nothing; [web] public_url is a name too."""
    client = Web(tmp_path, public_url="https://logs.example.com").client()
    assert client.get("/metrics", headers={"host": host}).status_code == status
    assert allowed_hosts(WebConfig(host="0.0.0.0", insecure=True)) is None


@pytest.mark.parametrize("web", [WebConfig(host="0.0.0.0"), WebConfig(host="::"), WebConfig(host="logs.example.com")])
def test_an_open_address_needs_a_decision(web: WebConfig, tmp_path: Path) -> None:
    """An address that others reach is refused without token_file or insecure = true; the message names both."""
    with pytest.raises(ConfigError, match=r"token_file = .*insecure = true"):
        check_web(web)
    check_web(replace(web, insecure=True))
    check_web(replace(web, token_file=tmp_path))
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        check_web(WebConfig(host=host))


def test_every_answer_is_guarded(tmp_path: Path) -> None:
    """Pages, data, files, refusals and errors all bear the policy that lets a browser run and load only our own."""
    client = Web(tmp_path).client()
    for path in ("/", "/events", "/metrics", "/healthz", "/static/web.css", "/nowhere", "/api/v1/events?x=1",
                 "/login"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), path
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in client.get("/metrics", headers={"host": "evil"}).headers["content-security-policy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(tmp_path: Path, method: str) -> None:
    """Every method but GET and HEAD is refused on every page."""
    client = Web(tmp_path).client()
    for path in ("/", "/events", "/api/v1/events", "/login"):
        answer = client.request(method, path)
        assert answer.status_code in (404, 405), path
    assert client.head("/events").status_code == 200


def test_an_endless_address(tmp_path: Path) -> None:
    """An address of more than 8000 characters is refused before anything reads it."""
    assert Web(tmp_path).client().get("/events?text=" + "x" * 9000).status_code == 414


def test_no_login_where_there_are_no_tokens(tmp_path: Path) -> None:
    """Without a token file there is nothing to log in to."""
    client: TestClient = Web(tmp_path).client()
    assert client.get("/login").status_code == 404
    assert client.post("/login", data={"token": "x"}).status_code == 404
