"""Every option of the configuration, once: validation, JSON Schema, `logagg init` and the manual come from here.

A table's name is its TOML name; "" is the top of the file. `many` tables are written `[[name]]`.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["text", "texts", "whole", "number"]
"""text: a string. texts: a list of strings, or one alone. whole: an integer. number: any finite number."""

Form = Literal["", "name", "zone", "layout", "encoding", "store", "age", "folder", "globs", "metric"]
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
    Table("report", "A report that is built for each period; one table each.", (
        Field("name", "text", f"The report's name and its folder's: {_PLAIN_NAME}.", required=True, form="name",
              example='"operations"'),
        Field("periods", "texts", "The periods it is built for.", default=("daily",), choices=("daily",)),
        Field("timezone", "text", "The zone in which its days begin and end.", form="zone",
              default_said="the file's timezone", example='"America/New_York"'),
        Field("packs", "texts", "The packs whose metrics it shows.", default_said="the packs of all sources",
              example='["callcenter"]'),
    ), many=True, shown=True, later={
        "send": "fetch the report from the archive's folder",
    }),
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

LATER_TABLES = {
    "rule": "remove it; until alerts come, ask with `logagg query`",
    "channel": "remove it; until alerts come, ask with `logagg query`",
    "smtp": "remove it; until alerts come, ask with `logagg query`",
    "notify": "remove it; until alerts come, ask with `logagg query`",
    "web": "remove it; open the reports from the archive's folder",
}
"""Tables of the configuration's full form that this version does not have, and the way out."""

LATER_CHOICES = {("report", "periods"): ("weekly", "monthly")}
"""Values that a later version takes."""


_BY_NAME = {one.name: one for one in TABLES}


def table(name: str) -> Table:
    """The table called `name`; KeyError where there is none."""
    return _BY_NAME[name]
