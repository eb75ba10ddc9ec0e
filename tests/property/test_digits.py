"""The bytes of chunks come back from their compressed form, whatever they are."""

import random

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logagg.digits import APART, APART_BYTES_MIN, compress, decompress

PARTS = [b"2026-11-29 12:00:00,123 INFO [main] a.B: call 17\n", b"2026-11-29 12:00:01,4 INFO\n", b"2026-11-29\n",
         b"7\n", b"\n", b"\tat a.B(B.java:12)\n", b"x\r\n", b"\xff\xfe0\n", b"no end 12", b"2026-11-29 12:00:00,123"]
LINES = st.lists(st.sampled_from(PARTS) | st.binary(max_size=60), min_size=1, max_size=30)


@settings(deadline=None)
@given(LINES, st.booleans())
@example([b"2026-11-29 12:00:00,123 a\0b\n"], True)
@example([b"1\n"], True)
@example([b"12345678"], True)
@example([b"00000000\n", b"0"], True)
def test_bytes_come_back(lines: list[bytes], long: bool) -> None:
    """Bytes are what they were, few or many, with NULs, without digits or line ends, cut anywhere."""
    data = b"".join(lines)
    if long and data:
        data *= APART_BYTES_MIN // len(data) + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logagg.digits.APART_RATIO_MIN", 0)
        raw = compress(data)
    assert raw.startswith(APART) == (len(data) >= APART_BYTES_MIN)
    assert decompress(raw) == data


def test_random_cuts() -> None:
    """A log that is cut at any bytes comes back in all its parts."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    log = b"".join(b"2026-11-%02d 12:%02d:00,%03d INFO [t-%d] a.B: id %x\n" % (
        rng.randrange(9, 12), rng.randrange(60), rng.randrange(1000), rng.randrange(20), rng.getrandbits(40))
        for _ in range(2000))
    for _ in range(50):
        start = rng.randrange(len(log) - APART_BYTES_MIN)
        part = log[start:start + rng.randrange(APART_BYTES_MIN, len(log))]
        assert decompress(compress(part)) == part


def test_plain_frames_are_read() -> None:
    """What repeats itself is one plain frame, as all was once; no bytes are no frame at all."""
    data = b"2026-11-29 12:00:00,123 INFO\n" * 5000
    assert not compress(data).startswith(APART)
    assert decompress(zstandard.ZstdCompressor(level=1).compress(data)) == data
    assert decompress(b"") == b""


def test_lines_that_do_not_repeat_take_less() -> None:
    """Lines with times and numbers of their own take at most nine tenths of what a plain frame does."""
    rng = random.Random(4)
    data = b"".join(b"2026-11-29 12:%02d:%02d,%03d INFO [exec-%d] a.B: order %d of customer %d took %d ms\n" % (
        i // 3600, i // 60 % 60, rng.randrange(1000), rng.randrange(64), rng.getrandbits(30), rng.getrandbits(16),
        rng.randrange(3000)) for i in range(5000))
    assert len(compress(data)) < 0.9 * len(zstandard.ZstdCompressor(level=1).compress(data))
