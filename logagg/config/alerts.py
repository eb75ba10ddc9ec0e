"""Values -> rules, channels and the mail server: packs' rules with the user's own in their places."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from logagg.alert.words import duration_s
from logagg.config.fields import table
from logagg.config.forms import near, quoted
from logagg.config.machine import machine_host
from logagg.config.model import ChannelConfig, NotifyConfig, SmtpConfig
from logagg.config.places import Key
from logagg.config.validate import Problems, Values

if TYPE_CHECKING:
    from logagg.alert.rule import Rule
    from logagg.packs import Pack

PORTS = {"starttls": 587, "tls": 465, "none": 25}


def channels(tables: Sequence[Values]) -> tuple[ChannelConfig, ...]:
    return tuple(ChannelConfig(values["name"] or "", values["type"], values["to"] or ()) for values in tables)


def smtp(values: Values, folder: Path, mailing: bool, problems: Problems) -> SmtpConfig | None:
    """The mail server; None where there is none. `mailing`: channels need it."""
    written = any(values[field.name] != field.default for field in table("smtp").fields)
    if not values["host"]:
        if (written or mailing) and not problems.has(("smtp", "host")):
            problems.add(("smtp",), "host is missing, " + ("without which nothing can be mailed" if written else
                                                          "which a [[channel]] of type \"email\" needs")
                         + '; add host = "mail.example.com" below [smtp]')
        return None
    if bool(values["user"]) != bool(values["password_file"]):
        there, missing = ("user", "password_file") if values["user"] else ("password_file", "user")
        problems.add(("smtp", there), f"needs {missing} too; add it, or remove {there} to send without log-in")
    if values["user"] and values["security"] == "none":
        problems.add(("smtp", "security"), 'a password would travel readable; expected "starttls" or "tls"')
    password = values["password_file"]
    return SmtpConfig(
        host=values["host"], port=values["port"] or PORTS[values["security"]], security=values["security"],
        user=values["user"], password_file=folder / Path(password).expanduser() if password else None,
        sender=values["from"] or f"logagg@{machine_host()}",
    )


def notify(values: Values) -> NotifyConfig:
    return NotifyConfig(age_max_s=duration_s(values["age_max"]) or 3600, send=values["send"])


def check_send(key: Key, names: Iterable[str], known: Sequence[ChannelConfig], problems: Problems) -> None:
    """Whether all channels that a table names are there."""
    there = [channel.name for channel in known]
    for name in names:
        if name not in there:
            problems.add((*key, "send"), f"there is no [[channel]] {quoted(name)}" + (
                near(name, there) or (f"; expected one of {', '.join(there)}" if there else "; add it")))


def rules(tables: Sequence[Values], packs: "Mapping[str, Pack]", zone: str, to: NotifyConfig,
          known: Sequence[ChannelConfig], problems: Problems) -> "tuple[Rule, ...]":
    """The packs' rules and the user's own, by name; an own one takes the place of a pack's, or switches it off."""
    found = {rule.name: rule for pack in packs.values() for rule in pack.rules}
    for rule in found.values():
        for name in set(rule.send or ()) - {channel.name for channel in known}:
            problems.add((), f"the pack's rule {rule.name} is sent to {quoted(name)}; add this [[channel]]")
    for name, own in _own(tables, packs, set(found), known, problems):
        if own is None:
            del found[name]
        else:
            found[name] = own
    return tuple(replace(rule, timezone=rule.timezone or zone, send=to.send if rule.send is None else rule.send)
                 for rule in found.values())


def _own(tables: Sequence[Values], packs: "Mapping[str, Pack]", taken: set[str], known: Sequence[ChannelConfig],
         problems: Problems) -> "Iterator[tuple[str, Rule | None]]":
    """The user's own rules by name; None for one of a pack that is switched off."""
    if not tables:
        return
    from logagg.alert.rule import form_problems, make_rule, rule_problems

    events = {event: fields for pack in packs.values() for event, fields in pack.grammar.rules.items()}
    for i, values in enumerate(tables):
        key: Key = ("rule", i)
        wrong = problems.has(key)
        check_send(key, values["send"] or (), known, problems)
        if wrong:
            continue
        before = len(problems)
        if not values["enabled"]:
            if values["name"] in taken:
                yield values["name"], None
            elif values["name"]:
                problems.add((*key, "name"), f"no pack has a rule {quoted(values['name'])} to switch off" + (
                    near(values["name"], taken) or "; remove this [[rule]]"))
            continue
        if not values["type"]:
            problems.add(key, 'type is missing; add type = "event", "count", "ratio" or "absent"')
        for name, text in form_problems(values):
            problems.add((*key, name) if name else key, text)
        if not values["name"] or not values["type"] or len(problems) > before:
            continue
        rule = make_rule(values)
        for text in rule_problems(rule, events):
            if not events:
                text = text.partition(";")[0] + '; add packs = ["callcenter"] to a source'
            problems.add(key, text)
        yield rule.name, rule
