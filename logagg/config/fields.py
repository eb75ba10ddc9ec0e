"""Every option of the configuration, once: validation, JSON Schema, `logagg init` and the manual come from here.

A table's name is its TOML name; "" is the top of the file. `many` tables are written `[[name]]`.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["text", "texts", "whole", "number", "flag"]
"""text: a string. texts: a list of strings, or one alone. whole: an integer. number: any finite number. flag: true or
false."""

Form = Literal["", "name", "zone", "layout", "encoding", "store", "age", "folder", "globs", "metric", "rule", "window",
               "hold", "duration", "rate", "clock", "hours", "days", "condition", "host", "address", "listen", "http"]
"""What a value must be beyond its kind; `validate.py` knows how each is checked."""


@dataclass(frozen=True, slots=True)
class Field:
    """One option. `unit` is said in help and errors; a `secret` value is never printed whole."""

    name: str
    kind: Kind
    help: str
    default: Any = None
    unit: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    form: Form = ""
    secret: bool = False
    default_said: str = ""      #: the default in words, where it is not a constant
    example: str = ""           #: TOML text for the commented file, where the default shows too little


@dataclass(frozen=True, slots=True)
class Table:
    """One table of options. `shown`: `logagg init` writes it as text to be used, not as a comment."""

    name: str
    help: str
    fields: tuple[Field, ...]
    many: bool = False
    shown: bool = False
    later: dict[str, str] = field(default_factory=dict)     #: keys that a later version has -> what to do until then

    def names(self) -> list[str]:
        return [one.name for one in self.fields]


_PLAIN_NAME = "letters, digits and . _ - only"

TABLES: tuple[Table, ...] = (
    Table("", "the whole file", (
        Field("timezone", "text", "Zone of times that carry none, and of reports that name none.", form="zone",
              default_said="the machine's zone", example='"America/New_York"'),
    )),
    Table("store", "Where streams, events and rollups are kept.", (
        Field("url", "text", "A SQLite file (sqlite:///logagg.db) or a MongoDB replica set "
              "(mongodb://db1,db2,db3/logagg?replicaSet=rs0).",
              default="sqlite:///logagg.db", form="store", secret=True),
        Field("reserve_bytes", "whole", "For SQLite: space that `logagg run` keeps free beside the store, so that "
              "people can be told when the disk is full; 0: none.", default=32 << 20, unit="bytes", least=0,
              most=1 << 34),
    ), shown=True),
    Table("source", "The log files of one application on this host; one table each.", (
        Field("app", "text", f"The application's name: {_PLAIN_NAME}.", required=True, form="name", example='"myapp"'),
        Field("paths", "texts", "Globs of the log files, rotated and compressed ones too; ** reaches into folders.",
              required=True, form="globs", example='["/var/log/myapp/*.log*"]'),
        Field("exclude", "texts", "Globs of files that are left out; without a slash they match names in any folder.",
              default=(), form="globs", example='["*-gc.log*"]'),
        Field("host", "text", "The name under which this host's logs are kept; one name for shared storage.",
              form="name", default_said="this machine's name", example='"app01"'),
        Field("layout", "text", "The conversion pattern as in the application's own configuration.", form="layout",
              default_said="detected", example="'%d{ISO8601} %-5p [%t] %c - %m%n'"),
        Field("dialect", "text", "Whose conversion patterns `layout` is written in.", default="log4j2",
              choices=("log4j2", "log4j1", "logback")),
        Field("timezone", "text", "Zone of the log's times where they carry none.", form="zone",
              default_said="the file's timezone", example='"America/New_York"'),
        Field("encoding", "text", "Encoding of the log's text.", default="utf-8", form="encoding"),
        Field("packs", "texts", "Packs whose grammars turn records into events.", default=(),
              example='["callcenter"]'),
        Field("keep", "text", "Records kept as documents: events (claimed by a grammar, WARN or above, rejects), all.",
              default="events", choices=("events", "all")),
        Field("quiet_ms", "whole", "How long a file must be quiet until its last record is taken as whole.",
              default=200, unit="ms", least=1, most=3_600_000),
        Field("record_bytes_max", "whole", "A longer record is kept as a reject too_long.", default=1 << 20,
              unit="bytes", least=1024, most=1 << 22),
        Field("order", "text", "Which of the files that are behind is read first, by the time of its last change; "
              "files that are written now come before both.", default="oldest", choices=("oldest", "newest")),
        Field("rate_limit", "text", "How much is read a second at most, of all its files.", form="rate",
              default_said="none", example='"10MB/s"'),
        Field("ignore_older", "text", "Files that were not changed for so long are not read until they change.",
              form="duration", default_said="none", example='"30d"'),
    ), many=True, shown=True, later={
        "log4j": "write the file's paths and layout as `paths` and `layout`",
    }),
    Table("packs", "One's own packs, beside those that come with logagg.", (
        Field("paths", "texts", "Folders that hold packs, one folder a pack.", default=(), form="folder",
              example='["packs"]'),
    )),
    Table("metric", "A measure of one's own over events; one table each.", (
        Field("name", "text", "The metric's name: a letter, then letters, digits and _ only.", required=True,
              form="metric", example='"das_time"'),
        Field("event", "texts", "The event, or list of events, that it measures.", default=(),
              example='"das_call"'),
        Field("field", "text", "The events' number that is measured.",
              default_said="events are counted", example='"duration_ms"'),
        Field("unit", "text", "Unit of the field's values.", default="1", example='"ms"'),
        Field("step", "number", "Values are summed exactly in whole steps of this size.", default=1, unit="units"),
        Field("labels", "texts", "Fields of the event, or app, host, level, event, by which it is split.", default=(),
              example='["operation"]'),
        Field("part", "texts", "For a ratio: the counters above the line; it needs no event.", default=(),
              example='"das_failures"'),
        Field("whole", "texts", "For a ratio: the counters below the line.", default=(), example='"das_calls"'),
        Field("help", "text", "What it says, in one line.", default="", example='"How long DAS calls take."'),
        Field("label_limit", "whole", "Label sets kept for a day; the rest are merged.", default=1000, least=1,
              most=1_000_000),
    ), many=True),
    Table("rule", "A condition that people are told of; one table each. One with a pack rule's name takes its place.", (
        Field("name", "text", "The rule's name: a letter, then letters, digits and _ only.", required=True,
              form="rule", example='"das_failing"'),
        Field("enabled", "flag", "false switches the pack's rule of this name off; such a table needs no more keys.",
              default=True),
        Field("type", "text", "event: it happened. count: more than `above` of them within `window`. ratio: part / "
              "whole is more than `above` within `window`. absent: it did not come.",
              choices=("event", "count", "ratio", "absent"), default_said="required", example='"ratio"'),
        Field("event", "texts", "For event, count and absent: the event, or list of events.", default=(),
              example='"vip_stop"'),
        Field("part", "texts", "For a ratio: the events above the line.", default=(), example='["das_failure"]'),
        Field("whole", "texts", "For a ratio: the events below the line, those of `part` among them.", default=(),
              example='["das_failure", "das_call"]'),
        Field("where", "texts", "Takes only events whose field has this value, or has another one (!=).", default=(),
              form="condition", example='["reason!=nightly_restart"]'),
        Field("above", "number", "For count and ratio: what must be exceeded.", default_said="required",
              example="0.1"),
        Field("window", "text", "Over how long it is counted, in whole minutes; for event how long it must be quiet "
              "until it is over.", form="window", default_said="5m", example='"5m"'),
        Field("min_count", "whole", "For a ratio: how many of `whole` there must be.", least=1, most=10**12,
              default_said="1", example="20"),
        Field("for", "text", "How long it must hold until it fires, in whole minutes.", form="hold",
              default_said="0s", example='"10m"'),
        Field("by", "texts", "Fields of the events, or app, host, level, event: each value is watched by itself.",
              default=(), example='["host"]'),
        Field("due", "text", "For absent: the local time by which it must have come that day.", form="clock",
              default_said="none", example='"06:30"'),
        Field("within", "text", "For absent: how long it may stay away, in whole minutes.", form="window",
              default_said="none", example='"30m"'),
        Field("between", "text", "For within: the local hours in which it is expected.", form="hours",
              default_said="the whole day", example='"08:00-20:00"'),
        Field("days", "texts", "For absent: the days on which it is expected.", default=(), form="days",
              example='["mon-fri"]'),
        Field("timezone", "text", "For absent: the zone of these times.", form="zone",
              default_said="the file's timezone", example='"America/New_York"'),
        Field("severity", "text", "How bad it is.", default="critical", choices=("info", "warning", "critical")),
        Field("send", "texts", "The channels that are told.", default_said="those of [notify]", example='["ops"]'),
        Field("help", "text", "What it means and what to do, in one line.", default="",
              example='"DAS fails: call the DAS team."'),
    ), many=True),
    Table("channel", "A way to tell people; one table each.", (
        Field("name", "text", f"The channel's name: {_PLAIN_NAME}.", required=True, form="name", example='"ops"'),
        Field("type", "text", "What it is.", default="email", choices=("email",)),
        Field("to", "texts", "The addresses; each gets a mail of its own.", required=True, form="address",
              example='["ops@example.com"]'),
    ), many=True),
    Table("smtp", "The mail server that takes the mails.", (
        Field("host", "text", "Its name or address.", form="host", default_said="none",
              example='"mail.example.com"'),
        Field("port", "whole", "Its port.", least=1, most=65_535,
              default_said="587 for starttls, 465 for tls, 25 for none", example="587"),
        Field("security", "text", "starttls: encrypted after the greeting. tls: from the first byte. none: not at all.",
              default="starttls", choices=("starttls", "tls", "none")),
        Field("user", "text", "The user to log in as.", default_said="no log-in", example='"logagg"'),
        Field("password_file", "text", "The file that holds the user's password and nothing else.", form="folder",
              default_said="none", example='"/etc/logagg/smtp-password"'),
        Field("from", "text", "The sender's address.", form="address", default_said="logagg@ this machine's name",
              example='"logagg@example.com"'),
    )),
    Table("notify", "When people are told.", (
        Field("age_max", "text", "What happened longer ago than this, when it is detected, is kept as late and not "
              "sent.", default="1h", form="duration"),
        Field("send", "texts", "The channels of rules that name none.", default=(), example='["ops"]'),
    )),
    Table("web", "The live page, the archive and the REST interface.", (
        Field("listen", "text", "Address and port to listen at.", default="127.0.0.1:8470", form="listen"),
        Field("token_file", "text", "The file of those who may read, which an address beyond this machine needs.",
              form="folder", default_said="none", example='"/etc/logagg/tokens"'),
        Field("insecure", "flag", "true lets everybody in who reaches the address.", default=False),
        Field("public_url", "text", "The address that links in mails begin with.", form="http",
              default_said="none: mails have no links", example='"https://logs.example.com"'),
    )),
    Table("report", "A report that is built for each period; one table each.", (
        Field("name", "text", f"The report's name and its folder's: {_PLAIN_NAME}.", required=True, form="name",
              example='"operations"'),
        Field("periods", "texts", "The periods it is built for.", default=("daily",),
              choices=("daily", "weekly", "monthly"), example='["daily", "weekly", "monthly"]'),
        Field("timezone", "text", "The zone in which its days begin and end.", form="zone",
              default_said="the file's timezone", example='"America/New_York"'),
        Field("packs", "texts", "The packs whose metrics it shows.", default_said="the packs of all sources",
              example='["callcenter"]'),
        Field("send", "texts", "The channels that it is mailed to.", default=(), example='["ops"]'),
    ), many=True, shown=True),
    Table("archive", "Where reports are kept.", (
        Field("path", "text", "The folder of the reports.", default="reports", form="folder"),
    ), shown=True),
    Table("retention", 'How long things are kept: days as "90d", or "forever".', (
        Field("raw", "text", "The logs' own bytes, compressed.", default="90d", form="age"),
        Field("events", "text", "The records kept as documents.", default="90d", form="age"),
        Field("minute", "text", "Rollups by the minute and by the quarter of an hour.", default="90d", form="age"),
        Field("hour", "text", "Rollups by the hour. Days, weeks and months are kept for ever.", default="forever",
              form="age"),
    ), shown=True),
)


_BY_NAME = {one.name: one for one in TABLES}


def table(name: str) -> Table:
    """The table called `name`; KeyError where there is none."""
    return _BY_NAME[name]
