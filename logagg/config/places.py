"""Where each key of a TOML text stands: the standard parser does not tell.

A small scanner over a text that `tomllib` has already accepted; it needs to be right only about where tables and
keys begin. Keys inside inline tables and lists are found at the key that holds them.
"""

import re
import tomllib

Key = tuple[str | int, ...]
"""("source", 1, "layout"): tables of an array are counted from 0."""

_STRINGS = r'"""(?:[^\\]|\\.)*?"""+|\'\'\'.*?\'\'\'+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\''
_KEY_PART = r'(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')'
_KEY = rf"{_KEY_PART}(?:[ \t]*\.[ \t]*{_KEY_PART})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_KEY})[ \t]*\]\]?")
_ASSIGN = re.compile(rf"[ \t]*({_KEY})[ \t]*=")
_SKIP = re.compile(rf"(?s){_STRINGS}|#[^\n]*|[^\"'#\n\[\]{{}}]+|.")
_PART = re.compile(_KEY_PART)


class Places:
    """Lines (from 1) of a TOML text's tables and keys."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Key, int] = {(): 1}
        self._counts: dict[Key, int] = {}
        self._scan(text)

    def line(self, key: Key) -> int | None:
        """The line of a key, else of the nearest thing that holds it; None where only the whole file does."""
        while key:
            if key in self._lines:
                return self._lines[key]
            key = key[:-1]
        return None

    def _scan(self, text: str) -> None:
        at, line = 0, 1
        table: Key = ()
        while at < len(text):
            if header := _HEADER.match(text, at):
                table = self._open(_split(header[2]), header[1] == "[[", line)
                end = _statement_end(text, header.end())
            elif assign := _ASSIGN.match(text, at):
                self._lines.setdefault(table + self._counted(_split(assign[1])), line)
                end = _statement_end(text, assign.end())
            else:
                end = _statement_end(text, at)
            line += text.count("\n", at, end)
            at = end

    def _open(self, parts: Key, many: bool, line: int) -> Key:
        key = self._counted(parts[:-1]) + parts[-1:] if many else self._counted(parts)
        if many:
            self._counts[key] = self._counts.get(key, 0) + 1
            key = (*key, self._counts[key] - 1)
        self._lines.setdefault(key, line)
        return key

    def _counted(self, parts: Key) -> Key:
        """The key with the current number put in behind each array of tables on its way."""
        key: Key = ()
        for part in parts:
            key = (*key, part)
            if key in self._counts:
                key = (*key, self._counts[key] - 1)
        return key


def _split(key: str) -> Key:
    return tuple(next(iter(tomllib.loads(f"{part} = 0"))) for part in _PART.findall(key))


def _statement_end(text: str, at: int) -> int:
    """The offset behind the line end that ends the statement at `at`: brackets and strings may hold line ends."""
    depth = 0
    while at < len(text) and (token := _SKIP.match(text, at)):
        at = token.end()
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth <= 0:
            break
    return at
