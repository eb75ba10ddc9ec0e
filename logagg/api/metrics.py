"""/metrics: the program's own state in the Prometheus text format, version 0.0.4
(https://prometheus.io/docs/instrumenting/exposition_formats/).

Collecting reads the store; what was collected within the last seconds is told again, so that scrapers cannot load it.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from json import loads

from logagg.api.incidents import OpenIncidents
from logagg.api.sources import sources
from logagg.api.web import Web
from logagg.rollup.metric import REJECTS
from logagg.rollup.query import UNFOLDED_MAX
from logagg.rollup.read import read
from logagg.rollup.window import LAST_MINUTE
from logagg.version import __version__

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KEEP_S = 5.0
OUTBOX_AGE = timedelta(days=4)      #: longer than delivery is tried
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Sample = tuple[Mapping[str, str], int | float]


class Exposition:
    """The text, collected anew at most every KEEP_S."""

    def __init__(self, web: Web, open_incidents: OpenIncidents) -> None:
        self._web = web
        self._open_incidents = open_incidents
        self._lock = threading.Lock()
        self._text = ""
        self._collected_s: float | None = None

    def __call__(self) -> str:
        with self._lock:
            now_s = self._web.clock.monotonic_s()
            if self._collected_s is None or now_s - self._collected_s >= KEEP_S:
                self._text = "".join(self._families())
                self._collected_s = now_s
            return self._text

    def _families(self) -> Iterator[str]:
        web = self._web
        yield family("logagg_info", "gauge", "The version of this process.", [({"version": __version__}, 1)])
        rows = sources(web.store, web.clock.now_us())
        by = {(row["app"], row["host"]): {"app": row["app"], "host": row["host"]} for row in rows}
        for name, kind, said, key in (
            ("logagg_streams", "gauge", "Log files known.", "files"),
            ("logagg_committed_bytes_total", "counter", "Bytes read and committed.", "committed"),
            ("logagg_pending_bytes", "gauge", "Bytes found and not yet committed.", "pending"),
            ("logagg_records_total", "counter", "Records committed.", "records"),
            ("logagg_rejects_total", "counter", "Records that could not be read.", "rejects"),
        ):
            yield family(name, kind, said, [(by[row["app"], row["host"]], row[key]) for row in rows])
        yield family("logagg_lag_seconds", "gauge", "Age of the newest committed record while bytes are pending.",
                     [(by[row["app"], row["host"]], row["lag_s"]) for row in rows if row["lag_s"] is not None])
        yield family("logagg_dropped_bytes_total", "counter", "Bytes that were never read, by reason.",
                     [({**by[row["app"], row["host"]], "reason": reason}, n_bytes)
                      for row in rows for reason, n_bytes in row["dropped"].items()])
        yield family("logagg_rejects_by_reason_total", "counter", "The same by reason, but for those before a file's "
                     "first time.", list(_rejects(web)))
        yield family("logagg_unfolded_chunks", "gauge", f"Chunks not yet in the rollups; {UNFOLDED_MAX} and more "
                     f"count as {UNFOLDED_MAX}.", [({}, len(web.store.unfolded(UNFOLDED_MAX)))])
        firing = Counter((one.get("rule", ""), one.get("severity", "")) for one in self._open_incidents()
                         if one.get("state") == "firing")
        yield family("logagg_incidents_firing", "gauge", "Incidents that are firing.",
                     [({"rule": rule, "severity": severity}, n) for (rule, severity), n in sorted(firing.items())])
        yield family("logagg_outbox_waiting", "gauge", "Notifications that are not delivered yet.",
                     [({}, _waiting(web))])


def family(name: str, kind: str, said: str, samples: Iterable[Sample]) -> str:
    """One metric family; nothing but its head where it has no sample."""
    lines = [f"# HELP {name} {said}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        told = ",".join(f'{label}="{_clean(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{told}}} {value}" if told else f"{name} {value}")
    return "\n".join(lines) + "\n"


def _clean(text: str) -> str:
    """A label's value: escaped, and without what no UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode().translate(_ESCAPES)


def _rejects(web: Web) -> Iterator[Sample]:
    """Of all time, from the days' rollups, which never expire."""
    counts: Counter[str] = Counter()
    for _, seen in read(web.store, web.metrics, "day", web.zone, 0, LAST_MINUTE, REJECTS.name):
        for one in seen.values():
            for labels, stat in one.rows.items():
                counts[labels] += stat.count
    for labels, n in sorted(counts.items()):
        yield loads(labels), n


def _waiting(web: Web) -> int:
    since = datetime.fromtimestamp(web.clock.now_us() / 1e6, UTC) - OUTBOX_AGE
    rows = web.store.documents("outbox", start=f"{since:%Y%m%dT%H%M%S}").values()
    return sum(row.get("state") in ("waiting", "sending") for row in rows)
