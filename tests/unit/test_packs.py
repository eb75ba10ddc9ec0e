"""Packs: finding them, their files, their mistakes; and what the call-centre pack says of a sample log."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logagg.errors import ConfigError, GrammarError
from logagg.packs import Pack, Section, known_packs, load_packs
from logagg.rollup.metric import Metric
from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden" / "callcenter"

BACKENDS = ("das", "esp", "mti", "appointment", "outage")

EVENTS = {
    "call_begin", "call_end", "identification_failed", "payment_ok", "payment_failed",
    *(f"{name}_{what}" for name in BACKENDS for what in ("call", "failure")),
    "mpp_call_failure", "mpp_asr_failure", "mpp_tts_failure", "mpp_appserver_failure", "mpp_promptserver_failure",
    "vip_start", "vip_stop", "ftp_load_start", "ftp_load_done", "ftp_load_failure", "outbound_call", "outbound_report",
    "low_memory",
}

WORDINGS = {
    "call_begin": "Callflow begin: callId={call_id} ani={ani} dnis={dnis} app={application}",
    "call_end": "Callflow end: callId={call_id} result={result} durationMs={duration_ms} transfer={transfer}",
    "identification_failed": "Identification failed: callId={call_id} reason={reason} attempts={attempts}",
    "payment_ok": "Payment accepted for callId={call_id} amount={amount} reference={reference}",
    "payment_failed": "Payment declined for callId={call_id} card={card} amount={amount} code={code}",
    "mpp_call_failure": "MPP {server}: call failed, error={code} callId={call_id}",
    "mpp_asr_failure": "MPP {server}: ASR session failed, error={code} server={asr}",
    "mpp_tts_failure": "MPP {server}: TTS session failed, error={code} server={tts}",
    "mpp_appserver_failure": "MPP {server}: application server {url} failed, error={code}",
    "mpp_promptserver_failure": "MPP {server}: prompt server {url} failed, error={code}",
    "vip_start": "VIP server starting, version={version}, pid={pid}",
    "vip_stop": "VIP server stopping, pid={pid}, reason={reason}",
    "ftp_load_start": "FTP load started: file={file}",
    "ftp_load_done": "FTP load complete: file={file} rows={rows} elapsed={duration_ms}ms",
    "ftp_load_failure": "FTP load failed: file={file} error={code}",
    "outbound_call": "Outbound call placed: callId={call_id} campaign={campaign} outcome={outcome}",
    "outbound_report": "Outbound call report written: file={file} calls={calls}",
    "low_memory": "Virtual memory low: {free_percent}% free ({free_kb} kB of {total_kb} kB)",
}
"""The first wording of each event, which the demo's applications write."""

TITLES = {"das": "DAS", "esp": "ESP", "mti": "MTI", "appointment": "Appointment service", "outage": "Outage service"}
for _name, _title in TITLES.items():
    WORDINGS[f"{_name}_call"] = _title + " call {operation} completed in {duration_ms} ms rc={rc} callId={call_id}"
    WORDINGS[f"{_name}_failure"] = _title + (" call {operation} failed in {duration_ms} ms rc={rc} reason={code}: "
                                             "{detail}")

VALUES: dict[str, Any] = {
    "call_id": "c-00ff", "ani": "2125550100", "dnis": "8005550100", "application": "billing", "result": "completed",
    "duration_ms": 93412, "transfer": "none", "reason": "pin_mismatch", "attempts": 3, "amount": 84.25,
    "reference": "P00012345", "card": "************1234", "code": "TIMEOUT", "server": "mpp01", "asr": "asr01",
    "tts": "tts02", "url": "http://ivr-app01:8080/xivr/start", "version": "7.2.1", "pid": 4711,
    "file": "customers_20261120.csv", "rows": 48211, "campaign": "payment_reminder", "outcome": "no_answer",
    "calls": 640, "free_percent": 7.0, "free_kb": 587202, "total_kb": 8388608, "operation": "getAccount", "rc": 0,
    "detail": "no answer within 5000 ms (callId=c-00ff)",
}


@pytest.fixture(scope="module")
def callcenter() -> Pack:
    (pack,) = load_packs(["callcenter"])
    return pack


def golden_lines(pack: Pack) -> Iterator[str]:
    """The sample log's claims as JSON, one line per line of the log."""
    lines = (GOLDEN / "sample.log").read_bytes().split(b"\n")[:-1]
    claims = pack.grammar.claim(lines)
    found = dict(zip(claims.rows, zip(claims.names, claims.fields, strict=True), strict=True))
    for row, line in enumerate(lines):
        event, fields = found.get(row, (None, None))
        yield json.dumps({"message": line.decode(), "event": event, "fields": fields}, ensure_ascii=False)


