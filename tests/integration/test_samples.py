"""Real logs with truth, written by real libraries: every record, every field, every mismatch listed."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from logagg.grammar.reader import LayoutReader
from logagg.interfaces import Batch

CASES = ["01", "03", "05", "06", "09", "10", "11", "14", "16", "18", "20", "23", "25", "27", "29", "31", "37", "40",
         "44", "46", "50", "54", "58", "60", "64", "65"]
LOGHUB = {
    "Hadoop": "%d{yyyy-MM-dd HH:mm:ss,SSS} %p [%t] %c: %m%n",
    "HDFS": "%d{yyMMdd HHmmss} %pid %p %c: %m%n",
    "Spark": "%d{yy/MM/dd HH:mm:ss} %p %c: %m%n",
    "Zookeeper": "%d{yyyy-MM-dd HH:mm:ss,SSS} - %-5p [%t:%c{1}@%L] - %m%n",
}
NAMES = {"thread_id": "threadId", "thread_priority": "threadPriority"}


def truth_of(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def found(batch: Batch, i: int, visible: dict[str, Any]) -> dict[str, Any]:
    """What the reader found, under the truth's names."""
    record = batch.record(i)
    mdc = record.mdc or {}
    values: dict[str, Any] = {
        "offset": record.offset, "bytes": record.size, "level": record.level, "logger": record.logger,
        "thread": record.thread, "message": record.message, "level column": batch.levels[i],
        "logger column": batch.loggers[i], "first line": batch.first_lines[i],
        "ts": None if record.ts_us is None else record.ts_us / 1000,
        "ts text": None if record.ts is None else datetime.fromisoformat(record.ts).timestamp() * 1000,
        "exception": record.exception and record.exception.split("\n")[0].removesuffix("\r"),
        "ndc": None if record.ndc is None else f"[{', '.join(record.ndc)}]", "marker": record.marker or "",
    }
    for name in visible:
        if name.startswith("mdc."):
            key = name[4:]
            values[name] = f"{{{', '.join(f'{k}={mdc[k]}' for k in mdc)}}}" if "," in key else mdc.get(key, "")
        elif name not in values:
            values[name] = (record.extra or {}).get(NAMES.get(name, name), "")
    return values


def wanted(truth: dict[str, Any]) -> dict[str, Any]:
    visible = truth["visible"]
    message, logger = visible.get("message"), visible.get("logger")
    fields = {name: value for name, value in visible.items() if name != "date"}
    return {"level": None, "logger": None, "thread": None, "message": None} | fields | {
        "offset": truth["offset"], "bytes": truth["bytes"], "ts": truth["ts_visible"], "ts text": truth["ts_visible"],
        "level column": visible.get("level"), "logger column": None if logger is None else logger.encode(),
        "first line": (message or "").split("\n")[0].removesuffix("\r").encode(),
        "exception": truth["thrown_printed_first_line"],
    } | ({"marker": visible["marker"] or ""} if "marker" in visible else {})


@pytest.mark.parametrize("case", CASES)
def test_log4j2_case(case: str, samples: Path) -> None:
    """Every record that is not ambiguous has the true offset, size, time, fields, message and exception."""
    folder = samples / "log4j2"
    meta = json.loads((folder / f"{case}.meta.json").read_text(encoding="utf-8"))
    raw = (folder / f"{case}.log").read_bytes()
    batch = LayoutReader(meta["pattern"], timezone=meta["zone"]).read(raw, 0, {}, final=True)
    places = {start: i for i, start in enumerate(batch.starts)}
    mismatches = []
    for truth in truth_of(folder / f"{case}.truth.jsonl"):
        if truth["ambiguous"]:
            continue
        if truth["offset"] not in places:
            mismatches.append((truth["i"], "no record begins at", truth["offset"]))
            continue
        values, expected = found(batch, places[truth["offset"]], truth["visible"]), wanted(truth)
        mismatches += [(truth["i"], name, values[name], value) for name, value in expected.items()
                       if values[name] != value]
    assert mismatches == []
    assert not batch.rejects
    assert batch.end == len(raw)


@pytest.mark.parametrize("name", LOGHUB)
@pytest.mark.parametrize("detected", [False, True], ids=["layout given", "layout detected"])
def test_loghub(name: str, detected: bool, samples: Path) -> None:
    """All 2,000 lines have the published time, level, fields and message, with the layout given and with none."""
    raw = (samples / "loghub" / f"{name}.log").read_bytes()
    batch = LayoutReader(None if detected else LOGHUB[name]).read(raw, 0, {}, final=True)
    truths = truth_of(samples / "loghub" / f"{name}.truth.jsonl")
    assert len(batch) == len(truths) == 2000
    mismatches = []
    for i, truth in enumerate(truths):
        record = batch.record(i)
        values = {"ts": (record.ts_us or 0) / 1000, "level": record.level, "message": record.message,
                  "thread": record.thread, "logger": record.logger, **(record.extra or {})}
        expected = {"ts": truth["ts"], "level": truth["level"], "message": truth["content_raw"],
                    **{key: str(value) for key, value in truth["fields"].items()}}
        mismatches += [(truth["line"], key, values.get(key), value, truth["issues"]) for key, value in expected.items()
                       if values.get(key) != value]
    assert mismatches == []
