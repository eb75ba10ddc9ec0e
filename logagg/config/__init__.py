"""The configuration: one TOML file, checked as a whole.

    fields.py    every option once: type, default, unit, help, secret
    places.py    where each key stands in the text
    forms.py     is one value what its option wants?
    validate.py  text -> values, with all mistakes at once
    build.py     values -> Config: layouts, packs, metrics, names
    alerts.py    the same for rules, channels and the mail server
    web.py       the same for the web role
    schema.py    the options as JSON Schema, as a commented file, as a table for the manual
    model.py     Config itself
    find.py      which file it is

Relative paths in the file are relative to the file's folder.
"""

import os
from pathlib import Path

from logagg.config.forms import masked
from logagg.config.model import (
    ChannelConfig,
    Config,
    NotifyConfig,
    ReportConfig,
    Retention,
    SmtpConfig,
    SourceConfig,
    WebConfig,
)
from logagg.errors import ConfigError
from logagg.terminal import safe_line

__all__ = ["ChannelConfig", "Config", "NotifyConfig", "ReportConfig", "Retention", "SmtpConfig", "SourceConfig",
           "WebConfig", "load", "loads", "masked"]

CONFIG_BYTES_MAX = 8 << 20


def load(path: str | os.PathLike[str]) -> Config:
    """Read and check a configuration file. ConfigError holds every mistake, each with file, line and key."""
    path = Path(path)
    name = safe_line(path)
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)      # a device may have no end
    except FileNotFoundError:
        raise ConfigError([f"{name}: no such file; write one with `logagg init`"]) from None
    except IsADirectoryError:
        raise ConfigError([f"{name}: is a folder; expected a TOML file, such as {name}/logagg.toml"]) from None
    except OSError as error:
        way_out = "grant this user the right to read it"
        raise ConfigError([f"{name}: cannot be read ({error.strerror}); {way_out}"]) from None
    if len(data) > CONFIG_BYTES_MAX:
        raise ConfigError([f"{name}: larger than 8 MiB; expected a TOML file, not a log"])
    try:
        text = data.decode("utf-8-sig")     # Windows' Notepad writes a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{name}:{line}: not UTF-8; save the file in UTF-8"]) from None
    return loads(text, path)


def loads(text: str, path: str | os.PathLike[str]) -> Config:
    """Check a configuration's text as if it stood in the file `path`."""
    from logagg.config.build import build
    from logagg.config.places import Places
    from logagg.config.validate import Problems, parse, validate

    path = Path(path)
    document = parse(text, str(path))
    problems = Problems(str(path), Places(text))
    tables = validate(document, problems)
    full = path.absolute()
    config = build(tables, full, full.parent, problems)
    problems.raise_if_any()
    return config