def test_the_sample_log_is_read_as_expected(callcenter: Pack) -> None:
    """Grammar, sample log and expected claims agree; every event of the grammar is in the sample.

    LOGAGG_REWRITE_GOLDEN=1 writes the expectation anew; read the difference before it is committed.
    """
    text = "".join(line + "\n" for line in golden_lines(callcenter))
    path = GOLDEN / "expected.jsonl"
    if os.environ.get("LOGAGG_REWRITE_GOLDEN") and not os.environ.get("CI"):
        path.write_text(text)
    assert text == path.read_text()
    assert {json.loads(line)["event"] for line in text.splitlines()} - {None} == EVENTS


def test_all_events_of_a_call_centre_are_there(callcenter: Pack) -> None:
    """The grammar has the events that reports and rules rely on, no more and no less."""
    assert set(callcenter.grammar.rules) == EVENTS


@pytest.mark.parametrize("event", sorted(WORDINGS))
def test_the_main_wordings_give_back_what_was_written(callcenter: Pack, event: str) -> None:
    """Fields written into a wording come back with their types; one word more behind it, and it is not claimed."""
    wording = WORDINGS[event]
    names = [part.partition("}")[0] for part in wording.split("{")[1:]]
    line = wording.format(**{name: f"{VALUES[name]:g}" if name == "free_percent" else VALUES[name] for name in names})
    claims = callcenter.grammar.claim([line.encode(), line.encode() + b" more", b"x" + line.encode()])
    assert claims.rows == ([0, 1] if event.endswith("_failure") and "{detail}" in wording else [0])
    assert claims.names[0] == event
    assert claims.fields[0] == {name: VALUES[name] for name in names}


def test_the_metrics_of_a_call_centre_are_there(callcenter: Pack) -> None:
    """The pack's metrics have the names, kinds and labels that reports, rules and users rely on."""
    found = {metric.name: (metric.kind, metric.labels) for metric in callcenter.metrics}
    plain = ("calls", "calls_ended", "identification_failures", "payments_ok", "payments_failed", "vip_starts",
             "vip_stops", "ftp_loads_started", "ftp_loads_done", "ftp_load_failures", "outbound_reports",
             "low_memory_warnings")
    media = ("call", "asr", "tts", "appserver", "promptserver")
    counters: dict[str, tuple[str, ...]] = dict.fromkeys(plain, ("host",))
    counters |= {f"mpp_{what}_failures": ("host", "code") for what in media}
    counters |= {f"{name}_calls": ("host", "operation") for name in BACKENDS}
    counters |= {f"{name}_failures": ("host", "operation", "code") for name in BACKENDS}
    counters["outbound_calls"] = ("host", "outcome")
    expected = {name: ("counter", labels) for name, labels in counters.items()}
    expected |= {f"{name}_failure_rate": ("ratio", ()) for name in BACKENDS} | {"payment_failure_rate": ("ratio", ())}
    expected |= {f"{name}_time": ("distribution", ("operation",)) for name in BACKENDS}
    expected["call_time"] = ("distribution", ())
    assert found == expected
    by_name = {metric.name: metric for metric in callcenter.metrics}
    assert by_name["das_calls"].events == ("das_call", "das_failure")
    assert by_name["das_time"] == Metric("das_time", "distribution", ("das_call",), "duration_ms", "ms", 1,
                                         ("operation",), help="How long successful calls of DAS took.")
    assert (by_name["das_failure_rate"].part, by_name["das_failure_rate"].whole) == (("das_failures",), ("das_calls",))


def test_every_metric_of_the_pack_has_a_section_and_a_word_of_help(callcenter: Pack) -> None:
    """A report of the pack leaves nothing out, and says what each figure is."""
    shown = [name for section in callcenter.sections for name in section.metrics]
    assert sorted(shown) == sorted(metric.name for metric in callcenter.metrics)
    assert all(metric.help for metric in callcenter.metrics)
    assert callcenter.help
    assert set(callcenter.figures) <= set(shown)


PACK_TOML = """
[pack]
help = "Doors."
figures = ["openings"]

[[metric]]
name = "openings"
event = "opened"

[[section]]
title = "Doors"
metrics = ["openings"]
"""
PACK_LARK = 'start: opened\nopened: "Door " door " opened"\ndoor: INT\n%import common.INT\n'


