"""Which configuration and store a command works on."""

import argparse
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logagg.app import App
    from logagg.config import Config

STORE_NAME = "logagg.db"


def config_of(arguments: argparse.Namespace, *, needed: bool = True) -> "Config | None":
    """The configuration that -c names or that is found; None where there is none and it is not needed.

    `--store` replaces its store. ConfigError where it is needed and missing, or wrong.
    """
    from logagg.config import load
    from logagg.config.find import find, find_or_say

    path = find_or_say(arguments.config) if needed else find(arguments.config)
    if path is None:
        return None
    config = load(path)
    store = getattr(arguments, "store", None)
    return replace(config, store_url=checked_store(store)) if store else config


def checked_store(url: str) -> str:
    """A store's URL from the command line, a relative path made absolute from the working folder."""
    from logagg.config.build import store_url
    from logagg.config.fields import table
    from logagg.config.forms import text_problem
    from logagg.errors import UsageError

    field = next(one for one in table("store").fields if one.name == "url")
    if problem := text_problem(field, url):
        raise UsageError(f"--store: {problem}")
    return store_url(url, Path.cwd())


def reading(arguments: argparse.Namespace) -> "AbstractContextManager[App]":
    """The application for a command that only asks.

    Without a configuration: the store that --store names, or ./logagg.db, which `logagg ingest` writes without one.
    """
    from logagg.app import App
    from logagg.errors import ConfigError

    config = config_of(arguments, needed=False)
    if config is None:
        if not arguments.store and not Path(STORE_NAME).is_file():
            raise ConfigError([f"no configuration found, and no {STORE_NAME} in this folder; name one with -c FILE, or "
                               f"a store with --store URL; `logagg ingest PATH` makes {STORE_NAME}"])
        config = bare_config(checked_store(arguments.store or f"sqlite:///{STORE_NAME}"))
    return App(config, read_only=True)


def zone_of(arguments: argparse.Namespace, config: "Config") -> str:
    """The zone in which the command's times and days are meant: --timezone, else the configuration's."""
    from logagg.config.fields import table
    from logagg.config.forms import text_problem
    from logagg.errors import UsageError

    zone: str | None = arguments.timezone
    if zone is None:
        return config.timezone
    field = next(one for one in table("source").fields if one.name == "timezone")
    if problem := text_problem(field, zone):
        raise UsageError(f"--timezone: {problem}")
    return zone


def bare_config(url: str) -> "Config":
    """What holds without a configuration: this store, the machine's zone, every pack that comes with logagg."""
    from logagg.config import Config
    from logagg.config.machine import machine_zone
    from logagg.packs import known_packs, load_packs

    packs = {pack.name: pack for pack in load_packs(known_packs())}
    return Config(path=None, folder=Path.cwd(), store_url=url, timezone=machine_zone(), packs=packs)
