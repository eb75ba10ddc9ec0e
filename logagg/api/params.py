"""The parameters of requests: declared once, read with all mistakes told at once, described in OpenAPI."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from logagg.api.cursor import CURSOR_CHARS_MAX
from logagg.api.problem import Problem
from logagg.errors import UsageError
from logagg.times import instant_us

TEXT_CHARS_MAX = 300
REPEATED_MAX = 50

Kind = Literal["text", "time", "date", "integer", "label", "choice", "cursor"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the query (or, with `in_path`, of the path). `default` None: may be left out, and is None then.

    A `time` becomes microseconds, a `label` ("host=ivr-app01") a pair, a `repeated` one a list in the order given.
    """

    name: str
    kind: Kind
    help: str
    required: bool = False
    repeated: bool = False
    default: str | int | None = None
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    in_path: bool = False
    example: str = ""


def read(parameters: Sequence[Parameter], given: Iterable[tuple[str, str]], zone: str) -> dict[str, Any]:
    """name -> value for every parameter, from what the client gave. Problem 400 with each mistake.

    An empty value is one that was left out, as forms send it. Times without an offset are local time of `zone`.
    """
    values: dict[str, list[str]] = {}
    for name, value in given:
        if value.strip():
            values.setdefault(name, []).append(value.strip())
        else:
            values.setdefault(name, [])
    errors = [(name, _unknown(name, parameters)) for name in values
              if name not in {one.name for one in parameters}]
    found: dict[str, Any] = {}
    for one in parameters:
        try:
            found[one.name] = _value(one, values.get(one.name, []), zone)
        except UsageError as error:
            errors.append((one.name, str(error)))
    if not errors and found.get("from") is not None and found.get("to") is not None and found["to"] <= found["from"]:
        errors.append(("to", "to is not after from; the range is empty, its end does not belong to it"))
    if errors:
        raise Problem(400, "; ".join(text for _, text in errors),
                      errors=[{"parameter": name, "detail": text} for name, text in errors])
    return found


def _unknown(name: str, parameters: Sequence[Parameter]) -> str:
    known = [one.name for one in parameters]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"
    return f"no parameter {name[:100]!r}; {hint}"


def _value(one: Parameter, given: list[str], zone: str) -> Any:
    if not given:
        if one.required:
            raise UsageError(f"{one.name} is missing" + (f"; add for example {one.name}={one.example}"
                                                         if one.example else ""))
        return [] if one.repeated else one.default
    if one.repeated:
        if len(given) > REPEATED_MAX:
            raise UsageError(f"{one.name} is given {len(given)} times; expected at most {REPEATED_MAX}")
        return [_one(one, text, zone) for text in given]
    if len(given) > 1:
        raise UsageError(f"{one.name} is given {len(given)} times; expected once")
    return _one(one, given[0], zone)


def _one(one: Parameter, text: str, zone: str) -> Any:
    most = CURSOR_CHARS_MAX if one.kind == "cursor" else TEXT_CHARS_MAX
    if len(text) > most:
        raise UsageError(f"{one.name} has {len(text):,} characters; expected at most {most}")
    if one.kind == "time":
        return instant_us(text, zone, option=one.name)
    if one.kind == "date":
        return _date(one, text)
    if one.kind == "integer":
        return _integer(one, text)
    if one.kind == "label":
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{one.name}: {text!r} is no label; expected name=value, such as host=ivr-app01")
        return name, value
    if one.kind == "choice" and text not in one.choices:
        close = difflib.get_close_matches(text, one.choices, n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(one.choices)}"
        raise UsageError(f"{one.name}: no {text!r}; {hint}")
    return text


def _date(one: Parameter, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"{one.name}: {text!r} is no date; expected one such as 2026-11-20") from None


def _integer(one: Parameter, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not one.least <= int(text) <= one.most:
        raise UsageError(f"{one.name}: {text!r} is no whole number from {one.least} to {one.most:,}")
    return int(text)


def schema(one: Parameter) -> dict[str, Any]:
    """The parameter's JSON Schema."""
    if one.kind == "integer":
        found: dict[str, Any] = {"type": "integer", "minimum": one.least, "maximum": one.most}
    elif one.kind == "choice":
        found = {"type": "string", "enum": list(one.choices)}
    elif one.kind == "date":
        found = {"type": "string", "format": "date"}
    elif one.kind == "label":
        found = {"type": "string", "pattern": "^[^=]+=.*$"}
    else:
        found = {"type": "string", "maxLength": CURSOR_CHARS_MAX if one.kind == "cursor" else TEXT_CHARS_MAX}
    if one.default is not None:
        found["default"] = one.default
    return {"type": "array", "items": found, "maxItems": REPEATED_MAX} if one.repeated else found


def described(one: Parameter) -> Mapping[str, Any]:
    """The parameter as an OpenAPI 3.1 parameter object."""
    found: dict[str, Any] = {"name": one.name, "in": "path" if one.in_path else "query",
                             "required": one.required or one.in_path, "description": one.help, "schema": schema(one)}
    if one.repeated:
        found |= {"style": "form", "explode": True}
    if one.example:
        found["example"] = [one.example] if one.repeated else one.example
    return found