def own(folder: Path, name: str = "doors", toml: str = PACK_TOML, lark: str = PACK_LARK) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "pack.toml").write_text(toml)
    (folder / name / f"{name}.lark").write_text(lark)
    return folder


def test_a_pack_of_ones_own(tmp_path: Path) -> None:
    """A folder of packs, or a pack's own folder, is enough; it may replace a pack that logagg brings."""
    own(tmp_path)
    own(tmp_path, "callcenter")
    for paths in ([tmp_path], [tmp_path / "doors"], [tmp_path / "absent", tmp_path]):
        (pack,) = load_packs(["doors"], paths)
        assert (pack.name, pack.help, pack.figures) == ("doors", "Doors.", ("openings",))
        assert pack.metrics == (Metric("openings", "counter", ("opened",)),)
        assert pack.sections == (Section("Doors", ("openings",)),)
        assert pack.grammar.claim([b"Door 5 opened"]).fields == [{"door": 5}]
    assert [set(one.grammar.rules) for one in load_packs(["callcenter", "doors"], [tmp_path])] == [{"opened"}] * 2
    assert known_packs([tmp_path]) == ["callcenter", "doors"]


def problems(names: list[str], paths: list[Path]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_packs(names, paths)
    return error.value.problems


def test_unknown_packs_are_told_with_the_known_ones(tmp_path: Path) -> None:
    """A wrong name is answered with all names and where they were looked for; no name leads out of the folders."""
    own(tmp_path)
    among = f"among callcenter, doors (logagg's own and {tmp_path}/doors)"
    assert problems(["callcentre", "../doors", "x"], [tmp_path / "doors"]) == [
        f'no pack "callcentre" {among}; did you mean "callcenter"?',
        f'no pack "../doors" {among}; did you mean "doors"?',
        f'no pack "x" {among}; expected one of those',
    ]


def test_missing_files_are_told(tmp_path: Path) -> None:
    """A pack is two files; the error names the one that is missing."""
    own(tmp_path)
    (tmp_path / "doors" / "doors.lark").unlink()
    assert problems(["doors"], [tmp_path]) == [
        f"{tmp_path}/doors/doors.lark: is missing; a pack is the two files pack.toml and <its name>.lark"]


@pytest.mark.parametrize(("toml", "expected"), [
    ("[pack]\nhelp = Doors\n", [":2:8: not TOML: invalid value"]),
    ('[[metric]]\nname = "a"\nevent = "opened"\n[[section]]\ntitle = "T"\nmetrics = ["b"]\n',
     [': [[section]] 1: metrics: the pack has no metric "b"; define it as a [[metric]]']),
    ('[pack]\nfigures = ["opening"]\n[[metric]]\nname = "openings"\nevent = "opened"\n',
     [': [pack]: figures: the pack has no metric "opening"; did you mean "openings"?']),
    ('[pack]\nhelp = 5\ncolour = "red"\n[metrics]\n[[section]]\nmetrics = "a"\n',
     [': [pack]: unknown key "colour"; expected help and figures', ": [pack]: help is 5; expected text in quotes",
      ': unknown table "metrics"; expected [pack], [[metric]], [[rule]] and [[section]]',
      ": [[section]] 1: title is missing; expected text in quotes",
      ": [[section]] 1: metrics is 'a'; expected a list of metrics' names"]),
    ('[metric]\nname = "a"\n', [": metric: expected a list of tables; write [[metric]] with double brackets"]),
    ('[section]\n[[metric]]\nname = "a"\nevent = "opend"\n',
     [": section: expected a list of tables; write [[section]] with double brackets",
      ': [[metric]] 1 "a": no grammar has an event "opend"; did you mean "opened"?']),
])
def test_mistakes_in_the_table_are_told_all_at_once(tmp_path: Path, toml: str, expected: list[str]) -> None:
    """Every mistake of a pack.toml is one line with the file, the table and the way out."""
    own(tmp_path, toml=toml)
    place = f"{tmp_path}/doors/pack.toml"
    assert problems(["doors"], [tmp_path]) == [place + text for text in expected]


def test_a_wrong_grammar_is_told_with_its_file(tmp_path: Path) -> None:
    """The grammar's error has the path of the pack's own file."""
    own(tmp_path, lark="start: a\na: b\n")
    with pytest.raises(GrammarError) as error:
        load_packs(["doors"], [tmp_path])
    place = f"{tmp_path}/doors/doors.lark:2:4"
    assert str(error.value) == f"{place}: b is used, but not defined; define it, or write text in quotes"
