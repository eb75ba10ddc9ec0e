"""Loops of one process live and end together."""

import threading

import pytest

from logagg.together import run_together


def test_they_end_in_order() -> None:
    """Each is told to end only when those before it have ended."""
    ended: list[str] = []
    stop = threading.Event()

    def first(end: threading.Event) -> None:
        stop.set()
        assert end.wait(10)
        ended.append("first")

    def second(end: threading.Event) -> None:
        assert end.wait(10)
        assert ended == ["first"]
        ended.append("second")

    run_together({"first": first, "second": second}, stop)
    assert ended == ["first", "second"]


def test_failure_ends_all() -> None:
    """The error of one is raised when all have ended."""
    ended = threading.Event()

    def fails(end: threading.Event) -> None:
        raise ValueError("broken")

    def waits(end: threading.Event) -> None:
        assert end.wait(10)
        ended.set()

    with pytest.raises(ValueError, match="broken"):
        run_together({"waits": waits, "fails": fails}, threading.Event())
    assert ended.is_set()
