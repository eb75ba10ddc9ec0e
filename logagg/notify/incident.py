"""The message about an incident: what a person needs at 3 a.m., on a telephone, with images blocked."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from logagg.notify.outbox import Outbox
from logagg.visible import finalize, visible

RAW_LINES_MAX = 12
RAW_CHARS_MAX = 300

_COLOURS = {"critical": "#b3261e", "error": "#b3261e", "warning": "#8a5a00"}
_RESOLVED_COLOUR = "#1d7a3e"

Incident = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Record:
    title: str
    head: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Mail:
    """What both templates print."""

    state: str
    colour: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    records: tuple[_Record, ...]
    link: str


class IncidentMailer:
    """Tells of incidents: one message for each recipient of their channels when one fires and when it is resolved.

    Telling the same again changes nothing. `timezone` is the zone of the times in the text.
    """

    def __init__(self, outbox: Outbox, public_url: str | None, timezone: str = "UTC") -> None:
        self._outbox = outbox
        self._public_url = public_url
        self._timezone = timezone

    def notify(self, incident: Incident) -> None:
        """KeyError where the incident names a channel that the outbox does not know."""
        if incident.get("late"):
            return      # news of long ago: a first reading of a year of logs wakes nobody
        subject, text, html = incident_mail(incident, self._public_url, self._timezone)
        for channel in incident.get("send") or ():
            self._outbox.put(f"incident {incident['id']} {incident['state']}", channel, subject, text, html,
                             about={"incident": incident["id"]})

    @property
    def wake(self) -> threading.Event:
        return self._outbox.wake


def incident_mail(incident: Incident, public_url: str | None, timezone: str = "UTC") -> tuple[str, str, str]:
    """(subject, text, HTML) for an incident as stored. Texts of logs in it are cut and made visible."""
    resolved = incident["state"] == "resolved"
    severity = str(incident.get("severity") or "warning")
    state = "resolved" if resolved else f"FIRING {severity}"
    summary = _summary(incident)
    mail = _Mail(state, _RESOLVED_COLOUR if resolved else _COLOURS.get(severity, "#44505c"), summary,
                 tuple(_facts(incident, timezone)), tuple(_records(incident)), _link(incident, public_url))
    return visible(f"{state}: {summary}", 200), _template("txt").render(mail=mail), _template("html").render(mail=mail)


def _summary(incident: Incident) -> str:
    """The incident's own line, with the rule and the labels where it does not name them: hosts belong in a subject."""
    said = visible(" ".join(str(incident.get("summary") or "").split()))
    missing = [visible(str(value), 80) for value in (incident.get("labels") or {}).values() if str(value) not in said]
    said = said if incident["rule"] in said else ": ".join(filter(None, [visible(incident["rule"]), said]))
    return f"{said} ({', '.join(missing)})" if missing else said


def _facts(incident: Incident, timezone: str) -> list[tuple[str, str]]:
    labels = incident.get("labels") or {}
    facts = [
        ("rule", f"{incident['rule']} ({incident['type']})" if incident.get("type") else incident["rule"]),
        _against(incident),
        *((name, str(value)) for name, value in sorted(labels.items())),
        ("fired", _moment(incident.get("fired_at"), timezone)),
        ("resolved", _moment(incident.get("resolved_at"), timezone)),
        ("events", _range(incident, timezone)),
        ("because", str(incident.get("reason") or "")),
    ]
    return [(name, value) for name, value in facts if value]


def _against(incident: Incident) -> tuple[str, str]:
    value, threshold = (_number(incident.get(key), incident) for key in ("value", "threshold"))
    if not value:
        return "expected", threshold
    return "value", f"{value}, threshold {threshold}" if threshold else value


def _number(value: Any, incident: Incident) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "" if value is None else str(value)
    if incident.get("type") == "ratio":
        return f"{value * 100:.3g} %"
    unit = incident.get("unit")
    shown = f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
    return shown if unit in (None, "", "1") else f"{shown} {unit}"


def _moment(text: Any, timezone: str) -> str:
    """`Fri 20 Nov 2026 08:15:30 EST (13:15:30Z)`; what is no time stays as it is."""
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(str(text))
        if timezone == "UTC" or moment.tzinfo is None:
            return f"{moment:%a %d %b %Y %H:%M:%S} UTC"
        utc = moment.astimezone(ZoneInfo("UTC"))
        return f"{moment.astimezone(ZoneInfo(timezone)):%a %d %b %Y %H:%M:%S %Z} ({utc:%H:%M:%S}Z)"
    except (ValueError, OverflowError):
        return str(text)


def _range(incident: Incident, timezone: str) -> str:
    first, last = (_moment(incident.get(key), timezone) for key in ("event_from", "event_to"))
    return f"{first} to {last}" if first and last and first != last else first or last


def _records(incident: Incident) -> list[_Record]:
    first, last = incident.get("first"), incident.get("last")
    if not first or not last or first.get("id") == last.get("id"):
        return [_record("Record", one) for one in [first or last] if one]
    return [_record("First record", first), _record("Last record", last)]


def _record(title: str, row: Mapping[str, Any]) -> _Record:
    """A public row (JSON of a record): where it stands, then its text as it was logged, cut."""
    place = f"{row.get('path') or ''} byte {row['offset']:,}" if isinstance(row.get("offset"), int) else ""
    head = "  ".join(str(part) for part in (row.get("ts"), row.get("level"), row.get("host"), row.get("app"), place)
                     if part)
    whole = "\n".join(str(row[key]) for key in ("message", "exception") if row.get(key))
    lines = [visible(line.expandtabs(4), RAW_CHARS_MAX) for line in whole.split("\n")]
    more = len(lines) - RAW_LINES_MAX
    return _Record(title, head, tuple(lines if more <= 0 else [*lines[:RAW_LINES_MAX], f"… {more:,} more lines"]))


def _link(incident: Incident, public_url: str | None) -> str:
    return f"{public_url.rstrip('/')}/incidents/{quote(str(incident['id']), safe=':')}" if public_url else ""


@cache
def _template(form: str) -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # not before there is something to tell

    environment = Environment(loader=FunctionLoader(_text), autoescape=form == "html", finalize=finalize,
                              undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.get_template(f"mail_incident.{form}")


def _text(name: str) -> str:
    return files("logagg.report_templates").joinpath(name).read_text(encoding="utf-8")
