"""Tokens: who may ask. A file of hashes, bearer tokens for programs, a session cookie for browsers.

The token file has one token a line, with # for comments:

    # name   scopes (comma between)   SHA-256 of the token in hexadecimal
    grafana  read                     9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

Only hashes are stored; a token is long and random, so that its hash cannot be turned back. The file is read again
when it changes: a line taken out takes the token and its sessions away. While the file is wrong or missing nobody gets
in. A session cookie holds no token: it names the token's line and when it ends, signed with a key that lives as long
as the process.
"""

import hashlib
import hmac
import logging
import re
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

from logagg.clock import Clock
from logagg.errors import ConfigError
from logagg.terminal import safe_line

log = logging.getLogger(__name__)

SCOPES = ("ingest", "ping", "read", "admin")
COOKIE = "logagg_session"
SESSION_S = 12 * 3600
TOKEN_BYTES_MAX = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file. The scope `admin` reaches everywhere."""

    name: str
    scopes: frozenset[str]
    digest: str

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


def parse_tokens(text: str, place: str) -> list[Token]:
    """The tokens of a file. ConfigError with every mistake; it never quotes a hash, which may be a token by mistake."""
    tokens: list[Token] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        found = _line_problem(words, {token.name for token in tokens})
        if found:
            problems.append(f"{place}:{number}: {found}")
        else:
            tokens.append(Token(words[0], frozenset(words[1].split(",")), words[2].lower()))
    if not tokens and not problems:
        problems.append(f"{place}: holds no token; expected lines such as: grafana read <SHA-256 in hexadecimal>")
    if problems:
        raise ConfigError(problems)
    return tokens


def _line_problem(words: list[str], known: set[str]) -> str:
    if len(words) != 3:
        return f"{len(words)} words; expected three: a name, scopes with commas between, the token's SHA-256"
    name, scopes, digest = words
    if not _NAME.fullmatch(name):
        return f"{safe_line(name)!r} is no name; expected letters, digits, '.', '_' and '-'"
    if name in known:
        return f"an earlier line has the name {name!r} too; choose another"
    if unknown := [scope for scope in scopes.split(",") if scope not in SCOPES]:
        return f"no scope {safe_line(unknown[0])!r}; expected some of {', '.join(SCOPES)}"
    if not _HASH.fullmatch(digest.lower()):
        return "the third word is no SHA-256; expected its 64 hexadecimal digits: printf %s TOKEN | sha256sum"
    return ""


class Tokens:
    """The tokens of one file, and the sessions that they have begun. May be used from several threads."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Raises ConfigError where the file is wrong at the start."""
        self._path = path
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._stamp = _stamp(path)
        self._tokens = _load(path)

    def of_token(self, text: str) -> Token | None:
        """Whose token this is. Every line is compared, each in constant time."""
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        found = None
        for token in self._current():
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found

    def session(self, token: Token) -> str:
        """The value of a cookie that stands for this token for SESSION_S."""
        until_s = self._clock.now_us() // 1_000_000 + SESSION_S
        return f"{token.name}|{until_s}|{self._signature(token, until_s)}"

    def of_session(self, cookie: str) -> Token | None:
        """Whose session this is; None for one that ended, was never begun here, or whose token is gone."""
        name, _, rest = cookie.partition("|")
        until, _, signature = rest.partition("|")
        if not re.fullmatch(r"[0-9]{1,12}", until) or int(until) < self._clock.now_us() // 1_000_000:
            return None
        for token in self._current():
            if token.name == name and hmac.compare_digest(self._signature(token, int(until)).encode(),
                                                          signature.encode("utf-8", "replace")):
                return token
        return None

    def _signature(self, token: Token, until_s: int) -> str:
        return hmac.new(self._key, f"{token.name}|{until_s}|{token.digest}".encode(), "sha256").hexdigest()

    def _current(self) -> list[Token]:
        stamp = _stamp(self._path)
        with self._lock:
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._tokens = _load(self._path)
                    log.info("%s was read again: %d tokens", safe_line(self._path), len(self._tokens))
                except ConfigError as error:
                    self._tokens = []
                    log.error("nobody is let in until this is mended:\n%s", error)
            return self._tokens


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _load(path: Path) -> list[Token]:
    place = safe_line(path)
    try:
        return parse_tokens(path.read_text(encoding="utf-8-sig"), place)
    except OSError as error:
        raise ConfigError([f"{place}: the token file cannot be read ({error.strerror}); write one with a line for "
                           "each token, or correct [web] token_file"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{place}: not UTF-8; expected a token file"]) from None
