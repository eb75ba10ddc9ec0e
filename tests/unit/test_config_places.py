"""Where keys stand in a TOML text."""

import tomllib

import pytest

from logagg.config.places import Key, Places

TEXT = '''\
# [not] = "a table"
timezone = "UTC"
"odd key" = 1

[store]
url = "mongodb://h/[db]"   # [[source]]

[[source]]
app = "a"
paths = [
  "one",   # ]
  "[two",
]
layout = """
[[source]]
app = "not this"
"""
packs = []
[[ source ]]
app = 'b\\'
inner.deep = true
[source.table]
x = 1
  [[source.many]]
  y = 2
  [[source.many]]
  y = 3
[[source]]
app = "c"
inline = { x = 1, y = [
 2 ] }
last = 1'''


@pytest.mark.parametrize(("key", "line"), [
    (("timezone",), 2),
    (("odd key",), 3),
    (("store",), 5),
    (("store", "url"), 6),
    (("source", 0), 8),
    (("source", 0, "paths"), 10),
    (("source", 0, "layout"), 14),
    (("source", 0, "packs"), 18),
    (("source", 1, "app"), 20),
    (("source", 1, "inner", "deep"), 21),
    (("source", 1, "table", "x"), 23),
    (("source", 1, "many", 1, "y"), 27),
    (("source", 2, "app"), 29),
    (("source", 2, "inline", "x"), 30),
    (("source", 2, "last"), 32),
    (("source", 2, "absent"), 28),
    (("absent",), None),
    ((), None),
])
def test_line(key: Key, line: int | None) -> None:
    """A key is found at its line whatever strings, comments and lists stand before it; an absent one at its table."""
    tomllib.loads(TEXT)
    assert Places(TEXT).line(key) == line


def test_windows_line_ends() -> None:
    """Lines are counted the same with CRLF."""
    assert Places(TEXT.replace("\n", "\r\n")).line(("source", 1, "app")) == 20
