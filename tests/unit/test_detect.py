"""Which layout is taken for a stream, and when that is settled."""

import pytest

from logagg.grammar.detect import MATCHES, NO_LAYOUT, PREFIX_BYTES, detect
from logagg.grammar.reader import LayoutReader

LINES = {
    "xivr": "2026-11-20T13:15:30,123 INFO  [http-1] Client - text",
    "mpp": "2026-11-20 13:15:30,123 [SIP worker [call 7]] WARN  com.acme.Mpp - text",
    "vip": "2026-11-20 13:15:30,123 INFO com.acme.Vip: text",
    "hadoop": "2015-10-18 18:01:47,978 INFO [main] org.apache.hadoop.Foo: text",
    "spark": "17/06/09 20:10:40 INFO executor.Backend: text",
    "hdfs": "081109 203615 148 INFO dfs.DataNode$PacketResponder: text",
    "zookeeper": "2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]/0:0:0:2181:FastLeaderElection@774] - text",
    "spring boot": "2024-03-08 00:00:00.544  INFO 31337 --- [           main] o.a.s.Foo"
                   "                                : text",
    "kafka": "[2024-03-08 00:00:00,544] INFO text (kafka.server.KafkaServer)",
    "python": "2024-03-08 00:00:00,544 - app.module - WARNING - text",
    "log4j level first": "ERROR [main] 2024-03-08 00:00:00,544 Foo.java:177 - text",
    "plain": "2024-03-08 00:00:00 text",
}
FIELDS = {
    "xivr": ("INFO", b"Client"), "mpp": ("WARN", b"com.acme.Mpp"), "vip": ("INFO", b"com.acme.Vip"),
    "hadoop": ("INFO", b"org.apache.hadoop.Foo"), "spark": ("INFO", b"executor.Backend"),
    "hdfs": ("INFO", b"dfs.DataNode$PacketResponder"), "zookeeper": ("INFO", b"FastLeaderElection"),
    "spring boot": ("INFO", b"o.a.s.Foo"), "kafka": ("INFO", b"kafka.server.KafkaServer"),
    "python": ("WARNING", b"app.module"), "log4j level first": ("ERROR", None), "plain": (None, None),
}


@pytest.mark.parametrize("name", LINES)
def test_common_layouts_are_found(name: str) -> None:
    """A log of a common layout is read with level, logger and message, without any configuration."""
    block = (LINES[name] + "\n").encode() * 30
    batch = LayoutReader(None).read(block, 0, {}, final=True)
    assert (len(batch), dict(batch.rejects)) == (30, {})
    assert (batch.levels[0], batch.loggers[0]) == FIELDS[name]
    assert (batch.record(0).message, batch.first_lines[0]) == ("text", b"text")
    assert batch.ts_us[0] is not None


def test_the_decision_waits_for_enough_heads_and_then_stands() -> None:
    """Settled with the 25th head; before that provisional, and the carry keeps nothing of it."""
    line = (LINES["vip"] + "\n").encode()
    reader = LayoutReader(None)
    early = reader.read(line * (MATCHES - 1), 0, {}, final=True)
    assert (len(early), reader.decided(early.carry), "layout" in early.carry) == (MATCHES - 1, False, False)
    late = reader.read(line * MATCHES, 0, {}, final=True)
    assert reader.decided(late.carry)
    other = (LINES["spark"] + "\n").encode() * 1000
    assert detect(line * MATCHES + other) == detect(line * MATCHES)
    kept = reader.read(other, late.end, late.carry, final=True)
    assert kept.carry["layout"] == late.carry["layout"]


def test_every_longer_prefix_gives_the_settled_answer() -> None:
    """Once settled, the answer never changes with more bytes, wherever these are cut."""
    text = "".join(LINES[name] + "\n  x\n" for name in ("vip", "xivr", "vip", "plain") for _ in range(15)).encode()
    answers = [detect(text[:size]) for size in range(0, len(text) + 1, 37)]
    first = next(number for number, (_, settled) in enumerate(answers) if settled)
    assert set(answers[first:]) == {answers[first]}
    assert not any(settled for _, settled in answers[:first])


def test_a_layout_that_misses_heads_is_not_taken() -> None:
    """Where some lines have a thread and some have none, the layout that reads all of them wins."""
    threads = [b"[main] " if i % 5 else b"" for i in range(40)]
    block = b"".join(b"2024-03-08 00:00:00,000 INFO %sa.B - text\n" % thread for thread in threads)
    batch = LayoutReader(None).read(block, 0, {}, final=True)
    assert len(batch) == 40


def test_multi_line_messages_with_something_behind_them() -> None:
    """`%m (%c)` is found though a message has lines, and is not taken for lines that lack what it prints."""
    block = b"[2024-03-08 00:00:01,544] INFO KafkaConfig values:\n\ta = 1 (kafka.Config)\n" * 30
    assert LayoutReader(None).read(block, 0, {}, final=True).loggers[0] == b"kafka.Config"
    other = block.replace(b" (kafka.Config)", b"")
    assert LayoutReader(None).read(other, 0, {}, final=True).record(0).message == "KafkaConfig values:\n\ta = 1"


def test_without_a_known_head_every_line_is_a_reject() -> None:
    """64 KiB without a known head settle that there is no layout: each line is a reject of its own."""
    block = b"just some text without a date\n" * (PREFIX_BYTES // 30 + 1)
    reader = LayoutReader(None)
    batch = reader.read(block, 0, {}, final=True)
    assert batch.carry == {"layout": NO_LAYOUT}
    assert set(batch.rejects.values()) == {"no_layout"}
    assert len(batch.rejects) == len(batch) == block.count(b"\n")
    assert not reader.decided(reader.read(block[:600], 0, {}, final=True).carry)
    assert detect(b"\x00" * (PREFIX_BYTES + 1)) == (NO_LAYOUT, True)


def test_a_given_layout_is_always_settled() -> None:
    """With a layout there is nothing to detect, and the carry does not hold it."""
    reader = LayoutReader("%d %m%n")
    assert reader.decided({})
    assert "layout" not in reader.read((LINES["vip"] + "\n").encode(), 0, {}, final=True).carry
