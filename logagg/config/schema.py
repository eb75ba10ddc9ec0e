"""The options as JSON Schema for editors, as the commented file of `logagg init`, and as tables for the manual."""

import json
from typing import Any

from logagg.config.fields import TABLES, Field, Table

SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"

_PATTERNS = {
    "name": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
    "metric": r"^[A-Za-z][A-Za-z0-9_]{0,99}$",
    "age": r"^([1-9][0-9]{0,4}d|forever)$",
    "rule": r"^[A-Za-z][A-Za-z0-9_]{0,99}$",
    "window": r"^[1-9][0-9]*[smhd]$",
    "hold": r"^(0|[1-9][0-9]*)[smhd]$",
    "duration": r"^[1-9][0-9]*[smhd]$",
    "rate": r"^[1-9][0-9]{0,5}(k|M|G|Ki|Mi|Gi)B/s$",
    "clock": r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$",
    "hours": r"^[0-2][0-9]:[0-5][0-9] *- *[0-2][0-9]:[0-5][0-9]$",
    "condition": r"^[A-Za-z_][A-Za-z0-9_]*!?=",
    "http": r"^https?://",
    "store": r"^(sqlite:///.+|mongodb(\+srv)?://.+/.+)$",
}


_TYPES = {"whole": "integer", "number": "number", "flag": "boolean"}


def json_schema() -> dict[str, Any]:
    """The configuration's JSON Schema (draft 2020-12). It knows kinds, ranges and names; `logagg check` knows more."""
    top = next(one for one in TABLES if not one.name)
    schema = _object(top)
    schema["properties"] |= {one.name: _table(one) for one in TABLES if one.name}
    return {"$schema": SCHEMA_URL, "title": "logagg configuration", **schema}


def _table(one: Table) -> dict[str, Any]:
    schema = _object(one)
    return {"type": "array", "description": one.help, "items": schema} if one.many else schema


def _object(one: Table) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "description": one.help,
        "additionalProperties": False,
        "properties": {field.name: _field(field) for field in one.fields},
    }
    if required := [field.name for field in one.fields if field.required]:
        schema["required"] = required
    return schema


def _field(field: Field) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string"}
    if field.choices:
        text["enum"] = list(field.choices)
    if field.form in _PATTERNS:
        text["pattern"] = _PATTERNS[field.form]
    if field.kind == "text":
        schema = text
    elif field.kind == "texts":
        many: dict[str, Any] = {"type": "array", "items": text}
        if field.required:
            many["minItems"] = 1
        schema = {"anyOf": [many, text]}
    else:
        schema = {"type": _TYPES[field.kind]}
        schema |= {} if field.least is None else {"minimum": field.least}
        schema |= {} if field.most is None else {"maximum": field.most}
    schema["description"] = _said(field)
    if field.default is not None:
        schema["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
    if field.secret:
        schema["writeOnly"] = True
    return schema


def _said(field: Field) -> str:
    default = f" Default: {field.default_said}." if field.default_said else ""
    unit = f" In {field.unit}." if field.unit else ""
    return f"{field.help}{unit}{default}"


def toml_value(value: Any) -> str:
    """A default as TOML text."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def commented_file() -> str:
    """The file that `logagg init` writes: what must be set is text, everything else a comment with its default."""
    parts = [
        "# The configuration of logagg. Set app and paths of your own logs below, one [[source]] table an application,",
        "# then run `logagg check`: it tells whether all is right and which files match now.",
        "# A line such as #key = value shows an option with its default or an example: remove the # to set it.",
        "# Relative paths are relative to this file's folder. Editors: `logagg check --schema` prints the JSON Schema.",
        "",
    ]
    for one in TABLES:
        if one.name:
            parts += ["", f"# {one.help}", f"{'' if one.shown else '#'}{head(one)}"]
        for field in one.fields:
            parts += _commented(one, field)
    return "\n".join(parts) + "\n"


def _commented(one: Table, field: Field) -> list[str]:
    comment = f"# {field.help}" + (f" In {field.unit}." if field.unit else "")
    if field.default_said:
        comment += f" Default: {field.default_said}."
    elif field.example and not field.required:
        comment += f" Default: {toml_value(field.default) if field.default else 'none'}."
    active = one.shown and (field.required or (field.default is not None and not one.many))
    value = field.example or toml_value(field.default)
    return [comment, f"{'' if active else '#'}{field.name} = {value}"]


def head(one: Table) -> str:
    """The table's header line; "" for the top of the file."""
    if not one.name:
        return ""
    return f"[[{one.name}]]" if one.many else f"[{one.name}]"


def options_table() -> str:
    """Every option as Markdown tables, for the manual."""
    parts = []
    for one in TABLES:
        parts += [f"### {'`' + head(one) + '`' if one.name else 'Top of the file'}", "", one.help, "",
                  "| option | type | default | unit | meaning |", "| --- | --- | --- | --- | --- |"]
        for field in one.fields:
            kind = " or ".join(f"`{json.dumps(choice)}`" for choice in field.choices) or _KINDS[field.kind]
            default = field.default_said or (
                "required" if field.required else f"`{toml_value(field.default)}`")
            secret = " Printed without its password." if field.secret else ""
            parts.append(f"| `{field.name}` | {kind} | {default} | {field.unit} | {field.help}{secret} |")
        parts.append("")
    return "\n".join(parts)


_KINDS = {"text": "text", "texts": "text or list of texts", "whole": "whole number", "number": "number",
          "flag": "`true` or `false`"}
