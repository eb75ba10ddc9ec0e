"""The demo's logagg.toml: what a user would write for these logs."""

import json
from collections.abc import Iterable

from logagg.demo.days import ZONE_NAME
from logagg.demo.files import WRITERS, Writer

_HEAD = """\
# The configuration of the demo: six applications on six hosts, one report a day.

timezone = "{zone}"

[store]
url = "sqlite:///logagg.db"

[archive]
path = "reports"

[[report]]
name = "operations"
periods = ["daily"]
timezone = "{zone}"
packs = ["callcenter"]

[retention]
raw = "forever"
events = "forever"
minute = "forever"
hour = "forever"
"""

_SOURCE = """
[[source]]
app = {app}
host = {host}
paths = [{pattern}]
layout = {layout}
timezone = {zone}
packs = ["callcenter"]
"""


def settings(writers: Iterable[Writer] = WRITERS) -> str:
    """The configuration as TOML; paths are relative to the demo's folder."""
    return _HEAD.format(zone=ZONE_NAME) + "".join(
        _SOURCE.format(
            app=json.dumps(writer.app),
            host=json.dumps(writer.host),
            pattern=json.dumps(writer.pattern),
            layout=json.dumps(writer.layout),
            zone=json.dumps(ZONE_NAME),
        )
        for writer in writers
    )
