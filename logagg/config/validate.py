"""TOML text -> values with defaults, and every mistake in it at once, each with its place and a way out."""

import re
import tomllib
from typing import Any

from logagg.config.fields import TABLES, Field, Table, table
from logagg.config.forms import found, kind_problem, near, quoted, text_problem
from logagg.config.places import Key, Places
from logagg.errors import ConfigError
from logagg.terminal import safe_line

Values = dict[str, Any]
"""One table's options by name; absent ones have their default, wrong ones too."""


class Problems:
    """Collects mistakes with their places."""

    def __init__(self, file: str, places: Places | None = None) -> None:
        self._file = safe_line(file)
        self._places = places
        self._found: list[tuple[int, int, str]] = []
        self._keys: list[Key] = []

    def add(self, key: Key, what: str) -> None:
        """Note that `what` is wrong with the value at `key`."""
        self._keys.append(key)
        line = self._places.line(key) if self._places else None
        place = f"{self._file}:{line}" if line else self._file
        name = shown(key)
        self._found.append((line or 0, len(self._found), f"{place}: {name}: {what}" if name else f"{place}: {what}"))

    def has(self, key: Key) -> bool:
        """Whether something is wrong at `key` or below it."""
        return any(one[:len(key)] == key for one in self._keys)

    def lines(self) -> list[str]:
        """All problems in the order of the file."""
        return [text for _, _, text in sorted(self._found)]

    def __len__(self) -> int:
        return len(self._found)

    def raise_if_any(self) -> None:
        if self._found:
            raise ConfigError(self.lines())


def shown(key: Key) -> str:
    """A key path as it is printed: source[1].layout; tables are counted from 1."""
    text = ""
    for part in key:
        text += f"[{part + 1}]" if isinstance(part, int) else f"{'.' if text else ''}{_bare(part)}"
    return text


def _bare(part: str) -> str:
    return part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else quoted(part)


def parse(text: str, file: str) -> dict[str, Any]:
    """The TOML document; ConfigError with line and column where the text is none."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(str(error), text, safe_line(file))]) from None
    except ValueError:      # int() refuses more than 4,300 digits
        raise ConfigError([f"{safe_line(file)}: not TOML: a number has too many digits; shorten it"]) from None
    except RecursionError:
        raise ConfigError([f"{safe_line(file)}: not TOML: brackets nested too deeply; remove some"]) from None


def _syntax_problem(message: str, text: str, file: str) -> str:
    what, _, where = message.rpartition(" (at ")
    place = file
    if match := re.match(r"line (\d+), column (\d+)\)", where):
        place = f"{file}:{match[1]}:{match[2]}"
    elif where.startswith("end of document"):
        place = f"{file}:{max(1, len(text.splitlines()))}"
    what = what or message
    way_out = ""
    if where.startswith("end of document"):
        what, way_out = "the file ends within a value", "; close the text, list or table that is open"
    elif "Unescaped '\\'" in what or "Invalid hex value" in what:
        way_out = "; write text with backslashes in single quotes, as in 'C:\\logs\\app.log'"
    elif "Invalid value" in what:
        way_out = "; write text in quotes"
    elif "Cannot overwrite a value" in what:
        way_out = "; each key may stand only once in its table"
    elif "Cannot declare" in what:
        what = "a table is declared twice"
        way_out = "; write each [table] once; [[source]], [[rule]], [[report]] … may be repeated"
    elif "Expected newline or end of document" in what:
        way_out = "; write one key = value a line"
    elif "Illegal character" in what:
        way_out = '; end text in the line where it began, or write it between """ and """'
    return f"{place}: not TOML: {safe_line(what[:1].lower() + what[1:])}{way_out}"


def validate(document: dict[str, Any], problems: Problems) -> dict[str, list[Values]]:
    """Each table's values, by the table's name, in the order of the file.

    A table that may be repeated has one item each; any other has exactly one, defaults where it is not written.
    """
    top = table("")
    names = [one.name for one in TABLES if one.name]
    for key, value in document.items():
        if key not in names and key not in top.names():
            problems.add(_first(key, value), _unknown_top(key, value, names))
    result = {"": [_values(top, {k: v for k, v in document.items() if k in top.names()}, (), problems)]}
    for one in TABLES:
        if one.name:
            result[one.name] = [_values(one, item, key, problems) for key, item in _items(one, document, problems)]
    return result


def _first(key: str, value: Any) -> Key:
    return (key, 0) if isinstance(value, list) and value and isinstance(value[0], dict) else (key,)


def _unknown_top(key: str, value: Any, names: list[str]) -> str:
    if isinstance(value, dict | list):
        return "unknown table" + (near(key, names) or "; expected one of " + ", ".join(names))
    for one in TABLES:
        if key in one.names():
            head = f"[[{one.name}]]" if one.many else f"[{one.name}]"
            return f"stands outside of its table; write it below {head}"
    return "unknown key" + (near(key, [*names, *table("").names()]) or "; expected a table such as [[source]]")


def _items(one: Table, document: dict[str, Any], problems: Problems) -> list[tuple[Key, dict[str, Any]]]:
    """The tables of this name as they are written, with their key paths."""
    value = document.get(one.name)
    if not one.many:
        if value is not None and not isinstance(value, dict):
            many = isinstance(value, list) and value and isinstance(value[0], dict)
            problems.add(_first(one.name, value), f"expected one table; write [{one.name}]" + (
                " once, with single brackets" if many else " and its keys below it"))
            value = None
        return [((one.name,), value or {})]
    if isinstance(value, dict):
        problems.add((one.name,), f"expected a list of tables; write [[{one.name}]] with double brackets")
        return [((one.name,), value)]
    if value is not None and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        problems.add((one.name,), f"expected a list of tables, found {found(value)}; write [[{one.name}]]")
        return []
    return [((one.name, i), item) for i, item in enumerate(value or [])]


def _values(one: Table, raw: dict[str, Any], place: Key, problems: Problems) -> Values:
    """One table's options, checked each by itself."""
    for key in raw:
        if key in one.later:
            problems.add((*place, key), f"not supported by this version; {one.later[key]}")
        elif key not in one.names():
            problems.add((*place, key), "unknown key" + (
                near(key, one.names()) or "; expected one of " + ", ".join(one.names())))
    for field in one.fields:
        missing = field.required and field.name not in raw
        if missing and not (field.name == "paths" and "log4j" in raw):
            problems.add(place, f"{field.name} is missing; add {field.name} = {field.example}")
    return {field.name: _value(field, raw.get(field.name), (*place, field.name), problems)
            for field in one.fields}


def _value(field: Field, value: Any, place: Key, problems: Problems) -> Any:
    """The option's value, a tuple for texts; its default where it is absent or wrong."""
    if value is None:
        return field.default
    if problem := kind_problem(field, value):
        problems.add(place, problem)
        return field.default
    if field.kind in ("whole", "number", "flag"):
        return value
    texts = [value] if isinstance(value, str) else list(value)
    if field.required and not texts:
        problems.add(place, f"is empty; expected at least one, such as {field.example}")
    wrong = [problem for text in texts if (problem := text_problem(field, text))]
    for problem in wrong:
        problems.add(place, problem)
    if wrong:
        return field.default
    return tuple(dict.fromkeys(texts)) if field.kind == "texts" else value
