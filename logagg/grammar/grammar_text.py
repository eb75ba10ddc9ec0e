"""A grammar's text and where it comes from: mistakes in it are told with file:line:column and the way out."""

import re
from collections.abc import Sequence

from logagg.errors import GrammarError

MANUAL = "https://lark-parser.readthedocs.io/en/stable/grammar.html"


def short(name: str) -> str:
    """A rule's name without a template's arguments, and without the path of the grammar that it was imported from."""
    return str(name).partition("{")[0].rpartition("__")[2]


class GrammarText:
    """The text of a grammar; `where` is its file, or what else it is called."""

    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self.where = where

    def error(self, what: str, *words: str, line: int = 0, column: int = 0) -> GrammarError:
        """An error at the line given, else at the definition of words[0], else at words[1] behind it, and so on."""
        if not line and words:
            line, column = self._place(words)
        place = f":{line}:{column}" if line else ""
        return GrammarError(f"{self.where}{place}: {what}")

    def _place(self, words: Sequence[str]) -> tuple[int, int]:
        """Line and column (from 1) of the last of `words` that is found; zeros if none is."""
        definition = re.search(rf"^[?!]*{re.escape(words[0])}\b(?=[^\n]*:)", self.text, re.MULTILINE)
        at = definition.start() if definition else -1
        for word in words[1:] if definition else words:
            before = r'(?<![\w"])' if word[:1].isidentifier() else ""
            after = r"(?!\w)" if word[-1:].isidentifier() else ""
            found = re.compile(f"{before}{re.escape(word)}{after}").search(self.text, max(at, 0) + (at >= 0))
            at = found.start() if found else at
        if at < 0:
            return 0, 0
        return self.text.count("\n", 0, at) + 1, at - self.text.rfind("\n", 0, at)

    def translated(self, error: Exception) -> GrammarError:
        """Lark's own complaint with its place, and what to do."""
        text = str(error).strip()
        if isinstance(error, FileNotFoundError):
            missing = str(error.filename or "").removesuffix(".lark")
            return self.error(f"there is no grammar {missing!r} to import from; expected common, or a .lark file "
                              "beside this one, written %import .file.RULE", "%import")
        if place := re.search(r"(?:,? at)? line (\d+),? column (\d+)", text):
            what = text[: place.start()].replace("Unexpected input", "this cannot be read as a Lark grammar")
            what = re.sub(r"Unexpected token Token\('\w+', '(.*)'\)", r"\1 is not expected here", what)
            return self.error(f"{_lowered(what)}; see {MANUAL}", line=int(place[1]), column=int(place[2]))
        if used := re.fullmatch(r"(?:Rule|Terminal|Template) '(\w+)' used but not defined \(in \w+ (\w+)\)", text):
            what = "import it from common or define it" if used[1].isupper() else "define it, or write text in quotes"
            return self.error(f"{used[1]} is used, but not defined; {what}", used[2], used[1])
        if "undefined rule: NonTerminal('start')" in text:
            return self.error("the rule start is missing; add start: and the names of the events, with | between them")
        if twice := re.search(r"Rules defined twice: (?s:.*?)<?(\w+) :", text):
            return self.error("two alternatives are the same once an optional part is left out; take the shorter one "
                              "out", twice[1])
        if "Empty terminals" in text:
            return self.error('"" is an empty text; take it out, or make what is beside it optional with [ ]', '""')
        if wrong := re.search(r"\(['\"](.*?)['\"], SyntaxError", text):
            word = wrong[1].replace("\\\\", "\\")
            return self.error(f"{word} is no escape that Python knows; write a backslash as \\\\", word)
        if 'process rule "range"' in text:
            return self.error('a range goes from one character to another, such as "a".."z"; write it so', "..")
        if "Bad Range" in text:
            return self.error("a repetition ~ n..m needs m to be n or more; turn the numbers round", "~")
        words = re.findall(r"(?:'|\bused for |\b[Rr]ule )(\w+)\b", text)
        what = _lowered(text.splitlines()[0].rstrip(":")) if text else type(error).__name__
        return self.error(f"{what}; see {MANUAL}", *words[:1])


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
